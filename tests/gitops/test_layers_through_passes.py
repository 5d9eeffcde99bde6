"""Layers through passes: what hides what, from a branch too, and what a layer that is away goes on hiding."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from parts.house import House
from parts.repository import Repository, a_file

from reconciler.engine.controller import PassReport


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path / "house", policy={"prune_grace": "2m"})
    made.with_jobs().add()
    return made


@pytest.fixture
def above(house: House) -> Path:
    """A layer above the house's directory."""
    directory = house.home / "above"
    directory.mkdir()
    return directory


def live(house: House) -> list[str]:
    return sorted(str(watcher.name) for watcher in house.rows() if watcher.phase.live)


async def later(house: House, named: list[Path]) -> PassReport:
    assert house.clock is not None
    house.clock.at += 121
    return await house.once(named=named)


@pytest.mark.parametrize("how", ["masked", "replaced"])
async def test_a_layer_that_is_away_lets_nothing_loose_after_a_restart_either(
    how: str, house: House, above: Path
) -> None:
    house.write("low", file="a.yaml")
    house.write("other")
    if how == "masked":
        (above / "a.yaml").symlink_to("/dev/null")
        (above / "high.yaml").write_text(a_file("high"))
    else:
        (above / "a.yaml").write_text(a_file("high"))
    layers = [house.watchers, above]
    await house.once(named=layers)
    assert live(house) == ["high", "other"]
    above.rename(house.home / "unmounted")
    for _ in range(2):
        report = await later(house, layers)
        assert live(house) == ["high", "other"]
    assert report.plan is not None
    assert "cannot be read" in report.plan.alarms[0]
    (house.home / "unmounted").rename(above)
    (above / "a.yaml").unlink()
    await house.once(named=layers)
    assert "low" in live(house)


async def test_what_a_plain_directory_comes_to_hide_stops_after_the_grace_and_says_what_hides_it(
    house: House, above: Path
) -> None:
    house.write("low", file="a.yaml")
    layers = [house.watchers, above]
    await house.once(named=layers)
    (above / "a.yaml").symlink_to("/dev/null")
    report = await house.once(named=layers)
    assert live(house) == ["low"]
    assert report.plan is not None
    assert report.plan.alarms == ()
    assert report.plan.resolution.desired["low"].note.endswith("stops in 120 s")  # type: ignore[index]
    await later(house, layers)
    assert live(house) == []
    (stopped,) = house.events("watcher.stopped")
    assert f"hidden by directory:{above}" in stopped.action_result


async def test_a_link_to_nothing_in_a_commit_masks_at_once_and_gives_free_when_it_goes(
    tmp_path: Path, repository: Repository
) -> None:
    watchers = tmp_path / "house" / "watchers.d"
    house = House(
        tmp_path / "house",
        directories=[str(watchers)],
        sources=[{"type": "git", "git": str(repository.path), "path": "w"}],
    )
    house.with_jobs().add()
    house.write("a")
    house.write("b")
    repository.commit({"w/c.yaml": a_file("c"), "w/b.yaml": a_file("another b")})
    await house.once(named=[])
    assert live(house) == ["a", "another b", "b", "c"]
    (repository.path / "w" / "a.yaml").symlink_to("/dev/null")
    (repository.path / "w" / "link.yaml").symlink_to("/etc/passwd")
    repository.commit({})
    await house.once(named=[])
    assert live(house) == ["another b", "b", "c"]
    (stopped,) = house.events("watcher.stopped")
    assert stopped.action_result.startswith("hidden by git:")
    shutil.move(repository.path, tmp_path / "away")
    await house.once(named=[])
    assert live(house) == ["another b", "b", "c"]
    shutil.move(tmp_path / "away", repository.path)
    repository.commit({"w/a.yaml": None})
    await house.once(named=[])
    assert live(house) == ["a", "another b", "b", "c"]


async def test_a_directory_that_is_named_twice_hides_nothing_of_itself(house: House) -> None:
    house.write("a")
    for _ in range(3):
        await later(house, [house.watchers, house.watchers / "."])
        assert live(house) == ["a"]
