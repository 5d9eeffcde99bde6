"""The set of job tasks: which exist, which spec each of their watchers runs, and what is pending for them.

The controller changes it by plans, runners work through it. Everything here can be rebuilt from the state.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.engine.dispatch import Dispatcher
from reconciler.engine.jobtask import JobTask
from reconciler.engine.parts import Parts
from reconciler.errors import ConfigurationError
from reconciler.events import Event
from reconciler.logic.advance import action_event
from reconciler.logic.compiled import ActionKind, CompiledSpec, compile_spec
from reconciler.model import ActionStatus, JobKey, Outcome, OutcomeKind, PendingAction, Watcher, WatcherId, WatcherState
from reconciler.protocols import ActionChange, Batch, KnownJob, StateReading, StateWriting
from reconciler.spec.watcher import WatcherSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Versions:
    """Specs by digest, and the digest in force of each name."""

    specs: Mapping[str, WatcherSpec]
    in_force: Mapping[str, str]

    def of(self, watcher: Watcher) -> str | None:
        """Return the digest of the version that a watcher runs: its own where that is known, else the one in force."""
        return watcher.spec_digest if watcher.spec_digest in self.specs else self.in_force.get(watcher.name)


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
        self.dispatchers: dict[JobKey, Dispatcher] = {}
        self._compiled: dict[str, CompiledSpec] = {}

    def compiled(self, spec: WatcherSpec, digest: str) -> CompiledSpec:
        """Return the spec ready to run; one that cannot be compiled is an obstacle, not an error."""
        if digest not in self._compiled:
            kinds: Mapping[str, ActionKind] = self._parts.kinds
            try:
                self._compiled[digest] = compile_spec(spec, digest, kinds)
            except ConfigurationError as error:
                bare = spec.model_copy(update={"pattern": None, "patterns": None, "preset": None, "condition": None})
                self._compiled[digest] = replace(compile_spec(bare, digest, kinds), obstacle=error.message)
        return self._compiled[digest]

    def task(self, known: KnownJob) -> JobTask | None:
        """Return the task of a job, made if need be; None where its host is not configured."""
        key = known.now.key
        host = self._parts.hosts.get(key.host)
        if host is None:
            return None
        if key not in self.tasks:
            self.tasks[key] = JobTask(self._parts, host, known.now)
            self.dispatchers[key] = Dispatcher(self._parts, host, self.tasks[key], self._identity)
        return self.tasks[key]

    def put(self, watcher: Watcher, known: KnownJob, spec: WatcherSpec, digest: str = "") -> JobTask | None:
        """Let a watcher be run by the task of its job. `digest`: of the spec, where it is not the watcher's own."""
        task = self.task(known)
        if task is not None:
            task.put(watcher, self.compiled(spec, digest or watcher.spec_digest))
        return task

    def forget(self, key: JobKey) -> None:
        """End the task of a job."""
        self.tasks.pop(key, None)
        self.dispatchers.pop(key, None)

    def prune_compiled(self, wanted: Iterable[str]) -> None:
        """Drop compiled specs that nobody runs any more."""
        running = {c.digest for task in self.tasks.values() for c in task.compiled.values()} | set(wanted)
        self._compiled = {digest: spec for digest, spec in self._compiled.items() if digest in running}

    async def load(self, known: Mapping[JobKey, KnownJob], versions: Versions) -> None:
        """Take up what an earlier process left: live watchers, and actions without an outcome.

        Each goes on with the very version of its spec that was applied to it, until the plan says otherwise.
        """

        def look_up(state: StateReading) -> tuple[tuple[Watcher, ...], tuple[PendingAction, ...]]:
            pending = state.pending()
            live = {watcher.id: watcher for watcher in state.watchers(live=True)}
            for action in pending:  # completed watchers whose actions were put off
                if action.watcher_id not in live and (watcher := state.watcher(action.watcher_id)) is not None:
                    live[watcher.id] = watcher
            return tuple(live.values()), pending

        watchers, pending = await self._parts.state.run(look_up)
        for watcher in watchers:
            job, digest = known.get(watcher.job), versions.of(watcher)
            if job is not None and digest is not None and watcher.phase is not WatcherState.STOPPED:
                self.put(watcher, job, versions.specs[digest], digest)
        await self._take_up(pending, {watcher.id: watcher for watcher in watchers})

    async def _take_up(self, pending: Iterable[PendingAction], watchers: Mapping[WatcherId, Watcher]) -> None:
        """Report actions that were begun and have no outcome; those that may be repeated run again."""
        changes: list[ActionChange] = []
        events: list[Event] = []
        now = self._parts.clock.now()
        for action in pending:
            task = next((t for t in self.tasks.values() if action.watcher_id in t.watchers), None)
            watcher = watchers.get(action.watcher_id)
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
