"""Opening the state: the file, its pragmas and schema, the lease. Called by `app` and by reading commands.

It refuses files that are something else, newer, damaged or held by another process. On network file systems the journal
is not a WAL, whose shared memory works within one machine only.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from sqlalchemy import Connection

from reconciler.errors import StateError
from reconciler.protocols import Clock
from reconciler.settings import Durability, StateSettings
from reconciler.state import connection as db
from reconciler.state.lease import Lease, take
from reconciler.state.migrations import VERSION, create, upgrade, version_of
from reconciler.state.mounts import on_network
from reconciler.state.read import StateReader
from reconciler.state.write import StateWriter

_JOURNAL_LIMIT = 64 * 1024 * 1024  # bytes that the WAL keeps on disk after a burst


def open_state(path: Path, settings: StateSettings, *, clock: Clock) -> StateWriter:
    """Open the state for writing, make or upgrade it where need be, and take the lease.

    Directories are made with mode 0700, the file with 0600. Raises StateHeldError, StateError.
    """
    _make_file(path)
    with ExitStack() as undo:
        connection = db.connect(db.target_of(path, "mode=rw"), settings.busy_timeout, path)
        undo.callback(db.close, connection)
        with db.transaction(connection, "DEFERRED", path):
            version_of(connection, path)  # before anything is set: a file of something else stays as it is
        with db.translated(path):
            db.patiently(lambda: _set_pragmas(connection, path, settings.durability), settings.busy_timeout)
        with db.transaction(connection, "IMMEDIATE", path):
            lease = _prepare(connection, path, settings, clock)
        undo.pop_all()
    return StateWriter(connection, path, lease, clock)


def _make_file(path: Path) -> None:
    try:
        for directory in reversed(path.absolute().parents):
            if not directory.exists():
                directory.mkdir(mode=0o700, exist_ok=True)
        # Never opened where it is there: closing it again would drop SQLite's locks on it in this process.
        if not _is_there(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return  # another process was faster
    except OSError as error:
        raise StateError(
            f"the state {path} cannot be made: {error.strerror}",
            remedy="give its directory to the account that runs reconcile, or name another file in `state.path`",
        ) from error


def _is_there(path: Path) -> bool:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return path.exists()


def _set_pragmas(connection: Connection, path: Path, durability: Durability) -> None:
    full = durability is Durability.FULL
    journal, synchronous = (
        ("WAL", "FULL" if full else "NORMAL") if not on_network(path) else ("DELETE", "EXTRA" if full else "FULL")
    )
    settings = {
        "journal_mode": journal,
        "synchronous": synchronous,
        "journal_size_limit": _JOURNAL_LIMIT,
        "foreign_keys": "ON",
    }
    for name, value in settings.items():
        connection.exec_driver_sql(f"PRAGMA {name} = {value}")
    connection.commit()


def _prepare(connection: Connection, path: Path, settings: StateSettings, clock: Clock) -> Lease:
    version = version_of(connection, path)
    if version == 0:
        create(connection)
    lease = take(connection, clock.now(), settings.lease, path)
    if 0 < version < VERSION:
        upgrade(connection, version)  # after the lease: an older program may be at work on the older tables
    return lease


def open_readonly(path: Path, *, busy_timeout: float = 10.0) -> StateReader:
    """Open the state for reading: nothing is written or left beside it, whether another process writes it or not.

    Where there is none yet, the answer to everything is nothing. An older one is read from a copy that is brought up to
    date. Raises StateError.
    """
    try:
        if not _is_there(path) or path.stat().st_size == 0:
            return StateReader(_fresh(), path)
    except OSError as error:
        raise StateError(f"the state {path} cannot be read: {error.strerror}", remedy="run as its owner") from error
    with ExitStack() as undo:
        connection = db.connect(db.target_of(path, _reading_mode(path)), busy_timeout, path)
        undo.callback(db.close, connection)
        with db.translated(path):
            connection.exec_driver_sql("PRAGMA query_only = ON")
            connection.commit()
        with db.transaction(connection, "DEFERRED", path):
            version = version_of(connection, path)
        if version == VERSION:
            undo.pop_all()
            return StateReader(connection, path)
        return StateReader(_copy(connection, version) if version else _fresh(), path)


def _reading_mode(path: Path) -> str:
    """Return how to open for reading.

    Where there is no WAL and none can be made, nobody is writing. Where it can, SQLite makes one to read by, and only a
    connection that might write takes it away again when it is closed; a journal that holds anything stays as it is.
    """
    journals = [path.with_name(f"{path.name}{end}") for end in ("-wal", "-journal")]
    if not journals[0].exists() and not os.access(path.parent, os.W_OK):
        return "mode=ro&immutable=1"
    left = any(map(_holds_something, journals))
    return "mode=ro" if left or not os.access(path, os.W_OK) else "mode=rw"


def _holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _fresh() -> Connection:
    connection = db.connect(":memory:", 0.0, "in memory")
    with db.transaction(connection, "IMMEDIATE", "in memory"):
        create(connection)
    return connection


def _copy(connection: Connection, version: int) -> Connection:
    copy = db.connect("", 0.0, "copy")  # the empty name is a file of SQLite's own that goes when it is closed
    _sqlite(connection).backup(_sqlite(copy))
    with db.transaction(copy, "IMMEDIATE", "copy"):
        upgrade(copy, version)
    return copy


def _sqlite(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)
