"""What a file of JSON lines holds at its end: the seq of its last line, and whether that line is whole.

Used by `jsonl`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import orjson

_BLOCK = 64 * 1024


def whole_bytes(descriptor: int) -> int:
    """Return the length of the file up to the end of its last complete line, in bytes."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def last_seq(descriptor: int, size: int, source: str) -> int | None:
    """Return the seq of the last event of `source` in the first `size` bytes, which end with a line; None: none there.

    Passed over are events of another state and lines that are no event (a person's edit, zeros after a power loss).
    """
    for line in _lines_backwards(descriptor, size):
        try:
            event = orjson.loads(line)
            if event["source"] == source:
                return int(event["data"]["seq"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            continue
    return None


def _lines_backwards(descriptor: int, size: int) -> Iterator[bytes]:
    """Yield the lines of a file that ends with a complete one, the last one first."""
    rest = b""
    while size:
        start = max(0, size - _BLOCK)
        first, *lines = (os.pread(descriptor, size - start, start) + rest).split(b"\n")
        yield from (line for line in reversed(lines) if line)
        rest, size = first, start
    if rest:
        yield rest
