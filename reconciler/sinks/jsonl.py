"""jsonl: the events file, one CloudEvents object a line, that `jq` can follow. The engine's pump writes it.

The file itself says how far it is: its last complete line. It is only ever appended to, a torn last line is cut off,
and what cannot be written whole is not there at all. It refuses anything that is no regular file.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Literal

from pydantic import Field

from reconciler.errors import StateError
from reconciler.events import Event, to_line
from reconciler.registry import Plugin
from reconciler.settings import Section
from reconciler.sinks._recovery import last_seq, whole_bytes
from reconciler.sinks._rotation import Rotation

log = logging.getLogger(__name__)

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


class JsonlSpec(Section):
    """An events file."""

    type: Literal["jsonl"] = "jsonl"
    path: Path
    max_bytes: int = Field(64 * 1024 * 1024, ge=4096, description="rotated when it would grow beyond this")
    backups: int = Field(5, ge=1, le=1000, description="rotated files kept: events.jsonl.1 is the newest")


class JsonLines:
    """The sink.

    `identity` names the state the events come from. `resume_after` is the seq to go on after where the file is not
    there (any more); `newest` the seq of the state's newest event: lines beyond it were written before a power loss
    took the state back.
    """

    def __init__(self, spec: JsonlSpec, identity: str, *, resume_after: int = 0, newest: int | None = None) -> None:
        self._spec = spec
        self._path = spec.path.resolve()  # renames move the file, not a link to it
        self._rotation = Rotation(self._path, spec.backups)
        self._source = f"/reconciler/{identity}"
        self._resume_after = resume_after
        self._newest = newest
        self._seq: int | None = None
        self._file: int | None = None
        self._end = 0  # the length that we left the file with
        self._lock = Lock()  # a write that was cancelled still runs in its thread

    def position(self) -> int:
        """Return the seq of the last event in the file. Raises StateError where the file cannot be used."""
        with self._lock, self._translated():
            self._opened()
            return self._seq or 0

    async def write(self, events: Sequence[Event]) -> None:
        """Append these, but for those that are there already.

        Raises StateError; then the last line is whole all the same.
        """
        await asyncio.to_thread(self._write, events)

    async def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def _write(self, events: Sequence[Event]) -> None:
        with self._lock, self._translated():
            self._opened()
            lines = [(event.seq, to_line(event, self._source)) for event in events if event.seq > (self._seq or 0)]
            while lines:
                fitting = self._fitting([len(line) for _, line in lines])
                self._append(self._opened(), b"".join(line for _, line in lines[:fitting]))
                self._seq = lines[fitting - 1][0]
                lines = lines[fitting:]

    def _fitting(self, lengths: Sequence[int]) -> int:
        """Return how many of the lines fit the file, one at least; rotate first where a file begun has no room."""
        size = os.fstat(self._opened()).st_size
        if size and size + lengths[0] > self._spec.max_bytes:
            self._close()
            self._rotation.rotate()
            size = 0
        ends = accumulate(lengths, initial=size)
        return max(1, sum(end <= self._spec.max_bytes for end in ends) - 1)

    def _append(self, file: int, chunk: bytes) -> None:
        whole = os.fstat(file).st_size
        left = memoryview(chunk)
        try:
            while left:
                left = left[os.write(file, left) :]
            self._end = whole + len(chunk)
        except OSError:
            with suppress(OSError):  # where even that fails, the next opening cuts the torn line
                os.ftruncate(file, whole)
            self._close()
            raise

    def _opened(self) -> int:
        """Return the open file: opened at first, and again where somebody moved or deleted it.

        Where it is not as long as we left it, somebody emptied it, or another process wrote on while this one was
        stopped and taken for dead: what that one wrote is not written again.
        """
        if self._file is not None and self._moved(self._file):
            self._close()
        if self._file is None:
            self._file = self._open()
        elif (size := os.fstat(self._file).st_size) != self._end:
            self._seq = max(self._seq or 0, self._recovered(self._file, whole_bytes(self._file)))
            self._end = size
        return self._file

    def _moved(self, file: int) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(file))
        except FileNotFoundError:
            return True

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as undo:
            file = os.open(self._path, _FLAGS, 0o600)
            undo.callback(os.close, file)
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise StateError(f"{self._path} is no regular file", remedy="name another file for the events")
            whole = whole_bytes(file)
            if whole < found.st_size:
                log.warning("%s: cut a torn last line of %d bytes", self._path, found.st_size - whole)
                os.ftruncate(file, whole)
            recovered = self._recovered(file, whole)
            self._seq = self._bounded(recovered) if self._seq is None else max(self._seq, recovered)
            self._end = whole
            undo.pop_all()
        return file

    def _recovered(self, file: int, whole: int) -> int:
        """Return where to go on after.

        The file is the truth; where it has nothing (deleted, or the crash came between the two steps of a rotation),
        the later of the newest rotated file and what the state knows to have been written.
        """
        seq = last_seq(file, whole, self._source)
        return seq if seq is not None else max(self._rotation.last_seq(self._source), self._resume_after)

    def _bounded(self, seq: int) -> int:
        if self._newest is not None and seq > self._newest:
            log.warning("%s: ends with event %d, the state with %d; a power loss?", self._path, seq, self._newest)
            return self._newest
        return seq

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"the events file {self._path}: {error.strerror}",
                remedy="make room or give the directory to the account that runs reconcile; events wait in the state",
            ) from error


PLUGIN = Plugin("jsonl", JsonlSpec, JsonLines)
