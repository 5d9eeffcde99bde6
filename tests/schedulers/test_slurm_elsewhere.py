"""SLURM of other versions and sites, played by small programs that answer as the real ones do (sources: their C code).

What is checked here cannot be had on one machine: 25.05 and later expand paths, and every site breaks in its own way.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from parts.waiting import eventually

from reconciler.errors import PermanentActionError, SchedulerUnavailableError
from reconciler.model import LOCALHOST, Job, JobId, JobState
from reconciler.protocols import Submission
from reconciler.schedulers import slurm
from reconciler.schedulers.detect import detect
from reconciler.schedulers.slurm import SlurmScheduler, SlurmSpec
from reconciler.transports.local import LocalTransport

#: Answers in the format asked for, whatever that is: $answers holds one `Field=value` a line, an empty line ends a job.
SQUEUE = r"""#!/usr/bin/env python3
import os, sys
if "--version" in sys.argv:
    print(os.environ.get("VERSION", "slurm 24.05.1")); sys.exit()
open(os.environ["ASKED"], "a").write(" ".join(sys.argv) + "\n")
fields = next(w for w in sys.argv if w.startswith("--Format="))[9:].split(",")
for job in os.environ.get("ANSWERS", "").split("\n\n"):
    facts = dict(line.split("=", 1) for line in job.splitlines())
    for field in fields:
        name, _, suffix = field.partition(":0")
        print(facts.get(name, ""), end=suffix)
    print()
"""
CONFIG = "#!/bin/sh\necho 'AccountingStorageType = accounting_storage/none'; echo 'MinJobAge = 300 sec'\n"


class Site:
    """The programs of one site; `answers` are what its squeue tells."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self._patch = monkeypatch
        home.mkdir()
        monkeypatch.setenv("PATH", str(home), prepend=os.pathsep)
        monkeypatch.setenv("ASKED", str(home / "asked"))
        self.program("squeue", SQUEUE)
        self.program("scontrol", CONFIG)

    def program(self, name: str, text: str) -> None:
        (self.home / name).write_text(text)
        (self.home / name).chmod(0o755)

    def answer(self, version: str, *jobs: dict[str, str]) -> None:
        usual = {"JobArrayID": "10", "JobID": "10", "Name": "n", "UserName": "me", "State": "RUNNING", "WorkDir": "/w"}
        texts = ("\n".join(f"{key}={value}" for key, value in (usual | job).items()) for job in jobs)
        self._patch.setenv("VERSION", version)
        self._patch.setenv("ANSWERS", "\n\n".join(texts))

    @property
    def asked(self) -> str:
        return (self.home / "asked").read_text()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path / "bin", monkeypatch)


@pytest.fixture
def scheduler(here: LocalTransport) -> SlurmScheduler:
    return SlurmScheduler(LOCALHOST, here, users=("me",))


async def only(scheduler: SlurmScheduler) -> Job:
    (job,) = await scheduler.jobs(None)
    return job


@pytest.mark.parametrize("version", ["slurm 25.05.0", "slurm 25.05.3", "slurm-wlm 25.11.0"])
async def test_since_25_05_slurm_expands_and_its_word_is_taken(
    site: Site, scheduler: SlurmScheduler, version: str
) -> None:
    site.answer(version, {"StdOut": "/w/100%j.out", "StdErr": ""})
    job = await only(scheduler)
    assert (job.stdout, job.stderr) == ("/w/100%j.out", "/w/100%j.out")
    assert "--expand-patterns" in site.asked


@pytest.mark.parametrize("version", ["slurm 20.11.9", "slurm 23.11.10", "slurm 24.05.8", "slurm 24.11.7", "our own"])
async def test_before_25_05_the_pattern_is_expanded_here(site: Site, scheduler: SlurmScheduler, version: str) -> None:
    site.answer(version, {"StdOut": "/w/100%%-%j.out", "StdErr": "/w/%x.err"})
    job = await only(scheduler)
    assert (job.stdout, job.stderr) == ("/w/100%-10.out", "/w/n.err")
    assert "--expand-patterns" not in site.asked


async def test_slurm_that_is_not_on_the_path_is_found_where_the_settings_say(
    site: Site, here: LocalTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.answer("slurm 22.05.8", {"StdOut": "/w/o", "StdErr": "/w/o"})
    site.program("sbatch", "#!/bin/sh\necho 4711\n")
    site.program("scancel", "#!/bin/sh\nexit 0\n")
    elsewhere = site.home.rename(site.home.with_name("elsewhere"))
    monkeypatch.setenv("ASKED", str(elsewhere / "asked"))
    scheduler = SlurmScheduler(LOCALHOST, here, SlurmSpec(programs=str(elsewhere)), users=("me",))
    job = await only(scheduler)
    assert job.stdout == "/w/o"
    assert await scheduler.submit(Submission(b"#!/bin/sh\n")) == "4711"
    assert "was cancelled" in await scheduler.cancel(job, "")


async def test_one_listing_is_one_call(site: Site, scheduler: SlurmScheduler) -> None:
    site.answer("slurm 24.05.1", *({"JobArrayID": str(number), "JobID": str(number)} for number in range(1, 300)))
    assert len(await scheduler.jobs(None)) == 299
    assert len(await scheduler.jobs(None)) == 299
    assert len(site.asked.splitlines()) == 2
    assert "--users=me" in site.asked


@pytest.mark.parametrize(
    "broken",
    [
        "#!/bin/sh\nexit 1\n",
        "#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1\n",
        "#!/bin/sh\necho 'Sorry, maintenance until Monday'\n",
        "#!/bin/sh\nkill -9 $$\n",
        "#!/nowhere/interpreter\n",
    ],
)
async def test_a_squeue_that_does_not_work_is_no_empty_list(site: Site, scheduler: SlurmScheduler, broken: str) -> None:
    site.answer("slurm 22.05.8", {"StdOut": "/w/o"})
    assert (await only(scheduler)).state is JobState.RUNNING
    site.program("squeue", broken)
    for ask in (scheduler.jobs(None), scheduler.lookup([JobId("10")]), scheduler.lookup([JobId("10"), JobId("11")])):
        with pytest.raises(SchedulerUnavailableError):
            await ask


@pytest.mark.parametrize(
    ("says", "known"),
    [
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", {}),
        ("echo 'Job 10_7 not found'; exit 1", {}),
        ("echo 'JobId=10 JobName=n'", None),
        ("exit 0", None),
        ("exit 1", None),
        ("echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1", None),
    ],
)
async def test_a_squeue_that_lists_nobody_is_believed_of_known_jobs_only_where_scontrol_agrees(
    site: Site, scheduler: SlurmScheduler, says: str, known: dict[JobId, Job] | None
) -> None:
    site.answer("slurm 22.05.8", {"StdOut": "/w/o"})
    await only(scheduler)
    site.program("squeue", "#!/bin/sh\nexit 0\n")
    site.program("scontrol", f'{CONFIG}[ "$1 $2" = "show config" ] || {{ {says}; }}\n')
    assert await scheduler.jobs(None) == ()
    for ids in ([JobId("10")], [JobId("10"), JobId("11")]):
        if known is None:
            with pytest.raises(SchedulerUnavailableError, match="tells nothing of job 10") as caught:
                await scheduler.lookup(ids)
            assert caught.value.remedy
        else:
            assert await scheduler.lookup(ids) == known


async def test_users_whose_names_nobody_can_look_up_are_no_users_without_jobs(site: Site, here: LocalTransport) -> None:
    site.program("squeue", "#!/bin/sh\necho 'slurm 22.05.8'\n")
    two = SlurmScheduler(LOCALHOST, here, users=("ada", "bob"))
    await two.account()
    with pytest.raises(SchedulerUnavailableError):
        await two.jobs(None)  # prints its version
    site.program("squeue", "#!/bin/sh\necho 'squeue: error: Invalid user: bob' >&2\n")
    assert await two.jobs(None) == ()
    site.program("squeue", '#!/bin/sh\nfor u in ada bob; do echo "squeue: error: Invalid user: $u" >&2; done\n')
    with pytest.raises(SchedulerUnavailableError, match="none of the users ada, bob") as caught:
        await two.jobs(None)
    assert caught.value.remedy


#: sacct of a job that slurmctld lost: $start seconds ago it began, and nobody will ever say that it ended.
SACCT = r"""#!/usr/bin/env python3
import os, sys, time
open(os.environ["ASKED"], "a").write("sacct\n")
words = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:])
facts = {"JobID": "10", "JobIDRaw": "10", "JobName": "n", "User": "me", "State": os.environ["STATE"], "WorkDir": "/w"}
facts |= {"Start": str(int(time.time()) - 60), "Submit": "1", "Timelimit": os.environ["LIMIT"], "ExitCode": "0:0"}
print("".join(facts.get(field, "") + words["delimiter"] for field in words["format"].split(",")))
"""


@pytest.mark.parametrize(
    ("limit", "later", "known"),
    [("UNLIMITED", 0, True), ("UNLIMITED", 500, True), ("UNLIMITED", 700, False), ("00:00:00", 500, True)],
)
async def test_a_job_that_slurmctld_lost_does_not_run_for_ever_because_accounting_says_so(
    site: Site, here: LocalTransport, monkeypatch: pytest.MonkeyPatch, limit: str, later: float, known: bool
) -> None:
    began = time.time()
    now = [began]
    scheduler = SlurmScheduler(LOCALHOST, here, users=("me",), now=lambda: now[0])
    site.program("squeue", "#!/bin/sh\ncase $* in *--version*) echo 'slurm 22.05.8';; esac\n")
    site.program(
        "scontrol",
        "#!/bin/sh\ncase $2 in config) echo 'AccountingStorageType = accounting_storage/slurmdbd';;\n"
        "*) echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1;; esac\n",
    )
    site.program("sacct", SACCT)
    monkeypatch.setenv("LIMIT", limit)
    monkeypatch.setenv("STATE", "RUNNING")
    assert list(await scheduler.lookup([JobId("10")])) == ["10"]
    now[0] = began + later
    assert list(await scheduler.lookup([JobId("10")])) == (["10"] if known else [])
    monkeypatch.setenv("STATE", "FAILED")  # slurmdbd was late
    assert (await scheduler.lookup([JobId("10")]))[JobId("10")].state is JobState.FAILED


async def test_a_job_that_slurmctld_lost_has_ended_when_its_time_was_over_long_ago(
    site: Site, here: LocalTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single pass remembers nothing of those before."""
    await test_a_job_that_slurmctld_lost_does_not_run_for_ever_because_accounting_says_so(
        site, here, monkeypatch, "00:00:30", 0, True
    )
    monkeypatch.setenv("STATE", "RUNNING")
    late = SlurmScheduler(LOCALHOST, here, users=("me",), now=lambda: time.time() + 700)
    assert await late.lookup([JobId("10")]) == {}


@pytest.mark.parametrize("program", ["squeue", "sacct", "list"])
async def test_others_have_their_turn_while_a_long_answer_is_read(
    site: Site, here: LocalTransport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    site.answer("slurm 22.05.8", {"StdOut": "/w/o", "StdErr": "/w/o"})
    site.program("scontrol", CONFIG.replace("/none", "/slurmdbd"))
    site.program("sacct", SACCT)
    monkeypatch.setenv("LIMIT", "1")
    monkeypatch.setenv("STATE", "FAILED")
    (tmp_path / "jobs").write_text('{"jobs": []}')
    listing = str(tmp_path / "jobs") if program == "list" else None
    scheduler = SlurmScheduler(LOCALHOST, here, SlurmSpec(listing=listing), users=("me",))
    name = {"squeue": "squeue_jobs", "sacct": "sacct_jobs", "list": "kept_jobs"}[program]
    real, reads, others = getattr(slurm, name), threading.Event(), threading.Event()

    def slow(*args: Any) -> Any:
        reads.set()
        assert others.wait(60)
        return real(*args)

    monkeypatch.setattr(slurm, name, slow)
    asking = asyncio.create_task(scheduler.jobs(time.time() - 3600))
    await eventually(reads.is_set)
    others.set()
    await asking


@pytest.mark.parametrize(("age", "asked"), [("300 sec", True), ("0 sec", False)])
async def test_accounting_is_not_asked_where_slurmctld_forgets_nothing(
    site: Site, scheduler: SlurmScheduler, monkeypatch: pytest.MonkeyPatch, age: str, asked: bool
) -> None:
    site.answer("slurm 22.05.8", {"StdOut": "/w/o", "StdErr": "/w/o"})
    site.program(
        "scontrol",
        f"#!/bin/sh\necho 'AccountingStorageType = accounting_storage/slurmdbd'; echo 'MinJobAge = {age}'\n",
    )
    site.program("sacct", SACCT)
    monkeypatch.setenv("LIMIT", "1")
    monkeypatch.setenv("STATE", "FAILED")
    await scheduler.jobs(time.time() - 3600)
    assert ("sacct" in site.asked) is asked


async def test_a_banner_before_the_id_is_passed_over(site: Site, scheduler: SlurmScheduler) -> None:
    site.program("sbatch", "#!/bin/sh\necho 'Welcome to 2 clusters'\necho '4711;second'\n")
    assert await scheduler.submit(Submission(b"#!/bin/sh\n")) == "4711"


async def test_a_submission_without_an_id_may_have_happened(site: Site, scheduler: SlurmScheduler) -> None:
    site.program("sbatch", "#!/bin/sh\necho thanks\n")
    with pytest.raises(SchedulerUnavailableError, match="no job id"):
        await scheduler.submit(Submission(b"#!/bin/sh\n"))


async def test_a_refusal_is_told_from_an_outage_by_asking_whether_slurmctld_is_there(
    site: Site, scheduler: SlurmScheduler
) -> None:
    site.program("scancel", "#!/bin/sh\necho 'Access/permission denied' >&2; exit 210\n")
    site.answer("slurm 22.05.8", {"StdOut": "/w/o", "StdErr": "/w/o"})
    job = await only(scheduler)
    with pytest.raises(PermanentActionError, match="permission denied"):
        await scheduler.cancel(job, "")
    site.program("scontrol", "#!/bin/sh\nexit 1\n")
    with pytest.raises(SchedulerUnavailableError, match="permission denied"):
        await scheduler.signal(job, "USR1")


async def test_a_host_with_sbatch_and_squeue_has_slurm_whether_it_answers_or_not(
    here: LocalTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tools))
    assert await detect(here) == "local"
    for name in ("sbatch", "squeue"):
        assert await detect(here) == "local"
        (tools / name).write_text("#!/bin/sh\nexit 1\n")
        (tools / name).chmod(0o755)
    assert await detect(here) == "slurm"
