"""What squeue and sacct print is read whole or not at all, whatever a job is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import SchedulerUnavailableError
from reconciler.model import HostName, Job, JobState
from reconciler.schedulers.slurm_parse import (
    SACCT_FIELDS,
    SACCT_OUTPUTS,
    SQUEUE_FIELDS,
    Reading,
    array_rests,
    first_node,
    may_be_rest,
    records,
    sacct_jobs,
    squeue_jobs,
)
from reconciler.schedulers.slurm_states import job_state
from reconciler.schedulers.slurm_times import epoch, limit_seconds

FIXTURES = Path(__file__).parent / "fixtures"
HOST = HostName("hpc1")
SEP = b"<0123456789abcdef>"
HOSTILE = [
    "a b",
    "a|b",
    "%j",
    "'",
    '"',
    "a\nb",
    "\nCLUSTER: x\n",
    "a,b",
    "=",
    "é日本",
    "\udcff\udcfe",
    "<0123>",
    "",
    "(x)",
    "N",
]


def squeue_line(**changed: str) -> bytes:
    """One record as squeue prints it."""
    usual = {
        "JobArrayID": "10",
        "Name": "train",
        "UserName": "me",
        "State": "RUNNING",
        "StdOut": "/w/slurm-10.out",
        "StdErr": "/w/slurm-10.out",
        "WorkDir": "/w",
        "SubmitTime": "1000",
        "StartTime": "1001",
        "EndTime": "5000",
        "TimeLimit": "1:00:00",
        "Partition": "debug",
        "Account": "(null)",
        "QOS": "normal",
        "Comment": "(null)",
        "Command": "/w/run.sh",
        "exit_code": "0",
        "RestartCnt": "0",
        "BatchHost": "vm",
        "JobID": "10",
    }
    facts = usual | changed
    assert tuple(facts) == SQUEUE_FIELDS
    return b"".join(value.encode(errors="surrogateescape") + SEP for value in facts.values()) + b"\n"


def read(*lines: bytes, expanded: bool = False) -> list[Job]:
    return list(squeue_jobs(b"".join(lines), SEP, Reading(HOST, (25, 5) if expanded else (22, 5))))


def read_as(version: tuple[int, int], line: bytes) -> Job:
    (job,) = squeue_jobs(line, SEP, Reading(HOST, version))
    return job


def test_a_record_is_a_job_with_all_that_was_said_of_it() -> None:
    (job,) = read(squeue_line(RestartCnt="2", Comment="a mark"))
    assert job == Job(
        host=HOST,
        id=job.id,
        name="train",
        user="me",
        state=JobState.RUNNING,
        raw_state="RUNNING",
        stdout="/w/slurm-10.out",
        stderr="/w/slurm-10.out",
        workdir="/w",
        submitted=1000.0,
        started=1001.0,
        ended=None,
        time_limit=3600.0,
        partition="debug",
        account="",
        qos="normal",
        comment="a mark",
        command="/w/run.sh",
        exit_code=None,
        restarts=2,
    )
    assert job.id == "10"


@pytest.mark.parametrize("text", HOSTILE)
def test_names_and_comments_hold_anything(text: str) -> None:
    before, job, after = read(
        squeue_line(JobArrayID="1", JobID="1"),
        squeue_line(Name=text, Comment=text, Command=text, WorkDir="/w" + text, StdOut="/o", StdErr="/e"),
        squeue_line(JobArrayID="3", JobID="3"),
    )
    assert (job.name, job.workdir, job.stdout, job.stderr) == (text, "/w" + text, "/o", "/e")
    assert (job.comment, job.command) == (text, text)
    assert (before.id, after.id) == ("1", "3")


def test_an_empty_listing_has_no_jobs() -> None:
    assert read(b"") == []
    assert read(b"\n") == []


def test_headers_of_a_federation_are_passed_over() -> None:
    jobs = read(b"CLUSTER: dawn\n", squeue_line(), b"CLUSTER: dusk\n", squeue_line(JobArrayID="11", JobID="11"))
    assert [job.id for job in jobs] == ["10", "11"]
    assert [job.id for job in read(squeue_line(), b"\nCLUSTER: dusk\n")] == ["10"]
    assert read(b"CLUSTER: dawn\n\nCLUSTER: dusk\n") == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"slurm_load_jobs error: Unable to contact slurm controller\n",
        squeue_line()[:-30],
        squeue_line() + b"and more\n",
        squeue_line().replace(b"10" + SEP, b"ten" + SEP, 1),
        b"".join(part + SEP for part in [b"10"] * 19) + b"\n",
    ],
)
def test_what_is_no_listing_is_refused_as_a_whole(garbage: bytes) -> None:
    with pytest.raises(SchedulerUnavailableError):
        read(squeue_line(), garbage)


def test_two_jobs_of_one_id_are_of_two_clusters_and_refused() -> None:
    with pytest.raises(SchedulerUnavailableError, match="job 10 twice") as caught:
        read(squeue_line(), squeue_line(Name="other"))
    assert "SLURM_CLUSTERS" in (caught.value.remedy or "")
    waiting = [squeue_line(JobArrayID="5_[1-3]"), squeue_line(JobArrayID="5_[1-3]"), squeue_line()]
    assert [job.id for job in read(*waiting)] == ["10"]


def test_array_tasks_are_jobs_and_what_waits_of_an_array_is_none() -> None:
    ids = ["4_0", "5_[7-9%2]", "6_[1,3,5-1000]", "7_[0-99...]", "8+1", "9_12"]
    assert [job.id for job in read(*(squeue_line(JobArrayID=job_id) for job_id in ids))] == ["4_0", "8+1", "9_12"]


def test_what_waited_of_an_array_is_no_job_beside_its_tasks() -> None:
    ids = ["4", "4_1", "5", "6_[7-9]", "6"]
    jobs = read(*(squeue_line(JobArrayID=job_id, State="CANCELLED") for job_id in ids))
    assert [job.id for job in jobs] == ["4_1", "5"]


@pytest.mark.parametrize(
    ("changed", "began", "doubtful"),
    [
        ({}, False, True),
        ({"JobArrayID": "10_1"}, False, False),
        ({"JobArrayID": "10+1"}, False, False),
        ({"BatchHost": "vm"}, True, False),
        ({"RestartCnt": "1"}, True, False),  # it ran before it waited again
        ({"State": "FAILED"}, True, False),
        ({"State": "PENDING"}, False, False),
    ],
)
def test_a_job_that_was_cancelled_while_it_waited_never_began_and_may_be_the_rest_of_an_array(
    changed: dict[str, str], began: bool, doubtful: bool
) -> None:
    (job,) = read(squeue_line(**{"State": "CANCELLED", "BatchHost": "n/a", **changed}))
    assert (job.started is not None, may_be_rest(job)) == (began, doubtful)


def test_scontrol_tells_which_records_are_the_rest_of_an_array() -> None:
    lines = [
        b"JobId=2 ArrayJobId=2 ArrayTaskId=4294967294 ArrayTaskThrottle=2 JobName=a UserId=me(1)",
        b"JobId=4 ArrayJobId=2 ArrayTaskId=1 JobName=a",
        b"JobId=5 ArrayJobId=5 ArrayTaskId=1-9%1 JobName=a",
        b"JobId=6 JobName=JobId=7 ArrayJobId=7 ArrayTaskId=4294967294 x",
        b"JobId=20 HetJobId=20 HetJobOffset=0 JobName=a",
        b"JobId=30 ArrayJobId=30 ArrayTaskId=4294967294 JobName=\xff",
    ]
    assert array_rests(b"\n\n".join(lines)) == {"2", "30"}
    assert array_rests(b"No jobs in the system\n") == frozenset()


def test_an_array_task_with_the_default_output_writes_under_its_own_id() -> None:
    (job,) = read(squeue_line(JobArrayID="4_1", JobID="10"))
    assert (job.stdout, job.stderr) == ("/w/slurm-4_1.out", "/w/slurm-4_1.out")


def test_raw_patterns_are_expanded_and_the_name_is_not_read_again() -> None:
    (job,) = read(squeue_line(Name="n%j", StdOut="/w/%x-%A_%a-%N.out", StdErr="e%%%4j", JobArrayID="4_1", JobID="10"))
    assert (job.stdout, job.stderr) == ("/w/n%j-4_1-vm.out", "/w/e%0010")


def test_a_path_that_slurm_expanded_itself_is_taken_as_it_is() -> None:
    (job,) = read(squeue_line(StdOut="/w/100%j.out", StdErr=""), expanded=True)
    assert (job.stdout, job.stderr) == ("/w/100%j.out", "/w/100%j.out")


@pytest.mark.parametrize("version", [(24, 5), (24, 11)])
@pytest.mark.parametrize(
    ("shown", "path"),
    [
        ("/w%j/slurm-%A_%a.out", "/w%j/slurm-4_1.out"),  # the default
        ("logs/%j-%A.out", "/w%j/logs/10-4.out"),
        ("/o/100%%j", "/o/100%j"),
        ("/o/%N", "/o/vm"),
    ],
)
def test_what_24_05_and_24_11_would_expand_wrongly_is_expanded_here(
    version: tuple[int, int], shown: str, path: str
) -> None:
    job = read_as(version, squeue_line(JobArrayID="4_1", JobID="10", WorkDir="/w%j", StdOut=shown, StdErr=""))
    assert (job.stdout, job.stderr) == (path, path)
    ended = accounted(ACCOUNTED, version, JobID="4_1", WorkDir="/w%j", StdOut=shown, NodeList="vm,vm[2-3]")
    assert (ended.stdout, ended.stderr, ended.outputs_assumed) == (path, path, False)


@pytest.mark.parametrize(
    ("version", "command", "path"),
    [((23, 11), "(null)", "/w/(null)"), ((23, 11), "/w/sbatch", "/w/sbatch"), ((24, 5), "", "/w/sbatch")],
)
def test_before_24_05_a_script_without_a_file_that_is_called_sbatch_has_no_name_in_its_path(
    version: tuple[int, int], command: str, path: str
) -> None:
    assert read_as(version, squeue_line(Name="sbatch", Command=command, StdOut="/w/%x")).stdout == path


def test_the_last_digit_of_a_tasks_index_is_a_symbol_since_24_11() -> None:
    line = squeue_line(JobArrayID="4_17", StdOut="/w/%b-%3b", StdErr="/w/%b-%3b")
    assert read_as((24, 5), line).stdout == "/w/%b-3b"
    assert read_as((24, 11), line).stdout == "/w/7-007"
    assert read_as((24, 11), squeue_line(StdOut="/w/%b", StdErr="")).stdout == "/w/4"


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("vm", "vm"),
        ("n[03-04,7],m1", "n03"),
        ("a[1,3]b[2-9],c", "a1b2"),
        ("n1,n[2-3]", "n1"),
        ("None assigned", ""),
        ("", ""),
    ],
)
def test_the_batch_script_runs_on_the_first_node(nodes: str, first: str) -> None:
    assert first_node(nodes) == first


def test_a_path_that_needs_a_node_is_unknown_until_there_is_one() -> None:
    (job,) = read(squeue_line(StdOut="/w/%N.out", BatchHost="n/a", State="PENDING"))
    assert job.stdout is None
    (job,) = read(squeue_line(StdOut="/w/(null).out", BatchHost="", State="PENDING"), expanded=True)
    assert job.stdout is None


def test_an_output_that_is_thrown_away_is_no_file() -> None:
    (old,) = read(squeue_line(StdOut="/dev/null", StdErr="/w/e"))
    (new,) = read(squeue_line(StdOut="/w/o", StdErr="/dev/null"), expanded=True)
    assert (old.stdout, old.stderr, new.stdout, new.stderr) == (None, "/w/e", "/w/o", None)
    assert accounted(ACCOUNTED, StdOut="/dev/null").stderr is None


def test_a_job_without_a_batch_script_has_no_output_file() -> None:
    (old,) = read(squeue_line(StdErr="N/A"))
    (new,) = read(squeue_line(StdOut="", StdErr=""), expanded=True)
    assert (old.stdout, old.stderr, new.stdout, new.stderr) == (None, None, None, None)


@pytest.mark.parametrize(
    ("text", "code"),
    [("0", 0), ("768", 3), ("9", 137), ("139", 139), ("3:0", 3), ("0:15", 143), ("x", None)],
)
def test_the_exit_status_is_read_as_a_shell_gives_it(text: str, code: int | None) -> None:
    (job,) = read(squeue_line(State="FAILED", exit_code=text))
    assert job.exit_code == code


def test_ends_are_known_of_ended_jobs_only() -> None:
    running, ended, pending = read(
        squeue_line(),
        squeue_line(JobArrayID="11", State="TIMEOUT"),
        squeue_line(JobArrayID="12", State="PENDING", StartTime="9999"),
    )
    assert (running.ended, ended.ended, pending.started) == (None, 5000.0, None)


# --- accounting ------------------------------------------------------------------------------------------------------


def sacct_line(fields: tuple[str, ...], **changed: str) -> bytes:
    usual = {"JobID": "10", "JobName": "train", "User": "me", "State": "COMPLETED", "WorkDir": "/w", "Submit": "1000"}
    usual |= {"Start": "1001", "End": "1500", "Timelimit": "01:00:00", "ExitCode": "0:0", "JobIDRaw": "10"}
    facts = dict.fromkeys(fields, "") | usual | changed
    return b"".join(facts[field].encode() + SEP for field in fields) + b"\n"


ACCOUNTED = (*SACCT_OUTPUTS, *SACCT_FIELDS)


def accounted(fields: tuple[str, ...] = SACCT_FIELDS, version: tuple[int, int] = (25, 5), /, **changed: str) -> Job:
    (job,) = sacct_jobs(sacct_line(fields, **changed), SEP, fields, Reading(HOST, version))
    return job


def test_accounting_tells_how_a_job_ended() -> None:
    job = accounted(State="CANCELLED by 1001", ExitCode="0:15", JobName="a|b\nc")
    assert (job.state, job.raw_state, job.ended, job.exit_code) == (
        JobState.CANCELLED,
        "CANCELLED by 1001",
        1500.0,
        143,
    )
    assert (job.name, job.time_limit, job.submitted, job.started) == ("a|b\nc", 3600.0, 1000.0, 1001.0)


def test_before_24_05_accounting_knows_no_pattern_and_slurms_default_is_taken() -> None:
    old = (23, 11)
    assert (accounted(SACCT_FIELDS, old).stdout, accounted(SACCT_FIELDS, old).outputs_assumed) == (
        "/w/slurm-10.out",
        True,
    )
    assert accounted(SACCT_FIELDS, old, JobID="4_1").stdout == "/w/slurm-4_1.out"
    assert accounted(SACCT_FIELDS, old, WorkDir="").stdout is None


def test_since_25_05_accounting_tells_the_paths() -> None:
    job = accounted(ACCOUNTED, StdOut="/o/100%j.out", StdErr="e")
    assert (job.stdout, job.stderr, job.outputs_assumed) == ("/o/100%j.out", "/w/e", False)
    assert accounted(ACCOUNTED, StdOut="o").stderr == "/w/o"
    assert accounted(ACCOUNTED).stdout is None
    assert accounted(ACCOUNTED, StdOut="/o/(null).out", NodeList="None assigned").stdout is None


# --- what other sites' SLURM printed ---------------------------------------------------------------------------------


def listing(name: str) -> list[dict[str, str]]:
    """Read a listing of fields between unit separators, its header last among what stands before the first record."""
    lines = (FIXTURES / name).read_bytes().rstrip(b"\n").split(b"\n")
    at = next(number for number, line in enumerate(lines) if line.startswith(b"ACCOUNT"))
    header = lines[at].decode().rstrip("\x1f").split("\x1f")
    unique = [f"{word}{number}" if header.index(word) != number else word for number, word in enumerate(header)]
    text = b"".join(line.rstrip(b"\x1f") + b"\x1f\n" for line in [*lines[:at], *lines[at + 1 :]] if b"\x1f" in line)
    return [dict(record) for record in records(text, b"\x1f", unique)]


def test_a_listing_with_a_cluster_header_is_read() -> None:
    first, second = listing("squeue_cluster_header.txt")
    assert (first["JOBID"], job_state(first["STATE"])) == ("5096321", JobState.COMPLETED)
    assert (job_state(second["STATE"]), limit_seconds(second["TIME_LIMIT"]), epoch(second["START_TIME"])) == (
        JobState.PENDING,
        172800.0,
        None,
    )


def test_a_listing_with_a_name_that_is_not_utf8_is_read() -> None:
    (job,) = listing("squeue_name_not_utf8.txt")
    assert (job["NAME"], job["JOBID15"], job["COMMENT"]) == ("\ufffd non-utf8", "29471683_9", "stdout=/tmp/job.output")


def test_a_listing_with_invalid_times_is_read() -> None:
    (job,) = listing("squeue_time_left_invalid.txt")
    assert (limit_seconds(job["TIME_LEFT"]), limit_seconds(job["TIME_LIMIT"])) == (None, 7200.0)
    assert job_state(job["STATE"]) is JobState.TIMEOUT


def test_accounting_of_another_site_is_read() -> None:
    fields = [f"f{number}" for number in range(17)]
    text = (FIXTURES / "sacct.txt").read_bytes().replace(b"\n", b"\x1f\n")
    found = [(row["f2"], job_state(row["f9"]), epoch(row["f14"])) for row in records(text, b"\x1f", fields)]
    assert [state for _, state, _ in found] == [JobState.PENDING, JobState.RUNNING, JobState.CANCELLED]
    assert [start is None for _, _, start in found] == [True, False, False]
