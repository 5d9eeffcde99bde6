"""When a watcher next wants a tick for the sake of time alone: silence, time left, timer, the end of a suspension.

What fired in one run of a job that is requeued may fire in the next. All of it follows from what the state holds.
`advance` fires what is due, the engine asks when to come again.
"""

from __future__ import annotations

from reconciler.logic.compiled import CompiledSpec
from reconciler.logic.runs import another_run
from reconciler.model import Job, JobState, TriggerKind, Watcher, WatcherState


def silence_due(compiled: CompiledSpec, watcher: Watcher, job: Job) -> float | None:
    """Return when the silence of a running job has lasted long enough; None where it fired or is not asked for.

    In timer mode nothing is read, so nobody knows.
    """
    memory = watcher.memory
    if compiled.spec.silence is None or watcher.timer_active or job.state is not JobState.RUNNING:
        return None
    if memory.silence_fired and not another_run(memory.runs.get(TriggerKind.SILENCE), job):
        return None
    return max(memory.grown_at or watcher.created_at, job.started or 0.0) + compiled.spec.silence


def time_left_due(compiled: CompiledSpec, watcher: Watcher, job: Job) -> float | None:
    """Return when only `time_left` of the job's limit is left; None where it fired, or the job has no limit."""
    left = compiled.spec.time_left
    if left is None or job.started is None or job.time_limit is None:
        return None
    if watcher.memory.time_left_fired and not another_run(watcher.memory.runs.get(TriggerKind.TIME_LEFT), job):
        return None
    return job.started + job.time_limit - left


def next_due(compiled: CompiledSpec, watcher: Watcher, job: Job) -> float | None:
    """Return when this watcher next wants a tick for the sake of time alone; None: never."""
    until = [hold.until for hold in watcher.holds if hold.until is not None]
    if watcher.holds:
        return min(until, default=None)
    if watcher.phase is not WatcherState.ACTIVE or job.state is not JobState.RUNNING:
        return None
    dues = [silence_due(compiled, watcher, job), time_left_due(compiled, watcher, job)]
    if watcher.timer_active:
        dues.append(watcher.memory.timer_due)
    return min((due for due in dues if due is not None), default=None)
