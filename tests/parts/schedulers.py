"""The fixture `scheduler`: SLURM and local jobs in turn, for the conformance suite in tests/schedulers.

A new scheduler is one more line in `KINDS`, and a branch in the fixture that makes it, empty, on this machine.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from parts.waiting import eventually
from reconciler.model import LOCALHOST, Job, JobId, JobState
from reconciler.protocols import Scheduler
from reconciler.schedulers.local import LocalScheduler, LocalSchedulerSpec
from reconciler.schedulers.slurm import SlurmScheduler
from reconciler.transports.local import LocalTransport

KINDS = [pytest.param("local"), pytest.param("slurm", marks=pytest.mark.slurm)]


@pytest.fixture(params=KINDS)
def scheduler(request: pytest.FixtureRequest, here: LocalTransport, tmp_path: Path) -> Scheduler:
    """A scheduler without jobs."""
    if request.param == "slurm":
        request.getfixturevalue("slurm")
        return SlurmScheduler(LOCALHOST, here)
    return LocalScheduler(LOCALHOST, here, LocalSchedulerSpec(directory=str(tmp_path / "jobs"), kill_grace=1))


async def look(scheduler: Scheduler, job_id: JobId) -> Job:
    """Return the job as it is now; KeyError where the scheduler does not know it."""
    return (await scheduler.lookup([job_id]))[job_id]


async def job_in(scheduler: Scheduler, job_id: JobId, *states: JobState, timeout: float = 30.0) -> Job:
    """Return the job as soon as it is in one of these states."""

    async def found() -> Job | None:
        job = await look(scheduler, job_id)
        return job if job.state in states else None

    job = await eventually(found, timeout=timeout)
    assert job is not None
    return job
