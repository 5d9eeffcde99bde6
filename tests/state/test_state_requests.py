"""Requests are left beside the process that holds the state."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from parts.state_values import NOW, opened

from reconciler.errors import StateError
from reconciler.protocols import Batch
from reconciler.state import add_request
from reconciler.state.migrations import VERSION
from reconciler.state.write import StateWriter


def test_a_request_needs_no_lease_and_reaches_the_holder(state: StateWriter, path: Path) -> None:
    one = add_request(path, "suspend", "ada", {"watcher": "w", "until": None}, now=NOW)
    two = add_request(path, "resume", "bob", {}, now=NOW + 1)
    assert [(each.id, each.verb, each.by, each.at) for each in state.requests()] == [
        (one, "suspend", "ada", NOW),
        (two, "resume", "bob", NOW + 1),
    ]
    assert state.requests()[0].body == {"watcher": "w", "until": None}
    state.commit(Batch(facts={"the lease": "is still ours"}))


def test_an_id_is_never_used_twice(state: StateWriter, path: Path) -> None:
    first = add_request(path, "trigger", "ada", {}, now=NOW)
    state.commit(Batch(requests_done=(first,)))
    state.purge(NOW + 100, events=1, metrics=1, watchers=1)
    assert add_request(path, "trigger", "ada", {}, now=NOW) == first + 1


def test_without_a_state_there_is_nobody_to_ask(path: Path) -> None:
    with pytest.raises(StateError, match="there is no state") as caught:
        add_request(path, "trigger", "ada", {}, now=NOW)
    assert "start `reconcile` first" in caught.value.remedy
    assert not path.exists()


def test_a_state_of_another_version_is_left_alone(path: Path) -> None:
    opened(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StateError, match="newer reconciler"):
        add_request(path, "trigger", "ada", {}, now=NOW)


def test_a_locked_state_is_said(state: StateWriter, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match="keeps it locked"):
            add_request(path, "trigger", "ada", {}, now=NOW, busy_timeout=0.05)
