"""Whether a pending action runs now, waits, or gets an outcome without running: needs, conditions, policy, limits.

The dispatcher asks. It reads the state and runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.engine.jobtask import JobTask
from reconciler.engine.parts import Parts
from reconciler.errors import ConditionError
from reconciler.logic.advance import trigger_values
from reconciler.logic.compiled import CompiledAction
from reconciler.model import Hold, HoldKind, Outcome, OutcomeKind, PendingAction, Watcher, WatcherId, WatcherState
from reconciler.protocols import Limit, StateReading
from reconciler.spec.watcher import Mode

#: Actions that are refused where two jobs write one file.
NEEDS_OWN_OUTPUT = frozenset({"cancel_job", "resubmit"})
#: What an action with `on_failure` stands in for: it failed, was not allowed, or nobody knows what became of it.
_NOT_DONE = frozenset({OutcomeKind.FAILED, OutcomeKind.REFUSED, OutcomeKind.INTERRUPTED})
#: The window (seconds) of the limit of actions a minute.
WINDOW = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with one pending action: an outcome without running it, or a wait, or (neither) run it.

    `held`: it waits until somebody lets its watcher go on.
    """

    outcome: Outcome | None = None
    wait_until: float | None = None
    held: bool = False


def _hold_of(watcher: Watcher) -> Hold | None:
    """Return what a person holds it by: then none of its actions runs. One that paused itself goes on with its list."""
    return next((hold for hold in watcher.holds if hold.kind is not HoldKind.SELF), None)


class Judge:
    """Judges the pending actions of the watchers of one job task."""

    def __init__(self, parts: Parts, task: JobTask) -> None:
        self._parts, self._task = parts, task
        self._recent: dict[WatcherId, list[float]] = {}

    async def verdict(self, action: PendingAction, waiting: Mapping[tuple[int, int], float]) -> Verdict:
        """Return what to do with it now. `waiting`: until when (group, index) is put off."""
        watcher = self._task.watchers[action.watcher_id]
        compiled = self.compiled(action)
        if watcher.phase in (WatcherState.DISABLED, WatcherState.STOPPED):
            return Verdict(Outcome(OutcomeKind.SKIPPED, f"the watcher is {watcher.phase}"))
        if (hold := _hold_of(watcher)) is not None:
            if watcher.phase is not WatcherState.COMPLETED:
                return Verdict(held=True)
            return Verdict(Outcome(OutcomeKind.SKIPPED, f"the watcher was suspended by {hold.by} when its job ended"))
        if compiled is None:
            return Verdict(Outcome(OutcomeKind.SKIPPED, "an edit of the spec took this action away"))
        if compiled.kind.missing:
            return Verdict(Outcome(OutcomeKind.REFUSED, compiled.kind.missing))
        now = self._parts.clock.now()
        if action.not_before is not None and action.not_before > now:
            return Verdict(wait_until=action.not_before)
        others = [waiting.get((action.group, other)) for other in (*compiled.needs, *compiled.on_failure)]
        if any(other is not None for other in others):  # what it asks about is put off, or is tried again
            return Verdict(wait_until=max(other for other in others if other is not None))
        unmet = await self._unmet(action, compiled)
        if unmet:
            return Verdict(Outcome(OutcomeKind.SKIPPED, unmet))
        refused = self._refused(watcher, compiled)
        if refused:
            return Verdict(Outcome(OutcomeKind.REFUSED, refused))
        return await self._limited(action, compiled, now)

    def compiled(self, action: PendingAction) -> CompiledAction | None:
        """Return the action of the spec in force; None where an edit took it away."""
        actions = self._task.compiled[action.watcher_id].actions
        alike = [a for a in actions if a.type == action.type]
        alike = [a for a in alike if a.params == action.params] or alike  # an edit may have moved it
        return next((a for a in alike if a.index == action.index), alike[0] if alike else None)

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
            if compiled.on_failure and not any(outcomes.get(n) in _NOT_DONE for n in compiled.on_failure):
                return "nothing it waits for failed"
        if compiled.condition is None:
            return ""
        try:
            return "" if compiled.condition.holds(self.values(action)) else "its condition is false"
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

    async def _limited(self, action: PendingAction, compiled: CompiledAction, now: float) -> Verdict:
        """Meet the limit of actions a minute; the window is rebuilt from the ledger after a start."""
        traits = compiled.kind.traits
        if traits.limit is Limit.NONE or self.observes(action):
            return Verdict()
        recent = self._recent.get(action.watcher_id)
        if recent is None:

            def look_up(state: StateReading) -> tuple[float, ...]:
                return state.recent_starts(action.watcher_id, now - WINDOW)

            recent = list(await self._parts.state.run(look_up))
        recent = [at for at in recent if at > now - WINDOW]
        self._recent[action.watcher_id] = recent
        limit = self._parts.settings.limits.actions_per_minute
        if len(recent) < limit:
            return Verdict()
        if traits.limit is Limit.DROP:
            return Verdict(Outcome(OutcomeKind.RATE_LIMITED, f"more than {limit} actions a minute"))
        return Verdict(wait_until=min(recent) + WINDOW)

    def observes(self, action: PendingAction) -> bool:
        """Tell whether its watcher only observes."""
        return self._task.compiled[action.watcher_id].spec.mode is Mode.OBSERVE

    def values(self, action: PendingAction) -> Mapping[str, str | None]:
        """Return what there is to replace names with."""
        return trigger_values(action.trigger, self._task.job, self._task.watchers[action.watcher_id])

    def note_start(self, watcher_id: WatcherId, compiled: CompiledAction) -> None:
        """Count one action that is begun."""
        if compiled.kind.traits.limit is not Limit.NONE:
            self._recent.setdefault(watcher_id, []).append(self._parts.clock.now())
