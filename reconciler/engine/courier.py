"""Brings together what goes to one address at the same moment, over all jobs of the engine: digests.

Dispatchers post notifications that are ready and wait for the reply. Each keeps its own row in the ledger: all are
recorded as begun in one transaction before the message goes out, and every dispatcher records the outcome of its own.
Refuses to know what a message looks like; that is the action's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from reconciler.engine.parts import Parts
from reconciler.engine.retrying import attempted, outcome_of
from reconciler.errors import StateError
from reconciler.logic.digest import Traffic, decide
from reconciler.model import ActionId, Outcome, OutcomeKind, PendingAction, WatcherId
from reconciler.protocols import ActionChange, ActionContext, ActionTraits, Batch, Digested, StateWriting, Together

log = logging.getLogger(__name__)

#: A round begins after so many moments (`digest.gather`) at the latest, however many still join.
MOST_MOMENTS = 10

#: Type of the action, and where it goes.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Letter:
    """One notification that is ready. `action`: as it is once it is begun, so with this attempt counted."""

    action: PendingAction
    context: ActionContext


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a letter: an outcome, or a later moment; with neither it is to be sent by itself."""

    outcome: Outcome | None = None
    wait_until: float | None = None


@dataclass(slots=True, eq=False)
class _Bag:
    """Letters to one address that go in the same round, and how many dispatchers wait for it."""

    letters: list[Letter] = field(default_factory=list)
    posted_by: int = 0
    round: asyncio.Task[Mapping[ActionId, Reply]] | None = None


class Courier:
    """One for each engine. Rounds to one address take turns, so what comes while one is slow goes with the next."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._open: dict[Key, _Bag] = {}
        self._turns: dict[Key, asyncio.Lock] = {}
        self._traffic: dict[Key, Traffic] = {}

    async def post(self, address: str, letters: Sequence[Letter], traits: ActionTraits) -> Mapping[ActionId, Reply]:
        """Return what became of each of these letters, all of one action type. Raises StateError, LeaseLostError."""
        key = (letters[0].action.type, address)
        bag = self._open.setdefault(key, _Bag())
        bag.letters.extend(letters)
        bag.posted_by += 1
        if bag.round is None:
            bag.round = asyncio.create_task(self._round(key, bag, traits), name=f"digest {key[0]}")
        try:
            return await asyncio.shield(bag.round)
        except asyncio.CancelledError:
            bag.letters = [letter for letter in bag.letters if letter not in letters]  # of no effect once they are sent
            if bag.posted_by == 1:  # nobody else waits for it
                bag.round.cancel()
                await asyncio.gather(bag.round, return_exceptions=True)
            raise
        finally:
            bag.posted_by -= 1

    async def _round(self, key: Key, bag: _Bag, traits: ActionTraits) -> Mapping[ActionId, Reply]:
        try:
            await self._gather(bag)
            async with self._turns.setdefault(key, asyncio.Lock()):
                self._open.pop(key, None)
                return await self._send(key, bag.letters, traits)
        finally:
            if self._open.get(key) is bag:
                del self._open[key]

    async def _gather(self, bag: _Bag) -> None:
        """Wait until nobody has joined for a moment."""
        for _ in range(MOST_MOMENTS):
            there = len(bag.letters)
            await self._parts.clock.sleep(self._parts.settings.digest.gather)
            if len(bag.letters) == there:
                return

    async def _send(self, key: Key, letters: Sequence[Letter], traits: ActionTraits) -> Mapping[ActionId, Reply]:
        settings, now = self._parts.settings.digest, self._parts.clock.now()
        traffic = self._traffic.get(key, Traffic()).within(settings.window, now)
        how = decide(traffic, len(letters), now, threshold=settings.threshold, window=settings.window)
        if how.together:
            letters = sorted(letters, key=lambda each: (each.context.trigger.at, each.action.id))
            return await self._together(key, letters, traits)
        if how.wait_until is None:
            self._traffic[key] = traffic.sent(len(letters), now)
        return {letter.action.id: Reply(wait_until=how.wait_until) for letter in letters}

    async def _together(self, key: Key, letters: Sequence[Letter], traits: ActionTraits) -> Mapping[ActionId, Reply]:
        action = cast(Digested, self._parts.actions[key[0]])  # as its traits declare
        await self._begin(letters)
        work = action.run_together([letter.context for letter in letters])
        came = await attempted(work, [letter.action for letter in letters], traits)
        now = self._parts.clock.now()
        if not isinstance(came, Together):
            return _replies(letters, came)
        self._traffic[key] = replace(self._traffic.get(key, Traffic()), together=now)
        taken, left = letters[: came.taken], letters[came.taken :]
        done = Outcome(OutcomeKind.SUCCEEDED, came.result)
        later = now + self._parts.settings.digest.window
        await self._put_off(left, later, now)
        outcomes = [done if came.error is None else outcome_of(came.error, each.action, traits) for each in taken]
        return {**_replies(taken, outcomes), **{each.action.id: Reply(wait_until=later) for each in left}}

    async def _begin(self, letters: Sequence[Letter]) -> None:
        """Record all as begun; for each watcher the message counts as one action."""
        now = self._parts.clock.now()
        first: dict[WatcherId, ActionId] = {}
        for letter in letters:
            first.setdefault(letter.action.watcher_id, letter.action.id)
        counted = frozenset(first.values())
        await self._write(
            ActionChange(a.id, now, started=True, attempts=a.attempts, counted=a.id in counted)
            for a in (letter.action for letter in letters)
        )

    async def _put_off(self, letters: Sequence[Letter], until: float, now: float) -> None:
        """What had no room was not begun; where that cannot be written, the message was sent all the same."""
        actions = [letter.action for letter in letters]
        try:
            await self._write(ActionChange(a.id, now, not_before=until, attempts=a.attempts - 1) for a in actions)
        except StateError as error:
            log.error("%d notifications stay recorded as begun: %s", len(actions), error.message)

    async def _write(self, changes: Iterable[ActionChange]) -> None:
        batch = Batch(actions=tuple(changes))

        def work(state: StateWriting) -> None:
            state.commit(batch)

        if batch.actions:
            await self._parts.state.run(work)


def _replies(letters: Sequence[Letter], outcomes: Sequence[Outcome]) -> dict[ActionId, Reply]:
    """What is tried again is tried again as one."""
    waits = [outcome.retry_after for outcome in outcomes if outcome.retry_after is not None]
    return {
        each.action.id: Reply(o if o.retry_after is None else replace(o, retry_after=max(waits)))
        for each, o in zip(letters, outcomes, strict=True)
    }
