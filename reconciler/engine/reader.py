"""The Reader of one host: takes every stream that is due in one look, and wakes the workers of what changed.

An idle job costs its share of a look and nothing else. A worker that is busy is not looked at, so a slow state or a
slow action holds back reading, not memory.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import math
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.engine.answering import Answering
from reconciler.engine.jobtask import JobTask
from reconciler.engine.once import interesting, look
from reconciler.engine.parts import Host, Parts
from reconciler.engine.ticks import TickResult
from reconciler.engine.worker import Worker
from reconciler.errors import HostUnreachableError, StateError
from reconciler.model import JobKey, StreamName
from reconciler.protocols import Glimpse

log = logging.getLogger(__name__)

#: Regular looks fall on multiples of this (seconds), so that many jobs share one.
GRID = 1.0
#: The longest wait (seconds) before a host that did not answer is looked at again.
MAX_RETRY = 60.0
#: The wait (seconds) before an output that could not be looked at is looked at again, where something is due.
BLIND_WAIT = 1.0
#: Looks in a row that fail before the host is marked: a line that drops once is made again at once.
MARKED_AFTER = 2
#: A look that took longer (seconds) and brought no more (bytes) met slow file systems: nobody looks again before `REST`
#: times that, so that what we ask is at most a fifth of what they do.
SLOW, LITTLE, REST = 2.0, 256 * 1024, 4.0


@dataclass(frozen=True, slots=True)
class Looked:
    """One look that a host answered: when (clock's `now`), how long it took, how late it began (seconds), outputs."""

    at: float
    took: float
    late: float
    outputs: int


class Reader:
    """Schedules the looks at one host. Times are of the clock's `now`. `answering` is told of a host that fails."""

    def __init__(self, parts: Parts, host: Host, answering: Answering | None = None) -> None:
        self._parts, self._host = parts, host
        self._answering = answering or Answering(parts)
        self._not_before = -math.inf
        self._workers: dict[JobKey, Worker] = {}
        self._due: dict[JobKey, float] = {}
        self._heap: list[tuple[float, int, JobKey]] = []
        self._count = itertools.count()  # keys have no order of their own
        self._by_path: dict[str, JobKey] = {}
        self._paths: dict[JobKey, tuple[str, ...]] = {}
        self._wake = asyncio.Event()
        self._failures = 0
        self._oldest = math.inf  # when the oldest of the outputs that are being looked at was due
        self.last: Looked | None = None

    def follow(self, worker: Worker) -> None:
        """Look at this job from now on, at once for the first time."""
        key = worker.task.job.key
        self._workers[key] = worker
        self._note_paths(key, worker)
        self.arm(key, self._parts.clock.now())

    def _note_paths(self, key: JobKey, worker: Worker | None) -> None:
        for path in self._paths.pop(key, ()):
            if self._by_path.get(path) == key:
                del self._by_path[path]
        if worker is not None:
            self._paths[key] = tuple(worker.task.paths().values())
            self._by_path.update(dict.fromkeys(self._paths[key], key))

    def refresh(self, worker: Worker) -> None:
        """Its job or its watchers changed: its paths may be others, and a look is due now."""
        key = worker.task.job.key
        self._note_paths(key, worker)
        worker.nudged = True
        self.arm(key, self._parts.clock.now())

    def forget(self, key: JobKey) -> None:
        """Look no more."""
        self._workers.pop(key, None)
        self._due.pop(key, None)
        self._note_paths(key, None)

    def due(self, key: JobKey) -> float | None:
        """Return when a job is looked at next; None: not before somebody asks."""
        return self._due.get(key)

    def paths(self) -> list[str]:
        """Return the files that are read, for notices of growth."""
        return list(self._by_path)

    def wake_path(self, path: str) -> None:
        """A notice: this file grew."""
        key = self._by_path.get(path)
        if key is not None:
            self.arm(key, self._parts.clock.now())

    def arm(self, key: JobKey, due: float) -> None:
        """Look at a job at `due`, or sooner where that was agreed already."""
        if key in self._workers and due < self._due.get(key, math.inf):
            self._due[key] = due
            heapq.heappush(self._heap, (due, next(self._count), key))
            self._wake.set()

    def ready(self, worker: Worker, result: TickResult | None) -> None:
        """A worker has finished its tick: arm its next look."""
        task = worker.task
        now = self._parts.clock.now()
        if result is not None and result.more:
            self.arm(task.job.key, now)
            return
        regular = math.ceil((now + task.interval) / GRID) * GRID
        due = task.due()
        soonest = now + (BLIND_WAIT if task.problem else 0.05)  # what cannot be seen stays due
        self.arm(task.job.key, min(regular, max(due, soonest)) if due is not None else regular)

    async def run(self) -> None:
        """Look whenever something is due. Ends by cancellation."""
        while True:
            await self._sleep()
            tasks = self._take_due()
            if tasks:
                await self._look(tasks)

    async def _sleep(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        wait = max(self._heap[0][0], self._not_before) - self._parts.clock.now() if self._heap else None
        if wait is not None and wait <= 0:
            await asyncio.sleep(0)
            return
        self._wake.clear()
        try:
            # not `wait_for`: that of Python 3.11 swallows a cancellation which comes with what is waited for
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            return

    def _take_due(self) -> list[Worker]:
        now = self._oldest = self._parts.clock.now()
        taken: list[Worker] = []
        while now >= self._not_before and self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) != due:
                continue
            worker = self._workers[key]
            if worker.busy:
                worker.look_again = True
                del self._due[key]
                continue
            del self._due[key]
            self._oldest = min(self._oldest, due)
            taken.append(worker)
        return taken

    async def _look(self, workers: list[Worker]) -> None:
        tasks: list[JobTask] = [worker.task for worker in workers]
        late = max(0.0, self._parts.clock.now() - self._oldest)
        began = self._parts.clock.monotonic()
        try:
            glimpses = await look(self._host, tasks)
        except HostUnreachableError as error:
            await self._failed(workers, error)
            return
        if self._failures >= MARKED_AFTER:
            await self._tell(self._answering.seen(self._host.name))
        self._failures = 0
        took = self._parts.clock.monotonic() - began
        self.last = Looked(self._parts.clock.now(), took, late, len(workers))
        if took > SLOW and _bytes(glimpses) < LITTLE:
            self._not_before = self._parts.clock.now() + min(MAX_RETRY, REST * took)
        self._hand_out(workers, glimpses)

    def _hand_out(self, workers: Sequence[Worker], glimpses: Sequence[Mapping[StreamName, Glimpse]]) -> None:
        now = self._parts.clock.now()
        for worker, seen in zip(workers, glimpses, strict=True):
            if self._workers.get(worker.task.job.key) is not worker:
                continue  # nobody wants it any more
            due = worker.task.due()
            if interesting(seen) or worker.task.job.state.ended or (due is not None and due <= now) or worker.nudged:
                worker.offer(seen)
            else:
                worker.task.checked = now
                worker.task.quiet += 1
                self.ready(worker, None)

    async def _failed(self, workers: Sequence[Worker], error: HostUnreachableError) -> None:
        self._failures += 1
        wait = min(MAX_RETRY, 2.0**self._failures)
        reason = error.message.removeprefix(f"{self._host.name}: ")
        log.warning("%s: %s; looked at again in %.0f s", self._host.name, reason, wait)
        for worker in workers:
            self.arm(worker.task.job.key, self._parts.clock.now() + wait)
        if self._failures >= MARKED_AFTER:
            await self._tell(self._answering.not_seen(self._host.name, error.message))

    async def _tell(self, mark: Coroutine[Any, Any, None]) -> None:
        try:
            await mark
        except StateError as error:
            log.error("%s: not marked: %s", self._host.name, error.message)


def _bytes(glimpses: Sequence[Mapping[StreamName, Glimpse]]) -> int:
    return sum(len(glimpse.data) for seen in glimpses for glimpse in seen.values())
