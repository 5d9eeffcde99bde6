"""What is done by the clock, beside the watching: looking at sources and jobs again, health, retention.

APScheduler 3.x drives it, with its memory store and inside the running loop: nothing here must survive a restart, since
every due time of a watcher stands in the state.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from reconciler.engine.controller import Controller
from reconciler.engine.parts import Parts
from reconciler.engine.retention import purge
from reconciler.engine.worker import Worker
from reconciler.errors import LeaseLostError, StateError
from reconciler.model import JobKey
from reconciler.protocols import Batch, StateWriting

log = logging.getLogger(__name__)

Chore = Callable[[], Awaitable[None]]


class Housekeeping:
    """The chores of a daemon. `fatal(error)` is called when the lease was lost."""

    def __init__(
        self,
        parts: Parts,
        controller: Controller,
        workers: dict[JobKey, Worker],
        chores: Mapping[str, tuple[float, Chore]],
        fatal: Callable[[BaseException], None],
    ) -> None:
        self._parts, self._controller, self._workers, self._fatal = parts, controller, workers, fatal
        engine = parts.settings.engine
        self._chores: dict[str, tuple[float, Chore]] = {
            **chores,
            "checks": (15.0, self.record_checks),
            "health": (engine.health_interval, self.check_health),
            "retention": (engine.retention_interval, self.purge),
        }

    def start(self) -> Callable[[], None]:
        """Begin, inside the running loop; return what ends it."""
        from apscheduler.schedulers.asyncio import (
            AsyncIOScheduler,
        )  # only a daemon needs it, `--once` starts sooner without

        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it tells every run of every chore
        scheduler = AsyncIOScheduler(timezone="UTC")
        for name, (seconds, chore) in self._chores.items():
            scheduler.add_job(
                self._guarded,
                "interval",
                seconds=max(0.1, seconds),
                args=(name, chore),
                id=name,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=60,
            )
        scheduler.start()

        def stop() -> None:
            scheduler.shutdown(wait=False)

        return stop

    async def _guarded(self, name: str, chore: Chore) -> None:
        """A chore that failed is done again at its next turn; a lost lease ends the daemon."""
        try:
            await chore()
        except LeaseLostError as error:
            self._fatal(error)
        except StateError as error:
            log.error("%s: %s; done again later", name, error.message)
        except asyncio.CancelledError:
            log.debug("%s: broken off, the daemon ends", name)  # APScheduler would tell it as an error, with its stack

    async def record_checks(self) -> None:
        """Write when watchers were last checked, all of them in one transaction."""
        checked = {}
        for worker in self._workers.values():
            at, worker.task.checked = worker.task.checked, None
            if at is not None:
                checked.update(dict.fromkeys(worker.task.watchers, at))
        if checked:

            def work(state: StateWriting) -> None:
                state.commit(Batch(checked=checked))

            await self._parts.state.run(work)

    async def check_health(self) -> None:
        """Restart the work on a job that has shown no sign of life for `stall_after`, but for what is being written."""
        now = self._parts.clock.monotonic()
        for key, worker in list(self._workers.items()):
            since = worker.busy_since
            if since is None or now - since <= self._parts.settings.engine.stall_after:
                continue
            if worker.task.committing:
                log.error("job %s: not written for %.0f s; waited for, since it may be written yet", key, now - since)
            else:
                log.error("job %s: no sign of life for %.0f s; restarted", key, now - since)
                worker.restart()

    async def purge(self) -> None:
        """Delete what is older than its retention."""
        await purge(self._parts, self._controller)
