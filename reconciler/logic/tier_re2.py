"""RE2: finds and captures in time linear in the line, and scans blocks where Hyperscan is not there (yet).

Called by `patterns` and `scanner`. Bytes go in, byte spans come out. `$` is written as `\\z`, classes as their ASCII
members, so that what is found is what `re` finds (see `render`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import thread_time

import re2

from reconciler.logic.collecting import Held
from reconciler.logic.syntax import Unsupported

Spans = Sequence[tuple[int, int]]  # of the match, then of groups 1..N; (-1, -1) where a group took no part

EXACT_MEMORY = 16 << 20  # bytes, of one pattern's automata; grown only as lines ask for it
GATE_MEMORY = 32 << 20
SET_MEMORY = 64 << 20
#: A search over one line that takes more processor time than this and LIMIT_PER_MATCH for each match found is stopped
# (seconds).
LIMIT = 0.02
LIMIT_PER_MATCH = 2e-6
#: Bytes of a line up to which no search can take that long, so that nobody looks at the clock.
SAFE_LENGTH = 4096
_CHECK_EVERY = 16
#: Matches of one pattern on one line; a line of a kind that has more is no message.
MAX_MATCHES = 10_000
NO_MATCH = (-1, -1)


class OverTime(Exception):
    """A search was stopped by its time limit."""


def _options(memory: int, *, latin1: bool) -> re2.Options:
    options = re2.Options()
    options.max_mem = memory
    options.log_errors = False
    if latin1:
        options.encoding = re2.Options.Encoding.LATIN1
    return options


def _matcher(pattern: str, options: re2.Options) -> Callable[[bytes, int, int], Spans]:
    """Return `search(data, start, end)` -> spans. The wrapper's own objects cost more than the search itself."""
    try:
        compiled = re2.compile(pattern.encode("latin-1") if pattern.isascii() else pattern.encode(), options)
    except re2.error as error:
        raise Unsupported(str(error)) from error
    return partial(compiled._regexp.Match, re2._re2.RE2.Anchor.UNANCHORED)


class Finder:
    """One pattern over one line of UTF-8, exactly as `re.finditer` would. It cannot match the empty text."""

    def __init__(self, pattern: str) -> None:
        self.search = _matcher(pattern, _options(EXACT_MEMORY, latin1=False))

    def find(self, line: bytes, *, start: int = 0, single: bool = False, limit: float = LIMIT) -> list[Spans]:
        """Return the spans of every match from `start` on, in order, MAX_MATCHES at most (`single`: one at most).

        Raises OverTime where finding them is quadratic and the line long.
        """
        spans = self.search(line, start, len(line))
        if spans[0] == NO_MATCH:
            return []
        found = [spans]
        if single:
            return found
        if len(line) <= SAFE_LENGTH:
            self._follow(line, found)
        else:
            with Held():
                self._follow(line, found, thread_time() + limit)
        return found

    def _follow(self, line: bytes, found: list[Spans], due: float | None = None) -> None:
        """Add the matches behind the first."""
        search, length = self.search, len(line)
        while (end := found[-1][0][1]) < length and len(found) < MAX_MATCHES:
            spans = search(line, end, length)
            if spans[0] == NO_MATCH:
                break
            found.append(spans)
            if due is not None and len(found) % _CHECK_EVERY == 0:
                _check_time(due, len(found))

    def matches(self, line: bytes) -> bool:
        """Tell whether there is a match."""
        return self.search(line, 0, len(line))[0] != NO_MATCH


_CRLF = _matcher("\\r\\n", _options(1 << 20, latin1=True))


def has_crlf(data: bytes) -> bool:
    """Tell whether `\\r\\n` occurs; ten times as fast as `in`, which looks at every byte for two of them."""
    return _CRLF(data, 0, len(data))[0] != NO_MATCH


def _check_time(due: float, found: int) -> None:
    if thread_time() > due + LIMIT_PER_MATCH * found:
        raise OverTime


class Gate:
    """Relaxed patterns over blocks of whole lines: one alternation finds a line, a set says which it may have."""

    def __init__(self, patterns: Sequence[tuple[int, str]]) -> None:
        """Take (index, pattern) pairs. Raises Unsupported where they are too large together."""
        self.indexes = [index for index, _ in patterns]
        self._search = _matcher("|".join(f"(?:{text})" for _, text in patterns), _options(GATE_MEMORY, latin1=True))
        self._lines: re2.Set | None = None
        if len(patterns) > 1:
            self._lines = _set([text for _, text in patterns])

    def scan(self, block: bytes) -> list[tuple[int, int]]:
        """Return (an offset within the line, index) for each line and pattern that may match there, ascending."""
        events: list[tuple[int, int]] = []
        search = self._search
        at, length = 0, len(block)
        while at < length:
            start, end = search(block, at, length)[0]
            if end < 0:
                break
            at = block.find(b"\n", end) + 1
            if not at:
                break
            if self._lines is None:
                events.append((end, self.indexes[0]))
            else:
                line = block[block.rfind(b"\n", 0, start) + 1 : at - 1] if end > start else block[start : at - 1]
                for number in self._which(line):
                    events.append((end, self.indexes[number]))
        return events

    def first(self, block: bytes, start: int) -> int:
        """Return where the first candidate from `start` on begins, -1 where there is none."""
        return self._search(block, start, len(block))[0][0]

    def _which(self, line: bytes) -> Sequence[int]:
        canary = len(self.indexes)
        found = self._lines.Match(line) if self._lines is not None else None
        if found is None or canary not in found:
            return range(canary)  # out of memory: every pattern may match, each is looked at exactly later
        if len(found) == 2:
            return (min(found),)  # the canary is the highest
        return sorted(number for number in found if number != canary)


def _set(patterns: Sequence[str]) -> re2.Set:
    made = re2.Set.SearchSet(_options(SET_MEMORY, latin1=True))
    try:
        for text in patterns:
            made.Add(text.encode("ascii"))
        made.Add(b"")  # the canary: matches always, so its absence tells of a set that ran out of memory
        made.Compile()
    except re2.error as error:
        raise Unsupported(str(error)) from error
    return made
