"""Passes over real files and a real state: what is bound, read, acted on, completed, and taken up again."""

from __future__ import annotations

import asyncio

import pytest
from parts.core import LOG, STORE
from parts.house import House
from parts.waiting import eventually

from reconciler.app import Engine
from reconciler.errors import StalePlanError
from reconciler.model import LOCALHOST, JobId, JobKey


async def test_a_job_that_printed_and_ended_is_read_acted_on_and_completed(house: House) -> None:
    house.write("Loss", pattern=r"loss: ([0-9.]+)", captures=["loss"], actions=[STORE, LOG])
    job = await house.submit("for i in 1 2 3; do echo loss: $i.5; done; printf 'loss: 9.25'")
    report = await house.once()
    assert [int(code) for code in report.codes()] == [0]
    assert house.matched() == ["loss: 1.5", "loss: 2.5", "loss: 3.5", "loss: 9.25"]
    assert [point.value for point in house.metrics(job)] == [1.5, 2.5, 3.5, 9.25]
    watcher = house.row("Loss")
    assert (watcher.state, watcher.trigger_count, watcher.variables) == ("completed", 4, {"1": "9.25", "loss": "9.25"})
    assert [line["data"]["seq"] for line in house.lines()] == list(range(1, len(house.lines()) + 1))


async def test_a_second_pass_does_nothing(house: House) -> None:
    house.write()
    await house.submit("echo hit")
    await house.once()
    before = house.events()
    report = await house.once()
    assert report.applied == 0
    assert house.events() == before


def sharers(engine: Engine) -> dict[str, tuple[str, ...]]:
    return {task.job.id: task.shared_with for task in engine.controller.fleet.tasks.values()}


async def test_who_writes_the_same_file_is_known_for_as_long_as_it_holds(house: House) -> None:
    house.write()
    jobs = house.with_jobs()
    out = str(jobs.add("1"))
    jobs.add("2", stdout=out, stderr=out)
    async with house.engine() as engine:
        await engine.controller.pass_(approve="yes")
        assert sharers(engine) == {"1": ("2",), "2": ("1",)}
        await engine.controller.pass_()
        jobs.add("3", stdout=out, stderr=out)
        await engine.controller.pass_()
        assert sharers(engine) == {"1": ("2", "3"), "2": ("1", "3"), "3": ("1", "2")}
        jobs.finish("3")
        await engine.controller.pass_()
        await engine.controller.finished(JobKey(LOCALHOST, JobId("3")))
        await engine.controller.pass_()  # nothing else happened: no job is other than it was listed
        assert sharers(engine) == {"1": ("2",), "2": ("1",)}


async def test_two_who_record_the_same_ended_job_at_once_do_not_end_the_daemon(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write()
    await house.submit("echo hit; sleep 60", wait=False)
    async with house.daemon() as engine:
        await eventually(lambda: house.matched() == ["hit"])
        gate, asked = asyncio.Event(), 0
        finished = engine.controller.finished

        async def slow(key: JobKey) -> None:
            nonlocal asked
            asked += 1
            await gate.wait()
            await finished(key)

        monkeypatch.setattr(engine.controller, "finished", slow)
        await house.cancel_all()
        await eventually(lambda: asked > 0)  # the daemon's own turn has begun
        asking = asyncio.create_task(engine.daemon.carry_out())
        await eventually(lambda: asked > 1)
        gate.set()
        await asking
        await eventually(lambda: not engine.controller.fleet.tasks)
        await engine.daemon.carry_out()
        assert not engine.daemon._stopping.is_set()


async def test_a_plan_that_is_to_be_carried_out_exactly_is_that_or_nothing(house: House) -> None:
    jobs = house.with_jobs()
    jobs.add("1")
    house.write("a")
    async with house.engine() as engine:
        digest = (await engine.controller.preview()).digest()
        jobs.add("2")
        with pytest.raises(StalePlanError, match="no longer true"):
            await engine.once.run(approve=digest, exactly=True)
    assert house.rows() == ()
    async with house.engine() as engine:
        digest = (await engine.controller.preview()).digest()
        assert (await engine.once.run(approve=digest, exactly=True)).applied == 2
