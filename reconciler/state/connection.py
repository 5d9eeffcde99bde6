"""One SQLite connection: how it is opened, what one transaction is, and how SQLite's errors become ours.

Called by everything in this room that touches the database. Refuses to decide by an error's text: SQLite's code
decides.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from reconciler.errors import StateError

_BUSY_PAUSE = 0.01  # seconds
_CLEAR_SPACE = (
    "make room on that file system (`df`), or lower `state.retain_events`; nothing was written, it goes on by itself"
)
_RESTORE = (
    "move the file and its -wal aside and restore a copy, or salvage it: sqlite3 state.db .recover | sqlite3 new.db"
)
_REMEDIES = {
    sqlite3.SQLITE_FULL: ("the disk is full", _CLEAR_SPACE),
    sqlite3.SQLITE_BUSY: (
        "another process keeps it locked",
        "look who has it open (`fuser`), or raise `state.busy_timeout`",
    ),
    sqlite3.SQLITE_LOCKED: ("another process keeps it locked", "look who has it open (`fuser`)"),
    sqlite3.SQLITE_READONLY: (
        "it may not be written",
        "give the file and its directory to the account that runs reconcile",
    ),
    sqlite3.SQLITE_PERM: ("access is denied", "give the file and its directory to the account that runs reconcile"),
    sqlite3.SQLITE_CANTOPEN: (
        "it cannot be opened",
        "check that the directory exists and that this account may use it",
    ),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", _RESTORE),
    sqlite3.SQLITE_NOTADB: (
        "the file is no SQLite database",
        "name another file in `state.path`, or move this one aside",
    ),
    sqlite3.SQLITE_IOERR: ("the file system reports an error", "check the disk and `dmesg`; nothing was written"),
}


def connect(target: str, busy_timeout: float, what: object) -> Connection:
    """Open a connection that only `transaction` begins transactions on; `target` is an SQLite URI, `what` names it.

    It may be used from any thread, by one at a time. Raises StateError.
    """

    def creator() -> sqlite3.Connection:
        return sqlite3.connect(target, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False)

    with translated(what):
        return create_engine("sqlite://", creator=creator, poolclass=StaticPool).connect()


def target_of(path: Path, mode: str) -> str:
    """Return the SQLite URI of a file; `mode` is the query behind it (`mode=ro`)."""
    return f"{path.absolute().as_uri()}?{mode}"


@contextmanager
def translated(what: object) -> Iterator[None]:
    """Turn SQLite's errors into StateError with a remedy; `what` names the database."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise _state_error(what, error) from error


def patiently(step: Callable[[], None], seconds: float) -> None:
    """Repeat `step`, which may be done twice, while the database is busy, for up to `seconds`.

    SQLite does not wait by itself where two that wait could block each other, as in a change of the journal mode.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return step()
        except DBAPIError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(_BUSY_PAUSE)


def _code(error: DBAPIError | sqlite3.Error) -> int:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return int(getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _state_error(what: object, error: DBAPIError | sqlite3.Error) -> StateError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    reason, remedy = _REMEDIES.get(
        _code(error), ("SQLite refused", "this is a fault in the program: report it with the message")
    )
    return StateError(f"the state {what}: {reason} ({cause})", remedy=remedy)


@contextmanager
def transaction(connection: Connection, kind: Literal["DEFERRED", "IMMEDIATE"], what: object) -> Iterator[Connection]:
    """One transaction: all that happens within is written at its end, or nothing is where anything raises.

    IMMEDIATE takes the write lock at once, since a reader that becomes a writer would fail instead of waiting. After an
    error, of COMMIT too, the connection is as good as before.
    """
    with translated(what), connection.begin():
        connection.exec_driver_sql(f"BEGIN {kind}")
        yield connection


def close(connection: Connection) -> None:
    """Close for good."""
    connection.close()
    connection.engine.dispose()
