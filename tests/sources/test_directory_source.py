"""The directory source over real directories: what is taken, what is passed over, and when a look is void."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest
from parts.repository import Repository, a_file

from reconciler.errors import InMotionError, UnavailableError
from reconciler.protocols import Snapshot
from reconciler.sources.directory import DirectorySource


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "watchers.d"
    path.mkdir()
    return path


def put(directory: Path, **files: str) -> None:
    """Write files as they were a while ago, so that one look takes them."""
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    settle(directory)


def settle(directory: Path) -> None:
    for path in (*directory.iterdir(), directory):
        os.utime(path, (1e9, 1e9), follow_symlinks=False) if path.is_symlink() else os.utime(path, (1e9, 1e9))


def names(snapshot: Snapshot) -> list[str]:
    return [file.name for file in snapshot.files]


# --- what is taken ---------------------------------------------------------------------------------------------------


async def test_accepted_names_are_taken_in_order_and_all_others_are_not(place: Path) -> None:
    wanted = ["A b.yml", "a.yaml", "b-1_2.x.yaml"]
    others = [".a.yaml", "a.yaml~", "a.yaml.swp", "#a.yaml#", "a.test.yaml", "a.json", "-a.yaml", "ä.yaml", "n\n.yaml"]
    for name in (*wanted, *others, "4913"):
        (place / name).write_text("x")
    for folder in ("templates", "examples.yaml"):
        (place / folder).mkdir()
        (place / folder / "in.yaml").write_text("x")
    settle(place)
    snapshot = await DirectorySource(place).snapshot()
    assert names(snapshot) == wanted
    assert (snapshot.problems, snapshot.deliberate) == ((), False)


async def test_pipes_sockets_and_devices_are_passed_over_without_waiting(place: Path) -> None:
    put(place, a=a_file("a"))
    os.mkfifo(place / "pipe.yaml")
    (place / "zero.yaml").symlink_to("/dev/zero")
    snapshot = await asyncio.wait_for(DirectorySource(place).snapshot(), 5)
    assert names(snapshot) == ["a.yaml"]


async def test_the_bytes_that_were_hashed_are_those_that_are_given(place: Path) -> None:
    put(place, a="one")
    reader = DirectorySource(place)
    first = await reader.snapshot()
    put(place, a="two")
    second = await reader.snapshot()
    assert [s.files[0].content for s in (first, second)] == [b"one", b"two"]
    assert first.revision != second.revision
    put(place, a="one")
    third = await reader.snapshot()
    assert (third.files[0].digest, third.revision) == (first.files[0].digest, first.revision)


async def test_an_unreadable_file_is_an_error_and_not_gone(place: Path) -> None:
    put(place, a=a_file("a"))
    (place / "loop.yaml").symlink_to("loop.yaml")
    (place / "dangling.yaml").symlink_to("nowhere")
    snapshot = await DirectorySource(place).snapshot()
    assert names(snapshot) == ["a.yaml"]
    found = [(Path(p.file).name, p.code, p.severity) for p in snapshot.problems]
    assert found == [("dangling.yaml", "unreadable", "error"), ("loop.yaml", "unreadable", "error")]


async def test_a_directory_that_is_not_there_is_unavailable(place: Path) -> None:
    with pytest.raises(UnavailableError, match="No such file"):
        await DirectorySource(place / "gone").snapshot()


@pytest.mark.parametrize("why", [errno.EACCES, errno.ESTALE, errno.EIO])
@pytest.mark.parametrize("look", ["is_dir", "exists"], ids=["for .git", "for index.lock"])
async def test_a_directory_in_which_git_cannot_be_looked_for_is_unavailable(
    look: str, why: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a directory without its x bit, and a file system that has gone stale, answer."""

    def refuse(path: Path) -> bool:
        raise OSError(why, os.strerror(why), str(path))

    (place / ".git").mkdir()
    reader = DirectorySource(place)
    with monkeypatch.context() as broken:
        broken.setattr(Path, look, refuse)
        with pytest.raises(UnavailableError, match=os.strerror(why)):
            await reader.snapshot()
    assert names(await reader.snapshot()) == []


# --- layers ----------------------------------------------------------------------------------------------------------


async def test_a_layer_hides_all_its_names_and_a_further_directory_its_masks_alone(place: Path) -> None:
    put(place, a="x", b="x")
    (place / "c.yaml").symlink_to("/dev/null")
    (place / "notes.txt").write_text("x")
    layer, further = DirectorySource(place), DirectorySource(place, layer=False)
    assert names(await layer.snapshot()) == names(await further.snapshot()) == ["a.yaml", "b.yaml"]
    assert (await layer.snapshot()).hides == {"a.yaml", "b.yaml", "c.yaml"}
    assert (await further.snapshot()).hides == {"c.yaml"}


async def test_what_was_deleted_from_the_writable_layer_was_meant(place: Path) -> None:
    put(place, a="x", b="x")
    (place / ".deleted").mkdir()
    for name in ("b.yaml", "c.yaml"):
        (place / ".deleted" / name).write_text("x")
    settle(place)
    snapshot = await DirectorySource(place, kind="api").snapshot()
    assert snapshot.deleted == {str(place / "c.yaml")}
    assert (await DirectorySource(place).snapshot()).deleted == frozenset()


# --- motion ----------------------------------------------------------------------------------------------------------


async def test_what_was_written_a_moment_ago_is_taken_when_two_looks_agree(place: Path) -> None:
    (place / "a.yaml").write_text(a_file("a"))
    assert names(await DirectorySource(place).snapshot()) == ["a.yaml"]


async def test_a_file_that_changes_between_two_looks_voids_them(place: Path) -> None:
    path = place / "a.yaml"
    path.write_text("first")
    reader = DirectorySource(place)
    looked = asyncio.create_task(reader.snapshot())
    written = asyncio.create_task(_write_until(looked, path))
    with pytest.raises(InMotionError):
        await looked
    await written


async def _write_until(task: asyncio.Task[Snapshot], path: Path) -> None:
    """Give the file another content again and again, never an empty one in between: two looks would agree on that."""
    number, fresh = 0, path.with_name(".fresh")
    while not task.done():
        number += 1
        fresh.write_text(str(number))
        os.replace(fresh, path)
        await asyncio.sleep(0.005)


async def test_a_directory_behind_a_link_that_is_swapped_is_whole_or_void(tmp_path: Path) -> None:
    """As git-sync does it: the link is exchanged by a rename, many times, while looks go on."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        put(tmp_path / version, **{f"w{number}": version for number in range(40)})
    link = tmp_path / "current"
    link.symlink_to("one")
    reader = DirectorySource(link)
    seen, stop = set(), asyncio.Event()
    swapping = asyncio.create_task(_swap(link, stop))
    voided = 0
    for _ in range(60):
        try:
            snapshot = await reader.snapshot()
        except InMotionError:
            voided += 1
            continue
        contents = {file.content for file in snapshot.files}
        assert (len(snapshot.files), len(contents)) == (40, 1)
        seen |= contents
    stop.set()
    await swapping
    assert seen == {b"one", b"two"}


async def _swap(link: Path, stop: asyncio.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        fresh = link.with_name("fresh")
        fresh.symlink_to(("one", "two")[number % 2])
        os.replace(fresh, link)
        await asyncio.sleep(0.02)


# --- a work tree -----------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(repository: Repository) -> Repository:
    repository.commit({"w/a.yaml": a_file("a"), "w/b.yaml": a_file("b"), "w/c.yaml": a_file("c")})
    return repository


async def deleted(reader: DirectorySource) -> set[str]:
    return {Path(path).name for path in (await reader.snapshot()).deleted}


async def test_only_a_committed_deletion_was_meant(tree: Repository) -> None:
    reader = DirectorySource(tree.path / "w")
    (tree.path / "w/a.yaml").unlink()
    assert await deleted(reader) == set()
    tree.git("add", "-A")
    assert await deleted(reader) == set()
    tree.git("commit", "-qm", "one less")
    assert await deleted(reader) == {"a.yaml"}
    assert await deleted(DirectorySource(tree.path / "w")) == {"a.yaml"}


async def test_a_file_that_a_commit_renamed_is_deleted_under_its_old_name(tree: Repository) -> None:
    tree.git("mv", "w/a.yaml", "w/z.yaml")
    tree.git("commit", "-qm", "renamed")
    assert await deleted(DirectorySource(tree.path / "w")) == {"a.yaml"}


async def test_a_file_that_was_deleted_once_and_committed_again_is_not_deleted(tree: Repository) -> None:
    tree.commit({"w/a.yaml": None})
    tree.commit({"w/a.yaml": a_file("a")})
    (tree.path / "w/a.yaml").unlink()
    assert await deleted(DirectorySource(tree.path / "w")) == set()


async def test_a_deletion_in_another_folder_or_on_another_branch_is_none_here(tree: Repository) -> None:
    tree.commit({"a.yaml": "x", "v/a.yaml": "x"})
    tree.commit({"a.yaml": None, "v/a.yaml": None})
    tree.git("checkout", "-q", "-b", "other")
    tree.commit({"w/a.yaml": None})
    reader = DirectorySource(tree.path / "w")
    assert await deleted(reader) == {"a.yaml"}
    tree.git("checkout", "-q", "main")
    (tree.path / "w/a.yaml").unlink()
    assert await deleted(reader) == set()


@pytest.mark.parametrize("folder", ["w", "w/deep [x]/v"])
async def test_a_directory_whose_last_file_a_commit_deleted_is_empty_on_purpose(tree: Repository, folder: str) -> None:
    tree.commit({f"{folder}/d.yaml": a_file("d"), "kept": "x"})
    reader = DirectorySource(tree.path / folder)
    assert await deleted(reader) == set()
    tree.git("rm", "-rq", "w")
    with pytest.raises(UnavailableError):  # in the index only, so far
        await reader.snapshot()
    tree.git("commit", "-qm", "none")
    assert "d.yaml" in await deleted(reader)
    assert names(await reader.snapshot()) == []
    tree.git("checkout", "-q", "HEAD~1")
    assert "d.yaml" in names(await reader.snapshot())


@pytest.mark.parametrize("how", ["uncommitted", "some committed", "never there", "a dangling link", "no git"])
async def test_any_other_directory_that_is_gone_is_unavailable(tree: Repository, how: str) -> None:
    path = tree.path / ("v" if how == "never there" else "w")
    if how == "some committed":
        tree.commit({"w/a.yaml": None})
    elif how in ("a dangling link", "no git"):
        tree.git("rm", "-rq", "w")
        tree.git("commit", "-qm", "none")
    if how == "no git":
        (tree.path / ".git").rename(tree.path / "git")
    elif how == "a dangling link":
        path.symlink_to("nowhere")
    elif path.exists():
        tree.git("rm", "-rq", "w")
    with pytest.raises(UnavailableError):
        await DirectorySource(path).snapshot()


async def test_a_directory_that_is_gone_while_git_works_on_its_tree_voids_the_look(tree: Repository) -> None:
    tree.git("rm", "-rq", "w")
    tree.git("commit", "-qm", "none")
    (tree.path / ".git" / "index.lock").write_text("")
    with pytest.raises(InMotionError):
        await DirectorySource(tree.path / "w").snapshot()


@pytest.mark.parametrize("linked", [False, True])
async def test_a_git_operation_under_way_voids_a_look(linked: bool, tree: Repository, tmp_path: Path) -> None:
    place, lock = tree.path, tree.path / ".git" / "index.lock"
    if linked:
        place = tmp_path / "linked"
        tree.git("worktree", "add", "-q", str(place), "-b", "other")
        lock = tree.path / ".git" / "worktrees" / "linked" / "index.lock"
    reader = DirectorySource(place / "w")
    lock.write_text("")
    with pytest.raises(InMotionError, match=r"index\.lock"):
        await reader.snapshot()
    lock.unlink()
    assert names(await reader.snapshot()) == ["a.yaml", "b.yaml", "c.yaml"]


async def test_a_tree_without_a_commit_or_without_git_has_nothing_deleted(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = Repository(tmp_path / "fresh")
    assert await deleted(DirectorySource(fresh.path)) == set()
    (place / ".git").write_text("gitdir: /nowhere\n")
    assert await deleted(DirectorySource(place)) == set()
    monkeypatch.setenv("PATH", "/nowhere")
    assert await deleted(DirectorySource(fresh.path)) == set()


async def test_a_look_writes_nothing_into_the_repository(tree: Repository) -> None:
    def files() -> dict[str, int]:
        return {str(p): p.stat().st_mtime_ns for p in tree.path.rglob("*")}

    os.utime(tree.path / "w/a.yaml")  # its entry in the index is no longer fresh
    before = files()
    await deleted(DirectorySource(tree.path / "w"))
    assert files() == before


# --- notices ---------------------------------------------------------------------------------------------------------


async def test_a_change_is_noticed_at_once(place: Path) -> None:
    reader = DirectorySource(place)
    noticed = asyncio.create_task(reader.changed())
    while not noticed.done():
        put(place, a="x")
        await asyncio.sleep(0.005)
    await reader.close()


async def test_where_nothing_can_be_watched_nothing_is_noticed(place: Path) -> None:
    reader = DirectorySource(place / "gone")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.changed(), 0.05)
    await reader.close()
