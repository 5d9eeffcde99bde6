"""The state as the engine uses it: one thread, one piece of work after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parts.state_values import an_event, opened

from reconciler.errors import StateError
from reconciler.protocols import Batch, State, StateReading, StateWriting
from reconciler.state import StateThread, open_readonly


@pytest.fixture
async def thread(path: Path) -> AsyncIterator[StateThread]:
    made = StateThread(opened(path))
    yield made
    await made.close()


def commit(state: StateWriting) -> int:
    return state.commit(Batch(events=(an_event(),))).events[0].seq


async def test_it_is_the_state_of_the_protocols(thread: StateThread, path: Path) -> None:
    state: State = thread
    writing: StateWriting = thread._state
    reading: StateReading = open_readonly(path)
    assert await state.run(commit) == 1
    assert (writing.last_seq(), reading.last_seq()) == (1, 1)
    reading.close()  # type: ignore[attr-defined]


async def test_work_runs_in_one_thread_in_the_order_it_was_asked_for(thread: StateThread) -> None:
    names: set[str] = set()

    def work(state: StateWriting) -> int:
        names.add(threading.current_thread().name)
        return commit(state)

    assert await asyncio.gather(*(thread.run(work) for _ in range(50))) == list(range(1, 51))
    assert names == {"state_0"}


async def test_the_loop_goes_on_while_the_state_works(thread: StateThread) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work(state: StateWriting) -> bool:
        begun.set()
        return may_end.wait(10)

    task = asyncio.create_task(thread.run(work))
    await asyncio.to_thread(begun.wait, 10)
    assert not task.done()
    may_end.set()
    assert await task


async def test_errors_rise_where_the_work_was_asked_for(thread: StateThread) -> None:
    def fail(state: StateWriting) -> None:
        raise StateError("as it happens")

    with pytest.raises(StateError, match="as it happens"):
        await thread.run(fail)
    assert await thread.run(commit) == 1


async def test_work_that_has_begun_is_finished_though_its_caller_is_cancelled(thread: StateThread) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work(state: StateWriting) -> None:
        begun.set()
        may_end.wait(10)
        commit(state)

    task = asyncio.create_task(thread.run(work))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_end.set()
    assert await thread.run(lambda state: state.last_seq()) == 1


async def test_closing_gives_the_lease_up(path: Path) -> None:
    first = StateThread(opened(path))
    await first.run(commit)
    await first.close()
    second = StateThread(opened(path))
    assert await second.run(commit) == 2
    await second.close()


async def test_a_state_that_lost_its_lease_closes_all_the_same(thread: StateThread) -> None:
    def lose(state: StateWriting) -> None:
        with state._writing() as connection:  # type: ignore[attr-defined]
            connection.exec_driver_sql("UPDATE lease SET token = token + 1")

    await thread.run(lose)
