"""One look at many files of this machine: a stat for each, and a read of those that changed.

Called by `local` in a thread of its own. It never blocks on a pipe or a device, never takes a failed stat for an
empty file, and reads from the very file that it reports the size of.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from reconciler.model import HEAD_BYTES, FileStat
from reconciler.protocols import UNCHANGED, Glimpse, Sight, Want

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})
# Not blocking: a FIFO put in the place of an output between stat and open must not hold the look.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def look_at(wants: Sequence[Want]) -> list[Glimpse]:
    """Return one Glimpse for each Want, in order. No file raises: what cannot be told is `Sight.FAILED`, and why."""
    return [_glimpse(want) for want in wants]


def _glimpse(want: Want) -> Glimpse:
    try:
        seen = os.stat(want.path)
        known = want.known
        if (
            known is not None
            and seen.st_size == known.size
            and seen.st_mtime_ns == known.mtime_ns
            and seen.st_ino == known.inode
            and seen.st_dev == known.device
            and stat.S_ISREG(seen.st_mode)
        ):
            return UNCHANGED
        return _read(want) if stat.S_ISREG(seen.st_mode) else _irregular()
    except OSError as error:
        if error.errno in _ABSENT:
            return Glimpse(Sight.MISSING)
        return Glimpse(Sight.FAILED, reason=error.strerror or str(error))
    except ValueError as error:  # a NUL byte, or a surrogate that stands for no byte
        return Glimpse(Sight.FAILED, reason=str(error))


def _irregular() -> Glimpse:
    return Glimpse(Sight.FAILED, reason="not a regular file")


def _read(want: Want) -> Glimpse:
    descriptor = os.open(want.path, _FLAGS)
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            return _irregular()
        start = max(0, want.offset - want.context)
        if seen.st_size < start:
            start = 0
        # Not beyond the size reported: what is written meanwhile is the next look's, whose stat then differs.
        length = min(want.offset - max(0, want.offset - want.context) + want.limit, seen.st_size - start)
        head = _bytes(descriptor, 0, min(HEAD_BYTES, seen.st_size))
        data = _bytes(descriptor, start, length)
    finally:
        os.close(descriptor)
    found = FileStat(device=seen.st_dev, inode=seen.st_ino, size=seen.st_size, mtime_ns=seen.st_mtime_ns)
    return Glimpse(Sight.READ, found, start, data, head)


def _bytes(descriptor: int, offset: int, length: int) -> bytes:
    """Read exactly `length` bytes, fewer only where the file was cut meanwhile."""
    data = os.pread(descriptor, length, offset)
    if len(data) == length or not data:
        return data
    parts, missing = [data], length - len(data)
    while missing and (data := os.pread(descriptor, missing, offset + length - missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)
