"""Values to rows and back: one place that knows which field stands in which column. Called by `read` and `write`.

A Watcher that went into the database comes out equal, floats to the last bit. Refuses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from reconciler.events import Event, EventType
from reconciler.model import (
    ActionId,
    ActionStatus,
    HostName,
    Job,
    JobId,
    JobKey,
    MetricPoint,
    Origin,
    OutcomeKind,
    PendingAction,
    Position,
    StoredSpec,
    StreamName,
    Watcher,
    WatcherId,
    WatcherName,
    WatcherState,
)
from reconciler.protocols import KnownJob
from reconciler.state.columns import from_json
from reconciler.state.forms import (
    hold_form,
    hold_from,
    job_form,
    job_from,
    memory_form,
    memory_from,
    trigger_form,
    trigger_from,
)

_PHASES = {phase.value: phase for phase in WatcherState}


def watcher_row(watcher: Watcher) -> dict[str, Any]:
    """Return the columns of `job_watchers` that come from the watcher itself, without `id` and what the spec shows."""
    return {
        "job_id": watcher.job.id,
        "hostname": watcher.job.host,
        "name": watcher.name,
        "last_check": watcher.last_check,
        "last_position": _shown_position(watcher.checkpoints),
        "trigger_count": watcher.trigger_count,
        "state": watcher.state.value,
        "timer_mode_active": int(watcher.timer_active),
        "created_at": watcher.created_at,
        "job_name": watcher.job_name,
        "job_submitted": watcher.job_submitted,
        "phase": watcher.phase.value,
        "holds_json": [hold_form(hold) for hold in watcher.holds],
        "failures": watcher.failures,
        "last_trigger": watcher.last_trigger,
        "last_error": watcher.last_error,
        "memory_json": memory_form(watcher.memory),
        "spec_digest": watcher.spec_digest,
        **_origin_columns(watcher.origin),
    }


def _shown_position(checkpoints: Mapping[StreamName, Position]) -> int:
    shown = checkpoints.get(StreamName.STDOUT) or checkpoints.get(StreamName.STDERR)
    return shown.offset if shown else 0


def _origin_columns(origin: Origin) -> dict[str, Any]:
    return {
        "source": origin.source,
        "file": origin.file,
        "line": origin.line,
        "git_commit": origin.commit,
        "layer": origin.layer,
    }


def _origin_from(row: Row[Any]) -> Origin:
    return Origin(row.source, row.file, row.line, row.git_commit, row.layer)


def watcher_from(
    row: Row[Any], checkpoints: Mapping[StreamName, Position], variables: Mapping[str, str | None]
) -> Watcher:
    """Return the watcher of a row of `job_watchers` and what the other tables hold of it."""
    return Watcher(
        id=WatcherId(row.id),
        name=WatcherName(row.name),
        job=JobKey(HostName(row.hostname), JobId(row.job_id)),
        job_name=row.job_name,
        spec_digest=row.spec_digest,
        origin=_origin_from(row),
        phase=_PHASES[row.phase],
        holds=tuple(map(hold_from, row.holds_json)),
        trigger_count=row.trigger_count,
        failures=row.failures,
        timer_active=bool(row.timer_mode_active),
        created_at=row.created_at,
        last_check=row.last_check,
        last_trigger=row.last_trigger,
        last_error=row.last_error,
        job_submitted=row.job_submitted,
        memory=memory_from(row.memory_json),
        checkpoints=checkpoints,
        variables=variables,
    )


def spec_columns(body: str | None) -> dict[str, Any]:
    """Return the columns of `job_watchers` that show the spec to people; `body`: its canonical JSON, if known."""
    spec = from_json(body) if body else {}
    return {
        "pattern": _shown_pattern(spec),
        "interval_seconds": spec.get("interval_seconds", 60),
        "captures_json": spec.get("captures", []),
        "condition": spec.get("condition"),
        "actions_json": spec.get("actions", []),
        "timer_mode_enabled": int(spec.get("timer_mode_enabled", False)),
        "timer_interval_seconds": spec.get("timer_interval_seconds", 30),
    }


def _shown_pattern(spec: Mapping[str, Any]) -> str:
    patterns = spec.get("patterns") or {}
    if spec.get("pattern"):
        return str(spec["pattern"])
    if spec.get("preset"):
        return f"preset: {spec['preset']}"
    if "all" in patterns:
        return " AND ".join(patterns["all"])
    return " OR ".join(patterns.get("any", ()))


def checkpoint_row(watcher_id: int, stream: StreamName, position: Position) -> dict[str, Any]:
    """Return a row of `checkpoints`."""
    return {
        "watcher_id": watcher_id,
        "stream": stream.value,
        "device": position.device,
        "inode": position.inode,
        "offset": position.offset,
        "line": position.line,
        "pending_cr": position.pending_cr,
        "cut": position.cut,
        "head": position.head,
        "tail": position.tail,
        "window_json": list(position.window) or None,
        "taken_json": list(map(list, position.taken)) or None,
        "read_at": position.at,
    }


def position_from(row: Sequence[Any]) -> Position:
    """Return the position of a row of `checkpoints`, whose columns come in the table's order."""
    _, _, device, inode, offset, line, pending_cr, cut, head, tail, window, taken, at = row
    matched = tuple(map(tuple, taken or ()))
    return Position(device, inode, offset, line, pending_cr, cut, head, tail, tuple(window or ()), matched, at)


def event_row(event: Event, seq: int) -> dict[str, Any]:
    """Return a row of `watcher_events`."""
    return {
        "id": seq,
        "watcher_id": event.watcher_id,
        "job_id": event.job_id,
        "hostname": event.hostname,
        "timestamp": event.at,
        "matched_text": event.matched_text,
        "captured_vars_json": dict(event.captured_vars) or None,
        "action_type": event.action_type,
        "action_result": event.action_result,
        "success": event.success,
        "type": event.type.value,
        "subject": event.subject,
        "watcher": event.watcher,
        "data_json": dict(event.data) or None,
    }


def event_from(row: Row[Any]) -> Event:
    """Return the event of a row of `watcher_events`."""
    return Event(
        type=EventType(row.type),
        at=row.timestamp,
        subject=row.subject,
        watcher_id=row.watcher_id,
        watcher=row.watcher,
        job_id=row.job_id,
        hostname=row.hostname,
        matched_text=row.matched_text,
        captured_vars=row.captured_vars_json or {},
        action_type=row.action_type,
        action_result=row.action_result or "",
        success=row.success,
        data=row.data_json or {},
        seq=row.id,
    )


def action_row(action: PendingAction, action_id: int) -> dict[str, Any]:
    """Return a row of `pending_actions`."""
    return {
        "id": action_id,
        "watcher_id": action.watcher_id,
        "trigger_group": action.group,
        "action_index": action.index,
        "type": action.type,
        "params_json": dict(action.params),
        "trigger_json": trigger_form(action.trigger),
        "status": action.status.value,
        "attempts": action.attempts,
        "not_before": action.not_before,
        "outcome": action.outcome.value if action.outcome else None,
        "result": "",
        "progress_json": None if action.progress is None else dict(action.progress),
    }


def action_from(row: Row[Any]) -> PendingAction:
    """Return the action of a row of `pending_actions`."""
    return PendingAction(
        watcher_id=WatcherId(row.watcher_id),
        group=row.trigger_group,
        index=row.action_index,
        type=row.type,
        params=row.params_json,
        trigger=trigger_from(row.trigger_json),
        id=ActionId(row.id),
        status=ActionStatus(row.status),
        attempts=row.attempts,
        not_before=row.not_before,
        outcome=OutcomeKind(row.outcome) if row.outcome else None,
        progress=row.progress_json,
    )


def metric_row(point: MetricPoint) -> dict[str, Any]:
    """Return a row of `metric_points`; SQLite keeps a value that is not a number as NULL."""
    return {
        "watcher_id": point.watcher_id,
        "job_id": point.job.id,
        "hostname": point.job.host,
        "name": point.name,
        "value": point.value,
        "at": point.at,
        "step": point.step,
    }


def metric_from(row: Row[Any]) -> MetricPoint:
    """Return the point of a row of `metric_points`."""
    key = JobKey(HostName(row.hostname), JobId(row.job_id))
    value = float("nan") if row.value is None else row.value
    return MetricPoint(WatcherId(row.watcher_id), key, row.name, value, row.at, row.step)


def spec_row(spec: StoredSpec) -> dict[str, Any]:
    """Return a row of `specs`."""
    return {
        "name": spec.name,
        "digest": spec.digest,
        "body": spec.body,
        "missing_since": spec.missing_since,
        **_origin_columns(spec.origin),
    }


def moved_row(spec: StoredSpec) -> dict[str, Any]:
    """Return what tells the watchers of a spec where it stands now."""
    return {"named": spec.name, "of_digest": spec.digest, **_origin_columns(spec.origin)}


def spec_from(row: Row[Any]) -> StoredSpec:
    """Return the spec of a row of `specs`."""
    return StoredSpec(WatcherName(row.name), row.digest, row.body, _origin_from(row), row.missing_since)


def job_row(job: Job, seen: float) -> dict[str, Any]:
    """Return a row of `jobs` for a job seen for the first time, `seen` being now."""
    form = job_form(job)
    return {
        "hostname": job.host,
        "job_id": job.id,
        "name": job.name,
        "user": job.user,
        "state": job.state.value,
        "submitted": job.submitted,
        "restarts": job.restarts,
        "last_seen": seen,
        "finished": False,
        "first_json": form,
        "now_json": form,
    }


def job_known(row: Row[Any]) -> KnownJob:
    """Return the job of a row of `jobs`."""
    return KnownJob(job_from(row.first_json), job_from(row.now_json), row.last_seen, row.finished)
