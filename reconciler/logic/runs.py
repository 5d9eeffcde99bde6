"""The runs of a job that is requeued: what belongs to the present one, and what to an earlier one.

A requeued job is the same job, with a new start; its output is truncated or appended to, as the site has it. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from reconciler.logic.selecting import started
from reconciler.model import FileStat, Job, Position, StreamName, Watcher, WatcherId
from reconciler.protocols import Glimpse

#: What `Memory.runs` knows the run by whose end completed a watcher.
ENDED = "end"
#: Seconds by which two answers may differ about one start; a requeue takes longer.
SAME_START = 5.0


def written_in(stat: FileStat, job: Job) -> bool:
    """Tell whether a file was written since the job's present run began, as far as the second."""
    return job.started is not None and stat.mtime_ns >= math.floor(job.started) * 1_000_000_000


def another_run(begun: float | None, job: Job) -> bool:
    """Tell whether the job was started anew since its run that began at `begun` (None: there was none)."""
    return begun is not None and started(job) and job.started is not None and job.started > begun + SAME_START


def baselines(
    positions: dict[WatcherId, Position],
    watchers: Mapping[WatcherId, Watcher],
    stream: StreamName,
    glimpse: Glimpse,
    job: Job,
) -> dict[WatcherId, Position]:
    """Return the positions, those in an earlier run's file as its baseline once the present run has written to it.

    What the earlier run wrote before it was stopped is read until then. See `follow`: with a baseline, a file that has
    its old length was written anew, though it may say the same again.
    """
    if glimpse.stat is None or not written_in(glimpse.stat, job):
        return positions
    return {
        watcher_id: replace(position, device=0, inode=0)
        if another_run(watchers[watcher_id].memory.runs.get(stream), job)
        else position
        for watcher_id, position in positions.items()
    }
