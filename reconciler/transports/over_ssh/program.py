"""A lookout that is a program: its text goes to an interpreter's standard input, requests follow. For `looks.py`.

Nothing is installed or left behind at the far end: the program lives in the interpreter's memory, ends with its input.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from reconciler.protocols import Glimpse, Want
from reconciler.transports.over_ssh import commands
from reconciler.transports.over_ssh.faults import FAULTS
from reconciler.transports.over_ssh.frames import Answers, FrameError, Hello, Record
from reconciler.transports.over_ssh.link import Link
from reconciler.transports.over_ssh.register import Register
from reconciler.transports.over_ssh.session import Session

Program = Literal["python3", "perl"]

# Isolated from the account's own modules, and without bytecode files. The program's length stands on the first line.
_PYTHON = "import sys; i = sys.stdin.buffer; exec(compile(i.read(int(i.readline())), 'lookout', 'exec'))"
_PERL = "binmode STDIN; my $n = <STDIN>; read(STDIN, my $p, $n); eval $p; die $@ if $@"
_START: dict[Program, tuple[str, ...]] = {
    "python3": ("python3", "-I", "-S", "-B", "-c", _PYTHON),
    "perl": ("perl", "-e", _PERL),
}
_TEXT: dict[Program, str] = {"python3": "lookout.py", "perl": "lookout.pl"}
#: Bytes kept of what an interpreter complains about.
_COMPLAINT = 500


class LookoutEndedError(Exception):
    """The lookout is not there (any more); the connection is."""


class LookoutSilentError(Exception):
    """The lookout does not answer: a file system hangs under it, or the host does. It is kept until that is known."""


@dataclass(slots=True)
class Traffic:
    """What passed between this side and its lookouts: frames and bytes."""

    requests: int = 0
    answers: int = 0
    sent: int = 0
    received: int = 0


class ProgramLookout:
    """See the module; `start` makes one."""

    def __init__(self, link: Link, traffic: Traffic) -> None:
        self._link, self._traffic = link, traffic
        self._started: Session | None = None
        self._register = Register()
        self._answers = Answers()
        self._records: list[Record] = []
        self._waiter: asyncio.Future[list[Record]] | None = None
        self._complaint = b""
        self._greeted = False

    @classmethod
    async def start(cls, link: Link, kind: Program, traffic: Traffic) -> ProgramLookout:
        """Return a lookout that has said hello. Raises LookoutEndedError where it cannot run."""
        lookout = cls(link, traffic)
        lookout._started = await link.session(commands.wrap(_START[kind]), lookout._take, lookout._closed)
        said_hello = False
        try:
            text = resources.files(__package__).joinpath(_TEXT[kind]).read_bytes()
            await lookout._ask(b"%d\n%s" % (len(text), text))
            said_hello = True
        finally:
            if not said_hello:
                lookout.close()
        return lookout

    @property
    def _session(self) -> Session:
        if self._started is None:
            raise LookoutEndedError("it was not started")
        return self._started

    @property
    def usable(self) -> bool:
        """False where it has ended, or remembers too much that nobody asks for any more."""
        return not self._session.closed.is_set() and not self._register.full

    async def look(self, wants: Sequence[Want]) -> list[Glimpse]:
        """Return one Glimpse for each Want. Raises LookoutEndedError, LookoutSilentError, HostUnreachableError."""
        frame = self._register.request(wants, self._link.settings.look_bytes)
        self._answers.longest = self._register.longest
        self._traffic.requests += 1
        records = await self._ask(frame)
        self._traffic.answers += 1
        try:
            return self._register.answer(records)
        except FrameError as error:
            raise LookoutEndedError(str(error)) from error

    @property
    def silent(self) -> bool:
        """True while an answer is still owed that was given up."""
        return self._waiter is not None and not self._waiter.done()

    def close(self) -> None:
        """End it: its input is closed."""
        self._session.end()

    async def _ask(self, frame: bytes) -> list[Record]:
        """Send a frame and return the records up to the one that ends its answer."""
        self._records = []
        waiter: asyncio.Future[list[Record]] = asyncio.get_running_loop().create_future()
        waiter.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, also where nobody waits
        self._waiter = waiter
        try:
            self._session.channel.write(frame)
            self._traffic.sent += len(frame)
            await self._patiently(waiter)
            return waiter.result()
        except BrokenPipeError as error:
            raise LookoutEndedError("it had ended before") from error
        except FAULTS as error:
            # Other programs may do well on this connection: where it is dead, its keep-alives will end it.
            if isinstance(error, TimeoutError) and self._greeted and self._link.settings.keepalive_interval:
                raise LookoutSilentError from error
            raise await self._link.broken(self._session.connection, error) from error

    async def _patiently(self, waiter: asyncio.Future[list[Record]]) -> None:
        """Wait for as long as anything arrives: a slow line is not a dead one. Raises TimeoutError after silence."""
        while not waiter.done():
            before = self._traffic.received
            await asyncio.wait([waiter], timeout=self._link.settings.answer_timeout)
            if not waiter.done() and self._traffic.received == before:
                raise TimeoutError("no answer in time")

    def _take(self, error_output: bool, data: bytes) -> None:
        """Take what arrives; called by the session."""
        self._traffic.received += len(data)
        if error_output:
            self._complaint = (self._complaint + data)[-_COMPLAINT:]
            return
        try:
            for record in self._answers.feed(data):
                self._records.append(record)
                self._greeted = self._greeted or isinstance(record, Hello)
                if isinstance(record, Hello) or self._register.ends(record):
                    self._answered()
        except FrameError as error:
            self._failed(LookoutEndedError(str(error)))

    def _answered(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._records)

    def _failed(self, error: BaseException) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _closed(self) -> None:
        """Tell whoever waits; called by the session at its end."""
        fault = self._session_fault()
        if fault is not None:
            self._failed(fault)
        else:
            complaint = self._complaint.decode("utf-8", "replace").strip().splitlines()
            self._failed(LookoutEndedError(complaint[-1] if complaint else "it ended without a word"))

    def _session_fault(self) -> BaseException | None:
        fault = self._started.fault if self._started is not None else None
        return fault if isinstance(fault, FAULTS) else None
