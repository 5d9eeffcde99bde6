"""The asyncio task behind one JobTask: waits for something to do, ticks, dispatches, and asks for its next look."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from reconciler.engine.dispatch import Dispatcher
from reconciler.engine.jobtask import JobTask
from reconciler.engine.parts import Parts
from reconciler.engine.ticks import TickResult
from reconciler.errors import HostUnreachableError, LeaseLostError, StateError
from reconciler.model import StreamName, WatcherId
from reconciler.protocols import Glimpse

log = logging.getLogger(__name__)

#: Wait (seconds) before a tick whose commit failed is tried again.
RETRY_COMMIT = 2.0


class Worker:
    """Runs one job's ticks, one after the other; actions of its watchers run beside them, each watcher's in order.

    It has an asyncio task only while there is something to do, so an idle job costs a few hundred bytes.
    `ready(worker, result)` is called after each tick, also the last, `fatal(error)` when nothing more may be written.
    `done`: the job's work is done.
    """

    __slots__ = (
        "_dispatcher", "_drains", "_fatal", "_parts", "_ready", "_ticking",
        "busy_since", "done", "look_again", "nudged", "task",
    )  # fmt: skip

    def __init__(
        self,
        parts: Parts,
        task: JobTask,
        dispatcher: Callable[[JobTask], Dispatcher],
        ready: Callable[[Worker, TickResult | None], None],
        fatal: Callable[[BaseException], None],
    ) -> None:
        self._parts, self.task, self._dispatcher = parts, task, dispatcher
        self._ready, self._fatal = ready, fatal
        self._drains: dict[WatcherId, asyncio.Task[None]] | None = None
        self._ticking: asyncio.Task[None] | None = None
        self.busy_since: float | None = None
        self.look_again = False
        self.nudged = True  # a first look is due
        self.done = False

    @property
    def busy(self) -> bool:
        """True from the moment it was given something until its tick is committed."""
        return self.busy_since is not None

    def offer(self, seen: Mapping[StreamName, Glimpse]) -> None:
        """Hand over what a look saw; only while it is not busy."""
        self.busy_since = self._parts.clock.monotonic()
        self.nudged = False
        self._ticking = asyncio.create_task(self._run(seen), name=f"job {self.task.job.key}")

    def restart(self) -> None:
        """After a stall: break the tick off; the next look begins where the last commit left the streams."""
        if self._ticking is not None:
            self._ticking.cancel()
        self.busy_since, self._ticking, self.nudged = None, None, True
        self.task.forget_scans()
        self._ready(self, TickResult(more=True))

    def _running(self) -> list[asyncio.Task[None]]:
        tasks = [*(self._drains or {}).values(), *([self._ticking] if self._ticking else [])]
        return [task for task in tasks if not task.done()]

    @property
    def acting(self) -> bool:
        """True while an action runs."""
        return any(not task.done() for task in (self._drains or {}).values())

    def leave(self) -> None:
        """Tick no more (its work is done, or nobody wants it); an action that runs is let run to its end."""
        if self._ticking is not None:
            self._ticking.cancel()

    async def stop(self, grace: float) -> None:
        """End after the present tick and running actions; after `grace` seconds they stay recorded as begun."""
        running = self._running()
        if running:
            await asyncio.wait(running, timeout=grace)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, seen: Mapping[StreamName, Glimpse]) -> None:
        result = await self._tick(seen)
        self.busy_since, self._ticking = None, None
        if result is not None and result.finished and self._idle():
            self.done = True
            self._ready(self, result)
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
            self.nudged = True
            return TickResult(more=True)
        except HostUnreachableError as error:
            log.warning("job %s: %s", self.task.job.key, error.message)
        except Exception:  # a bug met by one job's output must not be silent, and not stop the others
            log.exception("job %s: this tick is tried again", self.task.job.key)
            self.task.forget_scans()
            await self._parts.clock.sleep(RETRY_COMMIT)
        return None

    def _idle(self) -> bool:
        return not any(self.task.pending.values()) and all(task.done() for task in (self._drains or {}).values())

    def dispatch(self) -> None:
        """See that every watcher with pending actions has somebody to run them."""
        drains = {i: task for i, task in (self._drains or {}).items() if not task.done()}
        for watcher_id, queue in self.task.pending.items():
            if queue and watcher_id not in drains:
                drains[watcher_id] = asyncio.create_task(self._drain(watcher_id), name=f"actions {watcher_id}")
        self._drains = drains or None

    async def _drain(self, watcher_id: WatcherId) -> None:
        try:
            await self._dispatcher(self.task).drain(watcher_id)
        except LeaseLostError as error:
            self._fatal(error)
        except StateError as error:
            log.error("actions of watcher %s: %s; tried again", watcher_id, error.message)
            await self._parts.clock.sleep(RETRY_COMMIT)
        self.nudged = True
        (self._drains or {}).pop(watcher_id, None)
        self._ready(self, TickResult(more=not self.task.pending.get(watcher_id)))
