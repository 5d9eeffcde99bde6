"""The difference between what is wanted and what there is: specs x jobs against watchers -> Plan.

Pure. `reconcile plan` prints the result, the engine applies the very same value. Whatever would stop or bind too much
at once is marked `withheld` and waits for a person's yes; the rest of the plan goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from reconciler.errors import Problem, UnsafePlanError
from reconciler.logic.desired import Desired, Resolution
from reconciler.logic.fields import FieldChange, field_changes
from reconciler.logic.meeting import Pair
from reconciler.logic.runs import ENDED, another_run
from reconciler.logic.selecting import dangerous, fits
from reconciler.model import JobKey, Origin, Watcher, WatcherName, WatcherState
from reconciler.protocols import KnownJob
from reconciler.settings import PolicySettings


class ChangeKind(StrEnum):
    """What a change does to one watcher."""

    CREATE = "create"
    UPDATE = "update"  # its spec was edited; checkpoint, counters and variables stay
    REPLACE = "replace"  # it goes on under another name (`renamed_from`)
    STOP = "stop"
    RESUME = "resume"  # a tombstone, or the watcher of a requeued job, goes on from its checkpoint
    SUSPEND = "suspend"  # a declared suspension began
    NO_OP = "no-op"


@dataclass(frozen=True, slots=True)
class Change:
    """One watcher's difference. `withheld` says why it waits for approval (empty: it does not)."""

    kind: ChangeKind
    name: WatcherName
    job: JobKey
    job_name: str
    reason: str
    origin: Origin
    before: Watcher | None = None
    after: Desired | None = None
    static: bool = False
    withheld: str = ""
    deliberate: bool = True
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes of one pass, with the specs in force and what was wrong on the way.

    `approved_as`: the digest by which a person said yes to it.
    """

    changes: tuple[Change, ...]
    resolution: Resolution
    approved_as: str = ""

    @property
    def alarms(self) -> tuple[str, ...]:
        """Sources that are gone or empty, though they gave watchers before."""
        return self.resolution.alarms

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong in the files."""
        return self.resolution.problems

    @property
    def pending(self) -> tuple[Change, ...]:
        """The changes that change something."""
        return tuple(change for change in self.changes if change.kind is not ChangeKind.NO_OP)

    @property
    def applicable(self) -> tuple[Change, ...]:
        """The changes that may be applied without asking anybody."""
        return tuple(change for change in self.pending if not change.withheld)

    @property
    def withheld(self) -> tuple[Change, ...]:
        """The changes that wait for a person's yes."""
        return tuple(change for change in self.pending if change.withheld)

    def digest(self) -> str:
        """Return a hex digest of what the plan would do; an approval names it."""
        if self.approved_as:
            return self.approved_as
        gone = self.resolution.awaiting
        pending = (change for change in self.pending if _outlasts(change, gone))
        lines = [f"{c.kind}\0{c.name}\0{c.job}\0{c.after.digest if c.after else ''}" for c in pending]
        lines += [f"gone\0{name}" for name in gone]
        return hashlib.blake2b("\n".join(sorted(lines)).encode(), digest_size=8).hexdigest()

    def approved(self) -> Plan:
        """Return the plan with nothing withheld: a person looked at it and said yes."""
        gone = self.resolution.awaiting
        changes = tuple(replace(change, withheld="") for change in self.changes if _outlasts(change, gone))
        return Plan(changes, self.resolution.approved(), self.digest())

    def raise_if_unsafe(self) -> None:
        """Raise UnsafePlanError where something waits for approval or a source is gone or empty."""
        reasons = [*self.alarms, *sorted({change.withheld for change in self.withheld} - {*self.alarms})]
        if not reasons:
            return
        remedies = []
        if self.withheld or self.resolution.emptied:
            yes = f"reconcile --once --approve={self.digest()}"
            remedies = [f"look at `reconcile plan`, then `{yes}`, over the same directories"]
        if self.resolution.unread:
            remedies.append(_UNREAD)
        raise UnsafePlanError("; ".join(reasons), remedy="; ".join(remedies))


#: A yes cannot tell a directory that is to go from one that is not mounted.
_UNREAD = (
    "mount what cannot be read again, make it readable, or have its commit signed; if its watchers are to go, commit "
    "the deletion, or put an empty directory there and approve that"
)


def _outlasts(change: Change, gone: Container[WatcherName]) -> bool:
    """Tell whether a change is still made once the specs of emptied sources are gone: of theirs, the stops are."""
    return change.name not in gone or change.kind is ChangeKind.STOP


def make_plan(
    resolution: Resolution,
    jobs: Iterable[KnownJob],
    watchers: Iterable[Watcher],
    policy: PolicySettings,
    *,
    approved: bool = False,
    applied: Mapping[str, str] = MappingProxyType({}),
    met: Container[Pair] = frozenset(),
) -> Plan:
    """Return the Plan of one pass.

    `approved`: a person said yes, nothing is withheld. `applied`: name -> canonical JSON of each spec as it was last
    applied, to tell which fields an edit changed. `met`: specs that are applied to a host's jobs already, so that what
    comes there is no widening of them.
    """
    known = {job.now.key: job for job in jobs}
    existing, earlier = _by_name_and_job(watchers, known)
    waiting = _awaiting(resolution, existing)
    stops = {(change.name, change.job) for change in waiting}
    bound = _bound(resolution, known, existing)
    bound = [c for c in bound if c.kind is not ChangeKind.NO_OP or (c.name, c.job) not in stops]
    changes = [*bound, *_unwanted(resolution, existing, known), *_outlived(earlier), *waiting]
    changes = [_with_fields(change, applied) for change in changes]
    if not approved:
        running = sum(watcher.phase.live for watcher in existing.values())
        changes = _withhold(changes, policy, running, resolution.tame, met)
    return Plan(tuple(changes), resolution)


def _with_fields(change: Change, applied: Mapping[str, str]) -> Change:
    old = applied.get(change.before.name) if change.before else None
    if change.kind not in (ChangeKind.UPDATE, ChangeKind.REPLACE) or change.after is None or old is None:
        return change
    fields = field_changes(old, change.after.body)
    return replace(change, fields=fields, **_only_suspension(change.kind, fields))


def _only_suspension(kind: ChangeKind, fields: Sequence[FieldChange]) -> dict[str, Any]:
    """Return kind and reason of an edit that only began or ended the declared suspension; nothing for others."""
    paths = {field.path for field in fields}
    if kind is not ChangeKind.UPDATE or not paths or any(path.split(".")[0] != "suspend" for path in paths):
        return {}
    if "suspend" not in paths:  # reason or end of a suspension that goes on
        return {}
    if all(field.new for field in fields):
        return {"kind": ChangeKind.SUSPEND, "reason": "its spec declares a suspension now"}
    return {"kind": ChangeKind.RESUME, "reason": "its spec declares no suspension any more"}


Existing = Mapping[tuple[WatcherName, JobKey], Watcher]
#: Nothing more becomes of these by itself.
_OVER = (WatcherState.COMPLETED, WatcherState.STOPPED)


def _by_name_and_job(
    watchers: Iterable[Watcher], known: Mapping[JobKey, KnownJob]
) -> tuple[Existing, tuple[Watcher, ...]]:
    """Return the watchers of present jobs, and the live ones of earlier jobs that had the same ids."""
    found: dict[tuple[WatcherName, JobKey], Watcher] = {}
    earlier = []
    for watcher in watchers:
        job = known.get(watcher.job)
        if job is None or watcher.job_submitted in (None, job.first.submitted):
            found[watcher.name, watcher.job] = watcher
        elif watcher.phase.live:
            earlier.append(watcher)
    return found, tuple(earlier)


def _bound(resolution: Resolution, known: Mapping[JobKey, KnownJob], existing: Existing) -> list[Change]:
    """Return what becomes of every spec on every job; on jobs that are done with only where something still can."""
    present = [job for job in known.values() if not job.finished]
    done = [job for job in known.values() if job.finished]
    kept: dict[WatcherName, list[KnownJob]] = {}
    for (name, key), watcher in existing.items():
        if watcher.phase not in _OVER and key in known and known[key].finished:
            kept.setdefault(name, []).append(known[key])
    changes = []
    free = dict(existing)  # a watcher is taken over once, by the first spec that names it
    for desired in resolution.desired.values():
        for job in (*present, *(done if desired.named_jobs else kept.get(desired.name, ()))):
            change = _for_pair(desired, job, free, resolution)
            if change is not None:
                changes.append(change)
            if change is not None and change.kind is ChangeKind.REPLACE and change.before is not None:
                del free[change.before.name, change.job]
    return changes


def _for_pair(desired: Desired, job: KnownJob, existing: Existing, resolution: Resolution) -> Change | None:
    """Return what one spec means for one job; None where they have nothing to do with each other."""
    watcher = existing.get((desired.name, job.now.key))
    if watcher is not None and watcher.phase is not WatcherState.STOPPED:
        return _for_existing(desired, job, watcher)
    if not desired.binds or not fits(desired.spec.jobs, job.first):
        return None
    previous, unclear = _previous(desired, job, existing, resolution)
    if unclear:
        return None
    if previous is not None:
        return _change(ChangeKind.REPLACE, desired, job, f"renamed from {previous.name!r}", previous)
    if watcher is not None:
        reason = "wanted again; goes on from its checkpoint"
        return None if job.finished else _change(ChangeKind.RESUME, desired, job, reason, watcher)
    if not job.finished:
        return _change(ChangeKind.CREATE, desired, job, "fits the job")
    if desired.named_jobs:
        reason = "named by ids; the job had ended, so it fires on request only"
        return _change(ChangeKind.CREATE, desired, job, reason, static=True)
    return None


def _previous(
    desired: Desired, job: KnownJob, existing: Existing, resolution: Resolution
) -> tuple[Watcher | None, bool]:
    """Return the watcher under the old name of a renamed spec, and whether it cannot be told if that name is free.

    A name that some file still gives is not taken over; one that is merely kept (its file is bad or not read) is
    waited for.
    """
    if desired.renamed_from in (None, desired.name):
        return None, False
    old = WatcherName(str(desired.renamed_from))
    watcher = existing.get((old, job.now.key))
    holder = resolution.desired.get(old)
    if watcher is None or (holder is not None and not holder.note):
        return None, False
    if holder is not None:
        return None, True
    return (None if job.finished and watcher.phase is WatcherState.STOPPED else watcher), False


def _for_existing(desired: Desired, job: KnownJob, watcher: Watcher) -> Change:
    if watcher.phase is WatcherState.COMPLETED:
        if not job.finished and (not job.now.state.ended or another_run(watcher.memory.runs.get(ENDED), job.now)):
            reason = "the job was requeued; goes on from its checkpoint"
            return _change(ChangeKind.RESUME, desired, job, reason, watcher)
        return _change(ChangeKind.NO_OP, desired, job, "the job has ended", watcher)
    if watcher.spec_digest == desired.digest:
        return _change(ChangeKind.NO_OP, desired, job, desired.note or "as declared", watcher)
    if not fits(desired.spec.jobs, job.first):
        return _change(ChangeKind.STOP, desired, job, "its edited selector no longer fits the job", watcher)
    return _change(ChangeKind.UPDATE, desired, job, "its spec was edited", watcher)


def _change(
    kind: ChangeKind,
    desired: Desired,
    job: KnownJob,
    reason: str,
    before: Watcher | None = None,
    *,
    static: bool = False,
) -> Change:
    return Change(kind, desired.name, job.now.key, job.now.name, reason, desired.origin, before, desired, static)


def _unwanted(resolution: Resolution, existing: Existing, known: Mapping[JobKey, KnownJob]) -> list[Change]:
    """Return the stops of watchers whose spec vanished; those whose renamed spec takes them over are no stops."""
    gone = {vanished.stored.name: vanished for vanished in resolution.vanished}
    heirs: dict[str, list[Desired]] = {}
    for desired in resolution.desired.values():
        if desired.renamed_from and desired.binds:
            heirs.setdefault(desired.renamed_from, []).append(desired)
    changes = []
    for watcher in existing.values():
        vanished = gone.get(watcher.name)
        job = known.get(watcher.job)
        if vanished is None or not watcher.phase.live:
            continue
        if job is None or not any(_takes_over(heir, job, existing) for heir in heirs.get(str(watcher.name), ())):
            changes.append(_stop(watcher, vanished.stored.origin, vanished.reason, vanished.deliberate))
    return changes


def _takes_over(heir: Desired, job: KnownJob, existing: Existing) -> bool:
    """Tell whether a renamed spec goes on with the watcher of its old name; not where it has one of its own."""
    own = existing.get((heir.name, job.now.key))
    return fits(heir.spec.jobs, job.first) and (own is None or own.phase is WatcherState.STOPPED)


def _awaiting(resolution: Resolution, existing: Existing) -> list[Change]:
    """Return the stops of watchers whose source was emptied; they wait for a person's yes."""
    gone = resolution.awaiting
    changes = []
    for watcher in existing.values():
        if watcher.name in gone and watcher.phase.live:
            vanished, alarm = gone[watcher.name]
            stop = _stop(watcher, vanished.stored.origin, "its directory was emptied", True)
            changes.append(replace(stop, withheld=alarm))
    return changes


def _outlived(earlier: Iterable[Watcher]) -> list[Change]:
    """Return the stops of watchers whose job's id was given to another job before they were completed."""
    return [_stop(each, each.origin, "its job is gone; the id was given to another job", True) for each in earlier]


def _stop(watcher: Watcher, origin: Origin, reason: str, deliberate: bool) -> Change:
    kind = ChangeKind.STOP
    return Change(kind, watcher.name, watcher.job, watcher.job_name, reason, origin, watcher, deliberate=deliberate)


def _withhold(
    changes: Sequence[Change],
    policy: PolicySettings,
    running: int,
    tame: Container[WatcherName],
    met: Container[Pair],
) -> list[Change]:
    """Mark what waits for approval: mass stops that nobody committed, mass bindings of dangerous actions."""
    stops = [c for c in changes if c.kind is ChangeKind.STOP and not c.deliberate]
    mass_stop = len(stops) > policy.max_stops or (
        len(stops) >= 5 and len(stops) * 100 > policy.max_stop_percent * running
    )
    bindings = [c for c in changes if _binds_danger(c, tame, met)]
    stop_text = f"would stop {len(stops)} of {running} watchers that nobody committed to delete"
    most = policy.max_new_bindings
    bind_text = f"would bind actions that change jobs {len(bindings)} times at once (more than {most})"
    held = {id(c): stop_text for c in stops} if mass_stop else {}
    held |= {id(c): bind_text for c in bindings} if len(bindings) > most else {}
    return [replace(c, withheld=held[id(c)]) if id(c) in held else c for c in changes]


def _binds_danger(change: Change, tame: Container[WatcherName], met: Container[Pair]) -> bool:
    """Tell whether a new or edited spec lets a dangerous action loose on a job that had it not.

    A job that comes to a spec that is applied does not count: nobody changed what is declared.
    """
    if change.after is None or change.static or not dangerous(change.after.spec):
        return False
    if change.fields or change.kind in (ChangeKind.UPDATE, ChangeKind.REPLACE):
        return change.name in tame
    if (change.name, change.after.digest, change.job.host) in met:
        return False
    return change.kind in (ChangeKind.CREATE, ChangeKind.RESUME)
