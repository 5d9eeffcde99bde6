"""A watcher run over a finished output in memory: what it would have matched, triggered and done. Nothing runs.

The production path (`feeding`, `advance`), with outside actions rendered and taken as succeeded. For `reconcile test`
and trying a watcher out over HTTP.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import thread_time
from typing import Any

from reconciler.errors import ConditionError, PermanentActionError
from reconciler.events import EventType
from reconciler.logic.advance import WatcherTick, trigger_values
from reconciler.logic.compiled import CompiledAction, CompiledSpec
from reconciler.logic.deadlines import next_due
from reconciler.logic.feeding import Feeding, cohorts, feed
from reconciler.logic.outcomes import apply_state_action
from reconciler.logic.substitution import render_params
from reconciler.model import (
    FileStat,
    Job,
    JobState,
    Match,
    Origin,
    PendingAction,
    Position,
    StreamName,
    Trigger,
    Watcher,
    WatcherId,
    WatcherName,
)
from reconciler.protocols import Advance, Glimpse, Sight
from reconciler.spec.watcher import OutputType

_ID = WatcherId(1)
#: So many deadlines of one simulation are dealt with, the rest of the time passes without: a timer of a second, a week.
_DEADLINES = 1000


@dataclass(frozen=True, slots=True)
class SimulatedAction:
    """One action as it would have run: its type, its rendered params."""

    type: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came out. `matches` are those that triggered; `watcher` is its final value; `looked` counts bytes."""

    watcher: Watcher
    matches: tuple[Match, ...]
    actions: tuple[SimulatedAction, ...]
    problems: tuple[str, ...]
    looked: int


class _Run:
    """One watcher, tick after tick."""

    def __init__(self, compiled: CompiledSpec, job: Job, now: float) -> None:
        self.compiled, self.job, self.now = compiled, job, now
        origin = Origin("test", "", 0)
        self.watcher = Watcher(
            _ID, WatcherName(compiled.spec.name), job.key, job.name, compiled.digest, origin, created_at=now
        )
        self.matches: list[Match] = []
        self.actions: list[SimulatedAction] = []
        self.problems: list[str] = []
        self.looked = 0

    def feed(self, stream: StreamName, content: bytes, until: float) -> None:
        """Feed one whole stream, in as many ticks as the watcher's own actions want. `until`: of processor time."""
        position, more = Position(), True
        while more and self.watcher.state == "active" and not self.watcher.timer_active:
            tick = WatcherTick(self.compiled, self.watcher, self.job, self.now)
            stat = FileStat(1, 1, len(content), 0)
            start = max(0, position.offset - 64)
            look = Feeding(
                stream=stream,
                glimpse=Glimpse(Sight.READ, stat, start, content[start:], content[:64]),
                started=None,
                ended=True,
                final=True,
                line_bytes=65_536,
                path="",
            )
            result = feed(cohorts({_ID: position}, {_ID: self.compiled}), {_ID: tick}, look)
            position, more = result.positions[_ID], result.more
            self.take(tick.advance())
            if more and thread_time() > until:
                self.problems.append(f"it takes too long: {position.offset:,} of {len(content):,} bytes were tried")
                break
        self.looked += position.offset if more else len(content)

    def wait(self, seconds: float) -> None:
        """Let time pass while the job runs and prints nothing."""
        job, until = replace(self.job, state=JobState.RUNNING, raw_state="RUNNING"), self.now + seconds
        for _ in range(_DEADLINES):
            due = next_due(self.compiled, self.watcher, job)
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            tick = WatcherTick(self.compiled, self.watcher, job, self.now)
            tick.deadlines()
            self.take(tick.advance())
        self.now = until

    def end(self) -> None:
        """The job has ended."""
        tick = WatcherTick(self.compiled, self.watcher, self.job, self.now)
        tick.job_ended()
        self.take(tick.advance())

    def take(self, advance: Advance | None) -> None:
        """Take over what a tick did, and do in memory what its pending actions would."""
        if advance is None:
            return
        self.watcher = advance.after
        pending = list(advance.pending)
        for event in advance.events:
            if event.type is EventType.CONDITION_FAILED:
                self.problems.append(event.action_result)
        for trigger in _triggers(advance):
            self._trigger(trigger, [a for a in pending if a.trigger is trigger])

    def _trigger(self, trigger: Trigger, pending: list[PendingAction]) -> None:
        if trigger.match is not None:
            self.matches.append(trigger.match)
        values = trigger_values(trigger, self.job, self.watcher)
        asked = {action.index for action in pending}
        done: set[int] = set()
        failed: set[int] = set()
        for action in self.compiled.actions:
            if action.index not in asked or not done.issuperset(action.needs) or not self._holds(action, values):
                continue
            if action.on_failure and not failed.intersection(action.on_failure):
                continue
            self.actions.append(SimulatedAction(action.type, render_params(action.params, values)))
            (done if self._succeeds(action, trigger, values) else failed).add(action.index)

    def _succeeds(self, action: CompiledAction, trigger: Trigger, values: Mapping[str, str | None]) -> bool:
        """Do what touches the state alone; what acts outside is taken as succeeded."""
        if action.kind.state is None:
            return True
        try:
            self.watcher, _, _ = apply_state_action(action, self.watcher, trigger, values)
        except PermanentActionError as error:
            self.problems.append(error.message)
            return False
        return True

    def _holds(self, action: CompiledAction, values: Mapping[str, str | None]) -> bool:
        try:
            return action.condition is None or action.condition.holds(values)
        except ConditionError as error:
            self.problems.append(error.message)
            return False


def _triggers(advance: Advance) -> list[Trigger]:
    """Return the triggers of a tick in their order (no action leads here, so each has pending ones)."""
    found: list[Trigger] = []
    for action in advance.pending:
        if all(action.trigger is not known for known in found):
            found.append(action.trigger)
    return found


def simulate(
    compiled: CompiledSpec,
    job: Job,
    output: bytes,
    errors: bytes = b"",
    now: float = 0.0,
    after: float = 0.0,
    budget: float = math.inf,
) -> Simulation:
    """Return what the watcher makes of a job's two outputs, stdout before stderr, and of its end where it has ended.

    `after`: so many seconds the job runs on between the two and prints nothing. `budget`: seconds of processor time,
    after which the rest is left out, and that is told as a problem.
    """
    until = thread_time() + budget
    collecting = replace(compiled, actions=tuple(replace(action, leading=False) for action in compiled.actions))
    run = _Run(replace(collecting, late_pause=any(a.type == "pause_watcher" for a in compiled.actions)), job, now)
    wanted = compiled.spec.output_type
    if wanted in (OutputType.STDOUT, OutputType.BOTH):
        run.feed(StreamName.STDOUT, output, until)
    if wanted in (OutputType.STDERR, OutputType.BOTH):
        run.feed(StreamName.STDERR, errors, until)
    if after:
        run.wait(after)
    if job.state.ended:
        run.end()
    return Simulation(run.watcher, tuple(run.matches), tuple(run.actions), tuple(run.problems), run.looked)
