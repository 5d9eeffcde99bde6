"""Passes over real files and a real state: what is bound, read, acted on, completed, and taken up again."""

from __future__ import annotations

from parts.core import LOG, STORE
from parts.house import House


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
