"""One pattern: how it is run, and whether it can be.

Called by `patterns`, which puts many into a set, and by `validate` and `explain` (`check`). Whatever engine runs a
pattern, what it finds is what `re.finditer` with `re.ASCII` finds on the line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache

from reconciler.errors import ConfigurationError
from reconciler.logic import relax, render, tier_hyperscan
from reconciler.logic.hits import Found, LineHit, View
from reconciler.logic.prompt import prompt
from reconciler.logic.syntax import NEVER, Chars, Node, Parsed, Unsupported, nodes, nullable, parse
from reconciler.logic.tier_fallback import TextFinder
from reconciler.logic.tier_re2 import LIMIT, Finder, Gate, OverTime

_ESCAPE = 0x1B


class Tier(StrEnum):
    """Which engine a pattern gets."""

    HYPERSCAN = "hyperscan"  # lines are found by Hyperscan in one pass for all patterns, captures taken by RE2
    RE2 = "re2"  # both by RE2
    FALLBACK = "fallback"  # lines are found by a simpler form of it, then matched by backtracking within a time limit
    REFUSED = "refused"  # valid for Python, and not to be run exactly by any of them


@dataclass(frozen=True, slots=True)
class PatternInfo:
    """What is known of one expression. `reason`: why not a faster tier. `slow`: every line has to be tried with it."""

    tier: Tier
    reason: str = ""
    slow: bool = False
    groups: int = 0
    names: tuple[str, ...] = ()
    matches_empty: bool = False


class Pattern:
    """One expression, ready to run. Raises ConfigurationError where it is wrong or refused."""

    def __init__(self, expression: str, lines: int) -> None:
        self.expression = expression
        self.parsed = _parsed(expression)
        tree = self.parsed.tree
        self.wants_escape = any(isinstance(node, Chars) and node.single == _ESCAPE for node in nodes(tree))
        loose, exact = relax.relax(tree, lines=lines)
        self.impossible = loose == NEVER
        self.loose: Node | None = None if nullable(loose) else loose
        self.finder, self.reason = _exact_finder(tree, lines)
        if self.finder is None and self.loose is not None and not _fits(self.loose):
            self.loose = None
        self.text_finder = _text_finder(expression, tree) if self.finder is None else None
        #: A line that the simpler form hits is a hit: always, or if it is ASCII.
        self.trusted_ascii = exact and self.finder is not None and self.loose is not None
        self.trusted = self.trusted_ascii and not render.is_wide(loose)

    @cached_property
    def prompt(self) -> re.Pattern[str] | None:
        """What takes captures on a short plain line; None where RE2 does that too."""
        return None if self.finder is None else prompt(self.expression, self.parsed.tree)

    def find(self, hit: LineHit, limit: float = LIMIT) -> list[Found]:
        """Return every match in the line of `hit` in order; raise OverTime after about `limit` seconds."""
        if hit.plain and self.finder is not None:
            text = hit.raw.decode("ascii")
            return [
                (text[(first := spans[0])[0] : first[1]], hit.offset + first[0], _groups(text, spans))
                for spans in self.finder.find(hit.raw, single=hit.single, limit=limit)
            ]
        view = View(hit.raw, strip=not self.wants_escape)
        found = self.find_in(view.encoded, view.text, 0, limit)
        return [(text, hit.offset + view.origin(at), groups) for text, at, groups in found]

    def find_in(self, data: bytes, text: str, start: int, limit: float = LIMIT) -> list[Found]:
        """Return every match from byte `start` on in a text and its UTF-8; offsets are bytes of it. Raises OverTime."""
        if self.finder is not None:
            return [
                (data[first:last].decode(), first, tuple([None if a < 0 else data[a:b].decode() for a, b in groups]))
                for (first, last), *groups in self.finder.find(data, start=start, limit=limit)
            ]
        assert self.text_finder is not None  # noqa: S101 - one of the two is there, see __init__
        ascii_only = len(text) == len(data)
        at = start if ascii_only else len(data[:start].decode())
        return [
            (
                text[spans[0][0] : spans[0][1]],
                (first if ascii_only else len(text[:first].encode())),
                _groups(text, spans),
            )
            for spans in self.text_finder.find(text, start=at, limit=limit)
            for first in (spans[0][0],)
        ]

    def matches_text(self, text: str) -> bool:
        """Tell whether there is a match in a text (OverTime: no)."""
        try:
            if self.finder is not None:
                return self.finder.matches(text.encode())
            return self.text_finder is not None and self.text_finder.matches(text)
        except OverTime:
            return False


def _groups(text: str, spans: Sequence[tuple[int, int]]) -> tuple[str | None, ...]:
    return tuple([None if start < 0 else text[start:end] for start, end in spans[1:]])


def _fits(loose: Node) -> bool:
    try:
        Gate([(0, render.LATIN1.write(loose))])
    except Unsupported:
        return False
    return True


@lru_cache(maxsize=4096)
def _parsed(expression: str) -> Parsed:
    try:
        return parse(expression)
    except Unsupported as error:
        raise _refused(expression, str(error)) from error


def _refused(expression: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"pattern {expression!r:.120} cannot be run within bounds: {reason}", remedy="write it without that"
    )


def _exact_finder(tree: Node, lines: int) -> tuple[Finder | None, str]:
    try:
        return Finder(render.exact_re2(tree, lines)), ""
    except Unsupported as error:
        return None, str(error)


def _text_finder(expression: str, tree: Node) -> TextFinder:
    try:
        return TextFinder(render.exact_regex(tree))
    except Unsupported as error:
        raise _refused(expression, str(error)) from error


@lru_cache(maxsize=4096)
def pattern_of(expression: str, lines: int) -> Pattern:
    """Return the pattern, the same object for the same expression. `lines`: 1, or 2 where a match may span lines."""
    return Pattern(expression, lines)


def check(expression: str) -> PatternInfo:
    """Tell how the expression will be run; REFUSED with the reason where it will not be.

    Raises ConfigurationError, with the column where it is known, where it is no valid pattern.
    """
    try:
        parsed = parse(expression)
    except Unsupported as error:
        return PatternInfo(Tier.REFUSED, str(error))
    shape = (parsed.groups, tuple(parsed.names), nullable(parsed.tree))
    try:
        pattern = pattern_of(expression, 1)
    except ConfigurationError as error:
        return PatternInfo(Tier.REFUSED, str(error.__cause__ or error), False, *shape)
    slow = pattern.loose is None
    if pattern.finder is None:
        return PatternInfo(Tier.FALLBACK, pattern.reason, slow, *shape)
    if not slow and pattern.loose is not None and tier_hyperscan.accepts(render.HYPERSCAN.write(pattern.loose)):
        return PatternInfo(Tier.HYPERSCAN, "", slow, *shape)
    return PatternInfo(Tier.RE2, "Hyperscan is not there or does not take it", slow, *shape)
