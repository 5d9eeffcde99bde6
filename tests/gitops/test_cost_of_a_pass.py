"""What a pass without a change does not do; `tests/benchmarks/sources.py` has the times."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

from parts.house import House

from reconciler import app
from reconciler.engine.controller import Controller
from reconciler.engine.parts import ParsedFile, Parts
from reconciler.protocols import SourceFile


def counted(parts: Parts, parsed: list[tuple[str, bool]]) -> Parts:
    """Note which files are parsed, and whether the cache was there for it."""

    def parse(file: SourceFile, cached: str | None) -> ParsedFile:
        parsed.append((file.name, cached is not None))
        return app.parse_source(file, cached)

    return replace(parts, parse=parse)


async def test_a_file_is_parsed_once_and_never_again_while_it_stays(house: House) -> None:
    house.with_jobs().add()
    for name in ("a", "b"):
        house.write(name)
    parsed: list[tuple[str, bool]] = []
    async with house.engine() as engine:
        controller = Controller(counted(engine.parts, parsed), engine.identity)
        for _ in range(2):  # the second sees what the first has done
            await controller.pass_()
        first = controller.plan
        await controller.pass_()
        assert sorted(parsed) == [("a.yaml", False), ("b.yaml", False)]
        assert controller.plan is first
        house.write("a", pattern="edited")
        report = await controller.pass_()
        assert parsed[2:] == [("a.yaml", False)]
        assert report.plan is not None
        assert [str(change.name) for change in report.plan.pending] == ["a"]


async def test_others_go_on_while_a_long_file_is_parsed(house: House) -> None:
    """The parser waits for what only the loop can do: it would wait for ever where it held the loop up."""
    house.with_jobs().add()
    house.write("long")
    went_on = threading.Event()

    def parse(file: SourceFile, cached: str | None) -> ParsedFile:
        assert went_on.wait(30)
        return app.parse_source(file, cached)

    async with house.engine() as engine:
        controller = Controller(replace(engine.parts, parse=parse), engine.identity)
        asyncio.get_running_loop().call_later(0.1, went_on.set)
        report = await controller.pass_()
    assert report.applied == 1


async def test_the_next_start_finds_in_the_cache_what_did_not_change(house: House) -> None:
    house.with_jobs().add()
    for name in ("a", "b"):
        house.write(name)
    await house.once()
    house.write("b", pattern="edited")
    parsed: list[tuple[str, bool]] = []
    async with house.engine() as engine:
        await Controller(counted(engine.parts, parsed), engine.identity).pass_()
    assert sorted(parsed) == [("a.yaml", True), ("b.yaml", False)]


async def test_a_file_that_moved_is_told_with_its_new_place(house: House, tmp_path: Path) -> None:
    house.with_jobs().add()
    house.write("a")
    async with house.engine() as engine:
        await engine.controller.pass_()
        (house.watchers / "a.yaml").rename(house.watchers / "z.yaml")
        house._settle(house.watchers)
        await engine.controller.pass_()
        assert {
            Path(w.origin.file).name for task in engine.controller.fleet.tasks.values() for w in task.watchers.values()
        } == {"z.yaml"}
    with house.state() as state:
        assert [Path(spec.origin.file).name for spec in state.specs()] == ["z.yaml"]
        assert [Path(watcher.origin.file).name for watcher in state.watchers()] == ["z.yaml"]


async def test_tasks_may_end_while_others_are_told_that_their_watchers_moved(house: House) -> None:
    jobs = house.with_jobs()
    jobs.add("1")
    jobs.add("2")
    house.write("a")
    async with house.engine() as engine:
        await engine.controller.pass_()
        fleet = engine.controller.fleet
        first, second = fleet.tasks.values()
        (watcher,) = first.watchers.values()
        origin = replace(watcher.origin, line=7)
        async with first.lock:
            moving = asyncio.create_task(fleet.move({watcher.name: origin}))
            await asyncio.sleep(0)
            fleet.forget(second.job.key)
        await moving
        assert [each.origin for each in first.watchers.values()] == [origin]


async def test_a_watcher_that_only_moved_down_its_file_is_not_changed_but_tells_its_new_line(house: House) -> None:
    out = house.with_jobs().add()
    path = house.write("a")
    await house.once()
    path.write_text("# a comment\n" + path.read_text())
    house._settle(path)
    out.write_text("hit 1\n")
    await house.once()
    assert [event.data["spec_line"] for event in house.events("watcher.triggered")] == [2]
    assert house.events("watcher.updated") == ()
