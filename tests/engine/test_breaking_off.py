"""Passes that break off, states that refuse, leases that are lost, looks that are bounded, work that stalls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from parts.house import House, Jobs
from parts.waiting import eventually

from reconciler import app
from reconciler.engine import once as once_module
from reconciler.engine.housekeeping import Housekeeping
from reconciler.engine.lease import kept
from reconciler.engine.once import look
from reconciler.engine.worker import Worker
from reconciler.errors import LeaseLostError, StateError
from reconciler.model import LOCALHOST, WatcherState
from reconciler.protocols import Batch, StateWriting, Want

NUMBER: dict[str, Any] = {"pattern": r"n=(\d+)", "captures": ["n"]}


@pytest.fixture
def jobs(house: House) -> Jobs:
    return house.with_jobs()


class Refusing:
    """A state that refuses some commits, as a full disk does."""

    def __init__(self, engine: app.Engine, refuses: Callable[[Batch], bool]) -> None:
        self._run, self._refuses = engine.parts.state.run, refuses
        self.refused = 0
        engine.parts.state.run = self.run  # type: ignore[method-assign]

    async def run(self, work: Any) -> Any:
        def guarded(state: StateWriting) -> Any:
            return work(_Guarded(state, self))

        return await self._run(guarded)

    def check(self, batch: Batch) -> None:
        if self._refuses(batch):
            self.refused += 1
            raise StateError("disk is full")


class _Guarded:
    def __init__(self, state: StateWriting, owner: Refusing) -> None:
        self._state, self._owner = state, owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def commit(self, batch: Batch) -> Any:
        self._owner.check(batch)
        return self._state.commit(batch)


async def test_a_pass_that_broke_off_is_made_again(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    jobs.add()
    async with house.engine() as engine:
        state = Refusing(engine, lambda batch: bool(batch.create) and state.refused < 2)
        for _ in range(2):
            with pytest.raises(StateError):
                await engine.controller.pass_()
        report = await engine.controller.pass_()
        assert report.applied == 1
        assert (await engine.controller.pass_()).applied == 0
    assert house.row().state is WatcherState.ACTIVE


async def test_half_a_plan_that_was_applied_is_finished_by_the_next_pass(house: House, jobs: Jobs) -> None:
    jobs.add()
    for number in range(4):
        house.write(f"w{number}")
    await house.once()
    for number in range(4):
        house.write(f"w{number}", pattern="edited")
    async with house.engine() as engine:
        updates = 0

        def third(batch: Batch) -> bool:
            nonlocal updates
            updates += bool(batch.advances)
            return updates == 3

        Refusing(engine, third)
        with pytest.raises(StateError):
            await engine.controller.pass_()
    report = await house.once()
    assert report.applied == 2
    assert len(house.events("watcher.updated")) == 4


async def test_a_tick_that_could_not_be_written_counts_for_nothing(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    out = jobs.add()
    out.write_text("n=1\nn=2\n")
    async with house.engine() as engine:
        Refusing(engine, lambda batch: bool(batch.advances))
        with pytest.raises(StateError):
            await engine.once.run()
    assert house.matched() == []
    await house.once()
    assert house.matched() == ["n=1", "n=2"]


async def test_a_daemon_tries_a_tick_again_and_loses_nothing(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    house.clock = None
    jobs.add().write_text("n=1\nn=2\n")
    async with house.engine() as engine:
        state = Refusing(engine, lambda batch: bool(batch.advances) and state.refused < 1)
        running = asyncio.create_task(engine.daemon.run())
        await eventually(lambda: state.refused == 1)
        await eventually(lambda: house.matched() == ["n=1", "n=2"])
        engine.daemon.stop()
        await running


# --- the lease -------------------------------------------------------------------------------------------------------


async def test_a_lease_is_renewed_while_something_runs_and_its_loss_is_told(house: House) -> None:
    house.settings = house.settings.model_copy(
        update={"state": house.settings.state.model_copy(update={"lease": 0.06})}
    )
    lost: list[BaseException] = []
    async with house.engine() as engine:
        renewed = 0
        run = engine.parts.state.run

        async def counting(work: Any) -> Any:
            nonlocal renewed
            renewed += 1
            if renewed == 4:
                raise LeaseLostError("taken over")
            return await run(work)

        engine.parts.state.run = counting  # type: ignore[method-assign]
        async with kept(engine.parts, lost.append):
            await eventually(lambda: len(lost) == 1)
        engine.parts.state.run = run  # type: ignore[method-assign]
    assert renewed == 4
    assert isinstance(lost[0], LeaseLostError)


async def test_a_daemon_whose_lease_was_lost_ends_with_that_error(house: House, jobs: Jobs) -> None:
    house.clock = None
    house.write(**NUMBER)
    jobs.add()
    async with house.engine() as engine:
        running = asyncio.create_task(engine.daemon.run())
        await eventually(lambda: bool(house.rows()))
        engine.daemon.fatal(LeaseLostError("taken over"))
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(running, 10)


# --- looks -----------------------------------------------------------------------------------------------------------


async def test_many_streams_share_the_budget_of_one_look(
    house: House, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once_module, "LOOK_BUDGET", 300_000)
    house.write(**NUMBER)
    for number in range(3):
        jobs.add(str(number)).write_text("n=1 " + "x" * 59 + "\n" + ("y" * 63 + "\n") * 5000 + "n=2\n")
    async with house.engine() as engine:
        await engine.controller.pass_()
        seen = await look(engine.parts.hosts[LOCALHOST], list(engine.controller.fleet.tasks.values()))
        assert {len(glimpse.data) for each in seen for glimpse in each.values()} == {65_536}  # a power of two
        await engine.once.run()
    assert {watcher.trigger_count for watcher in house.rows()} == {2}


async def test_what_did_not_change_is_not_read_again(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    jobs.add().write_text("n=1\n")
    async with house.engine() as engine:
        await engine.once.run()
        (task,) = engine.controller.fleet.tasks.values()
        wants: list[Want] = list(task.wants().values())
        assert wants[0].known is not None
        assert wants[0].offset == 4


# --- a stall ---------------------------------------------------------------------------------------------------------


async def test_work_that_gives_no_sign_of_life_is_begun_again(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    jobs.add().write_text("n=1\n")
    assert house.clock is not None
    async with house.engine() as engine:
        await engine.controller.pass_()
        ((key, task),) = engine.controller.fleet.tasks.items()
        ready: list[Worker] = []
        fleet = engine.controller.fleet
        worker = Worker(engine.parts, task, fleet.dispatcher, lambda w, _: ready.append(w), lambda _: None)
        keeping = Housekeeping(engine.parts, engine.controller, {key: worker}, {}, lambda _: None)
        async with task.lock:  # the tick cannot get on
            worker.offer({})
            await keeping.check_health()
            assert ready == []
            house.clock.at += 301
            await keeping.check_health()
            assert ready == [worker]
        assert not worker.busy
        (seen,) = await look(engine.parts.hosts[LOCALHOST], [task])
        worker.offer(seen)
        await eventually(lambda: len(ready) == 2)
    assert house.matched() == ["n=1"]


async def test_work_that_stalls_in_its_commit_is_not_begun_again_and_done_twice(house: House, jobs: Jobs) -> None:
    """A disk that hung for minutes has written it all the same."""
    house.write(**NUMBER)
    jobs.add().write_text("n=1\n")
    assert house.clock is not None
    async with house.engine() as engine:
        await engine.controller.pass_()
        ((key, task),) = engine.controller.fleet.tasks.items()
        ready, let, run = list[Worker](), asyncio.Event(), engine.parts.state.run

        async def slow(work: Any) -> Any:
            done = await run(work)
            await let.wait()
            return done

        engine.parts.state.run = slow  # type: ignore[method-assign]
        fleet = engine.controller.fleet
        worker = Worker(engine.parts, task, fleet.dispatcher, lambda w, _: ready.append(w), lambda _: None)
        keeping = Housekeeping(engine.parts, engine.controller, {key: worker}, {}, lambda _: None)
        (seen,) = await look(engine.parts.hosts[LOCALHOST], [task])
        worker.offer(seen)
        await eventually(lambda: house.matched() == ["n=1"])
        house.clock.at += 301
        await keeping.check_health()
        let.set()
        await eventually(lambda: len(ready) == 1 and not worker.busy)
        (seen,) = await look(engine.parts.hosts[LOCALHOST], [task])
        worker.offer(seen)
        await eventually(lambda: len(ready) == 2)
    assert house.matched() == ["n=1"]
