"""Batches of many jobs become one transaction: what waits while one is written is written together as the next.

`Parts.commits` is the one of an engine; job tasks commit through it. A batch alone is written at once. It joins only
batches that touch different watchers and actions and nothing else, so that their order among each other means nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain, islice

from reconciler.errors import LeaseLostError, StateError
from reconciler.protocols import Batch, Committed, State, StateWriting

#: Batches, and rows of events and actions, that one transaction takes: it is to be over in some tens of milliseconds.
MOST_BATCHES, MOST_ROWS = 256, 4_000
#: Batches of a group that failed which are tried alone, one after the other failing, before the fault is the state's.
TRIES = 2

Waiting = tuple[Batch, "asyncio.Future[Committed]"]


class Commits:
    """See the module. `room`: held from a tick's begin to its commit, so that ten thousand do not all wait at once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.room = asyncio.Semaphore(2 * MOST_BATCHES)
        self._waiting: list[Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def commit(self, batch: Batch) -> Committed:
        """Write a batch, all or nothing. Raises StateError, LeaseLostError.

        One whose caller is cancelled is dropped where its writing has not begun.
        """
        done: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="commits")
        return await done

    async def _write(self) -> None:
        group: list[Waiting] = []
        try:
            while self._waiting:
                self._waiting = [each for each in self._waiting if not each[1].done()]
                group, self._waiting = _first_group(self._waiting)
                await self._together(group)
        except BaseException as error:  # the writer ends: those who wait are told, else they wait for ever
            _fail([*group, *self._waiting], error)
            self._waiting = []
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._writing = None

    async def _together(self, group: Sequence[Waiting]) -> None:
        try:
            committed = await self._commit(joined([batch for batch, _ in group]))
        except LeaseLostError as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - told to those whose it is, once it is known whose
            await self._one_by_one(group, error)
        else:
            parts = shared_out(committed, [batch for batch, _ in group])
            for (_, done), part in zip(group, parts, strict=True):
                if not done.done():
                    done.set_result(part)

    async def _one_by_one(self, group: Sequence[Waiting], error: Exception) -> None:
        """Write alone what failed together: one batch that cannot be written harms no other."""
        if len(group) == 1:
            _fail(group, error)
            return
        failed = 0
        for number, (batch, done) in enumerate(group):
            try:
                committed = await self._commit(batch)
            except LeaseLostError as lost:
                _fail(group[number:], lost)
                return
            except Exception as own:  # noqa: BLE001 - see `_together`
                failed += 1
                _fail([(batch, done)], own)
                if failed >= TRIES and isinstance(own, StateError):
                    _fail(group[number + 1 :], own)
                    return
                continue
            failed = 0
            if not done.done():
                done.set_result(committed)

    async def _commit(self, batch: Batch) -> Committed:
        def work(state: StateWriting) -> Committed:
            return state.commit(batch)

        return await self._state.run(work)


def _fail(group: Sequence[Waiting], error: BaseException) -> None:
    for _, done in group:
        if isinstance(error, asyncio.CancelledError):
            done.cancel()
        elif not done.done():
            done.set_exception(error)


def _first_group(waiting: Sequence[Waiting]) -> tuple[list[Waiting], list[Waiting]]:
    """Split off what is written next: the first, and what can be written with it. What is left keeps its order."""
    group: list[Waiting] = []
    left: list[Waiting] = []
    taken: set[tuple[str, int]] = set()
    rows = 0
    for each in waiting:
        touched = _touched(each[0])
        full = len(group) >= MOST_BATCHES or rows >= MOST_ROWS
        alone = group and (not _joinable(each[0]) or not _joinable(group[0][0]))
        # What waits behind one that is left may touch the same: it must not overtake.
        if full or alone or not taken.isdisjoint(touched):
            left.append(each)
        else:
            group.append(each)
            rows += _rows(each[0])
        taken.update(touched)
    return group, left


def _joinable(batch: Batch) -> bool:
    return batch == Batch(advances=batch.advances, actions=batch.actions, events=batch.events)


def _touched(batch: Batch) -> set[tuple[str, int]]:
    watchers = {("watcher", int(advance.after.id)) for advance in batch.advances}
    return watchers | {("action", int(change.id)) for change in batch.actions}


def _rows(batch: Batch) -> int:
    return sum(1 + len(each.events) + len(each.pending) for each in batch.advances) + len(batch.events)


def joined(batches: Sequence[Batch]) -> Batch:
    """Return one batch that says what all of these say."""
    if len(batches) == 1:
        return batches[0]
    return Batch(
        advances=tuple(chain.from_iterable(batch.advances for batch in batches)),
        actions=tuple(chain.from_iterable(batch.actions for batch in batches)),
        events=tuple(chain.from_iterable(batch.events for batch in batches)),
    )


def shared_out(committed: Committed, batches: Sequence[Batch]) -> list[Committed]:
    """Return what the state filled in for each of the batches that `joined` took."""
    if len(batches) == 1:
        return [committed]
    pending, events = iter(committed.pending), iter(committed.events)
    actions = [tuple(islice(pending, sum(len(a.pending) for a in batch.advances))) for batch in batches]
    of_advances = [tuple(islice(events, sum(len(a.events) for a in batch.advances))) for batch in batches]
    others = [tuple(islice(events, len(batch.events))) for batch in batches]
    return [Committed((), p, (*e, *o)) for p, e, o in zip(actions, of_advances, others, strict=True)]
