"""The one connection to a host: made when first needed, shared by all, made again after a failure and a pause.

`ssh.py` owns one; `running.py` and `looks.py` open sessions on it. Whoever finds it broken says so with `broken`. Where
connecting fails, or a connection breaks before it was of any use, a pause begins: every caller is refused at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncssh

from reconciler.errors import HostUnreachableError
from reconciler.transports.over_ssh.backoff import Backoff
from reconciler.transports.over_ssh.connecting import Way
from reconciler.transports.over_ssh.faults import FAULTS, unreachable
from reconciler.transports.over_ssh.session import Session, ShellError
from reconciler.transports.over_ssh.spec import SshTransportSpec

#: Sessions kept back from `run`: the lookout's, and one for ending programs that take too long.
RESERVED = 2
#: Pauses (seconds) before a refused session is asked for again: a server lets go of an ended one a moment late.
REFUSED = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


class Link:
    """See the module. `connect` makes a Way or raises HostUnreachableError."""

    def __init__(
        self, host: str, settings: SshTransportSpec, connect: Callable[[], Awaitable[Way]], backoff: Backoff
    ) -> None:
        self.host, self.settings = host, settings
        #: Taken by every program that `run` has running.
        self.places = asyncio.Semaphore(settings.max_sessions - RESERVED)
        #: How often a connection was made.
        self.connections = 0
        self._connect, self._backoff = connect, backoff
        self._way: Way | None = None
        self._lock = asyncio.Lock()
        self._last = HostUnreachableError(f"{host}: not tried yet")
        self._of_use = False
        self._closed = False

    async def connection(self) -> asyncssh.SSHClientConnection:
        """Return the connection; connect where there is none. Raises HostUnreachableError, at once during a pause."""
        async with self._lock:
            self._refuse_when_closed()
            if self._way is not None and not self._way.open:
                await self._drop()  # found dead before anything was asked of it: no failure yet
            if self._way is None:
                self._way = await self._made()
            if self._closed:  # meanwhile
                await self._drop()
            self._refuse_when_closed()
            return self._way.connection

    async def session(
        self, command: str, take: Callable[[bool, bytes], None], closed: Callable[[], None] = lambda: None
    ) -> Session:
        """Start a command and return once it runs; `closed` is called at its end. Raises HostUnreachableError."""
        connection = await self.connection()
        session = Session(connection, take, closed)
        running = False
        try:
            await self.within(connection, self._start(session, command))
            running = True
        except ShellError as error:
            raise await self._no_shell(session, error) from error
        finally:
            if not running:
                session.end()
        return session

    async def within(self, connection: asyncssh.SSHClientConnection, work: Awaitable[None]) -> None:
        """Await `work`; its faults, and taking longer than `answer_timeout`, are the end of the connection."""
        try:
            async with asyncio.timeout(self.settings.answer_timeout):
                await work
        except FAULTS as error:
            raise await self.broken(connection, error) from error

    async def broken(self, connection: asyncssh.SSHClientConnection, error: BaseException) -> HostUnreachableError:
        """Give up a connection and return what to raise. Several may say so of one: it counts once.

        One that had been of use is made again at once, since servers restart and lines drop; no other.
        """
        self._refuse_when_closed()
        fault = self._fault(error)
        refused = isinstance(error, asyncssh.ChannelOpenError) and not connection.is_closed()
        if not refused and self._way is not None and self._way.connection is connection:
            if not self._of_use:
                self._failed(fault)
            await self._drop()
        return fault

    def worked(self) -> None:
        """Say that the host answered: the next failure begins with the shortest pause."""
        self._of_use = self._way is not None
        self._backoff.succeeded()

    async def close(self) -> None:
        """End the connection; every caller in progress is refused."""
        self._closed = True
        await self._drop()

    @staticmethod
    async def _start(session: Session, command: str) -> None:
        connection, pauses = session.connection, list(REFUSED)
        while True:
            try:
                await connection.create_session(
                    lambda: session, command, encoding=None, request_pty=False, term_type=None, send_env=None, env=None
                )
                break
            except asyncssh.ChannelOpenError:  # nothing was started, so asking again is harmless
                if not pauses or connection.is_closed():
                    raise
            await asyncio.sleep(pauses.pop(0))
        await session.started

    async def _made(self) -> Way:
        if (pause := self._backoff.remaining) > 0:
            raise HostUnreachableError(f"{self._last.message} (tried again in {pause:.0f} s)", remedy=self._last.remedy)
        try:
            way = await self._connect()
        except HostUnreachableError as error:
            self._failed(error)
            raise
        self.connections += 1
        return way

    async def _no_shell(self, session: Session, error: ShellError) -> HostUnreachableError:
        if session.connection.is_closed():
            return await self.broken(session.connection, asyncssh.ConnectionLost("connection lost"))
        return HostUnreachableError(
            f"{self.host}: the account runs no commands: {error}",
            remedy="give it a login shell, and see what its start-up files do",
        )

    def _fault(self, error: BaseException) -> HostUnreachableError:
        settings = self.settings
        return unreachable(self.host, error, target=settings.address or self.host, port=settings.port or 22)

    def _failed(self, error: HostUnreachableError) -> None:
        self._last = error
        self._backoff.failed()

    async def _drop(self) -> None:
        way, self._way, self._of_use = self._way, None, False
        if way is not None:
            await way.close()

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise HostUnreachableError(f"{self.host}: the transport is closed")
