"""No pattern and no line holds anything up: what would take long is stopped, said, and costs the others nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

import pytest
from parts.matching import found, fresh

from reconciler.logic.hits import Found
from reconciler.logic.patterns import LineHit, PatternSet, Rule
from reconciler.logic.scanner import LEAST, MAX_OVERRUNS, Overrun, StreamScanner, is_plain
from reconciler.logic.tier_fallback import TextFinder
from reconciler.logic.tier_re2 import LIMIT, MAX_MATCHES, Finder, OverTime
from reconciler.model import Position

#: Seconds of processor time. The promise is 50 ms on a machine that is not busy with something else; without limits it
# would be many seconds to years. How the time is shared out is tested below on clocks that step.
BOUND = 2.0

EXPONENTIAL = r"(?=a)(a|aa)+$(?<=b)"
QUADRATIC = r"a.*b|a"


def fed(rules: list[Rule], data: bytes) -> tuple[StreamScanner, list[tuple[int, str]], float]:
    """Feed everything; return the scanner, what was found, and the processor time it took."""
    scanner = StreamScanner(fresh(rules, hyperscan=False), Position())
    begun = time.thread_time()
    hits = scanner.feed(data)
    took = time.thread_time() - begun
    return scanner, [(row[0], row[3]) for row in found(hits, scanner.patterns)], took


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (r"(a+)+$", b"a" * 40 + b"!"),
        (r"(\d+)\s*(it|samples)/s", b"1" * 20_000),
        (r"(\d+)\s*(it|samples)/s", b"1 " * 30_000),
        (r"(x+x+)+y", b"x" * 60_000),
        (r"((a?){20}){20}b", b"a" * 60_000),
        (r"(.*?,){30}P", b"a," * 20_000),
        (r"^(([a-z])+.)+[A-Z]([a-z])+$", b"a" * 60_000),
        (r"(\w+\s*)+:", b"ab " * 20_000),
        (r"(.+)+(.+)+(.+)+x", b"y" * 60_000),
        (r"(.*)=(.*)", b"a" * 30_000 + b"=" + b"b" * 30_000),
        (r"(\w)\1(?!x)", b"ab" * 30_000),
        (EXPONENTIAL, b"a" * 60),
        (QUADRATIC, b"a" * 65_000),
        (r"a", b"a" * 65_000),
        (r"(?=a)", b"a" * 65_000),
    ],
)
def test_one_line_holds_up_nothing(text: str, line: bytes) -> None:
    _, _, took = fed([Rule(text, ignore_echo=False)], line + b"\n")
    assert took < BOUND


@pytest.mark.parametrize("text", [EXPONENTIAL + "|^z", QUADRATIC])
def test_a_pattern_that_runs_over_its_time_is_said_and_the_others_go_on(text: str) -> None:
    line = b"a" * (60 if text != QUADRATIC else 65_000)
    scanner, rows, _ = fed([Rule(text), Rule("next")], line + b"\nnext\n")
    assert rows == [(2, "next")]
    assert scanner.overruns == [Overrun(0, 1)]


def test_many_such_lines_take_little_more_than_one() -> None:
    scanner, rows, took = fed([Rule(EXPONENTIAL), Rule("next")], (b"a" * 60 + b"\n") * 500 + b"next\n")
    assert took < 2 * BOUND
    assert rows == [(501, "next")]
    assert len(scanner.overruns) == 500
    assert MAX_OVERRUNS < 500


def stepping(step: float) -> Callable[[], float]:
    """Return a clock that is `step` seconds later each time it is looked at."""
    times = count(0.0, step)
    return lambda: next(times)


@pytest.mark.parametrize("rest", [b"", b"half a line"])
@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_a_feed_that_used_up_its_time_stops_behind_its_line_and_the_rest_is_fed_again(end: bytes, rest: bytes) -> None:
    """Every search takes an eighth of a second by this clock, and a feed has two: two lines each."""
    patterns = fresh([Rule("(?=a)a"), Rule("word")], hyperscan=False)
    data = end.join([b"a 1", b"word", b"a 2", b"a 3", b"x", b"word", b"a 4", b"a 5", b""]) + rest
    place, fed_lines = Position(), []
    while True:
        scanner = StreamScanner(patterns, place, budget=0.25, clock=stepping(0.125))
        rows = found(scanner.feed(data[place.offset :]), patterns)
        fed_lines.append([row[0] for row in rows])
        place = scanner.position
        if not scanner.exhausted:
            break
    assert fed_lines == [[1, 2, 3], [4, 6, 7], [8]]
    assert place.offset == len(data) - len(rest)
    assert place.line == 8
    assert scanner.overruns == []


def test_patterns_on_one_line_share_what_is_left_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = fresh([Rule(f"(?=a)a{number}") for number in range(5)], hyperscan=False)
    given: list[float] = []

    def find(self: PatternSet, index: int, hit: LineHit, limit: float = 0.0) -> list[Found]:
        given.append(limit)
        raise OverTime

    monkeypatch.setattr(PatternSet, "find", find)
    scanner = StreamScanner(patterns, Position(), budget=0.02, clock=stepping(0.012))
    scanner.feed(b"a0a1a2a3a4\nnext\n")
    assert given == pytest.approx([LIMIT, 0.02 - 0.012, LEAST, LEAST, LEAST])
    assert [over.pattern for over in scanner.overruns] == [0, 1, 2, 3, 4]
    assert scanner.exhausted


def test_two_slow_lines_of_one_feed_share_its_time() -> None:
    patterns = fresh([Rule("(a+)+$(?<=b)"), Rule(QUADRATIC)], hyperscan=False)
    scanner = StreamScanner(patterns, Position(), budget=0.02)
    data = b"a" * 40 + b"!\n" + b"a" * 65_000 + b"\n" + b"a" * 65_000 + b"\n"
    begun = time.thread_time()
    scanner.feed(data)
    assert time.thread_time() - begun < BOUND
    assert scanner.exhausted


def test_many_slow_lines_of_several_line_patterns_take_little_more_than_one() -> None:
    begun = time.thread_time()
    scanner, _, _ = fed([Rule(EXPONENTIAL, multiline=2)], (b"a" * 60 + b"\n") * 100)
    assert time.thread_time() - begun < 3 * BOUND
    assert len(scanner.overruns) == 100


def test_a_pattern_gets_its_time_back_with_the_next_look() -> None:
    scanner, _, _ = fed([Rule(EXPONENTIAL + "|(?=z)z")], (b"a" * 60 + b"\n") * 50)
    hits = scanner.feed(b"z\n")
    assert [row[:2] for row in found(hits, scanner.patterns)] == [(51, 3050)]


def test_matches_of_one_line_are_bounded_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.logic.scanner.LIMIT", 60.0)  # matches run out first, however slow the machine is
    scanner, rows, _ = fed([Rule("a"), Rule("(?=a)a")], b"a" * 60_000 + b"\n")
    assert len(rows) == 2 * MAX_MATCHES
    assert scanner.overruns == [Overrun(0, 1, MAX_MATCHES), Overrun(1, 1, MAX_MATCHES)]


def test_a_search_stops_by_its_clock() -> None:
    with pytest.raises(OverTime):
        Finder("a(?:.*)b|a").find(b"a" * 65_000)
    finder = TextFinder("(a|aa)+$(?<=b)")
    with pytest.raises(OverTime):
        finder.find("a" * 60)
    with pytest.raises(OverTime):
        finder.matches("a" * 60)


@pytest.mark.parametrize("line", [b"a" * 60_000, "é".encode() + b"a" * 60_000, b"\x1b[1m" + b"a" * 60_000])
def test_less_time_is_less_time_whatever_the_line_is_made_of(line: bytes) -> None:
    patterns = fresh([Rule("a")], hyperscan=False)
    hit = LineHit(1, 0, line, (0,), len(line), plain=is_plain(line))
    with pytest.raises(OverTime):
        patterns.find(0, hit, limit=-1.0)  # however quick the machine is


def test_a_line_of_foreign_bytes_is_mapped_in_time() -> None:
    scanner, rows, took = fed([Rule("z")], b"\xff\xe2" * 30_000 + b"z\n")
    begun = time.thread_time()
    assert rows == [(1, "z")]
    assert took + time.thread_time() - begun < 2 * BOUND
    assert scanner.overruns == []
