"""Carries a Plan out: change by change, each committed before the engine acts on it.

The controller calls it. Safe to break off at any point: the next pass finds what is left to do from the state alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.engine.fleet import Fleet
from reconciler.engine.parts import Parts
from reconciler.events import Event, EventType
from reconciler.logic.plan import Change, ChangeKind, Plan
from reconciler.logic.telling import watcher_event
from reconciler.model import (
    Hold,
    HoldKind,
    JobKey,
    Outcome,
    OutcomeKind,
    StoredSpec,
    Watcher,
    WatcherId,
    WatcherName,
    WatcherState,
)
from reconciler.protocols import ActionChange, Advance, Batch, Committed, KnownJob, StateWriting
from reconciler.spec.moments import epoch

if TYPE_CHECKING:
    from reconciler.engine.jobtask import JobTask
    from reconciler.spec.watcher import WatcherSpec

_EVENTS = {
    ChangeKind.UPDATE: EventType.WATCHER_UPDATED,
    ChangeKind.REPLACE: EventType.WATCHER_REPLACED,
    ChangeKind.STOP: EventType.WATCHER_STOPPED,
    ChangeKind.RESUME: EventType.WATCHER_RESUMED,
    ChangeKind.SUSPEND: EventType.WATCHER_UPDATED,  # where it has run out already; else an event of its own tells it
}


def declared_hold(spec: WatcherSpec, file: str, now: float) -> Hold | None:
    """Return the hold that `suspend:` declares; None where it declares none or it has run out."""
    if not isinstance(spec.suspend, bool):
        until = None if spec.suspend.until is None else epoch(spec.suspend.until)
        if until is not None and until <= now:
            return None
        return Hold(HoldKind.DECLARED, file, spec.suspend.reason, now, until)
    return Hold(HoldKind.DECLARED, file, "", now) if spec.suspend else None


class Applier:
    """Applies plans to the state and the fleet."""

    def __init__(self, parts: Parts, fleet: Fleet) -> None:
        self._parts, self._fleet = parts, fleet
        self._stored: dict[WatcherName, StoredSpec] = {}

    async def apply(
        self, plan: Plan, known: dict[JobKey, KnownJob], *, events: Sequence[Event] = (), **more: Any
    ) -> int:
        """Carry out what may be applied; return how many watchers changed.

        `events` and `more` go into the first commit.
        """
        changes = plan.applicable
        creations = [change for change in changes if change.kind is ChangeKind.CREATE]
        await self._create(plan, creations, known, events, more)
        for change in changes:
            if change.kind is not ChangeKind.CREATE:
                await self._change(change, known)
        await self._drop(plan)
        return len(changes)

    async def _create(
        self, plan: Plan, creations: Sequence[Change], known: dict[JobKey, KnownJob], events: Sequence[Event], more: Any
    ) -> None:
        now = self._parts.clock.now()
        watchers = tuple(self._new(change, known[change.job], now) for change in creations)
        made = tuple(
            watcher_event(w, EventType.WATCHER_CREATED, now, result=c.reason)
            for w, c in zip(watchers, creations, strict=True)
        )
        specs = self._changed_specs(plan)
        moved = tuple(spec for spec in specs if self._moved(spec))
        batch = Batch(create=watchers, create_events=made, events=tuple(events), put_specs=specs, moved=moved, **more)
        if batch == Batch():
            return

        def work(state: StateWriting) -> Committed:
            return state.commit(batch)

        committed = await self._parts.state.run(work)
        self._stored = {d.name: d.stored() for d in plan.resolution.desired.values()}
        await self._fleet.move({spec.name: spec.origin for spec in moved})
        for watcher, change in zip(committed.created, creations, strict=True):
            if change.after is not None and watcher.phase.live:
                self._fleet.put(watcher, known[change.job], change.after.spec)

    def _changed_specs(self, plan: Plan) -> tuple[StoredSpec, ...]:
        """Return the specs to store; one that waits for approval is not applied, so the version before stays."""
        waiting = {change.name for change in plan.withheld if change.after is not None}
        stored = {d.name: d.stored() for d in plan.resolution.desired.values() if d.name not in waiting}
        return tuple(spec for name, spec in stored.items() if self._stored.get(name) != spec)

    def _moved(self, spec: StoredSpec) -> bool:
        """Tell whether this is what was applied, in another file, line or commit."""
        old = self._stored.get(spec.name)
        return old is not None and old.digest == spec.digest and old.origin != spec.origin

    def remember(self, specs: Sequence[StoredSpec]) -> None:
        """Say what the state holds already, so that only differences are written."""
        self._stored = {spec.name: spec for spec in specs}

    def _new(self, change: Change, job: KnownJob, now: float) -> Watcher:
        assert change.after is not None  # noqa: S101 - a creation has a spec
        hold = declared_hold(change.after.spec, change.origin.file, now)
        obstacle = self._fleet.compiled(change.after.spec, change.after.digest).obstacle
        return Watcher(
            id=WatcherId(0),
            name=change.name,
            job=change.job,
            job_name=job.first.name,
            spec_digest=change.after.digest,
            origin=change.origin,
            phase=WatcherState.STATIC if change.static else WatcherState.DISABLED if obstacle else WatcherState.ACTIVE,
            last_error=obstacle,
            holds=(hold,) if hold else (),
            created_at=now,
            job_submitted=job.first.submitted,
        )

    async def _change(self, change: Change, known: dict[JobKey, KnownJob]) -> None:
        """Change one existing watcher, under the lock of its task where it has one."""
        assert change.before is not None  # noqa: S101 - only creations have no watcher before
        task = self._fleet.tasks.get(change.job)
        running = task.watchers.get(change.before.id) if task else None
        if task is None or running is None:
            after = await self._write(change, change.before, None)
        else:
            async with task.lock:
                after = await self._write(change, task.watchers.get(running.id, running), task)
        self._settle(change, after, known)

    async def _write(self, change: Change, before: Watcher, task: JobTask | None) -> Watcher:
        now = self._parts.clock.now()
        after = _after(change, before, now)
        events = _hold_events(before, after, now)
        if not events or change.kind not in (ChangeKind.SUSPEND, ChangeKind.RESUME):
            events.insert(0, watcher_event(after, _EVENTS[change.kind], now, result=change.reason))
        advance = Advance(before, after, events=tuple(events))
        if task is not None:
            await task.write([advance], actions=self._skipped(change, after, now))
            return after

        def work(state: StateWriting) -> Committed:
            return state.commit(Batch(advances=(advance,)))

        await self._parts.state.run(work)
        return after

    def _skipped(self, change: Change, after: Watcher, now: float) -> tuple[ActionChange, ...]:
        """Return the outcomes of what a stopped watcher had waiting; an action that runs gets its own."""
        if after.phase is not WatcherState.STOPPED:
            return ()
        outcome = Outcome(OutcomeKind.SKIPPED, "the watcher was stopped")
        waiting = self._fleet.dispatcher(self._fleet.tasks[change.job]).waiting(after.id)
        return tuple(ActionChange(action.id, now, outcome=outcome) for action in waiting)

    def _settle(self, change: Change, after: Watcher, known: dict[JobKey, KnownJob]) -> None:
        """Let the fleet run the new value, or let go of a watcher that stopped."""
        task = self._fleet.tasks.get(change.job)
        if after.phase.live and change.after is not None and change.job in known:
            self._fleet.put(after, known[change.job], change.after.spec)
        elif task is not None:
            task.drop(after.id)
            if not task.watchers:
                self._fleet.forget(change.job)

    async def _drop(self, plan: Plan) -> None:
        """A spec leaves the inventory only when every watcher of it has really stopped."""
        waiting = {change.name for change in plan.withheld if change.kind is ChangeKind.STOP}
        gone = tuple(v.stored.name for v in plan.resolution.vanished if v.stored.name not in waiting)
        if gone:

            def work(state: StateWriting) -> Committed:
                return state.commit(Batch(drop_specs=gone))

            await self._parts.state.run(work)
            for name in gone:
                self._stored.pop(name, None)


def _after(change: Change, before: Watcher, now: float) -> Watcher:
    """Return the watcher as the change leaves it; checkpoint, counters and variables always stay."""
    if change.kind is ChangeKind.STOP or change.after is None:
        return replace(before, phase=WatcherState.STOPPED, timer_active=before.timer_active)
    spec = change.after.spec
    if before.memory.condition_failures and before.spec_digest != change.after.digest:  # the edit may have mended it
        before = replace(before, memory=replace(before.memory, condition_failures=0), last_error="")
    hold = declared_hold(spec, change.origin.file, now)
    others = tuple(h for h in before.holds if h.kind is not HoldKind.DECLARED)
    after = replace(
        before,
        name=change.name,
        spec_digest=change.after.digest,
        origin=change.origin,
        holds=(*others, hold) if hold else others,
    )
    if change.kind is ChangeKind.RESUME and before.phase is WatcherState.COMPLETED:
        memory = replace(before.memory, job_end_fired=False, time_left_fired=False)
        return replace(after, phase=_phase(after, spec), memory=memory)
    if before.phase in (WatcherState.TRIGGERED, WatcherState.DISABLED, WatcherState.STOPPED):
        after = replace(after, phase=_phase(after, spec), failures=0, last_error="")
    return after if spec.timer_mode_enabled else replace(after, timer_active=False)


def _phase(watcher: Watcher, spec: WatcherSpec) -> WatcherState:
    reached = spec.max_triggers is not None and watcher.trigger_count >= spec.max_triggers
    return WatcherState.TRIGGERED if reached else WatcherState.ACTIVE


def _hold_events(before: Watcher, after: Watcher, now: float) -> list[Event]:
    """A declared suspension that began or ended is told, beside the update."""
    had = next((h for h in before.holds if h.kind is HoldKind.DECLARED), None)
    has = next((h for h in after.holds if h.kind is HoldKind.DECLARED), None)
    if has is not None and had is None:
        return [watcher_event(after, EventType.WATCHER_SUSPENDED, now, result=has.reason, data={"kind": has.kind})]
    if had is not None and has is None:
        return [
            watcher_event(after, EventType.WATCHER_RESUMED, now, result="no longer suspended", data={"kind": had.kind})
        ]
    return []
