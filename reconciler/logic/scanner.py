"""From bytes of a stream to the lines that patterns meet."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from reconciler.logic.hits import LineHit
from reconciler.logic.patterns import PatternSet
from reconciler.model import HEAD_BYTES, TAIL_BYTES, Position

__all__ = ["Cut", "LineHit", "Overrun", "StreamScanner"]
_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Cut:
    """A line that was longer than `line_bytes`."""

    line: int
    offset: int


@dataclass(frozen=True, slots=True)
class Overrun:
    """A pattern that ran over its time limit on a line."""

    pattern: int
    line: int


class StreamScanner:
    """Scans one stream. Feed it bytes in order."""

    def __init__(self, patterns: PatternSet, position: Position, line_bytes: int = 65536) -> None:
        self.patterns = patterns
        self._start = position
        self._position = position
        self._line_bytes = line_bytes
        self._carry = b""
        self.cuts: list[Cut] = []
        self.overruns: list[Overrun] = []
        self._history: list[tuple[int, Position]] = []

    @property
    def position(self) -> Position:
        """Behind the last whole line dealt with."""
        return self._position

    def position_after(self, hit: LineHit) -> Position:
        """Return the position just behind the line of a hit of the last `feed` or `finish`."""
        return next(position for line, position in self._history if line == hit.line)

    def feed(self, data: bytes) -> list[LineHit]:
        """Take the bytes that follow; return the lines with a match."""
        self._history.clear()
        buffer = self._carry + data
        hits: list[LineHit] = []
        at = 0
        if self._position.pending_cr and buffer[:1] == b"\n":
            self._step(b"\n", 0)
            at = 1
        while found := _END.search(buffer, at):
            self._line(buffer[at : found.start()], buffer[at : found.end()], hits)
            if found.group() == b"\r" and found.end() == len(buffer):
                self._position = replace(self._position, pending_cr=True)
            at = found.end()
        self._carry = buffer[at:]
        return hits

    def finish(self) -> list[LineHit]:
        """Say that nothing follows: an unterminated rest is a line."""
        self._history.clear()
        hits: list[LineHit] = []
        if self._carry:
            self._line(self._carry, self._carry, hits)
            self._carry = b""
        return hits

    def _line(self, raw: bytes, whole: bytes, hits: list[LineHit]) -> None:
        before = self._position
        self._step(whole, 1)
        met = tuple(i for i, pattern in enumerate(self.patterns.compiled) if pattern.search(raw.decode("utf-8", "replace")))
        if met:
            hits.append(LineHit(before.line + 1, before.offset, raw, met, before.offset + len(whole)))
            self._history.append((before.line + 1, self._position))

    def _step(self, whole: bytes, lines: int) -> None:
        position = self._position
        self._position = replace(
            position,
            offset=position.offset + len(whole),
            line=position.line + lines,
            pending_cr=False,
            head=(position.head + whole)[:HEAD_BYTES] if len(position.head) == position.offset else position.head,
            tail=(position.tail + whole)[-TAIL_BYTES:],
        )
