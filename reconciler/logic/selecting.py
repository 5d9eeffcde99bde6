"""Which spec fits which job, and which of the two is allowed to meet.

Decided on the job as it was first seen, so that a job that is renamed later keeps its watchers. Pure; `plan` calls it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from reconciler.model import Job, JobState

if TYPE_CHECKING:
    from reconciler.spec.watcher import JobSelector, WatcherSpec

_OF_MANY = re.compile(r"[_+]")
#: Actions that change a job or run a program: binding them to many jobs at once waits for approval.
DANGEROUS = frozenset({"cancel_job", "resubmit", "requeue", "signal_job", "run_command"})


def fits(selector: JobSelector, job: Job) -> bool:
    """Tell whether every given field of the selector holds for the job (globs are case-sensitive)."""
    if selector.hosts and job.host not in selector.hosts:
        return False
    if selector.ids and not _any_id(selector.ids, job):
        return False
    pairs = (
        (selector.name, job.name),
        (selector.user, job.user),
        (selector.partition, job.partition),
        (selector.account, job.account),
        (selector.qos, job.qos),
    )
    return all(not globs or any(fnmatchcase(value, glob) for glob in globs) for globs, value in pairs)


def _any_id(ids: Iterable[str], job: Job) -> bool:
    """An id names the job itself, or the array or heterogeneous job it is of (`123` names `123_4` and `123+1`)."""
    return job.id in ids or plain_id(job.id) in ids


def plain_id(job_id: str) -> str:
    """Return the number that `123_4`, a task of an array, or `123+1`, a part of a heterogeneous job, is of."""
    return _OF_MANY.split(job_id, 1)[0]


def dangerous(spec: WatcherSpec) -> bool:
    """Tell whether the spec has an action that changes jobs or runs programs, and really would run it."""
    return spec.mode == "act" and any(action.type in DANGEROUS for action in spec.actions)


def ended_as(job: Job, states: Iterable[str]) -> bool:
    """Tell whether the job's end is one of `states`: our own words, or the scheduler's finer ones (`out_of_memory`)."""
    wanted = {state.lower() for state in states}
    return job.state.ended and (job.state.value in wanted or job.raw_state.lower() in wanted)


def started(job: Job) -> bool:
    """Tell whether the job has begun, so that there may be output; one cancelled while it waited never has."""
    if job.state is JobState.CANCELLED and job.started is None:
        return False
    return job.state is not JobState.PENDING
