"""The fixture `scheduler`: SLURM and local jobs in turn, for the conformance suite in tests/schedulers.

A new scheduler is one more line in `KINDS`, and a branch in the fixture that makes it, empty, on this machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parts.transports import MAKERS
from parts.waiting import eventually
from reconciler.model import LOCALHOST, Job, JobId, JobState
from reconciler.protocols import Scheduler
from reconciler.schedulers.local import LocalScheduler, LocalSchedulerSpec
from reconciler.schedulers.slurm import SlurmScheduler

KINDS = [
    pytest.param("local"),
    pytest.param("local-over-ssh", marks=pytest.mark.ssh),
    pytest.param("slurm", marks=pytest.mark.slurm),
    pytest.param("slurm-over-ssh", marks=[pytest.mark.slurm, pytest.mark.ssh]),
]


@pytest.fixture(params=KINDS)
async def scheduler(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scheduler]:
    """A scheduler without jobs."""
    kind, _, way = request.param.partition("-over-")
    if kind == "slurm":
        request.getfixturevalue("far_slurm" if way else "slurm")
    async with MAKERS[way or "local"](request) as transport:
        if kind == "slurm":
            yield SlurmScheduler(LOCALHOST, transport)
        else:
            section = LocalSchedulerSpec(directory=str(tmp_path / "jobs"), kill_grace=1)
            yield LocalScheduler(LOCALHOST, transport, section)


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
