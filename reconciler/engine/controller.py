"""One pass: look at sources and hosts, plan, apply. Level-triggered: what to do follows from the state alone.

The daemon and `reconcile --once` call the same pass; the daemon merely calls it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from reconciler.engine.applying import Applier
from reconciler.engine.discovery import Discovery, Seen
from reconciler.engine.fleet import Fleet, Versions
from reconciler.engine.parts import Parts
from reconciler.engine.scripts import Scripts
from reconciler.engine.sourcing import Sourcing
from reconciler.engine.standing import stands
from reconciler.errors import ExitCode, Problem, StalePlanError
from reconciler.events import Event, EventType
from reconciler.logic import meeting
from reconciler.logic.desired import Reading, Resolution, resolve
from reconciler.logic.plan import Plan, make_plan
from reconciler.logic.selecting import started
from reconciler.model import HostName, JobKey, StoredSpec, Watcher
from reconciler.protocols import StateReading

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PassReport:
    """What a pass came to."""

    plan: Plan | None = None
    applied: int = 0
    seen: Seen = field(default_factory=Seen)
    failed_actions: int = 0
    events_waiting: bool = False  # the events file took not all of them; they are kept in the state

    @property
    def problems(self) -> Sequence[Problem]:
        """Everything wrong in the files, errors and warnings."""
        return self.plan.problems if self.plan else ()

    def codes(self) -> list[ExitCode]:
        """Return every exit code that holds."""
        codes = [ExitCode.OK]
        if self.plan is not None and (self.plan.alarms or self.plan.withheld):
            codes.append(ExitCode.REFUSED)
        if any(problem.severity == "error" for problem in self.problems):
            codes.append(ExitCode.INVALID)
        if self.events_waiting:
            codes.append(ExitCode.ERROR)
        if self.seen.unreachable or self.seen.lacking or self.failed_actions:
            codes.append(ExitCode.PARTIAL)
        return codes


class Controller:
    """Owns the fleet of job tasks and keeps it equal to what is declared."""

    def __init__(self, parts: Parts, identity: str) -> None:
        self._parts = parts
        self.fleet = Fleet(parts, identity)
        self.discovery = Discovery(parts)
        self._sourcing = Sourcing(parts)
        self._scripts = Scripts(parts)
        self._applier = Applier(parts, self.fleet)
        self._loaded = False
        self._settled = (-1, -1)
        self._before: tuple[object, ...] = ()
        self._told: tuple[Problem, ...] | None = None
        self._stored: tuple[StoredSpec, ...] = ()
        self._met: meeting.Met = {}
        self._watchers: tuple[Watcher, ...] = ()  # as a plan found them, while it is made
        self.plan: Plan | None = None
        self.readings: tuple[Reading, ...] = ()  # of the last pass

    async def pass_(
        self, *, approve: str = "", exactly: bool = False, list_jobs: bool = True, patience: float | None = None
    ) -> PassReport:
        """Look, plan and apply. `approve`: `yes`, or the digest of the plan that a person looked at; `exactly`: that
        plan or nothing.

        A host whose jobs are not listed within `patience` seconds (None: all are waited for) is part of a later pass.
        Raises StalePlanError.
        """
        if not self._loaded:
            await self.discovery.load()
        report = PassReport()
        readings, report.seen = await self._looked(list_jobs, patience)
        self.readings = tuple(readings)
        self._refresh_jobs(report.seen)
        if not self._anything_new(readings, report.seen, approve):
            report.plan = self.plan
        else:
            self._before = ()  # until all of it is applied: a pass that breaks off is made again
            await self._plan_and_apply(readings, report, approve, exactly=exactly)
            self._before = () if report.applied else _content_of(readings)
        stand = (self.discovery.turn, self.fleet.turn)
        if stand != self._settled:  # both walk over all jobs
            self._note_shared()
            await self._finish_unwatched()
            self._settled = stand
        return report

    async def _looked(self, list_jobs: bool, patience: float | None) -> tuple[Sequence[Reading], Seen]:
        """Read the sources while the schedulers answer; where one of the two fails, the other does not outlive it."""
        if not list_jobs:
            return await self._read(), await self.discovery.look(ask=False)
        looking = asyncio.create_task(self.discovery.look(patience))
        try:
            readings = await self._sourcing.read()
            seen = await looking
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        return (*readings, *await self._scripted()), seen

    async def preview(self, *, approve: str = "", list_jobs: bool = True) -> Plan:
        """Return the plan of a pass, changing nothing but what the listing of jobs is remembered as."""
        await self.discovery.load()
        if list_jobs:
            await self.discovery.look()
        return await self._plan(await self._read(), approve)

    async def _read(self) -> tuple[Reading, ...]:
        """Return what all sources give: those of the settings, then the scripts of the jobs there are."""
        return (*await self._sourcing.read(), *await self._scripted())

    async def _scripted(self) -> tuple[Reading, ...]:
        """A pass that reads no source (a command's, for a request) asks for no scripts either."""
        return await self._scripts.read(self.discovery.known) if self._parts.sources else ()

    def _anything_new(self, readings: Sequence[Reading], seen: Seen, approve: str) -> bool:
        """Tell whether planning can find anything: other content, other jobs, a grace that runs, an approval."""
        waiting = self.plan is not None and (
            self.plan.withheld or any(d.missing_since is not None for d in self.plan.resolution.desired.values())
        )
        changed = _content_of(readings) != self._before
        return bool(changed or seen.changed or waiting or approve or self.plan is None)

    async def _plan_and_apply(
        self, readings: Sequence[Reading], report: PassReport, approve: str, *, exactly: bool
    ) -> None:
        plan = await self._plan(readings, approve)
        if exactly and plan.digest() != approve:
            raise StalePlanError(
                "the plan is no longer true: files, jobs or watchers have changed since it was made",
                remedy="look at `reconcile plan` again",
            )
        report.plan = self.plan = plan
        if not self._loaded:
            await self.fleet.load(self.discovery.known, self._versions(plan), self._watchers)
            self._loaded = True
        self._watchers = ()
        parsed = {**self._sourcing.unsaved, **self._scripts.unsaved}
        events = [*self._source_events(readings, plan), *self._scripts.events]
        facts, self._sourcing.facts = {**self._sourcing.facts, **self._meeting(plan)}, {}
        self._sourcing.unsaved, self._scripts.unsaved, self._scripts.events = {}, {}, []
        report.applied = await self._applier.apply(
            plan, self.discovery.known, events=events, parsed=parsed, facts=facts
        )
        self.fleet.prune_compiled(d.digest for d in plan.resolution.desired.values())

    def _meeting(self, plan: Plan) -> dict[str, str]:
        """Return the fact of which specs have met the jobs of which hosts after this plan; nothing where it stands."""
        withheld = {change.name for change in plan.withheld if change.after is not None}
        circles = [word for host, word in self._circles().items() if host in self.discovery.heard]
        met = meeting.after(self._met, plan.resolution.desired.values(), withheld, circles)
        return {} if met == self._met else {meeting.FACT: meeting.written(met)}

    def _circles(self) -> dict[HostName, str]:
        hosts, policy = self._parts.settings.hosts, self._parts.settings.policy
        return {
            HostName(name): meeting.circle(name, policy.users if own.users is None else own.users)
            for name, own in hosts.items()
        }

    def _versions(self, plan: Plan) -> Versions:
        """Return every version of a spec that a watcher may be running: those in force, and those applied before."""
        return Versions(plan.resolution.desired, self._stored, self._parts.revive)

    async def _plan(self, readings: Sequence[Reading], approve: str) -> Plan:
        def look_up(state: StateReading) -> tuple[tuple[StoredSpec, ...], tuple[Watcher, ...], str | None]:
            return state.specs(), state.watchers(), state.fact(meeting.FACT)

        stored, watchers, met = await self._parts.state.run(look_up)
        self._met = meeting.read(met)
        self._applier.remember(stored)
        self._stored, self._watchers = stored, watchers
        plan = self._make(readings, stored, watchers, approved=approve == "yes")
        if approve in ("", "yes"):
            return plan
        if approve == plan.digest():
            return plan.approved()
        approved = self._make(readings, stored, watchers, approved=True)
        return approved if approve == approved.digest() else plan

    def _make(
        self, readings: Sequence[Reading], stored: Sequence[StoredSpec], watchers: Sequence[Watcher], *, approved: bool
    ) -> Plan:
        policy = self._parts.settings.policy
        resolution: Resolution = resolve(
            readings,
            stored,
            revive=self._parts.revive,
            now=self._parts.clock.now(),
            grace=policy.prune_grace,
            approved=approved,
            stands=partial(stands, self._parts.elsewhere),
        )
        jobs = [job for job in self.discovery.known.values() if job.now.key.host in self._parts.settings.hosts]
        applied = {str(spec.name): spec.body for spec in stored}
        met = meeting.pairs(self._met, self._circles())
        return make_plan(resolution, jobs, watchers, policy, approved=approved, applied=applied, met=met)

    def _source_events(self, readings: Sequence[Reading], plan: Plan) -> list[Event]:
        """Tell once what was applied from which revision, and what was wrong."""
        now = self._parts.clock.now()
        events = []
        if plan.applicable or plan.resolution.vanished:
            for reading in readings:
                counts = sum(change.origin.source == reading.source for change in plan.applicable)
                data = {"revision": reading.revision, "changes": counts}
                if counts:
                    events.append(Event(EventType.SOURCE_APPLIED, now, reading.source, data=data))
        errors = tuple(p for p in plan.problems if p.severity == "error")
        if errors != self._told:
            events += [_rejected(problem, now) for problem in errors if problem not in (self._told or ())]
            self._told = errors
        return events

    def _refresh_jobs(self, seen: Seen) -> None:
        """Tell the tasks what became of their jobs."""
        for key in seen.changed:
            task = self.fleet.tasks.get(key)
            if task is not None:
                task.meet(self.discovery.known[key].now)

    def _note_shared(self) -> None:
        """Tell the tasks which other jobs write the same file; one that waits writes none."""
        writers: dict[tuple[str, str], list[str]] = {}
        for job in self.discovery.known.values():
            if not job.finished and started(job.now):
                for path in {job.now.stdout, job.now.stderr} - {None}:
                    writers.setdefault((job.now.host, str(path)), []).append(job.now.id)
        for task in self.fleet.tasks.values():
            sharers = {i for path in task.paths().values() for i in writers.get((task.job.host, path), ())}
            task.shared_with = tuple(sorted(sharers - {task.job.id}))

    async def _finish_unwatched(self) -> None:
        """Jobs that ended and that nobody watches are done with."""
        keys: list[JobKey] = [
            key
            for key, job in self.discovery.known.items()
            if job.now.state.ended
            and not job.finished
            and key not in self.fleet.tasks
            and key.host in self._parts.hosts
        ]
        await self.discovery.finish(keys)

    async def finished(self, key: JobKey) -> None:
        """Take note that the output of an ended job was read to its end and its watchers are completed."""
        await self.discovery.finish([key])
        self.fleet.forget(key)

    def content(self, path: str) -> bytes | None:
        """Return the bytes of a watcher file with problems, as the last look at its source found them."""
        return self._sourcing.content(path)

    def unreachable(self) -> dict[str, str]:
        """Return which hosts do not answer, and why."""
        return {str(host): reason for host, reason in self.discovery.unreachable.items()}


def _content_of(readings: Sequence[Reading]) -> tuple[object, ...]:
    """Return what tells one look at all sources from another."""
    return tuple((r.source, r.revision, r.failed, r.problems, r.deleted, r.hidden) for r in readings)


def _rejected(problem: Problem, now: float) -> Event:
    data = {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "remedy": problem.remedy,
    }
    return Event(
        EventType.SOURCE_REJECTED,
        now,
        problem.file,
        watcher=problem.watcher,
        action_result=problem.message,
        success=False,
        data=data,
    )
