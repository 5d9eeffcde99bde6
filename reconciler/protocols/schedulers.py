"""Where jobs live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from reconciler.model import HostName, Job, JobId

#: The value of an option; True: it is a switch (`--exclusive`), which has no text, not even an empty one.
OptionValue = str | Literal[True]


@dataclass(frozen=True, slots=True)
class Submission:
    """What to submit: a script and its arguments, sbatch-style options merged over those of the script, and a
    comment. Schedulers refuse an option with an empty text."""

    script: bytes
    arguments: tuple[str, ...] = ()
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    workdir: str | None = None
    comment: str = ""
    held: bool = True


class Scheduler(Protocol):
    """Where jobs live. All methods raise UnavailableError where the scheduler (or its host) did not answer.

    `jobs` and `lookup` raise AccountingUnavailableError, with the jobs that are known nevertheless, where only the
    record of jobs that the scheduler has forgotten gave no answer.
    """

    host: HostName

    async def jobs(self, since: float | None) -> tuple[Job, ...]:
        """Return every job of the configured users that is not ended, and those that ended after `since`, as far as
        is known.

        A constant number of calls to the scheduler, however many jobs there are.
        """
        ...

    async def lookup(self, ids: Sequence[JobId]) -> Mapping[JobId, Job]:
        """Return what is known of these jobs now, in few calls. An id left out is one the scheduler says it does not
        know."""
        ...

    async def cancel(self, job: Job, reason: str) -> str:
        """End the job; a job that has ended is success. Return what was done, for people."""
        ...

    async def signal(self, job: Job, signal: str) -> str:
        """Send a signal (`USR1`) to the job's processes."""
        ...

    async def requeue(self, job: Job) -> str:
        """Put the job back into the queue."""
        ...

    async def script(self, job: Job) -> bytes:
        """Return the job's batch script."""
        ...

    async def submit(self, submission: Submission) -> JobId:
        """Submit and return the new job's id."""
        ...

    async def release(self, job_id: JobId) -> None:
        """Let a held job run."""
        ...

    async def account(self) -> str:
        """Return the name of our own account on the host (what resubmit and run_command are measured against)."""
        ...
