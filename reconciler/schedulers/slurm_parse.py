"""What squeue and sacct print, read into jobs. Pure.

Both are asked for fields that end with a separator made up for that one call, which no job's name or comment can know:
whatever they hold (spaces, `|`, newlines, bytes that are not UTF-8), the fields stay apart. The last field of a record
never holds a newline, so that the record after it begins at the next one.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.errors import SchedulerUnavailableError
from reconciler.model import HostName, Job, JobId, JobState
from reconciler.schedulers.slurm_paths import EXPANDS, PathFacts, expand, followed, needs_node
from reconciler.schedulers.slurm_states import exit_code, job_state, wait_status
from reconciler.schedulers.slurm_times import epoch, limit_seconds

#: Fields of `squeue -O`, in the order asked for. All exist since 18.08; a separator after a field since 20.02.
SQUEUE_FIELDS = (
    *("JobArrayID", "Name", "UserName", "State", "StdOut", "StdErr", "WorkDir", "SubmitTime", "StartTime", "EndTime"),
    *(
        "TimeLimit",
        "Partition",
        "Account",
        "QOS",
        "Comment",
        "Command",
        "exit_code",
        "RestartCnt",
        "BatchHost",
        "JobID",
    ),
)
#: Fields of `sacct -o`. The outputs are known since `KEEPS_OUTPUTS`; a pattern with `%N` wants the nodes too.
SACCT_FIELDS = (
    *("JobID", "JobName", "User", "State", "WorkDir", "Submit", "Start", "End"),
    *("Timelimit", "Partition", "Account", "QOS", "Comment", "ExitCode", "JobIDRaw"),
)
SACCT_OUTPUTS = ("StdOut", "StdErr", "NodeList")
KEEPS_OUTPUTS = (24, 5)
#: From here on slurmstepd knows the name that slurmctld gave to a script on standard input, for which nobody named one.
_NAMES_ALL = (24, 5)

_NOTHING = frozenset({"", "(null)", "N/A", "n/a", "NONE", "None", "Unknown"})
#: `123`, an array task `123_4`, a part of a heterogeneous job `123+1`. What is left of an array waits as `123_[5-9%2]`.
_ID = re.compile(r"\d+(?:_\d+|\+\d+)?", re.ASCII)
_WAITING = re.compile(r"\d+_\[.*\]?", re.ASCII | re.DOTALL)
#: SLURM's own number for "no task".
NO_TASK = "4294967294"
#: Up to the first comma outside of brackets; of what stands in brackets the first number.
_FIRST_NODE = re.compile(r"(?:[^,\[]|\[[^\]]*\])+")
_RANGE = re.compile(r"\[([^\],-]*)[^\]]*\]")
#: Of clusters that have no jobs, at the end.
_HEADERS = re.compile(rb"^CLUSTER: \S+$", re.MULTILINE)
_REST = re.compile(rf"^JobId=(\d+) ArrayJobId=\1 ArrayTaskId={NO_TASK} ".encode(), re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read: whose answer it is, and of which SLURM."""

    host: HostName
    version: tuple[int, int] = (0, 0)

    @property
    def expanded(self) -> bool:
        """True where SLURM has expanded the paths in it by itself."""
        return self.version >= EXPANDS


def records(text: bytes, separator: bytes, fields: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Yield field name -> value for each record. SchedulerUnavailableError where there are not only whole records."""
    parts = text.split(separator)
    rest = _HEADERS.sub(b"", parts.pop())
    if rest.strip() or len(parts) % len(fields):
        raise SchedulerUnavailableError("SLURM printed something else than it was asked for")
    for first in range(0, len(parts), len(fields)):
        values = [part.decode(errors="surrogateescape") for part in parts[first : first + len(fields)]]
        # Before the first field: the end of the line before, and `CLUSTER: name` headers of a federation.
        values[0] = values[0].rpartition("\n")[2]
        yield dict(zip(fields, values, strict=True))


def squeue_jobs(text: bytes, separator: bytes, reading: Reading) -> Iterator[Job]:
    """Yield the jobs of a listing; what waits, or waited, of an array without a task of its own is left out.

    What waited and was cancelled twice stands there under the array's plain id: see `may_be_rest`.
    """
    rows = list(records(text, separator, SQUEUE_FIELDS))
    arrays = {master for master, task, _ in (facts["JobArrayID"].partition("_") for facts in rows) if task}
    seen: set[str] = set()
    for facts in rows:
        job_id = facts["JobArrayID"]
        if not _is_job(job_id) or job_id in arrays:
            continue
        if job_id in seen:
            raise SchedulerUnavailableError(
                f"squeue tells of job {job_id} twice",
                remedy="see whether SLURM_CLUSTERS names several clusters: each is a host of its own",
            )
        seen.add(job_id)
        yield _queued(facts, reading)


def may_be_rest(job: Job) -> bool:
    """Tell whether squeue may mean what waited of an array by this, which it shows as it shows a job of its own."""
    return job.state is JobState.CANCELLED and job.started is None and job.id.isdigit()


def array_rests(text: bytes) -> frozenset[JobId]:
    """Return the arrays of which `scontrol --oneliner show job` shows a record that is no task, and waits for none."""
    return frozenset(JobId(found.decode()) for found in _REST.findall(text))


def sacct_jobs(text: bytes, separator: bytes, fields: Sequence[str], reading: Reading) -> Iterator[Job]:
    """Yield the jobs that accounting knows."""
    for facts in records(text, separator, fields):
        if _is_job(facts["JobID"]):
            yield _accounted(facts, reading)


def _is_job(job_id: str) -> bool:
    if _ID.fullmatch(job_id):
        return True
    if _WAITING.fullmatch(job_id):
        return False
    raise SchedulerUnavailableError(f"SLURM printed {job_id[:80]!r} where a job id belongs")


def _queued(facts: Mapping[str, str], reading: Reading) -> Job:
    state = job_state(facts["State"])
    stdout, stderr = _outputs(facts, reading)
    restarts = int(facts["RestartCnt"]) if facts["RestartCnt"].isdigit() else 0
    # A job that is cancelled while it waits gets a start, but no node.
    waited = state is JobState.PENDING or (
        state is JobState.CANCELLED and not restarts and not _value(facts["BatchHost"])
    )
    return Job(
        host=reading.host,
        id=JobId(facts["JobArrayID"]),
        name=facts["Name"],
        user=facts["UserName"],
        state=state,
        raw_state=facts["State"],
        stdout=followed(stdout),
        stderr=followed(stderr),
        workdir=_value(facts["WorkDir"]) or None,
        submitted=epoch(facts["SubmitTime"]),
        started=None if waited else epoch(facts["StartTime"]),
        ended=epoch(facts["EndTime"]) if state.ended else None,
        time_limit=limit_seconds(facts["TimeLimit"]),
        partition=_value(facts["Partition"]),
        account=_value(facts["Account"]),
        qos=_value(facts["QOS"]),
        comment=_value(facts["Comment"]),
        command=_value(facts["Command"]),
        exit_code=wait_status(facts["exit_code"]) if state.ended else None,
        restarts=restarts,
    )


def _accounted(facts: Mapping[str, str], reading: Reading) -> Job:
    state = job_state(facts["State"])
    stdout, stderr = _accounted_outputs(facts, reading)
    return Job(
        host=reading.host,
        id=JobId(facts["JobID"]),
        name=facts["JobName"],
        user=facts["User"],
        state=state,
        raw_state=facts["State"],
        stdout=followed(stdout),
        stderr=followed(stderr),
        workdir=_value(facts["WorkDir"]) or None,
        submitted=epoch(facts["Submit"]),
        started=epoch(facts["Start"]),
        ended=epoch(facts["End"]) if state.ended else None,
        time_limit=limit_seconds(facts["Timelimit"]),
        partition=facts["Partition"],
        account=facts["Account"],
        qos=facts["QOS"],
        comment=facts["Comment"],
        exit_code=exit_code(facts["ExitCode"]) if state.ended else None,
        outputs_assumed="StdOut" not in facts,
    )


def default_pattern(job_id: str) -> str:
    """Return where a job writes that names no output."""
    return "slurm-%A_%a.out" if "_" in job_id else "slurm-%j.out"


def _outputs(facts: Mapping[str, str], reading: Reading) -> tuple[str | None, str | None]:
    """Return stdout and stderr; None, None for a job without a batch script: its output goes to somebody's terminal."""
    workdir, job_id, raw = _value(facts["WorkDir"]), facts["JobArrayID"], facts["JobID"]
    out, err = _value(facts["StdOut"]), _value(facts["StdErr"])
    if not out or (not err and reading.version < KEEPS_OUTPUTS):
        return None, None
    name = facts["Name"]
    if name == "sbatch" and not _value(facts["Command"]) and reading.version < _NAMES_ALL:
        name = "(null)"
    paths = PathFacts(JobId(job_id), name, facts["UserName"], _value(facts["BatchHost"]), workdir, raw, reading.version)
    return placed(out, paths, expanded=reading.expanded), placed(err or out, paths, expanded=reading.expanded)


def _accounted_outputs(facts: Mapping[str, str], reading: Reading) -> tuple[str | None, str | None]:
    """Return stdout and stderr. Where accounting does not keep them: SLURM's default, of a job without an option."""
    workdir, job_id = _value(facts["WorkDir"]), facts["JobID"]
    out = _value(facts["StdOut"]) if "StdOut" in facts else default_pattern(job_id) if workdir else ""
    if not out:
        return None, None
    err = _value(facts.get("StdErr", "")) or out
    node = first_node(facts.get("NodeList", ""))
    paths = PathFacts(JobId(job_id), facts["JobName"], facts["User"], node, workdir, facts["JobIDRaw"], reading.version)
    return placed(out, paths, expanded=reading.expanded), placed(err, paths, expanded=reading.expanded)


def first_node(nodes: str) -> str:
    """Return the first of `n[03-04,7],m1`, on which the batch script runs; empty for a job without nodes."""
    first = _FIRST_NODE.match(nodes)
    return "" if first is None or " " in nodes else _RANGE.sub(r"\1", first[0])


def placed(path: str, paths: PathFacts, *, expanded: bool) -> str | None:
    """Return the path that SLURM made (`expanded`) or that a pattern means; None while it waits for the job's node."""
    if expanded:  # `%N` comes out as `(null)`
        return None if not paths.node and "(null)" in path else os.path.join(paths.workdir, path)
    if not paths.node and needs_node(path):
        return None
    # SLURM's default is shown behind the work directory, as a pattern or, before 24.05, with a task's raw id, where a
    # job writes `slurm-123_4.out`.
    default = default_pattern(paths.id)
    shown = (f"{paths.workdir}/{default}", f"{paths.workdir}/slurm-{paths.number}.out")
    return expand(default if path in shown else path, paths)


def _value(text: str) -> str:
    return "" if text in _NOTHING else text
