"""A plain directory of YAML files as a source; several directories layer as systemd's drop-ins do.

Content decides, never times or notices: what is hashed are the bytes that are handed on. A look that meets a directory
in motion is void. Rules of names and kinds of files are DESIGN's; other sources share them through `ACCEPTED`.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import re
import stat
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from asyncinotify import Inotify, Mask

from reconciler.errors import InMotionError, Problem, UnavailableError
from reconciler.protocols import Snapshot, SourceFile
from reconciler.registry import Plugin
from reconciler.settings import Section

log = logging.getLogger(__name__)

ACCEPTED = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._ -]*\.ya?ml$")
TESTS = (".test.yaml", ".test.yml")
#: A larger file is read only so far; the loader then says that it is too large.
MAX_FILE_BYTES = 1024 * 1024 + 1
#: Where the writable layer keeps what was deleted on purpose; what stands here and not above stops at once.
DELETED = ".deleted"
#: A file changed this recently (seconds) is looked at twice.
SETTLED = 1.0
_CHANGES = (
    Mask.CREATE | Mask.DELETE | Mask.CLOSE_WRITE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.DELETE_SELF | Mask.ATTRIB
)


class DirectorySettings(Section):
    """A further directory, in the settings' `sources`."""

    type: Literal["directory"] = "directory"
    path: Path


def accepted(name: str) -> bool:
    """Tell whether a file of this name holds watchers."""
    return ACCEPTED.match(name) is not None and not name.endswith(TESTS)


def digest_of(content: bytes) -> str:
    """Return the content digest that sources use (hex BLAKE2b-160)."""
    return hashlib.blake2b(content, digest_size=20).hexdigest()


@dataclass(frozen=True, slots=True)
class _Look:
    files: tuple[SourceFile, ...]
    problems: tuple[Problem, ...]
    ignored: tuple[str, ...]
    newest: float
    deleted: frozenset[str]


class DirectorySource:
    """`protocols.Source` over one directory; a file name found in one of `above` replaces or masks the file here."""

    def __init__(self, path: Path, above: Sequence[Path] = (), kind: str = "directory") -> None:
        self.path = Path(os.path.abspath(path))
        self.name = f"{kind}:{self.path}"
        self._writable = kind == "api"
        self._above = tuple(above)
        self._said: set[str] = set()
        self._inotify: Inotify | None = None
        self._head = ""
        self._gone: frozenset[str] = frozenset()

    async def snapshot(self) -> Snapshot:
        """Return what is there; InMotionError while it is being written, UnavailableError where it is gone."""
        look = await asyncio.to_thread(self._look)
        if look.newest > time.time() - SETTLED:
            await asyncio.sleep(0.1)  # two looks must agree before something this new is taken
            again = await asyncio.to_thread(self._look)
            if [(f.name, f.digest) for f in again.files] != [(f.name, f.digest) for f in look.files]:
                raise InMotionError(f"{self.path} is being changed")
            look = again
        for name in set(look.ignored) - self._said:
            log.info("%s: ignored, its name or kind is not one that holds watchers", self.path / name)
        self._said.update(look.ignored)
        revision = digest_of("\n".join(f"{f.name}\0{f.digest}" for f in look.files).encode())
        return Snapshot(self.name, look.files, revision, problems=look.problems, deleted=look.deleted)

    async def changed(self) -> None:
        """Return when inotify saw a change; where it cannot watch, never (polling is the truth)."""
        try:
            if self._inotify is None:
                self._inotify = Inotify()
                self._inotify.add_watch(self.path, _CHANGES)
            await self._inotify.get()
        except OSError:
            await self.close()
            await asyncio.Event().wait()

    async def close(self) -> None:
        """Let go of the watch."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _look(self) -> _Look:
        self._refuse_motion()
        try:
            names = sorted(os.listdir(self.path))
            hidden = {name for directory in self._above if directory.is_dir() for name in os.listdir(directory)}
            changed = os.stat(self.path).st_mtime
        except OSError as error:
            raise UnavailableError(f"{self.path}: {error.strerror or error}") from error
        files: list[SourceFile] = []
        problems: list[Problem] = []
        ignored = [
            name for name in names if not accepted(name) and not name.startswith(".") if not name.endswith(TESTS)
        ]
        newest = changed
        for name in names:
            if not accepted(name) or name in hidden:
                continue
            try:
                content, modified = _read(self.path / name)
            except _NotRegularError:
                ignored.append(name)
                continue
            except OSError as error:
                problems.append(_unreadable(self.path / name, error))
                continue
            newest = max(newest, modified)
            if content is not None:
                files.append(SourceFile(name, str(self.path / name), content, digest_of(content), layer=str(self.path)))
        ignored = [name for name in ignored if not (self.path / name).is_dir()]
        return _Look(tuple(files), tuple(problems), tuple(ignored), newest, self._deleted(set(names)))

    def _deleted(self, present: set[str]) -> frozenset[str]:
        """Return the paths of files here that somebody deleted on purpose: by a commit of the checked-out branch, or,
        in the writable layer, by a request."""
        if self._writable:
            kept = self.path / DELETED
            gone = os.listdir(kept) if kept.is_dir() else ()
            return frozenset(str(self.path / name) for name in gone if name not in present)
        if self._work_tree() is None:
            return frozenset()
        head = _git(self.path, "rev-parse", "HEAD")
        if head and head != self._head:
            self._head = head
            words = ("--max-count=500", "--diff-filter=D", "--name-only", "--relative", "--format=", "-z", "HEAD")
            gone = _git(self.path, "log", *words, "--", ".")
            self._gone = frozenset(name for name in gone.split("\0") if name and "/" not in name)
        return frozenset(str(self.path / name) for name in self._gone if name not in present)

    def _work_tree(self) -> Path | None:
        return next((each for each in (self.path, *self.path.parents) if (each / ".git").exists()), None)

    def _refuse_motion(self) -> None:
        """A git operation under way shows as `.git/index.lock` in this directory or one above it."""
        tree = self._work_tree()
        if tree is not None and (tree / ".git" / "index.lock").exists():
            raise InMotionError(f"{self.path}: a git operation is under way ({tree / '.git' / 'index.lock'})")


def _git(directory: Path, *arguments: str) -> str:
    """Return what git says of a work tree, "" where it says nothing (no commit yet, not our repository, no git)."""
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments],  # noqa: S607 - git is wherever PATH has it
            env=env,
            capture_output=True,
            timeout=20,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="surrogateescape").strip("\n") if done.returncode == 0 else ""


class _NotRegularError(Exception):
    """Not a regular file: no watcher, and not opened for reading."""


def _read(path: Path) -> tuple[bytes | None, float]:
    """Return content and time of change of one regular file; None as content for a mask (a link to /dev/null)."""
    if path.is_symlink() and os.path.realpath(path) == os.devnull:
        return None, 0.0
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # O_NONBLOCK: a FIFO must not hold us up
    with os.fdopen(descriptor, "rb") as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise _NotRegularError
        content = file.read(MAX_FILE_BYTES)
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InMotionError(f"{path} is being written")
    return content, after.st_mtime


def _unreadable(path: Path, error: OSError) -> Problem:
    reason = error.strerror or errno.errorcode.get(error.errno or 0, "unknown")
    remedy = "make it readable for the reconciler's account"
    return Problem(str(path), 0, 0, "unreadable", f"cannot be read: {reason}", remedy)


def _make(settings: DirectorySettings) -> DirectorySource:
    return DirectorySource(settings.path)


PLUGIN = Plugin(name="directory", spec=DirectorySettings, factory=_make)
