"""Which version of a spec each watcher runs, and what becomes of specs that this version cannot run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from parts.core import CANCEL, LOG, a_spec
from parts.house import House, Jobs

from reconciler import app
from reconciler.engine.controller import Controller
from reconciler.engine.fleet import Fleet
from reconciler.engine.once import Once
from reconciler.engine.pump import Pump
from reconciler.model import WatcherState
from reconciler.spec.canonical import digest_of, to_json
from reconciler.spec.watcher import WatcherSpec

Broken = Callable[[WatcherSpec], WatcherSpec]


@pytest.fixture
def jobs(house: House) -> Jobs:
    return house.with_jobs()


@pytest.mark.parametrize(
    ("what", "broken"),
    [
        ("pattern", lambda spec: spec.model_copy(update={"pattern": "(unclosed"})),
        ("condition", lambda spec: spec.model_copy(update={"condition": "import os"})),
        (
            "condition of an action",
            lambda spec: spec.model_copy(
                update={"actions": (spec.actions[0].model_copy(update={"condition": "a.__class__"}),)}
            ),
        ),
    ],
)
async def test_a_stored_spec_that_cannot_run_any_more_is_an_obstacle_and_no_error(
    house: House, what: str, broken: Broken
) -> None:
    spec = broken(a_spec())
    async with house.engine() as engine:
        compiled = Fleet(engine.parts, engine.identity).compiled(spec, "digest")
    assert compiled.obstacle, what
    assert compiled.rules == ()


async def test_watchers_whose_actions_were_uninstalled_are_refused_loudly(house: House, jobs: Jobs) -> None:
    house.write("w", actions=[LOG, CANCEL])
    house.write("other")
    jobs.add()
    async with house.engine() as engine:
        kinds = {name: kind for name, kind in engine.parts.kinds.items() if name != "cancel_job"}
        parts = replace(engine.parts, kinds=kinds)
        await Once(parts, Controller(parts, engine.identity), Pump(parts)).run()
    row = house.row("w")
    assert row.state is WatcherState.DISABLED
    assert "cancel_job" in row.last_error
    assert house.row("other").state is WatcherState.ACTIVE


async def test_a_watcher_runs_its_own_version_until_the_plan_says_otherwise(house: House, jobs: Jobs) -> None:
    house.write("w", pattern="hit old")
    jobs.add()
    await house.once()
    old = house.row()
    house.write("w", pattern="hit new")
    async with house.engine() as engine:
        await engine.controller.discovery.load()
        running = await running_patterns(engine)
    assert running == {old.id: "hit new"}


async def running_patterns(engine: app.Engine) -> dict[int, str]:
    await engine.controller.pass_()
    return {
        int(watcher_id): str(compiled.spec.pattern)
        for task in engine.controller.fleet.tasks.values()
        for watcher_id, compiled in task.compiled.items()
    }


async def test_specs_are_compiled_once_for_all_their_jobs(house: House, jobs: Jobs) -> None:
    house.write("w")
    for number in range(20):
        jobs.add(str(number))
    async with house.engine() as engine:
        await engine.controller.pass_()
        compiled = {id(c) for task in engine.controller.fleet.tasks.values() for c in task.compiled.values()}
    assert len(compiled) == 1


def test_the_digest_of_a_spec_does_not_depend_on_the_order_of_its_keys() -> None:
    one = app.watcher_model().model_validate({"name": "w", "pattern": "x", "actions": [LOG]})
    two = app.watcher_model().model_validate({"actions": [LOG], "pattern": "x", "name": "w"})
    assert digest_of(to_json(one)) == digest_of(to_json(two))
