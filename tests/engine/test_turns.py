"""Hosts are asked for their jobs each in its own time: regularly, or rarer while a scheduler is slow or silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from parts.house import House, Jobs, SteppedClock
from parts.waiting import eventually as wait_for

from reconciler import app
from reconciler.engine.turns import ASKED_EVERY, Turns
from reconciler.errors import HostUnreachableError, ReconcilerError, SchedulerUnavailableError
from reconciler.model import LOCALHOST

eventually = partial(wait_for, timeout=30)
DOWN = SchedulerUnavailableError("slurmctld does not answer")


class Timed(Jobs):
    """Takes its time to answer, by the clock that the test steps, and counts the questions."""

    def __init__(self, home: Path, clock: SteppedClock) -> None:
        super().__init__(home, clock)
        self.clock, self.takes, self.asked = clock, 0.1, 0

    async def jobs(self, since: float | None) -> Any:
        self.asked += 1
        self.clock.at += self.takes
        return await super().jobs(since)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A reconciler whose jobs are listed every second, by a clock that stands still."""
    house = House(tmp_path, engine={"discovery_interval": 1, "max_stretch": 100})
    house.with_jobs(SteppedClock())
    assert house.clock is not None
    house.scheduler = Timed(house.outputs, house.clock)
    return house


@asynccontextmanager
async def running(house: House) -> AsyncIterator[tuple[app.Engine, Timed]]:
    """A daemon that has listed the jobs once."""
    assert isinstance(house.scheduler, Timed)
    scheduler = house.scheduler
    async with house.daemon() as engine:
        await eventually(lambda: engine.controller.discovery.listing(LOCALHOST).every and scheduler.asked == 1)
        yield engine, scheduler


async def asked_after(scheduler: Timed, seconds: float) -> None:
    """Step the clock, and see that this leads to one more question."""
    before = scheduler.asked
    scheduler.clock.at += seconds
    await eventually(lambda: scheduler.asked == before + 1)


def told(house: House) -> str | None:
    """Return what the state says of how often the host is asked."""
    with house.state() as state:
        return state.fact(f"{ASKED_EVERY}:localhost")


async def test_a_host_is_asked_when_its_interval_is_over(house: House) -> None:
    async with running(house) as (engine, scheduler):
        scheduler.add("7")
        await asked_after(scheduler, 1.2)
        await eventually(lambda: len(engine.controller.discovery.known) == 1)
        await asked_after(scheduler, 1.2)


async def test_a_silent_scheduler_is_asked_rarer_and_its_return_is_seen(house: House) -> None:
    async with running(house) as (engine, scheduler):
        listing = engine.controller.discovery.listing
        scheduler.add("7")
        await asked_after(scheduler, 1.2)
        await eventually(lambda: len(engine.controller.discovery.known) == 1)
        scheduler.failing = DOWN
        for wait in (1, 1, 2, 4):
            assert listing(LOCALHOST).every == wait
            await asked_after(scheduler, wait * 1.1 + 0.1)
        await eventually(lambda: told(house) == "8")
        assert listing(LOCALHOST).layer == "scheduler"
        said = await asyncio.to_thread(house.run, "status")
        assert "localhost: its scheduler is slow or silent, and is asked for its jobs every 8 s" in said.stderr
        scheduler.failing = None
        await asked_after(scheduler, 8.9)
        await eventually(lambda: told(house) == "")
        assert (listing(LOCALHOST).layer, listing(LOCALHOST).every) == ("", 1)


async def test_a_person_who_asks_is_answered_at_once_and_the_next_turn_is_put_off(house: House) -> None:
    async with running(house) as (engine, scheduler):
        scheduler.takes = 6
        assert await engine.daemon.look_again(list_jobs=True) is not None
        assert scheduler.asked == 2
        assert engine.controller.discovery.listing(LOCALHOST).every == pytest.approx(61)


@pytest.mark.parametrize(
    ("failing", "every"), [(DOWN, [1, 2, 4, 8]), (HostUnreachableError("no route to host"), [1, 1, 1, 1])]
)
async def test_only_a_scheduler_that_was_reached_is_spared(
    house: House, failing: ReconcilerError, every: list[float]
) -> None:
    async with house.engine() as engine:
        turns = Turns(engine.parts, dice=lambda: 0.5)
        for expected in every:
            turns.silent(LOCALHOST) if failing is DOWN else turns.unreached(LOCALHOST)
            assert turns.every(LOCALHOST) == expected
            assert turns.due(LOCALHOST) == pytest.approx(engine.parts.clock.monotonic() + expected * 1.05)


async def test_how_often_is_told_where_it_is_not_as_usual_and_once(house: House) -> None:
    async with house.engine() as engine:
        turns = Turns(engine.parts)
        turns.answered(LOCALHOST, 0.1)
        assert turns.to_tell(LOCALHOST) == {}
        turns.answered(LOCALHOST, 10)
        told = turns.to_tell(LOCALHOST)
        assert told == {f"{ASKED_EVERY}:localhost": "100"}
        turns.was_told(LOCALHOST, told)
        assert turns.to_tell(LOCALHOST) == {}
        for _ in range(10):
            turns.answered(LOCALHOST, 0.1)
        assert turns.to_tell(LOCALHOST) == {f"{ASKED_EVERY}:localhost": ""}


async def test_a_host_that_hangs_is_not_asked_again_before_it_answered(house: House) -> None:
    gate = asyncio.Event()

    class Hanging(Timed):
        async def jobs(self, since: float | None) -> Any:
            found = await super().jobs(since)
            if self.asked > 1:
                await gate.wait()
            return found

    assert house.clock is not None
    house.scheduler = Hanging(house.outputs, house.clock)
    async with running(house) as (engine, scheduler):
        await asked_after(scheduler, 1.2)
        scheduler.clock.at += 1000
        for _ in range(3):
            await engine.daemon.look_again()
        assert scheduler.asked == 2
        gate.set()
        await eventually(lambda: engine.controller.discovery.listing(LOCALHOST).took == pytest.approx(1000.1))
