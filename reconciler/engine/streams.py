"""Which outputs a job has, as its watchers read them: two files, or one for both; and whether one was lost from sight.

`JobTask` asks. A file is known again under another name by its device and inode, as looks bring them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from posixpath import normpath

from reconciler.model import FileStat, Job, Position, StreamName, Watcher, WatcherId
from reconciler.protocols import UNCHANGED, Glimpse, Sight
from reconciler.state.mounts import on_network

OUT, ERR = StreamName.STDOUT, StreamName.STDERR


def written_as_one(job: Job) -> bool:
    """Tell whether both outputs are one file by their paths, however they are spelled."""
    if not job.stdout or not job.stderr:
        return False
    return job.stdout == job.stderr or normpath(job.stdout) == normpath(job.stderr)


def streams_of(job: Job, *, one_file: bool) -> dict[StreamName, str]:
    """Return the paths of the streams that the job has: `stdout` alone where both outputs are `one_file`."""
    found = {}
    if job.stdout:
        found[OUT] = job.stdout
    if job.stderr and not one_file:
        found[ERR] = job.stderr
    return found


def told(glimpse: Glimpse, known: FileStat | None) -> Glimpse:
    """Give a file that has not changed the stat by which it is known, where that was not forgotten meanwhile."""
    return Glimpse(Sight.UNCHANGED, known) if glimpse is UNCHANGED and known is not None else glimpse


def seen_as_one(glimpses: Mapping[StreamName, Glimpse]) -> bool:
    """Tell whether a look found one file behind both paths: a link, or a directory with two names."""
    out, err = (glimpses[each].stat if each in glimpses else None for each in (OUT, ERR))
    return out is not None and err is not None and (out.device, out.inode) == (err.device, err.inode) != (0, 0)


def joined(watchers: Iterable[Watcher]) -> Iterator[tuple[WatcherId, Position]]:
    """Yield where each watcher stands in the one file, where it had read that under the name of `stderr`, too."""
    for watcher in watchers:
        places = [watcher.checkpoints[each] for each in (OUT, ERR) if each in watcher.checkpoints]
        if ERR in watcher.checkpoints:
            yield watcher.id, max(places, key=lambda place: place.offset)


def lost(glimpses: Mapping[StreamName, Glimpse], watchers: Iterable[Watcher]) -> bool:
    """Tell whether an output that was there is not there now."""
    missing = [stream for stream, glimpse in glimpses.items() if glimpse.sight is Sight.MISSING]
    return bool(missing) and any(
        place.inode or place.device
        for watcher in watchers
        for stream, place in watcher.checkpoints.items()
        if stream in missing
    )


def any_on_network(paths: Iterable[str]) -> bool:
    """Tell whether an output lies on a network file system of this machine, whose sizes may be stale."""
    return any(on_network(Path(path)) for path in paths)
