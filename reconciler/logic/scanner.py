"""From the bytes of a stream to the lines that patterns meet, and to the checkpoint behind any of them.

Called by the engine (one tick's new bytes) and by `replay` (a whole file in pieces). However the bytes are cut into
pieces, what comes out is the same. Nothing is read here and nothing kept beyond an unfinished line, which is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import thread_time

from reconciler.logic.blocks import BLOCK_BYTES, Block, behind, first_end, last_end, pieces
from reconciler.logic.collecting import Held
from reconciler.logic.hits import Found, LineHit
from reconciler.logic.multiline import Place, Window, WindowHit
from reconciler.logic.patterns import PatternSet
from reconciler.logic.tier_re2 import LIMIT, MAX_MATCHES, SAFE_LENGTH, OverTime
from reconciler.model import HEAD_BYTES, TAIL_BYTES, Position

__all__ = ["Cut", "LineHit", "Overrun", "StreamScanner"]

LINE_BYTES = 65_536
_CARRIAGE_RETURN = 0x0D
#: A pattern that ran out of time on so many lines of one `feed` is left out for the rest of it; each time it gets
# half the time.
MAX_OVERRUNS = 8
#: Bytes of a line on which a search in linear time is no slow one.
ORDINARY = 1024
#: Seconds that a search gets at least, however little is left of the budget.
LEAST = 0.001


@dataclass(frozen=True, slots=True)
class Cut:
    """A line that was longer than `line_bytes`, so that only so much of it was matched; its number and first byte."""

    line: int
    offset: int


@dataclass(frozen=True, slots=True)
class Overrun:
    """Pattern `pattern` ran out of time on line `line` and counts as not matching there.

    `kept`: it matched so often that only so many of its matches were kept.
    """

    pattern: int
    line: int
    kept: int = 0


class StreamScanner:
    """Scans one stream from a checkpoint on.

    Lines end at `\\n`, `\\r\\n` or a lone `\\r`. A line of more than `line_bytes` bytes is matched on its first
    `line_bytes` bytes; the rest of it is skipped. More NULs than half of that at the beginning of a file are no
    part of its first line. `cuts` and `overruns` grow until whoever reads them clears them.

    `taken`: up to where patterns of several lines had matched already at `position`, by their index.

    `budget`: seconds of processor time for the searches of one `feed` that are not known to be fast. Where they are
    used up it stops behind the line that it is at, and `exhausted` is true: the bytes behind `position` are to be fed
    again.
    """

    def __init__(
        self,
        patterns: PatternSet,
        position: Position,
        line_bytes: int = LINE_BYTES,
        *,
        taken: Mapping[int, Place] = {},
        budget: float = math.inf,
        clock: Callable[[], float] = thread_time,
    ) -> None:
        self.patterns = patterns
        self.cuts: list[Cut] = []
        self.overruns: list[Overrun] = []
        self._start = position
        self._line_bytes = line_bytes
        self._line = position.line
        self._cut = position.cut
        self._carriage = position.pending_cr
        self._carry = b""
        # What the last call dealt with, and where it began: the checkpoint at any place in it is made when it is
        # asked for.
        self._done = b""
        self._done_at = position.offset
        self._head, self._tail = position.head, position.tail
        self._window = Window(patterns, position.window, line_bytes, taken)
        self._windows = [(0, position.window)]
        self._slow: dict[int, int] = {}
        self._budget, self._clock, self._spent = budget, clock, 0.0
        self._stop = -1  # where in `_done` it stopped

    @property
    def position(self) -> Position:
        """The checkpoint behind everything that was dealt with; an unfinished line is not."""
        return self._at(len(self._done), self._line)

    @property
    def exhausted(self) -> bool:
        """Whether the last `feed` stopped before its end, its time being used up."""
        return self._stop >= 0

    def position_after(self, hit: LineHit) -> Position:
        """Return the checkpoint right behind the line of a hit that the last `feed` or `finish` returned."""
        return self._at(hit.end - self._done_at, hit.line)

    def taken(self, line: int) -> Mapping[int, Place]:
        """Return up to where patterns of several lines have matched already, behind a line of the last `feed`."""
        return self._window.taken(line)

    def _at(self, end: int, line: int) -> Position:
        last = end == len(self._done)
        head = self._head
        if len(head) < HEAD_BYTES and len(head) == self._done_at:
            head += self._done[: min(end, HEAD_BYTES - len(head))]
        return Position(
            device=self._start.device,
            inode=self._start.inode,
            offset=self._done_at + end,
            line=line,
            pending_cr=last and self._carriage,
            cut=last and self._cut,
            head=head,
            tail=(self._tail + self._done[max(0, end - TAIL_BYTES) : end])[-TAIL_BYTES:],
            window=self._window_at(end) if self.patterns.multi else (),
            at=self._start.at,
        )

    def _window_at(self, end: int) -> tuple[str, ...]:
        if end == len(self._done):
            return self._window.held
        start, held = max((pair for pair in self._windows if pair[0] < end), default=(0, ()))
        window = Window(self.patterns, held, self._line_bytes)
        window.push(self._done[start:end])
        return window.held

    def feed(self, data: bytes) -> list[LineHit]:
        """Take the bytes that follow those taken so far; return the lines that have a match, in order."""
        self._begin()
        carry = self._carry  # if there is one, neither a cut line nor a return is pending
        if not self._tail.strip(b"\0"):
            carry, data = b"", carry + data
        start = self._behind_hole(data) or (0 if carry else self._skip(data))
        if self._cut:
            self._done = data
            return []
        stop = max(last_end(data, start), start)
        # One copy of the whole lines and no more: copies are a tenth of what a scan costs.
        done = b"".join((carry, memoryview(data)[:stop])) if carry and stop else data[:stop]
        rest = data[stop:] if stop else carry + data
        hits = self._scan(done, start, len(done)) if len(done) > start else []
        if self.exhausted:
            done, rest = done[: self._stop], b""
        if not rest:
            self._carriage = self._carriage or (len(done) > start and done[-1] == _CARRIAGE_RETURN)
        elif len(rest) > self._line_bytes:
            self._long(done + rest, len(done), len(done) + len(rest), hits)
            self._cut = True
            done, rest = done + rest, b""
        self._done, self._carry = done, rest
        return hits

    def finish(self) -> list[LineHit]:
        """Say that nothing will follow: an unfinished line is one. Return its hits."""
        self._begin()
        rest, self._carry = self._carry, b""
        hits = self._scan(rest, 0, len(rest)) if rest else []
        self._done = rest
        return hits

    def _begin(self) -> None:
        """Turn what the last call dealt with into a fingerprint."""
        done = self._done
        if done:
            if len(self._head) < HEAD_BYTES and len(self._head) == self._done_at:
                self._head += done[: HEAD_BYTES - len(self._head)]
            self._tail = (self._tail + done[-TAIL_BYTES:])[-TAIL_BYTES:]
            self._done_at += len(done)
            self._done = b""
        if self.patterns.multi:
            self._windows = [(0, self._window.held)]
            self._window.settle()
        self._slow.clear()
        self._spent, self._stop = 0.0, -1

    def _skip(self, buffer: bytes) -> int:
        """Return where the first new line starts.

        That is behind the `\\n` of a `\\r` dealt with before, and behind the rest of a cut line.
        """
        start = 0
        if self._carriage and buffer:
            self._carriage = False
            if buffer.startswith(b"\n"):
                start = 1
                self._window.end_line(b"\n")
        if self._cut and (end := first_end(buffer, start)) >= 0:
            self._cut = False
            start = behind(buffer, end)
            self._carriage = start == len(buffer) and buffer[-1] == _CARRIAGE_RETURN
        return start

    def _behind_hole(self, buffer: bytes) -> int:
        """Return where a file begins behind the NULs that it begins with, where they are many for a line.

        A file that was truncated is left with them by a writer that goes on where it was.
        """
        if self._cut or self._tail.strip(b"\0") or not buffer.startswith(b"\0"):
            return 0
        nuls = len(buffer) - len(buffer.lstrip(b"\0"))
        return nuls if self._tail or nuls > self._line_bytes // 2 else 0

    def _scan(self, buffer: bytes, start: int, stop: int) -> list[LineHit]:
        hits: list[LineHit] = []
        if stop - start <= min(self._line_bytes, BLOCK_BYTES):
            self._piece(buffer, start, stop, hits)
            return hits
        for first, last, long in pieces(buffer, start, stop, self._line_bytes):
            (self._long if long else self._piece)(buffer, first, last, hits)
            if self.exhausted:
                break
            if self._spent >= self._budget and last < stop:
                self._stop = last
                break
        return hits

    def _long(self, buffer: bytes, start: int, stop: int, hits: list[LineHit]) -> None:
        """Match the beginning of a line that is too long. No window reaches over it."""
        self.cuts.append(Cut(self._line + 1, self._done_at + start))
        self._window.clear()
        found: list[LineHit] = []
        self._piece(buffer, start, start + self._line_bytes, found)
        for hit in found:
            hit.end = self._done_at + stop
        hits.extend(found)
        self._window.clear()
        self._windows.append((stop, ()))

    def _piece(self, buffer: bytes, start: int, stop: int, hits: list[LineHit]) -> None:
        raw = buffer if stop - start == len(buffer) else buffer[start:stop]
        offset = self._done_at + start
        if not self.patterns.multi:
            hits.extend(self._lines(Block(raw), offset))
            return
        before = self._line
        self._windows.append((start, self._window.held))
        found = {hit.offset: hit for hit in self._lines(Block(raw), offset)}
        overran: list[tuple[int, int]] = []
        for met in self._window.scan(raw, offset, before, overran):
            self._join(found, met, raw, before, offset)
        self.overruns.extend(Overrun(index, before + line + 1) for index, line in overran)
        self._window.push(raw)
        hits.extend(found[key] for key in sorted(found))

    def _join(self, found: dict[int, LineHit], met: WindowHit, raw: bytes, before: int, offset: int) -> None:
        """Add what was found over several lines to the hit of the line where it ends."""
        number = before + met.line + 1
        taken = {i: entries for i, entries in met.found.items() if number % self.patterns.rules[i].every_nth_line == 0}
        if not taken:
            return
        hit = found.get(offset + met.start)
        if hit is None:
            line = raw[met.start : met.end]
            hit = LineHit(number, offset + met.start, line, (), offset + met.following, is_plain(line))
            found[hit.offset] = hit
        hit.patterns = tuple(sorted({*hit.patterns, *taken}))
        hit.found = {**(hit.found or {}), **taken}

    def _lines(self, block: Block, offset: int) -> list[LineHit]:
        """Return the hits of a block whose first byte stands at `offset`, and count its lines."""
        events, counted = candidates(self.patterns, block)
        hits: list[LineHit] = []
        raw, lines, coloured = block.raw, block.lines, block.coloured
        find, rfind = block.norm.find, block.norm.rfind
        at = position = 0
        total = len(events)
        while position < total:
            end, index = events[position]
            first = position
            position += 1
            if end < at:  # the place inside a `\r\n`
                continue
            start = rfind(b"\n", at, end) + 1 or at
            stop = find(b"\n", end)
            indexes: tuple[int, ...] = (index,)
            if position < total and events[position][0] <= stop:
                while position < total and events[position][0] <= stop:
                    position += 1
                indexes = tuple(sorted({i for _, i in events[first:position]}))
            number = self._line + lines(at, start) + 1
            self._line = number
            at = block.following(stop) if block.double else stop + 1
            single = counted and len(indexes) == position - first
            line = raw[start:stop]
            plain = is_plain(line) if coloured else line.isascii()
            hit = LineHit(number, offset + start, line, indexes, offset + at, plain, False, single)
            if self._holds(hit):
                hits.append(hit)
            if self._spent >= self._budget and at < len(raw) and not self.patterns.multi:
                self._stop = offset - self._done_at + at
                return hits
        if hits and hits[-1].end > offset + len(raw):
            hits[-1].end = offset + len(raw)  # the last line of an ended stream has no end
        self._line += lines(at, len(block.norm))
        return hits

    def _holds(self, hit: LineHit) -> bool:
        """Drop the candidates that do not match after all; tell whether any is left."""
        patterns, raw = self.patterns, hit.raw
        if hit.plain and len(raw) <= SAFE_LENGTH:
            for index in hit.patterns:
                mark = patterns.marks[index]
                if not patterns.unquestioned[index] or (mark is not None and mark in raw):
                    break
            else:
                hit.clear = True
                return True
        hit.patterns = tuple([index for index in hit.patterns if self._matches(index, hit)])
        return bool(hit.patterns)

    def _matches(self, index: int, hit: LineHit) -> bool:
        patterns = self.patterns
        if hit.line % patterns.rules[index].every_nth_line:
            return False
        pattern = patterns.patterns[index]
        trusted = pattern.trusted_ascii if hit.plain else pattern.trusted
        mark = patterns.marks[index]
        if trusted and len(hit.raw) <= SAFE_LENGTH and (mark is None or mark not in hit.raw):
            return True
        try:
            found = self._within_time(index, hit)
        except OverTime:
            self._slow[index] = self._slow.get(index, 0) + 1
            self.overruns.append(Overrun(index, hit.line))
            return False
        if len(found) == MAX_MATCHES:
            self.overruns.append(Overrun(index, hit.line, MAX_MATCHES))
        if found:
            hit.found = {**(hit.found or {}), index: found}
        return bool(found)

    def _within_time(self, index: int, hit: LineHit) -> list[Found]:
        """Find, with less and less time for a pattern that used up its time before: many such lines hold up no one."""
        if len(hit.raw) <= ORDINARY and self.patterns.patterns[index].finder is not None:
            return self.patterns.find(index, hit)
        slow = self._slow.get(index, 0)
        if slow >= MAX_OVERRUNS:
            raise OverTime
        limit = max(LEAST, min(LIMIT / (1 << slow), self._budget - self._spent))
        with Held():
            begun = self._clock()
            try:
                return self.patterns.find(index, hit, limit)
            finally:
                self._spent += self._clock() - begun


def is_plain(line: bytes) -> bool:
    """Tell whether a line is seen by patterns just as it is."""
    return line.isascii() and b"\x1b" not in line


def candidates(patterns: PatternSet, block: Block) -> tuple[list[tuple[int, int]], bool]:
    """Return (an offset within the line, pattern) for all that may match in a block, in ascending order.

    With them, whether a pattern has at least as many of them on a line as matches.
    """
    if not block.coloured:
        events, counted = patterns.candidates(block.norm)
    else:
        back = block.stripped.original
        events, counted = patterns.candidates(block.stripped.data)
        events = [(back(end - 1) + 1 if end else 0, i) for end, i in events if i not in patterns.escapes]
        if patterns.escapes:
            events += [event for event in patterns.candidates(block.norm)[0] if event[1] in patterns.escapes]
            events.sort()
    if not patterns.everywhere:
        return events, counted
    end = block.norm.find(b"\n")
    while end >= 0:
        events.extend((end, index) for index in patterns.everywhere)
        end = block.norm.find(b"\n", end + 1)
    return sorted(events), False
