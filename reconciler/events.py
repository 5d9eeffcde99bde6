"""What happened, as records: the types of events, and their form as CloudEvents 1.0 objects.

An event is made by the engine, kept as a row of `watcher_events`, and written as one JSON line. Its `seq` is given by
the
state when it is committed and has no gaps. Format: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from reconciler.model import HostName, JobId, OutcomeKind, WatcherId


class EventType(StrEnum):
    """Every type of event; the README's reference lists the same."""

    WATCHER_CREATED = "reconciler.watcher.created.v1"
    WATCHER_UPDATED = "reconciler.watcher.updated.v1"
    WATCHER_REPLACED = "reconciler.watcher.replaced.v1"
    WATCHER_STOPPED = "reconciler.watcher.stopped.v1"
    WATCHER_SUSPENDED = "reconciler.watcher.suspended.v1"
    WATCHER_RESUMED = "reconciler.watcher.resumed.v1"
    WATCHER_TRIGGERED = "reconciler.watcher.triggered.v1"
    WATCHER_DISABLED = "reconciler.watcher.disabled.v1"
    WATCHER_COMPLETED = "reconciler.watcher.completed.v1"
    ACTION_SUCCEEDED = "reconciler.action.succeeded.v1"
    ACTION_FAILED = "reconciler.action.failed.v1"
    ACTION_REFUSED = "reconciler.action.refused.v1"
    ACTION_SKIPPED = "reconciler.action.skipped.v1"
    ACTION_WOULD_RUN = "reconciler.action.would_run.v1"
    ACTION_RATE_LIMITED = "reconciler.action.rate_limited.v1"
    ACTION_INTERRUPTED = "reconciler.action.interrupted.v1"
    SOURCE_APPLIED = "reconciler.source.applied.v1"
    SOURCE_REJECTED = "reconciler.source.rejected.v1"
    HOST_REACHABLE = "reconciler.host.reachable.v1"
    HOST_UNREACHABLE = "reconciler.host.unreachable.v1"
    STREAM_TRUNCATED = "reconciler.stream.truncated.v1"
    STREAM_REPLACED = "reconciler.stream.replaced.v1"
    STREAM_LINE_CUT = "reconciler.stream.line_cut.v1"
    CONDITION_FAILED = "reconciler.condition.failed.v1"
    API_WRITTEN = "reconciler.api.written.v1"
    API_REFUSED = "reconciler.api.refused.v1"

    @classmethod
    def of_outcome(cls, outcome: OutcomeKind) -> EventType:
        """Return the type of the event that tells an action's outcome."""
        return cls(f"reconciler.action.{outcome}.v1")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened at `at` (seconds since the epoch, time of observation).

    `subject` names what it happened to: `<watcher>/<job>@<host>`, `<job>@<host>`, a host, a file. The fields below it
    are
    columns of `watcher_events`; `data` holds what else there is to say. `seq` is 0 until the state has committed it.
    """

    type: EventType
    at: float
    subject: str
    watcher_id: WatcherId | None = None
    watcher: str = ""
    job_id: JobId | str = ""
    hostname: HostName | str = ""
    matched_text: str | None = None
    captured_vars: Mapping[str, str | None] = field(default_factory=dict)
    action_type: str = ""
    action_result: str = ""
    success: bool = True
    data: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0


_COLUMNS = ("watcher_id", "watcher", "job_id", "hostname")
_ACTION_COLUMNS = ("matched_text", "captured_vars", "action_type", "action_result", "success")


def to_cloudevent(event: Event, source: str) -> dict[str, Any]:
    """Return the CloudEvents 1.0 object of a committed event.

    `source` is the URI reference of this state (`/reconciler/<id of the state>`); with it `id`, the seq, is unique.
    Fields that do not apply are left out of `data`, but for action events, which carry all of the table's.
    """
    data: dict[str, Any] = {"seq": event.seq}
    data.update({name: value for name in _COLUMNS if (value := getattr(event, name)) not in (None, "")})
    if event.type.startswith("reconciler.action.") or event.type is EventType.WATCHER_TRIGGERED:
        data.update({name: getattr(event, name) for name in _ACTION_COLUMNS})
    elif event.action_result:
        data["message"] = event.action_result
    data.update(event.data)
    return {
        "specversion": "1.0",
        "id": str(event.seq),
        "source": source,
        "type": str(event.type),
        "subject": event.subject,
        "time": datetime.fromtimestamp(event.at, UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": data,
    }


def to_line(event: Event, source: str) -> bytes:
    """Return the JSON line of a committed event, with its `\\n`; `source` as in `to_cloudevent`.

    A name whose bytes are not UTF-8 (surrogates) is written with `\\udcXX`, which orjson refuses.
    """
    form = to_cloudevent(event, source)
    try:
        return orjson.dumps(form, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return json.dumps(form, separators=(",", ":")).encode() + b"\n"
