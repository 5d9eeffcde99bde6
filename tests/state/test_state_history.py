"""Questions about events cost the same however many events there are; counted in SQLite's own steps, not by a clock."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from parts.long_history import ACTIONS, fill, questions
from parts.state_values import NOW, opened
from sqlalchemy.exc import OperationalError

from reconciler.protocols import EventFilter
from reconciler.state import history
from reconciler.state.write import StateWriter

#: SQLite reports after so many of its steps.
GRAIN = 100
FEW, MANY = 2_000, 40_000


def filled(path: Path, total: int) -> StateWriter:
    """A state with so many events of a hundred days."""
    made = opened(path)
    made.release()
    made.close()
    fill(path, total, NOW)
    return opened(path)


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, StateWriter]]:
    """A state with few events, and one with many."""
    home = tmp_path_factory.mktemp("history")
    found = {total: filled(home / f"{total}.db", total) for total in (FEW, MANY)}
    yield found
    for state in found.values():
        state.close()


def raw(state: StateWriter) -> sqlite3.Connection:
    connection = state._connection.connection.driver_connection
    assert isinstance(connection, sqlite3.Connection)
    return connection


def steps(state: StateWriter, question: str, total: int) -> int:
    """Return how many hundreds of steps SQLite takes for a question."""
    count = 0

    def tell() -> int:
        nonlocal count
        count += 1
        return 0

    raw(state).set_progress_handler(tell, GRAIN)
    try:
        questions(state, total, NOW)[question]()
    finally:
        raw(state).set_progress_handler(None, GRAIN)
    return count


@pytest.mark.parametrize("question", questions(None, 0, NOW))  # type: ignore[arg-type]
def test_a_question_costs_the_same_with_twenty_times_the_events(
    states: dict[int, StateWriter], question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "FEW", 500)  # as many as these states are smaller than large ones
    few, many = (steps(state, question, total) for total, state in states.items())
    # what is rare has no hundred rows in the small state
    assert many <= max(2 * few, few + 150), f"{few} hundred steps with {FEW:,} events, {many} with {MANY:,}"


def test_counting_steps_sees_a_question_that_goes_through_all_events(states: dict[int, StateWriter]) -> None:
    counts = []
    for state in states.values():
        found: list[int] = []
        raw(state).set_progress_handler(lambda found=found: found.append(1) or 0, GRAIN)  # type: ignore[misc]
        raw(state).execute("SELECT count(*) FROM watcher_events WHERE +hostname = 'nowhere'").fetchall()
        raw(state).set_progress_handler(None, GRAIN)
        counts.append(len(found))
    assert counts[1] > 10 * counts[0]


FILTERS = {
    "watcher_id": 42, "job_id": "job17", "watcher": "watcher 3", "hostname": "hpc3", "types": ACTIONS,
    "since": NOW - 86_400 * 20, "newest": True, "after_seq": 7, "before_seq": MANY - 7,
}  # fmt: skip


def test_every_filter_with_every_other_gives_what_going_through_all_events_gives(
    states: dict[int, StateWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = states[FEW]
    everything = state.events(EventFilter(limit=FEW))
    assert len(everything) == FEW
    for few in (10, 50_000):
        monkeypatch.setattr(history, "FEW", few)
        for names in itertools.chain(*(itertools.combinations(FILTERS, count) for count in (1, 2, 3))):
            wanted = EventFilter(limit=25, **{name: FILTERS[name] for name in names})  # type: ignore[arg-type]
            passing = [
                event for event in everything
                if wanted.watcher_id in (None, event.watcher_id) and wanted.job_id in (None, event.job_id)
                and wanted.watcher in (None, event.watcher) and wanted.hostname in (None, event.hostname)
                and (not wanted.types or str(event.type) in wanted.types)
                and event.at >= (wanted.since or 0) and wanted.after_seq < event.seq
                and event.seq < (wanted.before_seq or MANY)
            ]  # fmt: skip
            expected = passing[-25:] if wanted.newest else passing[:25]
            assert list(state.events(wanted)) == expected, names


def test_no_walk_sorts_or_goes_through_the_whole_table(states: dict[int, StateWriter]) -> None:
    state = states[MANY]
    for names in itertools.chain(*(itertools.combinations(FILTERS, count) for count in (1, 2, 3))):
        wanted = EventFilter(limit=25, **{name: FILTERS[name] for name in names})  # type: ignore[arg-type]
        said: list[str] = []
        raw(state).set_trace_callback(said.append)
        state.events(wanted)
        raw(state).set_trace_callback(None)
        for statement in said:
            if statement.startswith("SELECT"):
                plan = [row[3] for row in raw(state).execute(f"EXPLAIN QUERY PLAN {statement}")]
                scans = [step for step in plan if re.match(r"SCAN watcher_events(?! USING (COVERING )?INDEX)", step)]
                assert scans == [], (names, plan)


def test_an_older_state_gets_the_indices_and_keeps_its_events(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(Path(__file__).with_name("version_1.sql").read_text())
    with closing(opened(path)) as state:
        assert [event.seq for event in state.events(EventFilter())] == [1]
        with pytest.raises(OperationalError, match="no such index"):
            state._connection.exec_driver_sql("SELECT id FROM watcher_events INDEXED BY watcher_events_job")
