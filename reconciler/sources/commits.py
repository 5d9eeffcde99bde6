"""Reads commits of a git repository by git itself: which files a folder has, their bytes, and what git says.

The git source and `plan --from` call it. It never writes to a repository, and it knows nothing of servers.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from reconciler.errors import Problem, UnavailableError
from reconciler.logic.addresses import public
from reconciler.protocols import Snapshot, SourceFile
from reconciler.sources._worktree import git_environment
from reconciler.sources.files import MAX_FILE_BYTES, accepted, digest_of

#: Entries of a tree that are files: regular and executable ones; submodules (160000) are not.
_FILES = ("100644", "100755")
_LINK = "120000"
#: Where a link leads that masks a file of this name in layers below; the blob of a link is the path it leads to.
_NOWHERE = os.devnull.encode()
NO_FOLDER = "no-such-folder"
#: Seconds that one call of git may take, and those it gets to end in order.
TIMEOUT, ENDING = 60.0, 2.0


async def read_commit(repository: Path, commit: str, folder: str, source: str) -> Snapshot:
    """Return the files that a folder has in a commit (a full name), with its author. Raises UnavailableError."""
    root = folder.strip("/")
    author = (await git(repository, ("log", "-1", "--format=%an <%ae>", commit))).decode(errors="replace").strip()
    if root and not await git(repository, ("ls-tree", "-d", "-z", "--full-tree", commit, "--", root)):
        missing = no_folder(root, f"commit {commit[:12]}", source)
        return Snapshot(source, (), commit, deliberate=True, problems=(missing,))
    tree = f"{commit}:{root}" if root else commit
    entries = _entries(await git(repository, ("ls-tree", "-z", "--long", "--full-tree", tree)))
    taken = sorted(entry for entry in entries if entry.size < MAX_FILE_BYTES)
    contents = dict(zip(taken, await _contents(repository, [entry.blob for entry in taken]), strict=True))
    above = f"{root}/" if root else ""
    files = tuple(
        SourceFile(entry.name, above + entry.name, content, digest_of(content), "git", commit, author)
        for entry, content in contents.items()
        if not entry.link
    )
    problems = tuple(
        Problem(above + e.name, 0, 0, "file-too-large", f"the file has {e.size:,} bytes", "split the file")
        for e in entries
        if e not in contents and not e.link
    )
    masks = frozenset(entry.name for entry, content in contents.items() if entry.link and content == _NOWHERE)
    return Snapshot(source, files, commit, deliberate=True, problems=problems, hides=masks)


def no_folder(folder: str, where: str, source: str) -> Problem:
    """Return the warning that a commit or a work tree has no such folder."""
    remedy = "mend `path` in the settings, unless all watchers were meant to go"
    return Problem(folder, 0, 0, NO_FOLDER, f"{source}: {where} has no folder {folder}", remedy, severity="warning")


async def _contents(repository: Path, blobs: Sequence[str]) -> list[bytes]:
    """Return the blobs' bytes, by one process (git-cat-file(1), BATCH OUTPUT)."""
    if not blobs:
        return []
    out = await git(repository, ("cat-file", "--batch"), "".join(f"{blob}\n" for blob in blobs).encode())
    contents, at = [], 0
    for blob in blobs:
        head = out.index(b"\n", at)
        _, *about = out[at:head].split()
        if len(about) != 2:  # `missing`, where the mirror was made anew meanwhile
            raise UnavailableError(f"git cat-file: object {blob} is missing")
        size = int(about[1])
        contents.append(out[head + 1 : head + 1 + size])
        at = head + size + 2
    return contents


class _Entry(NamedTuple):
    name: str
    blob: str
    size: int
    link: bool


def _entries(listed: bytes) -> list[_Entry]:
    """Return the entries of `git ls-tree -z --long` that hold watchers, or may mask some."""
    found = []
    for entry in filter(None, listed.decode(errors="surrogateescape").split("\0")):
        meta, _, name = entry.partition("\t")
        mode, _, blob, size = meta.split()
        if (mode in _FILES or mode == _LINK) and accepted(name):
            if not size.isdigit():
                raise UnavailableError(f"git ls-tree: {name}, object {blob}, is {size.lower()}")
            found.append(_Entry(name, blob, int(size), mode == _LINK))
    return found


async def git(repository: Path, arguments: Sequence[str], given: bytes | None = None) -> bytes:
    """Run git on a repository, `given` as its input, and return what it printed.

    Raises UnavailableError with git's own words.
    """
    status, out, complaint = await _run(repository, arguments, given)
    if status != 0:
        raise UnavailableError(f"git {arguments[0]}: {_complaint(complaint) or f'ended with {status}'}")
    return out


async def damage(repository: Path) -> str:
    """Return what git finds wrong with a repository, "" where it is sound. Raises UnavailableError: it cannot tell."""
    status, out, complaint = await _run(repository, ("fsck", "--no-progress", "--no-dangling"))
    return (_complaint(complaint) or _complaint(out) or f"git fsck ended with {status}") if status != 0 else ""


def _environment(repository: Path) -> Mapping[str, str]:
    """Return the environment for git on a repository: it looks for none above it (git(1), GIT_CEILING_DIRECTORIES)."""
    return {**git_environment(), "GIT_CEILING_DIRECTORIES": os.path.dirname(os.path.realpath(repository))}


async def _run(
    repository: Path, arguments: Sequence[str], given: bytes | None = None
) -> tuple[int | None, bytes, bytes]:
    """Run git on this very repository, never on one that it lies in; return its status, output and complaints."""
    where = [] if arguments[0] == "init" else ["-C", str(repository)]
    environment = _environment(repository)
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(
        "git", *where, *arguments, env=environment, start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL if given is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    ))  # fmt: skip
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:  # a start that is broken off kills git alone, and waits for its helpers
        await asyncio.wait([starting])
        if starting.exception() is None:
            await _end(starting.result())
        raise
    except OSError as error:
        raise UnavailableError(f"git cannot be run: {error.strerror}", remedy="install git") from error
    try:
        async with asyncio.timeout(TIMEOUT):  # `wait_for` of Python 3.11 may swallow that we are cancelled
            out, complaint = await process.communicate(given)
    except TimeoutError as error:
        raise UnavailableError(f"git {arguments[0]} gave no answer within {TIMEOUT:.0f} s") from error
    finally:
        await _end(process)
    return process.returncode, out, complaint


async def _end(process: asyncio.subprocess.Process) -> None:
    """End what has not ended, also where we are cancelled: git's helpers must not outlive it, nor its lock files."""
    if process.returncode is None:
        ending = asyncio.ensure_future(process.wait())
        for number, patience in ((signal.SIGTERM, ENDING), (signal.SIGKILL, None)):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            await asyncio.wait([ending], timeout=patience)


def _complaint(printed: bytes) -> str:
    """Return the line of git's complaint that says what is wrong, without credentials."""
    lines = printed.decode(errors="replace").strip().splitlines()
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return public((fatal or lines or [""])[0])
