"""The default scheduler of a host: SLURM where it is there, else local jobs, found out at the first call.

A host that is down when the reconciler starts is found out when it is up again. Where SLURM was found before and is
not any more (another PATH under cron, a cluster that gives out no configuration), nobody knows what became of its jobs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from reconciler.errors import SchedulerUnavailableError
from reconciler.model import HostName, Job, JobId
from reconciler.protocols import Scheduler, Submission, Transport
from reconciler.registry import Plugin
from reconciler.schedulers.detect import detect
from reconciler.settings import Section


class AutoSchedulerSpec(Section):
    """`scheduler: {type: auto}`, or no scheduler section at all."""

    type: Literal["auto"] = "auto"


class AutoScheduler:
    """See `protocols.Scheduler`: each call goes to the scheduler that the host turned out to have."""

    def __init__(
        self, host: HostName, transport: Transport, settings: AutoSchedulerSpec | None = None, users: Sequence[str] = ()
    ) -> None:
        self.host = host
        self._transport, self._users = transport, users
        self._found: Scheduler | None = None
        #: What an earlier process found: `slurm`, `local`, or None. The engine sets it, and remembers `kind`.
        self.before: str | None = None
        self.kind: str | None = None

    @property
    def found(self) -> Scheduler | None:
        """The scheduler that the host turned out to have; None: it was not asked yet, or did not answer."""
        return self._found

    async def _scheduler(self) -> Scheduler:
        if self._found is None:
            kind = await detect(self._transport)
            if (kind, self.before) == ("local", "slurm"):
                raise SchedulerUnavailableError(
                    "SLURM was here, and now its programs are not on the PATH or find no configuration",
                    remedy="put them on the PATH, or say `scheduler: {type: local}` for this host in the settings",
                )
            self._found, self.kind = self._make(kind), kind
        return self._found

    def _make(self, kind: str) -> Scheduler:
        """Make the one that is there; importing the other would cost start-up time."""
        if kind == "slurm":
            from reconciler.schedulers.slurm import SlurmScheduler

            return SlurmScheduler(self.host, self._transport, None, self._users)
        from reconciler.schedulers.local import LocalScheduler

        return LocalScheduler(self.host, self._transport, None, self._users)

    async def jobs(self, since: float | None) -> tuple[Job, ...]:
        """See `protocols.Scheduler`, as for every method here."""
        return await (await self._scheduler()).jobs(since)

    async def lookup(self, ids: Sequence[JobId]) -> Mapping[JobId, Job]:
        """Return what is known of these jobs."""
        return await (await self._scheduler()).lookup(ids)

    async def cancel(self, job: Job, reason: str) -> str:
        """End the job."""
        return await (await self._scheduler()).cancel(job, reason)

    async def signal(self, job: Job, signal: str) -> str:
        """Send a signal to the job."""
        return await (await self._scheduler()).signal(job, signal)

    async def requeue(self, job: Job) -> str:
        """Put the job back into the queue."""
        return await (await self._scheduler()).requeue(job)

    async def script(self, job: Job) -> bytes:
        """Return the job's script."""
        return await (await self._scheduler()).script(job)

    async def submit(self, submission: Submission) -> JobId:
        """Submit a job."""
        return await (await self._scheduler()).submit(submission)

    async def release(self, job_id: JobId) -> None:
        """Let a held job run."""
        await (await self._scheduler()).release(job_id)

    async def account(self) -> str:
        """Return our account on the host."""
        return await (await self._scheduler()).account()


PLUGIN = Plugin(name="auto", spec=AutoSchedulerSpec, factory=AutoScheduler)
