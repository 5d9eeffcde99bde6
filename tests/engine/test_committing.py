"""Batches that wait are written together; each gets its own answer, and one that cannot be written harms no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from parts.core import a_watcher

from reconciler.engine.committing import MOST_BATCHES, Commits
from reconciler.errors import LeaseLostError, StateError
from reconciler.events import Event, EventType
from reconciler.model import ActionId, WatcherId
from reconciler.protocols import ActionChange, Advance, Batch, Committed


class Slow:
    """A state that writes when it is let, notes what it was given, and fails where it is told to."""

    def __init__(self, fails: Callable[[Batch], Exception | None] = lambda batch: None) -> None:
        self.let = asyncio.Event()
        self.written: list[Batch] = []
        self._fails = fails
        self._seq = 0

    async def run(self, work: Callable[[Any], Any]) -> Any:
        await self.let.wait()
        return work(self)

    def commit(self, batch: Batch) -> Committed:
        if (error := self._fails(batch)) is not None:
            raise error
        self.written.append(batch)
        events = []
        for event in (*(e for a in batch.advances for e in a.events), *batch.events):
            self._seq += 1
            events.append(replace(event, seq=self._seq))
        return Committed(events=tuple(events))


def event(name: str) -> Event:
    return Event(EventType.WATCHER_TRIGGERED, 1.0, name)


def advance(number: int, *, notes: Sequence[str] = ()) -> Batch:
    """A batch of one watcher: an event of its own, and notes."""
    watcher = replace(a_watcher(), id=WatcherId(number))
    return Batch(advances=(Advance(watcher, watcher, events=(event(f"w{number}"),)),), events=tuple(map(event, notes)))


async def started(commits: Commits, batches: Sequence[Batch]) -> list[asyncio.Task[Committed]]:
    """Ask for all of them, the first being written already while the others come."""
    tasks = []
    for batch in batches:
        tasks.append(asyncio.create_task(commits.commit(batch)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


async def test_what_waits_is_written_together_and_each_gets_its_own_events() -> None:
    state = Slow()
    tasks = await started(Commits(state), [advance(1), advance(2, notes=["a"]), advance(3), advance(4, notes=["b"])])
    state.let.set()
    answers = [await task for task in tasks]
    assert [len(batch.advances) for batch in state.written] == [1, 3]
    assert [[e.subject for e in answer.events] for answer in answers] == [
        ["w1"], ["w2", "a"], ["w3"], ["w4", "b"],
    ]  # fmt: skip
    assert sorted(e.seq for answer in answers for e in answer.events) == list(range(1, 7))


async def test_batches_of_one_watcher_or_one_action_are_written_one_after_the_other() -> None:
    state = Slow()
    step = Batch(actions=(ActionChange(ActionId(7), 1.0),))
    batches = [advance(9), advance(1), advance(2), advance(1, notes=["later"]), step, step, advance(3)]
    tasks = await started(Commits(state), batches)
    state.let.set()
    await asyncio.gather(*tasks)
    order = [[int(a.after.id) for a in batch.advances] for batch in state.written]
    assert order == [[9], [1, 2, 3], [1]]
    assert [len(batch.actions) for batch in state.written] == [0, 1, 1]


async def test_a_batch_with_more_than_advances_is_written_alone_and_in_its_turn() -> None:
    state = Slow()
    fact = Batch(facts={"a": "b"})
    tasks = await started(Commits(state), [advance(9), advance(1), fact, advance(2)])
    state.let.set()
    await asyncio.gather(*tasks)
    assert [dict(batch.facts) for batch in state.written] == [{}, {}, {"a": "b"}]


async def test_one_transaction_takes_only_so_many() -> None:
    state = Slow()
    tasks = await started(Commits(state), [advance(n) for n in range(1, MOST_BATCHES + 12)])
    state.let.set()
    await asyncio.gather(*tasks)
    assert [len(batch.advances) for batch in state.written] == [1, MOST_BATCHES, 10]


@pytest.mark.parametrize("error", [ValueError("a bug"), StateError("a value that cannot be stored")])
async def test_a_batch_that_cannot_be_written_harms_no_other(error: Exception) -> None:
    state = Slow(lambda batch: error if any(a.after.id == 3 for a in batch.advances) else None)
    tasks = await started(Commits(state), [advance(n) for n in range(1, 6)])
    state.let.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Committed, Committed, type(error), Committed, Committed]


async def test_a_state_that_cannot_be_written_is_not_tried_for_each() -> None:
    tried: list[Batch] = []

    def full(batch: Batch) -> Exception:
        tried.append(batch)
        return StateError("the disk is full")

    state = Slow(full)
    tasks = await started(Commits(state), [advance(n) for n in range(1, 30)])
    state.let.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StateError}
    assert len(tried) == 4  # the first, the group, and two of it


async def test_a_lease_that_was_lost_is_told_to_all() -> None:
    state = Slow(lambda batch: LeaseLostError("taken over"))
    tasks = await started(Commits(state), [advance(n) for n in range(1, 4)])
    state.let.set()
    assert {type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)} == {LeaseLostError}


async def test_a_batch_whose_caller_left_before_its_turn_is_dropped_and_the_others_are_written() -> None:
    state = Slow()
    tasks = await started(Commits(state), [advance(n) for n in range(1, 5)])
    tasks[0].cancel()  # its writing has begun
    tasks[2].cancel()
    await asyncio.sleep(0)
    state.let.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [[int(a.after.id) for a in batch.advances] for batch in state.written] == [[1], [2, 4]]


class Gone(BaseException):
    """The process is gone at this instant."""


async def test_a_writer_that_ends_leaves_nobody_waiting() -> None:
    state = Slow()

    def dies(batch: Batch) -> Committed:
        raise Gone

    state.commit = dies  # type: ignore[method-assign]
    tasks = await started(Commits(state), [advance(n) for n in range(3)])
    state.let.set()
    async with asyncio.timeout(20):
        assert [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)] == [Gone] * 3


async def test_a_writer_that_is_cancelled_cancels_those_who_wait() -> None:
    tasks = await started(Commits(Slow()), [advance(n) for n in range(3)])
    next(task for task in asyncio.all_tasks() if task.get_name() == "commits").cancel()
    async with asyncio.timeout(20):
        found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in found] == [asyncio.CancelledError] * 3
