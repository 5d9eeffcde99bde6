"""The one writer: a Batch becomes one transaction. Made by `database.open_state`, used by the engine through `thread`.

Every transaction checks the fencing number first, so that a process which was taken for dead writes nothing more. It
refuses to write in part: an error leaves everything as it was, and the connection in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from reconciler.protocols import Batch, Clock, Committed
from reconciler.state import connection as db
from reconciler.state.batch import write_batch
from reconciler.state.lease import Lease
from reconciler.state.read import StateReader
from reconciler.state.retention import Cutoffs, sweep


class StateWriter(StateReader):
    """protocols.StateWriting over the connection of the holder of the lease."""

    def __init__(self, connection: Connection, path: Path, lease: Lease, clock: Clock) -> None:
        super().__init__(connection, path)
        self._lease = lease
        self._clock = clock

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with db.transaction(self._connection, "IMMEDIATE", self.path) as connection:
            self._lease.check(connection)
            yield connection

    def commit(self, batch: Batch) -> Committed:
        """Write the batch, all or nothing. Raises StateError, LeaseLostError."""
        with self._writing() as connection:
            return write_batch(connection, batch, self._clock.now())

    def renew(self, now: float) -> None:
        """Keep the lease for another term. Raises LeaseLostError, StateError."""
        with db.transaction(self._connection, "IMMEDIATE", self.path) as connection:
            self._lease.renew(connection, now)

    def release(self) -> None:
        """Give the lease up, so that the next one need not wait; nothing where another has it."""
        with db.transaction(self._connection, "IMMEDIATE", self.path) as connection:
            self._lease.release(connection, self._clock.now())

    def purge(self, now: float, *, events: float, metrics: float, watchers: float) -> int:
        """Delete some thousands of rows older than these ages (seconds); return how many: call again until 0."""
        with self._writing() as connection:
            return sweep(connection, Cutoffs(now - events, now - metrics, now - watchers))
