"""Patterns that may span several lines: the window of the last lines, and what is found in it.

Called by the scanner with blocks of whole lines. A match is looked for at each line in turn, in the last N lines
behind the end of the match before, and belongs to the line with which it is first complete: so each is found once,
however the bytes arrive. Where the match before ended is kept (`Place`) as long as the window holds that line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from time import thread_time

from reconciler.logic import echo
from reconciler.logic.collecting import Held
from reconciler.logic.expression import Pattern
from reconciler.logic.hits import Found, View
from reconciler.logic.patterns import PatternSet
from reconciler.logic.tier_re2 import LIMIT, OverTime

_LINES = re.compile(rb"([^\r\n]*)(?:\r\n|\r|\n|\Z(?<=[^\r\n]))")


#: Where a match ended: the number of the line, and the byte in the line's text as the pattern sees it, as UTF-8.
Place = tuple[int, int]


@dataclass(slots=True)
class WindowHit:
    """What was found at one line: number `line` (from 0) of the block, `start:end` of its bytes.

    `following`: where the next line starts.
    """

    line: int
    start: int
    end: int
    following: int
    found: dict[int, list[Found]]


class Window:
    """The last lines of a stream, as bytes with their line ends, for all rules of a set that span lines.

    It holds at most `line_bytes` bytes, so that a match spans no more than that either; a line that was cut empties it.
    """

    def __init__(
        self, patterns: PatternSet, held: Iterable[str], line_bytes: int, taken: Mapping[int, Place] = {}
    ) -> None:
        self._patterns = patterns
        self._taken = dict(taken)
        self._ends: list[tuple[int, int, Place]] = []  # line at which it was found, pattern, where it ended
        self._depth = max((patterns.rules[index].multiline for index in patterns.multi), default=1) - 1
        self._limit = line_bytes
        self._held = [line.encode("latin-1", "replace") for line in held][-self._depth :] if self._depth else []

    @property
    def held(self) -> tuple[str, ...]:
        """The lines as a checkpoint keeps them: one character a byte, so that nothing is lost."""
        return tuple(line.decode("latin-1") for line in self._held)

    def clear(self) -> None:
        """Forget all lines."""
        self._held.clear()

    def settle(self) -> None:
        """Take what was found so far as found before; `taken` knows no line before this from now on."""
        self._taken.update({index: place for _, index, place in self._ends})
        self._ends.clear()

    def taken(self, line: int) -> dict[int, Place]:
        """Return where the last match of each pattern up to a line ended, if the next line's window reaches so far."""
        last = self._taken | {index: place for at, index, place in self._ends if at <= line}
        rules = self._patterns.rules
        return {index: place for index, place in last.items() if place[0] > line + 1 - rules[index].multiline}

    def end_line(self, rest: bytes) -> None:
        """Add the `\\n` of a line end whose `\\r` came before."""
        if self._held:
            self._held[-1] += rest

    def push(self, block: bytes) -> None:
        """Take in the last lines of a block."""
        if not self._depth:
            return
        lines = [*self._held, *_last_lines(block, self._depth)][-self._depth :]
        sizes = accumulate(len(line) for line in reversed(lines))
        keep = sum(1 for size in sizes if size <= self._limit)
        self._held = lines[len(lines) - keep :]

    def scan(self, block: bytes, offset: int, before: int, overran: list[tuple[int, int]]) -> list[WindowHit]:
        """Return the lines of `block` (whole lines, its first byte at `offset`) at which a match is complete.

        `before`: how many lines there are before it.
        (pattern, line from 0) goes to `overran` where the time limit stopped a search. Call `push` afterwards.
        """
        region = _Region(self._held, block, offset, self._limit, before)
        taken = self._taken | {index: place for _, index, place in self._ends}
        hits: dict[int, dict[int, list[Found]]] = {}
        for index in self._patterns.multi:
            limit = LIMIT
            for line in self._candidates(index, region):
                try:
                    found, end = self._found(index, region, line, taken.get(index), limit)
                except OverTime:
                    overran.append((index, line - region.old))
                    limit /= 2  # many such lines hold up no one
                    continue
                if end is not None:
                    taken[index] = end
                    self._ends.append((region.number(line), index, end))
                if found:
                    hits.setdefault(line, {})[index] = found
        skipped = sum(map(len, self._held))
        return [
            WindowHit(line - region.old, start - skipped, end - skipped, following - skipped, hits[line])
            for line, (start, end, following) in ((line, region.spans[line]) for line in sorted(hits))
        ]

    def _candidates(self, index: int, region: _Region) -> Iterator[int]:
        """Yield the new lines at which a match of the pattern may be complete."""
        gate = self._patterns.multi_gates[index]
        if gate is None:
            yield from range(region.old, len(region.spans))
            return
        pattern, lines = self._patterns.patterns[index], self._patterns.rules[index].multiline
        text = region.raw if pattern.wants_escape else region.stripped
        at, line, done = 0, 0, region.old
        while (start := gate.first(text, at)) >= 0:
            line += text.count(b"\n", at, start)
            yield from range(max(done, line), min(line + lines, len(region.spans)))
            done = max(done, line + lines)
            at = text.find(b"\n", start) + 1
            line += 1
            if not at:
                return

    def _found(
        self, index: int, region: _Region, line: int, taken: Place | None, left: float
    ) -> tuple[list[Found], Place | None]:
        """Return what is found with a line and was not without it, and where the last of that ends."""
        pattern = self._patterns.patterns[index]
        first = region.first(line, self._patterns.rules[index].multiline)
        views = [region.view(number, strip=not pattern.wants_escape) for number in range(first, line + 1)]
        starts = [0, *accumulate(len(view.encoded) + 1 for view in views)]
        consumed = 0
        if taken is not None and taken[0] >= region.number(first):
            consumed = starts[taken[0] - region.number(first)] + taken[1]
        found: list[Found] = []
        for upto in (views[:-1], views):
            data = b"\n".join([view.encoded for view in upto])
            if consumed > len(data) or not upto:
                continue
            text = "\n".join([view.text for view in upto])
            with Held():
                begun = thread_time()
                found = pattern.find_in(data, text, consumed, left)
                left -= thread_time() - begun
            if found:
                consumed = max(found[-1][1] + len(found[-1][0].encode()), consumed)
        if not found:
            return [], None
        at = bisect_right(starts, consumed, hi=len(views)) - 1
        end = (region.number(first + at), consumed - starts[at])
        if self._patterns.marks[index] is not None:
            found = [entry for entry in found if not _echoed(pattern, text, data, entry)]
        return [(entry[0], region.origin(first, views, entry[1]), entry[2]) for entry in found], end


def _echoed(pattern: Pattern, text: str, data: bytes, entry: Found) -> bool:
    start = len(data[: entry[1]].decode())
    return echo.is_echo(pattern.expression, text, start, start + len(entry[0]), pattern.matches_text)


class _Region:
    """A block with the lines held before it. `old`: how many those are; `spans`: start, end, start of the next line."""

    def __init__(self, held: list[bytes], block: bytes, offset: int, limit: int, before: int) -> None:
        self._whole = b"".join([*held, block])
        self._offset = offset - sum(map(len, held))
        self._limit = limit
        self.old = len(held)
        self._before = before - self.old
        self.spans = [(*hit.span(1), hit.end()) for hit in _LINES.finditer(self._whole) if hit.end() > hit.start()]
        self._views: dict[tuple[int, bool], View] = {}

    def number(self, line: int) -> int:
        """Return the number of a line in its file."""
        return self._before + line + 1

    @cached_property
    def raw(self) -> bytes:
        """All lines, each ended by one newline."""
        if b"\r" not in self._whole:
            return self._whole if self._whole.endswith(b"\n") else self._whole + b"\n"
        return b"".join([self._whole[start:end] + b"\n" for start, end, _ in self.spans])

    @cached_property
    def stripped(self) -> bytes:
        """The same without escape sequences."""
        if b"\x1b" not in self.raw:
            return self.raw
        views = [self.view(number, strip=True) for number in range(len(self.spans))]
        return b"".join([view.encoded + b"\n" for view in views])

    def first(self, line: int, lines: int) -> int:
        """Return the first line of the window of `lines` lines that ends with `line`."""
        end = self.spans[line][2]
        first = line
        while first > max(0, line - lines + 1) and end - self.spans[first - 1][0] <= self._limit:
            first -= 1
        return first

    def view(self, line: int, *, strip: bool) -> View:
        key = (line, strip)
        if key not in self._views:
            start, end, _ = self.spans[line]
            self._views[key] = View(self._whole[start:end], strip=strip)
        return self._views[key]

    def origin(self, first: int, views: list[View], at: int) -> int:
        """Return the offset in the file of byte `at` of the joined views, the first of which is line `first`."""
        for number, view in enumerate(views):
            if at <= len(view.encoded):
                return self._offset + self.spans[first + number][0] + view.origin(at)
            at -= len(view.encoded) + 1
        return self._offset + self.spans[first + len(views) - 1][1]


def _last_lines(block: bytes, wanted: int) -> list[bytes]:
    """Return the last lines of a block with their ends, without looking at all of it."""
    start = len(block)
    for _ in range(2 * wanted + 2):  # `\r\n` is met twice
        start = max(block.rfind(b"\n", 0, max(start - 1, 0)), block.rfind(b"\r", 0, max(start - 1, 0)))
        if start < 0:
            break
    tail = block[max(start, 0) :] if start >= 0 else block
    lines = [hit.group() for hit in _LINES.finditer(tail) if hit.group()]
    return lines[-wanted:]
