"""What is special to SLURM, on a real one: arrays, paths, requeues, outages, and how little it is asked."""

from __future__ import annotations

import asyncio
import getpass
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from parts.schedulers import job_in, look
from parts.slurm import SlurmCluster
from parts.waiting import eventually

from reconciler.errors import PermanentActionError, SchedulerUnavailableError, UnavailableError
from reconciler.model import LOCALHOST, Job, JobId, JobState
from reconciler.protocols import Submission
from reconciler.schedulers.slurm import SlurmScheduler, SlurmSpec
from reconciler.transports.local import LocalTransport

pytestmark = pytest.mark.slurm

SLEEP = "sleep 60"
#: A job that tells which file its output really goes to, as the kernel sees it.
TELL = "exec 3>&1 4>&2; readlink /proc/$$/fd/3 /proc/$$/fd/4 > told.$SLURM_JOB_ID; sleep 60"


@pytest.fixture
def scheduler(slurm: SlurmCluster, here: LocalTransport) -> SlurmScheduler:
    return SlurmScheduler(LOCALHOST, here)


async def listed(scheduler: SlurmScheduler) -> dict[str, Job]:
    """Return the jobs of this test: what ended in earlier ones is still remembered."""
    return {job.id: job for job in await scheduler.jobs(None) if not job.state.ended}


# --- arrays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tasks", "running"),
    [
        ("0-2", [0, 1, 2]),
        ("1-3,7-9", [1, 2, 3, 7, 8, 9]),
        ("0-100%10", list(range(10))),
        ("0-100:10", list(range(0, 101, 10))),
        ("5", [5]),
    ],
)
async def test_each_running_task_of_an_array_is_a_job_and_what_waits_is_none(
    scheduler: SlurmScheduler, slurm: SlurmCluster, tmp_path: Path, tasks: str, running: list[int]
) -> None:
    master = slurm.submit(SLEEP, f"--array={tasks}", "-J", "a rr", cwd=tmp_path)
    expected = {f"{master}_{task}" for task in running}

    async def started() -> bool:
        return expected <= {job.id for job in (await listed(scheduler)).values() if job.state is JobState.RUNNING}

    await eventually(started)
    jobs = await listed(scheduler)
    assert set(jobs) == expected
    for task in running:
        job = jobs[f"{master}_{task}"]
        assert job.stdout == f"{tmp_path}/slurm-{master}_{task}.out"
        await eventually(Path(job.stdout).exists)


async def test_one_task_is_cancelled_alone(scheduler: SlurmScheduler, slurm: SlurmCluster) -> None:
    master = slurm.submit(SLEEP, "--array=0-2")
    job = await job_in(scheduler, JobId(f"{master}_1"), JobState.RUNNING)
    await scheduler.cancel(job, "because")
    await job_in(scheduler, job.id, JobState.CANCELLED)
    jobs = await listed(scheduler)
    assert [jobs[f"{master}_{task}"].state for task in (0, 2)] == [JobState.RUNNING] * 2
    assert (await scheduler.script(jobs[f"{master}_0"])).startswith(b"#!/bin/sh\nsleep 60")


async def test_parts_of_a_heterogeneous_job_are_jobs(scheduler: SlurmScheduler, slurm: SlurmCluster) -> None:
    """They wait: each part wants a node of its own, and there is one."""
    parts = ["#SBATCH -n1 --job-name=one", "#SBATCH hetjob", "#SBATCH -n1 --job-name=two"]
    first = slurm.submit("\n".join(["#!/bin/sh", *parts, SLEEP]))
    assert {job_id: job.name for job_id, job in (await listed(scheduler)).items()} == {
        f"{first}+0": "one",
        f"{first}+1": "two",
    }
    part = JobId(f"{first}+1")
    assert list(await scheduler.lookup([part])) == [part]
    with pytest.raises(PermanentActionError, match="individual component"):  # so SLURM says of one that waits
        await scheduler.cancel(await look(scheduler, part), "because")


# --- paths -----------------------------------------------------------------------------------------------------------

PATTERNS = [
    ("slurm-%j.out", None),
    ("%A_%a-%4a-%x-%u-%N-%n-%t-%s-%J-%10j-%012A.out", "%j.err"),
    ("100%%-%%j-%%%j", None),
    ("%q-%b-%-%z", None),
    ("lit\\%j.out", "a b/%x.err"),
    ("é-%x", "/dev/null"),
    ("%2x|%3u", None),
    ("%5%-%10%x-%5%%j-%5q-%123%j", "%5%%N-%5"),
]


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize(("out", "err"), PATTERNS)
async def test_the_path_is_the_file_that_the_job_writes(
    scheduler: SlurmScheduler, slurm: SlurmCluster, tmp_path: Path, out: str, err: str | None, array: bool
) -> None:
    place = tmp_path / "w d"
    (place / "a b").mkdir(parents=True)
    options = [f"--output={out}", *([f"--error={err}"] if err else []), "--job-name=n 'j%j|é", *(["--array=3"] * array)]
    number = slurm.submit(TELL, *options, cwd=place)
    told = await eventually(lambda: lines_of(place / f"told.{number}", 2))
    job = (await listed(scheduler))[f"{number}_3" if array else number]
    assert [job.stdout, job.stderr] == [None if path == "/dev/null" else path for path in told]


@pytest.mark.parametrize("named", [(), ("--job-name=n",)])
async def test_the_path_of_a_script_without_a_file_is_the_file_that_the_job_writes(
    scheduler: SlurmScheduler, slurm: SlurmCluster, tmp_path: Path, named: tuple[str, ...]
) -> None:
    number = slurm.submit(TELL, "--output=%x.out", *named, cwd=tmp_path)
    told = await eventually(lambda: lines_of(tmp_path / f"told.{number}", 2))
    job = (await listed(scheduler))[number]
    assert [job.stdout, job.stderr] == told


async def test_without_an_output_option_the_path_is_slurms_default(
    scheduler: SlurmScheduler, slurm: SlurmCluster, tmp_path: Path
) -> None:
    number = slurm.submit(TELL, cwd=tmp_path)
    told = await eventually(lambda: lines_of(tmp_path / f"told.{number}", 2))
    assert [(await listed(scheduler))[number].stdout] * 2 == told


async def test_while_a_job_waits_a_path_with_its_node_is_unknown(
    scheduler: SlurmScheduler, slurm: SlurmCluster
) -> None:
    number = slurm.submit(SLEEP, "--hold", "--output=%N-%j.out")
    assert (await listed(scheduler))[number].stdout is None
    slurm.command("scontrol", "release", number)
    job = await job_in(scheduler, JobId(number), JobState.RUNNING)
    assert job.stdout == f"{slurm.home}/{slurm.host}-{number}.out"


async def test_an_interactive_job_has_no_output_file(
    scheduler: SlurmScheduler, slurm: SlurmCluster, tmp_path: Path
) -> None:
    async def found() -> Job | None:
        return next((job for job in (await listed(scheduler)).values() if job.name == "hands-on"), None)

    srun = await asyncio.create_subprocess_exec("srun", "--job-name=hands-on", "sleep", "60", stderr=subprocess.DEVNULL)
    job = await eventually(found)
    assert job is not None
    await scheduler.cancel(job, "")
    await srun.wait()
    assert (job.stdout, job.stderr) == (None, None)


async def test_what_waited_of_an_array_is_no_job_however_often_it_was_cancelled(
    scheduler: SlurmScheduler, slurm: SlurmCluster
) -> None:
    untouched, plain = slurm.submit(SLEEP, "--array=0-9", "--hold"), slurm.submit(SLEEP, "--hold")
    begun = slurm.submit(SLEEP, "--array=0-9%1")
    await job_in(scheduler, JobId(f"{begun}_0"), JobState.RUNNING)
    for _ in range(2):
        slurm.command("scancel", "--user", getpass.getuser())
    ended = await job_in(scheduler, JobId(f"{begun}_0"), JobState.CANCELLED)
    assert {untouched, plain, begun} <= set(slurm.command("squeue", "-h", "-t", "all", "-o", "%i").split())
    jobs = {job.id: job for job in await scheduler.jobs(None)}
    ours = {job_id for job_id in jobs if job_id.split("_")[0] in (untouched, plain, begun)}
    assert (ours, ended.started is not None) == ({plain, f"{begun}_0"}, True)
    assert (jobs[JobId(plain)].state, jobs[JobId(plain)].started) == (JobState.CANCELLED, None)
    assert set(await scheduler.lookup([JobId(plain), JobId(f"{begun}_0")])) == {plain, f"{begun}_0"}
    before = slurm.rpcs()
    assert {job.id for job in await scheduler.jobs(None)} == set(jobs)
    asked = {kind: count - before.get(kind, 0) for kind, count in slurm.rpcs().items() if "JOB_INFO" in kind}
    assert sum(asked.values()) == 1  # what scontrol told is remembered


# --- requeue ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "text"), [("append", "run 0\nrun 1\n"), ("truncate", "run 1\n")])
async def test_a_requeued_job_is_the_same_job_with_one_more_start(
    scheduler: SlurmScheduler, slurm: SlurmCluster, tmp_path: Path, mode: str, text: str
) -> None:
    script = f'echo "run ${{SLURM_RESTART_COUNT:-0}}"; touch {tmp_path}/ran.${{SLURM_RESTART_COUNT:-0}}; sleep 60'
    number = JobId(slurm.submit(script, f"--open-mode={mode}", cwd=tmp_path))
    await eventually((tmp_path / "ran.0").exists)
    first = await look(scheduler, number)
    assert "requeued" in await scheduler.requeue(first)
    waiting = await job_in(scheduler, number, JobState.PENDING)
    assert (waiting.started, waiting.ended, waiting.stdout) == (None, None, first.stdout)

    # SLURM lets a requeued job wait for two minutes, until nobody can hold its revoked credential for the new one. Some
    # seconds are enough; within the same second the new run would be killed as revoked.
    slurm.command("scontrol", "update", f"JobId={number}", "StartTime=now+3")
    await eventually((tmp_path / "ran.1").exists)
    second = await job_in(scheduler, number, JobState.RUNNING)
    assert (second.restarts, second.submitted is not None) == (1, True)
    assert second.stdout is not None
    assert text_of(second.stdout).replace("slurmstepd", "\0").partition("\0")[0].startswith("run")
    assert [line for line in text_of(second.stdout).splitlines() if line.startswith("run")] == text.split("\n")[:-1]


# --- ends ------------------------------------------------------------------------------------------------------------


async def test_a_job_that_runs_out_of_time_is_a_timeout(scheduler: SlurmScheduler, slurm: SlurmCluster) -> None:
    number = JobId(slurm.submit(SLEEP, "--time=1"))
    await job_in(scheduler, number, JobState.RUNNING)
    slurm.command("scontrol", "update", f"JobId={number}", "EndTime=now")
    job = await job_in(scheduler, number, JobState.TIMEOUT, timeout=90)
    assert job.ended is not None


async def test_without_accounting_an_unknown_job_is_left_out_and_says_no_error(
    scheduler: SlurmScheduler, slurm: SlurmCluster
) -> None:
    assert await scheduler.lookup([JobId("4000000")]) == {}
    assert await scheduler.lookup([JobId("4000000"), JobId("4000001_7")]) == {}


# --- whose jobs ------------------------------------------------------------------------------------------------------


async def test_only_jobs_of_the_users_asked_for_are_listed(here: LocalTransport, slurm: SlurmCluster) -> None:
    own = slurm.submit(SLEEP)
    other = slurm.submit(SLEEP, "--uid=nobody", "--output=/dev/null", "--chdir=/tmp")

    async def ids(*users: str) -> set[str]:
        return {str(job.id) for job in await SlurmScheduler(LOCALHOST, here, users=users).jobs(None)} & {own, other}

    assert await ids() == {own}
    assert await ids("nobody") == {other}
    assert await ids("nobody", "root") == {own, other}
    assert await ids("*") == {own, other}
    assert (await look(SlurmScheduler(LOCALHOST, here), JobId(other))).user == "nobody"
    slurm.command("scancel", other)


async def test_the_environment_of_a_user_changes_no_answer(
    scheduler: SlurmScheduler, slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = slurm.submit(SLEEP, "--array=1-2")
    for name, value in {
        "SQUEUE_FORMAT": "%i",
        "SQUEUE_FORMAT2": "JobID",
        "SQUEUE_STATES": "PENDING",
        "SQUEUE_USERS": "nobody",
        "SQUEUE_PARTITION": "nowhere",
        "SQUEUE_NAMES": "none",
        "SQUEUE_ARRAY": "1",
        "SQUEUE_SORT": "S",
        "SLURM_TIME_FORMAT": "relative",
    }.items():
        monkeypatch.setenv(name, value)
    job = await job_in(scheduler, JobId(f"{number}_1"), JobState.RUNNING)
    assert job.started is not None
    assert abs(job.started - time.time()) < 60
    assert set(await listed(scheduler)) == {f"{number}_1", f"{number}_2"}


# --- submitting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (b"#!/bin/sh\n", {"partition": "nowhere"}),
        (b"no script at all\n", {}),
        (b"#!/bin/sh\n", {"no-such-option": "1"}),
        (b"", {}),
    ],
)
async def test_what_sbatch_refuses_is_permanent(
    scheduler: SlurmScheduler, script: bytes, options: dict[str, str]
) -> None:
    with pytest.raises(PermanentActionError, match="sbatch"):
        await scheduler.submit(Submission(script, options=options))
    assert await listed(scheduler) == {}


async def test_options_go_over_those_of_the_script(
    scheduler: SlurmScheduler, slurm: SlurmCluster, tmp_path: Path
) -> None:
    script = b"#!/bin/sh\n#SBATCH --time=10 --job-name=old\nsleep 60\n"
    number = await scheduler.submit(Submission(script, options={"time": "20"}, workdir=str(tmp_path), comment="m"))
    job = await look(scheduler, number)
    assert (job.name, job.time_limit, job.comment, job.state) == ("old", 1200.0, "m", JobState.PENDING)


# --- outages ---------------------------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[SlurmScheduler, Job], Awaitable[object]]] = {
    "jobs": lambda scheduler, job: scheduler.jobs(None),
    "lookup": lambda scheduler, job: scheduler.lookup([job.id]),
    "lookup of several": lambda scheduler, job: scheduler.lookup([job.id, JobId("99")]),
    "cancel": lambda scheduler, job: scheduler.cancel(job, ""),
    "signal": lambda scheduler, job: scheduler.signal(job, "USR1"),
    "requeue": lambda scheduler, job: scheduler.requeue(job),
    "script": lambda scheduler, job: scheduler.script(job),
    "submit": lambda scheduler, job: scheduler.submit(Submission(b"#!/bin/sh\n")),
    "release": lambda scheduler, job: scheduler.release(job.id),
}


async def test_without_slurmctld_nothing_is_known_and_afterwards_all_is_as_before(
    here: LocalTransport, slurm: SlurmCluster
) -> None:
    scheduler = SlurmScheduler(LOCALHOST, here, SlurmSpec(timeout=1))
    number = slurm.submit(SLEEP)
    job = await job_in(SlurmScheduler(LOCALHOST, here), JobId(number), JobState.RUNNING)
    with slurm.without_controller():
        for name, ask in CALLS.items():
            with pytest.raises(SchedulerUnavailableError):
                pytest.fail(f"{name} answered {await ask(scheduler, job)!r}")
    again = await job_in(SlurmScheduler(LOCALHOST, here), JobId(number), JobState.RUNNING)
    assert again.submitted == job.submitted


async def test_a_slurmctld_that_hangs_is_waited_for_no_longer_than_allowed(
    here: LocalTransport, slurm: SlurmCluster
) -> None:
    scheduler = SlurmScheduler(LOCALHOST, here, SlurmSpec(timeout=3))
    slurm.submit(SLEEP)
    await scheduler.jobs(None)
    begun = time.monotonic()
    with slurm.paused(), pytest.raises(SchedulerUnavailableError, match="did not answer"):
        await scheduler.jobs(None)
    assert time.monotonic() - begun < 9  # squeue itself waits ten seconds
    assert len(await listed(SlurmScheduler(LOCALHOST, here))) == 1


async def test_a_host_that_does_not_answer_is_unavailable(slurm: SlurmCluster) -> None:
    transport = LocalTransport(LOCALHOST)
    await transport.close()
    with pytest.raises(UnavailableError):
        await SlurmScheduler(LOCALHOST, transport).jobs(None)


# --- load ------------------------------------------------------------------------------------------------------------


async def test_a_hundred_jobs_cost_slurmctld_what_one_costs(scheduler: SlurmScheduler, slurm: SlurmCluster) -> None:
    async def cost(times: int) -> int:
        before = sum(slurm.rpcs().values())
        for _ in range(times):
            await scheduler.jobs(time.time())
        return sum(slurm.rpcs().values()) - before

    await scheduler.jobs(time.time())  # what is asked once is asked now
    slurm.submit(SLEEP, "--hold")
    one = await cost(5)
    for _ in range(20):
        slurm.submit(SLEEP, "--hold", "--output=%x-%A.out")
    slurm.submit(SLEEP, "--hold", "--array=0-80")
    assert abs(await cost(5) - one) <= 3  # slurmd and the counting itself ask a little too
    ids = list(await listed(scheduler))
    before = slurm.rpcs().get("REQUEST_JOB_INFO", 0)
    assert len(await scheduler.lookup([JobId(job_id) for job_id in ids])) == len(ids)
    assert slurm.rpcs().get("REQUEST_JOB_INFO", 0) - before == 1


def lines_of(path: Path, number: int) -> list[str]:
    """Return the lines of a file once it has so many."""
    lines = path.read_text(errors="surrogateescape").splitlines() if path.exists() else []
    return lines if len(lines) == number else []


def text_of(path: str) -> str:
    return Path(path).read_text()
