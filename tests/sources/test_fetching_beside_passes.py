"""A git server is asked beside a daemon's passes: one that hangs holds up nothing, and that it hangs is said."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from parts.house import House
from parts.repository import Repository, a_file
from parts.waiting import eventually

from reconciler.errors import InMotionError, UnavailableError
from reconciler.sources import git
from reconciler.sources.git import GitSettings, GitSource


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"git://127.0.0.1:{server.getsockname()[1]}/w.git"


@asynccontextmanager
async def followed(source: GitSource, hints: list[int]) -> AsyncIterator[None]:
    """A source as a daemon follows it; `hints` grows with each of its hints."""

    async def follow() -> None:
        while True:
            await source.changed()
            hints.append(1)

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await source.close()


def source(url: str, cache: Path, interval: float = 0.05) -> GitSource:
    return GitSource(GitSettings.model_validate({"git": url, "cache": str(cache), "interval": interval}))


async def test_the_last_commit_stays_in_force_and_is_said_to_be_old_while_the_server_hangs(
    repository: Repository, silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "PATIENCE", 0.1)
    commit = repository.commit({"a.yaml": a_file("a")})
    reader, hints = source(silent, tmp_path / "cache"), list[int]()
    repository.git("clone", "-q", "--bare", str(repository.path), str(reader._mirror()))
    async with followed(reader, hints):
        assert (await asyncio.wait_for(reader.snapshot(), 20)).revision == commit
        await eventually(lambda: len(hints) == 1)
        snapshot = await asyncio.wait_for(reader.snapshot(), 20)
        assert [file.name for file in snapshot.files] == ["a.yaml"]
        (problem,) = snapshot.problems
        assert (problem.code, problem.severity) == ("not-fetched", "warning")
        assert "git fetch has had no answer for more than" in problem.message


async def test_before_the_first_fetch_is_over_a_daemon_takes_nothing_for_gone(silent: str, tmp_path: Path) -> None:
    reader = source(silent, tmp_path / "cache")
    async with followed(reader, []):
        with pytest.raises(InMotionError, match="for the first time"):
            await asyncio.wait_for(reader.snapshot(), 20)


async def test_a_first_fetch_that_failed_is_told(tmp_path: Path) -> None:
    reader, hints = source((tmp_path / "nothing").as_uri(), tmp_path / "cache", 60), list[int]()
    async with followed(reader, hints):
        await eventually(lambda: hints)
        with pytest.raises(UnavailableError, match="cannot be read"):
            await reader.snapshot()


async def test_another_commit_is_a_hint_and_the_same_one_is_none(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a.yaml": a_file("a")})
    reader, hints = source(repository.path.as_uri(), tmp_path / "cache"), list[int]()
    async with followed(reader, hints):
        await eventually(lambda: len(hints) == 1)
        first = await reader.snapshot()
        asked = reader._asked
        await eventually(lambda: reader._asked != asked)
        assert len(hints) == 1
        commit = repository.commit({"b.yaml": a_file("b")})
        await eventually(lambda: len(hints) == 2)
        assert (await reader.snapshot()).revision == commit != first.revision


async def test_a_daemon_goes_on_with_everything_else_while_a_git_server_hangs(silent: str, tmp_path: Path) -> None:
    """One whose first pass waited for the server would bind nothing within the minute that git is given."""
    house = House(tmp_path / "house", sources=[{"type": "git", "git": silent, "cache": str(tmp_path / "cache")}])
    house.settings = house.settings.model_copy(update={"directories": (house.watchers,)})
    house.with_jobs().add()
    house.write("a")
    async with house.daemon(named=[]):
        await eventually(lambda: [row.name for row in house.rows()] == ["a"])
        house.write("b")
        await eventually(lambda: len(house.rows()) == 2)
