"""This machine as a host: programs as child processes, files through one thread, notices from the kernel.

`app` makes one for each host whose transport is `local`. It refuses to pass anything through a shell.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from reconciler.errors import HostUnreachableError, UnavailableError
from reconciler.model import HostName
from reconciler.protocols import Completed, Glimpse, Want
from reconciler.registry import Plugin
from reconciler.settings import Duration, Section
from reconciler.transports.looking import look_at
from reconciler.transports.notices import Notices
from reconciler.transports.processes import Running
from reconciler.transports.threads import in_daemon_thread

#: Looks that hang on a dead mount, at most, before further ones are refused at once.
_HANGING = 4


class LocalTransportSpec(Section):
    """`transport: {type: local}`: this machine."""

    type: Literal["local"] = "local"
    look_timeout: Duration = 30.0


class LocalTransport:
    """See `protocols.Transport`."""

    def __init__(self, host: HostName, settings: LocalTransportSpec | None = None) -> None:
        self.host = host
        self._settings = settings or LocalTransportSpec()
        self._running = Running()
        self._notices: Notices | None = None
        self._free = threading.BoundedSemaphore(_HANGING)
        self._closed = False

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
        """Run one program in a session of its own; after `timeout` seconds it and its children are killed."""
        self._refuse_when_closed()
        try:
            done = await self._running.run(argv, stdin=stdin, timeout=timeout, cwd=cwd, env=env, limit=limit)
        except UnavailableError as error:
            raise HostUnreachableError(error.message) from error
        self._refuse_when_closed()  # killed by `close`: its status says nothing of the program
        return done

    async def look(self, wants: Sequence[Want]) -> Sequence[Glimpse]:
        """Look at all files in one thread; a file system that hangs for `look_timeout` is an unreachable host."""
        self._refuse_when_closed()
        if not self._free.acquire(blocking=False):
            raise HostUnreachableError(
                f"{self.host}: {_HANGING} earlier looks hang on a file system that does not answer"
            )

        def work() -> list[Glimpse]:
            try:
                return look_at(wants)
            finally:
                self._free.release()

        try:
            return await in_daemon_thread(work, f"look-{self.host}", self._settings.look_timeout)
        except TimeoutError as error:
            raise HostUnreachableError(f"{self.host}: a file system does not answer") from error

    def watch(self, paths: Sequence[str], wake: Callable[[str], None]) -> None:
        """Ask the kernel for notices about exactly these files."""
        if self._closed:
            return
        if self._notices is None:
            self._notices = Notices(asyncio.get_running_loop())
        self._notices.want(paths, wake)

    async def close(self) -> None:
        """Kill what still runs and let go of the notices; nothing works afterwards."""
        self._closed = True
        self._running.end()
        if self._notices is not None:
            self._notices.close()

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise HostUnreachableError(f"{self.host}: the transport is closed")


PLUGIN = Plugin(name="local", spec=LocalTransportSpec, factory=LocalTransport)
