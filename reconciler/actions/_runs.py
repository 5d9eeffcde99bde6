"""Whose turn it is to resubmit, and which runs of jobs were resubmitted by this process.

`resubmit` looks before it submits, and watchers of one job act side by side: without turns each would look before any
has submitted. A scheduler's list may lag behind a submission too, so what was submitted is remembered. The comments of
the jobs stay the truth over restarts; this is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from reconciler.actions._lineage import parent_of, root_of
from reconciler.model import Job, JobId

#: Runs that are remembered, the newest ones.
MOST = 1000

#: Host, run of a job, and when that was submitted: ids are used again.
_Run = tuple[str, str, float | None]


@dataclass(frozen=True, slots=True)
class Resubmitted:
    """The job that came of a run, and the mark (digest) of the action that submitted it."""

    id: JobId
    mark: str


class Runs:
    """Kept by the one action of a process, for the jobs of all its hosts."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._known: dict[_Run, Resubmitted] = {}

    @asynccontextmanager
    async def turn(self, job: Job) -> AsyncIterator[None]:
        """Have the chain of this job to oneself: how often it was resubmitted is counted over all its jobs."""
        key = (str(job.host), root_of(job))
        lock = self._turns.get(key)
        if lock is None:  # gone as soon as nobody holds it or waits for it
            lock = self._turns[key] = asyncio.Lock()
        async with lock:
            yield

    def note(self, job: Job, came: Resubmitted) -> None:
        """Remember what came of this run of a job."""
        while len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[_run(job)] = came

    def known(self, job: Job) -> Resubmitted | None:
        """Return what came of this run; None where this process knows of nothing."""
        return self._known.get(_run(job))

    def forget(self, job: Job) -> None:
        """What came of this run was taken back."""
        self._known.pop(_run(job), None)


def _run(job: Job) -> _Run:
    return (str(job.host), parent_of(job), job.submitted)
