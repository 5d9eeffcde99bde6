"""What routes work with: the engine of this process, its state, the writable layer, and how to look things up in them.

Made once by `make_app`. It finds watchers and jobs, or says that they are not there; it changes nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.api.audit import AuditLog
from reconciler.api.feed import Feed
from reconciler.api.keys import Keyring
from reconciler.api.limits import Limits
from reconciler.api.reading import Reading
from reconciler.api.refusals import ConflictError, NotThereError, RequestRefusedError
from reconciler.api.tally import Tally
from reconciler.engine.controller import Controller
from reconciler.engine.daemon import Daemon
from reconciler.engine.dropins import Dropins
from reconciler.engine.parts import Parts
from reconciler.errors import Problem
from reconciler.logic.desired import Desired
from reconciler.logic.plan import Plan
from reconciler.model import HostName, JobId, JobKey, StoredSpec, Watcher, WatcherName, WatcherState
from reconciler.protocols import KnownJob, StateReading, WatcherFilter, WatcherPage
from reconciler.registry import Plugin
from reconciler.spec.load import Loaded, LocatedSpec

#: Seconds of processor time that one request may try a pattern for.
TRYING = 2.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What `app` lends: the production loader, its warnings, what the settings forbid to a source, the action types."""

    parse: Callable[[bytes, str], Loaded]
    warnings: Callable[[LocatedSpec, str], Sequence[Problem]]
    forbidden: Callable[[LocatedSpec, str, str], Sequence[Problem]]
    actions: Callable[[], Mapping[str, Plugin]]


@dataclass(frozen=True, slots=True)
class Desk:
    """See the module. `writing`: held while files change, so that names stay unique. `trying`: held while what may
    take seconds is done in a thread and nothing is written, so that very much of it leaves threads for the engine."""

    parts: Parts
    identity: str
    controller: Controller
    daemon: Daemon
    reading: Reading
    dropins: Dropins
    keyring: Keyring
    audit: AuditLog
    feed: Feed
    tools: Tools
    secure: bool
    tally: Tally = field(default_factory=Tally)
    listings: Limits = field(default_factory=lambda: Limits(5, 30))  # of jobs, that requests may cause
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    trying: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    async def watcher(self, watcher_id: int, *, stopped: bool = False) -> tuple[Watcher, StoredSpec | None]:
        """Return a watcher and the spec in force under its name; NotThereError where there is none that is alive."""

        def look_up(state: StateReading) -> tuple[Watcher, StoredSpec | None] | None:
            watcher = state.watcher(watcher_id)
            if watcher is None or (watcher.phase is WatcherState.STOPPED and not stopped):
                return None
            page = state.page(WatcherFilter(name=watcher.name, stopped=True, limit=1))
            return watcher, page.specs.get(watcher.name)

        found = await self.reading.ask(look_up)
        if found is None:
            raise NotThereError(f"there is no watcher {watcher_id}", remedy="`GET /api/watchers` lists them")
        return found

    async def these(self, ids: Collection[int]) -> WatcherPage:
        """Return the watchers of these ids that are alive, and the specs in force under their names."""
        wanted = WatcherFilter(ids=list(ids), limit=len(ids))
        return await self.reading.ask(lambda state: state.page(wanted))

    async def of_spec(self, name: str) -> tuple[Watcher, ...]:
        """Return the watchers that a spec has now, the newest first."""
        wanted = WatcherFilter(name=name, limit=10_000)
        return (await self.reading.ask(lambda state: state.page(wanted))).watchers

    def started(self) -> Plan:
        """Return the last pass's plan. Raise where the first is not over yet: nothing could be carried out."""
        if self.controller.plan is None:
            raise RequestRefusedError(503, "starting", "the first pass is not over yet", remedy="try again in a moment")
        return self.controller.plan

    def desired(self, name: str) -> Desired | None:
        """Return the spec in force under a name."""
        plan = self.controller.plan
        return plan.resolution.desired.get(WatcherName(name)) if plan else None

    def job(self, job_id: str, hostname: str | None) -> KnownJob:
        """Return the one job that is meant; NotThereError, or ConflictError where several hosts have one of this id."""
        known = self.controller.discovery.known
        if hostname is not None:
            found = [known[key]] if (key := JobKey(HostName(hostname), JobId(job_id))) in known else []
        else:
            found = [job for key, job in known.items() if key.id == job_id]
        if not found:
            raise NotThereError(f"there is no job {job_id}", remedy="`GET /api/jobs` lists those that are known")
        if len(found) > 1:
            hosts = ", ".join(sorted(job.now.host for job in found))
            raise ConflictError("several-hosts", f"several hosts have a job {job_id}: {hosts}", remedy="add `hostname`")
        return found[0]
