"""Bytes of a stream as blocks of whole lines, in the one form that engines scan: every line ended by one `\\n`.

Called by the scanner. Nothing here looks at single lines of a block, so that lines without a match cost next to
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial

from reconciler.logic import ansi
from reconciler.logic.tier_re2 import has_crlf

#: Bytes that are scanned at once: few enough for the processor's cache, and for the allocator to use the same memory
# again.
BLOCK_BYTES = 64 * 1024


def last_end(data: bytes, start: int = 0) -> int:
    """Return the offset behind the last line end in `data` from `start` on, 0 where there is none."""
    newline = data.rfind(b"\n", start)
    return max(newline, data.rfind(b"\r", max(newline, start))) + 1


def first_end(data: bytes, start: int = 0) -> int:
    """Return the offset of the first line end from `start` on, -1 where there is none."""
    newline = data.find(b"\n", start)
    carriage = data.find(b"\r", start) if newline < 0 else data.find(b"\r", start, newline)
    return carriage if carriage >= 0 else newline


def behind(data: bytes, at: int) -> int:
    """Return the offset behind the line end that begins at `at`."""
    return at + 2 if data[at : at + 2] == b"\r\n" else at + 1


def pieces(data: bytes, start: int, stop: int, line_bytes: int) -> Iterator[tuple[int, int, bool]]:
    """Split the whole lines in `data[start:stop]` into (start, end, long) pieces in order.

    A long one is a single line of more than `line_bytes` bytes; `stop` stands behind a line end (or at the end of all).
    """
    step = max(line_bytes, BLOCK_BYTES) + 2  # room for a line of just `line_bytes` and its end
    while start < stop:
        end = stop
        if stop - start > step:
            end = start + last_end(data[start : start + step])
            if end == start:
                end = behind(data, first_end(data, start))
            elif data[end - 1 : end + 1] == b"\r\n":
                end += 1
        yield from _split_long(data, start, end, line_bytes)
        start = end


def _split_long(data: bytes, start: int, stop: int, line_bytes: int) -> Iterator[tuple[int, int, bool]]:
    """Take long lines out of a piece of whole lines, looking once for each `line_bytes` bytes."""
    clean = at = start
    while stop - at > line_bytes:
        end = at + last_end(data[at : at + line_bytes + 1])
        if end == at:
            first = first_end(data, at)
            end = stop if first < 0 else behind(data, first)
            if clean < at:
                yield clean, at, False
            yield at, end, True
            clean = end
        at = end
    if clean < stop:
        yield clean, stop, False


class Block:
    """Whole lines. `norm` has the same length, with every line end one `\\n`.

    Of a `\\r\\n` two are left, with an empty line between. That line is none: `lines` does not count it, `following`
    steps over it.
    """

    __slots__ = ("__dict__", "coloured", "double", "lines", "norm", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.norm = raw
        self.double = False
        if b"\r" in raw:
            self.double = has_crlf(raw)
            self.norm = raw.replace(b"\r", b"\n")
        if not self.norm.endswith(b"\n"):
            self.norm += b"\n"  # the last line of an ended stream
        self.coloured = b"\x1b" in raw
        #: Counts the line ends between two line starts.
        self.lines: Callable[[int, int], int] = self._lines if self.double else partial(self.norm.count, b"\n")

    @cached_property
    def stripped(self) -> ansi.Stripped:
        """The lines without escape sequences."""
        return ansi.strip_bytes(self.norm)

    def _lines(self, start: int, end: int) -> int:
        return self.norm.count(b"\n", start, end) - self.raw.count(b"\r\n", start, end)

    def following(self, end: int) -> int:
        """Return where the line behind the one that ends at `end` starts."""
        return end + 2 if self.double and self.raw[end : end + 2] == b"\r\n" else end + 1
