"""What people who write watchers ask before they save: the file that would be written, and how many jobs are met.

Nothing is written, and no scheduler or host is asked. `routes_authoring` calls it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from pathlib import Path

from reconciler.api.authoring_shapes import Draft, FittingJob, SelectorTested
from reconciler.api.callers import Caller
from reconciler.api.composing import changed, check_free, check_policy, composed, patch_of, path_of, text_of
from reconciler.api.desk import Desk
from reconciler.api.refusals import Flaw, RequestRefusedError, flaw_of
from reconciler.api.shapes import NewWatcher
from reconciler.api.shaping import clean
from reconciler.api.standing import standing
from reconciler.logic.selecting import fits
from reconciler.model import StoredSpec, Watcher
from reconciler.protocols import KnownJob
from reconciler.spec.canonical import to_plain
from reconciler.spec.load import LocatedSpec
from reconciler.spec.watcher import JobSelector

#: Jobs that an answer names.
MOST_JOBS = 20


async def draft(desk: Desk, caller: Caller, body: NewWatcher) -> Draft:
    """Return the file that creating this watcher would write. Raises RequestRefusedError as that would."""
    text = await composed(desk, body)
    found = await asyncio.to_thread(desk.tools.parse, _encoded(text), "watcher.yaml")
    path = desk.dropins.free(path_of(desk, found.specs[0].spec)) if len(found.specs) == 1 else None
    name = found.specs[0].spec.name if path else ""
    errors = [flaw_of(problem) for problem in found.problems if problem.severity == "error"]
    spec = to_plain(found.specs[0].spec) if path else {}
    if len(found.specs) > 1:
        errors.append(Flaw(where="watcher.yaml", message="one watcher at a time", remedy="save each by itself"))
    errors += _taken(desk, name) if name else []
    more, warnings = await asyncio.to_thread(_policy, desk, caller, found.specs)
    return Draft(
        yaml=text, file=str(path or ""), name=name, spec=spec, valid=not (errors or more), errors=[*errors, *more],
        warnings=warnings, writable=True, patch="",
    )  # fmt: skip


async def draft_of(desk: Desk, caller: Caller, watcher_id: int, body: NewWatcher) -> Draft:
    """Return the file of a watcher as editing it so would leave it; where the API may not write it, too."""
    watcher, stored = await desk.watcher(watcher_id)
    old, moved = await _standing(desk, watcher, stored)
    text = await asyncio.to_thread(changed, watcher, old, body)
    file = stored.origin.file if stored else ""
    shown = Path(file).name or "watcher.yaml"
    found = await asyncio.to_thread(desk.tools.parse, _encoded(text), shown)
    errors = [flaw_of(problem) for problem in found.problems if problem.severity == "error"]
    errors += moved
    specs = [located.spec for located in found.specs]
    spec = next((each for each in specs if each.name == watcher.name), specs[0] if specs else None)
    name = spec.name if spec else ""
    errors += _taken(desk, name) if name and name != watcher.name else []
    writable = desk.dropins.owns(file)
    more, warnings = await asyncio.to_thread(_policy, desk, caller, found.specs)
    more = more if writable else []  # else others say what is allowed
    patch = await asyncio.to_thread(patch_of, desk, stored.origin, old, text) if stored else ""
    return Draft(
        yaml=text, file=file, name=name, spec=to_plain(spec) if spec else {}, valid=not (errors or more),
        errors=[*errors, *more], warnings=warnings,
        writable=writable, patch=patch,
    )  # fmt: skip


async def _standing(desk: Desk, watcher: Watcher, stored: StoredSpec | None) -> tuple[str, list[Flaw]]:
    """Return the text that would be changed, and why it cannot be."""
    try:
        return (await standing(desk, watcher, stored)).text if stored else "", []
    except RequestRefusedError as error:
        file, line = error.refusal.file, error.refusal.line
        flaw = Flaw(where=file, message=error.message, remedy=error.remedy, line=line)
        return await text_of(desk, watcher, stored), [flaw]


def fitting(desk: Desk, selector: JobSelector) -> SelectorTested:
    """Return which of the known jobs a selector meets, as they were when they were first seen: that is what binds."""
    known = desk.controller.discovery.known.values()
    met = [job for job in known if fits(selector, job.first)]
    alive = sum(not job.now.state.ended for job in met)
    newest = heapq.nlargest(MOST_JOBS, met, key=lambda job: (not job.now.state.ended, job.now.submitted or 0.0))
    return SelectorTested(
        count=alive,
        ended=len(met) - alive,
        known=sum(not job.now.state.ended for job in known),
        jobs=[_job(job) for job in newest],
    )


def _job(known: KnownJob) -> FittingJob:
    now = known.now
    return FittingJob(job_id=now.id, hostname=now.host, name=clean(now.name), state=now.state)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RequestRefusedError(422, "no-text", "the text holds half a character") from error


def _taken(desk: Desk, name: str) -> list[Flaw]:
    try:
        check_free(desk, name)
    except RequestRefusedError as error:
        return [Flaw(where=name, message=error.message, remedy=error.remedy, field="name")]
    return []


def _policy(desk: Desk, caller: Caller, specs: Sequence[LocatedSpec]) -> tuple[list[Flaw], list[Flaw]]:
    """Return what the settings or the key forbid, and what is only doubtful."""
    errors = []
    for located in specs:
        try:
            check_policy(desk, caller, located)
        except RequestRefusedError as error:
            own = Flaw(where=located.spec.name, message=error.message, remedy=error.remedy, field="actions")
            errors += error.refusal.problems or [own]
    return errors, _doubts(desk, specs)


def _doubts(desk: Desk, specs: Sequence[LocatedSpec]) -> list[Flaw]:
    return [flaw_of(problem) for located in specs for problem in desk.tools.warnings(located, "watcher.yaml")]
