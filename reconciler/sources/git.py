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
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints

from reconciler.errors import InMotionError, Problem, UnavailableError
from reconciler.logic.addresses import public
from reconciler.protocols import Snapshot, SourceFile
from reconciler.registry import Plugin
from reconciler.settings import Duration, Section
from reconciler.sources._mirror import Mirror
from reconciler.sources.commits import git, read_commit

#: A URL, or `host:path` as ssh has it: a colon before the first slash (git-clone(1), GIT URLS).
_REMOTE = re.compile(r"^([a-z][a-z0-9+.-]*://|[^/:]+:)")
#: After so many seconds without an answer to a fetch it is said that what is in force may be old.
PATIENCE = 10.0

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
    """`protocols.Source` over one branch. `name` holds repository, branch and path, without credentials.

    One pass (`snapshot` alone) fetches and waits for it. Where `changed` is awaited beside, that fetches, and
    `snapshot` takes what is there: a server that hangs holds up no pass.
    """

    def __init__(self, settings: GitSettings) -> None:
        self._settings = settings
        self._remote = bool(_REMOTE.match(settings.git))
        self._repository = self._mirror() if self._remote else Path(settings.git).expanduser().absolute()
        self._path = "/".join(step for step in settings.path.split("/") if step not in ("", "."))
        self._copy = Mirror(self._repository, settings.git)
        self._asked: float | None = None
        self._unfetched = ""
        self._made_anew = ""
        self._unreadable = False
        self._last: Snapshot | None = None
        self._folders: dict[str, tuple[str, Sequence[SourceFile]]] = {}  # by name: of which commit, and its files
        self._followed = False
        self._fetching: asyncio.Task[None] | None = None
        self.name = f"git:{public(settings.git)}#{settings.branch}:{self._path}"

    async def snapshot(self) -> Snapshot:
        """Return the files of the branch's newest commit that is known here; a warning says where the server did not
        answer. Raises UnavailableError where git cannot tell, InMotionError while the first fetch is under way."""
        if self._remote and not self._followed:
            await self._fetch_when_due()
        elif self._remote and self._asked is None and not await self._head():
            raise InMotionError(f"{self.name} is being fetched for the first time")
        snapshot = await self._read()
        if self._settings.verify_signatures and snapshot is not self._last:
            await self._verify(snapshot.revision)
        self._last = snapshot
        problems, late = list(snapshot.problems), ""
        if self._made_anew:
            remedy = "nothing is to be done; where it comes again, see to the disk"
            problems.append(Problem(self.name, 0, 0, "mirror-made-anew", self._made_anew, remedy, severity="warning"))
        if self._unfetched:
            late = f"no newer commit than {snapshot.revision[:12]} can be had: {self._unfetched}"
            remedy = "what is known stays in force; see that the server answers"
            problems.append(Problem(self.name, 0, 0, "not-fetched", late, remedy, severity="warning"))
        return replace(snapshot, problems=tuple(problems), stale=late)

    async def changed(self) -> None:
        """Fetch a URL at its interval; return when that brought another commit, or the server began or ceased to
        answer. A repository on disk is looked at by the pass: then never."""
        self._followed = True
        while self._remote:
            before = await self._standing()
            wait = 0.0 if self._asked is None else self._asked + self._settings.interval - time.monotonic()
            await asyncio.sleep(max(0.0, wait) if self._fetching is None else 0)
            await self._fetch_patiently()
            if before != await self._standing():
                return
        await asyncio.Event().wait()

    def content(self, path: str) -> bytes | None:
        """Return a file of the commit that `snapshot` gave last, by its path from the repository's top; None: none."""
        files = self._last.files if self._last else ()
        return next((file.content for file in files if file.path == path), None)

    async def folder(self, name: str) -> Sequence[SourceFile]:
        """Return the files of a folder within `path`, of the commit that `snapshot` gave last; they are no watchers.

        Raises UnavailableError where git cannot tell.
        """
        commit = self._last.revision if self._last else ""
        if commit and self._folders.get(name, ("", ()))[0] != commit:
            where = f"{self._path}/{name}".lstrip("/")
            read = await read_commit(self._repository, commit, where, self.name)
            self._folders[name] = (commit, read.files)
        return self._folders[name][1] if commit else ()

    async def close(self) -> None:
        """Break off a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
            self._fetching = None

    async def _read(self) -> Snapshot:
        """Return what the branch's commit holds. What cannot be read of a mirror, the next fetch sees to."""
        try:
            return await self._read_commit()
        except UnavailableError:
            if not self._remote:
                raise
            self._unreadable = True
            if self._followed or self._unfetched:
                raise
        await self._fetch()
        return await self._read_commit()

    async def _read_commit(self) -> Snapshot:
        commit = await self._commit()
        if self._last is not None and self._last.revision == commit:
            return self._last
        try:
            return await read_commit(self._repository, commit, self._path, self.name)
        except UnavailableError as error:
            raise UnavailableError(
                f"commit {commit[:12]} cannot be read: {self._unfetched or error.message}", remedy=error.remedy
            ) from error

    async def _verify(self, commit: str) -> None:
        try:
            await self._git("verify-commit", commit)
        except UnavailableError as error:
            raise UnavailableError(f"commit {commit[:12]} has no good signature ({error.message})") from error

    async def _commit(self) -> str:
        """Return the commit the branch stands at."""
        ref = f"refs/heads/{self._settings.branch}"
        try:
            listed = (await self._git("for-each-ref", "--format=%(refname) %(objectname)", ref)).decode()
        except UnavailableError as error:
            listed, why = "", error.message
        else:
            why = "there is none of that name"
        found = dict(line.split() for line in listed.splitlines())  # those below it, too
        if ref not in found:
            raise UnavailableError(f"branch {self._settings.branch} cannot be read: {self._unfetched or why}")
        return str(found[ref])

    async def _head(self) -> str:
        """Return the commit the branch stands at, "" where there is none yet."""
        try:
            return await self._commit()
        except UnavailableError:
            return ""

    async def _standing(self) -> tuple[object, ...]:
        """Return what a pass would take note of."""
        return (self._asked is None, self._unfetched, self._made_anew, await self._head())

    def _mirror(self) -> Path:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reconciler/git"
        name = hashlib.blake2b(self._settings.git.encode(), digest_size=10).hexdigest()
        return (self._settings.cache or home) / name

    async def _fetch_when_due(self) -> None:
        if self._asked is None or time.monotonic() - self._asked >= self._settings.interval:
            await self._fetch()

    async def _fetch_patiently(self) -> None:
        """Fetch, or go on waiting for the fetch that is under way; after a while say so and leave it running."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(), name=f"fetch {self.name}")
            await asyncio.wait([self._fetching], timeout=PATIENCE)
        else:
            await self._fetching
        if self._fetching.done():
            self._fetching = None
        else:
            self._unfetched = f"git fetch has had no answer for more than {PATIENCE:.0f} s"

    async def _fetch(self) -> None:
        """Bring the mirror of a URL up to date; what failed is remembered."""
        unreadable, self._unreadable = self._unreadable, False
        try:
            self._made_anew = await self._copy.fetch(self._settings.branch, unreadable=unreadable)
            self._unfetched = ""
        except UnavailableError as error:
            self._unfetched = error.message
            self._unreadable = self._unreadable or unreadable
        self._asked = time.monotonic()

    async def _git(self, *arguments: str) -> bytes:
        return await git(self._repository, arguments)


PLUGIN = Plugin(name="git", spec=GitSettings, factory=GitSource)
