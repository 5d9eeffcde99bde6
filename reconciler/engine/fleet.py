"""The set of job tasks: which exist, which spec each of their watchers runs, and what is pending for them.

The controller changes it by plans, runners work through it. Everything here can be rebuilt from the state.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconciler.engine.parts import Parts
from reconciler.errors import ConditionError, ConfigurationError
from reconciler.events import Event
from reconciler.logic.desired import Desired, Revive
from reconciler.logic.telling import action_event
from reconciler.model import (
    ActionStatus,
    JobKey,
    Origin,
    Outcome,
    OutcomeKind,
    PendingAction,
    StoredSpec,
    Watcher,
    WatcherId,
    WatcherName,
    WatcherState,
)
from reconciler.protocols import ActionChange, Batch, KnownJob, StateReading, StateWriting

if TYPE_CHECKING:
    from reconciler.engine.courier import Courier
    from reconciler.engine.dispatch import Dispatcher
    from reconciler.engine.jobtask import JobTask
    from reconciler.logic.compiled import ActionKind, CompiledSpec
    from reconciler.spec.watcher import WatcherSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Versions:
    """The specs in force, and those that were applied before, which may be others."""

    in_force: Mapping[WatcherName, Desired]
    applied: Sequence[StoredSpec]
    revive: Revive
    _revived: dict[str, WatcherSpec | None] = field(default_factory=dict)

    def of(self, watcher: Watcher) -> tuple[WatcherSpec, str] | None:
        """Return the version that a watcher runs, and its digest: its own where it is known, else the one in force."""
        digest, now = watcher.spec_digest, self.in_force.get(watcher.name)
        if now is not None and now.digest == digest:
            return now.spec, digest
        if digest not in self._revived:
            self._revived[digest] = self._find(digest)
        own = self._revived[digest]
        if own is not None:
            return own, digest
        return (now.spec, now.digest) if now is not None else None

    def _find(self, digest: str) -> WatcherSpec | None:
        found = next((each for each in self.in_force.values() if each.digest == digest), None)
        if found is not None:
            return found.spec
        stored = next((each for each in self.applied if each.digest == digest), None)
        return self.revive(stored) if stored is not None else None


def _repeatable(task: JobTask, action: PendingAction) -> bool:
    compiled = task.compiled[action.watcher_id].actions
    return action.index < len(compiled) and compiled[action.index].repeatable


def _never(begun: bool) -> Outcome:
    if begun:
        return Outcome(OutcomeKind.INTERRUPTED, "begun before a crash; nobody knows whether it was done")
    return Outcome(OutcomeKind.SKIPPED, "the watcher is stopped")


class Fleet:
    """All job tasks by job, with their dispatchers."""

    def __init__(self, parts: Parts, identity: str) -> None:
        self._parts, self._identity = parts, identity
        self.tasks: dict[JobKey, JobTask] = {}
        self.turn = 0  # counts changes of the set of tasks
        self._dispatchers: dict[JobKey, Dispatcher] = {}
        self._compiled: dict[str, CompiledSpec] = {}
        self._courier: Courier | None = None

    def compiled(self, spec: WatcherSpec, digest: str) -> CompiledSpec:
        """Return the spec ready to run; one that cannot be compiled is an obstacle, not an error."""
        if digest not in self._compiled:
            from reconciler.logic.compiled import bare, compile_spec  # saves start-up time where no job has a watcher

            kinds: Mapping[str, ActionKind] = self._parts.kinds
            try:
                self._compiled[digest] = compile_spec(spec, digest, kinds)
            except (ConfigurationError, ConditionError) as error:
                log.error("watcher %s cannot run: %s", spec.name, error.message)
                self._compiled[digest] = replace(compile_spec(bare(spec), digest, kinds), obstacle=error.message)
        return self._compiled[digest]

    def task(self, known: KnownJob) -> JobTask | None:
        """Return the task of a job, made if need be; None where its host is not configured."""
        key = known.now.key
        host = self._parts.hosts.get(key.host)
        if host is None:
            return None
        if key not in self.tasks:
            from reconciler.engine.jobtask import JobTask  # saves start-up time where no job has a watcher

            self.turn += 1
            self.tasks[key] = JobTask(self._parts, host, known.now)
        return self.tasks[key]

    def dispatcher(self, task: JobTask) -> Dispatcher:
        """Return the dispatcher of a task, made when its first action is due: most jobs never need one."""
        key = task.job.key
        known = self._dispatchers.get(key) if self.tasks.get(key) is task else None
        if known is None:
            from reconciler.engine.courier import Courier  # both save start-up time where nothing is to be done
            from reconciler.engine.dispatch import Dispatcher

            self._courier = self._courier or Courier(self._parts)
            known = Dispatcher(self._parts, self._parts.hosts[key.host], task, self._courier, self._identity)
            if self.tasks.get(key) is task:  # else it was forgotten, and its last tick is still under way
                self._dispatchers[key] = known
        return known

    def put(self, watcher: Watcher, known: KnownJob, spec: WatcherSpec, digest: str = "") -> JobTask | None:
        """Let a watcher be run by the task of its job. `digest`: of the spec, where it is not the watcher's own."""
        task = self.task(known)
        if task is not None:
            task.put(watcher, self.compiled(spec, digest or watcher.spec_digest))
        return task

    async def move(self, origins: Mapping[WatcherName, Origin]) -> None:
        """Tell the watchers of these specs where they stand now; the state holds it already."""
        for task in tuple(self.tasks.values()) if origins else ():  # tasks come and go while a lock is waited for
            if any(watcher.name in origins for watcher in task.watchers.values()):
                async with task.lock:  # a tick that is under way would put the old values back
                    for watcher in [each for each in task.watchers.values() if each.name in origins]:
                        task.watchers[watcher.id] = replace(watcher, origin=origins[watcher.name])

    def forget(self, key: JobKey) -> None:
        """End the task of a job."""
        self.turn += 1
        self.tasks.pop(key, None)
        self._dispatchers.pop(key, None)

    def prune_compiled(self, wanted: Iterable[str]) -> None:
        """Drop compiled specs that nobody runs any more."""
        running = {c.digest for task in self.tasks.values() for c in task.compiled.values()} | set(wanted)
        self._compiled = {digest: spec for digest, spec in self._compiled.items() if digest in running}

    async def load(self, known: Mapping[JobKey, KnownJob], versions: Versions, watchers: Iterable[Watcher]) -> None:
        """Take up what an earlier process left: of all `watchers` those that live, and actions without an outcome.

        Each goes on with the very version of its spec that was applied to it, until the plan says otherwise.
        """

        def look_up(state: StateReading) -> tuple[PendingAction, ...]:
            return state.pending()

        pending = await self._parts.state.run(look_up)
        put_off = {action.watcher_id for action in pending}  # of completed watchers too
        wanted = [watcher for watcher in watchers if watcher.phase.live or watcher.id in put_off]
        for watcher in wanted:
            job = known.get(watcher.job)
            if job is None or watcher.phase is WatcherState.STOPPED:
                continue
            if (version := versions.of(watcher)) is not None:
                self.put(watcher, job, *version)
        await self._take_up(pending, {watcher.id: watcher for watcher in wanted})

    async def _take_up(self, pending: Iterable[PendingAction], watchers: Mapping[WatcherId, Watcher]) -> None:
        """Report actions that were begun and have no outcome; those that may be repeated run again."""
        changes: list[ActionChange] = []
        events: list[Event] = []
        now = self._parts.clock.now()
        for action in pending:
            watcher = watchers.get(action.watcher_id)
            task = self.tasks.get(watcher.job) if watcher is not None else None
            if task is not None and action.watcher_id not in task.watchers:
                task = None
            if watcher is None or (task is None and watcher.phase is not WatcherState.STOPPED):
                continue  # its host is not among those of this process, which says nothing about it
            begun = action.status is ActionStatus.STARTED
            repeat = task is not None and (not begun or _repeatable(task, action))
            if begun:
                events.append(self._interrupted(watcher, action, repeat, now))
            if repeat and task is not None:
                task.pending.setdefault(action.watcher_id, []).append(action)
            else:
                changes.append(ActionChange(action.id, now, outcome=_never(begun)))
        if changes or events:
            batch = Batch(actions=tuple(changes), events=tuple(events))

            def work(state: StateWriting) -> None:
                state.commit(batch)

            await self._parts.state.run(work)

    @staticmethod
    def _interrupted(watcher: Watcher, action: PendingAction, repeat: bool, now: float) -> Event:
        text = "was begun when the process ended; " + ("it runs again" if repeat else "it is not repeated")
        event = action_event(watcher, action.trigger, action.type, action.index, OutcomeKind.INTERRUPTED, text)
        return replace(event, at=now)

    def find(self, watcher_id: WatcherId) -> JobTask | None:
        """Return the task that runs this watcher."""
        return next((task for task in self.tasks.values() if watcher_id in task.watchers), None)

    def live(self) -> int:
        """Return how many watchers have a task."""
        return sum(len(task.watchers) for task in self.tasks.values())

    def stopped(self, watcher: Watcher) -> bool:
        """Tell whether this watcher's engine work has really ended."""
        task = self.tasks.get(watcher.job)
        return task is None or watcher.id not in task.watchers or watcher.phase is WatcherState.STOPPED
