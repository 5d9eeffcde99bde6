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
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints

from reconciler.errors import Problem, UnavailableError
from reconciler.protocols import Snapshot, SourceFile
from reconciler.registry import Plugin
from reconciler.settings import Duration, Section
from reconciler.sources.directory import MAX_FILE_BYTES, accepted, digest_of

#: Entries of a tree that are files: regular and executable ones. Links (120000) and submodules (160000) are not.
_FILES = ("100644", "100755")
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*://|[^/]+@[^/]+:)")
_TIMEOUT = 120.0

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
        self._repository = self._mirror() if self._remote else Path(settings.git).absolute()
        self._fetched: float | None = None
        self._last: Snapshot | None = None
        self.name = f"git:{_public(settings.git)}#{settings.branch}:{settings.path.strip('/')}"

    async def snapshot(self) -> Snapshot:
        """Return the files of the branch's newest commit. Raises UnavailableError where git cannot tell."""
        await self._fetch()
        commit = (
            (await self._git("rev-parse", "--verify", f"refs/heads/{self._settings.branch}^{{commit}}"))
            .decode()
            .strip()
        )
        if self._last is not None and self._last.revision == commit:
            return self._last
        if self._settings.verify_signatures:
            await self._git("verify-commit", commit)
        author = (await self._git("log", "-1", "--format=%an <%ae>", commit)).decode(errors="replace").strip()
        self._last = await self._read(commit, author)
        return self._last

    async def changed(self) -> None:
        """Never return: the interval is the hint."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing is held."""

    async def _read(self, commit: str, author: str) -> Snapshot:
        root = self._settings.path.strip("/")
        tree = f"{commit}:{root}" if root else commit
        entries = await self._git("ls-tree", "-z", "--long", tree)
        files, problems = [], []
        for entry in filter(None, entries.decode(errors="surrogateescape").split("\0")):
            meta, _, name = entry.partition("\t")
            mode, _, blob, size = meta.split()
            if mode not in _FILES or not accepted(name):
                continue
            path = f"{root}/{name}" if root else name
            if int(size) >= MAX_FILE_BYTES:
                problems.append(Problem(path, 0, 0, "too-large", f"has {size} bytes", "split it into several files"))
                continue
            content = await self._git("cat-file", "blob", blob)
            files.append(SourceFile(name, path, content, digest_of(content), "git", commit, author))
        files.sort(key=lambda file: file.name)
        return Snapshot(self.name, tuple(files), commit, deliberate=True, problems=tuple(problems))

    def _mirror(self) -> Path:
        cache = (
            self._settings.cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reconciler/git"
        )
        return cache / hashlib.blake2b(self._settings.git.encode(), digest_size=10).hexdigest()

    async def _fetch(self) -> None:
        """Bring the mirror of a URL up to date, not more often than the interval says."""
        if not self._remote or (
            self._fetched is not None and time.monotonic() - self._fetched < self._settings.interval
        ):
            return
        if not (self._repository / "HEAD").exists():
            self._repository.mkdir(parents=True, exist_ok=True, mode=0o700)
            await self._git("init", "--bare", "--quiet", str(self._repository))
        branch = self._settings.branch
        await self._git(
            "fetch",
            "--quiet",
            "--no-tags",
            "--depth=1",
            "--force",
            "--",
            self._settings.git,
            f"{branch}:refs/heads/{branch}",
        )
        self._fetched = time.monotonic()

    async def _git(self, *arguments: str) -> bytes:
        return await git(self._repository, arguments)


async def git(repository: Path, arguments: Sequence[str]) -> bytes:
    """Run git on a repository and return what it printed. Raises UnavailableError with git's own words."""
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    where = [] if arguments[0] == "init" else ["-C", str(repository)]
    try:
        process = await asyncio.create_subprocess_exec(
            "git", *where, *arguments, env=env, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise UnavailableError(f"git cannot be run: {error.strerror}", remedy="install git") from error
    try:
        out, complaint = await asyncio.wait_for(process.communicate(), _TIMEOUT)
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise UnavailableError(f"git {arguments[0]} gave no answer within {_TIMEOUT:.0f} s") from error
    if process.returncode != 0:
        words = complaint.decode(errors="replace").strip().splitlines()
        raise UnavailableError(f"git {arguments[0]}: {_public(words[-1]) if words else process.returncode}")
    return out


def _public(text: str) -> str:
    """Return the text without credentials in URLs."""
    return re.sub(r"(://)[^/@\s]+@", r"\1", text)


PLUGIN = Plugin(name="git", spec=GitSettings, factory=GitSource)
