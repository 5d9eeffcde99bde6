"""Carries committed events from the table to the sinks, in order, from where each sink stands.

A sink that fails is offered the same events again later; nothing is lost and nothing comes twice.
"""

from __future__ import annotations

import asyncio
import logging

from reconciler.engine.parts import Parts
from reconciler.errors import ReconcilerError
from reconciler.events import Event
from reconciler.protocols import EXPORTED_SEQ, Batch, EventFilter, Sink, StateReading, StateWriting

log = logging.getLogger(__name__)

PAGE = 2000


class Pump:
    """One for all sinks. `healthy` is False while a sink does not take what it is given."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._sent: dict[int, int] = {}
        self._wake = asyncio.Event()
        self.healthy = True

    def wake(self) -> None:
        """Say that something was committed."""
        self._wake.set()

    async def flush(self) -> bool:
        """Bring every sink up to the last committed event; return whether all took everything."""
        await self._place()
        behind, failed = dict(enumerate(self._parts.sinks)), False
        while behind:  # a page each in turn: one that is far behind, or never done, keeps nothing from the others
            for number, sink in list(behind.items()):
                try:
                    if await self._page(number, sink):
                        continue
                except ReconcilerError as error:
                    log.error("events are kept in the state and will be written later: %s", error.message)
                    failed = True
                del behind[number]
        self.healthy = not failed
        return self.healthy

    async def run(self) -> None:
        """Flush whenever there is something new, and again after a while where a sink failed. Ends by cancellation."""
        while True:
            flushed = await self.flush()
            try:
                async with asyncio.timeout(None if flushed else 5.0):  # not `wait_for`, see `Reader`
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()

    async def _place(self) -> None:
        """Note where each sink stands, at the first time: those that keep no position get what comes from now on."""
        if self._sent or not self._parts.sinks:
            return
        last = await self._parts.state.run(_last)
        for number, sink in enumerate(self._parts.sinks):
            position = sink.position()
            self._sent[number] = last if position is None else position

    async def _page(self, number: int, sink: Sink) -> bool:
        """Give a sink the next events; return False where there were none."""
        events = await self._after(self._sent[number])
        if events:
            await sink.write(events)
            self._sent[number] = events[-1].seq
            return True
        position = sink.position()
        if position is not None and self._sent[number] == position:
            await self._exported(position)
        return False

    async def _after(self, seq: int) -> tuple[Event, ...]:
        def look_up(state: StateReading) -> tuple[Event, ...]:
            if state.last_seq() <= seq:  # cheaper, and most often there is nothing new
                return ()
            return state.events(EventFilter(after_seq=seq, limit=PAGE))

        return await self._parts.state.run(look_up)

    async def _exported(self, position: int) -> None:
        def work(state: StateWriting) -> None:
            if state.fact(EXPORTED_SEQ) != str(position):
                state.commit(Batch(facts={EXPORTED_SEQ: str(position)}))

        await self._parts.state.run(work)


def _last(state: StateReading) -> int:
    return state.last_seq()
