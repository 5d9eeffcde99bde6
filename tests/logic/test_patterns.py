"""Patterns: what is valid, which engine runs it, what it captures, and that every engine agrees with `re`."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from parts.matching import compiled, expected, fresh, scanned

from reconciler.errors import ConfigurationError
from reconciler.logic import expression, patterns, relax, render, syntax, tier_hyperscan, tier_re2
from reconciler.logic.patterns import PatternSet, Rule, Tier, check, compile_set
from reconciler.logic.scanner import StreamScanner
from reconciler.logic.tier_re2 import Gate
from reconciler.model import Match, Position, StreamName

re_tests = pytest.importorskip("test.re_tests", reason="this Python came without its own tests")

FAST = Tier.HYPERSCAN if tier_hyperscan.available() and tier_hyperscan.sound() else Tier.RE2


# --- validation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "column"),
    [("(", 1), ("abc(", 4), ("a**", 3), ("[b-a]", 2), ("(?P<1x>a)", 5), (r"\q", 1), ("a{2,1}", 3), ("(?P=x)", 5)],
)
def test_an_invalid_pattern_is_refused_with_its_column(text: str, column: int) -> None:
    with pytest.raises(ConfigurationError, match=f"column {column}:") as caught:
        check(text)
    assert caught.value.remedy


@pytest.mark.parametrize("text", ["(?<=a+)b", "(?L)a", "(?u)a", "a{99999999999}", "(" * 600 + ")" * 600, "a(?i)b"])
def test_what_python_refuses_elsewhere_is_refused_here(text: str) -> None:
    with pytest.raises(ConfigurationError):
        check(text)


@pytest.mark.parametrize(
    ("text", "tier"),
    [
        (r"loss=(\d+)", FAST),
        (r"(?i)error", FAST),
        (r"^Epoch \d+/\d+$", FAST),
        (r"(?P<a>x)(?#comment)|\Ay\Z", FAST),
        (r"(?x) a   b # words", FAST),
        (r"[[:alpha:]]x", FAST),
        (r"(a+)+$", FAST),
        (r"foo(?=bar)", Tier.FALLBACK),
        (r"(?<!x)foo", Tier.FALLBACK),
        (r"(\w)\1", Tier.FALLBACK),
        (r"(a)?(?(1)b|c)", Tier.FALLBACK),
        (r"(?>a+)b", Tier.FALLBACK),
        (r"a++b", Tier.FALLBACK),
        (r"(?:a|b*)*c", Tier.FALLBACK),
        (r".*", Tier.FALLBACK),
        (r"a{1001}", Tier.FALLBACK),
        (r"(a|(b))*+c", Tier.REFUSED),
        (r"(a+)+\1", Tier.REFUSED),
        (r"(?u:\w)", Tier.REFUSED),
        ("(?i)[\U00010400-\U00010428]", Tier.REFUSED),
    ],
)
def test_each_pattern_gets_the_fastest_engine_that_runs_it_exactly(text: str, tier: Tier) -> None:
    info = check(text)
    assert info.tier is tier
    assert bool(info.reason) is (tier is not FAST)


def test_what_is_known_of_a_pattern_is_told() -> None:
    info = check(r"(?P<a>x)(y)|()")
    assert (info.groups, info.names, info.matches_empty, info.slow) == (3, ("a",), True, True)
    assert check("x+").matches_empty is False
    assert check(r"(?<=x)\d").slow is False
    assert check(r"(?<=x)").slow is True


def test_a_refused_pattern_makes_no_set_and_says_why() -> None:
    with pytest.raises(ConfigurationError, match="possessive"):
        compile_set([Rule("a"), Rule(r"(a|(b))*+c")])


def test_the_same_rules_share_one_set() -> None:
    rules = [Rule("shared once"), Rule("b", captures=("x",))]
    assert compile_set(rules) is compile_set(tuple(rules))
    assert compile_set(rules) is not compile_set([*rules, Rule("c")])


def test_pythons_own_table_of_patterns_gives_what_python_gives() -> None:
    tried = 0
    for text, subject, *_ in re_tests.tests:
        try:
            compiled(text)
        except (re.error, ValueError):
            with pytest.raises(ConfigurationError):
                check(text)
            continue
        if check(text).tier is Tier.REFUSED:
            continue
        data = subject.encode()
        for hyperscan in (False, True):
            got = scanned([Rule(text, ignore_echo=False)], data, hyperscan=hyperscan)
            assert got == expected([Rule(text)], data), (text, subject)
        tried += 1
    assert tried > 300


# --- captures --------------------------------------------------------------------------------------------------------


def one(rule: Rule, line: bytes) -> Match:
    """Return the only match of a rule in a line."""
    stream = StreamScanner(fresh([rule], hyperscan=False), Position())
    [hit] = stream.feed(line + b"\n")
    [match] = stream.patterns.matches(0, hit, StreamName.STDERR)
    return match


def test_captures_are_named_by_the_rule_and_by_the_pattern() -> None:
    match = one(Rule(r"Loss: ([\d.]+), Step: (\d+)", captures=("loss", "step")), b"x Loss: 5.73, Step: 1200")
    assert match == Match(
        "Loss: 5.73, Step: 1200", 1, 2, StreamName.STDERR, ("5.73", "1200"), {"loss": "5.73", "step": "1200"}, 0
    )
    assert one(Rule(r"(?P<a>\d)(\d)", captures=("first", "second")), b"12").captures == {
        "first": "1",
        "second": "2",
        "a": "1",
    }
    assert one(Rule(r"(?P<a>\d)(?P<b>\d)", captures=("b",)), b"12").captures == {"b": "2", "a": "1"}
    assert one(Rule(r"(\d)", captures=("a", "b", "c")), b"1").captures == {"a": "1"}


@pytest.mark.parametrize("line", [b"a", b"a\xc3\xa9", b"\x1b[1ma\x1b[0m", b"a\xff"])
def test_a_group_that_took_no_part_is_none_and_an_empty_one_is_empty(line: bytes) -> None:
    match = one(Rule(r"a(x)?()", captures=("x", "y")), line)
    assert (match.groups, match.captures) == ((None, ""), {"x": None, "y": ""})


@pytest.mark.parametrize(
    ("line", "offset"),
    [(b"..v=1", 2), ("é.v=1".encode(), 3), (b"\xff\xe2\x96.v=1", 4), (b"\x1b[1m.\x1b[0mv=1", 9), (b"\x1b[1mv=1", 4)],
)
@pytest.mark.parametrize("text", [r"v=\d", r"(?<!x)v=\d"])
def test_an_offset_counts_the_bytes_of_the_file(text: str, line: bytes, offset: int) -> None:
    assert one(Rule(text), line).offset == offset


def test_every_match_of_a_line_is_found_in_order() -> None:
    assert [row[3] for row in scanned([Rule(r"\d+")], b"1 22 333\n")] == ["1", "22", "333"]
    assert [row[3] for row in scanned([Rule(r"\d*")], b"1a22\n")] == [m.group() for m in re.finditer(r"\d*", "1a22")]


def test_classes_are_ascii_and_a_dot_is_a_character() -> None:
    data = "\u0661 é é\u2003\u00a0x\x1c\x0b".encode()
    assert scanned([Rule(r"\d"), Rule(r"é\w"), Rule(r"\bx"), Rule(r"^.{3}"), Rule(r"\s+$")], data) == expected(
        [Rule(r"\d"), Rule(r"é\w"), Rule(r"\bx"), Rule(r"^.{3}"), Rule(r"\s+$")], data
    )


def test_case_is_ignored_for_ascii_letters_alone() -> None:
    assert scanned([Rule("(?i)k[s-t]É")], "K\u017fÉ ksé KTÉ K\u017fÉ \u212as\u00c9".encode()) == expected(
        [Rule("(?i)k[s-t]É")], "K\u017fÉ ksé KTÉ K\u017fÉ \u212as\u00c9".encode()
    )


# --- engines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "loose", "exact"),
    [
        (r"(\d+)\s*(it|samples)/s", r"[0-9](?:[\x09\x0b-\x0c\x20]*)(?:it|samples)\x2fs", True),
        (r"^.*loss=(\d+).*$", r"loss\x3d[0-9]", True),
        (r"x*(?:ab+|c?d)y*", r"(?:ab|d)", True),
        (r"^\s*x", r"^(?:[\x09\x0b-\x0c\x20]*)x", True),
        (r"a{3,9}", "aaa", True),
        (r"(?<!a)b(?=c)", "b", False),
        (r"(\w+) \1", r"[0-9A-Z\x5fa-z]\x20", False),
        (r"a\nb|c", "c", True),
        (r"a{500}", "a(?:a{98})a", False),
    ],
)
def test_what_is_asked_of_a_block_is_simpler_and_never_less(text: str, loose: str, exact: bool) -> None:
    tree, is_exact = relax.relax(syntax.parse(text).tree, lines=1)
    assert (render.HYPERSCAN.write(tree), is_exact) == (loose, exact)


@pytest.mark.parametrize("answer", [None, [0], [1, 0]])
def test_a_set_that_ran_out_of_memory_calls_every_pattern_a_candidate(answer: list[int] | None) -> None:
    class Exhausted:
        """What `re2.Set` answers then: no match at all, or less than there are."""

        def Match(self, line: bytes) -> list[int] | None:
            return answer

    gate = Gate([(5, "a"), (6, "b"), (7, "c")])
    assert gate.scan(b"x\nabc\n") == [(3, 5), (3, 6), (3, 7)]
    gate._lines = Exhausted()
    assert gate.scan(b"x\na\n") == [(3, 5), (3, 6), (3, 7)]


def test_patterns_too_large_for_one_gate_get_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tier_re2, "GATE_MEMORY", 5_000)
    patterns_ = PatternSet([Rule(f"{word}[a-f]{{80}}end") for word in "abcdefghi"])
    assert len(patterns_._gates) == 9
    stream = StreamScanner(patterns_, Position())
    lines = [b"%c" % first + b"f" * 80 + b"end\n" for first in b"bia"]
    assert [hit.patterns for hit in stream.feed(b"".join(lines))] == [(1,), (8,), (0,)]


def test_without_hyperscan_everything_is_found_by_re2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tier_hyperscan, "available", lambda: False)
    patterns_ = PatternSet([Rule("a1"), Rule("b2")])
    patterns_.prepare()
    assert not patterns_.by_hyperscan
    assert check("never seen before").tier is Tier.RE2
    assert [hit.patterns for hit in StreamScanner(patterns_, Position()).feed(b"b2 a1\n")] == [(0, 1)]


def test_a_hyperscan_that_misses_what_it_must_find_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    tier_hyperscan.sound.cache_clear()
    monkeypatch.setattr(tier_hyperscan.Database, "scan", lambda self, block: [])
    try:
        assert tier_hyperscan.sound() is False
        assert tier_hyperscan.build([(0, "a")]) is None
    finally:
        tier_hyperscan.sound.cache_clear()


@pytest.mark.skipif(FAST is Tier.RE2, reason="hyperscan is not installed")
def test_what_hyperscan_does_not_take_is_scanned_beside_it() -> None:
    database = tier_hyperscan.build([(0, "a[0-9]"), (1, "b" * 30_000), (2, "(?=x)")])
    assert database is not None
    assert [index for index, _ in database.left] == [1, 2]
    assert database.scan(b"a1 a2\n") == [(2, 0), (5, 0)]


@pytest.mark.skipif(FAST is Tier.RE2, reason="hyperscan is not installed")
def test_hyperscan_takes_over_while_a_stream_is_read_and_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "HYPERSCAN_AFTER", 100)
    started: list[str] = []

    class AtOnce:
        """A thread that has done its work when it was started."""

        def __init__(self, target: object, name: str, daemon: bool) -> None:
            self._target, self._name = target, name

        def start(self) -> None:
            started.append(self._name)
            assert callable(self._target)
            self._target()

    monkeypatch.setattr(patterns, "Thread", AtOnce)
    stream = StreamScanner(PatternSet([Rule(r"v=(\d+)")]), Position())
    got = [(hit.line, stream.patterns.by_hyperscan) for number in range(40) for hit in stream.feed(b"v=%d\n" % number)]
    assert [line for line, _ in got] == list(range(1, 41))
    assert [fast for _, fast in got] == sorted(fast for _, fast in got)
    assert got[-1][1] is True
    assert started == ["hyperscan-compile"]


def test_a_scan_that_another_thread_is_in_falls_back_to_re2(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns_ = fresh([Rule(r"v=(\d+)")], hyperscan=True)
    monkeypatch.setattr(tier_hyperscan.Database, "scan", lambda self, block: None)
    assert [hit.line for hit in StreamScanner(patterns_, Position()).feed(b"x\nv=1\n")] == [2]


def test_a_pattern_whose_simpler_form_is_too_large_is_tried_on_every_line() -> None:
    text = r"(?<!y)k((a{1,90}){1,90}b){1,9}x"
    assert expression.Pattern(text, 1).loose is None
    assert [row[0] for row in scanned([Rule(text)], b"no\nkaabx\n")] == [2]


def test_rules_that_differ_in_anything_are_told_apart() -> None:
    rule = Rule("a")
    assert len({rule, replace(rule, every_nth_line=2), replace(rule, captures=("x",)), Rule("a")}) == 3
