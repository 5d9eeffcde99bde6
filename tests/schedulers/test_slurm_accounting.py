"""With accounting, a job that slurmctld has forgotten is still known; without slurmdbd, nothing is guessed."""

from __future__ import annotations

import getpass
import time
from pathlib import Path

import pytest
from parts.slurm_accounting import AccountingCluster
from parts.waiting import eventually

from reconciler.errors import AccountingUnavailableError, SchedulerUnavailableError
from reconciler.model import LOCALHOST, Job, JobId, JobState
from reconciler.schedulers.slurm import SlurmScheduler
from reconciler.transports.local import LocalTransport

pytestmark = pytest.mark.slurm

NAME = "a | b\n'%j'"


@pytest.fixture
def scheduler(slurm_with_accounting: AccountingCluster, here: LocalTransport) -> SlurmScheduler:
    return SlurmScheduler(LOCALHOST, here)


async def forgotten(scheduler: SlurmScheduler, slurm: AccountingCluster, number: str) -> Job:
    """Return what is known of a job once slurmctld knows it no longer, and slurmdbd knows its end."""

    async def found() -> Job | None:
        if slurm.state(number):
            return None
        job = (await scheduler.lookup([JobId(number)])).get(JobId(number))
        return job if job is not None and job.state.ended else None

    job = await eventually(found)
    assert job is not None
    return job


async def test_the_end_of_a_forgotten_job_is_known(
    scheduler: SlurmScheduler, slurm_with_accounting: AccountingCluster, tmp_path: Path
) -> None:
    slurm, begun = slurm_with_accounting, time.time()
    failed = slurm.submit("exit 3", "-J", NAME, "--comment=mark", "--time=5", cwd=tmp_path)
    cancelled = slurm.submit("sleep 60", cwd=tmp_path)
    array = slurm.submit("true", "--array=7", cwd=tmp_path)
    slurm.wait_for(cancelled, "RUNNING")
    slurm.command("scancel", cancelled)
    job = await forgotten(scheduler, slurm, failed)
    assert (job.state, job.raw_state, job.exit_code) == (JobState.FAILED, "FAILED", 3)
    assert (job.name, job.user, job.comment, job.time_limit) == (NAME, "root", "mark", 300.0)
    assert (job.workdir, job.stdout) == (str(tmp_path), f"{tmp_path}/slurm-{failed}.out")
    assert job.submitted is not None
    assert job.started is not None
    assert job.ended is not None
    assert begun - 1 <= job.submitted <= job.started <= job.ended <= time.time()
    assert (await forgotten(scheduler, slurm, cancelled)).state is JobState.CANCELLED
    task = await forgotten(scheduler, slurm, f"{array}_7")
    assert (task.id, task.state, task.stdout) == (
        f"{array}_7",
        JobState.COMPLETED,
        f"{tmp_path}/slurm-{array}_7.out",
    )
    # A pass that comes late still hears of all three, and once of each.
    listed = [job.id for job in await scheduler.jobs(begun)]
    assert {failed, cancelled, f"{array}_7"} <= set(listed)
    assert len(listed) == len(set(listed))
    assert failed not in [job.id for job in await scheduler.jobs(time.time())]  # which asks slurmctld alone
    assert await scheduler.lookup([JobId("4000000")]) == {}


async def test_a_user_whom_the_host_does_not_know_hides_no_other(
    slurm_with_accounting: AccountingCluster, here: LocalTransport
) -> None:
    slurm, begun = slurm_with_accounting, time.time()
    number = slurm.submit("true")
    users = ("nobody-1", getpass.getuser(), "nobody-2")
    await forgotten(SlurmScheduler(LOCALHOST, here), slurm, number)
    assert number in [job.id for job in await SlurmScheduler(LOCALHOST, here, users=users).jobs(begun)]
    with pytest.raises(SchedulerUnavailableError, match="none of the users"):
        await SlurmScheduler(LOCALHOST, here, users=("nobody-1", "nobody-2")).jobs(begun)


async def test_without_slurmdbd_what_slurmctld_forgot_is_unknown_and_no_answer(
    scheduler: SlurmScheduler, slurm_with_accounting: AccountingCluster
) -> None:
    slurm = slurm_with_accounting
    number = JobId(slurm.submit("sleep 60"))
    slurm.stop_database()
    try:
        assert number in [job.id for job in await scheduler.jobs(time.time())]
        assert number in await scheduler.lookup([number])
        known = []
        for ask in (scheduler.jobs(time.time() - 3600), scheduler.lookup([JobId("4000000")])):
            with pytest.raises(AccountingUnavailableError, match="sacct") as lacking:
                await ask
            known.append([job.id for job in lacking.value.listed])
        assert number in known[0]  # what slurmctld knows is known
        assert known[1] == []
    finally:
        slurm.start_database()
