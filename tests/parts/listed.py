"""A scheduler that lists the jobs it was given: for benchmarks of everything behind the listing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from reconciler.errors import PermanentActionError
from reconciler.model import HostName, Job, JobId, JobState
from reconciler.protocols import Submission


class ListedJobs:
    """See `protocols.Scheduler`. `calls` counts listings; what only a real scheduler can do is refused."""

    def __init__(self, host: HostName, jobs: Iterable[Job]) -> None:
        self.host = host
        self.calls = 0
        self.listed = {job.id: job for job in jobs}

    def end(self, job_id: JobId, state: JobState = JobState.COMPLETED, at: float | None = None) -> None:
        """Let a job have ended."""
        self.listed[job_id] = replace(self.listed[job_id], state=state, raw_state=state.value.upper(), ended=at)

    async def jobs(self, since: float | None) -> tuple[Job, ...]:
        self.calls += 1
        return tuple(self.listed.values())

    async def lookup(self, ids: Sequence[JobId]) -> Mapping[JobId, Job]:
        return {job_id: self.listed[job_id] for job_id in ids if job_id in self.listed}

    async def cancel(self, job: Job, reason: str) -> str:
        self.end(job.id, JobState.CANCELLED)
        return "cancelled"

    async def signal(self, job: Job, signal: str) -> str:
        raise PermanentActionError("a listed job has no processes")

    async def requeue(self, job: Job) -> str:
        raise PermanentActionError("a listed job cannot be requeued")

    async def script(self, job: Job) -> bytes:
        raise PermanentActionError("a listed job has no script")

    async def submit(self, submission: Submission) -> JobId:
        raise PermanentActionError("nothing can be submitted to a list")

    async def release(self, job_id: JobId) -> None:
        raise PermanentActionError("a listed job is not held")

    async def account(self) -> str:
        return "user"
