"""Looks at one output file by itself: its last lines for people, and the position behind its last byte.

Called by the job task, for what is no part of a regular look.
"""

from __future__ import annotations

from reconciler.errors import UnavailableError
from reconciler.logic.feeding import CONTEXT
from reconciler.model import Position
from reconciler.protocols import Glimpse, Sight, Transport, Want

#: Bytes that `tail` reads at most.
TAIL = 65_536


async def tail(transport: Transport, path: str, lines: int) -> str:
    """Return the last lines of a file, of its last 64 KiB at most."""
    (first,) = await transport.look([Want(path, 0, None, 0, 0)])
    start = max(0, first.stat.size - TAIL) if first.stat else 0
    (glimpse,) = await transport.look([Want(path, start, None, 0, TAIL)])
    return "\n".join(glimpse.data.decode("utf-8", "replace").splitlines()[-lines:])


async def end(transport: Transport, path: str) -> Position:
    """Return the position behind the last byte that is there now. Raises UnavailableError where that cannot be seen."""
    (seen,) = await transport.look([Want(path, 0, None, 0, 0)])
    if seen.sight is Sight.FAILED:
        raise UnavailableError(f"{path}: {seen.reason}")
    return await behind(transport, path, seen.stat.size if seen.stat else None)


async def behind(transport: Transport, path: str, size: int | None) -> Position:
    """Return the position behind the first `size` bytes; the beginning where there is no file (None)."""
    if size is None:
        return Position()
    (seen,) = await transport.look([Want(path, size, None, CONTEXT, 0)])
    return _end_of(seen)


def _end_of(glimpse: Glimpse) -> Position:
    """Return the position behind the last byte seen; inside a line where that byte ends none."""
    if glimpse.stat is None:
        return Position()
    seen = glimpse.data[-CONTEXT:]
    return Position(
        device=glimpse.stat.device,
        inode=glimpse.stat.inode,
        offset=glimpse.start + len(glimpse.data),
        pending_cr=seen.endswith(b"\r"),
        cut=bool(seen) and not seen.endswith((b"\n", b"\r")),
        head=glimpse.head,
        tail=seen,
    )
