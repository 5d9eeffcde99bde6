"""The daemon: passes again and again, workers and readers in between, until it is told to stop.

Notices (inotify, timers, requests) only say "look again". On SIGTERM running actions end or are recorded, within 10 s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from reconciler.engine.controller import Controller, PassReport
from reconciler.engine.housekeeping import Housekeeping
from reconciler.engine.lease import kept
from reconciler.engine.parts import Parts
from reconciler.engine.pump import Pump
from reconciler.engine.reader import Looked, Reader
from reconciler.engine.requests import Requests
from reconciler.engine.textfile import TextFile
from reconciler.engine.ticks import TickResult
from reconciler.engine.worker import Worker
from reconciler.errors import LeaseLostError, StateError
from reconciler.logic.plan import Plan
from reconciler.model import LIST_JOBS, HostName, JobKey
from reconciler.protocols import Source, StateReading

log = logging.getLogger(__name__)

#: How long (seconds) running actions are waited for when the daemon stops.
STOP_GRACE = 7.0
#: How long (seconds) a pass waits for hosts to list their jobs; a slower one's answer makes a pass of its own.
PATIENCE = 5.0
#: How often (seconds) requests of other processes are looked for.
REQUEST_INTERVAL = 0.5


class Daemon:
    """Runs until `stop` is called or the lease is lost."""

    def __init__(self, parts: Parts, controller: Controller, pump: Pump) -> None:
        self._parts, self._controller, self._pump = parts, controller, pump
        self._requests = Requests(parts, controller, drains=False)
        self._leaving: list[Worker] = []
        self._workers: dict[JobKey, Worker] = {}
        self._done: set[Worker] = set()  # whose jobs' work is done, which is yet to be recorded
        self._readers = {
            name: Reader(parts, host, controller.discovery.answering) for name, host in parts.hosts.items()
        }
        self._again = asyncio.Event()
        controller.discovery.on_late = self._again.set
        self._stopping = asyncio.Event()
        self._list_jobs = True
        self._error: BaseException | None = None
        self._passing = asyncio.Lock()
        self.on_pass: Callable[[PassReport], None] = lambda report: None

    def stop(self) -> None:
        """End soon, in order."""
        self._stopping.set()

    async def stopped(self) -> None:
        """Return as soon as the end is wanted; what runs may go on for a while."""
        await self._stopping.wait()

    def fatal(self, error: BaseException) -> None:
        """End soon; `run` raises this."""
        self._error = self._error or error
        self._stopping.set()

    async def look_again(self, *, list_jobs: bool = False) -> PassReport | None:
        """Make a pass now, beside the regular ones, and return what it came to; None where nothing could be written."""
        self._list_jobs = self._list_jobs or list_jobs
        return await self._pass("")

    async def preview(self) -> Plan:
        """Return the plan of a pass that would be made now, with the jobs as they are known; changes nothing."""
        async with self._passing:
            return await self._controller.preview(list_jobs=False)

    def looks(self) -> Mapping[HostName, Looked]:
        """Return the newest look that each host answered, since this process began."""
        return {name: reader.last for name, reader in self._readers.items() if reader.last is not None}

    def next_look(self, key: JobKey) -> float | None:
        """Return when the output of a job is looked at next; None: not before something happens."""
        reader = self._readers.get(key.host)
        return reader.due(key) if reader else None

    async def carry_out(self) -> None:
        """Carry out the requests that are waiting now, not only at their next turn."""
        await self._carry_out()

    def tell(self) -> None:
        """Say that events were committed by somebody else than a pass or a tick."""
        self._pump.wake()

    async def run(self, *, approve: str = "") -> None:
        """Run; raises LeaseLostError where another reconciler took the state over."""
        async with kept(self._parts, self.fatal):
            followers = [_loop(f"source {s.name}", self._watched(self._follower(s))) for s in self._parts.sources]
            try:
                await asyncio.sleep(0)  # a source is followed before it is looked at, see `protocols.Source.changed`
                await self._until_stopped(self._pass(approve))
                if not self._stopping.is_set():
                    await self._keep_going()
            finally:
                await _broken_off(followers)
        if self._error is not None:
            raise self._error

    async def _until_stopped(self, work: Coroutine[Any, Any, object]) -> None:
        """Await the work, or break it off when told to stop: the next process finds what is left to do."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if working.done():
            await working
        working.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)

    async def _keep_going(self) -> None:
        chores = {
            "sources": (self._parts.settings.engine.source_interval, self._look_at_sources),
            "requests": (REQUEST_INTERVAL, self._carry_out),
        }
        textfile = TextFile(self._parts, self._controller)
        if textfile.wanted:
            chores["metrics"] = (self._parts.settings.metrics.interval, textfile.write)
            await textfile.write()
        keeping = Housekeeping(self._parts, self._controller, self._workers, chores, self.fatal)
        end_keeping = keeping.start()
        loops = [_loop(name, self._watched(run)) for name, run in self._loops()]
        try:
            await self._stopping.wait()
        finally:
            end_keeping()
            await self._end(loops)
            if not isinstance(self._error, LeaseLostError):
                await keeping.record_checks()
                await self._pump.flush()

    def _loops(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        loops: list[tuple[str, Callable[[], Awaitable[None]]]] = [("pump", self._pump.run), ("passes", self._passes)]
        loops += [("jobs", self._controller.discovery.keep_asking)]
        loops += [(f"reader {name}", reader.run) for name, reader in self._readers.items()]
        return loops

    async def _watched(self, run: Callable[[], Awaitable[None]]) -> None:
        """No loop may end unnoticed."""
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - raised again by `run`, once everything has ended in order
            self.fatal(error)

    def _follower(self, source: Source) -> Callable[[], Awaitable[None]]:
        async def follow() -> None:
            while True:
                await source.changed()
                await self._parts.clock.sleep(0.1)  # let a burst of changes settle
                self._again.set()

        return follow

    async def _passes(self) -> None:
        while True:
            await self._again.wait()
            self._again.clear()
            await self._pass("")

    async def _look_at_sources(self) -> None:
        self._again.set()

    async def _pass(self, approve: str) -> PassReport | None:
        list_jobs, self._list_jobs = self._list_jobs, False
        try:
            async with self._passing:
                report = await self._controller.pass_(approve=approve, list_jobs=list_jobs, patience=PATIENCE)
        except LeaseLostError:
            raise
        except StateError as error:
            log.error("this pass is made again: %s", error.message)
            return None
        self._meet_fleet()
        self._pump.wake()
        self.on_pass(report)
        return report

    def _meet_fleet(self) -> None:
        """See that every job task has a worker and a reader, and that what ended has none."""
        tasks = self._controller.fleet.tasks
        common = (self._controller.fleet.dispatcher, self._ready, self.fatal)
        for key in [key for key in self._workers if key not in tasks]:
            self._part(key)
        for key, task in tasks.items():
            reader = self._readers[HostName(key.host)]
            if key not in self._workers:
                worker = self._workers[key] = Worker(self._parts, task, *common)
                reader.follow(worker)
            elif task.fresh:
                reader.refresh(self._workers[key])
            task.fresh = False
        for name, reader in self._readers.items():
            self._parts.hosts[name].transport.watch(reader.paths(), reader.wake_path)

    def _ready(self, worker: Worker, result: TickResult | None) -> None:
        self._pump.wake()
        if worker.done:
            self._done.add(worker)
        else:
            self._readers[worker.task.job.host].ready(worker, result)

    def _part(self, key: JobKey) -> None:
        worker = self._workers.pop(key)
        self._readers[key.host].forget(key)
        worker.leave()
        self._leaving = [each for each in (*self._leaving, worker) if each.acting]

    async def _carry_out(self) -> None:
        await self._finish_done()

        def look_up(state: StateReading) -> bool:
            return bool(state.requests())

        if await self._parts.state.run(look_up):
            async with self._passing:
                done = await self._requests.carry_out()
            for host in {str(request.body.get("host")) for request in done if request.verb == LIST_JOBS}:
                self._controller.discovery.ask_now(HostName(host))
            if all(request.verb == LIST_JOBS for request in done):
                return
            self._meet_fleet()
            for key, worker in self._workers.items():
                worker.nudged = True
                self._readers[key.host].arm(key, self._parts.clock.now())
            self._pump.wake()

    async def _finish_done(self) -> None:
        """Record jobs whose work is done; their workers have ended by themselves."""
        for worker in tuple(self._done):
            key = worker.task.job.key
            if self._workers.get(key) is worker:
                await self._controller.finished(key)  # first: broken off here, it is done again at the end
                if self._workers.get(key) is worker:
                    self._part(key)
            self._done.discard(worker)  # not `remove`: a request may be doing the same meanwhile
            self._pump.wake()

    async def _end(self, loops: list[asyncio.Task[None]]) -> None:
        await _broken_off(loops)
        await asyncio.gather(*(worker.stop(STOP_GRACE) for worker in (*self._workers.values(), *self._leaving)))
        await self._finish_done()


def _loop(name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.create_task(work, name=name)


async def _broken_off(loops: Sequence[asyncio.Task[None]]) -> None:
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
