"""Who may write: one row with a fencing number that grows with every holder. Called by `database` and by every write.

A holder that died on this machine is known by its boot, its namespace of process ids, its id and its start; any other
is given its term. It refuses a second writer, and a first one that was taken for dead.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Row, bindparam, select, update
from sqlalchemy.dialects.sqlite import insert

from reconciler.errors import LeaseLostError, StateHeldError
from reconciler.state.tables import LeaseRow, table

_LEASE = table(LeaseRow)
_ROW = select(_LEASE).where(_LEASE.c.id == 1)
_TOKEN = select(_LEASE.c.token).where(_LEASE.c.id == 1)
_MINE = update(_LEASE).where(_LEASE.c.id == 1, _LEASE.c.token == bindparam("mine"))


@dataclass(frozen=True, slots=True)
class Holder:
    """A process, so that another one of the same machine can tell whether it lives.

    `boot` is the kernel's random id of this boot, `pids` the namespace in which `pid` counts, `started` its start in
    clock ticks since the boot (/proc/PID/stat, field 22), which no change of the clock moves.
    """

    host: str
    boot: str
    pids: str
    pid: int
    started: int

    @classmethod
    def this_process(cls) -> Holder:
        """Return the process that asks. What /proc does not tell stays empty; then nobody takes it for dead."""
        return cls(
            host=socket.gethostname(),
            boot=_read(Path("/proc/sys/kernel/random/boot_id")),
            pids=_link(Path("/proc/self/ns/pid")),
            pid=os.getpid(),
            started=_started(os.getpid()) or 0,
        )

    def dead(self, here: Holder) -> bool:
        """Tell whether this process has certainly ended; False where that cannot be seen from the process `here`."""
        if not self.boot or not self.pids or (self.boot, self.pids) != (here.boot, here.pids):
            return False
        return _started(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """Return when a process began, None where it has ended; the name in field 2 of the file may hold anything."""
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write that this process has. Its methods run within a transaction of the caller."""

    token: int

    def check(self, connection: Connection) -> None:
        """Raise LeaseLostError where another process has taken the state over."""
        if connection.execute(_TOKEN).scalar() != self.token:
            raise _lost(connection)

    def renew(self, connection: Connection, now: float) -> None:
        """Count the term from `now` on. Raises LeaseLostError."""
        if not connection.execute(_MINE.values(renewed_at=now), {"mine": self.token}).rowcount:
            raise _lost(connection)

    def release(self, connection: Connection, now: float) -> None:
        """Let the next one have it at once; nothing where it is lost already."""
        connection.execute(_MINE.values(holder=None, renewed_at=now), {"mine": self.token})


def take(connection: Connection, now: float, term: float, what: object) -> Lease:
    """Take the lease; `term`: seconds without a sign of life after which a holder is passed over.

    Raises StateHeldError.
    """
    here = Holder.this_process()
    row = connection.execute(_ROW).one_or_none()
    if row is not None and row.holder is not None:
        _refuse_while_held(row, here, now, term, what)
    token = row.token + 1 if row is not None else 1
    fresh = {"id": 1, "token": token, "holder": json.dumps(asdict(here)), "since": now, "renewed_at": now}
    connection.execute(insert(_LEASE).values(fresh).on_conflict_do_update(index_elements=["id"], set_=fresh))
    return Lease(token)


def _refuse_while_held(row: Row[tuple[object, ...]], here: Holder, now: float, term: float, what: object) -> None:
    holder = _holder_of(row)
    left = row.renewed_at + term - now
    if holder.dead(here) or left <= 0:
        return
    raise StateHeldError(
        f"the state {what} is held by {holder} since {_shown(row.since)}, last heard of {_shown(row.renewed_at)}",
        remedy=f"stop that process, or wait: without a sign of life it may be taken over in {left:.0f} s",
    )


def _lost(connection: Connection) -> LeaseLostError:
    row = connection.execute(_ROW).one_or_none()
    other = _holder_of(row) if row is not None and row.holder is not None else "another process"
    return LeaseLostError(
        f"the state was taken over by {other} while this process gave no sign of life",
        remedy="leave it to that one; nothing of what was asked here was written",
    )


def _holder_of(row: Row[tuple[object, ...]]) -> Holder:
    found: Mapping[str, object] = json.loads(row.holder)
    return Holder(**found)  # type: ignore[arg-type]


def _shown(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
