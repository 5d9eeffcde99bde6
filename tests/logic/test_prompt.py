"""Which patterns `re` may take captures for: those that end at one place only; everything else stays with RE2."""

from __future__ import annotations

import pytest
from parts.matching import expected, found, fresh

from reconciler.logic.patterns import Rule
from reconciler.logic.prompt import SHORT, prompt
from reconciler.logic.scanner import StreamScanner
from reconciler.logic.syntax import parse
from reconciler.model import Position


@pytest.mark.parametrize(
    "expression",
    [
        r"loss: (?P<loss>\d+\.\d+), step: (\d+)",
        r"(\d+)\s*(it|samples)/s",
        r"^(\w+): (.*)$",
        r"took (\d+(?:\.\d+)?)s",
        r"saved (\S+) to (\S+)",
        r"(?i)error|warning",
        r"\[(rank\d+)\]",
        r"[A-Z]{2,3}-\d{4}",
        r"(?P<reason>.+)$",
        r"\bstep\b.*",
    ],
)
def test_a_pattern_that_ends_at_one_place_is_for_re(expression: str) -> None:
    assert prompt(expression, parse(expression).tree) is not None


@pytest.mark.parametrize(
    "expression",
    [
        r"(a+)+$",
        r"(?:ab)+c",
        r"a*a*b",
        r".*loss",
        r".*?loss",
        r"(\d+)(\d+)x",
        r"\d+[0-9a-f]+x",
        r"\w+\d",
        r"(.+): (.+)",
        r"(?:\d+|x)*y",
        r"a{1,30}a",
        r"a?a?a?a?a",
        r"(?:a|a)(?:a|a)(?:a|a)(?:a|a)b",
        r"a++b",
        r"(?=a)b",
        r"(a)\1",
    ],
)
def test_a_pattern_that_may_search_one_place_twice_is_not(expression: str) -> None:
    assert prompt(expression, parse(expression).tree) is None


@pytest.mark.parametrize("length", [SHORT - 1, SHORT, SHORT + 1])
@pytest.mark.parametrize("hyperscan", [False, True])
def test_short_and_long_lines_give_the_same_captures(length: int, hyperscan: bool) -> None:
    """At the length where `re` hands over to RE2, with several matches on a line."""
    rules = [Rule(r"(?P<a>\d+)-(x)?", captures=("first", "second")), Rule(r"(\d+)\.")]
    line = b"12-x 3- 4. ".ljust(length, b"_")
    patterns = fresh(rules, hyperscan=hyperscan)
    scanner = StreamScanner(patterns, Position())
    hits = scanner.feed(line + b"\n")
    assert found(hits, patterns) == expected(rules, line)
    captures = [dict(match.captures) for match in patterns.matches(0, hits[0])]
    assert captures == [{"first": "12", "second": "x", "a": "12"}, {"first": "3", "second": None, "a": "3"}]
