"""Every scheduler keeps what `protocols.Scheduler` promises, on real jobs."""

from __future__ import annotations

import getpass
import time
from dataclasses import replace
from pathlib import Path

import pytest
from parts.schedulers import job_in, look
from parts.waiting import eventually

from reconciler.errors import PermanentActionError
from reconciler.model import JobId, JobState
from reconciler.protocols import Scheduler, Submission

SLEEPER = b"#!/bin/sh\nexec sleep 60\n"
HOSTILE_NAMES = ["a b", "a|b%j", 'it\'s "so"', "new\nline", "é日本", "$(touch x) `x` ;&", "-n", "\udcff\udcfe", "a,b=c"]


def submission(script: bytes, tmp_path: Path, *, held: bool = False, **options: str) -> Submission:
    named = {key.replace("_", "-"): value for key, value in options.items()}
    return Submission(script, options={"job-name": "test", **named}, workdir=str(tmp_path), held=held)


def text_of(path: str | None) -> str:
    assert path is not None
    return Path(path).read_text()


async def test_a_job_runs_and_ends_and_its_output_is_where_it_says(scheduler: Scheduler, tmp_path: Path) -> None:
    before = time.time()
    job_id = await scheduler.submit(submission(b"#!/bin/sh\necho out; echo err >&2\n", tmp_path))
    job = await job_in(scheduler, job_id, JobState.COMPLETED)
    assert text_of(job.stdout) == "out\nerr\n"
    assert job.stderr == job.stdout
    assert (job.id, job.name, job.user, job.exit_code) == (job_id, "test", getpass.getuser(), 0)
    assert (job.host, job.workdir) == (scheduler.host, str(tmp_path))
    assert job.submitted is not None
    assert job.started is not None
    assert job.ended is not None
    assert before - 1 <= job.submitted <= job.started + 1 <= job.ended + 2 <= time.time() + 4


async def test_an_option_with_an_empty_text_is_refused_and_nothing_submitted(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    before = await scheduler.jobs(None)
    with pytest.raises(PermanentActionError, match="no value for the option comment, time") as caught:
        await scheduler.submit(submission(SLEEPER, tmp_path, time="", comment="", mem="1"))
    assert caught.value.refused
    assert {job.id for job in await scheduler.jobs(None)} <= {job.id for job in before}


async def test_a_job_that_fails_says_with_which_status(scheduler: Scheduler, tmp_path: Path) -> None:
    job_id = await scheduler.submit(submission(b"#!/bin/sh\nexit 3\n", tmp_path))
    assert (await job_in(scheduler, job_id, JobState.FAILED)).exit_code == 3


async def test_a_job_that_a_signal_ends_has_failed(scheduler: Scheduler, tmp_path: Path) -> None:
    job_id = await scheduler.submit(submission(b"#!/bin/sh\nkill -9 $$\n", tmp_path))
    assert (await job_in(scheduler, job_id, JobState.FAILED)).exit_code == 137


async def test_streams_go_where_they_were_sent(scheduler: Scheduler, tmp_path: Path) -> None:
    script = b"#!/bin/sh\necho out; echo err >&2\n"
    job_id = await scheduler.submit(submission(script, tmp_path, output="%x-%j.o", error=f"{tmp_path}/a b-%5j.e"))
    job = await job_in(scheduler, job_id, JobState.COMPLETED)
    assert (job.stdout, job.stderr) == (f"{tmp_path}/test-{job_id}.o", f"{tmp_path}/a b-{job_id.zfill(5)}.e")
    assert (text_of(job.stdout), text_of(job.stderr)) == ("out\n", "err\n")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
async def test_a_hostile_name_is_kept_and_its_output_found(scheduler: Scheduler, tmp_path: Path, name: str) -> None:
    script = b"#!/bin/sh\necho found\n"
    job_id = await scheduler.submit(submission(script, tmp_path, job_name=name, output="%x.%j"))
    other = await scheduler.submit(submission(script, tmp_path))
    job = await job_in(scheduler, job_id, JobState.COMPLETED)
    assert (job.name, job.stdout) == (name, f"{tmp_path}/{name}.{job_id}")
    assert text_of(job.stdout) == "found\n"
    assert {listed.id: listed.name for listed in await scheduler.jobs(0.0)}[other] == "test"


async def test_the_script_and_its_arguments_arrive_as_they_are(scheduler: Scheduler, tmp_path: Path) -> None:
    script = b"#!/bin/sh\n# \xff\xc3\xa9 $(x)\nprintf '%s\\n' \"$@\"\n"
    arguments = ("a b", "$(touch x)", "--option", "'", "*")
    job_id = await scheduler.submit(Submission(script, arguments, {"job-name": "x"}, str(tmp_path), held=False))
    job = await job_in(scheduler, job_id, JobState.COMPLETED)
    assert text_of(job.stdout).splitlines() == list(arguments)
    assert (await scheduler.script(job)).rstrip(b"\n\0") == script.rstrip(b"\n")


async def test_a_held_job_waits_until_it_is_released(scheduler: Scheduler, tmp_path: Path) -> None:
    job_id = await scheduler.submit(submission(b"#!/bin/sh\necho ran\n", tmp_path, held=True))
    job = await look(scheduler, job_id)
    assert (job.state, job.started) == (JobState.PENDING, None)
    assert job_id in [listed.id for listed in await scheduler.jobs(None)]
    await scheduler.release(job_id)
    assert text_of((await job_in(scheduler, job_id, JobState.COMPLETED)).stdout) == "ran\n"
    await scheduler.release(job_id)  # once more changes nothing


async def test_a_held_job_that_is_cancelled_never_runs(scheduler: Scheduler, tmp_path: Path) -> None:
    job_id = await scheduler.submit(submission(f"#!/bin/sh\ntouch {tmp_path}/ran\n".encode(), tmp_path, held=True))
    await scheduler.cancel(await look(scheduler, job_id), "because")
    await job_in(scheduler, job_id, JobState.CANCELLED)
    assert not (tmp_path / "ran").exists()


async def test_cancelling_ends_the_job_with_its_children(scheduler: Scheduler, tmp_path: Path) -> None:
    script = f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/child\nwait\n"
    job_id = await scheduler.submit(submission(script.encode(), tmp_path))
    job = await job_in(scheduler, job_id, JobState.RUNNING)
    child = await eventually(lambda: number_in(tmp_path / "child"))
    assert "cancelled" in await scheduler.cancel(job, "because")
    await job_in(scheduler, job_id, JobState.CANCELLED)
    await eventually(lambda: not Path(f"/proc/{child}/exe").exists())


async def test_a_job_that_ignores_term_is_killed(scheduler: Scheduler, tmp_path: Path) -> None:
    script = f"#!/bin/sh\ntrap '' TERM\ntouch {tmp_path}/ready\nwhile :; do sleep 0.1; done\n"
    job_id = await scheduler.submit(submission(script.encode(), tmp_path))
    await eventually((tmp_path / "ready").exists)
    await scheduler.cancel(await look(scheduler, job_id), "because")
    await job_in(scheduler, job_id, JobState.CANCELLED)


async def test_cancelling_what_has_ended_is_success(scheduler: Scheduler, tmp_path: Path) -> None:
    job_id = await scheduler.submit(submission(b"#!/bin/sh\n", tmp_path))
    job = await job_in(scheduler, job_id, JobState.COMPLETED)
    assert "had ended" in await scheduler.cancel(job, "because")
    assert (await look(scheduler, job_id)).state is JobState.COMPLETED


async def test_a_signal_arrives(scheduler: Scheduler, tmp_path: Path) -> None:
    script = f"#!/bin/sh\ntrap 'echo got; exit 0' USR1\ntouch {tmp_path}/ready\nwhile :; do sleep 0.1; done\n"
    job_id = await scheduler.submit(submission(script.encode(), tmp_path))
    await eventually((tmp_path / "ready").exists)
    assert "USR1" in await scheduler.signal(await look(scheduler, job_id), "USR1")
    assert "got\n" in text_of((await job_in(scheduler, job_id, JobState.COMPLETED)).stdout)


@pytest.mark.parametrize("signal", ["", "usr1; rm", "-9", "--full", "$(x)", "USR1\n"])
async def test_what_is_no_signal_is_refused(scheduler: Scheduler, tmp_path: Path, signal: str) -> None:
    job_id = await scheduler.submit(submission(SLEEPER, tmp_path))
    job = await look(scheduler, job_id)
    with pytest.raises(PermanentActionError, match="no signal"):
        await scheduler.signal(job, signal)
    await scheduler.cancel(job, "")


async def test_a_job_that_has_ended_takes_no_signal(scheduler: Scheduler, tmp_path: Path) -> None:
    job_id = await scheduler.submit(submission(b"#!/bin/sh\n", tmp_path))
    job = await job_in(scheduler, job_id, JobState.COMPLETED)
    with pytest.raises(PermanentActionError):
        await scheduler.signal(job, "USR1")


async def test_an_unknown_id_is_left_out(scheduler: Scheduler, tmp_path: Path) -> None:
    job_id = await scheduler.submit(submission(SLEEPER, tmp_path))
    unknown = JobId("99999999")
    assert list(await scheduler.lookup([unknown])) == []
    assert list(await scheduler.lookup([unknown, job_id, JobId("99999998")])) == [job_id]
    assert list(await scheduler.lookup([])) == []
    await scheduler.cancel(await look(scheduler, job_id), "")


@pytest.mark.parametrize("job_id", ["1;x", "--all", "a b", "../1", "$(x)"])
async def test_an_id_that_is_none_never_reaches_a_program(scheduler: Scheduler, tmp_path: Path, job_id: str) -> None:
    with pytest.raises(PermanentActionError, match="no job id"):
        await scheduler.lookup([JobId(job_id)])
    with pytest.raises(PermanentActionError, match="no job id"):
        await scheduler.release(JobId(job_id))


async def test_a_time_limit_is_known_and_kept(scheduler: Scheduler, tmp_path: Path) -> None:
    job_id = await scheduler.submit(submission(SLEEPER, tmp_path, time="1-02:03"))
    assert (await look(scheduler, job_id)).time_limit == 93780.0
    await scheduler.cancel(await look(scheduler, job_id), "")


async def test_the_comment_is_there_from_the_start(scheduler: Scheduler, tmp_path: Path) -> None:
    held = Submission(SLEEPER, (), {"job-name": "x"}, str(tmp_path), comment="mark | of\n'it'")
    job_id = await scheduler.submit(held)
    assert {job.id: job.comment for job in await scheduler.jobs(None)}[job_id] == "mark | of\n'it'"
    await scheduler.cancel(await look(scheduler, job_id), "")


async def test_a_listing_has_what_runs_and_what_ended_lately(scheduler: Scheduler, tmp_path: Path) -> None:
    begun = time.time() - 1
    ended = await scheduler.submit(submission(b"#!/bin/sh\n", tmp_path))
    running = await scheduler.submit(submission(SLEEPER, tmp_path))
    await job_in(scheduler, ended, JobState.COMPLETED)
    await job_in(scheduler, running, JobState.RUNNING)
    found = {job.id: job.state for job in await scheduler.jobs(begun)}
    assert (found[ended], found[running]) == (JobState.COMPLETED, JobState.RUNNING)
    await scheduler.cancel(await look(scheduler, running), "")


async def test_the_account_is_our_own(scheduler: Scheduler) -> None:
    assert await scheduler.account() == getpass.getuser()


async def test_the_script_of_an_unknown_job_is_an_error(scheduler: Scheduler, tmp_path: Path) -> None:
    job_id = await scheduler.submit(submission(b"#!/bin/sh\n", tmp_path))
    job = replace(await look(scheduler, job_id), id=JobId("99999999"))
    with pytest.raises(PermanentActionError, match="not known any more"):
        await scheduler.script(job)
    with pytest.raises(PermanentActionError):
        await scheduler.release(job.id)


def number_in(path: Path) -> int:
    """Return the number that stands in a file, 0 while it is not there."""
    text = path.read_text().strip() if path.exists() else ""
    return int(text or 0)
