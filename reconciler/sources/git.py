"""A branch of a git repository as a source: blobs of one commit, never a work tree in motion.

A URL is mirrored into a bare repository in the cache and fetched at its interval; a repository on disk, bare or not,
is read in place. Credentials are git's own affair (agents, helpers, netrc). What a commit deleted
is deleted deliberately.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import StringConstraints

from reconciler.errors import Problem, UnavailableError
from reconciler.protocols import Snapshot, SourceFile
from reconciler.registry import Plugin
from reconciler.settings import Duration, Section
from reconciler.sources._worktree import git_environment
from reconciler.sources.directory import MAX_FILE_BYTES, accepted, digest_of

#: Entries of a tree that are files: regular and executable ones. Links (120000) and submodules (160000) are not.
_FILES = ("100644", "100755")
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*://|[^/]+@[^/]+:)")
#: Seconds that one call of git may take.
TIMEOUT = 60.0

Ref = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]


class GitSettings(Section):
    """A git source, in the settings' `sources`."""

    type: Literal["git"] = "git"
    git: str
    branch: Ref = "main"
    path: str = ""
    interval: Duration = 60.0
    verify_signatures: bool = False
    cache: Path | None = None  # where a URL is mirrored; default: $XDG_CACHE_HOME/reconciler/git


class GitSource:
    """`protocols.Source` over one branch. `name` holds repository, branch and path, without credentials."""

    def __init__(self, settings: GitSettings) -> None:
        self._settings = settings
        self._remote = bool(_SCHEME.match(settings.git))
        self._repository = self._mirror() if self._remote else Path(settings.git).expanduser().absolute()
        self._asked: float | None = None
        self._unfetched = ""
        self._last: Snapshot | None = None
        self.name = f"git:{_public(settings.git)}#{settings.branch}:{settings.path.strip('/')}"

    async def snapshot(self) -> Snapshot:
        """Return the files of the branch's newest commit that is known here; a warning says where the server did not
        answer. Raises UnavailableError where git cannot tell."""
        if self._remote:
            await self._fetch()
        commit = await self._commit()
        if self._last is None or self._last.revision != commit:
            if self._settings.verify_signatures:
                await self._verify(commit)
            self._last = await read_commit(self._repository, commit, self._settings.path, self.name)
        return replace(self._last, problems=(*self._last.problems, *self._late(commit)))

    async def changed(self) -> None:
        """Never return: the interval is the hint."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing is held."""

    async def _verify(self, commit: str) -> None:
        try:
            await self._git("verify-commit", commit)
        except UnavailableError as error:
            raise UnavailableError(f"commit {commit[:12]} has no good signature ({error.message})") from error

    async def _commit(self) -> str:
        """Return the commit the branch stands at."""
        ref = f"refs/heads/{self._settings.branch}"
        try:
            return (await self._git("rev-parse", "--verify", f"{ref}^{{commit}}")).decode().strip()
        except UnavailableError as error:
            why = self._unfetched or error.message
            raise UnavailableError(f"branch {self._settings.branch} cannot be read: {why}") from error

    def _late(self, commit: str) -> tuple[Problem, ...]:
        if not self._unfetched:
            return ()
        text = f"no newer commit than {commit[:12]} can be had: {self._unfetched}"
        remedy = "what is known stays in force; see that the server answers"
        return (Problem(self.name, 0, 0, "not-fetched", text, remedy, severity="warning"),)

    def _mirror(self) -> Path:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reconciler/git"
        name = hashlib.blake2b(self._settings.git.encode(), digest_size=10).hexdigest()
        return (self._settings.cache or home) / name

    async def _fetch(self) -> None:
        """Bring the mirror of a URL up to date, not more often than the interval says; what failed is remembered."""
        if self._asked is not None and time.monotonic() - self._asked < self._settings.interval:
            return
        branch = self._settings.branch
        words = ("fetch", "--quiet", "--no-tags", "--depth=1", "--force", "--no-write-fetch-head", "--")
        try:
            if not (self._repository / "HEAD").exists():
                self._repository.mkdir(parents=True, exist_ok=True, mode=0o700)
                await self._git("init", "--bare", "--quiet", str(self._repository))
            await self._git(*words, self._settings.git, f"refs/heads/{branch}:refs/heads/{branch}")
            self._unfetched = ""
        except UnavailableError as error:
            self._unfetched = error.message
        except OSError as error:
            self._unfetched = f"{self._repository} cannot be written: {error.strerror}"
        self._asked = time.monotonic()

    async def _git(self, *arguments: str) -> bytes:
        return await git(self._repository, arguments)


async def read_commit(repository: Path, commit: str, folder: str, source: str) -> Snapshot:
    """Return the files that a folder has in a commit (a full name), with its author. Raises UnavailableError."""
    root = folder.strip("/")
    author = (await git(repository, ("log", "-1", "--format=%an <%ae>", commit))).decode(errors="replace").strip()
    if root and not await git(repository, ("ls-tree", "-d", "-z", "--full-tree", commit, "--", root)):
        text = f"{source}: commit {commit[:12]} has no folder {root}"
        remedy = "mend `path` in the settings, unless all watchers were meant to go"
        missing = Problem(root, 0, 0, "no-such-folder", text, remedy, severity="warning")
        return Snapshot(source, (), commit, deliberate=True, problems=(missing,))
    tree = f"{commit}:{root}" if root else commit
    entries = _files(await git(repository, ("ls-tree", "-z", "--long", "--full-tree", tree)))
    taken = sorted(entry for entry in entries if entry.size < MAX_FILE_BYTES)
    contents = await _contents(repository, [entry.blob for entry in taken])
    above = f"{root}/" if root else ""
    files = tuple(
        SourceFile(entry.name, above + entry.name, content, digest_of(content), "git", commit, author)
        for entry, content in zip(taken, contents, strict=True)
    )
    problems = tuple(
        Problem(above + e.name, 0, 0, "too-large", f"has {e.size} bytes", "split it into several files")
        for e in entries
        if e not in taken
    )
    return Snapshot(source, files, commit, deliberate=True, problems=problems)


async def _contents(repository: Path, blobs: Sequence[str]) -> list[bytes]:
    """Return the blobs' bytes, by one process (git-cat-file(1), BATCH OUTPUT)."""
    if not blobs:
        return []
    out = await git(repository, ("cat-file", "--batch"), "".join(f"{blob}\n" for blob in blobs).encode())
    contents, at = [], 0
    for _ in blobs:
        head = out.index(b"\n", at)
        size = int(out[at:head].split()[2])
        contents.append(out[head + 1 : head + 1 + size])
        at = head + size + 2
    return contents


class _Entry(NamedTuple):
    name: str
    blob: str
    size: int


def _files(listed: bytes) -> list[_Entry]:
    """Return the entries of `git ls-tree -z --long` that hold watchers."""
    found = []
    for entry in filter(None, listed.decode(errors="surrogateescape").split("\0")):
        meta, _, name = entry.partition("\t")
        mode, _, blob, size = meta.split()
        if mode in _FILES and accepted(name):
            found.append(_Entry(name, blob, int(size)))
    return found


async def git(repository: Path, arguments: Sequence[str], given: bytes | None = None) -> bytes:
    """Run git on a repository, `given` as its input, and return what it printed.

    Raises UnavailableError with git's own words.
    """
    where = [] if arguments[0] == "init" else ["-C", str(repository)]
    try:
        process = await asyncio.create_subprocess_exec(
            "git", *where, *arguments, env=git_environment(), start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL if given is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise UnavailableError(f"git cannot be run: {error.strerror}", remedy="install git") from error
    try:
        out, complaint = await asyncio.wait_for(process.communicate(given), TIMEOUT)
    except TimeoutError as error:
        raise UnavailableError(f"git {arguments[0]} gave no answer within {TIMEOUT:.0f} s") from error
    finally:
        if process.returncode is None:  # also where we are cancelled: its helpers must not outlive it
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode != 0:
        raise UnavailableError(f"git {arguments[0]}: {_complaint(complaint) or process.returncode}")
    return out


def _complaint(printed: bytes) -> str:
    """Return the line of git's complaint that says what is wrong, without credentials."""
    lines = printed.decode(errors="replace").strip().splitlines()
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return _public((fatal or lines or [""])[0])


def _public(text: str) -> str:
    """Return the text without what may be a credential in a URL: user and password, and the query."""
    return re.sub(r"(://[^\s?']*)\?[^\s']*", r"\1", re.sub(r"(://)[^/@\s]+@", r"\1", text))


PLUGIN = Plugin(name="git", spec=GitSettings, factory=GitSource)
