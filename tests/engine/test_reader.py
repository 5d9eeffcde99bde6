"""The Reader of a host: one look for all that is due, waits that grow and shrink, outages, busy workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from parts.house import House, Jobs
from parts.waiting import eventually

from reconciler import app
from reconciler.engine.parts import Host
from reconciler.engine.reader import Reader
from reconciler.engine.ticks import TickResult
from reconciler.engine.worker import Worker
from reconciler.errors import HostUnreachableError
from reconciler.model import LOCALHOST, JobState, WatcherState
from reconciler.protocols import Glimpse, Want


class Watched:
    """The real transport of this machine, counting looks, and failing where it is told to."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.host = LOCALHOST
        self.looks: list[list[str]] = []
        self.failing = False
        self.gate: asyncio.Event | None = None
        self.late: asyncio.Event | None = None  # holds answers back
        self.answered = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def look(self, wants: Sequence[Want]) -> Sequence[Glimpse]:
        self.looks.append([want.path for want in wants])
        if self.gate is not None:
            await self.gate.wait()
        if self.failing:
            raise HostUnreachableError("the network is down")
        seen: Sequence[Glimpse] = await self._real.look(wants)
        self.answered += 1
        if self.late is not None:
            await self.late.wait()
        return seen


class Stand:
    """A reader with the workers of some jobs, as a daemon has them."""

    def __init__(self, engine: app.Engine, transport: Watched) -> None:
        self.parts, self.transport = engine.parts, transport
        host = Host(LOCALHOST, transport, engine.parts.hosts[LOCALHOST].scheduler)
        self.reader = Reader(engine.parts, host)
        self.results: list[TickResult | None] = []
        fleet = engine.controller.fleet
        self.workers = {
            str(key.id): Worker(engine.parts, task, fleet.dispatcher, self.ready, self.fatal)
            for key, task in fleet.tasks.items()
        }

    def ready(self, worker: Worker, result: TickResult | None) -> None:
        self.results.append(result)
        if not worker.done:
            self.reader.ready(worker, result)

    def fatal(self, error: BaseException) -> None:
        raise AssertionError(error)


@asynccontextmanager
async def stand(house: House, jobs: Jobs) -> AsyncIterator[Stand]:
    async with house.engine() as engine:
        await engine.controller.pass_()
        made = Stand(engine, Watched(engine.parts.hosts[LOCALHOST].transport))
        running = asyncio.create_task(made.reader.run())
        try:
            yield made
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            for worker in made.workers.values():
                await worker.stop(1)


@pytest.fixture
def jobs(house: House) -> Jobs:
    """Listed jobs, on the real clock."""
    found = house.with_jobs()
    house.clock = None
    return found


async def test_all_that_is_due_is_taken_in_one_look(house: House, jobs: Jobs) -> None:
    house.write("w", pattern="hit")
    for number in range(5):
        jobs.add(str(number)).write_text("hit\n")
    async with stand(house, jobs) as here:
        for worker in here.workers.values():
            here.reader.follow(worker)
        await eventually(lambda: len(house.matched()) == 5)
        assert len(here.transport.looks[0]) == 5


async def test_a_notice_wakes_only_the_job_whose_file_grew(house: House, jobs: Jobs) -> None:
    house.write("w", pattern=r"hit \d", interval_seconds=3600)
    outs = {str(number): jobs.add(str(number)) for number in range(3)}
    for out in outs.values():
        out.write_text("hit 1\n")
    async with stand(house, jobs) as here:
        for worker in here.workers.values():
            here.reader.follow(worker)
        await eventually(lambda: len(house.matched()) == 3 and all(not w.busy for w in here.workers.values()))
        here.transport.looks.clear()
        with outs["1"].open("a") as file:
            file.write("hit 2\n")
        here.reader.wake_path(str(outs["1"]))
        here.reader.wake_path("/nobody/reads/this")
        await eventually(lambda: len(house.matched()) == 4)
        assert {path for look in here.transport.looks for path in look} == {str(outs["1"])}


async def test_an_idle_job_is_looked_at_less_and_less_often(house: House, jobs: Jobs) -> None:
    house.write("w", pattern="hit", interval_seconds=60)
    jobs.add()
    async with stand(house, jobs) as here:
        (worker,) = here.workers.values()
        waits = []
        for _ in range(12):
            waits.append(worker.task.interval)
            worker.task.quiet += 1
        assert waits[:3] == [60.0, 90.0, 120.0]
        assert waits[-1] == 300.0


async def test_what_is_wanted_of_an_idle_job_is_the_same_until_something_happens(house: House, jobs: Jobs) -> None:
    house.write("w", pattern=r"hit \d", interval_seconds=3600)
    out = jobs.add()
    out.write_text("hit 1\n")
    async with stand(house, jobs) as here:
        (worker,) = here.workers.values()
        here.reader.follow(worker)
        await eventually(lambda: house.matched() == ["hit 1"] and not worker.busy)
        task = worker.task
        (idle,) = task.wants(65_536).values()
        assert idle.known is not None
        assert next(iter(task.wants(65_536).values())) is idle
        assert next(iter(task.wants(131_072).values())).limit == 131_072
        with out.open("a") as file:
            file.write("hit 2\n")
        here.reader.arm(task.job.key, here.parts.clock.now())
        await eventually(lambda: house.matched() == ["hit 1", "hit 2"] and not worker.busy)
        assert next(iter(task.wants(65_536).values())).offset == out.stat().st_size
        jobs.finish()
        task.meet(jobs.listed[task.job.id])
        assert next(iter(task.wants(65_536).values())).known is None


async def test_the_files_of_jobs_are_known_by_path_while_they_are_followed(house: House, jobs: Jobs) -> None:
    house.write("w", pattern="hit")
    outs = [jobs.add(str(number)) for number in range(3)]
    async with stand(house, jobs) as here:
        for worker in here.workers.values():
            here.reader.follow(worker)
            here.reader.refresh(worker)
        assert sorted(here.reader.paths()) == sorted(map(str, outs))
        here.reader.forget(here.workers["1"].task.job.key)
        assert sorted(here.reader.paths()) == sorted(map(str, (outs[0], outs[2])))


async def test_a_host_that_does_not_answer_is_asked_ever_less_and_caught_up_with(house: House, jobs: Jobs) -> None:
    house.write("w", pattern=r"hit \d")
    out = jobs.add()
    out.write_text("hit 1\n")
    async with stand(house, jobs) as here:
        (worker,) = here.workers.values()
        here.transport.failing = True
        before = here.parts.clock.now()
        here.reader.follow(worker)
        await eventually(lambda: len(here.transport.looks) == 1)
        due = await eventually(lambda: here.reader.due(worker.task.job.key))
        assert due is not None
        assert before + 2 <= due <= here.parts.clock.now() + 2
        here.transport.failing = False
        here.reader.arm(worker.task.job.key, here.parts.clock.now())
        await eventually(lambda: house.matched() == ["hit 1"])


async def test_a_host_that_cannot_be_looked_at_is_marked_at_the_second_failure_and_until_it_answers(
    house: House, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    house.write("w", pattern=r"hit \d")
    jobs.add().write_text("hit 1\n")
    async with stand(house, jobs) as here:
        (worker,) = here.workers.values()
        here.transport.failing = True
        here.reader.follow(worker)
        await eventually(lambda: here.reader.due(worker.task.job.key) and len(here.transport.looks) == 1)
        assert house.events("host.unreachable") == ()
        here.reader.arm(worker.task.job.key, here.parts.clock.now())
        await eventually(lambda: house.events("host.unreachable"))
        here.transport.failing = False
        here.reader.arm(worker.task.job.key, here.parts.clock.now())
        await eventually(lambda: house.matched() == ["hit 1"])
        assert len(house.events("host.reachable")) == 1
    assert "localhost: the network is down" in caplog.text
    assert "localhost: localhost" not in caplog.text


async def test_a_look_that_took_long_and_brought_little_lets_the_host_rest(
    house: House, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.engine.reader.SLOW", 0.0)
    house.write("w", pattern=r"hit \d", interval_seconds=3600)
    for number in range(2):
        jobs.add(str(number)).write_text("hit 1\n")
    async with stand(house, jobs) as here:
        monkeypatch.setattr("reconciler.engine.reader.REST", 1e9)
        for worker in here.workers.values():
            here.reader.follow(worker)
        await eventually(lambda: len(house.matched()) == 2 and all(not w.busy for w in here.workers.values()))
        for worker in here.workers.values():
            here.reader.arm(worker.task.job.key, here.parts.clock.now())
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(here.transport.looks) == 1
        monkeypatch.setattr(here.parts.clock, "now", later(here))
        here.reader.arm(next(iter(here.workers.values())).task.job.key, 0.0)
        await eventually(lambda: len(here.transport.looks) == 2)


def later(here: Stand) -> Callable[[], float]:
    """Return a clock's `now` a minute and more from now."""
    now = here.parts.clock.now
    return lambda: now() + 100.0


async def test_a_worker_that_is_busy_is_looked_at_once_it_is_not(house: House, jobs: Jobs) -> None:
    house.write("w", pattern=r"hit \d", interval_seconds=3600)
    out = jobs.add()
    out.write_text("hit 1\n")
    async with stand(house, jobs) as here:
        (worker,) = here.workers.values()
        async with worker.task.lock:  # its tick cannot get on
            here.reader.follow(worker)
            await eventually(lambda: worker.busy)
            before = len(here.transport.looks)
            with out.open("a") as file:
                file.write("hit 2\n")
            here.reader.wake_path(str(out))
            await eventually(lambda: worker.look_again)
            assert len(here.transport.looks) == before
        await eventually(lambda: house.matched() == ["hit 1", "hit 2"])


@pytest.mark.parametrize("after", ["", "n=3\nn=4"])
async def test_a_look_that_was_on_its_way_when_the_job_ended_is_not_the_last(
    house: House, jobs: Jobs, after: str
) -> None:
    house.write("w", pattern=r"n=\d", interval_seconds=3600)
    out = jobs.add()
    out.write_text("n=1\nn=2" + ("\n" if after else ""))
    async with stand(house, jobs) as here:
        (worker,) = here.workers.values()
        here.reader.follow(worker)
        await eventually(lambda: "n=1" in house.matched() and not worker.busy)
        gate = asyncio.Event()
        here.transport.late = gate  # it has looked, and its answer is on the way
        here.reader.arm(worker.task.job.key, here.parts.clock.now())
        await eventually(lambda: len(here.transport.looks) == 2)
        await eventually(lambda: here.transport.answered == 2)
        with out.open("a") as file:
            file.write(after)
        jobs.finish()
        worker.task.meet(jobs.listed[worker.task.job.id])
        here.transport.late = None
        gate.set()
        await eventually(lambda: house.row().state is WatcherState.COMPLETED)
    assert house.matched() == ["n=1", "n=2", *after.split()]


async def test_a_job_that_is_forgotten_during_a_look_is_not_dealt_with(house: House, jobs: Jobs) -> None:
    house.write("w", pattern="hit")
    jobs.add().write_text("hit\n")
    async with stand(house, jobs) as here:
        (worker,) = here.workers.values()
        here.transport.gate = asyncio.Event()
        here.reader.follow(worker)
        await eventually(lambda: len(here.transport.looks) == 1)
        here.reader.forget(worker.task.job.key)
        here.transport.gate.set()
        await eventually(lambda: not here.reader.paths())
        await asyncio.gather(*(asyncio.to_thread(lambda: None) for _ in range(3)))
        assert not worker.busy
    assert house.matched() == []


async def test_a_job_whose_output_moved_is_read_where_it_is_now(house: House, jobs: Jobs, tmp_path: Path) -> None:
    house.write("w", pattern=r"hit \d", interval_seconds=3600)
    jobs.add().write_text("hit 1\n")
    async with stand(house, jobs) as here:
        (worker,) = here.workers.values()
        here.reader.follow(worker)
        await eventually(lambda: house.matched() == ["hit 1"] and not worker.busy)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_text("hit 2\n")
        worker.task.meet(replace(worker.task.job, stdout=str(elsewhere), stderr=str(elsewhere)))
        here.reader.refresh(worker)
        assert here.reader.paths() == [str(elsewhere)]
        await eventually(lambda: house.matched() == ["hit 1", "hit 2"])


async def test_an_ended_job_is_looked_at_until_its_output_is_still_and_then_no_more(house: House, jobs: Jobs) -> None:
    house.write("w", pattern="hit", interval_seconds=3600)
    jobs.add().write_text("no\nhit")
    async with stand(house, jobs) as here:
        (worker,) = here.workers.values()
        here.reader.follow(worker)
        await eventually(lambda: here.results and not worker.busy)
        worker.task.meet(replace(worker.task.job, state=JobState.COMPLETED, raw_state="COMPLETED"))
        here.reader.refresh(worker)
        await eventually(lambda: worker.done)
    assert house.matched() == ["hit"]
