"""Plain values for the tests of the core: specs as users write them, jobs, watchers, what a source gave.

Specs are read by the real loader with all action types, so a test writes what a user would write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from reconciler import app
from reconciler.errors import Problem
from reconciler.logic.compiled import ActionKind, CompiledSpec, compile_spec
from reconciler.logic.desired import Desired, ReadFile, Reading, Resolution, resolve
from reconciler.logic.plan import Change, ChangeKind, Plan, make_plan
from reconciler.model import (
    HostName,
    Job,
    JobId,
    JobState,
    Match,
    Origin,
    StoredSpec,
    Watcher,
    WatcherId,
    WatcherState,
)
from reconciler.protocols import KnownJob
from reconciler.settings import PolicySettings, Settings
from reconciler.spec.canonical import digest_of, from_json, to_json
from reconciler.spec.watcher import WatcherSpec

NOW = 1_800_000_000.0
SOURCE = "directory:/w"
LOG = {"type": "log_event", "params": {"message": "seen $0"}}
CANCEL = {"type": "cancel_job", "params": {"reason": "because"}}
PAUSE = {"type": "pause_watcher"}
STORE = {"type": "store_metric", "params": {"name": "loss", "value": "$loss"}}
NOTIFY = {"type": "notify_slack", "params": {"channel": "team", "message": "$0"}}


def a_spec(name: str = "w", **fields: Any) -> WatcherSpec:
    """Return a spec: it looks for `hit` and logs, unless `fields` say otherwise."""
    written = {"name": name, "pattern": "hit", "actions": [LOG], **fields}
    return app.watcher_model().model_validate({key: value for key, value in written.items() if value is not None})


def desired(spec: WatcherSpec | str = "w", *, file: str = "", line: int = 1, source: str = SOURCE) -> Desired:
    """Return a spec as a file of a source gives it; the file has the name of the spec unless `file` says otherwise."""
    spec = a_spec(spec) if isinstance(spec, str) else spec
    body = to_json(spec)
    path = file or f"{source.partition(':')[2]}/{spec.name}.yaml"
    return Desired(spec, digest_of(body), body, Origin(source, path, line))


def reading(*specs: Desired | str, source: str = SOURCE, bad: Iterable[str] = (), **fields: Any) -> Reading:
    """Return what a source gave: these specs by file, and `bad` files with an error in each."""
    files: dict[str, list[Desired]] = {}
    for spec in specs:
        given = desired(spec, source=source) if isinstance(spec, str) else spec
        files.setdefault(given.origin.file, []).append(given)
    good = [ReadFile(path, tuple(found)) for path, found in files.items()]
    broken = [ReadFile(path, (), (a_problem(path),)) for path in bad]
    return Reading(source, (*good, *broken), **{"revision": "0123456789abcdef", **fields})


def a_problem(file: str, severity: str = "error") -> Problem:
    """Return something wrong in a file."""
    return Problem(file, 3, 1, "yaml-syntax", "it cannot be read", "mend it", severity=severity)


def revive(stored: StoredSpec) -> WatcherSpec | None:
    """Turn a stored spec back, as the engine does."""
    return from_json(stored.body, app.watcher_model())


def resolved(
    *readings: Reading, before: Iterable[Desired | StoredSpec] = (), now: float = NOW, approved: bool = False
) -> Resolution:
    """Return the specs in force, `before` being what the state has; the grace is 120 seconds."""
    stored = [spec.stored() if isinstance(spec, Desired) else spec for spec in before]
    return resolve(readings, stored, revive=revive, now=now, grace=120.0, approved=approved)


def a_job(job_id: str = "1", host: str = "hpc", **fields: Any) -> Job:
    """Return a running job of ada, submitted a minute ago."""
    whole: dict[str, Any] = {
        "name": "train",
        "user": "ada",
        "state": JobState.RUNNING,
        "submitted": NOW - 60,
        "started": NOW - 50,
        **fields,
    }
    return Job(HostName(host), JobId(job_id), **whole)


def known(job: Job | None = None, *, finished: bool = False, first: Job | None = None) -> KnownJob:
    """Return a job as the state remembers it."""
    job = job or a_job()
    return KnownJob(first or job, job, NOW, finished)


def a_watcher(spec: Desired | str = "w", job: Job | None = None, number: int = 1, **fields: Any) -> Watcher:
    """Return the watcher of a spec on a job, as a pass makes it."""
    given = desired(spec) if isinstance(spec, str) else spec
    job = job or a_job()
    whole: dict[str, Any] = {"created_at": NOW - 40, "job_submitted": job.submitted, **fields}
    return Watcher(WatcherId(number), given.name, job.key, job.name, given.digest, given.origin, **whole)


def planned(
    resolution: Resolution,
    jobs: Sequence[KnownJob] = (),
    watchers: Sequence[Watcher] = (),
    *,
    approved: bool = False,
    met: Iterable[Desired] = (),
    **policy: Any,
) -> Plan:
    """Return the plan of one pass. `met`: specs that are applied to the jobs of `hpc`."""
    pairs = {(spec.name, spec.digest, HostName("hpc")) for spec in met}
    return make_plan(resolution, jobs, watchers, PolicySettings(**policy), approved=approved, met=pairs)


def kinds_of(changes: Iterable[Change]) -> list[tuple[str, str, str]]:
    """Return kind, watcher and job id of changes, sorted."""
    return sorted((str(c.kind), str(c.name), str(c.job.id)) for c in changes)


def applied(plan: Plan, watchers: Sequence[Watcher] = ()) -> tuple[Watcher, ...]:
    """Return the watchers that there are once the plan was applied: what the engine does, without an engine."""
    rows = {watcher.id: watcher for watcher in watchers}
    for change in plan.applicable:
        if change.kind is ChangeKind.CREATE and change.after is not None:
            number = WatcherId(max(rows, default=0) + 1)
            phase = WatcherState.STATIC if change.static else WatcherState.ACTIVE
            job = change.job
            rows[number] = Watcher(number, change.name, job, change.job_name, change.after.digest, change.origin, phase)
        elif change.before is not None:
            rows[change.before.id] = _changed(change, change.before)
    return tuple(rows.values())


def _changed(change: Change, before: Watcher) -> Watcher:
    if change.kind is ChangeKind.STOP or change.after is None:
        return replace(before, phase=WatcherState.STOPPED)
    return replace(before, name=change.name, spec_digest=change.after.digest, phase=WatcherState.ACTIVE)


@cache
def action_kinds() -> Mapping[str, ActionKind]:
    """Return what the engine knows of every action type."""
    return app.make_actions(Settings())[0]


def compiled(spec: WatcherSpec) -> CompiledSpec:
    """Return a spec ready to run, with the real actions."""
    return compile_spec(spec, digest_of(to_json(spec)), action_kinds())


def a_match(text: str = "hit", line: int = 1, *groups: str | None, **captures: str | None) -> Match:
    """Return a match in a line; the groups are those of `captures` unless given."""
    return Match(text, line, (line - 1) * 10, groups=groups or tuple(captures.values()), captures=captures)
