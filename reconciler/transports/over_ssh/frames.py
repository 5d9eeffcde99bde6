"""The answers of a lookout, taken apart as they arrive. Pure; `looks.py` feeds it.

Formats: README.md of this folder. It refuses whatever does not fit: a line without end, lengths beyond what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.model import HEAD_BYTES, FileStat

#: A header is ten numbers at most.
LONGEST_HEADER = 300
LONGEST_REASON = 1024


class FrameError(ValueError):
    """What arrived is no answer of a lookout."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The lookout runs; `kind` is what runs it."""

    kind: str


@dataclass(frozen=True, slots=True)
class Same:
    """The file is again as it was known."""

    slot: int


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such file, and it stays so until another record says otherwise."""

    slot: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The file cannot be told, and it stays so until another record says otherwise."""

    slot: int
    reason: str


@dataclass(frozen=True, slots=True)
class Bytes:
    """What was read from one open file."""

    slot: int
    stat: FileStat
    start: int
    head: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The look of this number is answered."""

    number: int


Record = Hello | Same | Missing | Failed | Bytes | End


def request(lines: list[bytes]) -> bytes:
    """Return one request frame: the length of its body in ASCII, a newline, the body."""
    body = b"\n".join(lines)
    return b"%d\n%s" % (len(body), body)


class Answers:
    """Cuts a stream of bytes into records; `longest` bounds the bytes of one file, and is set by what was asked."""

    def __init__(self, longest: int = 0) -> None:
        self.longest = longest
        self._buffer = bytearray()
        self._header: list[bytes] | None = None
        self._missing = 1

    def feed(self, data: bytes) -> Iterator[Record]:
        """Yield the records that are complete now. Raises FrameError."""
        self._buffer += data
        while len(self._buffer) >= self._missing:
            if self._header is None:
                if not self._read_header():
                    return
            else:
                yield self._take(self._header)

    def _read_header(self) -> bool:
        """Take one header line off; False where none is complete. Signs of life (`t`) are passed over."""
        end = self._buffer.find(b"\n", 0, LONGEST_HEADER)
        if end < 0:
            if len(self._buffer) >= LONGEST_HEADER:
                raise FrameError(f"not an answer: {bytes(self._buffer[:60])!r}")
            self._missing = len(self._buffer) + 1
            return False
        header = bytes(self._buffer[:end]).split(b" ")
        del self._buffer[: end + 1]
        if header == [b"t"]:
            self._missing = 1
        else:
            self._header, self._missing = header, self._body_length(header)
        return True

    def _body_length(self, header: list[bytes]) -> int:
        try:
            if header[0] == b"r":
                return self._bounded(int(header[7]), HEAD_BYTES) + self._bounded(int(header[8]), self.longest)
            return self._bounded(int(header[2]), LONGEST_REASON) if header[0] == b"f" else 0
        except (IndexError, ValueError) as error:
            raise FrameError(f"not an answer: {header!r}") from error

    @staticmethod
    def _bounded(length: int, most: int) -> int:
        if not 0 <= length <= most:
            raise ValueError(f"a length of {length}, at most {most} were asked for")
        return length

    def _take(self, header: list[bytes]) -> Record:
        body = bytes(memoryview(self._buffer)[: self._missing])
        del self._buffer[: self._missing]
        self._header, self._missing = None, 1
        try:
            return _record(header, body)
        except (IndexError, ValueError, KeyError) as error:
            raise FrameError(f"not an answer: {header!r}") from error


_QUIET: dict[bytes, type[Same] | type[Missing]] = {b"u": Same, b"m": Missing}


def _record(header: list[bytes], body: bytes) -> Record:
    if header[0] == b"r":
        slot, device, inode, size, mtime_ns, start, head, _ = map(int, header[1:])
        return Bytes(slot, FileStat(device, inode, size, mtime_ns), start, body[:head], body[head:])
    if header[0] == b"h":
        return Hello(header[1].decode("ascii"))
    if header[0] == b"f":
        return Failed(int(header[1]), body.decode("utf-8", "replace"))
    if header[0] == b"e":
        return End(int(header[1]))
    return _QUIET[header[0]](int(header[1]))
