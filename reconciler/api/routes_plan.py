"""The route of the plan: what the next pass would change, what drifted, which files are bad, what was applied last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter

from reconciler.api.desk import Desk
from reconciler.api.plan_shapes import (
    AppliedShape,
    ChangeShape,
    DriftShape,
    FieldShape,
    PlanShape,
    PlanSummary,
    ProblemShape,
    SourceShape,
)
from reconciler.api.refusals import documented, flaw_of
from reconciler.api.shaping import clean, maybe, moment
from reconciler.errors import Problem
from reconciler.events import Event, EventType
from reconciler.logic.desired import Reading
from reconciler.logic.plan import Change, Plan
from reconciler.model import HoldKind, WatcherState
from reconciler.protocols import EventFilter

#: Characters of a line that are shown before and behind the place of a problem.
AROUND = 100


def routes(desk: Desk) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/api", tags=["trying"], responses=documented())

    @router.get("/plan")
    async def next_pass() -> PlanShape:
        """Return what a pass would change now, and what stands otherwise than the files say."""
        desk.started()
        plan = await desk.daemon.preview()
        wanted = EventFilter(types=(EventType.SOURCE_APPLIED,), newest=True, limit=1000)
        applied = await desk.reading.ask(lambda state: state.events(wanted))
        return _plan(desk, plan, {event.subject: event for event in applied})

    @router.get("/plan/summary")
    async def last_pass() -> PlanSummary:
        """Return in numbers how the last pass found the files; it looks at nothing anew."""
        plan = desk.started()
        return PlanSummary(
            declared=sum(desired.binds for desired in plan.resolution.desired.values()),
            invalid_files=len({problem.file for problem in plan.problems if problem.severity == "error"}),
            waiting=len(plan.withheld),
            alarms=len(plan.alarms),
        )

    return router


def _plan(desk: Desk, plan: Plan, applied: Mapping[str, Event]) -> PlanShape:
    now = desk.parts.clock.now()
    changes = [_change(change) for change in plan.pending]
    return PlanShape(
        changes=changes,
        count=len(changes),
        summary=dict(Counter(change.change for change in changes)),
        digest=plan.digest(),
        alarms=[clean(alarm) for alarm in plan.alarms],
        drift=[drift for change in plan.changes for drift in drift_of(change, now)],
        notes={name: clean(note) for name, note in plan.resolution.notes.items()},
        problems=[_problem(problem, desk.controller.content) for problem in plan.problems],
        sources=[_source(reading, applied.get(reading.source)) for reading in desk.controller.readings],
        unreachable={host: clean(why) for host, why in desk.controller.unreachable().items()},
    )


def _change(change: Change) -> ChangeShape:
    return ChangeShape(
        change=change.kind.value, watcher=change.name, watcher_id=change.before.id if change.before else None,
        job_id=change.job.id, hostname=change.job.host, job_name=clean(change.job_name), reason=clean(change.reason),
        withheld=clean(change.withheld), file=clean(change.origin.file), line=change.origin.line,
        commit=change.origin.commit,
        fields=[FieldShape(path=f.path, old=_plain(f.old), new=_plain(f.new)) for f in change.fields],
    )  # fmt: skip


def _plain(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value


def drift_of(change: Change, now: float) -> list[DriftShape]:
    """Return what a person did to a watcher that lives: `reconcile resume` ends it."""
    watcher = change.before
    if watcher is None or watcher.phase is WatcherState.STOPPED:
        return []
    return [
        DriftShape(
            watcher=change.name, watcher_id=watcher.id, job_id=change.job.id, hostname=change.job.host,
            by=clean(hold.by), reason=clean(hold.reason), since=moment(hold.since), until=maybe(hold.until),
        )
        for hold in watcher.holds
        if hold.kind is HoldKind.MANUAL and hold.lasts(now)
    ]  # fmt: skip


def _problem(problem: Problem, content: Callable[[str], bytes | None]) -> ProblemShape:
    excerpt, column = excerpt_of(content(problem.file), problem.line, problem.column)
    return ProblemShape(
        **flaw_of(problem).model_dump(), file=clean(problem.file), code=problem.code, value=clean(problem.value),
        watcher=clean(problem.watcher), severity=problem.severity, excerpt=excerpt, excerpt_column=column,
    )  # fmt: skip


def excerpt_of(content: bytes | None, line: int, column: int) -> tuple[str, int]:
    """Return a line (from 1), and where `column` is in it; of a long line what is around that."""
    lines = (content or b"").decode("utf-8-sig", "replace").split("\n")
    if content is None or not 0 < line <= len(lines):
        return "", 0
    text = lines[line - 1].rstrip("\r")
    start = max(0, column - 1 - AROUND)
    return text[start : start + 2 * AROUND], max(0, column - start)


def _source(reading: Reading, applied: Event | None) -> SourceShape:
    return SourceShape(
        name=clean(reading.source),
        revision=reading.revision,
        failed=clean(reading.failed),
        files=len(reading.files),
        bad_files=sum(file.bad for file in reading.files),
        watchers=sum(len(file.specs) for file in reading.files),
        applied=None if applied is None else _applied(applied),
    )


def _applied(event: Event) -> AppliedShape:
    revision, changes = event.data.get("revision", ""), event.data.get("changes", 0)
    return AppliedShape(revision=str(revision), at=moment(event.at), changes=int(changes))
