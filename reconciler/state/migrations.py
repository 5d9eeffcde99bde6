"""The versions of the schema, and how a database of an older one is brought up to the present in place.

`PRAGMA user_version` says which version a file has. Called by `database` within one transaction: a step that fails
leaves the file as it was. A fresh file is made from the tables as they are now; a test holds that both ways end in the
same schema.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import Connection, insert

from reconciler.errors import StateError
from reconciler.state.tables import Fact, StateTable, table

Step = Sequence[str]

#: Statements that lead from version 1 to 2, from 2 to 3, ...
STEPS: tuple[Step, ...] = (
    (
        "DROP INDEX watcher_events_watcher",
        "DROP INDEX watcher_events_job",
        "CREATE INDEX watcher_events_watcher_type ON watcher_events (watcher_id, type, id)",
        "CREATE INDEX watcher_events_job_type ON watcher_events (job_id, type, id)",
        "CREATE INDEX watcher_events_host ON watcher_events (hostname, id)",
    ),
    (
        "ALTER TABLE checkpoints ADD COLUMN taken_json TEXT",
        "ALTER TABLE checkpoints ADD COLUMN read_at TEXT",
    ),
    ("ALTER TABLE pending_actions ADD COLUMN progress_json TEXT",),
)

#: The version of the tables as `tables` declares them.
VERSION = len(STEPS) + 1

#: The fact that names a state: made once, copied with the file.
IDENTITY = "state.identity"


def version_of(connection: Connection, what: object) -> int:
    """Return the version of the schema, 0 for an empty file. Raises StateError for files that are not to be touched."""
    version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if version > VERSION:
        raise StateError(
            f"the state {what} was written by a newer reconciler (schema {version}, this one knows {VERSION})",
            remedy="upgrade reconciler on this machine, or name another file in `state.path`",
        )
    if version == 0 and connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one():
        raise StateError(f"{what} is a database of something else", remedy="name another file in `state.path`")
    return version


def create(connection: Connection) -> None:
    """Make the tables in an empty file, and the identity of the state."""
    StateTable.metadata.create_all(connection, checkfirst=False)
    connection.execute(insert(table(Fact)), {"name": IDENTITY, "value": secrets.token_hex(16)})
    connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")


def upgrade(connection: Connection, version: int, steps: Sequence[Step] = STEPS) -> None:
    """Apply the steps that a file of this version lacks."""
    for step in steps[version - 1 :]:
        for statement in step:
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"PRAGMA user_version = {len(steps) + 1}")
