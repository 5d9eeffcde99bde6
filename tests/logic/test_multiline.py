"""Patterns that span lines: each match once, at the line with which it is complete, over looks, restarts and cuts."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts.matching import found, fresh, lines, pieces_of, seen

from reconciler.logic.multiline import Place
from reconciler.logic.patterns import PatternSet, Rule
from reconciler.logic.scanner import StreamScanner
from reconciler.model import Position

TRACE = Rule(r"Traceback.*\n(?:  .*\n)+(\w+Error): (.*)", multiline=10)


def matches(rules: list[Rule], data: bytes, *sizes: int, line_bytes: int = 65536) -> list[tuple[int, int, str]]:
    """Return (line, offset, text) of every match, in order."""
    patterns = fresh(rules, hyperscan=False)
    scanner = StreamScanner(patterns, Position(), line_bytes)
    hits = []
    got = []
    for piece in [*pieces_of(data, sizes), None]:
        hits = scanner.finish() if piece is None else scanner.feed(piece)
        got += [(m.line, m.offset, m.text) for hit in hits for i in hit.patterns for m in patterns.matches(i, hit)]
    return got


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("sizes", [(), (1,), (7,), (40,)])
def test_a_match_over_several_lines_is_found_with_its_last_one(end: bytes, sizes: tuple[int, ...]) -> None:
    data = end.join([b"x", b"Traceback (most recent):", b"  File a", b"  line", b"ValueError: bad", b"y", b""])
    assert matches([TRACE], data, *sizes) == [
        (5, 1 + len(end), "Traceback (most recent):\n  File a\n  line\nValueError: bad")
    ]


def test_a_match_spans_no_more_lines_than_the_window() -> None:
    data = b"a\n1\n2\nb\n"
    assert matches([Rule(r"(?s)a.*b", multiline=4)], data) == [(4, 0, "a\n1\n2\nb")]
    assert matches([Rule(r"(?s)a.*b", multiline=3)], data) == []


def test_a_match_within_one_line_is_found_there_once() -> None:
    assert matches([Rule(r"v=\d", multiline=5)], b"v=1\nx\nv=2 v=3\n") == [(1, 0, "v=1"), (3, 6, "v=2"), (3, 10, "v=3")]


def test_what_a_match_took_is_not_taken_again_by_a_longer_one() -> None:
    assert matches([Rule(r"(?s)start.*end", multiline=5)], b"start\nend\nend\nstart end\n") == [
        (2, 0, "start\nend"),
        (4, 14, "start end"),
    ]


def test_the_dollar_matches_before_a_last_newline_as_in_re() -> None:
    assert matches([Rule("a$", multiline=2)], b"a\n\n") == [(1, 0, "a")]
    assert matches([Rule(r"a\n$", multiline=2)], b"a\n\n") == [(2, 0, "a\n")]
    assert matches([Rule(r"(?m)^b$\n^c$", multiline=2)], b"b\nc\n") == [(2, 0, "b\nc")]


def test_patterns_of_one_line_and_of_several_share_a_scan() -> None:
    rules = [Rule("b"), Rule(r"a\nb", multiline=2), Rule(r"b\nc", multiline=3)]
    assert matches(rules, b"a\nb\nc\n") == [(2, 2, "b"), (2, 0, "a\nb"), (3, 2, "b\nc")]


def test_only_lines_of_the_sample_complete_a_match() -> None:
    data = b"a\nb\na\nb\na\na\nb\n"
    assert [row[0] for row in matches([Rule(r"a\nb", multiline=2, every_nth_line=4)], data)] == [4]


def test_colours_and_foreign_bytes_inside_the_window_keep_offsets_true() -> None:
    data = b"\xff\x1b[1ma\x1b[0m\r\n\xc3\xa9 b\n"
    assert matches([Rule("a\n\u00e9 b", multiline=2)], data) == [(2, 5, "a\n\u00e9 b")]
    assert matches([Rule(r"m\w\x1b\[0m\n", multiline=2)], data) == [(2, 4, "ma\x1b[0m\n")]


def test_a_cut_line_ends_the_window() -> None:
    rules = [Rule(r"(?s)a.*b", multiline=5)]
    long = b"x" * 40
    assert matches(rules, b"a\n" + long + b"\nb\n", line_bytes=32) == []
    assert matches(rules, b"a b" + long + b"\na\nb\n", line_bytes=32) == [(1, 0, "a b"), (3, 44, "a\nb")]


def test_an_echoed_pattern_of_several_lines_is_no_match() -> None:
    assert matches([Rule(r"(?s)a=(.+)b", multiline=2)], b"grep '(?s)a=(.+)b'\nb\n") == []


@pytest.mark.parametrize("window", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("sizes", [(), (1,), (7,), (40,)])
def test_lines_that_go_on_alike_match_again_and_again_and_no_line_twice(window: int, sizes: tuple[int, ...]) -> None:
    rules = [Rule(r"nan\n.*nan", multiline=window), Rule(r"(?:nan\n){2}nan", multiline=window)]
    found_ = matches(rules[:1], b"loss nan\n" * 9, *sizes)
    assert [row[0] for row in found_] == [2, 4, 6, 8]
    found_ = matches(rules[1:2], b"nan\n" * 13, *sizes)
    assert [row[0] for row in found_] == ([3, 6, 9, 12] if window > 2 else [])


@pytest.mark.parametrize("text", [r"(?s)a.*b", r"a\n+b", r"(?<!x)a\s*b", r"(?s)(a)(?:.*)\1"])
def test_a_checkpoint_carries_the_window_over_a_restart(text: str) -> None:
    data = b"\xe9 a\r\nx\ry\n\x1b[1ma\n\nb\n b a\n"
    rules = [Rule(text, multiline=4), Rule("y")]
    whole = matches(rules, data)
    position, got = Position(), []
    taken: Mapping[int, Place] = {}
    for end in range(1, len(data) + 1):
        scanner = StreamScanner(fresh(rules, hyperscan=False), position, taken=taken)
        hits = scanner.feed(data[position.offset : end])
        got += [(m.line, m.offset, m.text) for h in hits for i in h.patterns for m in scanner.patterns.matches(i, h)]
        position, taken = scanner.position, scanner.taken(scanner.position.line)
    assert got == whole
    assert len(whole) > 1


TOKENS = st.lists(st.sampled_from([b"a", b"b", b"a b", b"\n", b"\r\n", b"\r", b"\xc3\xa9", b"\x1b[1m", b"x" * 30]))
RULES = st.lists(
    st.builds(
        Rule,
        st.sampled_from(
            [
                r"a.*\na",
                r"(?:b\n)+b",
                r"a(?=\nb)",
                r"(?s)a.*?b",
                r"a\nb",
                r"b\n(a)|(\n)",
                r"a\s+\Z",
                r"(?m)^a$",
                r"(?<=a\n)b",
                "b",
            ]
        ),
        multiline=st.integers(2, 4),
        ignore_echo=st.just(False),
    ),
    min_size=1,
    max_size=3,
)


def plain(rules: list[Rule], data: bytes) -> list[tuple[int, int, str]]:
    """Return what the definition says: at each line, in the window behind the match before, as `re` finds it."""
    from parts.matching import compiled

    found_ = []
    taken = [0] * len(rules)
    texts = [seen(raw, keep_escapes=False) for _, raw in lines(data)]
    for number in range(1, len(texts) + 1):
        for index, rule in enumerate(rules):
            first = max(0, number - rule.multiline)
            begins = sum(len(text) + 1 for text in texts[:first])
            new: list[re.Match[str]] = []
            consumed = max(0, taken[index] - begins)
            for end in range(max(first + 1, number - 1), number + 1):
                new = list(compiled(rule.expression).finditer("\n".join(texts[first:end]), consumed))
                consumed = max([consumed, *(match.end() for match in new)])
            taken[index] = begins + consumed if new else taken[index]
            found_ += [(number, index, match.group()) for match in new]
    return found_


@settings(max_examples=200)
@given(RULES, TOKENS, st.lists(st.integers(1, 30), max_size=4))
def test_any_bytes_cut_anywhere_give_what_the_definition_says(
    rules: list[Rule], parts: list[bytes], sizes: list[int]
) -> None:
    data = b"".join(parts)
    patterns = PatternSet(rules)
    scanner = StreamScanner(patterns, Position())
    rows = [row for piece in pieces_of(data, sizes) for row in found(scanner.feed(piece), patterns)]
    rows += found(scanner.finish(), patterns)
    assert [(row[0], row[2], row[3]) for row in rows] == plain(rules, data)


@settings(max_examples=100)
@given(RULES, TOKENS, st.integers(1, 30))
def test_a_watcher_that_stops_behind_a_hit_finds_the_rest_later(
    rules: list[Rule], parts: list[bytes], cut: int
) -> None:
    data = b"".join(parts)
    patterns = PatternSet(rules)
    wanted = plain(rules, data)
    scanner = StreamScanner(patterns, Position())
    for piece in pieces_of(data, [cut]):
        for hit in scanner.feed(piece):
            place = scanner.position_after(hit)
            second = StreamScanner(patterns, place, taken=scanner.taken(hit.line))
            rest = found([*second.feed(data[place.offset :]), *second.finish()], patterns)
            assert [(row[0], row[2], row[3]) for row in rest] == [row for row in wanted if row[0] > hit.line]
