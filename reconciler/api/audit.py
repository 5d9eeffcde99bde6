"""Who wrote what through the API, and who was refused, as events beside all others.

What was written is committed before its answer goes out. Refusals are told soon and not too often: strangers must not
be able to fill the state.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from reconciler.api.callers import Caller
from reconciler.api.limits import Limits, address_name
from reconciler.engine.daemon import Daemon
from reconciler.engine.parts import Parts
from reconciler.errors import ReconcilerError
from reconciler.events import Event, EventType
from reconciler.protocols import Batch, StateWriting

log = logging.getLogger(__name__)

#: Refusals told for each caller: so many at once, so many a minute; and of all callers together.
_EACH, _ALL = (10, 2), (60, 10)


class AuditLog:
    """Writes the events. `run` does it for refusals until it is cancelled."""

    def __init__(self, parts: Parts, daemon: Daemon) -> None:
        self._parts, self._daemon = parts, daemon
        self._each, self._all = Limits(*_EACH), Limits(*_ALL)
        self._untold = 0
        self._queue: asyncio.Queue[Event] = asyncio.Queue(maxsize=256)

    async def written(self, caller: Caller, what: str, subject: str, **data: Any) -> None:
        """Record that `caller` did `what` to `subject`. Raises StateError."""
        await self._commit(self._event(EventType.API_WRITTEN, caller, what, subject, data))

    def refused(self, caller: Caller, what: str, why: str) -> None:
        """Take note of a refusal."""
        now = self._parts.clock.monotonic()
        who = caller.key.id if caller.key else address_name(caller.address)
        if self._queue.full() or self._each.wait(who, now) or self._all.wait("all", now):
            self._untold += 1
            return
        data = {"reason": why, **({"untold": self._untold} if self._untold else {})}
        self._untold = 0
        self._queue.put_nowait(self._event(EventType.API_REFUSED, caller, what, what, data))

    async def run(self) -> None:
        """Write the refusals down as they come."""
        while True:
            event = await self._queue.get()
            try:
                await self._commit(event)
            except ReconcilerError as error:
                log.error("a refusal could not be recorded (%s): %s", event.subject, error.message)

    def _event(self, type_: EventType, caller: Caller, what: str, subject: str, data: Mapping[str, Any]) -> Event:
        key = {"key": caller.key.id} if caller.key else {}
        told = {"by": caller.name, "address": caller.address, **key, "request": what, **data}
        success = type_ is EventType.API_WRITTEN
        return Event(type_, self._parts.clock.now(), subject[:300], action_result=what, success=success, data=told)

    async def _commit(self, event: Event) -> None:
        def work(state: StateWriting) -> None:
            state.commit(Batch(events=(event,)))

        await self._parts.state.run(work)
        self._daemon.tell()
