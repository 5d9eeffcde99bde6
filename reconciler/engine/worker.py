"""The asyncio task behind one JobTask: waits for something to do, ticks, dispatches, and asks for its next look."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from reconciler.engine.dispatch import Dispatcher
from reconciler.engine.jobtask import JobTask, TickResult
from reconciler.engine.parts import Parts
from reconciler.errors import HostUnreachableError, LeaseLostError, StateError
from reconciler.model import StreamName, WatcherId
from reconciler.protocols import Glimpse

log = logging.getLogger(__name__)

#: Wait (seconds) before a tick whose commit failed is tried again.
RETRY_COMMIT = 2.0


class Worker:
    """Runs one job's ticks, one after the other; actions of its watchers run beside them, each watcher's in order.

    `ready(worker, result)` is called after each tick, `finished(worker)` when the job's work is done, `fatal(error)`
    when nothing more may be written.
    """

    def __init__(
        self,
        parts: Parts,
        task: JobTask,
        dispatcher: Dispatcher,
        ready: Callable[[Worker, TickResult | None], None],
        fatal: Callable[[BaseException], None],
    ) -> None:
        self._parts, self.task, self._dispatcher = parts, task, dispatcher
        self._ready, self._fatal = ready, fatal
        self._inbox: asyncio.Queue[Mapping[StreamName, Glimpse]] = asyncio.Queue(1)
        self._drains: dict[WatcherId, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None
        self.busy_since: float | None = None
        self.look_again = False
        self.nudged = False
        self.done = asyncio.Event()

    @property
    def busy(self) -> bool:
        """True from the moment it was given something until its tick is committed."""
        return self.busy_since is not None

    def start(self) -> None:
        """Begin, or begin again after a stall."""
        self.busy_since = None
        self._inbox = asyncio.Queue(1)
        self._loop = asyncio.create_task(self._run(), name=f"job {self.task.job.key}")

    def offer(self, seen: Mapping[StreamName, Glimpse]) -> None:
        """Hand over what a look saw; only while it is not busy."""
        self.busy_since = self._parts.clock.monotonic()
        self.nudged = False
        self._inbox.put_nowait(seen)

    def cancel(self) -> None:
        """End at once; nothing of it is waited for (its work is done, or nobody wants it)."""
        for task in [*self._drains.values(), *([self._loop] if self._loop else [])]:
            task.cancel()

    async def stop(self, grace: float) -> None:
        """End after the present tick and running actions; after `grace` seconds they stay recorded as begun."""
        running = [task for task in self._drains.values() if not task.done()]
        if running:
            await asyncio.wait(running, timeout=grace)
        for task in [*running, *([self._loop] if self._loop else [])]:
            task.cancel()
        await asyncio.gather(*running, *([self._loop] if self._loop else []), return_exceptions=True)

    async def _run(self) -> None:
        while True:
            seen = await self._inbox.get()
            result = await self._tick(seen)
            self.busy_since = None
            if result is not None and result.finished and self._idle():
                self.done.set()
                return
            again, self.look_again = self.look_again, False
            self._ready(self, TickResult(more=True) if again else result)

    async def _tick(self, seen: Mapping[StreamName, Glimpse]) -> TickResult | None:
        try:
            result = await self.task.tick(seen)
            self.dispatch()
            return result
        except LeaseLostError as error:
            self._fatal(error)
        except StateError as error:
            log.error("job %s: %s; tried again, nothing is lost", self.task.job.key, error.message)
            self.task.forget_scans()
            await self._parts.clock.sleep(RETRY_COMMIT)
        except HostUnreachableError as error:
            log.warning("job %s: %s", self.task.job.key, error.message)
        return None

    def _idle(self) -> bool:
        return not any(self.task.pending.values()) and all(task.done() for task in self._drains.values())

    def dispatch(self) -> None:
        """See that every watcher with pending actions has somebody to run them."""
        self._drains = {i: task for i, task in self._drains.items() if not task.done()}
        for watcher_id, queue in self.task.pending.items():
            if queue and watcher_id not in self._drains:
                self._drains[watcher_id] = asyncio.create_task(self._drain(watcher_id), name=f"actions {watcher_id}")

    async def _drain(self, watcher_id: WatcherId) -> None:
        try:
            await self._dispatcher.drain(watcher_id)
        except LeaseLostError as error:
            self._fatal(error)
        except StateError as error:
            log.error("actions of watcher %s: %s; tried again", watcher_id, error.message)
            await self._parts.clock.sleep(RETRY_COMMIT)
        self.nudged = True
        self._drains.pop(watcher_id, None)
        self._ready(self, TickResult(more=not self.task.pending.get(watcher_id)))
