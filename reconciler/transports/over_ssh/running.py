"""One program on the host: its exit status, bounded outputs, and an end that takes its children. `ssh.py` calls it.

It never waits for a background child that holds the outputs open, and it tells "too slow" from "nobody answers".
"""

from __future__ import annotations

import asyncio
import contextlib

import asyncssh

from reconciler.errors import HostUnreachableError
from reconciler.protocols import Completed
from reconciler.transports.over_ssh import commands
from reconciler.transports.over_ssh.link import Link
from reconciler.transports.over_ssh.session import Session

#: Seconds that outputs may stay open after their program's end: a background child may hold them for ever.
DRAIN = 0.5
#: Seconds that a program may take to vanish once it was killed.
REAP = 5.0
#: Seconds that killing a program may take that was given up: a daemon that is told to stop has ten for everything.
GIVE_UP = 2.0


class _Outputs:
    """Keeps up to `limit` bytes of each output and throws the rest away, so that the program is never held up."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept = {False: bytearray(), True: bytearray()}
        self.cut = False

    def take(self, error_output: bool, data: bytes) -> None:
        """Keep what there is room for."""
        kept = self.kept[error_output]
        room = self.limit - len(kept)
        self.cut = self.cut or len(data) > room
        kept += data[: max(0, room)]


class Running:
    """The programs that one transport has running."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._sessions: set[Session] = set()
        self._killing = asyncio.Lock()
        self._over = False
        self._begun = 0
        self._none_begun = asyncio.Event()

    async def run(self, command: str, *, stdin: bytes, timeout: float, limit: int) -> Completed:
        """Run a text of `commands.wrap`. See `protocols.Transport.run`; the time limit begins with the program."""
        outputs = _Outputs(limit)
        async with self._link.places:
            await self._link.connection()  # here, so that `end` waits for no host that does not answer
            self._refuse_when_over()
            self._begun += 1
            try:
                status = await self._one(command, outputs, stdin, timeout)
            finally:
                self._begun -= 1
                if not self._begun:
                    self._none_begun.set()
        self._refuse_when_over()  # killed by `end`: its status says nothing of the program
        self._link.worked()
        return Completed(status, bytes(outputs.kept[False]), bytes(outputs.kept[True]), outputs.cut)

    async def end(self) -> None:
        """Kill every program that runs, as far as the host answers; no other begins."""
        self._over = True
        for session in tuple(self._sessions):
            with contextlib.suppress(HostUnreachableError):
                await self._kill(session)
        if self._begun:  # some had been asked for and not started: they are killed as soon as it is known what to kill
            self._none_begun.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REAP):
                    await self._none_begun.wait()

    async def _one(self, command: str, outputs: _Outputs, stdin: bytes, timeout: float) -> int:
        starting = asyncio.ensure_future(self._link.session(command, outputs.take))
        try:
            session = await asyncio.shield(starting)  # broken off, its start would leave it running
            self._sessions.add(session)
            if self._over:
                await self._kill(session)
            _feed(session, stdin)
            return await self._ended(session, timeout)
        except asyncio.CancelledError:
            with contextlib.suppress(HostUnreachableError, TimeoutError):
                async with asyncio.timeout(GIVE_UP):
                    await self._kill(await asyncio.shield(starting))
            raise
        finally:
            if not starting.cancel() and starting.exception() is None:
                self._sessions.discard(starting.result())
                starting.result().end()

    def _refuse_when_over(self) -> None:
        if self._over:
            raise HostUnreachableError(f"{self._link.host}: the transport is closed")

    async def _ended(self, session: Session, timeout: float) -> int:
        try:
            async with asyncio.timeout(timeout):
                await session.exited.wait()
        except TimeoutError:
            await self._kill(session)  # raises where nobody answers: then it is not known what became of the program
            raise
        if session.status is None:
            fault = session.fault or asyncssh.ConnectionLost("the connection broke while a program ran")
            raise await self._link.broken(session.connection, fault)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await session.closed.wait()
        return session.status

    async def _kill(self, session: Session) -> None:
        """Kill the program's group over a second session; one that has ended meanwhile is left alone."""
        process = session.process
        if process is None or session.exited.is_set():
            return
        async with self._killing:
            killer = await self._link.session(commands.kill(process), lambda *_: None)
            try:
                await self._link.within(killer.connection, _wait(killer.exited))
            finally:
                killer.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REAP):
                await session.exited.wait()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def _feed(session: Session, stdin: bytes) -> None:
    # Kept in memory and sent as the program reads; a program that has ended, or does not read, is no error.
    with contextlib.suppress(OSError):
        if stdin:
            session.channel.write(stdin)
        session.channel.write_eof()
