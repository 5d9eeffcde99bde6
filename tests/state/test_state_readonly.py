"""Reading beside a writer, without one, and without a file: nothing is written."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from parts.state_values import KEY, SteppedClock, a_job, a_spec, a_watcher, an_event, opened

from reconciler.errors import StateError
from reconciler.protocols import Batch, EventFilter
from reconciler.state import open_readonly
from reconciler.state.read import StateReader
from reconciler.state.write import StateWriter

QUESTIONS: list[Callable[[StateReader], object]] = [
    lambda state: state.identity(),
    lambda state: state.empty(),
    lambda state: state.specs(),
    lambda state: state.watchers(live=True),
    lambda state: state.watchers(job=KEY, name="w"),
    lambda state: state.watcher(1),
    lambda state: state.jobs(unfinished=True),
    lambda state: state.pending(),
    lambda state: state.group_outcomes(1, 1),  # type: ignore[arg-type]
    lambda state: state.recent_starts(1, 0.0),  # type: ignore[arg-type]
    lambda state: state.events(EventFilter(since=1.0, types=("a", "b"), newest=True)),
    lambda state: state.last_seq(),
    lambda state: state.metrics(KEY, "loss"),
    lambda state: state.measured(),
    lambda state: state.requests(),
    lambda state: state.fact("x"),
    lambda state: state.parsed(["a"]),
]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def ask_everything(path: Path) -> list[object]:
    reader = open_readonly(path)
    answers = [question(reader) for question in QUESTIONS]
    reader.close()
    return answers


def fill(state: StateWriter) -> None:
    state.commit(Batch(put_specs=(a_spec(),), create=(a_watcher(),), jobs=(a_job(),), events=(an_event(),)))


def test_reading_leaves_the_file_byte_for_byte_the_same(state: StateWriter, path: Path) -> None:
    fill(state)
    state.close()
    before = digest(path), path.stat().st_mtime_ns
    assert ask_everything(path)[11] == 1
    assert (digest(path), path.stat().st_mtime_ns) == before


def test_reading_leaves_nothing_beside_the_file(state: StateWriter, path: Path) -> None:
    fill(state)
    state.close()
    first, second = open_readonly(path), open_readonly(path)
    assert (first.last_seq(), second.last_seq()) == (1, 1)
    first.close()
    assert second.last_seq() == 1
    second.close()
    assert os.listdir(path.parent) == [path.name]


def test_a_reader_that_outlives_a_writer_keeps_what_was_committed(
    state: StateWriter, path: Path, clock: SteppedClock
) -> None:
    state.release()
    state.close()
    reader = open_readonly(path)
    assert reader.last_seq() == 0
    writer = opened(path, clock)
    fill(writer)
    writer.close()
    assert reader.last_seq() == 1
    reader.close()
    assert os.listdir(path.parent) == [path.name]
    assert ask_everything(path)[11] == 1


def test_reading_beside_a_writer_leaves_file_and_journal_the_same(state: StateWriter, path: Path) -> None:
    fill(state)
    wal = path.with_name("state.db-wal")
    before = digest(path), digest(wal)
    assert ask_everything(path)[11] == 1
    assert (digest(path), digest(wal)) == before


def test_a_journal_that_a_killed_writer_left_is_read_and_not_folded_in(
    state: StateWriter, path: Path, tmp_path: Path
) -> None:
    fill(state)
    left = tmp_path / "left"
    left.mkdir()
    for name in ("state.db", "state.db-wal"):
        (left / name).write_bytes((tmp_path / name).read_bytes())
    before = digest(left / "state.db")
    assert ask_everything(left / "state.db")[11] == 1
    assert digest(left / "state.db") == before


def test_where_no_state_is_the_answer_is_nothing_and_none_is_made(path: Path) -> None:
    identity, empty, *rest = ask_everything(path)
    assert identity
    assert empty
    assert [answer for answer in rest if answer] == []
    assert not path.exists()


def test_a_reader_sees_what_is_committed_after_it_was_opened(state: StateWriter, path: Path) -> None:
    reader = open_readonly(path)
    assert reader.last_seq() == 0
    state.commit(Batch(events=(an_event(),)))
    assert reader.last_seq() == 1
    reader.close()


def test_a_reader_cannot_write(state: StateWriter, path: Path) -> None:
    reader = open_readonly(path)
    with pytest.raises(StateError, match="may not be written"), reader._reading() as connection:
        connection.exec_driver_sql("DELETE FROM facts")
    reader.close()


def test_readers_beside_a_busy_writer_see_whole_batches_only(state: StateWriter, path: Path) -> None:
    """Each batch adds 10 events and counts them in a fact; one transaction must never show one without the other."""
    done = threading.Event()
    seen: list[tuple[int, str | None]] = []

    def read() -> None:
        reader = open_readonly(path)
        while not done.is_set() or not seen:
            with reader._reading() as connection:
                count = connection.exec_driver_sql("SELECT count(*) FROM watcher_events").scalar_one()
                seen.append(
                    (count, connection.exec_driver_sql("SELECT value FROM facts WHERE name = 'count'").scalar())
                )
        reader.close()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for each in readers:
        each.start()
    for number in range(1, 151):
        state.commit(Batch(events=(an_event(),) * 10, facts={"count": str(10 * number)}))
    done.set()
    for each in readers:
        each.join()
    assert {(count, int(fact or 0)) for count, fact in seen if count != int(fact or 0)} == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another account takes root")
@pytest.mark.parametrize("left_open", [False, True], ids=["nobody writes", "somebody writes"])
def test_an_account_that_may_not_write_the_directory_can_read(left_open: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "state.db"
        path.parent.chmod(0o755)
        state = opened(path)
        fill(state)
        if not left_open:
            state.close()
        for each in path.parent.iterdir():
            each.chmod(0o644)
        before = digest(path)
        assert last_seq_as_nobody(path) == 1
        assert digest(path) == before
        if left_open:
            state.close()


def last_seq_as_nobody(path: Path) -> int:
    """Return what an account without rights reads; its answer is the exit status of a child."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.setgid(65534)
            os.setuid(65534)
            status = open_readonly(path).last_seq()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_state_that_may_not_be_looked_at_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(StateError, match="cannot be read: Permission denied"):
        open_readonly(path)
