"""cancel_job, signal_job and resubmit on a real slurmctld, and on local jobs."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
from parts.acting import a_context, a_watcher
from parts.schedulers import job_in, look
from parts.slurm import SlurmCluster
from parts.waiting import eventually

from reconciler.actions import cancel_job, requeue, resubmit, run_command, signal_job
from reconciler.errors import PermanentActionError, SchedulerUnavailableError
from reconciler.model import Job, JobId, JobState
from reconciler.protocols import Scheduler, Submission
from reconciler.schedulers.slurm import SlurmScheduler
from reconciler.transports.local import LocalTransport

SCRIPT = b"""\
#!/bin/sh
#SBATCH --job-name=first
#SBATCH --time=10
trap "echo USR1 >> heard" USR1
echo "args: $*" >> log
while :; do sleep 0.1; done
"""


async def started(scheduler: Scheduler, workdir: Path, script: bytes = SCRIPT, **options: str) -> Job:
    """Submit a script and return its job once it runs."""
    job_id = await scheduler.submit(
        Submission(script, options=options, workdir=str(workdir), comment="mine", held=False)
    )
    return await job_in(scheduler, job_id, JobState.RUNNING)


async def act(
    module: Any, params: dict[str, Any], job: Job, scheduler: Scheduler, here: LocalTransport, mark: str = "m.1"
) -> str:
    context = a_context(
        params,
        {"mem": "64"},
        transport=here,
        scheduler=scheduler,
        job=job,
        mark=f"{job.workdir} {mark}",
        watcher=a_watcher(),
    )
    told = await module.make(None, {}).run(context)
    assert isinstance(told, str)
    return told


async def test_cancel_job_cancels_and_does_nothing_the_second_time(
    scheduler: Scheduler, here: LocalTransport, tmp_path: Path
) -> None:
    job = await started(scheduler, tmp_path)
    await act(cancel_job, {"reason": "$mem"}, job, scheduler, here)
    ended = await job_in(scheduler, job.id, JobState.CANCELLED)
    assert "had ended" in await act(cancel_job, {}, ended, scheduler, here)


async def test_signal_job_is_heard_by_the_script(scheduler: Scheduler, here: LocalTransport, tmp_path: Path) -> None:
    job = await started(scheduler, tmp_path, SCRIPT.replace(b"#SBATCH --time=10\n", b""))
    await eventually((tmp_path / "log").exists)
    await act(signal_job, {"signal": "USR1"}, job, scheduler, here)
    await eventually((tmp_path / "heard").exists)
    await scheduler.cancel(job, "")
    await job_in(scheduler, job.id, JobState.CANCELLED)


async def test_resubmit_replaces_the_job_by_one_with_the_modifications(
    scheduler: Scheduler, here: LocalTransport, tmp_path: Path
) -> None:
    job = await started(scheduler, tmp_path)
    params = {
        "modifications": {"time": 30, "job-name": "second"},
        "cancel_previous": True,
        "arguments": ["a b", "$mem"],
    }
    told = await act(resubmit, params, job, scheduler, here)
    new = await job_in(scheduler, JobId(told.split()[4]), JobState.RUNNING)
    await job_in(scheduler, job.id, JobState.CANCELLED)
    assert (new.name, new.time_limit, new.workdir) == ("second", 1800.0, str(tmp_path))
    assert new.comment.startswith("mine [reconciler root=")
    await eventually(lambda: "args: a b 64\n" in (tmp_path / "log").read_text())
    # An action that was begun before finds its own mark: the same words, no further job.
    assert await act(resubmit, params, job, scheduler, here) == told
    await scheduler.cancel(new, "")
    await job_in(scheduler, new.id, JobState.CANCELLED)


async def test_a_chain_of_real_jobs_is_bounded_and_keeps_the_name(
    scheduler: Scheduler, here: LocalTransport, tmp_path: Path
) -> None:
    job = await started(scheduler, tmp_path, SCRIPT, **{"job-name": "on the command line"})
    for number in (1, 2):
        told = await act(
            resubmit, {"max_resubmits": 2, "cancel_previous": True}, job, scheduler, here, mark=f"m.{number}"
        )
        job = await job_in(scheduler, JobId(told.split()[4]), JobState.RUNNING)
    with pytest.raises(PermanentActionError, match="the limit is 2"):
        await act(resubmit, {"max_resubmits": 2, "cancel_previous": True}, job, scheduler, here, mark="m.3")
    assert (await look(scheduler, job.id)).state is JobState.RUNNING
    assert job.name == "on the command line"
    await scheduler.cancel(job, "")
    await job_in(scheduler, job.id, JobState.CANCELLED)


@pytest.mark.slurm
async def test_a_submission_that_slurm_refuses_leaves_the_job_running(
    slurm: SlurmCluster, here: LocalTransport, tmp_path: Path
) -> None:
    scheduler = SlurmScheduler(a_watcher().job.host, here)
    job = await started(scheduler, tmp_path)
    with pytest.raises(PermanentActionError, match="partition"):
        await act(resubmit, {"modifications": {"partition": "nowhere"}, "cancel_previous": True}, job, scheduler, here)
    assert (await look(scheduler, job.id)).state is JobState.RUNNING


async def test_watchers_that_ask_at_once_resubmit_a_job_once_and_a_restarted_reconciler_knows(
    scheduler: Scheduler, here: LocalTransport, tmp_path: Path
) -> None:
    job = await started(scheduler, tmp_path)
    before = {known.id for known in await scheduler.jobs(None)}
    params = {"cancel_previous": True}
    contexts = [
        a_context(params, transport=here, scheduler=scheduler, job=job, mark=f"{tmp_path} m.{number}")
        for number in range(3)
    ]
    first, restarted = resubmit.make(None, {}), resubmit.make(None, {})
    told = await asyncio.gather(*map(first.run, contexts))
    (new,) = {known.id for known in await scheduler.jobs(None)} - before
    assert (
        sorted(told)
        == [f"job {job.id} resubmitted as {new}"]
        + [f"job {job.id} was resubmitted already, as {new}: nothing done"] * 2
    )
    await job_in(scheduler, job.id, JobState.CANCELLED)
    assert [await restarted.run(context) for context in contexts] == told
    await scheduler.cancel(await job_in(scheduler, new, JobState.RUNNING), "")
    await job_in(scheduler, new, JobState.CANCELLED)


async def test_a_capture_that_is_empty_costs_no_resubmitted_job_its_lineage(
    scheduler: Scheduler, here: LocalTransport, tmp_path: Path
) -> None:
    job = await started(scheduler, tmp_path)
    for empty in ("${mem:+}", "${none:-}"):
        with pytest.raises(PermanentActionError, match="job-name would be empty") as caught:
            await act(resubmit, {"modifications": {"job-name": empty}}, job, scheduler, here)
        assert caught.value.refused
    told = await act(resubmit, {"modifications": {"job-name": "${none:-x}", "overcommit": True}}, job, scheduler, here)
    new = await job_in(scheduler, JobId(told.split()[4]), JobState.RUNNING)
    assert (new.name, new.comment.startswith("mine [reconciler root=")) == ("x", True)
    for each in (job, new):
        await scheduler.cancel(each, "")
        await job_in(scheduler, each.id, JobState.CANCELLED)


@pytest.mark.slurm
def test_sbatch_takes_the_options_that_are_switches_without_a_value_and_no_others(slurm: SlurmCluster) -> None:
    def wants_one(name: str) -> bool:
        asked = ["sbatch", "--test-only", f"--{name}"]
        done = subprocess.run(asked, input="#!/bin/sh\n", capture_output=True, text=True, env=slurm.env, timeout=60)
        return "requires an argument" in done.stderr

    assert {name for name in resubmit.OPTIONS if not wants_one(name)} == resubmit.SWITCHES


@pytest.mark.slurm
async def test_a_site_option_that_is_no_switch_after_all_takes_no_comment_for_its_value(
    slurm: SlurmCluster, here: LocalTransport, tmp_path: Path
) -> None:
    scheduler = SlurmScheduler(a_watcher().job.host, here)
    with pytest.raises(SchedulerUnavailableError, match="no job id"):
        await scheduler.submit(Submission(SCRIPT, options={"wckey": True}, workdir=str(tmp_path), comment="mark"))
    (held,) = [job for job in await scheduler.jobs(None) if job.workdir == str(tmp_path)]
    assert (held.comment, held.state) == ("mark", JobState.PENDING)
    await scheduler.cancel(held, "")


async def test_run_command_runs_in_the_directory_that_the_scheduler_names(
    scheduler: Scheduler, here: LocalTransport, tmp_path: Path
) -> None:
    job = await started(scheduler, tmp_path)
    await act(run_command, {"command": "touch flag_$mem"}, job, scheduler, here)
    assert (tmp_path / "flag_64").exists()
    await scheduler.cancel(job, "")
    await job_in(scheduler, job.id, JobState.CANCELLED)


@pytest.mark.slurm
async def test_one_task_of_an_array_is_resubmitted_alone(
    slurm: SlurmCluster, here: LocalTransport, tmp_path: Path
) -> None:
    scheduler = SlurmScheduler(a_watcher().job.host, here)
    number = slurm.submit(SCRIPT.decode(), "--array=3-4", cwd=tmp_path)
    job = await job_in(scheduler, JobId(f"{number}_4"), JobState.RUNNING)
    told = await act(resubmit, {}, job, scheduler, here)
    new = JobId(f"{told.split()[4]}_4")
    await job_in(scheduler, new, JobState.RUNNING)
    listed = {known.id for known in await scheduler.jobs(None)}
    assert listed >= {new, JobId(f"{number}_3")}
    assert f"{told.split()[4]}_3" not in listed
    assert "resubmitted already" in await act(resubmit, {}, job, scheduler, here, mark="m.2")


@pytest.mark.slurm
async def test_requeue_gives_the_job_another_run(slurm: SlurmCluster, here: LocalTransport, tmp_path: Path) -> None:
    scheduler = SlurmScheduler(a_watcher().job.host, here)
    job = await started(scheduler, tmp_path)
    await act(requeue, {"max_restarts": 1}, job, scheduler, here)

    async def again() -> bool:
        return (await look(scheduler, job.id)).restarts == 1

    await eventually(again)
    with pytest.raises(PermanentActionError, match="max_restarts"):
        await act(requeue, {"max_restarts": 1}, job, scheduler, here)


@pytest.mark.slurm
async def test_a_script_that_had_arguments_gets_them_again(
    slurm: SlurmCluster, here: LocalTransport, tmp_path: Path
) -> None:
    scheduler = SlurmScheduler(a_watcher().job.host, here)
    (tmp_path / "train.sh").write_bytes(SCRIPT)
    number = slurm.command("sbatch", "--parsable", f"--chdir={tmp_path}", str(tmp_path / "train.sh"), "--lr", "0.1")
    job = await job_in(scheduler, JobId(number.strip()), JobState.RUNNING)
    for count in (1, 2):
        told = await act(resubmit, {}, job, scheduler, here, mark=f"m.{count}")
        job = await job_in(scheduler, JobId(told.split()[4]), JobState.RUNNING)
    await eventually(lambda: (tmp_path / "log").read_text() == "args: --lr 0.1\n" * 3)


async def test_arguments_with_blanks_stay_whole_over_a_chain(
    scheduler: Scheduler, here: LocalTransport, tmp_path: Path
) -> None:
    script = b'#!/bin/sh\nfor each; do echo "<$each>" >> log; done\necho end >> log\nwhile :; do sleep 0.1; done\n'
    job = await started(scheduler, tmp_path, script)
    for count, params in enumerate(({"arguments": ["a b", "", "it's $$HOME *"]}, {}, {})):
        more = {**params, "cancel_previous": True}
        told = await act(resubmit, more, job, scheduler, here, mark=f"m.{count}")
        job = await job_in(scheduler, JobId(told.split()[4]), JobState.RUNNING)
    await eventually(lambda: (tmp_path / "log").read_text().count("end") == 4)
    assert (tmp_path / "log").read_text() == "end\n" + "<a b>\n<>\n<it's $HOME *>\nend\n" * 3
    await scheduler.cancel(job, "")
    await job_in(scheduler, job.id, JobState.CANCELLED)
