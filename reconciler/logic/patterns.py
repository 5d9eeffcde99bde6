"""Sets of patterns: what each one means, which engine runs it, and what it captures on a line that was hit.

Called by the scanner, which asks for candidates in blocks of lines, by the engine and `replay`, which ask for the matches of a hit, and by
`validate` and `explain` (`check`). Whatever engine runs a pattern, what it finds is what `re.finditer` with `re.ASCII` finds on the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from threading import Thread

from reconciler.errors import ConfigurationError
from reconciler.logic import echo, relax, render, tier_hyperscan
from reconciler.logic.hits import Found, LineHit, View
from reconciler.logic.syntax import NEVER, Chars, Node, Parsed, Unsupported, nodes, nullable, parse
from reconciler.logic.tier_fallback import TextFinder
from reconciler.logic.tier_re2 import LIMIT, Finder, Gate, OverTime
from reconciler.model import Match, StreamName

__all__ = ["LineHit", "OverTime", "PatternInfo", "PatternSet", "Rule", "Tier", "check", "compile_set"]

#: A set is compiled for Hyperscan, in a thread of its own, when it has scanned so many bytes. Results are the same before and after.
HYPERSCAN_AFTER = 1 << 20
_ESCAPE = 0x1B


class Tier(StrEnum):
    """Which engine a pattern gets."""

    HYPERSCAN = "hyperscan"  # lines are found by Hyperscan in one pass for all patterns, captures taken by RE2
    RE2 = "re2"  # both by RE2
    FALLBACK = "fallback"  # lines are found by a simpler form of it, then matched by backtracking within a time limit
    REFUSED = "refused"  # valid for Python, and not to be run exactly by any of them


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern with what changes its meaning. `captures`: names for groups 1..N, beside those of `(?P<name>...)`.

    With `multiline` above 1 a match may span so many lines, joined by `\\n`. `every_nth_line`: only lines whose number it divides.
    """

    expression: str
    multiline: int = 1
    every_nth_line: int = 1
    ignore_echo: bool = True
    captures: tuple[str, ...] = ()


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

    def find(self, hit: LineHit, limit: float = LIMIT) -> list[Found]:
        """Return every match in the line of `hit` in order; raise OverTime after about `limit` seconds."""
        if hit.plain and self.finder is not None:
            text = hit.raw.decode("ascii")
            return [
                (text[(first := spans[0])[0] : first[1]], hit.offset + first[0], _groups(text, spans))
                for spans in self.finder.find(hit.raw, single=hit.single)
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
            (text[spans[0][0] : spans[0][1]], (first if ascii_only else len(text[:first].encode())), _groups(text, spans))
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
def _pattern(expression: str, lines: int) -> Pattern:
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
        pattern = _pattern(expression, 1)
    except ConfigurationError as error:
        return PatternInfo(Tier.REFUSED, str(error.__cause__ or error), False, *shape)
    slow = pattern.loose is None
    if pattern.finder is None:
        return PatternInfo(Tier.FALLBACK, pattern.reason, slow, *shape)
    if not slow and pattern.loose is not None and tier_hyperscan.accepts(render.HYPERSCAN.write(pattern.loose)):
        return PatternInfo(Tier.HYPERSCAN, "", slow, *shape)
    return PatternInfo(Tier.RE2, "Hyperscan is not there or does not take it", slow, *shape)


class PatternSet:
    """Rules that are scanned together; shared between all streams that have the same ones. Use `compile_set`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self.patterns = tuple(_pattern(rule.expression, min(rule.multiline, 2)) for rule in rules)
        indexes = range(len(self.rules))
        self.multi = tuple(index for index in indexes if self.rules[index].multiline > 1)
        single = [i for i in indexes if self.rules[i].multiline == 1 and not self.patterns[i].impossible]
        #: Patterns that every line must be tried with, and those that see escape sequences.
        self.everywhere = tuple(index for index in single if self.patterns[index].loose is None)
        self.escapes = frozenset(index for index in single if self.patterns[index].wants_escape)
        #: What a line must hold to be an echo of the pattern (None: it has no echo).
        self.marks = tuple(self._mark(rule) for rule in self.rules)
        #: A candidate on a plain line that holds no mark is a hit, whatever the line's number.
        self.unquestioned = tuple(self.patterns[i].trusted_ascii and self.rules[i].every_nth_line == 1 for i in indexes)
        self._gated = [(i, loose) for i in single if (loose := self.patterns[i].loose) is not None]
        self._gates = _gates([(i, render.LATIN1.write(loose)) for i, loose in self._gated])
        self.multi_gates = {i: _multi_gate(self.patterns[i]) for i in self.multi}
        self._names = tuple(self._captures(index) for index in indexes)
        self._database: tuple[tier_hyperscan.Database, tuple[Gate, ...]] | None = None
        self._until_hyperscan: float = HYPERSCAN_AFTER if self._gated else float("inf")

    def _mark(self, rule: Rule) -> bytes | None:
        mark = echo.mark(rule.expression) if rule.ignore_echo else None
        return None if mark is None else mark.encode("utf-8", "replace")

    def _captures(self, index: int) -> tuple[tuple[str, int], ...]:
        parsed = self.patterns[index].parsed
        named = dict(zip(self.rules[index].captures, range(parsed.groups), strict=False))
        named.update({name: number - 1 for name, number in parsed.names.items()})
        return tuple(named.items())

    @property
    def by_hyperscan(self) -> bool:
        """Whether Hyperscan does the scanning by now."""
        return self._database is not None

    def prepare(self) -> None:
        """Compile for Hyperscan now (takes up to a few hundred milliseconds; the interpreter is free meanwhile)."""
        self._until_hyperscan = float("inf")
        database = tier_hyperscan.build([(index, render.HYPERSCAN.write(loose)) for index, loose in self._gated])
        if database is not None:
            left = {index for index, _ in database.left}
            rest = [(index, render.LATIN1.write(loose)) for index, loose in self._gated if index in left]
            self._database = (database, _gates(rest))

    def candidates(self, block: bytes) -> tuple[list[tuple[int, int]], bool]:
        """Return (offset in the line, index) of what may match in a block of whole lines each ended by one `\\n`.

        In ascending order. True: there is one for each match at least, so one alone means one match.
        """
        if self._until_hyperscan <= 0:
            self._until_hyperscan = float("inf")
            # A thread, since compiling must not hold up the loop that scans; nothing waits for it or depends on it.
            Thread(target=self.prepare, name="hyperscan-compile", daemon=True).start()
        self._until_hyperscan -= len(block)
        if self._database is not None:
            database, gates = self._database
            events = database.scan(block)
            if events is not None:
                return _with_gates(events, gates, block), not gates
        return _with_gates([], self._gates, block), False

    def matches(self, index: int, hit: LineHit, stream: StreamName = StreamName.STDOUT) -> tuple[Match, ...]:
        """Return every match of pattern `index` in the line of `hit`, in order, but for echoes of the pattern itself."""
        names = self._names[index]
        line = hit.line
        finder = self.patterns[index].finder
        if hit.found is None and hit.clear and finder is not None:
            # The way of nearly every hit, written out: a call more for each would be felt.
            text, base = hit.raw.decode("ascii"), hit.offset
            made = []
            for spans in finder.find(hit.raw, single=hit.single):
                start, end = spans[0]
                groups = tuple([None if a < 0 else text[a:b] for a, b in spans[1:]])
                captures = {name: groups[at] for name, at in names}
                made.append(Match(text[start:end], line, base + start, stream, groups, captures, index))
            return tuple(made)
        return tuple(
            [
                Match(text, line, offset, stream, groups, {name: groups[at] for name, at in names}, index)
                for text, offset, groups in self._known(index, hit)
            ]
        )

    def _known(self, index: int, hit: LineHit) -> list[Found]:
        if hit.found is not None and index in hit.found:
            return hit.found[index]
        return self.find(index, hit) if index in hit.patterns else []

    def find(self, index: int, hit: LineHit, limit: float = LIMIT) -> list[Found]:
        """Return the matches of pattern `index`, unnamed; raise OverTime after about `limit` seconds."""
        pattern = self.patterns[index]
        found = pattern.find(hit, limit)
        mark = self.marks[index]
        if found and mark is not None and mark in hit.raw:
            return _without_echoes(pattern, hit, found)
        return found


def _without_echoes(pattern: Pattern, hit: LineHit, found: list[Found]) -> list[Found]:
    """Places are taken in the bytes of the line; colour codes inside an echoed pattern are not looked through."""
    line = hit.raw.decode("latin-1")
    expression = pattern.expression.encode("utf-8", "replace").decode("latin-1")

    def still(text: str) -> bool:
        return pattern.matches_text(text.encode("latin-1").decode("utf-8", "replace"))

    def echoed(entry: Found) -> bool:
        start = entry[1] - hit.offset
        return echo.is_echo(expression, line, start, start + len(entry[0].encode("utf-8", "replace")), still)

    return [entry for entry in found if not echoed(entry)]


def _gates(patterns: list[tuple[int, str]]) -> tuple[Gate, ...]:
    """Return one gate for all, or one for each where they are too large together."""
    if not patterns:
        return ()
    try:
        return (Gate(patterns),)
    except Unsupported:
        return tuple(chain.from_iterable(_gates([pair]) for pair in patterns)) if len(patterns) > 1 else ()


def _multi_gate(pattern: Pattern) -> Gate | None:
    return None if pattern.loose is None else Gate([(0, render.LATIN1.write(pattern.loose))])


def _with_gates(events: list[tuple[int, int]], gates: Sequence[Gate], block: bytes) -> list[tuple[int, int]]:
    if not gates:
        return events
    for gate in gates:
        events.extend(gate.scan(block))
    if len(gates) > 1 or len(events) > 1:
        events.sort()
    return events


@lru_cache(maxsize=512)
def _compiled(rules: tuple[Rule, ...]) -> PatternSet:
    return PatternSet(rules)


def compile_set(rules: Sequence[Rule]) -> PatternSet:
    """Return the set of these rules, the same object for the same rules. Raises ConfigurationError (wrong or refused pattern)."""
    return _compiled(tuple(rules))
