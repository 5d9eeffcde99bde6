"""Watchers of an older system (github.com/Ramlaoui/ssync), given as its own fields, to what is written here.

`older_scripts` reads them from job scripts; JSON and SQLite give the fields as they are. Pure: the caller loads what
comes out like any other file, so that nothing is in force unchecked. What has no counterpart here is said in notes.
Field names and defaults: docs/watchers.md and src/ssync/models/watcher.py there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

_END_STATE = re.compile(r"\bjob_end_state\b")
_ACTION_NAMES = {
    "cancel": "cancel_job", "notify": "notify_email", "email": "notify_email", "slack": "notify_slack",
    "run": "run_command", "command": "run_command", "store": "store_metric", "metric": "store_metric",
    "log": "log_event",
}  # fmt: skip
#: field there -> field here, where only the name can differ, and what it is there where nobody wrote it
_SAME: Mapping[str, tuple[str, Any]] = {
    "description": ("description", ""),
    "pattern": ("pattern", ""),
    "captures": ("captures", []),
    "output_type": ("output_type", "stdout"),
    "interval_seconds": ("interval_seconds", 60),
    "interval": ("interval_seconds", 60),
    "max_triggers": ("max_triggers", None),
    "max_failures": ("max_failures", None),
    "timer_mode_enabled": ("timer_mode_enabled", False),
    "timer_mode": ("timer_mode_enabled", False),
    "timer_interval_seconds": ("timer_interval_seconds", 30),
    "timer_interval": ("timer_interval_seconds", 30),
    "trigger_on_job_end": ("trigger_on_job_end", False),
    "trigger_job_states": ("trigger_job_states", ["completed", "failed", "timeout"]),
}
_ELSEWHERE = frozenset({"name", "condition", "actions", "remaining_resubmits", "resubmit_count"})
#: What only says how far the older system had come.
_RUNTIME = frozenset({"is_array_template", "array_spec", "id", "state", "job_id", "hostname"})


@dataclass(frozen=True, slots=True)
class Taken:
    """One watcher as it would be written here, as plain values, and what was lost or changed on the way."""

    spec: dict[str, Any]
    notes: tuple[str, ...] = ()
    line: int = 0


def take_over(fields: Mapping[str, Any], jobs: Mapping[str, Any], line: int = 0) -> Taken:
    """Return one watcher of the older system, bound to `jobs` (a selector as it is written here; empty: all jobs)."""
    notes: list[str] = []
    spec: dict[str, Any] = {"name": str(fields.get("name") or "").strip()}
    if jobs:
        spec["jobs"] = dict(jobs)
    for key, value in fields.items():
        here, default = _SAME.get(key, ("", None))
        if here and value not in (None, default):
            spec[here] = value
        elif not here and key not in _ELSEWHERE | _RUNTIME and value not in (None, "", [], {}):
            notes.append(f"{key} is not taken over: it means nothing here")
    at_end = bool(spec.get("trigger_on_job_end"))
    condition = _renamed(fields.get("condition"))
    waits = at_end and bool(spec.get("pattern"))
    if waits and spec.pop("max_triggers", None) is not None:
        notes.append(
            "max_triggers is left out: a match that only captures would count, and the job's end would not act"
        )
    if condition and not waits:
        spec["condition"] = condition
    actions = [_action(action, fields, notes) for action in fields.get("actions") or ({"type": "log_event"},)]
    # There, such a watcher captures at a match and acts at the end alone, where its condition is asked.
    spec["actions"] = [_at_end(action, condition) if waits else action for action in actions]
    return Taken(spec, tuple(notes), line)


def named(taken: Iterable[Taken], origin: str) -> list[Taken]:
    """Give every watcher a name of its own: names were free to repeat there."""
    seen: dict[str, int] = {}
    result = []
    for number, each in enumerate(taken, 1):
        wanted = each.spec["name"] or f"{origin} {number}"
        seen[wanted] = seen.get(wanted, 0) + 1
        name = wanted if seen[wanted] == 1 else f"{wanted} ({seen[wanted]})"
        seen.setdefault(name, 1)
        notes = each.notes if name == each.spec["name"] else (*each.notes, f"it is called {name!r} from now on")
        result.append(replace(each, spec={**each.spec, "name": name}, notes=notes))
    return result


def action_type(name: str) -> str:
    """Return our name of an action type; there, several short ones are allowed in scripts."""
    lower = name.strip().lower()
    return _ACTION_NAMES.get(lower, lower)


def _at_end(action: dict[str, Any], condition: str) -> dict[str, Any]:
    asked = [text for text in (condition, action.get("condition")) if text]
    return {**action, "condition": " and ".join(["TRIGGER == 'job_end'", *(f"({text})" for text in asked)])}


def _renamed(text: object) -> str:
    return _END_STATE.sub("JOB_STATE", str(text)) if text else ""


def _action(written: Mapping[str, Any], fields: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return one action as it is written here."""
    type_ = action_type(str(written.get("type", "")))
    params = {key: _renamed(v) if isinstance(v, str) else v for key, v in (written.get("params") or {}).items()}
    translate = _PARAMS.get(type_)
    action: dict[str, Any] = {"type": type_, "params": translate(params, fields, notes) if translate else params}
    if condition := _renamed(written.get("condition")):
        action["condition"] = condition
    if not action["params"]:
        del action["params"]
    return action


Params = dict[str, Any]


def _log_event(params: Params, _: Mapping[str, Any], __: list[str]) -> Params:
    level = str(params.get("level", "info")).lower()
    rest = {} if level == "info" else {"level": level}
    return {"message": params.get("message", "$0"), **rest}


def _store_metric(params: Params, _: Mapping[str, Any], notes: list[str]) -> Params:
    value = params.get("value")
    if value is None:
        value = "$" + str(params.get("variable", "1"))
        if "variable" not in params:
            notes.append("store_metric named no value: the first group is stored")
    rest = {"step": params["step"]} if "step" in params else {}
    return {"name": params.get("name", "metric"), "value": value, **rest}


def _resubmit(params: Params, fields: Mapping[str, Any], notes: list[str]) -> Params:
    """There, the watched job is cancelled unless one says no; here only where one says yes."""
    taken: Params = {"cancel_previous": _truth(params.get("cancel_previous", True))}
    left = params.get("remaining_resubmits", fields.get("remaining_resubmits", fields.get("resubmit_count")))
    if left is not None:
        taken["max_resubmits"] = int(left)
    else:
        notes.append("a chain of resubmits ends after 3 here; set max_resubmits for another bound")
    if isinstance(changes := params.get("modifications"), Mapping):
        taken["modifications"] = {str(key).replace("_", "-"): value for key, value in changes.items()}
        notes.append("modifications are sbatch options by their long names here: look them over")
    return taken


def _notify_email(params: Params, _: Mapping[str, Any], notes: list[str]) -> Params:
    if "to" not in params:
        notes.append("notify_email names nobody: a channel of the settings is used, or the job's owner")
    return {key: value for key, value in params.items() if key in ("to", "subject", "message")}


def _notify_slack(params: Params, _: Mapping[str, Any], notes: list[str]) -> Params:
    if params.keys() & {"webhook", "channel"}:
        notes.append("where Slack messages go stands in the settings here: name a channel there")
    return {"message": params["message"]} if "message" in params else {}


def _pause_watcher(params: Params, _: Mapping[str, Any], __: list[str]) -> Params:
    return {key: value for key, value in params.items() if key == "reason"}


def _truth(value: object) -> bool:
    return value if isinstance(value, bool) else str(value).lower() in ("true", "yes", "1", "on")


_PARAMS: Mapping[str, Callable[[Params, Mapping[str, Any], list[str]], Params]] = {
    "log_event": _log_event,
    "store_metric": _store_metric,
    "resubmit": _resubmit,
    "notify_email": _notify_email,
    "notify_slack": _notify_slack,
    "pause_watcher": _pause_watcher,
}
