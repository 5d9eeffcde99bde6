"""The runs of a job that is requeued: what belongs to the present one, and what to an earlier one.

A requeued job is the same job, with a new start; its output is truncated or appended to, as the site has it. Pure.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace

from reconciler.logic.selecting import started
from reconciler.model import FileStat, Job, Position, WatcherId

#: What `Memory.runs` knows the run by whose end completed a watcher.
ENDED = "end"
#: Seconds by which clocks, and two answers about one start, may differ; a requeue takes longer.
MARGIN = 5.0
#: Seconds by which clocks of a scheduler and of a file server may differ; digits of a number that is no accident.
SKEW, TELLING_DIGITS = 600.0, 3
#: Nanoseconds by which the time of a file may lag behind the clock: a tick of the kernel is 10 ms at most.
TICK = 50_000_000


def written_since(job: Job, path: str) -> float | None:
    """Return the moment (seconds since the epoch) before which a file was written by an earlier run; None: unknown.

    The file's time and the job's start are told by two clocks. Where the file is named after the job's number, no other
    job can have written it lately, so that clocks may differ by `SKEW`.
    """
    if job.started is None or job.restarts or not _named_after(job, path):
        return job.started
    return job.started - SKEW


def _named_after(job: Job, path: str) -> bool:
    numbers = job.id.partition("+")[0].split("_")  # `+` counts the parts of a heterogeneous job
    words = {word.lstrip("0") or "0" for word in re.findall("[0-9]+", path.rpartition("/")[2])}
    return len(numbers[0]) >= TELLING_DIGITS and words.issuperset(numbers)


def older(stat: FileStat, began: float) -> bool:
    """Tell whether a file was last written before a run that began then (seconds since the epoch).

    Schedulers tell whole seconds, and kernels stamp files with a clock that ticks some milliseconds late.
    """
    return stat.mtime_ns < math.floor(began) * 1_000_000_000 - TICK


def another_run(begun: float | None, job: Job) -> bool:
    """Tell whether the job was started anew after `begun`: the beginning of a run, or a moment in it (None: no run)."""
    return begun is not None and started(job) and job.started is not None and job.started > begun + MARGIN


def baselines(positions: dict[WatcherId, Position], stat: FileStat | None, job: Job) -> dict[WatcherId, Position]:
    """Return the positions, those of an earlier run as baselines once the present run has written to the file.

    What the earlier run wrote before it was stopped is read until then. See `follow`: with a baseline, a file that has
    its old length was written anew, though it may say the same again. A position that moved since the present run began
    is no earlier one's, though nobody knew of the new run then.
    """
    if stat is None or job.started is None or older(stat, job.started):
        return positions
    return {
        watcher_id: replace(position, device=0, inode=0) if another_run(position.at, job) else position
        for watcher_id, position in positions.items()
    }
