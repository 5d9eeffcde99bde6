"""Watchers of a git branch through passes: commits are believed, what cannot be read changes nothing."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from pathlib import Path

import pytest
from parts.house import House, Jobs
from parts.repository import Repository, a_file
from parts.waiting import eventually

from reconciler.engine.controller import PassReport


@pytest.fixture
def house(tmp_path: Path, repository: Repository) -> House:
    made = House(
        tmp_path / "house",
        sources=[{"type": "git", "git": str(repository.path), "path": "w"}],
        policy={"prune_grace": "2m"},
    )
    made.with_jobs().add()
    return made


async def once(house: House, approve: str = "") -> PassReport:
    return await house.once(approve, named=[])


def live(house: House) -> list[str]:
    return sorted(str(watcher.name) for watcher in house.rows() if watcher.phase.live)


async def test_a_commit_starts_edits_and_stops_at_once(house: House, repository: Repository) -> None:
    first = repository.commit({"w/a.yaml": a_file("a"), "w/b.yaml": a_file("b")})
    await once(house)
    assert live(house) == ["a", "b"]
    assert {row.origin.commit for row in house.rows()} == {first}
    second = repository.commit({"w/a.yaml": None, "w/b.yaml": a_file("b", "other"), "w/c.yaml": a_file("c")})
    report = await once(house)
    assert live(house) == ["b", "c"]
    assert report.plan is not None
    reasons = {str(change.name): change.reason for change in report.plan.pending}
    assert reasons["a"] == f"deleted in {second[:12]}"
    (stopped,) = house.events("watcher.stopped")
    assert (stopped.watcher, stopped.action_result) == ("a", reasons["a"])
    applied = house.events("source.applied")
    assert [event.data["revision"] for event in applied] == [first, second]
    assert (await once(house)).applied == 0


async def test_a_commit_that_changes_no_watcher_changes_none(house: House, repository: Repository) -> None:
    repository.commit({"w/a.yaml": a_file("a")})
    await once(house)
    before = house.events()
    repository.commit({"elsewhere": "x"})
    report = await once(house)
    assert (report.applied, house.events()) == (0, before)


async def test_all_that_a_commit_deleted_stops_without_asking(house: House, repository: Repository) -> None:
    repository.commit({f"w/{n}.yaml": a_file(f"w{n}") for n in range(30)})
    await once(house)
    repository.commit({f"w/{n}.yaml": None for n in range(30)})
    report = await once(house)
    assert live(house) == []
    assert [int(code) for code in report.codes()] == [0]


async def test_a_file_that_a_commit_spoiled_keeps_its_last_good_version(house: House, repository: Repository) -> None:
    repository.commit({"w/a.yaml": a_file("a", "old"), "w/b.yaml": a_file("b")})
    await once(house)
    digest = house.row("a").spec_digest
    repository.commit({"w/a.yaml": "name: a\npattern: [\n", "w/c.yaml": a_file("c")})
    for _ in range(2):
        report = await once(house)
        assert 4 in report.codes()
    assert live(house) == ["a", "b", "c"]
    assert house.row("a").spec_digest == digest
    (problem,) = {str(p.file): p for p in report.problems}.values()
    assert (problem.file, problem.line) == ("w/a.yaml", 3)
    repository.commit({"w/a.yaml": None})
    await once(house)
    assert live(house) == ["b", "c"]


async def test_a_file_that_one_commit_moved_and_spoiled_keeps_its_last_good_version(
    house: House, repository: Repository
) -> None:
    repository.commit({"w/a.yaml": a_file("a", "old"), "w/b.yaml": a_file("b")})
    await once(house)
    repository.commit({"w/a.yaml": None, "w/new.yaml": "name: a\npattern: [\n"})
    report = await once(house)
    assert live(house) == ["a", "b"]
    assert 4 in report.codes()
    repository.commit({"w/new.yaml": a_file("a", "new")})
    await once(house)
    assert live(house) == ["a", "b"]
    assert house.row("a").origin.file == "w/new.yaml"
    repository.commit({"w/new.yaml": None})
    await once(house)
    assert live(house) == ["b"]


@pytest.mark.parametrize("harm", ["gone", "branch"])
async def test_a_repository_that_cannot_be_read_stops_nothing_and_says_so(
    harm: str, house: House, repository: Repository
) -> None:
    repository.commit({"w/a.yaml": a_file("a")})
    await once(house)
    shutil.rmtree(repository.path) if harm == "gone" else repository.git("branch", "-m", "other")
    assert house.clock is not None
    for _ in range(3):
        house.clock.at += 1000
        report = await once(house)
        assert 5 in report.codes()
    assert live(house) == ["a"]
    assert report.plan is not None
    assert "cannot be read" in report.plan.alarms[0]
    assert "what is known of it stays in force" in (await asyncio.to_thread(house.run, "status")).stderr


async def test_status_says_that_what_a_server_gave_is_old_until_it_answers_again(
    repository: Repository, tmp_path: Path
) -> None:
    where = {"type": "git", "git": repository.path.as_uri(), "cache": str(tmp_path / "cache"), "interval": 0}
    house = House(tmp_path / "house", sources=[where])
    house.with_jobs().add()
    commit = repository.commit({"a.yaml": a_file("a")})
    await once(house)
    repository.path.rename(tmp_path / "elsewhere")
    await once(house)
    said = await asyncio.to_thread(house.run, "status")
    assert f"no newer commit than {commit[:12]} can be had" in said.stderr
    assert live(house) == ["a"]
    (tmp_path / "elsewhere").rename(repository.path)
    await once(house)
    assert "no newer commit" not in (await asyncio.to_thread(house.run, "status")).stderr


async def test_two_branches_on_one_state_leave_each_other_alone(
    house: House, repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"w/a.yaml": a_file("a")})
    await once(house)
    repository.git("checkout", "-q", "-b", "dev")
    repository.commit({"w/a.yaml": None, "w/b.yaml": a_file("b")})
    other = House(house.home, sources=[{"type": "git", "git": str(repository.path), "path": "w", "branch": "dev"}])
    other.scheduler, other.clock = house.scheduler, house.clock
    await once(other)
    assert live(house) == ["a", "b"]


# --- a work tree under a daemon --------------------------------------------------------------------------------------


async def test_a_storm_of_checkouts_stops_nothing_that_no_commit_deleted(tmp_path: Path) -> None:
    house = House(tmp_path / "house", engine={"source_interval": 0.1}, policy={"prune_grace": "5s"})
    house.scheduler = Jobs(house.outputs)
    house.scheduler.add()
    repository = Repository(house.watchers)
    repository.commit({f"{n}.yaml": a_file(f"w{n}") for n in range(100)})
    repository.git("checkout", "-q", "-b", "dev")
    repository.commit({f"{n}.yaml": a_file(f"w{n}", "other") for n in range(50)} | {"0.yaml": None})
    repository.git("checkout", "-q", "main")
    repository.commit({f"{n}.yaml": a_file(f"w{n}") for n in range(100, 200)})
    async with house.daemon():
        await eventually(lambda: len(live(house)) == 200)
        ends = time.monotonic() + 4
        while time.monotonic() < ends:
            for branch in ("dev", "main"):
                await asyncio.to_thread(repository.git, "checkout", "-q", branch)
        await eventually(lambda: _as_declared(house))
    assert {event.watcher for event in house.events("watcher.stopped")} <= {"w0"}
    assert house.events("source.rejected") == ()


def _as_declared(house: House) -> bool:
    rows = {str(row.name): row for row in house.rows() if row.phase.live}
    with house.state() as state:
        patterns = {str(spec.name): json.loads(spec.body)["pattern"] for spec in state.specs()}
        missing = [spec.name for spec in state.specs() if spec.missing_since is not None]
    return len(rows) == 200 and set(patterns.values()) == {"hit"} and not missing


async def test_a_repository_that_moved_takes_over_what_it_gave_before(
    house: House, repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"w/a.yaml": a_file("a"), "w/b.yaml": a_file("b")})
    await once(house)
    numbers = {row.name: row.id for row in house.rows()}
    moved = repository.bare(tmp_path / "moved.git")
    house.settings = house.settings.model_copy(update={"sources": ({"type": "git", "git": str(moved), "path": "w"},)})
    assert [int(code) for code in (await once(house)).codes()] == [0]
    repository.commit({"w/a.yaml": a_file("a", "edited")})
    repository.push()
    report = await once(house)
    assert [str(change.name) for change in report.plan.pending] == ["a"] if report.plan else False
    assert {row.name: row.id for row in house.rows()} == numbers
