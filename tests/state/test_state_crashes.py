"""kill -9 within commits, a full disk, a locked database: all or nothing, and it goes on."""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from parts.state_values import a_watcher, an_event, columns, opened
from state_programs import EVENTS_A_BATCH, advanced

from reconciler.errors import StateError
from reconciler.model import StreamName, Watcher
from reconciler.protocols import Batch, EventFilter
from reconciler.state.write import StateWriter

PROGRAM = Path(__file__).with_name("state_programs.py")
KILLS = 100 if os.environ.get("RECONCILER_CAMPAIGN") == "long" else 6


def pour_and_kill(path: Path, lines: int) -> int:
    """Let a process commit, kill it in the midst of that, return the last number it said to be committed."""
    with subprocess.Popen([sys.executable, str(PROGRAM), "pour", str(path), "30"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.read().splitlines()
    return int(said[-1])


def test_killed_at_any_instant_a_batch_is_there_whole_or_not_at_all(path: Path) -> None:
    said = 0
    for kill in range(KILLS):
        said = max(said, pour_and_kill(path, 1 + 5 * (kill % 6)))
        state = opened(path)
        (watcher,) = state.watchers()
        number = watcher.trigger_count
        assert number >= said
        assert watcher.variables == {"number": str(number)}
        assert watcher.checkpoints[StreamName.STDOUT].offset == number
        assert [point.value for point in state.metrics(watcher.job)] == [float(each) for each in range(1, number + 1)]
        assert [action.group for action in state.pending()] == list(range(1, number + 1))
        found = state.events(EventFilter(limit=10**6))
        assert [event.seq for event in found] == list(range(1, number * EVENTS_A_BATCH + 1))
        assert [int(event.subject) for event in found[::EVENTS_A_BATCH]] == list(range(1, number + 1))
        state.release()
        state.close()


# --- a full disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mounted)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mounting takes root: {done.stderr.decode().strip()}")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)


def fill_up(state: StateWriter, watcher: Watcher) -> tuple[int, StateError]:
    """Commit until it is refused; return the last number that was committed."""
    for number in itertools.count(1):
        try:
            state.commit(advanced(watcher, number))
        except StateError as error:
            return number - 1, error
    raise AssertionError


def test_a_full_disk_is_said_loses_nothing_and_passes(small_disk: Path) -> None:
    state = opened(small_disk / "state.db")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(400_000))
    (watcher,) = state.commit(Batch(create=(a_watcher(),))).created
    committed, refused = fill_up(state, watcher)
    assert "the disk is full" in str(refused)
    assert "make room" in refused.remedy
    assert committed > 0
    watcher, batch = advanced(watcher, committed).advances[0].after, advanced(watcher, committed + 1)
    assert state.watcher(watcher.id) == watcher
    assert state.last_seq() == committed * EVENTS_A_BATCH
    ballast.unlink()
    assert state.commit(batch).events[0].seq == committed * EVENTS_A_BATCH + 1
    assert state.watcher(watcher.id) == batch.advances[0].after
    state.close()


def test_a_database_that_may_grow_no_more_loses_nothing(state: StateWriter) -> None:
    with state._reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    large = Batch(create=(a_watcher(),), events=tuple(an_event(subject="x" * 1000) for _ in range(100)))
    for _ in range(2):
        with pytest.raises(StateError, match="the disk is full"):
            state.commit(large)
        assert (state.last_seq(), state.watchers()) == (0, ())
    with state._reading() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    assert state.commit(large).events[-1].seq == 100


# --- a locked database -----------------------------------------------------------------------------------------------


LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read(1)
"""


def test_a_locked_database_is_said_and_goes_on_once_it_is_free(path: Path) -> None:
    state = opened(path, busy_timeout=0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match="another process keeps it locked") as caught:
            state.commit(Batch(events=(an_event(),)))
        assert "fuser" in caught.value.remedy
        assert state.last_seq() == 0  # reading goes on meanwhile
        other.execute("ROLLBACK")
    assert state.commit(Batch(events=(an_event(),))).events[0].seq == 1
    state.close()


def test_a_lock_shorter_than_the_timeout_is_waited_for(path: Path) -> None:
    state = opened(path, busy_timeout=10)
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdin
        other.stdout.readline()
        other.stdin.write(b"x")
        other.stdin.close()
        assert state.commit(Batch(events=(an_event(),))).events[0].seq == 1
    state.close()


def test_an_error_of_the_program_leaves_the_connection_in_order(state: StateWriter) -> None:
    """A watcher whose id is beyond what SQLite can hold: no error of SQLite, and nothing of the batch stays."""
    huge = replace(a_watcher(), trigger_count=2**70)
    with pytest.raises(OverflowError):
        state.commit(Batch(events=(an_event(),), create=(a_watcher("other"), huge)))
    assert state.watchers() == ()
    assert state.commit(Batch(events=(an_event(),))).events[0].seq == 1


def test_the_journal_does_not_grow_without_bound(state: StateWriter, path: Path) -> None:
    for _ in range(60):
        state.commit(Batch(events=tuple(an_event(subject="x" * 400) for _ in range(1000))))
    assert path.with_name("state.db-wal").stat().st_size < 16 * 1024 * 1024
    assert columns(state, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
