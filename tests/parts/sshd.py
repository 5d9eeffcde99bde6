"""A real sshd of the test's own: one loopback port, its own host key, one client key, no root needed.

Fixtures: `sshd` (the server), `far` (an SshTransport to it). Tests that use them carry `@pytest.mark.ssh`.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncssh
import psutil
import pytest

from parts.ports import free_port
from parts.presence import program
from parts.waiting import soon
from reconciler.model import HostName
from reconciler.transports.over_ssh.spec import SshTransportSpec
from reconciler.transports.ssh import SshTransport

CONF = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host_key
PidFile {home}/sshd.pid
AuthorizedKeysFile {home}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 100
LoginGraceTime 30
PrintMotd no
Subsystem sftp internal-sftp
SetEnv {env}
"""

#: What programs at the far end find. HOME is the server's own directory: no start-up files of this machine's account.
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

HOST = HostName("far")


class Sshd:
    """One server. `stop`, `drop` and `paused` are the outages."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.known_hosts = home / "known_hosts"
        self.client_key = home / "client_key"
        self._server: subprocess.Popen[bytes] | None = None
        self._more = ""
        self._starts = 0
        self._said = 0
        self._env: Mapping[str, str] = {}

    def start(self) -> None:
        """Return when it listens."""
        env = {"HOME": str(self.home), "PATH": PATH, **self._env}
        words = " ".join(f'"{name}={value}"' for name, value in env.items())
        text = self._more + CONF.format(port=self.port, home=self.home, env=words)
        (self.home / "sshd_config").write_text(text)
        self._starts += 1
        self._spawn()
        soon(self._listens)

    def _spawn(self) -> None:
        with (self.home / "sshd.out").open("ab") as out:
            self._said = out.tell()
            self._server = subprocess.Popen(
                [program("sshd", "openssh-server"), "-D", "-e", "-f", str(self.home / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End the server and every connection."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.send_signal(signal.SIGSTOP)  # no new connections while the present ones end
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(server.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        server.kill()
        server.wait()

    def restart(self, more: str = "", **env: str) -> None:
        """Start again on the same port, with these lines in front of the configuration, and these variables set."""
        self.stop()
        self._more, self._env = more and f"{more}\n", env
        self.start()

    @property
    def connections(self) -> list[psutil.Process]:
        """The servers of single connections."""
        return [process for process, name in self._below() if name == "sshd"]

    @property
    def programs(self) -> list[psutil.Process]:
        """What runs at the far end of the connections."""
        return [process for process, name in self._below() if name != "sshd"]

    def drop(self) -> None:
        """End every connection in the middle of whatever it does."""
        for process in self.connections:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let every connection, and the server itself, hold still and answer nobody."""
        assert self._server is not None
        held = [psutil.Process(self._server.pid), *self.connections]
        for process in held:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended since it was listed
                process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in held:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)

    def settings(self, **more: Any) -> SshTransportSpec:
        """Return settings that reach it, with short pauses."""
        given: dict[str, Any] = {
            "address": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "identity_files": (self.client_key,),
            "known_hosts": self.known_hosts,
            "config_file": self.home / "ssh_config",
            "retry_after": 0.01,
            "answer_timeout": 10.0,
        }
        return SshTransportSpec(**{**given, **more})

    @contextlib.asynccontextmanager
    async def transport(self, **more: Any) -> AsyncIterator[SshTransport]:
        """A transport to it; `more` are settings."""
        made = SshTransport(HOST, self.settings(**more))
        try:
            yield made
        finally:
            await made.close()

    def _below(self) -> list[tuple[psutil.Process, str]]:
        """Return what lives below the server, with its names; processes may vanish at any moment."""
        assert self._server is not None
        alive = []
        for process in psutil.Process(self._server.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() != psutil.STATUS_ZOMBIE:
                    alive.append((process, process.name()))
        return alive

    def _listens(self) -> bool:
        assert self._server is not None
        ended = self._server.poll() is not None  # first: what it says, it says before it ends
        said = (self.home / "sshd.out").read_text()
        if ended:
            assert "in use" in said[self._said :], said
            self._spawn()  # while it was away its port was somebody else's
            return False
        # Its own word: a connection that only asks would count among the connections.
        return said.count("Server listening on") == self._starts


def make_keys(home: Path) -> None:
    """Make the keys of a server and of its client."""
    for name in ("host_key", "client_key"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(home / name)
        key.write_public_key(home / f"{name}.pub")
        (home / name).chmod(0o600)
    shutil.copy(home / "client_key.pub", home / "authorized_keys")
    (home / "ssh_config").touch()


@contextlib.contextmanager
def serving(keys: Path) -> Iterator[Sshd]:
    """Start a server with these keys, in a directory of its own."""
    program("sshd", "openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd separates its privileges there
    home = Path(tempfile.mkdtemp(prefix="sshd-"))
    shutil.copytree(keys, home, dirs_exist_ok=True)
    server = Sshd(home)
    host_key = (home / "host_key.pub").read_text()
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {host_key}")
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def ssh_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the keys of every sshd of the session, and of its client."""
    home = tmp_path_factory.mktemp("ssh-keys")
    make_keys(home)
    return home


@pytest.fixture
def sshd(ssh_keys: Path) -> Iterator[Sshd]:
    """A server of the test's own."""
    with serving(ssh_keys) as server:
        yield server


@pytest.fixture
async def far(sshd: Sshd) -> AsyncIterator[SshTransport]:
    """A transport to the server."""
    async with sshd.transport() as made:
        yield made
