"""A host over SSH: one connection, shared by every program and every look; the parts stand in `over_ssh/`.

`app` makes one for each host whose transport is `ssh`. Nothing is installed on the host, and nothing from outside
becomes shell text. A host that is down is said to be so at once until its pause is over.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from reconciler.model import HostName
from reconciler.protocols import Completed, Glimpse, Want
from reconciler.registry import Plugin
from reconciler.transports.over_ssh.commands import NOT_RUNNABLE, wrap
from reconciler.transports.over_ssh.spec import SshTransportSpec

if TYPE_CHECKING:
    from reconciler.transports.over_ssh.link import Link
    from reconciler.transports.over_ssh.looks import Looks
    from reconciler.transports.over_ssh.program import Traffic
    from reconciler.transports.over_ssh.running import Running


class SshTransport:
    """See `protocols.Transport`. Nothing is connected before the first use."""

    def __init__(
        self,
        host: HostName,
        settings: SshTransportSpec | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        # Imported here and not above: asyncssh takes a quarter of a second, which finding the plugins does not pay.
        from reconciler.transports.over_ssh.backoff import Backoff
        from reconciler.transports.over_ssh.connecting import connect
        from reconciler.transports.over_ssh.link import Link
        from reconciler.transports.over_ssh.looks import Looks
        from reconciler.transports.over_ssh.running import Running

        self.host = host
        spec = settings or SshTransportSpec()
        backoff = Backoff(spec.retry_after, spec.retry_at_most, monotonic, jitter)
        self._link: Link = Link(host, spec, lambda: connect(host, spec), backoff)
        self._running: Running = Running(self._link)
        self._looks: Looks = Looks(self._link)

    @property
    def traffic(self) -> Traffic:
        """Frames and bytes that looks have cost so far."""
        return self._looks.traffic

    @property
    def connections(self) -> int:
        """How often a connection was made so far."""
        return self._link.connections

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
        try:
            command = wrap(argv, cwd=cwd, env=env)
        except ValueError as error:
            return Completed(NOT_RUNNABLE, stderr=f"{error}\n".encode(errors="backslashreplace"))
        return await self._running.run(command, stdin=stdin, timeout=timeout, limit=limit)

    async def look(self, wants: Sequence[Want]) -> Sequence[Glimpse]:
        """Look at all files in one round trip, with what was found to be there: python3, Perl or SFTP."""
        return await self._looks.look(wants)

    def watch(self, paths: Sequence[str], wake: Callable[[str], None]) -> None:
        """Do nothing: the writers are on other machines than the host itself, whose kernel does not see them."""

    async def close(self) -> None:
        """Kill what still runs and end the connection; nothing works afterwards."""
        await self._running.end()
        self._looks.close()
        await self._link.close()


PLUGIN = Plugin(name="ssh", spec=SshTransportSpec, factory=SshTransport)
