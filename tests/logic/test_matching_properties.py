"""Any bytes, cut anywhere, scanned by any engine, give what the plain reference gives."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts.matching import compiled, expected, found, fresh, lines, pieces_of, scanned

from reconciler.errors import ConfigurationError
from reconciler.logic import tier_hyperscan
from reconciler.logic.patterns import PatternSet, Rule, Tier, check
from reconciler.logic.scanner import StreamScanner
from reconciler.model import HEAD_BYTES, TAIL_BYTES, Position

EXPRESSIONS = (
    r"a",
    r"ab+",
    r"(\d+)",
    r"^b",
    r"b$",
    r"(?i)AB",
    r"\x1b\[1m",
    r"a.c",
    r"é",
    r"[^a-z]{2}",
    r"(a)|(b)",
    r"\bab\b",
    r".*",
    r"^$",
    r"a\s*b",
    r"(?<=a)b",
    r"(\w)\1",
    r"x?",
    r"a[^b]*b$",
    r"^.*1.*$",
    "\ufffd",
    r"a\nb",
    r"1(?!1)",
    r"\s",
    r"(?:a|(b))+c",
    r"\B1",
)
TOKENS = [
    *(b"a", b"b", b"ab", b"1", b"12", b" ", b"c", b"AB", b"\0", b"\x0b", b"a" * 24),
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\x1b[1m", b"\x1b[0m", b"\x1b", b"\x1b]0;t\x07"),
    *(b"\xc3\xa9", b"\xff", b"\xe2\x96", b"\x85", b"\xe2\x96\x88"),
]
RULES = st.lists(
    st.builds(
        Rule,
        st.sampled_from(EXPRESSIONS),
        every_nth_line=st.sampled_from([1, 1, 1, 2, 3]),
        ignore_echo=st.just(False),
    ),
    min_size=1,
    max_size=6,
)
DATA = st.lists(st.sampled_from(TOKENS), max_size=60).map(b"".join) | st.binary(max_size=80)
SIZES = st.lists(st.integers(1, 40), max_size=5)
LINE_BYTES = st.sampled_from([16, 40, 65536])
ENGINES = [False, True]


@pytest.fixture(params=ENGINES, ids=["re2", "hyperscan"])
def hyperscan(request: pytest.FixtureRequest) -> bool:
    """Whether Hyperscan scans; a test for it is skipped where the library is not there."""
    if request.param and not tier_hyperscan.available():
        pytest.skip("hyperscan is not installed")
    return bool(request.param)


@settings(max_examples=200)
@given(RULES, DATA, SIZES, LINE_BYTES, st.sampled_from(ENGINES))
def test_any_bytes_cut_anywhere_give_what_the_reference_gives(
    rules: list[Rule], data: bytes, sizes: list[int], line_bytes: int, by_hyperscan: bool
) -> None:
    patterns = fresh(rules, hyperscan=by_hyperscan)
    scanner = StreamScanner(patterns, Position(), line_bytes)
    rows = [row for piece in pieces_of(data, sizes) for row in found(scanner.feed(piece), patterns)]
    rows += found(scanner.finish(), patterns)
    assert rows == expected(rules, data, line_bytes)


@settings(max_examples=150)
@given(RULES, DATA, SIZES, LINE_BYTES)
def test_a_scanner_that_goes_on_from_any_checkpoint_finds_the_rest(
    rules: list[Rule], data: bytes, sizes: list[int], line_bytes: int
) -> None:
    patterns = fresh(rules, hyperscan=False)
    scanner = StreamScanner(patterns, Position(), line_bytes)
    wanted = expected(rules, data, line_bytes)
    for piece in pieces_of(data, sizes):
        hits = scanner.feed(piece)
        for place in [scanner.position, *map(scanner.position_after, hits)]:
            second = StreamScanner(patterns, place, line_bytes)
            rest = [*second.feed(data[place.offset :]), *second.finish()]
            assert found(rest, patterns) == [row for row in wanted if row[0] > place.line]


@settings(max_examples=150)
@given(DATA, SIZES, LINE_BYTES)
def test_a_checkpoint_carries_the_fingerprint_of_the_bytes_before_it(
    data: bytes, sizes: list[int], line_bytes: int
) -> None:
    scanner = StreamScanner(fresh([Rule("a")], hyperscan=False), Position(), line_bytes)
    for piece in pieces_of(data, sizes):
        scanner.feed(piece)
        place = scanner.position
        assert place.head == data[: min(place.offset, HEAD_BYTES)]
        assert place.tail == data[max(0, place.offset - TAIL_BYTES) : place.offset]


@settings(max_examples=150)
@given(RULES, DATA)
def test_the_offset_of_a_match_is_that_of_its_first_byte_in_the_file(rules: list[Rule], data: bytes) -> None:
    patterns = fresh(rules, hyperscan=False)
    scanner = StreamScanner(patterns, Position())
    for hit in [*scanner.feed(data), *scanner.finish()]:
        for index in hit.patterns:
            for match in patterns.matches(index, hit):
                rest = data[match.offset : hit.offset + len(hit.raw)].decode("utf-8", "replace")
                assert match.text[:1] == rest[: len(match.text[:1])]


ATOMS = st.sampled_from(
    [
        *("a", "b", "1", " ", "_", ".", "é", "-", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S"),
        *("[ab]", "[^a]", r"[^\d]", "[a-z1]", "[^é]", "(?i:A)", "(?i:[^B])", "(?s:.)"),
        *(r"(?i:\S)", r"(?i:\W)", r"(?i:[^\W_])"),
        *(r"\b", r"\B", "^", "$", r"\Z", r"\A", "(?m:^)", "(?m:$)"),
    ]
)
SUFFIXES = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{2,}", "*?", "+?", "??", "{1,3}?", "*+", "?+"])
WRAPS = st.sampled_from(["({})", "(?:{})", "({}|a)", "(?:{}|)", "(?={})", "(?!{})", "(?>{})", "({})\\1", "(?<!a){}"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    wrapped = st.builds(lambda wrap, text, suffix: wrap.format(text) + suffix, WRAPS, inner, SUFFIXES)
    return st.lists(wrapped | st.builds("{}{}".format, ATOMS, SUFFIXES), min_size=1, max_size=3).map("".join)


PATTERNS = st.recursive(st.builds("{}{}".format, ATOMS, SUFFIXES), _grown, max_leaves=6)
TEXTS = st.lists(st.text("ab1 _-é", max_size=10), min_size=1, max_size=4)


@settings(max_examples=400)
@given(PATTERNS, TEXTS, st.sampled_from(ENGINES))
def test_any_pattern_finds_and_captures_what_re_does_or_is_refused(
    pattern: str, texts: list[str], by_hyperscan: bool
) -> None:
    try:
        reference = compiled(pattern)
    except re.error:
        with pytest.raises(ConfigurationError):
            check(pattern)
        return
    if check(pattern).tier is Tier.REFUSED:
        return
    data = "\n".join(texts).encode()
    try:
        wanted = expected([Rule(pattern)], data)
    except SystemError:  # re itself gives up on some groups inside possessive repeats
        return
    assert reference.groups == check(pattern).groups
    assert scanned([Rule(pattern, ignore_echo=False)], data, hyperscan=by_hyperscan) == wanted


#: What a class that ignores case may hold, and characters whose other case is another's in Unicode, but not in ASCII.
MEMBERS = st.sampled_from(
    [
        *(r"\S", r"\D", r"\W", r"\s", r"\d", r"\w"),
        *"xK_5\u017f\u212a\u0131İéÿŸ😀𐐀",
        "a-f",
        "Z-b",
        "h-\u2130",
        "\u0100-\uffff",
    ]
)
CLASSES = st.builds("[{}{}]".format, st.sampled_from(["", "^"]), st.lists(MEMBERS, min_size=1, max_size=4).map("".join))
CASELESS = st.builds(
    str.format,
    st.sampled_from(["(?i){}", "(?i){}+", "(?i:{})k", "(?i)(?<!s){}", "(?i)i({}+?)", "(?i)({})\\1", "(?i)(?-i:{})K|s"]),
    CLASSES | st.sampled_from([r"\S", r"\D", r"\W", "😀", "𐐀", "K", "\u017f"]),
)
FOLDABLE = st.text("kK\u212asS\u017fiI\u0131İxX_5 éÉÿŸ\u00a0😀🙏𐐀𐐨\U0010ffff", max_size=12)


@settings(max_examples=400)
@given(CASELESS, FOLDABLE, st.sampled_from(ENGINES))
def test_what_ignores_case_folds_ascii_and_nothing_else(pattern: str, text: str, by_hyperscan: bool) -> None:
    assert check(pattern).tier is not Tier.REFUSED
    rules = [Rule(pattern, ignore_echo=False)]
    assert scanned(rules, text.encode(), hyperscan=by_hyperscan) == expected(rules, text.encode())


@pytest.mark.parametrize("pattern", [r"(?i)\S", r"(?i)\D", r"(?i)\W", r"(?i)[\Sx]", r"(?i)[^\W_]", r"(?i)[\D\S]"])
def test_a_class_that_ignores_case_takes_every_character_that_re_takes(pattern: str, hyperscan: bool) -> None:
    points = [*range(0x3000), *range(0xD7F0, 0xD800), *range(0xFF00, 0x10500), 0x1F600, 0x10FFFF]
    data = "\n".join(chr(point) for point in points if chr(point) not in "\r\n\x1b").encode()
    rules = [Rule(pattern, ignore_echo=False)]
    assert scanned(rules, data, hyperscan=hyperscan) == expected(rules, data)


def test_the_reference_knows_three_kinds_of_line_end() -> None:
    assert [line for _, line in lines(b"a\rb\r\nc\n\nd")] == [b"a", b"b", b"c", b"", b"d"]


def test_blocks_of_many_thousand_lines_are_counted_right(hyperscan: bool) -> None:
    ends = [b"\n", b"\r\n", b"\r"]
    data = b"".join(b"line %d%s" % (number, ends[number % 3 if number % 7 else 0]) for number in range(1, 40_001))
    rules = [Rule(r"line (\d*[05]00)$")]
    rows = scanned(rules, data, hyperscan=hyperscan)
    assert [(row[0], row[4]) for row in rows] == [(n, (str(n),)) for n in range(100, 40_001) if n % 500 in (0, 500)]


def test_a_hundred_patterns_are_told_apart(hyperscan: bool) -> None:
    rules = [Rule(rf"EVENT{number:03d} (?P<value>\d+)") for number in range(100)]
    data = b"".join(b"noise\nx EVENT%03d %d tail\n" % (number, number * 3) for number in range(100))
    assert [(row[2], row[4]) for row in scanned(rules, data, hyperscan=hyperscan)] == [
        (number, (str(number * 3),)) for number in range(100)
    ]


def test_both_engines_give_the_same_set(hyperscan: bool) -> None:
    patterns = PatternSet([Rule("a")])
    assert not patterns.by_hyperscan
    patterns.prepare()
    assert patterns.by_hyperscan is (tier_hyperscan.available() and tier_hyperscan.sound())
