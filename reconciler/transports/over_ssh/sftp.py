"""Looking at files through sftp-server, for hosts without python3 and Perl. `looks.py` owns it.

Requests are pipelined, and still one or more for each file: a hundred times the work of a program at the far end.
SFTP knows no device and no inode and gives times in whole seconds: a file is told by its size and its bytes alone.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import asyncssh

from reconciler.model import HEAD_BYTES, FileStat
from reconciler.protocols import UNCHANGED, Glimpse, Sight, Want
from reconciler.transports.over_ssh.faults import FAULTS
from reconciler.transports.over_ssh.link import Link
from reconciler.transports.over_ssh.lookout import LEAST_SHARE, fair
from reconciler.transports.over_ssh.program import LookoutEndedError
from reconciler.transports.over_ssh.register import encoded

T = TypeVar("T")
U = TypeVar("U")

#: Requests on their way at once.
PIPELINE = 128
UNKNOWN_INODE = 1
_NANOSECONDS = 1_000_000_000
_IRREGULAR = Glimpse(Sight.FAILED, reason="not a regular file")


@dataclass(frozen=True, slots=True)
class _Due:
    """A file that is to be read: what is wanted of it, and its size now."""

    want: Want
    path: bytes
    size: int

    @property
    def span(self) -> int:
        return min(self.want.offset, self.want.context)

    def start(self, size: int) -> int:
        start = self.want.offset - self.span
        return start if start <= size else 0

    def need(self, size: int) -> int:
        return min(self.span + self.want.limit, size - self.start(size))


class SftpLookout:
    """See the module; `start` makes one."""

    def __init__(self, link: Link, connection: asyncssh.SSHClientConnection, client: asyncssh.SFTPClient) -> None:
        self._link, self._connection, self._client = link, connection, client
        self._ended = False

    @classmethod
    async def start(cls, link: Link) -> SftpLookout:
        """Return a lookout. Raises LookoutEndedError where the host has no SFTP."""
        connection = await link.connection()
        try:
            async with asyncio.timeout(link.settings.answer_timeout):
                client = await connection.start_sftp_client(send_env=None, env=None)
        except (asyncssh.SFTPError, asyncssh.ChannelOpenError) as error:
            raise LookoutEndedError(error.reason) from error
        except FAULTS as error:
            raise await link.broken(connection, error) from error
        return cls(link, connection, client)

    @property
    def usable(self) -> bool:
        """False where its connection is gone."""
        return not self._ended and not self._connection.is_closed()

    async def look(self, wants: Sequence[Want]) -> list[Glimpse]:
        """Return one Glimpse for each Want. Raises HostUnreachableError."""
        try:
            found = await self._each(wants, self._stat)
            due = [one for one in found if isinstance(one, _Due)]
            shares = fair(self._link.settings.look_bytes, [(one.need(one.size), one.span + LEAST_SHARE) for one in due])
            read = iter(await self._each(list(zip(due, shares, strict=True)), self._read))
        except FAULTS as error:
            raise await self._link.broken(self._connection, error) from error
        return [next(read) if isinstance(one, _Due) else one for one in found]

    def close(self) -> None:
        """End it."""
        self._ended = True
        self._client.exit()

    async def _each(self, items: Sequence[T], work: Callable[[T], Awaitable[U]]) -> list[U]:
        """Return what `work` gives for each, PIPELINE at a time; TimeoutError where that takes `answer_timeout`."""
        results: list[U] = []
        for first in range(0, len(items), PIPELINE):
            async with asyncio.timeout(self._link.settings.answer_timeout):
                part = await asyncio.gather(*map(work, items[first : first + PIPELINE]), return_exceptions=True)
            for result in part:
                if isinstance(result, BaseException):
                    raise result
                results.append(result)
        return results

    async def _stat(self, want: Want) -> Glimpse | _Due:
        try:
            path = encoded(want.path)
            seen = await self._client.stat(path)
        except ValueError as error:
            return Glimpse(Sight.FAILED, reason=str(error))
        except asyncssh.SFTPError as error:
            return _untold(error)
        if not stat.S_ISREG(seen.permissions or 0):
            return _IRREGULAR
        if want.known is not None and _identity(seen) == want.known:
            return UNCHANGED
        return _Due(want, path, seen.size or 0)

    async def _read(self, item: tuple[_Due, int | None]) -> Glimpse:
        due, share = item
        try:
            async with self._client.open(due.path, "rb", encoding=None) as file:
                found = _identity(await file.stat())
                start, need = due.start(found.size), due.need(found.size)
                length = need if share is None else min(need, share)
                head = cast(bytes, await file.read(min(HEAD_BYTES, found.size), 0))
                data = cast(bytes, await file.read(length, start)) if length else b""
        except asyncssh.SFTPError as error:
            return _untold(error)
        return Glimpse(Sight.READ, found, start, data, head)


def _identity(seen: asyncssh.SFTPAttrs) -> FileStat:
    # Not 0: that would be a file that nobody has seen yet.
    return FileStat(0, UNKNOWN_INODE, seen.size or 0, (seen.mtime or 0) * _NANOSECONDS)


def _untold(error: asyncssh.SFTPError) -> Glimpse:
    """Return what a refusal means; a lost connection is no refusal."""
    if isinstance(error, asyncssh.SFTPConnectionLost | asyncssh.SFTPNoConnection):
        raise error
    if isinstance(error, asyncssh.SFTPNoSuchFile | asyncssh.SFTPNoSuchPath):
        return Glimpse(Sight.MISSING)
    return Glimpse(Sight.FAILED, reason=error.reason)
