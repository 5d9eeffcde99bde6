"""From the table of events to the sinks: each in its order, none kept waiting by another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from parts.house import House
from parts.waiting import eventually

from reconciler.app import Engine
from reconciler.engine.pump import Pump
from reconciler.errors import StateError
from reconciler.events import Event, EventType
from reconciler.model import HostName
from reconciler.protocols import Batch


class Taking:
    """A sink that keeps what it is given; `begin` is where it stands, None for one that keeps no position."""

    def __init__(self, begin: int | None = None) -> None:
        self.begin = begin
        self.taken: list[int] = []
        self.failing = False
        self.meanwhile: Engine | None = None

    def position(self) -> int | None:
        return None if self.begin is None else max([self.begin, *self.taken])

    async def write(self, events: Sequence[Event]) -> None:
        if self.failing:
            raise StateError("the disk is full")
        self.taken += [event.seq for event in events]
        if self.meanwhile is not None:
            await happen(self.meanwhile)

    async def close(self) -> None:
        pass


async def happen(engine: Engine, count: int = 1) -> None:
    """Commit so many events."""
    event = Event(EventType.HOST_REACHABLE, 1.0, "h", hostname=HostName("h"))
    await engine.parts.state.run(lambda state: state.commit(Batch(events=(event,) * count)))


async def test_a_sink_that_is_never_done_keeps_nothing_from_another(house: House) -> None:
    async with house.engine() as engine:
        busy, other = Taking(begin=0), Taking()
        pump = Pump(replace(engine.parts, sinks=[busy, other]))
        await pump.flush()
        busy.meanwhile = engine  # with every page that it takes another event happens
        await happen(engine)
        running = asyncio.create_task(pump.flush())
        await eventually(lambda: len(other.taken) >= 5)
        busy.meanwhile = None
        assert await running
        assert busy.taken == other.taken == list(range(1, len(busy.taken) + 1))


async def test_a_sink_without_a_position_gets_what_comes_after_the_first_turn(house: House) -> None:
    async with house.engine() as engine:
        await happen(engine, 3)
        old, new = Taking(begin=1), Taking()
        pump = Pump(replace(engine.parts, sinks=[old, new]))
        assert await pump.flush()
        assert (old.taken, new.taken) == ([2, 3], [])
        await happen(engine, 2)
        await pump.flush()
        assert (old.taken, new.taken) == ([2, 3, 4, 5], [4, 5])


async def test_a_sink_that_fails_is_offered_the_same_again_and_holds_up_no_other(house: House) -> None:
    async with house.engine() as engine:
        failing, fine = Taking(begin=0), Taking(begin=0)
        pump = Pump(replace(engine.parts, sinks=[failing, fine]))
        await happen(engine, 2)
        failing.failing = True
        assert not await pump.flush()
        assert not pump.healthy
        assert (failing.taken, fine.taken) == ([], [1, 2])
        failing.failing = False
        assert await pump.flush()
        assert (failing.taken, fine.taken) == ([1, 2], [1, 2])
