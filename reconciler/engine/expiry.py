"""Files of the writable layer that were for one job go when that job's retention ends. `retention` calls it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from reconciler.engine.controller import Controller
from reconciler.engine.dropins import Dropins
from reconciler.engine.parts import Parts
from reconciler.engine.places import api_directory
from reconciler.logic.selecting import plain_id
from reconciler.protocols import SourceFile, StateReading, WatcherFilter

log = logging.getLogger(__name__)


async def expire(parts: Parts, controller: Controller) -> Sequence[Path]:
    """Delete the files whose jobs are forgotten, as their watchers are; return them. Raises StateError.

    The next pass then drops their specs.
    """
    dropins = Dropins(api_directory(parts.settings))
    gone = [path for path, name in _candidates(controller, dropins) if await _over(parts, dropins, path, name)]
    for path in gone:
        await asyncio.to_thread(dropins.delete, path)
    if gone:
        await asyncio.to_thread(dropins.thin_out)
        log.info("%d files of jobs that are over were deleted", len(gone))
    return gone


def _candidates(controller: Controller, dropins: Dropins) -> list[tuple[Path, str]]:
    """Return files and names of specs that name jobs, none of which is known any more."""
    plan = controller.plan
    known = {str(key.id) for key in controller.discovery.known}
    known |= {plain_id(job_id) for job_id in known}  # the array of a task, the whole of a part
    found = []
    for desired in plan.resolution.desired.values() if plan else ():
        if not desired.named_jobs or not dropins.owns(desired.origin.file):
            continue
        if desired.spec.prune == "auto" and not known & set(desired.spec.jobs.ids):
            found.append((Path(desired.origin.file), str(desired.name)))
    return found


async def _over(parts: Parts, dropins: Dropins, path: Path, name: str) -> bool:
    """A file that is young may be for a job that is still to be seen; one with anything else in it stays."""

    def look_up(state: StateReading) -> int:
        return state.page(WatcherFilter(name=name, stopped=True, limit=1)).total

    modified = await asyncio.to_thread(dropins.modified, path)
    if modified is None or parts.clock.now() - modified < parts.settings.state.retain_watchers:
        return False
    content = (await asyncio.to_thread(dropins.read, path)).encode()
    parsed = parts.parse(SourceFile(path.name, str(path), content, ""), None)
    whole = not any(problem.severity == "error" for problem in parsed.problems)
    return whole and len(parsed.specs) == 1 and not await parts.state.run(look_up)
