"""Sets of patterns: which of them match a line, and what they capture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from reconciler.errors import ConfigurationError
from reconciler.logic.hits import LineHit
from reconciler.model import Match, StreamName


class Tier(StrEnum):
    """Which engine finds and captures."""

    HYPERSCAN = "hyperscan"
    RE2 = "re2"
    FALLBACK = "fallback"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern with what changes its meaning. `captures`: names for groups 1..N."""

    expression: str
    multiline: int = 1
    every_nth_line: int = 1
    ignore_echo: bool = True
    captures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PatternInfo:
    """What is known of one expression."""

    tier: Tier
    reason: str = ""
    slow: bool = False
    groups: int = 0
    names: tuple[str, ...] = ()
    matches_empty: bool = False


def check(expression: str) -> PatternInfo:
    """Tell how the expression will be run. Raises ConfigurationError where it is no valid pattern."""
    try:
        compiled = re.compile(expression, re.ASCII)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        column = getattr(error, "colno", None)
        raise ConfigurationError(f"pattern {expression!r}: {error} (column {column})", remedy="see re") from error
    return PatternInfo(Tier.RE2, "", False, compiled.groups, tuple(compiled.groupindex), bool(compiled.match("")))


class PatternSet:
    """Patterns that are scanned together. Shared between jobs."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        for rule in rules:
            check(rule.expression)
        self.compiled = [re.compile(rule.expression, re.ASCII) for rule in rules]

    def prepare(self) -> None:
        """Do now what would otherwise be done while scanning."""

    def matches(self, index: int, hit: LineHit, stream: StreamName = StreamName.STDOUT) -> tuple[Match, ...]:
        """Return every match of pattern `index` in the line of `hit`."""
        return tuple(self._match(index, found, hit, stream) for found in self.compiled[index].finditer(hit.text))

    def _match(self, index: int, found: re.Match[str], hit: LineHit, stream: StreamName) -> Match:
        captures = dict(zip(self.rules[index].captures, found.groups(), strict=False)) | found.groupdict()
        offset = hit.offset + len(hit.text[: found.start()].encode())
        return Match(found.group(), hit.line, offset, stream, found.groups(), captures, index)


@lru_cache(maxsize=256)
def _compiled(rules: tuple[Rule, ...]) -> PatternSet:
    return PatternSet(rules)


def compile_set(rules: Sequence[Rule]) -> PatternSet:
    """Return the set of these rules; the same one for the same rules."""
    return _compiled(tuple(rules))
