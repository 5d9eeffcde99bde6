"""How a host is reached, and what a look at its files sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from reconciler.model import FileStat, HostName


@dataclass(frozen=True, slots=True)
class Want:
    """One stream that is due.

    `offset`: first byte wanted. `known`: the stat of the last look; where nothing changed since, nothing is read.
    `context`: bytes before `offset` to read along (for the fingerprint). `limit`: bytes from `offset` on, at most.
    """

    path: str
    offset: int = 0
    known: FileStat | None = None
    context: int = 0
    limit: int = 4 * 1024 * 1024


class Sight(StrEnum):
    """What a look saw of one file."""

    UNCHANGED = "unchanged"  # the stat equals `Want.known`
    MISSING = "missing"  # no such file now
    FAILED = "failed"  # it could not be told: permission, stale handle, not a regular file
    READ = "read"  # stat, head and data were taken from one open file


class Glimpse(NamedTuple):
    """The answer to one `Want`. A tuple, since each look makes one for every idle output.

    `data` begins at `start` (= max(0, offset - context), or 0 where the file is shorter than that) and holds at most
    context + limit bytes; `head` are the first bytes of the file (up to HEAD_BYTES).
    """

    sight: Sight
    stat: FileStat | None = None
    start: int = 0
    data: bytes = b""
    head: bytes = b""
    reason: str = ""


#: What every look says of a file whose stat is still `Want.known`: one value for all of them, without that stat.
UNCHANGED = Glimpse(Sight.UNCHANGED)


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended: exit status (negative: the signal that ended it), output up to the limit asked for."""

    status: int
    stdout: bytes = b""
    stderr: bytes = b""
    cut: bool = False


class Transport(Protocol):
    """How a host is reached. Everything from outside travels as arguments or as data, never as shell text."""

    host: HostName

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 60.0,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        limit: int = 16 * 1024 * 1024,
    ) -> Completed:
        """Run one program with exactly these arguments and return when it has ended.

        `env` None: the transport's own environment; otherwise exactly this one. `limit`: bytes kept of each output.
        After `timeout` seconds its process group is killed and TimeoutError raised. Raises HostUnreachableError where
        the host cannot be reached; a program that is not there is status 127.
        """
        ...

    async def look(self, wants: Sequence[Want]) -> Sequence[Glimpse]:
        """Return one Glimpse for each Want, in order, in one round trip. Raises HostUnreachableError."""
        ...

    def watch(self, paths: Sequence[str], wake: Callable[[str], None]) -> None:
        """Call `wake(path)` soon after one of exactly these files grows, where the host can tell (a hint, may do
        nothing).

        Replaces the set of an earlier call.
        """
        ...

    async def close(self) -> None:
        """End the connection and what runs on it."""
        ...
