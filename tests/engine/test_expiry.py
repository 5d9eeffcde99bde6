"""A file of the writable layer that was for one job goes when the job is forgotten, whichever way the engine runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from parts.house import House
from parts.waiting import eventually

SPEC = "name: {name}\njobs: {{ids: ['{job}']}}\npattern: x\nactions: [{{type: log_event, params: {{message: x}}}}]\n"


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """Job 1 is forgotten by its scheduler, its watcher has ended long ago; job 2 and a part of job 3 run."""
    made = House(tmp_path, state={"retain_watchers": "1d"}, engine={"retention_interval": 1})
    jobs = made.with_jobs()
    for number in ("1", "2", "3+1"):
        jobs.add(number).touch()
    (tmp_path / "api.d").mkdir()
    files = {"over": SPEC.format(name="over", job=1), "lives": SPEC.format(name="lives", job=2)}
    files["parts"] = SPEC.format(name="parts", job=3)
    files["two"] = f"{SPEC.format(name='two', job=1)}---\n{SPEC.format(name='broad', job=2)}"
    files["bad"] = SPEC.format(name="bad", job=1)
    for name, text in files.items():
        (tmp_path / "api.d" / f"{name}.yaml").write_text(text)
    made.write("own")
    await made.once()
    jobs.finish("1")
    await made.once()
    jobs.forget("1")
    (tmp_path / "api.d" / "bad.yaml").write_text("name: [\n")
    for path in (tmp_path / "api.d").iterdir():
        os.utime(path, (made.clock.at - 1000,) * 2)  # type: ignore[union-attr]
    made.clock.at += 3 * 86400  # type: ignore[union-attr]
    return made


def left(house: House) -> set[str]:
    return {path.name for path in (house.home / "api.d").glob("*.yaml")}


async def test_one_pass_deletes_it_and_the_next_drops_its_spec(house: House) -> None:
    await house.once()
    assert left(house) == {"lives.yaml", "parts.yaml", "two.yaml", "bad.yaml"}
    await house.once()
    with house.state() as state:
        assert "over" not in {spec.name for spec in state.specs()}
    assert (house.row("lives").phase, house.row("parts").phase) == ("active", "active")


async def test_a_daemon_without_http_deletes_it(house: House) -> None:
    async with house.daemon():
        await eventually(lambda: "over.yaml" not in left(house))
    assert left(house) == {"lives.yaml", "parts.yaml", "two.yaml", "bad.yaml"}


async def test_the_command_clean_deletes_it(tmp_path: Path) -> None:
    house = House(tmp_path, state={"retain_watchers": 0.2})
    await house.submit("true")
    (tmp_path / "api.d").mkdir()
    path = tmp_path / "api.d" / "over.yaml"
    path.write_text(SPEC.format(name="over", job=99))
    os.utime(path, (1, 1))
    await house.once()
    done = await asyncio.to_thread(house.run, "clean")
    assert (done.returncode, path.exists()) == (0, False), done.stderr
