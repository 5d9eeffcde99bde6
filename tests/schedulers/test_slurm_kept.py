"""Lists of jobs as SLURM 20.11 to 25.11 prints them, in JSON and as text, are read whole or refused with a reason.

What is expected was written from the manual pages of squeue, sacct and scontrol, and from the documents themselves:
`time_limit` is in minutes, `end_time` of a job that runs is a guess, exit codes of jobs that did not end say nothing.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import SchedulerUnavailableError
from reconciler.model import HostName, Job, JobState
from reconciler.schedulers.slurm_kept import kept_jobs

KEPT = Path(__file__).parent / "fixtures" / "kept"
HOST = HostName("hpc1")
S = JobState


def kept(name: str) -> tuple[Job, ...]:
    return kept_jobs((KEPT / name).read_bytes(), HOST)


def at(text: str) -> float:
    """Return a time as scontrol prints it, of this machine's zone."""
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


@dataclass(frozen=True)
class Said:
    """What a document says of a job. Times are seconds since the epoch."""

    id: str
    name: str
    user: str
    state: JobState
    raw: str
    stdout: str | None
    submitted: float
    started: float | None
    ended: float | None
    limit: float | None
    exit: int | None = None
    partition: str = ""
    stderr: str | None = ""  # "": where stdout goes

    @staticmethod
    def of(job: Job) -> Said:
        """Return the same of a job that was read."""
        assert job.host == HOST
        assert job.submitted is not None
        return Said(
            *(job.id, job.name, job.user, job.state, job.raw_state, job.stdout),
            *(job.submitted, job.started, job.ended, job.time_limit, job.exit_code, job.partition),
            stderr="" if job.stderr == job.stdout else job.stderr,
        )


# fmt: off
GOLDEN: dict[str, list[Said]] = {
    # a waiting array, `1-10`, is no job before its tasks are
    "squeue_21.08.json": [
        Said("26515966", "job_name", "user1", S.RUNNING, "RUNNING", "/nfs/user/stdout.log", 1684114900, 1684114921,
             None, 30240 * 60, None, "hw-l", "/nfs/user/stderr.log"),
    ],
    # requeued: waits again, whatever start and end say
    "sacct_21.08_requeued.json": [
        Said("55978384", "submitit", "user1", S.PENDING, "REQUEUED",
             "/scratch/user1/meta_internship/slurm-55978384.out", 1673275023, None, None, 86400, None, "gpubackfill"),
    ],
    # tasks of arrays go by the array's number, not by their own; before 24.05 accounting keeps no output
    "sacct_21.08_array.json": [
        Said("1_7", "test-job-1", "user1", S.FAILED, "NODE_FAIL", "/scratch/user1/slurm-1_7.out", 1680193479,
             1680193504, None, 86400, 0, "partition1"),
        Said("2_0", "test-job-2", "user3", S.PENDING, "REQUEUED", "/scratch/user3/slurm-2_0.out", 1680127990, None,
             None, 86400, None, "partition2"),
    ],
    "sacct_22.05_array.json": [
        Said("20247445_100", "roberta-encoder-with_scheduler", "user1", S.FAILED, "FAILED",
             "/lustre07/scratch/user1/LLL/slurm-20247445_100.out", 1692160813, 1693740641, 1693865044, 172800, 0,
             "gpubase_bynode_b4"),
    ],
    "sacct_23.02_running.json": [
        Said("4", "sh", "user1", S.RUNNING, "RUNNING", "/home/group1/m/user1/slurm-4.out", 1613725209, 1613725209, None,
             7200 * 60, None, "main"),
    ],
    "squeue_23.02_pending.json": [
        Said("326", "wrap", "user1", S.PENDING, "PENDING", "/home/user1/slurm-326.out", 1727332586, None, None, 3600,
             None, "batch"),
    ],
    "squeue_23.02_running.json": [
        Said("310", "wrap", "user1", S.RUNNING, "RUNNING", "/home/user1/slurm-310.out", 1727332584, 1727358533, None,
             3600, None, "batch"),
    ],
    "squeue_23.02_completed.json": [
        Said("307", "wrap", "user1", S.COMPLETED, "COMPLETED", "/home/user1/slurm-307.out", 1727332584, 1727358173,
             1727358533, 3600, 0, "batch"),
    ],
    "sacct_23.02_archived.json": [
        Said("306", "wrap", "user1", S.COMPLETED, "COMPLETED", "/home/user1/slurm-306.out", 1727332583, 1727339062,
             1727339422, 3600, 0, "debug"),
    ],
    # nothing found is an answer of accounting's, with a warning
    "sacct_23.02_unfound.json": [],
    "squeue_23.11_failed.json": [
        Said("778", "wrap", "user1", S.FAILED, "FAILED", "/home/user1/slurm-778.out", 1747045577, 1747045579,
             1747045580, 60, 1, "standard"),
    ],
    # ended by a signal: 128 and its number
    "squeue_23.11_timeout.json": [
        Said("776", "wrap", "user1", S.TIMEOUT, "TIMEOUT", "/home/user1/slurm-776.out", 1747045574, 1747045576,
             1747045655, 60, 143, "standard"),
    ],
    "squeue_23.11_many_nodes.json": [
        Said("793", "wrap", "user1", S.RUNNING, "RUNNING", "/home/user1/slurm-793.out", 1747046307, 1747046307, None,
             60, None, "ia"),
    ],
    "sacct_23.11_cancelled.json": [
        Said("508", "wrap", "user1", S.CANCELLED, "CANCELLED", "/home/user1/slurm-508.out", 1746619980, 1746619980,
             1746619983, 60, 0, "ia"),
    ],
    "sacct_23.11_running.json": [
        Said("4", "sh", "user1", S.RUNNING, "RUNNING", "/home/group1/m/user1/slurm-4.out", 1613725209, 1613725209, None,
             7200 * 60, None, "main"),
    ],
    "squeue_24.05_failed.json": [
        Said("649719", "wrap", "user1", S.FAILED, "FAILED", "/home/user1/slurm-649719.out", 1747754470, 1747754472,
             1747754473, 60, 1, "batch"),
    ],
    # since 24.05 accounting tells the pattern, and beside it the path that it means
    "sacct_24.05_failed.json": [
        Said("649719", "wrap", "user1", S.FAILED, "FAILED", "/home/user1/slurm-649719.out", 1747754470, 1747754472,
             1747754473, 60, 1, "batch"),
    ],
    # /dev/null never holds a line
    "sacct_24.05_null_output.json": [
        Said("649716", "wrap", "user1", S.CANCELLED, "CANCELLED", None, 1747749294, 1747749296, 1747749338, 600, 0,
             "batch"),
    ],
    "squeue_24.11_timeout.json": [
        Said("6357", "wrap", "user1", S.TIMEOUT, "TIMEOUT", "/home/user1/slurm-6357.out", 1762788766, 1762788766,
             1762788831, 60, 143, "standard"),
    ],
    "sacct_24.11_timeout.json": [
        Said("6357", "wrap", "user1", S.TIMEOUT, "TIMEOUT", "/home/user1/slurm-6357.out", 1762788766, 1762788766,
             1762788831, 60, 0, "standard"),
    ],
    # this release tells no output of jobs in the queue: unknown, not SLURM's default
    "squeue_25.05_running.json": [
        Said("4739", "wrap", "user1", S.RUNNING, "RUNNING", None, 1762789009, 1762789062, None, 120, None, "normal"),
    ],
    "sacct_25.05_completed.json": [
        Said("4742", "wrap", "user1", S.COMPLETED, "COMPLETED", "/home/user1/slurm-4742.out", 1762789014, 1762789017,
             1762789077, 120, 0, "normal"),
    ],
    "sacct_25.05_several.json": [
        Said("1", "bench", "user1", S.COMPLETED, "COMPLETED", None, 1711377700, 1711379303, 1711398348, 28800, 0,
             "largemem"),
        Said("2", "bench", "user3", S.TIMEOUT, "TIMEOUT", None, 1711377924, 1711396335, 1711403535, 7200, 137, "gpu"),
        Said("3", "test", "user4", S.CANCELLED, "CANCELLED", None, 1711382832, 1711393342, 1711403826, 14400, None,
             "gpu"),
        Said("4", "sweep", "user5", S.PENDING, "PENDING", None, 1711375479, None, None, 43200, None, "largemem"),
    ],
    # the pattern is relative; the path beside it is not
    "squeue_25.11_list.json": [
        Said("5736", "wrap", "user1", S.CANCELLED, "CANCELLED", "/home/user1/slurm-5736.out", 1762942453, 1762942453,
             1762942454, 60, 143, "gpu"),
        Said("5737", "wrap", "user3", S.TIMEOUT, "TIMEOUT", "/home/user3/slurm-5737.out", 1762942456, 1762942457,
             1762942539, 60, 143, "normal"),
        Said("5739", "wrap", "user3", S.FAILED, "FAILED", "/home/user3/slurm-5739.out", 1762942459, 1762942460,
             1762942462, 60, 1, "normal"),
        Said("5748", "wrap", "user3", S.RUNNING, "RUNNING", "/home/user3/slurm-5748.out", 1762942472, 1762942475, None,
             120, None, "normal"),
        Said("5750", "wrap", "user3", S.PENDING, "PENDING", "/home/user3/slurm-5750.out", 1762942475, None, None, 60,
             None, "normal"),
    ],
    "sacct_25.11_pending.json": [
        Said("5750", "wrap", "user1", S.PENDING, "PENDING", "/home/user1/slurm-5750.out", 1762942475, None, None, 60,
             None, "normal"),
    ],
    # the first has no batch script; the second was started eleven times
    "scontrol_21.08.txt": [
        Said("1", "sh", "nobody", S.PENDING, "PENDING", None, at("2020-12-15T16:44:08"), None, None, 604800, None,
             "long"),
        Said("2", "imagenet.sh", "nobody", S.PENDING, "PENDING", "/miniscratch/user1/s-msflow-imagenet-928461.out",
             at("2021-08-12T10:22:30"), None, None, 604800, None, "long"),
    ],
    "scontrol_23.02_oneliner.txt": [
        Said("270", "submit.script", "user1", S.COMPLETED, "COMPLETED", "/home/user1/runs/slurm-270.out",
             at("2023-10-11T11:08:17"), at("2023-10-11T11:08:17"), at("2023-10-11T11:13:17"), None, 0, "main"),
    ],
    # a limit that is no limit is none
    "scontrol_23.02_odd_numbers.txt": [
        Said("270", "submit.script", "user1", S.COMPLETED, "COMPLETED", "/home/user1/runs/slurm-270.out",
             at("2023-10-11T11:08:17"), at("2023-10-11T11:08:17"), at("2023-10-11T11:13:17"), None, 0, "main"),
    ],
}
REFUSED = {
    "rest_23.02_unfound.json": "SLURM says: Unable to query JobId=19580: Invalid job id specified",
    "rest_25.11_archived.json": "SLURM says: Unable to query JobId=5735: Invalid job id specified",
    "rest_25.11_ping.json": "holds no list of jobs, but pings",
    "sdiag_24.05.json": "holds no list of jobs, but statistics",
    "sinfo_21.08.json": "holds no list of jobs, but nodes",
    "rest_24.11_not_found.txt": "begins with 'Unable find requested URL",
    "scontrol_node_21.08.txt": "begins with 'NodeName=test-node",
    "squeue_own_format.txt": "no whole JSON document",
}
# fmt: on


@pytest.mark.parametrize("name", GOLDEN)
def test_a_list_of_jobs_is_read(name: str) -> None:
    expected = GOLDEN[name]
    jobs = kept(name)
    assert [Said.of(job) for job in jobs] == expected


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_list_of_jobs_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(SchedulerUnavailableError) as caught:
        kept(name)
    assert REFUSED[name] in caught.value.message


def test_every_sample_is_held_to_something() -> None:
    assert {path.name for path in KEPT.iterdir()} == {*GOLDEN, *REFUSED}


def test_a_job_that_was_started_again_says_how_often() -> None:
    assert [job.restarts for job in kept("scontrol_21.08.txt")] == [0, 11]


@pytest.mark.parametrize("name", [name for name in GOLDEN if GOLDEN[name]])
def test_a_list_that_is_not_whole_is_refused_or_loses_only_what_is_cut_off(name: str) -> None:
    content = (KEPT / name).read_bytes().rstrip()
    whole = {job.id for job in kept(name)}
    for cut in range(1, len(content), 97):
        try:
            jobs = kept_jobs(content[:cut], HOST)
        except SchedulerUnavailableError:
            continue
        assert name.endswith(".txt"), "JSON is whole or nothing"
        assert {job.id for job in jobs} <= whole


# --- arrays, heterogeneous jobs, names -------------------------------------------------------------------------------


def live(**changed: Any) -> dict[str, Any]:
    """One record as squeue prints it."""
    usual: dict[str, Any] = {
        "job_id": 10, "name": "n", "user_name": "me", "job_state": ["RUNNING"], "batch_flag": True, "time_limit": None,
        "current_working_directory": "/w", "standard_output": "/w/o", "standard_error": "", "submit_time": 1,
        "start_time": 2, "end_time": 3, "exit_code": 0, "array_job_id": 0, "array_task_id": None,
        "array_task_string": "", "het_job_id": 0, "het_job_offset": 0,
    }  # fmt: skip
    return usual | changed


def read(*records: dict[str, Any]) -> list[Job]:
    return list(kept_jobs(json.dumps({"jobs": list(records), "errors": []}).encode(), HOST))


def number(value: float | None) -> dict[str, Any]:
    return {"set": value is not None, "infinite": False, "number": value or 0}


@pytest.mark.parametrize("form", [lambda value: value, number], ids=["plain", "set"])
def test_tasks_of_arrays_and_parts_of_heterogeneous_jobs_have_ids_of_their_own(form: Any) -> None:
    jobs = read(
        live(job_id=11, array_job_id=form(10), array_task_id=form(0)),
        live(
            job_id=10, array_job_id=form(10), array_task_id=form(None), array_task_string="1-9%2", job_state="PENDING"
        ),
        live(job_id=20, het_job_id=form(20), het_job_offset=form(0)),
        live(job_id=21, het_job_id=form(20), het_job_offset=form(1)),
        live(job_id=30, array_job_id=form(30), array_task_id=form(None)),
        live(job_id=40, array_job_id=form(40), array_task_id=form(None), job_state=["CANCELLED"]),  # what waited of it
        live(job_id=50, array_job_id=form(0), array_task_id=form(None), job_state=["CANCELLED"]),
    )
    assert [job.id for job in jobs] == ["10_0", "20+0", "20+1", "30", "50"]


@pytest.mark.parametrize(
    ("words", "state", "exit_code"),
    [
        (["PREEMPTED"], S.CANCELLED, 143),
        (["PREEMPTED", "REQUEUED"], S.PENDING, None),
        (["COMPLETED", "COMPLETING"], S.RUNNING, None),
        ("REQUEUE_HOLD", S.PENDING, None),
        (["SOMETHING_NEW"], S.RUNNING, None),
        (["NODE_FAIL"], S.FAILED, 143),
    ],
)
def test_states_and_their_flags(words: str | list[str], state: JobState, exit_code: int | None) -> None:
    (job,) = read(live(job_state=words, exit_code=15))
    assert (job.state, job.exit_code) == (state, exit_code)
    assert job.raw_state == (words if isinstance(words, str) else " ".join(words))


def test_an_endless_limit_is_none() -> None:
    (job,) = read(live(time_limit={"set": True, "infinite": True, "number": 0}))
    assert job.time_limit is None


@pytest.mark.parametrize("name", ["a b", "a|b", '"', "\nJobId=9", "é日本", "x" * 5000, "", "$(touch x)", "%j"])
def test_a_name_in_json_is_a_name_whatever_it_is(name: str) -> None:
    (job,) = read(live(name=name, comment=name))
    assert (job.name, job.comment, job.id) == (name, name, "10")


@pytest.mark.parametrize(("written", "name"), [(b'"caf\xe9"', "caf\udce9"), (b'"\\ud800"', "\ud800")])
def test_one_name_that_is_not_utf8_or_one_number_that_is_none_hides_no_other_job(written: bytes, name: str) -> None:
    text = json.dumps({"jobs": [live(), live(job_id=11, name="MARK", cpus=float("nan"), priority=float("inf"))]})
    first, second = kept_jobs(text.encode().replace(b'"MARK"', written), HOST)
    assert (first.id, second.id, second.name) == ("10", "11", name)


@pytest.mark.parametrize(
    "record",
    [{}, {"job_id": 1}, live(job_state=None), live(job_id="1; rm"), live(submit_time="soon"), [], "x", None, 7],
)
def test_a_record_in_no_known_form_is_refused(record: Any) -> None:
    with pytest.raises(SchedulerUnavailableError, match="form that is known"):
        read(live(), record)


SHOWN = (
    "JobId=10 {ids}JobName={name}\n   UserId=me(1000) GroupId=me(1000) MCS_label=N/A\n   JobState=RUNNING Reason=None"
    " Dependency=(null)\n   Restarts=0 BatchFlag=1 ExitCode=0:0\n   TimeLimit=01:00:00 TimeMin=N/A\n"
    "   StartTime=2024-01-01T00:00:00 EndTime=2024-01-01T01:00:00 Deadline=N/A\n   BatchHost={node}\n"
    "   Command=/w/run me.sh -x StdOut=/no\n   WorkDir=/w d\n   StdErr={err}\n   StdIn=/dev/null\n   StdOut={out}\n"
    "   Power=\n\n"
)


def shown(name: str = "n", ids: str = "", out: str = "/w d/o", err: str = "/w d/e", node: str = "vm") -> bytes:
    return SHOWN.format(name=name, ids=ids, out=out, err=err, node=node).encode()


@pytest.mark.parametrize("one_line", [False, True])
@pytest.mark.parametrize("name", ["a b", "a|b", "=", "JobState=FAILED", "%j", "$(touch x)", "a Comment=b", "é"])
def test_a_name_that_scontrol_shows_is_a_name_whatever_it_is(name: str, one_line: bool) -> None:
    text = shown(name).rstrip()
    if one_line:
        text = b" ".join(line.strip() for line in text.replace(b" StdOut=/no", b"").split(b"\n"))
    (job,) = kept_jobs(text, HOST)
    assert (job.name, job.state, job.user, job.id) == (name, S.RUNNING, "me", "10")
    assert (job.workdir, job.stdout, job.stderr) == ("/w d", "/w d/o", "/w d/e")
    assert job.command == ("/w/run me.sh -x" if one_line else "/w/run me.sh -x StdOut=/no")


def test_a_value_with_a_second_meaning_on_one_line_is_refused() -> None:
    with pytest.raises(SchedulerUnavailableError, match="two ways"):
        kept_jobs(b" ".join(line.strip() for line in shown().split(b"\n")), HOST)


@pytest.mark.parametrize(
    "name",
    [
        "x\n   UserId=root(0)",
        "x\n   JobState=COMPLETED",
        "x\n   ArrayTaskId=3",
        "x\n   StdOut=/etc/passwd",
        "x\nJobId=11 JobName=y",
        "x\n   UserId=me(1)\n   JobState=FAILED\n\nJobId=12 JobName=y",
    ],
)
def test_a_name_that_gives_what_scontrol_shows_a_second_meaning_is_refused(name: str) -> None:
    with pytest.raises(SchedulerUnavailableError):
        kept_jobs(shown() + shown(name, ids="").replace(b"JobId=10", b"JobId=12", 1), HOST)


def test_scontrol_shows_tasks_of_arrays_and_parts_of_heterogeneous_jobs() -> None:
    text = shown(ids="ArrayJobId=9 ArrayTaskId=3 ") + shown(ids="ArrayJobId=9 ArrayTaskId=4-7%2 ")
    text += shown(ids="ArrayJobId=10 ArrayTaskId=4294967294 ArrayTaskThrottle=2 ")  # what waited, cancelled twice
    text += shown(ids="HetJobId=20 HetJobOffset=1 ")
    assert [job.id for job in kept_jobs(text, HOST)] == ["9_3", "20+1"]


@pytest.mark.parametrize(("out", "err"), [("/w d/%j.out", "/w d/e"), ("/w d/o", "/w d/100%"), ("%x", ""), ("a\\9", "")])
def test_a_path_that_may_be_a_pattern_or_not_is_left_to_squeue(out: str, err: str) -> None:
    (job,) = kept_jobs(shown(out=out, err=err), HOST)
    assert (job.stdout, job.stderr) == (None, None)


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"[]", b"{}", b"null", b"JobId=", b"JobId=1 JobName=x\n", b"\xff\xfe"]
)
def test_what_says_nothing_of_jobs_is_refused(content: bytes) -> None:
    with pytest.raises(SchedulerUnavailableError) as caught:
        kept_jobs(content, HOST)
    assert caught.value.message
