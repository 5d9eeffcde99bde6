"""From the house's values to the shapes of the API. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson

from reconciler.api.reports import ActionCounts, BusyWatcher, EventShape, JobShape, Stats
from reconciler.api.shapes import HoldShape, WatcherShape
from reconciler.events import Event
from reconciler.model import JobKey, Origin, StoredSpec, StreamName, Watcher, WatcherState
from reconciler.protocols import KnownJob, Statistics, WatcherPage
from reconciler.protocols.questions import OUTLINED, Outline
from reconciler.spec.moments import as_moment, epoch

_SURROGATE = re.compile("[\ud800-\udfff]")
#: When a job is looked at next (seconds since the epoch); None: not before something happens.
NextLook = Callable[[JobKey], float | None]


def moment(at: float) -> datetime:
    """Return a time as the API shows it."""
    return as_moment(at)


def from_then(shown: datetime) -> float:
    """Return from when on everything is that is shown at this moment or later: `moment` rounds to microseconds."""
    return epoch(shown) - 1e-6


def maybe(at: float | None) -> datetime | None:
    """The same for one that may be missing."""
    return None if at is None else moment(at)


def clean(text: str) -> str:
    """Return text that JSON can carry: bytes of paths that are not UTF-8 become replacement characters."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def spec_of(stored: StoredSpec | None) -> dict[str, Any]:
    """Return a stored spec as plain values, nothing where there is none."""
    found: dict[str, Any] = orjson.loads(stored.body) if stored else {}
    return found


def pattern_of(spec: Mapping[str, Any]) -> str:
    """Return what a watcher looks for, in one text."""
    several = spec.get("patterns") or {}
    if spec.get("pattern"):
        return str(spec["pattern"])
    if spec.get("preset"):
        return f"preset: {spec['preset']}"
    return " AND ".join(several["all"]) if "all" in several else " OR ".join(several.get("any", ()))


def spec_fields(spec: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    """Return what a watcher shows of its spec, and where that comes from."""
    source = origin.source.partition(":")[0]
    return {
        "pattern": pattern_of(spec),
        "interval_seconds": spec.get("interval_seconds", 60),
        "captures": spec.get("captures", []),
        "condition": spec.get("condition"),
        "actions": spec.get("actions", []),
        "timer_mode_enabled": spec.get("timer_mode_enabled", False),
        "timer_interval_seconds": spec.get("timer_interval_seconds", 30),
        "output_type": spec.get("output_type", "stdout"),
        "mode": spec.get("mode", "act"),
        "labels": spec.get("labels", {}),
        "description": spec.get("description", ""),
        "source": source,
        "file": clean(origin.file),
        "line": origin.line,
        "commit": origin.commit,
        "writable": source == "api",
    }


def outline_text(outline: Outline, seq: int) -> bytes:
    """Return a `WatcherOutline` as JSON."""
    fields = {
        "columns": OUTLINED,
        "rows": orjson.Fragment(outline.rows),
        "specs": {name: spec_fields(spec_of(stored), stored.origin) for name, stored in outline.specs.items()},
        "seq": seq,
        "count": outline.count,
        "total": outline.total,
    }
    return orjson.dumps(fields)


def watcher_fields(watcher: Watcher, stored: StoredSpec | None, next_look: NextLook) -> dict[str, Any]:
    """Return the fields of `WatcherShape`."""
    shown = spec_fields(spec_of(stored), stored.origin if stored else watcher.origin)
    position = watcher.checkpoints.get(StreamName.STDOUT) or watcher.checkpoints.get(StreamName.STDERR)
    return {
        **shown,
        "id": watcher.id,
        "job_id": watcher.job.id,
        "hostname": watcher.job.host,
        "name": watcher.name,
        "state": watcher.state,
        "last_check": maybe(watcher.last_check),
        "next_check": maybe(next_look(watcher.job) if watcher.state is WatcherState.ACTIVE else None),
        "last_position": position.offset if position else 0,
        "trigger_count": watcher.trigger_count,
        "timer_mode_active": watcher.timer_active,
        "timer_due": maybe(watcher.memory.timer_due if watcher.timer_active else None),
        "created_at": moment(watcher.created_at),
        "variables": dict(watcher.variables),
        "job_name": clean(watcher.job_name),
        "last_trigger": maybe(watcher.last_trigger),
        "last_error": clean(watcher.last_error),
        "failures": watcher.failures,
        "holds": [
            HoldShape(kind=h.kind.value, by=h.by, reason=h.reason, since=moment(h.since), until=maybe(h.until))
            for h in watcher.holds
        ],
        "writable": shown["writable"] and watcher.phase is not WatcherState.STOPPED,
    }


def watcher_shape(watcher: Watcher, stored: StoredSpec | None, next_look: NextLook) -> WatcherShape:
    """Return a watcher as the API shows it."""
    return WatcherShape(**watcher_fields(watcher, stored, next_look))


def page_shapes(page: WatcherPage, next_look: NextLook) -> list[WatcherShape]:
    """Return the watchers of a page."""
    return [watcher_shape(watcher, page.specs.get(watcher.name), next_look) for watcher in page.watchers]


def event_fields(event: Event) -> dict[str, Any]:
    """Return the fields of `EventShape`."""
    return {
        "id": event.seq,
        "type": event.type.value,
        "subject": clean(event.subject),
        "watcher_id": event.watcher_id,
        "watcher_name": event.watcher,
        "job_id": event.job_id,
        "hostname": event.hostname,
        "timestamp": moment(event.at),
        "matched_text": None if event.matched_text is None else clean(event.matched_text),
        "captured_vars": {name: None if v is None else clean(v) for name, v in event.captured_vars.items()},
        "action_type": event.action_type,
        "action_result": clean(event.action_result),
        "success": event.success,
        "data": _plain(dict(event.data)),
    }


def event_shape(event: Event) -> EventShape:
    """Return an event as the API shows it."""
    return EventShape(**event_fields(event))


def _plain(value: Any) -> Any:
    """Return what JSON can carry: no surrogates, no number that is none."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return finite(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def finite(value: float | None) -> float | None:
    """Return the number, None where it is none that JSON has."""
    return value if value is not None and math.isfinite(value) else None


def stats_shape(found: Statistics) -> Stats:
    """Return the counts as the API shows them; `success` counts what an observing watcher would have done, too."""
    actions: dict[str, dict[str, int]] = {}
    for (type_, outcome), count in found.actions.items():
        counts = actions.setdefault(type_, {"total": 0, "success": 0, "failed": 0})
        counts["total"] += count
        if outcome in ("succeeded", "would_run"):
            counts["success"] += count
        elif outcome in ("failed", "refused", "interrupted"):
            counts["failed"] += count
    return Stats(
        total_watchers=sum(found.watchers.values()),
        watchers_by_state=dict(found.watchers),
        total_events=sum(found.actions.values()),
        events_by_action={type_: ActionCounts(**counts) for type_, counts in actions.items()},
        events_last_hour=found.recent,
        top_watchers=[
            BusyWatcher(watcher_id=id_, job_id=job, name=name, event_count=count)
            for id_, job, name, count in found.busiest
        ],
    )


def job_shape(known: KnownJob, watchers: int) -> JobShape:
    """Return a job as the API shows it."""
    job = known.now
    paths = {name: None if path is None else clean(path) for name, path in _paths(known)}
    return JobShape(
        job_id=job.id, hostname=job.host, name=clean(job.name), user=clean(job.user), state=job.state,
        raw_state=job.raw_state, partition=job.partition, account=job.account, qos=job.qos,
        submitted=maybe(job.submitted), started=maybe(job.started), ended=maybe(job.ended),
        time_limit=finite(job.time_limit), exit_code=job.exit_code, restarts=job.restarts, finished=known.finished,
        watchers=watchers, **paths,
    )  # fmt: skip


def _paths(known: KnownJob) -> Iterable[tuple[str, str | None]]:
    return (("stdout", known.now.stdout), ("stderr", known.now.stderr), ("workdir", known.now.workdir))
