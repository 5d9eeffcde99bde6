"""One program of this machine, run without a shell: exact arguments, bounded output, an end that takes its children.

Called by `local`. It refuses nothing: a program that cannot be started is an exit status, as a shell gives it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from reconciler.errors import UnavailableError
from reconciler.protocols import Completed

NOT_FOUND = 127
NOT_RUNNABLE = 126
#: Seconds that outputs may stay open after their program's end: a background child may hold them for ever.
DRAIN = 0.5
#: Seconds that a killed program may take to vanish; one in an uninterruptible system call is left to the kernel.
REAP = 5.0
#: The machine is short of something; that says nothing of the program.
_SHORTAGE = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})


class _Outputs(asyncio.SubprocessProtocol):
    """Keeps up to `limit` bytes of each output and reads on, so that the program never blocks on a full pipe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept = {1: bytearray(), 2: bytearray()}
        self.cut = False
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()
        self._open = {1, 2}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        kept = self.kept[fd]
        room = self.limit - len(kept)
        self.cut = self.cut or len(data) > room
        kept += data[: max(0, room)]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        if not self._open:
            self.closed.set()

    def process_exited(self) -> None:
        self.exited.set()


class Running:
    """The programs that one transport has running; `end` kills them all."""

    def __init__(self) -> None:
        self._transports: set[asyncio.SubprocessTransport] = set()

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes,
        timeout: float,
        cwd: str | None,
        env: Mapping[str, str] | None,
        limit: int,
    ) -> Completed:
        """See `protocols.Transport.run`."""
        outputs = _Outputs(limit)
        starting = asyncio.ensure_future(
            asyncio.get_running_loop().subprocess_exec(
                lambda: outputs,
                *argv,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                cwd=cwd,
                env=env,
                start_new_session=True,
            )
        )
        try:
            transport, _ = await asyncio.shield(starting)
        except asyncio.CancelledError:  # a start that is broken off kills the program alone, and waits for its children
            await asyncio.wait([starting])
            if starting.exception() is None:
                await _finish(starting.result()[0], outputs)
            raise
        except (OSError, ValueError) as error:
            return _not_started(argv, error)
        self._transports.add(transport)
        try:
            _feed(transport, stdin)
            async with asyncio.timeout(timeout):
                await outputs.exited.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN):
                    await outputs.closed.wait()
        finally:
            self._transports.discard(transport)
            await _finish(transport, outputs)
        status = transport.get_returncode()
        return Completed(
            status if status is not None else -signal.SIGKILL,
            bytes(outputs.kept[1]),
            bytes(outputs.kept[2]),
            outputs.cut,
        )

    def end(self) -> None:
        """Kill every program with its children; the `run`s in progress then return."""
        for transport in self._transports:
            _kill(transport)


def _not_started(argv: Sequence[str], error: OSError | ValueError) -> Completed:
    """Translate a failed start into what a shell would report."""
    if isinstance(error, OSError) and error.errno in _SHORTAGE:
        raise UnavailableError(f"cannot start {argv[0]}: {error.strerror}") from error
    absent = isinstance(error, FileNotFoundError) and error.filename == argv[0]
    return Completed(NOT_FOUND if absent else NOT_RUNNABLE, stderr=f"{error}\n".encode(errors="backslashreplace"))


def _feed(transport: asyncio.SubprocessTransport, stdin: bytes) -> None:
    pipe = transport.get_pipe_transport(0)
    if isinstance(pipe, asyncio.WriteTransport):
        pipe.write(stdin)  # kept in memory and written as the program reads; a program that does not is no error
        pipe.close()


async def _finish(transport: asyncio.SubprocessTransport, outputs: _Outputs) -> None:
    """Kill what has not ended, wait until it is reaped, and let go of the pipes."""
    try:
        if not outputs.exited.is_set():
            _kill(transport)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REAP):
                    await outputs.exited.wait()
    finally:
        transport.close()


def _kill(transport: asyncio.SubprocessTransport) -> None:
    if transport.get_returncode() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # ended meanwhile; setuid
            os.killpg(transport.get_pid(), signal.SIGKILL)
