"""Writes what becomes of the pending actions of one job task: begun, put off, an outcome, dropped.

The dispatcher calls it. Each outcome is written with its event and with what it means for the watcher, in one
transaction. Decides nothing about whether an action runs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from reconciler.engine.jobtask import JobTask
from reconciler.engine.parts import Parts
from reconciler.errors import StateError
from reconciler.events import Event
from reconciler.logic.outcomes import count_failure, count_success
from reconciler.logic.telling import action_event
from reconciler.model import (
    HoldKind,
    MetricPoint,
    Outcome,
    OutcomeKind,
    PendingAction,
    Watcher,
    WatcherId,
)
from reconciler.protocols import ActionChange, Advance

log = logging.getLogger(__name__)

#: Attempts at recording what became of an action, and the wait (seconds) between two.
RECORD_TRIES, RECORD_WAIT = 5, 2.0

#: An action, and what became of it.
Ended = tuple[PendingAction, Outcome]
#: What an action that touches the state alone came to: the watcher behind it, and its points.
Effect = tuple[Watcher, tuple[MetricPoint, ...]]


class Ledger:
    """The pending actions of the watchers of one job task."""

    def __init__(self, parts: Parts, task: JobTask) -> None:
        self._parts, self._task = parts, task

    async def begin(self, action: PendingAction) -> PendingAction:
        """Record that it is begun; return it with this attempt counted."""
        action = replace(action, attempts=action.attempts + 1)
        change = ActionChange(action.id, self._parts.clock.now(), started=True, attempts=action.attempts)
        async with self._task.lock:
            await self._task.write([], actions=(change,))
        return action

    async def end(self, watcher: Watcher, ended: Sequence[Ended]) -> None:
        """Record what became of actions of one watcher that ran; it may have been stopped meanwhile.

        They are done: where the record cannot be written, writing is tried again, never the action. What stays
        unwritten stays begun, and the next process tells it as interrupted.
        """
        for left in reversed(range(RECORD_TRIES)):
            try:
                await self._recorded(watcher, ended)
                break
            except StateError as error:
                self._forget(action for action, _ in ended)
                log.error("the outcome of %s cannot be recorded: %s", ended[0][0].type, error.message)
                if not left:
                    raise
                await self._parts.clock.sleep(RECORD_WAIT)

    async def _recorded(self, watcher: Watcher, ended: Sequence[Ended]) -> None:
        if watcher.id in self._task.watchers:
            await self.finish(watcher.id, ended)
            return
        now = self._parts.clock.now()
        changes = tuple(
            ActionChange(action.id, now, outcome=replace(outcome, retry_after=None), attempts=action.attempts)
            for action, outcome in ended
        )
        events = tuple(self._event(watcher, action, outcome, now) for action, outcome in ended)
        async with self._task.lock:
            await self._task.write([], events, actions=changes)

    async def finish(self, watcher_id: WatcherId, ended: Sequence[Ended], effect: Effect | None = None) -> None:
        """Write outcomes, their events, and what they mean for the watcher, in one transaction.

        Those of one message are one failure, or one success.
        """
        now = self._parts.clock.now()
        async with self._task.lock:
            before = self._task.watchers[watcher_id]
            after = before if effect is None else _after(before, effect[0])
            events = tuple(self._event(after, action, outcome, now) for action, outcome in ended)
            after, more = self._counted(after, ended, now)
            changes = tuple(_change(action, outcome, now) for action, outcome in ended)
            metrics = effect[1] if effect is not None else ()
            advance = Advance(before, after, metrics=metrics, events=(*events, *more))
            self._forget(action for action, _ in ended)
            again = [
                replace(action, not_before=change.not_before, progress=change.progress or action.progress)
                for (action, outcome), change in zip(ended, changes, strict=True)
                if outcome.retry_after is not None
            ]
            self.requeue(*again)
            try:
                await self._task.write([advance], actions=changes)
            except BaseException:  # also a cancellation: what was not written stays in the queue
                self.requeue(*(action for action, _ in ended))
                raise

    def _event(self, watcher: Watcher, action: PendingAction, outcome: Outcome, now: float) -> Event:
        data: dict[str, Any] = {"attempt": action.attempts} if action.attempts > 1 else {}
        if outcome.retry_after is not None:
            data["retry_in"] = outcome.retry_after
        event = action_event(watcher, action.trigger, action.type, action.index, outcome.kind, outcome.result, data)
        return replace(event, at=now)

    def _counted(self, watcher: Watcher, ended: Sequence[Ended], now: float) -> tuple[Watcher, tuple[Event, ...]]:
        compiled = self._task.compiled[watcher.id]
        for _, outcome in ended:
            if outcome.kind in (OutcomeKind.FAILED, OutcomeKind.REFUSED) and not outcome.unanswered:
                return count_failure(compiled, watcher, outcome.result, now)
        for action, outcome in ended:
            if outcome.success:
                return count_success(compiled, watcher, outside=self._parts.kinds[action.type].state is None), ()
        return watcher, ()

    async def drop(self, watcher_id: WatcherId, dropped: Sequence[PendingAction]) -> None:
        """What the limit took is told in one event with a count."""
        if not dropped or watcher_id not in self._task.watchers:
            return  # where the watcher was stopped meanwhile, what it had waiting was skipped with it
        now = self._parts.clock.now()
        outcome = Outcome(OutcomeKind.RATE_LIMITED, f"{len(dropped)} actions over the limit a minute were dropped")
        async with self._task.lock:
            watcher = self._task.watchers[watcher_id]
            event = action_event(
                watcher, dropped[0].trigger, dropped[0].type, dropped[0].index, outcome.kind, outcome.result,
                {"count": len(dropped)},
            )  # fmt: skip
            changes = tuple(ActionChange(action.id, now, outcome=outcome) for action in dropped)
            await self._task.write([], (replace(event, at=now),), actions=changes)
            self._forget(dropped)

    def _forget(self, actions: Iterable[PendingAction]) -> None:
        gone = {action.id: action.watcher_id for action in actions}
        for watcher_id in set(gone.values()):
            queue = self._task.pending.get(watcher_id, [])
            self._task.pending[watcher_id] = [other for other in queue if other.id not in gone]

    def requeue(self, *actions: PendingAction) -> None:
        """Put actions of one watcher, or their new values, at their place in its queue."""
        if not actions:
            return
        watcher_id, new = actions[0].watcher_id, {action.id for action in actions}
        queue = [other for other in self._task.pending.get(watcher_id, ()) if other.id not in new]
        self._task.pending[watcher_id] = sorted([*queue, *actions], key=lambda a: (a.group, a.index))


def _after(before: Watcher, effect: Watcher) -> Watcher:
    own = [each for each in effect.holds if each.kind is HoldKind.SELF]
    others = [each for each in before.holds if each.kind is not HoldKind.SELF]  # a person's may be new
    return replace(before, holds=(*others, *own), variables={**before.variables, **effect.variables})


def _change(action: PendingAction, outcome: Outcome, now: float) -> ActionChange:
    if outcome.retry_after is not None:
        later = now + outcome.retry_after
        return ActionChange(action.id, now, not_before=later, attempts=action.attempts, progress=outcome.progress)
    return ActionChange(action.id, now, outcome=outcome, attempts=action.attempts)
