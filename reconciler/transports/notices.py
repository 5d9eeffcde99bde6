"""Notices of the kernel that a watched file of this machine has grown: hints that make the next look come sooner.

Used by `local`. Everything works without them: where the kernel's limits are reached, on network file systems and for
directories that are not there, files are only looked at at their regular times.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncinotify import Event, Inotify

_log = logging.getLogger(__name__)

#: Seconds between two readings of the kernel's queue: `SHARE` times the processor time that this process used since the
#: last one, within these bounds. A line is seen at once, and a job that writes without pause costs a fifth of a core.
PAUSE, LONGEST_PAUSE, SHARE = 0.002, 0.05, 4.0
#: Reading pauses so many times as long as it took: a directory where thousands of files grow costs a tenth of a core.
REST = 9.0

#: directory -> file name -> the paths, as they were asked for
_Names = dict[str, dict[str, str]]


class Notices:
    """Wakes for exactly the files asked for, by watching their directories (a file need not be there yet).

    Directories are added in a thread of their own, since a dead mount may hold that call for ever.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._inotify: Inotify | None = None
        self._asked: list[str] = []
        self._names: _Names = {}
        self._wake: Callable[[str], None] = lambda path: None
        self._directories: dict[
            int, set[str]
        ] = {}  # watch descriptor -> directories: two names may lead to one directory
        self._timer: asyncio.TimerHandle | None = None
        self._used = 0.0  # seconds of processor time of this process at the last reading
        self._adding = False
        self._again = False
        self._off = False

    def want(self, paths: Sequence[str], wake: Callable[[str], None]) -> None:
        """Replace the files asked for; returns at once. Directories that were not there are tried again."""
        wanted = list(paths)
        if wanted != self._asked:  # mostly they are the same, and many
            self._asked, self._names = wanted, _by_directory(wanted)
        self._wake, names = wake, self._names
        inotify = self._open() if names else self._inotify
        if inotify is not None:
            self._forget(inotify, set(self._directories_watched()) - names.keys())
            self._add(inotify)

    def close(self) -> None:
        """Let go of the kernel's queue; nobody is woken any more."""
        self._off, self._asked, self._names = True, [], {}
        if self._timer is not None:
            self._timer.cancel()
        if self._inotify is not None:
            self._loop.remove_reader(self._inotify.fd)
            self._inotify.close()
            self._inotify = None

    def _open(self) -> Inotify | None:
        if self._inotify is not None or self._off:
            return self._inotify
        from asyncinotify import Inotify  # imported here: `--once` and the offline commands never need it

        try:
            inotify = Inotify(cache_size=64, sync_timeout=0)
        except OSError as error:
            self._give_up(error)
            return None
        self._loop.add_reader(inotify.fd, self._readable, inotify)
        self._inotify = inotify
        return inotify

    def _give_up(self, error: OSError) -> None:
        """Say once that there are no more notices; those there are stay."""
        if not self._off:
            self._off = True
            _log.warning("no notices of growing files (%s): they are looked at at their regular times", error.strerror)

    def _directories_watched(self) -> list[str]:
        return [directory for directories in self._directories.values() for directory in directories]

    def _forget(self, inotify: Inotify, unwanted: set[str]) -> None:
        for watch in inotify.watches:
            directories = self._directories.get(watch.wd)
            if directories is None:
                continue
            directories -= unwanted
            if not directories:
                del self._directories[watch.wd]
                inotify.rm_watch(watch)

    def _add(self, inotify: Inotify) -> None:
        """Start adding what is wanted and not watched yet, unless that is going on or has reached a limit."""
        if self._adding or self._off:
            self._again = True
            return
        todo = sorted(self._names.keys() - set(self._directories_watched()))
        if todo:
            self._adding, self._again = True, False
            threading.Thread(target=self._add_in_thread, args=(inotify, todo), name="notices", daemon=True).start()

    def _add_in_thread(self, inotify: Inotify, todo: Sequence[str]) -> None:
        added, failure = _add_watches(inotify, todo)
        try:
            self._loop.call_soon_threadsafe(self._added, added, failure)
        except RuntimeError:
            return  # the loop was closed meanwhile

    def _added(self, added: Sequence[tuple[int, str]], failure: OSError | None) -> None:
        self._adding = False
        inotify = self._inotify
        if inotify is None:
            return
        for descriptor, directory in added:
            self._directories.setdefault(descriptor, set()).add(directory)
        self._forget(inotify, {directory for _, directory in added} - self._names.keys())
        if failure is not None:
            self._give_up(failure)
        elif self._again:
            self._add(inotify)
        for path in [path for _, directory in added for path in self._names.get(directory, {}).values()]:
            self._wake(path)  # it may have grown after the look that its job began with, and before it was watched

    def _readable(self, inotify: Inotify) -> None:
        """Deal with what is queued, then leave the queue alone for a while: the kernel merges what repeats."""
        begun = self._loop.time()
        used, self._used = self._used, time.process_time()
        pause = min(LONGEST_PAUSE, max(PAUSE, SHARE * (self._used - used)))
        paths: set[str] = set()
        for event in inotify:
            paths.update(self._paths(event))
        for path in paths:
            self._wake(path)
        if self._inotify is inotify:  # a wake may have closed us
            self._loop.remove_reader(inotify.fd)
            rest = max(pause, REST * (self._loop.time() - begun))
            self._timer = self._loop.call_later(rest, self._loop.add_reader, inotify.fd, self._readable, inotify)

    def _paths(self, event: Event) -> list[str]:
        from asyncinotify import Mask

        if event.mask & Mask.Q_OVERFLOW:  # something was lost, so anything may have grown
            return [path for names in self._names.values() for path in names.values()]
        if event.watch is None:
            return []
        if event.mask & Mask.IGNORED:  # the directory is gone, or we let go of it
            self._directories.pop(event.watch.wd, None)
            return []
        name = str(event.name)
        wanted = (self._names.get(directory, {}).get(name) for directory in self._directories.get(event.watch.wd, ()))
        return [path for path in wanted if path is not None]


def _by_directory(paths: Iterable[str]) -> _Names:
    names: _Names = {}
    for path in paths:
        directory, name = os.path.split(path)
        names.setdefault(directory or ".", {})[name] = path
    return names


def _add_watches(inotify: Inotify, todo: Sequence[str]) -> tuple[list[tuple[int, str]], OSError | None]:
    """Return (watch descriptor, directory) of each directory that could be added, and the error that ended it early."""
    from asyncinotify import Mask

    mask = Mask.MODIFY | Mask.CREATE | Mask.MOVED_TO | Mask.ONLYDIR
    added = []
    for directory in todo:
        try:
            added.append((inotify.add_watch(directory, mask).wd, directory))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # not there yet, or not ours: asked for again with the next change of the set
        except (OSError, ValueError) as error:  # ENOSPC: the limit of watches is reached; ValueError: closed meanwhile
            return added, error if isinstance(error, OSError) else None
    return added, None
