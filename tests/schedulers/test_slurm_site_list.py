"""A list of jobs that the site keeps is read in place of asking slurmctld, and says of real jobs what squeue says."""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from parts.slurm import SlurmCluster
from parts.waiting import eventually

from reconciler.errors import SchedulerUnavailableError
from reconciler.model import LOCALHOST, Job, JobId, JobState
from reconciler.schedulers.slurm import SlurmScheduler, SlurmSpec
from reconciler.transports.local import LocalTransport

SLEEP = "sleep 60"


def reading(here: LocalTransport, path: Path, users: tuple[str, ...] = (), age: float = 300) -> SlurmScheduler:
    """A scheduler whose site keeps its list in this file."""
    return SlurmScheduler(LOCALHOST, here, SlurmSpec(listing=str(path), listing_age=age), users)


def ours(slurm: SlurmCluster) -> int:
    """Return how often slurmctld was asked for jobs."""
    return sum(count for kind, count in slurm.rpcs().items() if kind.startswith("REQUEST_JOB"))


def comparable(jobs: Mapping[JobId, Job]) -> dict[JobId, Job]:
    """Return running jobs without what the two programs word differently."""
    running = {job_id: job for job_id, job in jobs.items() if job.state is JobState.RUNNING}
    return {job_id: replace(job, time_limit=None, command="") for job_id, job in running.items()}


@pytest.mark.slurm
@pytest.mark.parametrize("program", [("scontrol", "show", "job"), ("scontrol", "show", "job", "--oneliner")])
async def test_a_kept_list_says_what_squeue_says_and_slurmctld_is_not_asked(
    slurm: SlurmCluster, here: LocalTransport, tmp_path: Path, program: tuple[str, ...]
) -> None:
    ids = [
        slurm.submit(SLEEP, "-J", "a b|c%j", "-o", "%x-%j.out", "-e", "e %j", "--comment=a mark", cwd=tmp_path),
        slurm.submit(SLEEP, "--array=0-2", cwd=tmp_path),
    ]
    asking = SlurmScheduler(LOCALHOST, here)

    async def all_run() -> bool:
        return len(comparable({job.id: job for job in await asking.jobs(None)})) == 4

    await eventually(all_run)
    told = comparable({job.id: job for job in await asking.jobs(None)})
    kept = tmp_path / "jobs"
    kept.write_text("\n".join(slurm.command(*program, each) for each in ids))  # not those of tests before
    scheduler = reading(here, kept)
    assert comparable({job.id: job for job in await scheduler.jobs(None)}) == told  # asks for the path with a `%`
    before = ours(slurm)
    await scheduler.jobs(None)
    assert ours(slurm) == before


@pytest.mark.slurm
async def test_outputs_that_the_list_does_not_tell_are_asked_for_once(
    slurm: SlurmCluster, here: LocalTransport, tmp_path: Path
) -> None:
    names = [slurm.submit(SLEEP, cwd=tmp_path) for _ in range(3)]
    for name in names:
        slurm.wait_for(name, "RUNNING")
    kept = tmp_path / "jobs.json"
    user = getpass.getuser()
    kept.write_text(json.dumps({"jobs": [record(name, user) for name in names], "errors": []}))
    scheduler = reading(here, kept)
    jobs = {job.id: job for job in await scheduler.jobs(None)}
    assert [jobs[JobId(name)].stdout for name in names] == [f"{tmp_path}/slurm-{name}.out" for name in names]
    before = ours(slurm)
    await scheduler.jobs(None)
    assert ours(slurm) == before


def record(job_id: str, user: str, **changed: Any) -> dict[str, Any]:
    """One record of squeue 25.05, which tells no outputs."""
    usual = {"job_id": int(job_id), "job_state": ["RUNNING"], "name": "n", "user_name": user, "batch_flag": True}
    return {**usual, "stdout_expanded": "", "stderr_expanded": "", "current_working_directory": "/w", **changed}


@pytest.mark.slurm
async def test_outputs_that_a_list_of_accounting_only_assumes_are_asked_for(
    slurm: SlurmCluster, here: LocalTransport, tmp_path: Path
) -> None:
    name = slurm.submit(SLEEP, "-o", "elsewhere.out", cwd=tmp_path)
    slurm.wait_for(name, "RUNNING")
    accounted = {
        "job_id": int(name), "name": "n", "user": getpass.getuser(), "state": {"current": "RUNNING"},
        "time": {"submission": 1, "start": 2, "end": 0, "limit": None}, "working_directory": str(tmp_path),
    }  # fmt: skip
    kept = tmp_path / "jobs.json"
    kept.write_text(json.dumps({"jobs": [accounted]}))
    (job,) = await reading(here, kept).jobs(None)
    assert (job.stdout, job.outputs_assumed) == (f"{tmp_path}/elsewhere.out", False)


async def test_times_that_scontrol_shows_are_of_the_hosts_zone(
    here: LocalTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "jobs"
    kept.write_text(
        "JobId=1 JobName=n\n   UserId=ada(1)\n   JobState=RUNNING\n   SubmitTime=1970-01-03T00:00:00\n"
        "   StdOut=/w/o\n   WorkDir=/w\n"
    )
    monkeypatch.setenv("TZ", "XXX-07:30")  # of the programs that run on the host: this process has read its own
    (job,) = await reading(here, kept, ("ada",)).jobs(None)
    assert job.submitted == 172800.0 - 7.5 * 3600


async def test_jobs_of_others_are_left_out(here: LocalTransport, tmp_path: Path) -> None:
    kept = tmp_path / "jobs.json"
    told = {"stdout_expanded": "/w/o"}
    kept.write_text(json.dumps({"jobs": [record("1", "ada", **told), record("2", "bob", **told)]}))
    assert [job.id for job in await reading(here, kept, ("ada",)).jobs(None)] == ["1"]
    assert [job.id for job in await reading(here, kept, ("*",)).jobs(None)] == ["1", "2"]


async def test_a_list_that_is_old_missing_torn_or_something_else_is_no_answer(
    here: LocalTransport, tmp_path: Path
) -> None:
    kept = tmp_path / "-n jobs; rm.json"
    scheduler = reading(here, kept, ("ada",), age=60)
    for content, age, words in (
        (None, 0, "failed"),
        ('{"jobs": []}', 90, "s old"),
        ('{"jobs": [', 0, "no whole JSON"),
        ("", 0, "empty"),
        ("NodeName=a", 0, "begins with"),
    ):
        if content is not None:
            kept.write_text(content)
            past = time.time() - age
            os.utime(kept, (past, past))
        with pytest.raises(SchedulerUnavailableError, match=words) as caught:
            await scheduler.jobs(None)
        assert str(kept) in caught.value.message
    kept.write_text('{"jobs": []}')
    assert await scheduler.jobs(None) == ()
