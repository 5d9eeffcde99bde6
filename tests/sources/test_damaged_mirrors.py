"""The mirror of a URL that was damaged is noticed by git, told, and made anew as soon as the server answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from parts.house import House
from parts.repository import Repository, a_file
from parts.waiting import eventually

from reconciler.errors import UnavailableError
from reconciler.protocols import Snapshot
from reconciler.sources import commits
from reconciler.sources.git import GitSettings, GitSource


def objects(mirror: Path) -> Iterator[Path]:
    for path in (mirror / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            yield path


def truncated(mirror: Path) -> None:
    for path in objects(mirror):
        path.write_bytes(path.read_bytes()[:40])


def without_objects(mirror: Path) -> None:
    for path in objects(mirror):
        path.unlink()


def the_blob(repository: Path) -> Path:
    """Return the object that holds a.yaml; commit and tree stay, so that a fetch finds nothing to bring."""
    words = ("git", "-C", str(repository), "rev-parse", "--git-path", "objects", "main:a.yaml")
    folder, blob = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    path = repository / folder / blob[:2] / blob[2:]
    path.chmod(0o644)
    return path


def a_link_in_its_place(mirror: Path) -> None:
    shutil.rmtree(mirror)
    mirror.symlink_to("/nowhere/at/all")


def a_file_in_its_place(mirror: Path) -> None:
    shutil.rmtree(mirror)
    mirror.write_text("no directory")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty HEAD": lambda mirror: (mirror / "HEAD").write_bytes(b""),
    "garbage HEAD": lambda mirror: (mirror / "HEAD").write_bytes(b"\0\1\xff"),
    "no HEAD": lambda mirror: (mirror / "HEAD").unlink(),
    "garbage config": lambda mirror: (mirror / "config").write_text("[[[\n"),
    "empty ref": lambda mirror: (mirror / "refs/heads/main").write_text(""),
    "garbage ref": lambda mirror: (mirror / "refs/heads/main").write_text("zzz"),
    "ref to nothing": lambda mirror: (mirror / "refs/heads/main").write_text("1" * 40 + "\n"),
    "garbage shallow": lambda mirror: (mirror / "shallow").write_text("zzz\n"),
    "no directory of objects": lambda mirror: shutil.rmtree(mirror / "objects"),
    "objects gone": without_objects,
    "objects cut": truncated,
    "a blob gone": lambda mirror: the_blob(mirror).unlink(),
    "a blob emptied": lambda mirror: the_blob(mirror).write_bytes(b""),
    "a file in its place": a_file_in_its_place,
    "a link to nowhere in its place": a_link_in_its_place,
}


@contextmanager
def away(repository: Repository) -> Iterator[None]:
    """The server does not answer meanwhile."""
    hidden = repository.path.with_name("away")
    repository.path.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(repository.path)


def source(repository: Repository, cache: Path) -> GitSource:
    return GitSource(GitSettings.model_validate({"git": repository.path.as_uri(), "cache": str(cache), "interval": 0}))


def names(snapshot: Snapshot) -> list[str]:
    return [file.name for file in snapshot.files]


@pytest.fixture
def home(tmp_path: Path) -> Repository:
    """A home directory that its user keeps in git, in which the cache lies."""
    home = Repository(tmp_path / "home")
    home.commit({".bashrc": "precious", "z.yaml": a_file("z")})
    return home


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_mirror_is_made_anew_when_the_server_answers(
    repository: Repository, home: Repository, damage: Callable[[Path], object]
) -> None:
    first = repository.commit({"a.yaml": a_file("a")})
    precious = home.git("rev-parse", "main")
    cache = home.path / ".cache"
    await source(repository, cache).snapshot()
    (mirror,) = cache.iterdir()
    damage(mirror)
    with away(repository):
        for _ in range(2):
            with suppress(UnavailableError):
                snapshot = await source(repository, cache).snapshot()
                assert (snapshot.revision, bool(snapshot.stale)) == (first, True)  # it can be read all the same
    snapshot = await source(repository, cache).snapshot()
    assert (snapshot.revision, names(snapshot), snapshot.stale) == (first, ["a.yaml"], "")
    second = repository.commit({"b.yaml": a_file("b")})
    snapshot = await source(repository, cache).snapshot()
    assert (snapshot.revision, names(snapshot), snapshot.problems) == (second, ["a.yaml", "b.yaml"], ())
    assert [each.name for each in cache.iterdir()] == [mirror.name]
    assert home.git("rev-parse", "main") == precious


#: What somebody who is not root sees of a mirror that they may not enter, and of one that they may not write.
UNPRIVILEGED = """
import asyncio, os, sys, tempfile
from pathlib import Path
from parts.repository import Repository, a_file
from reconciler import app
from reconciler.sources.git import GitSettings, GitSource

def look(repository, cache):
    settings = GitSettings(git=repository.path.as_uri(), cache=cache, interval=0)
    return asyncio.run(GitSource(settings).snapshot())

def begun(place):
    os.environ["HOME"] = place
    os.chdir(place)
    repository = Repository(Path(place) / "repository")
    repository.commit({"a.yaml": a_file("a")})
    look(repository, Path(place) / "cache")
    return repository, Path(place) / "cache"

with tempfile.TemporaryDirectory() as place:
    begun(place)  # all that is imported is read while it surely may be
    os.chdir("/")
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
with tempfile.TemporaryDirectory() as place:
    repository, cache = begun(place)
    (mirror,) = cache.iterdir()
    for closed, mode in ((mirror, 0o000), (mirror, 0o500), (mirror / "refs" / "heads", 0o500)):
        closed.chmod(mode)
        commit = repository.commit({})
        snapshot = look(repository, cache)
        assert (snapshot.revision, snapshot.stale) == (commit, ""), (mode, snapshot)
        assert [problem.code for problem in snapshot.problems] == ["mirror-made-anew"], (mode, snapshot)
        assert list(cache.iterdir()) == [mirror]
    os.chdir("/")
"""


def test_a_mirror_that_may_not_be_entered_or_written_is_made_anew() -> None:
    env = {**os.environ, "TMPDIR": "/tmp", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", UNPRIVILEGED], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


async def test_that_a_mirror_was_made_anew_is_told_and_why(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a.yaml": a_file("a")})
    reader = source(repository, tmp_path / "cache")
    await reader.snapshot()
    (mirror,) = (tmp_path / "cache").iterdir()
    truncated(mirror)
    with (
        away(repository),
        pytest.raises(UnavailableError, match=r"is damaged .*, and cannot be made anew: git fetch: "),
    ):
        await source(repository, tmp_path / "cache").snapshot()
    (told,) = (await source(repository, tmp_path / "cache").snapshot()).problems
    assert (told.code, told.severity) == ("mirror-made-anew", "warning")
    assert f"{mirror} was damaged (" in told.message


async def test_a_server_that_is_away_does_not_make_a_sound_mirror_damaged(
    repository: Repository, tmp_path: Path
) -> None:
    for number in range(4):  # a shallow copy that has been brought forward
        repository.commit({"a.yaml": a_file("a", str(number))})
        await source(repository, tmp_path / "cache").snapshot()
    (mirror,) = (tmp_path / "cache").iterdir()
    before = mirror.stat().st_ino
    with away(repository):
        snapshot = await source(repository, tmp_path / "cache").snapshot()
    assert "git fetch" in snapshot.stale
    assert "damaged" not in snapshot.stale
    assert mirror.stat().st_ino == before


async def test_an_outage_costs_one_look_at_the_mirror_and_damage_in_it_another(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, log = shutil.which("git"), tmp_path / "log"
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho "$*" >> {log}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(wrapper.parent), prepend=os.pathsep)
    repository.commit({"a.yaml": a_file("a")})
    reader = source(repository, tmp_path / "cache")
    await reader.snapshot()
    (mirror,) = (tmp_path / "cache").iterdir()
    with away(repository):
        for _ in range(3):
            assert (await reader.snapshot()).stale
        assert log.read_text().count(" fsck ") == 1
        (mirror / "config").write_text("[[[")
        for _ in range(2):
            with pytest.raises(UnavailableError, match="is damaged"):
                await reader.snapshot()
    repository.commit({"b.yaml": a_file("b")})
    assert names(await reader.snapshot()) == ["a.yaml", "b.yaml"]


async def test_a_repository_on_disk_is_never_one_that_it_lies_in(home: Repository) -> None:
    """A damaged one in a home directory under git would be read as the home's: all its watchers deleted by a commit."""
    repository = Repository(home.path / "watchers")
    repository.commit({"a.yaml": a_file("a")})
    (repository.path / ".git/HEAD").write_text("")
    with pytest.raises(UnavailableError, match="not a git repository"):
        await GitSource(GitSettings(git=str(repository.path))).snapshot()


@pytest.mark.parametrize("spoil", [Path.unlink, lambda blob: blob.write_bytes(b"")], ids=["gone", "emptied"])
async def test_a_repository_on_disk_that_lacks_a_blob_is_unavailable(
    repository: Repository, spoil: Callable[[Path], object]
) -> None:
    repository.commit({"a.yaml": a_file("a"), "b.yaml": a_file("b")})
    spoil(the_blob(repository.path))
    with pytest.raises(UnavailableError, match="cannot be read"):
        await GitSource(GitSettings(git=str(repository.path))).snapshot()


async def test_a_blob_that_goes_while_it_is_read_is_unavailable(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"a.yaml": a_file("a")})
    real = commits.git

    async def git(repository: Path, arguments: Sequence[str], given: bytes | None = None) -> bytes:
        if arguments[0] == "cat-file":
            the_blob(repository).unlink()
        return await real(repository, arguments, given)

    monkeypatch.setattr(commits, "git", git)
    with pytest.raises(UnavailableError, match="is missing"):
        await GitSource(GitSettings(git=str(repository.path))).snapshot()


async def test_a_running_daemon_keeps_its_watchers_and_mends_the_mirror(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a.yaml": a_file("a")})
    where = {"type": "git", "git": repository.path.as_uri(), "cache": str(tmp_path / "cache"), "interval": 0.05}
    house = House(tmp_path / "house", sources=[where])
    house.with_jobs().add()
    async with house.daemon(named=[]):
        await eventually(lambda: [row.name for row in house.rows()] == ["a"])
        (mirror,) = (tmp_path / "cache").iterdir()
        inode = mirror.stat().st_ino
        truncated(mirror)
        repository.commit({"b.yaml": a_file("b")})
        await eventually(lambda: len(house.rows()) == 2)
    assert not house.events("watcher.stopped")
    assert mirror.stat().st_ino != inode
