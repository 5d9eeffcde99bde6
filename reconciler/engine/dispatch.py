"""Runs pending actions of one watcher, in the order they were triggered, and keeps their ledger.

This is the one place where an action's exceptions become an Outcome. It decides nothing about matches; the worker calls
`drain` after every commit that left something pending.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.engine.jobtask import JobTask
from reconciler.engine.parts import Host, Parts
from reconciler.engine.retrying import failed, unanswered
from reconciler.errors import (
    ConditionError,
    PermanentActionError,
    StateError,
    TemporaryActionError,
    UnavailableError,
)
from reconciler.events import Event
from reconciler.logic.advance import apply_state_action, count_failure, trigger_values
from reconciler.logic.compiled import CompiledAction
from reconciler.logic.substitution import render_params
from reconciler.logic.telling import action_event
from reconciler.model import (
    ActionId,
    HoldKind,
    MetricPoint,
    Outcome,
    OutcomeKind,
    PendingAction,
    Watcher,
    WatcherId,
    WatcherState,
)
from reconciler.protocols import ActionChange, ActionContext, Advance, Limit, StateReading
from reconciler.spec.watcher import Mode

log = logging.getLogger(__name__)

#: Actions that are refused where two jobs write one file.
NEEDS_OWN_OUTPUT = frozenset({"cancel_job", "resubmit"})
#: Attempts at recording what became of an action, and the wait (seconds) between two.
RECORD_TRIES, RECORD_WAIT = 5, 2.0
#: The window (seconds) of the limit of actions a minute.
WINDOW = 60.0


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What to do with one pending action: an outcome without running it, or a wait, or (both None) run it."""

    outcome: Outcome | None = None
    wait_until: float | None = None


class Dispatcher:
    """Dispatches the pending actions of the watchers of one job task."""

    def __init__(self, parts: Parts, host: Host, task: JobTask, identity: str) -> None:
        self._parts, self._host, self._task, self._identity = parts, host, task, identity
        self._recent: dict[WatcherId, list[float]] = {}
        self._turns: dict[WatcherId, asyncio.Lock] = {}
        self._running: dict[WatcherId, ActionId] = {}

    async def drain(self, watcher_id: WatcherId) -> None:
        """Run every action of this watcher that may run now; what must wait keeps its place in the queue.

        Callers take turns, so that no action is run by two of them.
        """
        async with self._turns.setdefault(watcher_id, asyncio.Lock()):
            await self._drain(watcher_id)

    def waiting(self, watcher_id: WatcherId) -> tuple[PendingAction, ...]:
        """Return the actions of a watcher that have not begun."""
        running = self._running.get(watcher_id)
        return tuple(action for action in self._task.pending.get(watcher_id, ()) if action.id != running)

    async def _drain(self, watcher_id: WatcherId) -> None:
        dropped: list[PendingAction] = []
        waiting: dict[tuple[int, int], float] = {}
        for action in list(self._task.pending.get(watcher_id, ())):
            if watcher_id not in self._task.watchers:
                break
            verdict = await self._verdict(action, waiting)
            wait = verdict.wait_until
            if wait is not None and wait != action.not_before:
                self._requeue(replace(action, not_before=wait))
            elif verdict.outcome is None and wait is None:
                wait = await self._run(action)
            if wait is not None:
                waiting[action.group, action.index] = wait
            elif verdict.outcome is None:
                continue
            elif verdict.outcome.kind is OutcomeKind.RATE_LIMITED:
                dropped.append(action)
            else:
                await self._finish(action, verdict.outcome)
        await self._drop(watcher_id, dropped)

    # --- deciding ---

    async def _verdict(self, action: PendingAction, waiting: Mapping[tuple[int, int], float]) -> _Verdict:
        watcher = self._task.watchers[action.watcher_id]
        compiled = self._compiled(action)
        if watcher.phase in (WatcherState.DISABLED, WatcherState.STOPPED):
            return _Verdict(Outcome(OutcomeKind.SKIPPED, f"the watcher is {watcher.phase}"))
        if compiled is None:
            return _Verdict(Outcome(OutcomeKind.SKIPPED, "an edit of the spec took this action away"))
        if compiled.kind.missing:
            return _Verdict(Outcome(OutcomeKind.REFUSED, compiled.kind.missing))
        now = self._parts.clock.now()
        if action.not_before is not None and action.not_before > now:
            return _Verdict(wait_until=action.not_before)
        others = [waiting.get((action.group, other)) for other in (*compiled.needs, *compiled.on_failure)]
        if any(other is not None for other in others):  # what it asks about is put off, or is tried again
            return _Verdict(wait_until=max(other for other in others if other is not None))
        unmet = await self._unmet(action, compiled)
        if unmet:
            return _Verdict(Outcome(OutcomeKind.SKIPPED, unmet))
        refused = self._refused(watcher, compiled)
        if refused:
            return _Verdict(Outcome(OutcomeKind.REFUSED, refused))
        return await self._limited(action, compiled, now)

    def _compiled(self, action: PendingAction) -> CompiledAction | None:
        actions = self._task.compiled[action.watcher_id].actions
        if action.index < len(actions) and actions[action.index].type == action.type:
            return actions[action.index]
        return next((a for a in actions if a.type == action.type), None)

    async def _unmet(self, action: PendingAction, compiled: CompiledAction) -> str:
        """Say which of `needs`, `on_failure` and the action's own condition does not hold (empty: all hold)."""
        if compiled.needs or compiled.on_failure:

            def look_up(state: StateReading) -> Mapping[int, str]:
                return state.group_outcomes(action.watcher_id, action.group)

            outcomes = await self._parts.state.run(look_up)
            good = (OutcomeKind.SUCCEEDED, OutcomeKind.WOULD_RUN)
            unmet = [str(n) for n in compiled.needs if outcomes.get(n) not in good]
            if unmet:
                return f"it needs action {', '.join(unmet)}, which did not succeed"
            if compiled.on_failure and all(outcomes.get(n) != OutcomeKind.FAILED for n in compiled.on_failure):
                return "nothing it waits for failed"
        if compiled.condition is None:
            return ""
        try:
            return "" if compiled.condition.holds(self._values(action)) else "its condition is false"
        except ConditionError as error:
            return f"its condition cannot be told: {error.message}"

    def _refused(self, watcher: Watcher, compiled: CompiledAction) -> str:
        kind = watcher.origin.source.split(":", 1)[0]
        allowed = self._parts.settings.policy.actions.get(kind)
        if allowed is not None and compiled.type not in allowed:
            return f"the settings do not allow {compiled.type} for watchers from {kind}"
        if compiled.type in NEEDS_OWN_OUTPUT and self._task.shared_with:
            others = ", ".join(self._task.shared_with)
            return f"job {others} writes the same file, so nobody knows whose line this was"
        return ""

    async def _limited(self, action: PendingAction, compiled: CompiledAction, now: float) -> _Verdict:
        """Meet the limit of actions a minute; the window is rebuilt from the ledger after a start."""
        traits = compiled.kind.traits
        if traits.limit is Limit.NONE or self._observes(action):
            return _Verdict()
        recent = self._recent.get(action.watcher_id)
        if recent is None:

            def look_up(state: StateReading) -> tuple[float, ...]:
                return state.recent_starts(action.watcher_id, now - WINDOW)

            recent = list(await self._parts.state.run(look_up))
        recent = [at for at in recent if at > now - WINDOW]
        self._recent[action.watcher_id] = recent
        limit = self._parts.settings.limits.actions_per_minute
        if len(recent) < limit:
            return _Verdict()
        if traits.limit is Limit.DROP:
            return _Verdict(Outcome(OutcomeKind.RATE_LIMITED, f"more than {limit} actions a minute"))
        return _Verdict(wait_until=min(recent) + WINDOW)

    def _observes(self, action: PendingAction) -> bool:
        return self._task.compiled[action.watcher_id].spec.mode is Mode.OBSERVE

    # --- doing ---

    async def _run(self, action: PendingAction) -> float | None:
        """Run it; return when it is tried again, None where that is over."""
        compiled = self._compiled(action)
        assert compiled is not None  # noqa: S101 - `_verdict` has seen it
        if compiled.kind.state is not None:
            await self._run_in_state(action, compiled)
        elif self._observes(action):
            params = render_params(action.params, self._values(action))
            await self._finish(action, Outcome(OutcomeKind.WOULD_RUN, f"would have run with {dict(params)}"))
        else:
            watcher = self._task.watchers[action.watcher_id]
            self._running[action.watcher_id] = action.id
            try:
                started = await self._begin(action, compiled)
                return await self._end(started, watcher, await self._outcome(started, compiled))
            finally:
                del self._running[action.watcher_id]
        return None

    async def _begin(self, action: PendingAction, compiled: CompiledAction) -> PendingAction:
        now = self._parts.clock.now()
        action = replace(action, attempts=action.attempts + 1)
        change = ActionChange(action.id, now, started=True, attempts=action.attempts)
        async with self._task.lock:
            await self._task.write([], actions=(change,))
        if compiled.kind.traits.limit is not Limit.NONE:
            self._recent.setdefault(action.watcher_id, []).append(now)
        return action

    async def _outcome(self, action: PendingAction, compiled: CompiledAction) -> Outcome:
        """Run an outside action; the one place where its exceptions become an Outcome."""
        traits = compiled.kind.traits
        try:
            result = await self._parts.actions[action.type].run(self._context(action))
        except TemporaryActionError as error:
            return failed(action, traits, error.message, error.delay)
        except UnavailableError as error:
            return unanswered(action, traits, error.message)
        except TimeoutError as error:
            return failed(action, traits, str(error) or "timed out")
        except PermanentActionError as error:
            return Outcome(OutcomeKind.REFUSED if error.refused else OutcomeKind.FAILED, error.message)
        except Exception as error:  # a plugin's bug must not stop the other watchers
            log.exception("action %s of %s", action.type, action.watcher_id)
            return Outcome(OutcomeKind.FAILED, f"{type(error).__name__}: {error}")
        return Outcome(OutcomeKind.SUCCEEDED, result)

    def _context(self, action: PendingAction) -> ActionContext:
        values = self._values(action)
        return ActionContext(
            watcher=self._task.watchers[action.watcher_id],
            job=self._task.job,
            trigger=action.trigger,
            params=render_params(action.params, values),
            template=action.params,
            values=values,
            transport=self._host.transport,
            scheduler=self._host.scheduler,
            mark=f"{self._identity[:12]}.{action.id}",
            repeat=action.attempts > 1,
            tail=self._task.tail,
        )

    def _values(self, action: PendingAction) -> Mapping[str, str | None]:
        return trigger_values(action.trigger, self._task.job, self._task.watchers[action.watcher_id])

    async def _run_in_state(self, action: PendingAction, compiled: CompiledAction) -> None:
        """A state-only action that does not lead: its effect and its outcome are one transaction."""
        watcher = self._task.watchers[action.watcher_id]
        try:
            after, metrics, result = apply_state_action(compiled, watcher, action.trigger, self._values(action))
        except PermanentActionError as error:
            await self._finish(action, Outcome(OutcomeKind.FAILED, error.message))
            return
        await self._finish(action, Outcome(OutcomeKind.SUCCEEDED, result), effect=(after, metrics))

    # --- recording ---

    async def _end(self, action: PendingAction, watcher: Watcher, outcome: Outcome) -> float | None:
        """Record what became of an action that ran; its watcher may have been stopped meanwhile.

        It is done: where the record cannot be written, writing is tried again, never the action. What stays unwritten
        stays begun, and the next process tells it as interrupted.
        """
        for left in reversed(range(RECORD_TRIES)):
            try:
                return await self._recorded(action, watcher, outcome)
            except StateError as error:
                self._forget(action)
                log.error("the outcome of %s cannot be recorded: %s", action.type, error.message)
                if not left:
                    raise
                await self._parts.clock.sleep(RECORD_WAIT)
        return None

    async def _recorded(self, action: PendingAction, watcher: Watcher, outcome: Outcome) -> float | None:
        if action.watcher_id in self._task.watchers:
            return await self._finish(action, outcome)
        now = self._parts.clock.now()
        change = ActionChange(action.id, now, outcome=replace(outcome, retry_after=None), attempts=action.attempts)
        async with self._task.lock:
            await self._task.write([], (self._event(watcher, action, outcome, now),), actions=(change,))
        return None

    async def _finish(
        self,
        action: PendingAction,
        outcome: Outcome,
        effect: tuple[Watcher, tuple[MetricPoint, ...]] | None = None,
    ) -> float | None:
        """Write the outcome, its event, and what it means for the watcher, in one transaction; return as `_run`."""
        now = self._parts.clock.now()
        async with self._task.lock:
            before = self._task.watchers[action.watcher_id]
            after = before
            metrics: tuple[MetricPoint, ...] = ()
            if effect is not None:
                own = [each for each in effect[0].holds if each.kind is HoldKind.SELF]
                others = [each for each in before.holds if each.kind is not HoldKind.SELF]  # a person's may be new
                after = replace(before, holds=(*others, *own), variables={**before.variables, **effect[0].variables})
                metrics = effect[1]
            events: tuple[Event, ...] = (self._event(after, action, outcome, now),)
            after, more = self._counted(after, outcome, now)
            change = self._change(action, outcome, now)
            advance = Advance(before, after, metrics=metrics, events=(*events, *more))
            self._forget(action)
            if outcome.retry_after is not None:
                self._requeue(replace(action, not_before=change.not_before))
            try:
                await self._task.write([advance], actions=(change,))
            except BaseException:  # also a cancellation: what was not written stays in the queue
                self._requeue(action)
                raise
        return change.not_before

    def _event(self, watcher: Watcher, action: PendingAction, outcome: Outcome, now: float) -> Event:
        data: dict[str, Any] = {"attempt": action.attempts} if action.attempts > 1 else {}
        if outcome.retry_after is not None:
            data["retry_in"] = outcome.retry_after
        event = action_event(watcher, action.trigger, action.type, action.index, outcome.kind, outcome.result, data)
        return replace(event, at=now)

    def _counted(self, watcher: Watcher, outcome: Outcome, now: float) -> tuple[Watcher, tuple[Event, ...]]:
        if outcome.kind in (OutcomeKind.FAILED, OutcomeKind.REFUSED) and not outcome.unanswered:
            return count_failure(self._task.compiled[watcher.id], watcher, outcome.result, now)
        return (replace(watcher, failures=0), ()) if outcome.success else (watcher, ())

    @staticmethod
    def _change(action: PendingAction, outcome: Outcome, now: float) -> ActionChange:
        if outcome.retry_after is not None:
            return ActionChange(action.id, now, not_before=now + outcome.retry_after, attempts=action.attempts)
        return ActionChange(action.id, now, outcome=outcome, attempts=action.attempts)

    async def _drop(self, watcher_id: WatcherId, dropped: list[PendingAction]) -> None:
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
            gone = {action.id for action in dropped}
            queue = self._task.pending.get(watcher_id, [])
            self._task.pending[watcher_id] = [action for action in queue if action.id not in gone]

    def _forget(self, action: PendingAction) -> None:
        queue = self._task.pending.get(action.watcher_id, [])
        self._task.pending[action.watcher_id] = [other for other in queue if other.id != action.id]

    def _requeue(self, action: PendingAction) -> None:
        queue = [other for other in self._task.pending.get(action.watcher_id, ()) if other.id != action.id]
        self._task.pending[action.watcher_id] = sorted([*queue, action], key=lambda a: (a.group, a.index))


def manual_refusal(watcher: Watcher) -> str:
    """Say why a manual trigger is refused (empty: it is not)."""
    if watcher.phase is WatcherState.STOPPED:
        return "it was stopped; no spec wants it"
    if watcher.state is WatcherState.PAUSED:
        hold = watcher.holds[0]
        return f"it is suspended by {hold.by}" + (f": {hold.reason}" if hold.reason else "")
    return "" if watcher.phase is not WatcherState.DISABLED else f"it is disabled: {watcher.last_error}"
