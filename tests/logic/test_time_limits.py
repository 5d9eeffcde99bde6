"""No pattern and no line holds anything up: what would take long is stopped, said, and costs the others nothing."""

from __future__ import annotations

import time

import pytest
from parts.matching import found, fresh

from reconciler.logic.patterns import Rule
from reconciler.logic.scanner import MAX_OVERRUNS, Overrun, StreamScanner
from reconciler.logic.tier_fallback import TextFinder
from reconciler.logic.tier_re2 import MAX_MATCHES, Finder, OverTime
from reconciler.model import Position

#: Seconds of processor time: the promise is 50 ms, on a machine that is not busy with something else.
BOUND = 0.1

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


def test_a_pattern_gets_its_time_back_with_the_next_look() -> None:
    scanner, _, _ = fed([Rule(EXPONENTIAL + "|(?=z)z")], (b"a" * 60 + b"\n") * 50)
    hits = scanner.feed(b"z\n")
    assert [row[:2] for row in found(hits, scanner.patterns)] == [(51, 3050)]


def test_matches_of_one_line_are_bounded_and_that_is_said() -> None:
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


def test_a_line_of_foreign_bytes_is_mapped_in_time() -> None:
    scanner, rows, took = fed([Rule("z")], b"\xff\xe2" * 30_000 + b"z\n")
    begun = time.thread_time()
    assert rows == [(1, "z")]
    assert took + time.thread_time() - begun < 2 * BOUND
    assert scanner.overruns == []
