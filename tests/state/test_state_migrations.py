"""Older schemas are brought up to date in place. `version_1.sql` is a state as version 1 wrote it, never edited."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest
from parts.state_values import KEY, NOW, an_event, opened
from sqlalchemy import Connection

from reconciler.errors import StateError, StateHeldError
from reconciler.protocols import Batch, EventFilter
from reconciler.state import connection as db
from reconciler.state import database, migrations, open_readonly
from reconciler.state.migrations import VERSION, upgrade, version_of

#: Two steps from version 1 on, the first with all that the tables of today want.
STEPS = (
    (*chain.from_iterable(migrations.STEPS), "ALTER TABLE facts ADD COLUMN note TEXT"),
    ("CREATE TABLE tags (name TEXT)", "INSERT INTO tags VALUES ('x')"),
)


@pytest.fixture
def old(path: Path) -> Path:
    """A state of version 1."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(Path(__file__).with_name("version_1.sql").read_text())
    return path


def schema(path: Path) -> set[tuple[str, str]]:
    """Return every table and index, without the differences of spelling that ALTER TABLE makes."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        tables = [name for name, sql in found if sql.startswith("CREATE TABLE")]
        columns = {(name, str(row[1:])) for name in tables for row in connection.execute(f"PRAGMA table_info({name})")}
        return columns | {(name, re.sub(r"\s+", " ", sql)) for name, sql in found if name not in tables}


def test_a_state_of_the_first_version_opens_with_all_it_has(old: Path) -> None:
    state = opened(old)
    (watcher,) = state.watchers()
    assert (watcher.name, watcher.job, watcher.variables) == ("w", KEY, {"loss": "5.7"})
    assert (watcher.memory.seen, watcher.holds[0].by) == ({0: NOW}, "ada")
    assert [event.seq for event in state.events(EventFilter())] == [1]
    assert [action.attempts for action in state.pending()] == [1]
    assert [point.value for point in state.metrics(KEY)] == [5.7]
    assert [request.verb for request in state.requests()] == ["trigger"]
    assert state.identity() == "0123456789abcdef0123456789abcdef"
    assert state.commit(Batch(events=(an_event(),))).events[0].seq == 2
    state.close()


def test_an_upgraded_state_has_the_schema_of_a_fresh_one(old: Path, tmp_path: Path) -> None:
    opened(old).close()
    opened(tmp_path / "fresh.db").close()
    assert schema(old) == schema(tmp_path / "fresh.db")


@pytest.fixture
def two_more_versions(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let the program know two versions more than the file has."""

    def with_steps(connection: Connection, version: int) -> None:
        upgrade(connection, version, STEPS)

    for module in (migrations, database):
        monkeypatch.setattr(module, "VERSION", 3)
    monkeypatch.setattr(database, "upgrade", with_steps)
    return 3


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_steps_are_applied_in_order_and_once(old: Path, two_more_versions: int) -> None:
    for _ in range(2):
        state = opened(old)
        assert len(state.watchers()) == 1
        state.release()
        state.close()
        assert version(old) == two_more_versions
        with closing(sqlite3.connect(old)) as connection:
            assert connection.execute("SELECT name FROM tags").fetchall() == [("x",)]
            assert connection.execute("SELECT note FROM facts").fetchone() == (None,)


def test_a_file_between_two_versions_gets_the_steps_it_lacks(old: Path, two_more_versions: int) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript("ALTER TABLE facts ADD COLUMN note TEXT; PRAGMA user_version = 2")
    opened(old).close()
    assert version(old) == two_more_versions


def test_a_step_that_fails_leaves_the_file_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = schema(old)
    for module in (migrations, database):
        monkeypatch.setattr(module, "VERSION", 2)
    broken = ("CREATE TABLE half (x)", "NO SUCH STATEMENT")
    monkeypatch.setattr(database, "upgrade", lambda connection, version: upgrade(connection, version, (broken,)))
    with pytest.raises(StateError):
        opened(old)
    assert (version(old), schema(old)) == (1, before)


def test_a_state_that_an_older_program_holds_is_not_upgraded_under_it(
    old: Path, two_more_versions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        for module in (migrations, database):
            older.setattr(module, "VERSION", 1)
        holder = opened(old)
    with pytest.raises(StateHeldError):
        opened(old)
    assert version(old) == 1
    holder.close()


def test_an_older_state_is_read_without_being_touched(old: Path, two_more_versions: int) -> None:
    before = old.read_bytes()
    reader = open_readonly(old)
    assert [watcher.name for watcher in reader.watchers()] == ["w"]
    with reader._reading() as connection:
        assert connection.exec_driver_sql("SELECT name FROM tags").scalar() == "x"
    reader.close()
    assert old.read_bytes() == before


def test_the_version_of_a_fresh_state_is_the_present_one(path: Path) -> None:
    opened(path).close()
    connection = db.connect(db.target_of(path, "mode=ro"), 1.0, path)
    assert version_of(connection, path) == VERSION
    db.close(connection)
