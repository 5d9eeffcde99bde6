"""One command on the host: its outputs after the preface, its process id, its end. `link.py` starts it.

It takes no decisions: what an end without an exit status means, its owners say.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import asyncssh

from reconciler.transports.over_ssh.commands import Preface


class ShellError(Exception):
    """The account's login shell does not run what it is given."""


class Session(asyncssh.SSHClientSession[bytes]):
    """Callbacks of one channel: `take(error_output, data)` gets what the program prints, `ended()` tells its end."""

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        take: Callable[[bool, bytes], None],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.connection = connection
        self._take, self._ended = take, ended
        self._prefaces = {False: Preface(), True: Preface()}
        #: Set once the program was started, to its process id (and group).
        self.started: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()
        self.status: int | None = None
        self.fault: BaseException | None = None
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None

    @property
    def process(self) -> int | None:
        """The program's process id, which is that of its group too; None where it is not known."""
        done = self.started.done() and self.started.exception() is None
        return self.started.result() if done else None

    @property
    def channel(self) -> asyncssh.SSHClientChannel[bytes]:
        """What to write to. Raises BrokenPipeError where there is nobody to write to."""
        if self._channel is None or self.closed.is_set():
            raise BrokenPipeError("the channel is not open")
        return self._channel

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """The channel is there, its command not yet."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Pass on what the program prints, and notice that it was started."""
        error_output = datatype == asyncssh.EXTENDED_DATA_STDERR
        preface = self._prefaces[error_output]
        try:
            rest = preface.feed(data)
        except ValueError as error:
            self._not_started(error)
            return
        if not error_output and preface.passed and not self.started.done():
            self.started.set_result(preface.process)
        if rest:
            self._take(error_output, rest)

    def exit_status_received(self, status: int) -> None:
        """It ended by itself."""
        self.status = status
        self.exited.set()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """A signal ended it."""
        self.status = -number(signal)
        self.exited.set()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The channel is gone: at the program's end, or with the connection."""
        self.fault = exc
        noise = self._prefaces[False].noise + self._prefaces[True].noise
        self._not_started(exc or ShellError(noise.decode("utf-8", "replace").strip()[-200:]))
        self.exited.set()
        self.closed.set()
        self._ended()

    def end(self) -> None:
        """Let go of the channel; what still runs at the far end is not touched."""
        if self._channel is not None:
            self._channel.abort()

    def _not_started(self, error: BaseException) -> None:
        if not self.started.done():
            self.started.set_exception(error)
            self.started.exception()  # marked as seen: an owner that was cancelled does not ask


def number(name: str) -> int:
    """Return a signal's number; of one that this machine does not know (`SIG@openssh.com`) only that it killed."""
    found = getattr(signal, f"SIG{name}", signal.SIGKILL)
    return int(found)
