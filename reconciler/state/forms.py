"""The JSON forms of what the state keeps whole: memory, holds, matches, triggers, jobs. Exact in both directions.

What equals its default is left out, so that a person reads what is there. Called by `rows` alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from reconciler.model import (
    Hold,
    HoldKind,
    HostName,
    Job,
    JobId,
    JobState,
    Match,
    Memory,
    StreamName,
    Trigger,
    TriggerKind,
)

_FRESH = Memory()
_MEMORY = tuple(field.name for field in dataclasses.fields(Memory) if field.name not in ("seen", "newest"))
_JOB = tuple(field.name for field in dataclasses.fields(Job))
_JOB_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Job)}


def match_form(match: Match) -> dict[str, Any]:
    """Return the JSON form of a match."""
    return {
        "text": match.text,
        "line": match.line,
        "offset": match.offset,
        "stream": match.stream.value,
        "groups": list(match.groups),
        "captures": dict(match.captures),
        "pattern": match.pattern,
    }


def match_from(form: Mapping[str, Any]) -> Match:
    """Return the match of a form."""
    return Match(**{**form, "stream": StreamName(form["stream"]), "groups": tuple(form["groups"])})


def memory_form(memory: Memory) -> dict[str, Any]:
    """Return the JSON form of what a watcher remembers; keys of `seen` become strings."""
    if memory == _FRESH:
        return {}
    form = {name: value for name in _MEMORY if (value := getattr(memory, name)) != getattr(_FRESH, name)}
    if memory.seen:
        form["seen"] = {str(member): at for member, at in memory.seen.items()}
    if memory.newest is not None:
        form["newest"] = match_form(memory.newest)
    return form


def memory_from(form: Mapping[str, Any]) -> Memory:
    """Return the memory of a form."""
    if not form:
        return _FRESH
    fields = dict(form)
    if "seen" in fields:
        fields["seen"] = {int(member): at for member, at in fields["seen"].items()}
    if "newest" in fields:
        fields["newest"] = match_from(fields["newest"])
    return Memory(**fields)


def hold_form(hold: Hold) -> dict[str, Any]:
    """Return the JSON form of a hold."""
    return {"kind": hold.kind.value, "by": hold.by, "reason": hold.reason, "since": hold.since, "until": hold.until}


def hold_from(form: Mapping[str, Any]) -> Hold:
    """Return the hold of a form."""
    return Hold(**{**form, "kind": HoldKind(form["kind"])})


def trigger_form(trigger: Trigger) -> dict[str, Any]:
    """Return the JSON form of a trigger."""
    form: dict[str, Any] = {"kind": trigger.kind.value, "at": trigger.at, "variables": dict(trigger.variables)}
    if trigger.match is not None:
        form["match"] = match_form(trigger.match)
    return form


def trigger_from(form: Mapping[str, Any]) -> Trigger:
    """Return the trigger of a form."""
    match = match_from(form["match"]) if "match" in form else None
    return Trigger(TriggerKind(form["kind"]), form["at"], form["variables"], match)


def job_form(job: Job) -> dict[str, Any]:
    """Return the JSON form of a job."""
    return {name: value for name in _JOB if (value := getattr(job, name)) != _JOB_DEFAULTS[name]}


def job_from(form: Mapping[str, Any]) -> Job:
    """Return the job of a form."""
    fields = {**form, "host": HostName(form["host"]), "id": JobId(form["id"]), "state": JobState(form["state"])}
    return Job(**fields)
