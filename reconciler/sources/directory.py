"""A plain directory of YAML files as a source; it says which names it hides from layers below.

Content decides, never times or notices: what is hashed are the bytes that are handed on. A look that meets a directory
in motion is void.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reconciler.errors import InMotionError, Problem, UnavailableError
from reconciler.protocols import Snapshot, SourceFile
from reconciler.registry import Plugin
from reconciler.settings import Section
from reconciler.sources._worktree import WorkTree
from reconciler.sources.files import MAX_FILE_BYTES, TESTS, accepted, as_text, digest_of

if TYPE_CHECKING:
    from asyncinotify import Inotify, Mask

log = logging.getLogger(__name__)

#: Where the writable layer keeps what was deleted on purpose; what stands here and not above stops at once.
DELETED = ".deleted"
#: A file changed this recently (seconds) is looked at twice.
SETTLED = 1.0


class DirectorySettings(Section):
    """A further directory, in the settings' `sources`."""

    type: Literal["directory"] = "directory"
    path: Path


@dataclass(frozen=True, slots=True)
class _Look:
    files: tuple[SourceFile, ...]
    problems: tuple[Problem, ...]
    ignored: tuple[str, ...]
    newest: float
    deleted: frozenset[str]
    hides: frozenset[str]


class DirectorySource:
    """`protocols.Source` over one directory. `layer`: each of its files replaces one of that name in layers below, as
    systemd's drop-ins do; otherwise only its masks (links to /dev/null) hide something."""

    def __init__(self, path: Path, kind: str = "directory", *, layer: bool = True) -> None:
        self.path = Path(os.path.abspath(path))
        self.name = f"{kind}:{as_text(self.path)}"
        self._writable = kind == "api"
        self._layer = layer
        self._said: set[str] = set()
        self._inotify: Inotify | None = None
        self._tree = WorkTree(self.path)

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
        return Snapshot(self.name, look.files, revision, problems=look.problems, deleted=look.deleted, hides=look.hides)

    async def changed(self) -> None:
        """Return when inotify saw a change; where it cannot watch, never (polling is the truth)."""
        try:
            if self._inotify is None:
                from asyncinotify import Inotify  # saves start-up time: one pass waits for nothing

                self._inotify = Inotify()
                self._inotify.add_watch(self.path, _changes())
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
        """Raises UnavailableError whatever cannot be read: here, or beside it where git keeps its index."""
        try:
            return self._see()
        except OSError as error:
            raise UnavailableError(f"{error.filename or self.path}: {error.strerror or error}") from error

    def _see(self) -> _Look:
        self._tree.refuse_motion()
        try:
            before = os.stat(self.path)
            names = sorted(os.listdir(self.path))
        except OSError:
            if self._removed():
                return _Look((), (), (), 0.0, self._deleted(set()), frozenset())
            raise
        pile = _Pile(self.path, before.st_mtime)
        for name in names:
            if accepted(name):
                pile.take(name)
            else:
                pile.pass_over(name)
        hides = frozenset(filter(accepted, names)) if self._layer else frozenset(pile.masks)
        deleted = self._deleted(set(names))
        look = _Look(tuple(pile.files), tuple(pile.problems), tuple(pile.ignored), pile.newest, deleted, hides)
        self._tree.refuse_motion()
        if _identity(self.path) != (before.st_dev, before.st_ino):
            raise InMotionError(f"{self.path} was exchanged for another directory")
        return look

    def _removed(self) -> bool:
        """Tell whether nothing is here because commits of the checked-out branch deleted every file that was."""
        if os.path.lexists(self.path) or self._writable or not self._tree.removed():
            return False
        self._tree.refuse_motion()
        if os.path.lexists(self.path):
            raise InMotionError(f"{self.path} came back while it was looked at")
        return True

    def _deleted(self, present: set[str]) -> frozenset[str]:
        """Return the paths of files here that somebody deleted on purpose: by a commit of the checked-out branch, or,
        in the writable layer, by a request."""
        gone = _removed(self.path / DELETED) if self._writable else self._tree.deleted()
        return frozenset(f"{as_text(self.path)}/{name}" for name in gone if name not in present)


def _removed(directory: Path) -> frozenset[str]:
    return frozenset(os.listdir(directory)) if directory.is_dir() else frozenset()


class _Pile:
    """What one look gathers, file by file."""

    def __init__(self, directory: Path, newest: float) -> None:
        self._directory, self._told, self.newest = str(directory), as_text(directory), newest
        self.files: list[SourceFile] = []
        self.problems: list[Problem] = []
        self.ignored: list[str] = []
        self.masks: list[str] = []

    def pass_over(self, name: str) -> None:
        """Note a name that holds no watchers; hidden ones, tests and folders are nobody's mistake."""
        if not name.startswith(".") and not name.endswith(TESTS) and not os.path.isdir(f"{self._directory}/{name}"):
            self.ignored.append(name)

    def take(self, name: str) -> None:
        """Read one file."""
        path = f"{self._directory}/{name}"
        try:
            content, modified = _read(path)
        except _NotRegularError:
            self.pass_over(name)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not os.path.lexists(path):
                raise InMotionError(f"{path} vanished while it was looked at") from error
            self.problems.append(_unreadable(f"{self._told}/{name}", error))
        else:
            self.newest = max(self.newest, modified)
            if content is None:
                self.masks.append(name)
            else:
                file = SourceFile(name, f"{self._told}/{name}", content, digest_of(content), layer=self._told)
                self.files.append(file)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        now = os.stat(path)
    except OSError:
        return None
    return now.st_dev, now.st_ino


class _NotRegularError(Exception):
    """Not a regular file: no watcher, and not opened for reading."""


def _read(path: str) -> tuple[bytes | None, float]:
    """Return content and time of change of one regular file; None as content for a mask (a link to /dev/null)."""
    if os.path.islink(path) and os.path.realpath(path) == os.devnull:
        return None, 0.0
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # O_NONBLOCK: a FIFO must not hold us up
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise _NotRegularError
        # a byte more than it should have, so that one read tells the end; a whole MiB each time costs more than reading
        content = os.read(descriptor, min(before.st_size + 1, MAX_FILE_BYTES))
        while len(content) not in (before.st_size, MAX_FILE_BYTES):
            if not (more := os.read(descriptor, MAX_FILE_BYTES - len(content))):
                break
            content += more
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InMotionError(f"{path} is being written")
    return content, after.st_mtime


def _unreadable(path: str, error: OSError) -> Problem:
    reason = error.strerror or errno.errorcode.get(error.errno or 0, "unknown")
    remedy = "make it readable for the reconciler's account"
    return Problem(path, 0, 0, "unreadable", f"cannot be read: {reason}", remedy)


def _changes() -> Mask:
    from asyncinotify import Mask

    moves = Mask.MOVED_FROM | Mask.MOVED_TO | Mask.DELETE_SELF
    return Mask.CREATE | Mask.DELETE | Mask.CLOSE_WRITE | Mask.ATTRIB | moves


def _make(settings: DirectorySettings) -> DirectorySource:
    return DirectorySource(settings.path, layer=False)


PLUGIN = Plugin(name="directory", spec=DirectorySettings, factory=_make)
