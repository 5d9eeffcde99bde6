"""The git source over real repositories: what a commit holds, and what is told where git cannot tell."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from parts.repository import Repository, a_file
from parts.waiting import eventually

from reconciler.errors import UnavailableError
from reconciler.protocols import Snapshot
from reconciler.sources.commits import git
from reconciler.sources.git import GitSettings, GitSource


def source(where: Path | str, **more: object) -> GitSource:
    return GitSource(GitSettings.model_validate({"git": str(where), **more}))


def names(snapshot: Snapshot) -> list[str]:
    return [file.name for file in snapshot.files]


async def test_a_commit_gives_its_files_with_commit_author_and_path(repository: Repository) -> None:
    commit = repository.commit({"b.yaml": a_file("b"), "a.yml": a_file("a"), "README.md": "no watcher"})
    snapshot = await source(repository.path).snapshot()
    assert names(snapshot) == ["a.yml", "b.yaml"]
    assert (snapshot.revision, snapshot.deliberate) == (commit, True)
    (first, _) = snapshot.files
    assert (first.path, first.commit, first.author) == ("a.yml", commit, "Ada <ada@example.org>")
    assert first.content.decode() == a_file("a")


async def test_a_work_tree_that_differs_from_the_commit_says_nothing(repository: Repository) -> None:
    repository.commit({"a.yaml": a_file("a")})
    (repository.path / "a.yaml").unlink()
    (repository.path / "b.yaml").write_text(a_file("b"))
    (repository.path / ".git" / "index.lock").write_text("")
    assert names(await source(repository.path).snapshot()) == ["a.yaml"]


async def test_only_the_folder_is_read_and_nothing_below_it(repository: Repository) -> None:
    repository.commit({"top.yaml": "x: 1", "d/a.yaml": a_file("a"), "d/deeper/b.yaml": a_file("b")})
    snapshot = await source(repository.path, path="/d/").snapshot()
    assert [file.path for file in snapshot.files] == ["d/a.yaml"]


@pytest.mark.parametrize("path", ["./d", "d/.", ".//d"])
async def test_a_folder_may_be_written_as_a_shell_would_have_it(
    path: str, repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"a.yaml": a_file("a"), "d/b.yaml": a_file("b")})
    bare = repository.bare(tmp_path / "bare.git")
    here = source(bare, path=path)
    assert [file.path for file in (await here.snapshot()).files] == ["d/b.yaml"]
    assert here.name == f"git:{bare}#main:d"
    assert names(await source(bare, path=".").snapshot()) == ["a.yaml"]


async def test_a_branch_that_is_not_there_is_said_to_be_none(repository: Repository) -> None:
    repository.commit({"a.yaml": a_file("a")})
    repository.git("branch", "other/deeper")
    with pytest.raises(UnavailableError, match="branch other cannot be read: there is none of that name"):
        await source(repository.path, branch="other").snapshot()


@pytest.mark.parametrize("where", ["hub:watchers.git", "ada@hub:watchers.git", "ssh://hub/watchers.git"])
async def test_what_ssh_reaches_is_fetched(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a name of the user's ssh_config, too; here ssh only says whom it was to reach."""
    monkeypatch.setenv("GIT_SSH_COMMAND", "sh -c 'echo \"fatal: asked for $1 $2\" >&2; exit 255' ssh")
    with pytest.raises(UnavailableError, match=r"git fetch: fatal: asked for .*hub"):
        await source(where, cache=str(tmp_path / "cache")).snapshot()


async def test_links_tests_submodules_and_odd_names_are_no_watchers(repository: Repository) -> None:
    repository.commit({"a.yaml": a_file("a"), ".hidden.yaml": "", "x.yaml~": "", "a.test.yaml": "", "-f.yaml": ""})
    (repository.path / "link.yaml").symlink_to("/etc/passwd")
    (repository.path / "new\nline.yaml").write_text("x: 1")
    repository.commit({})
    head = repository.git("rev-parse", "HEAD")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{head},sub.yaml")
    repository.git("commit", "-qm", "a submodule")
    assert names(await source(repository.path).snapshot()) == ["a.yaml"]


async def test_a_bare_repository_on_disk_is_read_in_place(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a.yaml": a_file("a")})
    bare = repository.bare(tmp_path / "bare.git")
    reader = source(bare)
    assert names(await reader.snapshot()) == ["a.yaml"]
    commit = repository.commit({"b.yaml": a_file("b")})
    repository.push()
    snapshot = await reader.snapshot()
    assert (names(snapshot), snapshot.revision) == (["a.yaml", "b.yaml"], commit)


@pytest.mark.parametrize("where", ["hook", "linked"])
async def test_what_gits_hooks_set_misleads_nobody(
    where: str, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"a.yaml": a_file("a")})
    other = Repository(tmp_path / "other")
    other.commit({"z.yaml": a_file("z")})
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git") if where == "hook" else ".")
    assert names(await source(repository.path).snapshot()) == ["a.yaml"]


async def test_a_url_is_mirrored_and_fetched_at_its_interval(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a.yaml": a_file("a")})
    slow = source(repository.path.as_uri(), cache=str(tmp_path / "slow"), interval="1h")
    eager = source(repository.path.as_uri(), cache=str(tmp_path / "eager"), interval=0)
    assert names(await slow.snapshot()) == names(await eager.snapshot()) == ["a.yaml"]
    repository.commit({"b.yaml": a_file("b")})
    assert names(await slow.snapshot()) == ["a.yaml"]
    assert names(await eager.snapshot()) == ["a.yaml", "b.yaml"]
    assert names(await source(repository.path.as_uri(), cache=str(tmp_path / "slow")).snapshot()) == [
        "a.yaml",
        "b.yaml",
    ]
    (mirror,) = (tmp_path / "slow").iterdir()
    assert mirror.stat().st_mode & 0o077 == 0


async def test_a_branch_that_was_rewritten_is_followed(repository: Repository, tmp_path: Path) -> None:
    first = repository.commit({"a.yaml": a_file("a")})
    repository.commit({"b.yaml": a_file("b")})
    reader = source(repository.path.as_uri(), cache=str(tmp_path), interval=0)
    assert names(await reader.snapshot()) == ["a.yaml", "b.yaml"]
    repository.git("reset", "-q", "--hard", first)
    commit = repository.commit({"c.yaml": a_file("c")})
    snapshot = await reader.snapshot()
    assert (names(snapshot), snapshot.revision) == (["a.yaml", "c.yaml"], commit)


async def test_another_branch_is_another_source(repository: Repository) -> None:
    repository.commit({"a.yaml": a_file("a")})
    repository.git("checkout", "-q", "-b", "dev/next")
    repository.commit({"b.yaml": a_file("b")})
    main, dev = source(repository.path), source(repository.path, branch="dev/next")
    assert (names(await main.snapshot()), names(await dev.snapshot())) == (["a.yaml"], ["a.yaml", "b.yaml"])
    assert main.name != dev.name


async def test_a_server_that_does_not_answer_leaves_the_last_commit_in_force(
    repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"a.yaml": a_file("a")})
    cache, url = tmp_path / "cache", repository.path.as_uri()
    assert names(await source(url, cache=str(cache)).snapshot()) == ["a.yaml"]
    repository.path.rename(tmp_path / "elsewhere")
    snapshot = await source(url, cache=str(cache)).snapshot()
    assert names(snapshot) == ["a.yaml"]
    (problem,) = snapshot.problems
    assert (problem.code, problem.severity) == ("not-fetched", "warning")
    (tmp_path / "elsewhere").rename(repository.path)
    assert (await source(url, cache=str(cache)).snapshot()).problems == ()


async def test_a_server_that_never_answered_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"does not appear to be a git repository|not found|No such"):
        await source((tmp_path / "nothing").as_uri(), cache=str(tmp_path / "cache")).snapshot()


@pytest.mark.parametrize("broken", ["no repository", "no branch", "no commit"])
async def test_what_cannot_be_read_is_unavailable_never_empty(
    broken: str, repository: Repository, tmp_path: Path
) -> None:
    if broken != "no commit":
        repository.commit({"a.yaml": a_file("a")})
    where = tmp_path / "nothing" if broken == "no repository" else repository.path
    with pytest.raises(UnavailableError, match=r"^\S"):
        await source(where, branch="gone" if broken == "no branch" else "main").snapshot()


async def test_a_folder_that_a_commit_emptied_is_empty_on_purpose_and_told(repository: Repository) -> None:
    repository.commit({"d/a.yaml": a_file("a"), "b": "x"})
    repository.commit({"d/a.yaml": None})
    snapshot = await source(repository.path, path="d").snapshot()
    assert (snapshot.files, snapshot.deliberate) == ((), True)
    assert [problem.code for problem in snapshot.problems] == ["no-such-folder"]


async def test_a_file_that_is_too_large_is_told_and_harms_no_other(repository: Repository) -> None:
    repository.commit({"a.yaml": a_file("a"), "big.yaml": "#" * 1_100_000})
    snapshot = await source(repository.path).snapshot()
    assert names(snapshot) == ["a.yaml"]
    assert [(p.file, p.code, p.severity) for p in snapshot.problems] == [("big.yaml", "file-too-large", "error")]


async def test_contents_are_taken_to_the_byte(repository: Repository) -> None:
    texts = {"a.yaml": "", "b.yaml": "\n", "c.yaml": "no end", "d.yaml": "two\n\nlines\n\n", "e.yaml": "ü\0\n"}
    repository.commit(texts)
    snapshot = await source(repository.path).snapshot()
    assert {file.name: file.content.decode() for file in snapshot.files} == texts


@pytest.mark.parametrize("url", ["https://ada:s3cret@127.0.0.1:1/w.git", "http://127.0.0.1:1/w.git?token=s3cret"])
async def test_credentials_are_in_no_name_and_in_no_error(url: str, tmp_path: Path) -> None:
    reader = source(url, cache=str(tmp_path))
    with pytest.raises(UnavailableError) as caught:
        await reader.snapshot()
    assert "s3cret" not in f"{reader.name} {caught.value} {os.listdir(tmp_path)}"
    assert "127.0.0.1" in reader.name


async def test_git_asks_nobody_for_a_password(repository: Repository, tmp_path: Path) -> None:
    """GIT_ASKPASS would be asked; the terminal is not."""
    with pytest.raises(UnavailableError):
        await source("ssh://nobody@127.0.0.1:1/w.git", cache=str(tmp_path)).snapshot()


async def test_a_lock_that_a_killed_git_left_in_the_mirror_holds_no_fetch_up_for_ever(
    repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"a.yaml": a_file("a")})
    reader = source(repository.path.as_uri(), cache=str(tmp_path / "cache"), interval=0)
    await reader.snapshot()
    repository.commit({"b.yaml": a_file("b")})
    (mirror,) = (tmp_path / "cache").iterdir()
    locks = (mirror / "shallow.lock", mirror / "refs" / "heads" / "main.lock")
    for lock in locks:
        lock.touch()
    assert (await reader.snapshot()).stale  # it may be that of a git that runs
    for lock in locks:
        os.utime(lock, (0, 0))
    assert names(await reader.snapshot()) == ["a.yaml", "b.yaml"]


async def test_a_git_that_is_broken_off_takes_its_locks_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "lock"
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\ntrap 'rm {lock}; exit 1' TERM\ntouch {lock}\nsleep 600 &\nwait\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    working = asyncio.create_task(git(tmp_path, ("fetch",)))
    await eventually(lock.exists)
    working.cancel()
    await asyncio.wait([working])
    assert working.cancelled()
    assert not lock.exists()


# --- signatures ------------------------------------------------------------------------------------------------------


async def test_only_signed_commits_count_where_that_is_asked_for(repository: Repository) -> None:
    repository.signing_key()
    signed = repository.commit({"a.yaml": a_file("a")}, "-S")
    reader = source(repository.path, verify_signatures=True)
    assert (await reader.snapshot()).revision == signed
    repository.commit({"b.yaml": a_file("b")})
    with pytest.raises(UnavailableError, match="no good signature"):
        await reader.snapshot()
    with pytest.raises(UnavailableError):
        await source(repository.path, verify_signatures=True).snapshot()
    repository.commit({"b.yaml": a_file("b", "other")}, "-S")
    assert names(await reader.snapshot()) == ["a.yaml", "b.yaml"]


async def test_a_signature_of_somebody_unknown_does_not_count(repository: Repository) -> None:
    repository.signing_key()
    repository.commit({"a.yaml": a_file("a")}, "-S")
    (repository.path / ".git" / "allowed").write_text("")
    with pytest.raises(UnavailableError, match="no good signature"):
        await source(repository.path, verify_signatures=True).snapshot()
