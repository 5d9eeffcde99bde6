"""What a person asks for while another process holds the state: a row that the holder carries out.

Called by commands. Needs no lease, since it only appends; it refuses a state that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from reconciler.errors import StateError
from reconciler.state import connection as db
from reconciler.state.migrations import VERSION, version_of
from reconciler.state.tables import RequestRow, table

_REQUESTS = table(RequestRow)


def add_request(
    path: Path, verb: str, by: str, body: Mapping[str, Any], *, now: float, busy_timeout: float = 10.0
) -> int:
    """Leave a request and return its id; it is gone from `StateReading.requests()` once it was carried out.

    `by` names the person, `now` is in seconds since the epoch. Raises StateError.
    """
    if not path.exists():
        raise StateError(
            f"there is no state {path}", remedy="start `reconcile` first, or name the state with `state.path`"
        )
    connection = db.connect(db.target_of(path, "mode=rw"), busy_timeout, path)
    try:
        with db.transaction(connection, "IMMEDIATE", path):
            if version_of(connection, path) != VERSION:
                raise StateError(
                    f"the state {path} has another version", remedy="use the same reconciler as the one that runs"
                )
            row = {"verb": verb, "by": by, "at": now, "body_json": dict(body)}
            return int(connection.execute(insert(_REQUESTS).values(row).returning(_REQUESTS.c.id)).scalar_one())
    finally:
        db.close(connection)
