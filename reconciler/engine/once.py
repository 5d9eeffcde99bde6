"""One pass of everything: every stream read to its present end, every due action awaited. The engine under cron."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.engine.controller import Controller, PassReport
from reconciler.engine.lease import kept
from reconciler.engine.parts import Host, Parts
from reconciler.engine.pump import Pump
from reconciler.engine.requests import Requests
from reconciler.engine.retention import purge_when_due
from reconciler.engine.textfile import TextFile
from reconciler.errors import HostUnreachableError
from reconciler.events import EventType
from reconciler.model import StreamName
from reconciler.protocols import Batch, EventFilter, Glimpse, Sight, StateReading, StateWriting, Want

if TYPE_CHECKING:
    from reconciler.engine.jobtask import JobTask

log = logging.getLogger(__name__)
T = TypeVar("T")

#: An ended job whose output becomes stable within so many seconds is waited for; otherwise the next pass completes it.
PATIENCE = 5.0
#: Seconds that running actions get once a pass is told to stop; a service manager kills after some more.
STOP_GRACE = 7.0
#: Watchers of one host whose actions run at the same time.
AT_ONCE = 16
#: Bytes that one look at a host may bring, and those that each stream may bring in any case.
LOOK_BUDGET, LEAST = 64 * 1024 * 1024, 64 * 1024


class Once:
    """Runs one pass over all hosts, each by itself, so that a slow one holds up only its own jobs.

    `cut_short`: it was told to stop, and something is left for the next pass.
    """

    def __init__(self, parts: Parts, controller: Controller, pump: Pump) -> None:
        self._parts, self._controller, self._pump = parts, controller, pump
        self._requests = Requests(parts, controller, drains=False)
        self._textfile = TextFile(parts, controller)
        self._stopping = asyncio.Event()
        self._report: PassReport | None = None  # once hosts are looked at
        self.cut_short = False

    async def run(self, *, approve: str = "", exactly: bool = False) -> PassReport:
        """Return what the pass came to; failed actions of this pass are counted. `approve`, `exactly`: see `pass_`."""
        self._report = None
        async with kept(self._parts, _lost):
            first = await self._parts.state.run(last_seq)
            await self._until_stopped(self._work(approve, exactly))
            report = self._report or PassReport()
            await self._record_checks()
            report.failed_actions = await self._parts.state.run(lambda state: failures_since(state, first))
            report.events_waiting = not await self._pump.flush()
            if not self.cut_short:
                await purge_when_due(self._parts, self._controller)
                await self._textfile.write()
        return report

    def stop(self) -> None:
        """Begin nothing more; what runs has `STOP_GRACE` seconds to end, then it stays recorded as begun."""
        self._stopping.set()

    async def _work(self, approve: str, exactly: bool) -> None:
        self._report = report = await self._controller.pass_(approve=approve, exactly=exactly)
        await self._requests.carry_out()
        await _all_of(self._host(host, report) for host in self._parts.hosts.values())

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Await the work, or break it off when told to stop: at once while no action can run yet."""
        working = asyncio.create_task(work, name="pass")
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and self._report is not None:
                await asyncio.wait((working,), timeout=STOP_GRACE)
            if working.done():
                await working
            else:
                self.cut_short = True
        finally:
            working.cancel()
            stopping.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    async def _record_checks(self) -> None:
        checked = {i: t.checked for t in self._controller.fleet.tasks.values() if t.checked for i in t.watchers}
        if checked:

            def work(state: StateWriting) -> None:
                state.commit(Batch(checked=checked))

            await self._parts.state.run(work)

    async def flush(self) -> bool:
        """Bring the sinks up to what is committed; return whether they took all of it."""
        return await self._pump.flush()

    async def _host(self, host: Host, report: PassReport) -> None:
        tasks = [task for key, task in self._controller.fleet.tasks.items() if key.host == host.name]
        try:
            while tasks and not self._stopping.is_set():
                glimpses = await look(host, tasks)
                gate = asyncio.Semaphore(AT_ONCE)
                more = await _all_of(self._step(*each, gate) for each in zip(tasks, glimpses, strict=True))
                tasks = [task for task, again in zip(tasks, more, strict=True) if again]
            self.cut_short = self.cut_short or bool(tasks)
        except HostUnreachableError as error:
            report.seen.unreachable[host.name] = error.message.removeprefix(f"{host.name}: ")

    async def _step(self, task: JobTask, seen: Mapping[StreamName, Glimpse], gate: asyncio.Semaphore) -> bool:
        """One tick and its actions; return whether to look again."""
        async with gate:
            result = await task.tick(seen)
        blocked = task.blocked
        pending = list(task.pending)
        if pending:
            dispatcher = self._controller.fleet.dispatcher(task)
            await _all_of(dispatcher.drain(watcher_id, gate) for watcher_id in pending)
        if result.finished and not any(task.pending.values()):
            await self._controller.finished(task.job.key)
            return False
        if result.finished:
            return False
        if result.more or (blocked and not task.blocked):
            return True
        return await self._wait_for_end(task)

    async def _wait_for_end(self, task: JobTask) -> bool:
        """An ended job's output must be seen stable: wait a moment for that where it is worth while."""
        due = task.settle_due()
        if due is None or task.asked is None or task.checked is None or task.problem:
            return False
        if due <= task.asked or due - task.checked > PATIENCE:
            return False  # what is waited for is something else (put off actions), or too far away
        await self._parts.clock.sleep(max(0.0, due - task.checked) + 0.01)
        return True


async def look(host: Host, tasks: Sequence[JobTask]) -> list[dict[StreamName, Glimpse]]:
    """Return what one look at a host saw of every due stream of these tasks, a mapping for each task.

    Many streams share `LOOK_BUDGET`: what does not fit is there at the next look.
    """
    wants: list[Want] = []
    places: list[tuple[int, StreamName]] = []
    share = max(LEAST, LOOK_BUDGET // max(1, sum(len(task.paths()) for task in tasks)))
    share = 1 << share.bit_length() - 1  # a power of two, so that a job more or less leaves the wants as they were
    for number, task in enumerate(tasks):
        for stream, want in task.wants(share).items():
            wants.append(want)
            places.append((number, stream))
    seen: list[dict[StreamName, Glimpse]] = [{} for _ in tasks]
    if wants:
        for (number, stream), glimpse in zip(places, await host.transport.look(wants), strict=True):
            seen[number][stream] = glimpse
    return seen


def interesting(seen: Mapping[StreamName, Glimpse]) -> bool:
    """Tell whether a look saw anything that a tick should deal with."""
    return any(glimpse.sight in (Sight.READ, Sight.FAILED) for glimpse in seen.values())


async def _all_of(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all of them to their end, also where one fails; then raise the first error."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _lost(error: BaseException) -> None:
    """The next commit of this pass is refused, which ends it."""
    log.error("%s", error)


def last_seq(state: StateReading) -> int:
    """Return the number of the newest event."""
    return state.last_seq()


def failures_since(state: StateReading, after: int) -> int:
    """Return how many actions failed or were refused after that event."""
    if state.last_seq() <= after:  # cheaper, and most often there is nothing new
        return 0
    kinds = (EventType.ACTION_FAILED, EventType.ACTION_REFUSED)
    return len(state.events(EventFilter(after_seq=after, types=tuple(map(str, kinds)), limit=1000)))
