"""Hosts that do not answer: what is marked and told of them, and that a slow one holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from parts.house import House, Jobs
from parts.waiting import eventually

from reconciler.engine.discovery import Discovery
from reconciler.engine.parts import Host
from reconciler.errors import HostUnreachableError, SchedulerUnavailableError
from reconciler.model import HostName, JobKey
from reconciler.protocols import EventFilter

NEAR, FAR = HostName("near"), HostName("far")


class Slow(Jobs):
    """Lists its jobs when it is let, and counts how often it was asked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.let = asyncio.Event()
        self.asked = 0

    async def jobs(self, since: float | None) -> Any:
        self.asked += 1
        await self.let.wait()
        return await super().jobs(since)


class Two:
    """The discovery of two hosts, one of which is slow."""

    def __init__(self, discovery: Discovery, near: Jobs, far: Slow) -> None:
        self.discovery, self.near, self.far = discovery, near, far

    def known(self) -> set[JobKey]:
        return set(self.discovery.known)

    async def marks(self) -> list[tuple[str, str, str]]:
        """What was told of hosts: what became of which, and why."""
        events = await self.discovery._parts.state.run(lambda state: state.events(EventFilter(limit=100)))
        return [
            (event.type.split(".")[2], str(event.hostname), str(event.data.get("layer", "")))
            for event in events
            if ".host." in event.type
        ]


@asynccontextmanager
async def two(house: House) -> AsyncIterator[Two]:
    async with house.engine() as engine:
        transport = next(iter(engine.parts.hosts.values())).transport
        near, far = Jobs(house.outputs, host=NEAR), Slow(house.outputs, host=FAR)
        hosts = {NEAR: Host(NEAR, transport, near), FAR: Host(FAR, transport, far)}
        discovery = Discovery(replace(engine.parts, hosts=hosts))
        await discovery.load()
        near.add("1")
        far.add("1")
        try:
            yield Two(discovery, near, far)
        finally:
            await discovery.end()


async def test_a_host_that_hangs_holds_up_no_other_and_its_answer_is_taken_when_it_comes(house: House) -> None:
    async with two(house) as here:
        late = asyncio.Event()
        here.discovery.on_late = late.set
        seen = await here.discovery.look(0.01)
        assert {key.host for key in seen.changed} == {NEAR}
        assert (await here.discovery.look(0.01)).unreachable == {}
        assert here.far.asked == 1  # one question at a time
        here.far.let.set()
        await asyncio.wait_for(late.wait(), 30)
        seen = await here.discovery.look(ask=False)
        assert {key.host for key in seen.changed} == {FAR}
        assert {key.host for key in here.known()} == {NEAR, FAR}
        assert here.far.asked == 1


async def test_a_host_that_is_being_asked_is_asked_once_more_for_what_it_may_have_been_too_early_to_see(
    house: House,
) -> None:
    async with two(house) as here:
        late = asyncio.Event()
        here.discovery.on_late = late.set
        await here.discovery.look(0.01)
        for _ in range(3):
            here.discovery.ask_now(FAR)
        assert here.far.asked == 1  # one question at a time
        here.far.let.set()
        for _ in range(2):
            await asyncio.wait_for(late.wait(), 30)
            late.clear()
            await here.discovery.look(ask=False)
        assert here.far.asked == 2


async def test_without_a_limit_every_host_is_waited_for(house: House) -> None:
    async with two(house) as here:
        look = asyncio.create_task(here.discovery.look())
        await eventually(lambda: here.far.asked)
        assert not look.done()
        here.far.let.set()
        assert {key.host for key in (await look).changed} == {NEAR, FAR}


async def test_a_look_that_is_broken_off_leaves_nobody_asking(house: House) -> None:
    async with two(house) as here:
        look = asyncio.create_task(here.discovery.look())
        await eventually(lambda: here.far.asked)
        look.cancel()
        with pytest.raises(asyncio.CancelledError):
            await look
        assert (await here.discovery.look(ask=False)).changed == set()


async def test_an_outage_is_one_event_and_its_end_another(house: House) -> None:
    async with two(house) as here:
        here.far.let.set()
        for error in (SchedulerUnavailableError("squeue failed"), HostUnreachableError("far: refused")):
            here.far.failing = error
            await here.discovery.look()
            assert here.discovery.unreachable == {FAR: error.message.removeprefix("far: ")}
        assert here.discovery.listing(FAR).layer == "host"
        assert here.discovery.listing(NEAR).layer == ""
        here.far.failing = None
        for _ in range(2):
            await here.discovery.look()
        assert here.discovery.unreachable == {}
        assert await here.marks() == [("unreachable", FAR, "scheduler"), ("reachable", FAR, "")]


async def test_a_host_whose_files_cannot_be_seen_stays_marked_while_its_jobs_are_listed(house: House) -> None:
    async with two(house) as here:
        here.far.let.set()
        await here.discovery.look()
        answering = here.discovery.answering
        for _ in range(2):
            await answering.not_seen(FAR, "far: a file system there hangs")
        await here.discovery.look()
        assert here.discovery.unreachable == {FAR: "a file system there hangs"}
        assert here.discovery.listing(FAR).layer == "outputs"
        here.far.failing = SchedulerUnavailableError("squeue failed")
        await here.discovery.look()
        await answering.seen(FAR)
        assert here.discovery.unreachable == {FAR: "squeue failed"}
        here.far.failing = None
        await here.discovery.look()
        assert here.discovery.unreachable == {}
        await answering.seen(FAR)
        assert await here.marks() == [("unreachable", FAR, "outputs"), ("reachable", FAR, "")]


async def test_a_mark_outlives_the_process_and_ends_with_the_first_listing(house: House) -> None:
    async with two(house) as here:
        here.far.let.set()
        here.far.failing = SchedulerUnavailableError("squeue failed")
        await here.discovery.look()
        again = Discovery(here.discovery._parts)
        await again.load()
        assert again.unreachable == {FAR: "squeue failed"}
        here.far.failing = None
        await again.look()
        assert again.unreachable == {}
        assert await here.marks() == [("unreachable", FAR, "scheduler"), ("reachable", FAR, "")]


async def test_when_a_host_was_listed_is_told_by_a_clock_that_was_set_back_too(house: House) -> None:
    house.with_jobs().add("1")
    async with house.engine() as engine:
        assert house.clock is not None
        discovery = Discovery(engine.parts)
        await discovery.load()
        await discovery.look()
        house.clock.at -= 3600.0
        await discovery.look()
    with house.state() as state:
        assert state.fact("listed:localhost") == repr(house.clock.at)


async def test_a_hosts_name_stands_in_front_of_a_reason_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    async with two(house) as here:
        here.far.let.set()
        here.far.failing = HostUnreachableError("far: connection refused")
        assert (await here.discovery.look()).unreachable == {FAR: "connection refused"}
    assert caplog.messages == ["far: connection refused"]
