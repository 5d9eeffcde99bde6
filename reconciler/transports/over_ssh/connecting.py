"""One connection to one host, through all its jump hosts, with every key checked. `link.py` calls it.

What the settings leave open is taken from the OpenSSH configuration, as `ssh HOST` would. A host key that no
known_hosts file vouches for is refused, whatever the configuration says.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from reconciler.errors import HostUnreachableError
from reconciler.transports.over_ssh.faults import FAULTS, unreachable
from reconciler.transports.over_ssh.spec import SshTransportSpec

#: Unanswered keep-alives that end a connection.
KEEPALIVES = 3
#: Seconds that an ended connection may take to let go of what it holds here.
LET_GO = 5.0
#: Jump hosts may have jump hosts of their own in the configuration; a ring of them ends here.
_DEEPEST = 8
_USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_SYSTEM_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_CONFIGURATION = ("~/.ssh/config", "/etc/ssh/ssh_config")


class Way:
    """A connection with the connections to the jump hosts that it goes through."""

    def __init__(self, hops: Sequence[asyncssh.SSHClientConnection]) -> None:
        self._hops = tuple(hops)

    @property
    def connection(self) -> asyncssh.SSHClientConnection:
        """The connection to the host itself."""
        return self._hops[-1]

    @property
    def open(self) -> bool:
        """False as soon as it is known that the connection is gone."""
        return not self.connection.is_closed()

    async def close(self) -> None:
        """End all of it at once; nothing that hangs at the far end can hold this up."""
        for hop in reversed(self._hops):
            await _end(hop)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one hop goes; None is what the configuration says. `jump` None: likewise."""

    host: str
    port: int | None = None
    user: str | None = None
    jump: tuple[str, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """Return the place that `[USER@]HOST[:PORT]` means; an IPv6 address stands in brackets."""
        user, _, rest = text.rpartition("@")
        host, colon, port = rest.rpartition(":") if not rest.endswith("]") else (rest, "", "")
        if not colon or not port.isdigit():
            host, port = rest, ""
        return cls(host.strip("[]"), int(port) if port else None, user or None)


async def connect(host: str, settings: SshTransportSpec) -> Way:
    """Return the way to a host. Raises HostUnreachableError with what to do."""
    place = Place(settings.address or host, settings.port, settings.user, settings.jump)
    road = _Road(host, settings)
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await road.extend(place, stack)
        except TimeoutError as error:
            raise road.fault(error) from error
        stack.pop_all()
    return Way(road.hops)


class _Road:
    """The hops so far; `at` is the one that is being tried, for the error's remedy."""

    def __init__(self, host: str, settings: SshTransportSpec) -> None:
        self._host, self._settings = host, settings
        self._at = (settings.address or host, settings.port or 22)
        self.hops: list[asyncssh.SSHClientConnection] = []

    def fault(self, error: BaseException) -> HostUnreachableError:
        """Return what to raise for this."""
        target, port = self._at
        known_hosts = str(self._settings.known_hosts or "")
        return unreachable(self._host, error, target=target, port=port, known_hosts=known_hosts)

    async def extend(self, place: Place, stack: contextlib.AsyncExitStack, depth: int = 0) -> None:
        """Connect to a place through its jump hosts; the stack ends what was opened."""
        if depth > _DEEPEST:
            raise HostUnreachableError(
                f"{self._host}: its jump hosts lead in a ring",
                remedy="see ProxyJump in the configuration, or set `jump`",
            )
        try:
            options = await self._options(place)
        except FAULTS as error:
            raise self.fault(error) from error
        for jump in _jumps(place, options):
            await self.extend(jump, stack, depth + 1)
        self._at = (options.host, options.port)
        try:
            hop = await asyncssh.connect(
                place.host,
                options=options,
                config=None,
                tunnel=self.hops[-1] if self.hops else None,
                known_hosts=_known_hosts(options, self._settings),
            )
        except FAULTS as error:
            raise self.fault(error) from error
        stack.push_async_callback(_end, hop)
        self.hops.append(hop)

    async def _options(self, place: Place) -> asyncssh.SSHClientConnectionOptions:
        settings = self._settings
        given = {
            "port": place.port,
            "username": place.user,
            "client_keys": [str(path.expanduser()) for path in settings.identity_files] or None,
        }
        options: asyncssh.SSHClientConnectionOptions = await asyncssh.SSHClientConnectionOptions.construct(
            None,
            config=_configuration(settings),
            host=place.host,
            # An encrypted key is the agent's to use: nobody is there to be asked for its passphrase.
            ignore_encrypted=True,
            password_auth=False,
            kbdint_auth=False,
            agent_forwarding=False,
            x11_forwarding=False,
            keepalive_interval=settings.keepalive_interval,
            keepalive_count_max=KEEPALIVES,
            login_timeout=settings.connect_timeout,
            **{name: value for name, value in given.items() if value is not None},
        )
        return options


def _jumps(place: Place, options: asyncssh.SSHClientConnectionOptions) -> Iterator[Place]:
    """Yield the hosts to go through: those of the settings, else those of the configuration."""
    if place.jump is not None:
        yield from map(Place.parse, place.jump)
    elif isinstance(options.tunnel, str):
        yield from (Place.parse(jump.strip()) for jump in options.tunnel.split(","))


def _configuration(settings: SshTransportSpec) -> list[str]:
    if settings.config_file is not None:
        return [str(settings.config_file.expanduser())]
    return _readable(_CONFIGURATION)


def _known_hosts(options: asyncssh.SSHClientConnectionOptions, settings: SshTransportSpec) -> list[str] | bytes:
    """Return the files that vouch for host keys; b"" (nobody is known) where there are none, never "do not check"."""
    if settings.known_hosts is not None:
        files = _readable([str(settings.known_hosts)])
    elif isinstance(options.known_hosts, list) and options.known_hosts:
        files = _readable([*map(str, options.known_hosts), *_SYSTEM_KNOWN_HOSTS])
    elif options.known_hosts is None:  # `UserKnownHostsFile none`
        files = _readable(_SYSTEM_KNOWN_HOSTS)
    else:
        files = _readable([*_USER_KNOWN_HOSTS, *_SYSTEM_KNOWN_HOSTS])
    return files or b""


def _readable(files: Sequence[str]) -> list[str]:
    paths = [Path(file).expanduser() for file in files]
    return [str(path) for path in paths if path.is_file()]


async def _end(hop: asyncssh.SSHClientConnection) -> None:
    hop.abort()
    with contextlib.suppress(*FAULTS):
        async with asyncio.timeout(LET_GO):
            await hop.wait_closed()
