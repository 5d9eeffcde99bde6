"""Files of the writable layer that were for one job go when that job's retention ends. The application runs `watch`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from reconciler.api.desk import Desk
from reconciler.api.editing import names_in
from reconciler.errors import ReconcilerError
from reconciler.protocols import StateReading, WatcherFilter

log = logging.getLogger(__name__)


async def watch(desk: Desk) -> None:
    """Look again and again, as often as retention is looked after. Ends by cancellation."""
    while True:
        await desk.parts.clock.sleep(desk.parts.settings.engine.retention_interval)
        try:
            await expire(desk)
        except ReconcilerError as error:
            log.error("files of jobs that are over: %s; looked at again later", error.message)


async def expire(desk: Desk) -> Sequence[Path]:
    """Delete the files whose jobs are forgotten, as their watchers are; return them. Raises StateError."""
    async with desk.writing:
        gone = [path for path, name in _candidates(desk) if await _over(desk, path, name)]
        for path in gone:
            await asyncio.to_thread(desk.dropins.delete, path)
    if gone:
        log.info("%d files of jobs that are over were deleted", len(gone))
        await desk.daemon.look_again()
    return gone


def _candidates(desk: Desk) -> list[tuple[Path, str]]:
    """Return files and names of specs that name jobs, none of which is known any more."""
    plan = desk.controller.plan
    known = {str(key.id) for key in desk.controller.discovery.known}
    known |= {job_id.split("_", 1)[0] for job_id in known}  # the array of a task
    found = []
    for desired in plan.resolution.desired.values() if plan else ():
        ids = desired.spec.jobs.ids
        if ids and desired.spec.prune == "auto" and desk.dropins.owns(desired.origin.file) and not known & set(ids):
            found.append((Path(desired.origin.file), str(desired.name)))
    return found


async def _over(desk: Desk, path: Path, name: str) -> bool:
    """A file that is young may be for a job that is still to be seen; one with other watchers in it stays."""

    def look_up(state: StateReading) -> int:
        return state.page(WatcherFilter(name=name, stopped=True, limit=1)).total

    modified = await asyncio.to_thread(desk.dropins.modified, path)
    if modified is None or desk.parts.clock.now() - modified < desk.parts.settings.state.retain_watchers:
        return False
    alone = names_in(await asyncio.to_thread(desk.dropins.read, path)) == [name]
    return alone and not await desk.reading.ask(look_up)
