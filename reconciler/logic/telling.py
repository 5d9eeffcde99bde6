"""Events about watchers and their actions, with the place of the match and of the spec in their data.

Whoever changes a watcher tells it by these. Light: a pass that changes nothing imports no more of the logic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.events import Event, EventType
from reconciler.model import OutcomeKind, Trigger, Watcher


def watcher_event(
    watcher: Watcher,
    type_: EventType,
    at: float,
    trigger: Trigger | None = None,
    *,
    result: str = "",
    success: bool = True,
    data: Mapping[str, Any] = {},
) -> Event:
    """Return an event about one watcher, with the place of the match and of the spec in its data."""
    match = trigger.match if trigger else None
    place = {"line": match.line, "offset": match.offset, "stream": match.stream} if match else {}
    origin = {"file": watcher.origin.file, "spec_line": watcher.origin.line, "commit": watcher.origin.commit}
    return Event(
        type=type_,
        at=at,
        subject=f"{watcher.name}/{watcher.job}",
        watcher_id=watcher.id,
        watcher=watcher.name,
        job_id=watcher.job.id,
        hostname=watcher.job.host,
        matched_text=match.text if match else None,
        captured_vars=dict(match.captures) if match else (dict(trigger.variables) if trigger else {}),
        action_result=result,
        success=success,
        data={**place, **origin, **data},
    )


def action_event(
    watcher: Watcher,
    trigger: Trigger,
    type_: str,
    index: int,
    kind: OutcomeKind,
    result: str,
    data: Mapping[str, Any] = {},
) -> Event:
    """Return the event that tells what became of an action."""
    event = watcher_event(
        watcher,
        EventType.of_outcome(kind),
        trigger.at,
        trigger,
        result=result,
        success=kind in (OutcomeKind.SUCCEEDED, OutcomeKind.WOULD_RUN),
        data={"action": index, **data},
    )
    return replace(event, action_type=type_)
