"""Sets of patterns that are scanned together: where they may match in a block, and what they capture on a line.

Called by the scanner, which asks for candidates, and by the engine and `replay`, which ask for the matches of a hit.
Sets are shared between all streams that have the same rules; nothing of a stream is kept in them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from threading import Thread

from reconciler.logic import echo, render, tier_hyperscan
from reconciler.logic.expression import Pattern, PatternInfo, Tier, check, pattern_of
from reconciler.logic.hits import Found, LineHit
from reconciler.logic.prompt import SHORT
from reconciler.logic.syntax import Unsupported
from reconciler.logic.tier_re2 import LIMIT, Gate
from reconciler.model import Match, StreamName

__all__ = ["LineHit", "PatternInfo", "PatternSet", "Rule", "Tier", "check", "compile_set"]

#: A set is compiled for Hyperscan, in a thread of its own, when it has scanned so many bytes. Results are the same
# before
#: and after.
HYPERSCAN_AFTER = 1 << 20


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern with what changes its meaning. `captures`: names for groups 1..N, beside those of `(?P<name>...)`.

    With `multiline` above 1 a match may span so many lines, joined by `\\n`. `every_nth_line`: only lines whose
    number it divides.
    """

    expression: str
    multiline: int = 1
    every_nth_line: int = 1
    ignore_echo: bool = True
    captures: tuple[str, ...] = ()


class PatternSet:
    """Rules that are scanned together; shared between all streams that have the same ones. Use `compile_set`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self.patterns = tuple(pattern_of(rule.expression, min(rule.multiline, 2)) for rule in rules)
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

    def hasten(self) -> None:
        """Say that there is much to come: Hyperscan is compiled beside the next scans."""
        if self._database is None and self._gated:
            self._until_hyperscan = 0

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
        """Return every match of pattern `index` in the line of `hit`, in order, less echoes of the pattern."""
        if hit.clear and hit.found is None and len(hit.raw) <= SHORT:
            prompt = self.patterns[index].prompt
            if prompt is not None:
                return self._promptly(prompt, index, hit, stream)
        names, line = self._names[index], hit.line
        return tuple(
            [
                Match(text, line, offset, stream, groups, {name: groups[at] for name, at in names}, index)
                for text, offset, groups in self._known(index, hit)
            ]
        )

    def _promptly(self, prompt: re.Pattern[str], index: int, hit: LineHit, stream: StreamName) -> tuple[Match, ...]:
        """Take captures on a short plain line: the way of nearly every hit, so it is short."""
        line, base, renamed = hit.line, hit.offset, self.rules[index].captures
        text = hit.raw.decode("ascii")
        made = []
        for met in (prompt.search(text),) if hit.single else prompt.finditer(text):
            if met is None:
                break
            groups = met.groups()
            captures = {name: groups[at] for name, at in self._names[index]} if renamed else met.groupdict()
            made.append(Match(met.group(), line, base + met.start(), stream, groups, captures, index))
        return tuple(made)

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
    """Return the set of these rules, the same object for the same rules.

    Raises ConfigurationError where a pattern is wrong or refused.
    """
    return _compiled(tuple(rules))
