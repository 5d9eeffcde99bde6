"""What is special to local jobs: they outlive us, belong to one machine, and are more than a process id."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
from parts.schedulers import job_in, look
from parts.waiting import eventually

from reconciler.errors import PermanentActionError, SchedulerUnavailableError
from reconciler.model import LOCALHOST, Job, JobId, JobState
from reconciler.protocols import Submission
from reconciler.schedulers.local import MEMORY, LocalScheduler, LocalSchedulerSpec
from reconciler.transports.local import LocalTransport

SLEEPER = b"#!/bin/sh\nexec sleep 60\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "jo bs"


@pytest.fixture
def scheduler(here: LocalTransport, directory: Path) -> LocalScheduler:
    return LocalScheduler(LOCALHOST, here, LocalSchedulerSpec(directory=str(directory), kill_grace=1))


async def submitted(scheduler: LocalScheduler, script: bytes, **options: str) -> JobId:
    return await scheduler.submit(Submission(script, options=options, held=False))


async def running(scheduler: LocalScheduler, script: bytes = SLEEPER) -> Job:
    return await job_in(scheduler, await submitted(scheduler, script), JobState.RUNNING)


def process(directory: Path, job: Job, name: str) -> int:
    return int((directory / job.id / name).read_text().split()[0])


async def payload(directory: Path, job: Job) -> int:
    await eventually((directory / job.id / "payload").exists)
    return process(directory, job, "payload")


async def test_ids_count_up_and_are_never_given_twice(scheduler: LocalScheduler, directory: Path) -> None:
    made = await asyncio.gather(*(scheduler.submit(Submission(SLEEPER)) for _ in range(12)))
    assert sorted(map(int, made)) == list(range(1, 13))
    assert all((directory / job_id / "job.json").exists() for job_id in made)


async def test_an_id_that_was_cleaned_away_is_not_used_again(scheduler: LocalScheduler, directory: Path) -> None:
    job_id = await scheduler.submit(Submission(SLEEPER))
    for file in (directory / job_id).iterdir():
        file.unlink()
    (directory / job_id).rmdir()
    assert await scheduler.submit(Submission(SLEEPER)) == JobId(str(int(job_id) + 1))


async def test_the_default_directory_is_in_the_state_home(here: LocalTransport, home: Path) -> None:
    scheduler = LocalScheduler(LOCALHOST, here)
    assert await scheduler.jobs(None) == ()
    job = await job_in(scheduler, await submitted(scheduler, b"#!/bin/sh\necho hi\n"), JobState.COMPLETED)
    assert job.stdout == f"{home}/state/reconciler/jobs/{job.id}/output"
    assert Path(job.stdout).read_text() == "hi\n"
    assert (home / "state/reconciler/jobs").stat().st_mode & 0o077 == 0


async def test_a_job_outlives_the_transport_that_started_it(directory: Path, here: LocalTransport) -> None:
    first = LocalTransport(LOCALHOST)
    job = await running(LocalScheduler(LOCALHOST, first, LocalSchedulerSpec(directory=str(directory))))
    await first.close()
    again = LocalScheduler(LOCALHOST, here, LocalSchedulerSpec(directory=str(directory), kill_grace=1))
    assert (await look(again, job.id)).state is JobState.RUNNING
    assert "was cancelled" in await again.cancel(job, "")
    assert (await look(again, job.id)).state is JobState.CANCELLED


async def test_signals_work_in_a_job_as_in_a_terminal(scheduler: LocalScheduler) -> None:
    script = b"#!/usr/bin/env python3\nimport signal as s\nprint(s.getsignal(s.SIGINT) is s.default_int_handler)\n"
    job = await job_in(scheduler, await submitted(scheduler, script), JobState.COMPLETED)
    assert job.stdout is not None
    assert Path(job.stdout).read_text() == "True\n"


async def test_a_job_knows_its_id_and_name(scheduler: LocalScheduler) -> None:
    script = b'#!/bin/sh\necho "$RECONCILER_JOB_ID $RECONCILER_JOB_NAME"\n'
    job_id = await submitted(scheduler, script, **{"job-name": "a b"})
    job = await job_in(scheduler, job_id, JobState.COMPLETED)
    assert job.stdout is not None
    assert Path(job.stdout).read_text() == f"{job_id} a b\n"


async def test_after_its_time_limit_a_job_is_a_timeout(scheduler: LocalScheduler) -> None:
    job_id = await submitted(scheduler, b"#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n", time="0:01")
    job = await job_in(scheduler, job_id, JobState.TIMEOUT)
    assert job.time_limit == 1.0
    assert job.ended is not None
    assert job.started is not None
    assert 1 <= job.ended - job.started <= 5


@pytest.mark.parametrize("limit", [{}, {"time": "10"}])
async def test_a_checkpoint_signal_reaches_the_script_and_ends_no_job(
    scheduler: LocalScheduler, tmp_path: Path, limit: dict[str, str]
) -> None:
    script = f"#!/bin/sh\ntrap 'echo saved; exit 7' USR1\ntouch {tmp_path}/ready\nwhile :; do sleep 0.05; done\n"
    job_id = await submitted(scheduler, script.encode(), **limit)
    await eventually((tmp_path / "ready").exists)
    assert "USR1" in await scheduler.signal(await look(scheduler, job_id), "USR1")
    job = await job_in(scheduler, job_id, JobState.FAILED)
    assert job.exit_code == 7
    assert job.stdout is not None
    assert Path(job.stdout).read_text().endswith("saved\n")  # before it the shell may tell how its `sleep` ended


async def test_at_its_time_limit_a_script_may_still_clean_up(scheduler: LocalScheduler) -> None:
    script = b"#!/bin/sh\ntrap 'echo saved; exit 0' TERM\nwhile :; do sleep 0.05; done\n"
    job = await job_in(scheduler, await submitted(scheduler, script, time="0:01"), JobState.TIMEOUT)
    assert job.stdout is not None
    assert Path(job.stdout).read_text().endswith("saved\n")


async def test_nothing_stays_behind_to_watch_the_limit_of_a_job_that_has_ended(
    scheduler: LocalScheduler, directory: Path
) -> None:
    await job_in(scheduler, await submitted(scheduler, b"#!/bin/sh\nexit 0\n", time="7:11:17"), JobState.COMPLETED)
    await eventually(lambda: [line for line in _command_lines() if "25877" in line] == [])


def _command_lines() -> list[str]:
    """The command lines of the processes there are."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


async def test_a_program_that_ends_with_the_status_of_a_timeout_has_failed(scheduler: LocalScheduler) -> None:
    job = await job_in(scheduler, await submitted(scheduler, b"#!/bin/sh\nexit 124\n", time="10"), JobState.FAILED)
    assert job.exit_code == 124


async def test_children_that_a_job_leaves_behind_end_with_it(scheduler: LocalScheduler, tmp_path: Path) -> None:
    script = f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/child\n"
    await job_in(scheduler, await submitted(scheduler, script.encode()), JobState.COMPLETED)
    child = int((tmp_path / "child").read_text())
    await eventually(lambda: not Path(f"/proc/{child}/exe").exists())


async def test_a_job_without_its_supervisor_runs_on_and_its_end_is_unknown(
    scheduler: LocalScheduler, directory: Path
) -> None:
    job = await running(scheduler)
    pid = await payload(directory, job)
    os.kill(process(directory, job, "supervisor"), signal.SIGKILL)
    assert (await look(scheduler, job.id)).state is JobState.RUNNING
    os.kill(pid, signal.SIGKILL)
    ended = await job_in(scheduler, job.id, JobState.UNKNOWN)
    assert (ended.exit_code, ended.ended) == (None, None)
    assert "cancelled" in await scheduler.cancel(ended, "")


async def test_no_look_takes_a_job_for_lost_while_it_starts_or_ends(scheduler: LocalScheduler) -> None:
    states: set[JobState] = set()
    for _ in range(15):
        job_id = await submitted(scheduler, b"#!/bin/sh\n")
        while not (job := await look(scheduler, job_id)).state.ended:
            states.add(job.state)
        states.add(job.state)
    assert JobState.COMPLETED in states
    assert states <= {JobState.PENDING, JobState.RUNNING, JobState.COMPLETED}


async def test_a_process_with_the_same_id_is_not_the_job(scheduler: LocalScheduler, directory: Path) -> None:
    job = await running(scheduler)
    pid = await payload(directory, job)
    other = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)
    for name in ("payload", "supervisor"):
        file = directory / job.id / name
        _, ticks, *rest = file.read_text().split()
        # Our pid was given to a stranger, who began at another tick of the clock (here it may be the same one).
        file.write_text(f"{other.pid} {int(ticks) - 1} {' '.join(rest)}\n")
    assert (await look(scheduler, job.id)).state is JobState.UNKNOWN
    await scheduler.cancel(job, "")
    with pytest.raises(PermanentActionError, match="not running"):
        await scheduler.signal(job, "KILL")
    assert other.returncode is None
    other.kill()
    await other.wait()
    os.killpg(pid, signal.SIGKILL)


async def test_a_job_of_before_the_last_boot_is_over(scheduler: LocalScheduler, directory: Path) -> None:
    job = await running(scheduler)
    pid = await payload(directory, job)
    for name in ("payload", "supervisor"):
        file = directory / job.id / name
        number, ticks, _, *rest = file.read_text().split()
        file.write_text(f"{' '.join([number, ticks, 'another-boot', *rest])}\n")
    assert (await look(scheduler, job.id)).state is JobState.UNKNOWN
    os.killpg(pid, signal.SIGKILL)


async def test_a_job_that_is_released_twice_at_once_runs_once(scheduler: LocalScheduler, tmp_path: Path) -> None:
    script = f"#!/bin/sh\necho ran >> {tmp_path}/ran\n".encode()
    for number in range(5):
        job_id = await scheduler.submit(Submission(script))
        await asyncio.gather(*(scheduler.release(job_id) for _ in range(3)))
        await job_in(scheduler, job_id, JobState.COMPLETED)
        assert (tmp_path / "ran").read_text() == "ran\n" * (number + 1)


async def test_jobs_of_another_machine_in_a_shared_home_are_not_ours(
    scheduler: LocalScheduler, directory: Path
) -> None:
    own, other = await scheduler.submit(Submission(SLEEPER)), await scheduler.submit(Submission(SLEEPER))
    (directory / other / "node").write_text("elsewhere\n")
    assert [job.id for job in await scheduler.jobs(None)] == [own]
    assert list(await scheduler.lookup([own, other])) == [own]


async def test_a_directory_that_vanishes_is_not_an_empty_list(scheduler: LocalScheduler, directory: Path) -> None:
    assert await scheduler.jobs(None) == ()  # never there: nothing was ever submitted
    await scheduler.submit(Submission(SLEEPER))
    assert len(await scheduler.jobs(None)) == 1
    directory.rename(directory.with_name("away"))
    for ask in (scheduler.jobs(None), scheduler.lookup([JobId("1")])):
        with pytest.raises(SchedulerUnavailableError, match="vanished"):
            await ask
    directory.with_name("away").rename(directory)
    assert len(await scheduler.jobs(None)) == 1


async def test_a_record_that_cannot_be_read_is_no_empty_list(scheduler: LocalScheduler, directory: Path) -> None:
    job_id = await scheduler.submit(Submission(SLEEPER))
    (directory / job_id / "job.json").write_text('{"name": "x"}\n')
    with pytest.raises(SchedulerUnavailableError, match="cannot be read"):
        await scheduler.jobs(None)


async def test_a_submission_that_was_cut_off_is_no_job(scheduler: LocalScheduler, directory: Path) -> None:
    await scheduler.submit(Submission(SLEEPER))
    (directory / "2").mkdir()
    (directory / "notes").write_text("not ours")
    assert [job.id for job in await scheduler.jobs(None)] == ["1"]
    assert await scheduler.submit(Submission(SLEEPER)) == "3"


async def test_ended_jobs_are_listed_for_a_while_and_looked_up_for_ever(
    here: LocalTransport, directory: Path, scheduler: LocalScheduler
) -> None:
    job_id = await submitted(scheduler, b"#!/bin/sh\n")
    await job_in(scheduler, job_id, JobState.COMPLETED)
    assert [job.id for job in await scheduler.jobs(None)] == [job_id]
    ended = time.time() - MEMORY - 100
    (directory / job_id / "exit").write_text(f"0 {int(ended)}\n")
    assert await scheduler.jobs(None) == ()
    assert await scheduler.jobs(time.time()) == ()
    assert [job.id for job in await scheduler.jobs(ended - 1)] == [job_id]
    assert (await look(scheduler, job_id)).state is JobState.COMPLETED


async def test_append_and_truncate(scheduler: LocalScheduler, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for mode, text in (("append", "old\nnew\n"), ("truncate", "new\n")):
        out.write_text("old\n")
        job_id = await submitted(scheduler, b"#!/bin/sh\necho new\n", output=str(out), **{"open-mode": mode})
        await job_in(scheduler, job_id, JobState.COMPLETED)
        assert out.read_text() == text


async def test_an_output_that_is_thrown_away_is_no_file(scheduler: LocalScheduler) -> None:
    job = await look(scheduler, await submitted(scheduler, b"#!/bin/sh\n", output="/dev/null"))
    assert (job.stdout, job.stderr) == (None, None)


async def test_an_output_that_cannot_be_written_is_a_failed_job(scheduler: LocalScheduler, tmp_path: Path) -> None:
    script = f"#!/bin/sh\ntouch {tmp_path}/ran\n".encode()
    job = await job_in(scheduler, await submitted(scheduler, script, output="/nowhere/out"), JobState.FAILED)
    assert not (tmp_path / "ran").exists()
    assert (job.stdout, job.exit_code) == ("/nowhere/out", 1)


async def test_the_options_of_the_script_are_read(scheduler: LocalScheduler, tmp_path: Path) -> None:
    script = f"#!/bin/sh\n#SBATCH -J named --chdir={tmp_path}\n#SBATCH --time=7 --mem=4G -o o-%j\npwd\n".encode()
    job = await job_in(scheduler, await submitted(scheduler, script, time="8"), JobState.COMPLETED)
    assert (job.name, job.time_limit, job.workdir) == ("named", 480.0, str(tmp_path))
    assert (tmp_path / f"o-{job.id}").read_text() == f"{tmp_path}\n"


async def test_a_local_job_cannot_be_requeued(scheduler: LocalScheduler) -> None:
    job = await look(scheduler, await scheduler.submit(Submission(SLEEPER)))
    with pytest.raises(PermanentActionError, match="requeued") as caught:
        await scheduler.requeue(job)
    assert "resubmit" in caught.value.remedy


async def test_users_narrow_the_list_to_nothing_or_our_own(here: LocalTransport, directory: Path) -> None:
    async def listed(*users: str) -> int:
        section = LocalSchedulerSpec(directory=str(directory))
        return len(await LocalScheduler(LOCALHOST, here, section, users).jobs(None))

    scheduler = LocalScheduler(LOCALHOST, here, LocalSchedulerSpec(directory=str(directory)))
    await scheduler.submit(Submission(SLEEPER))
    me = await scheduler.account()
    assert [await listed(), await listed("*"), await listed("nobody", me), await listed("nobody")] == [1, 1, 1, 0]


async def test_the_record_is_plain_json_for_people(scheduler: LocalScheduler, directory: Path) -> None:
    job_id = await scheduler.submit(Submission(SLEEPER, ("a", "b"), {"job-name": "é", "mem": "1G"}, comment="why"))
    record = json.loads((directory / job_id / "job.json").read_text())
    assert (record["name"], record["arguments"], record["comment"]) == ("é", ["a", "b"], "why")
    assert record["options"]["mem"] == "1G"
    assert (directory / job_id / "script").read_bytes() == SLEEPER


async def test_a_host_that_answers_with_nonsense_is_unavailable(here: LocalTransport, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    scheduler = LocalScheduler(LOCALHOST, here, LocalSchedulerSpec(directory=str(tmp_path / "file")))
    with pytest.raises(SchedulerUnavailableError):
        await scheduler.submit(Submission(SLEEPER))
