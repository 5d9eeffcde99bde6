"""The JSON of `squeue --json`, `sacct --json` and slurmrestd (data parsers up to 0.0.44), read into jobs. Pure.

`slurm_kept` hands over documents that a site keeps. The forms differ from release to release: a number is a number,
null, or `{set, infinite, number}`; a state is a word or a list of them. What is no list of jobs is refused.
"""

from __future__ import annotations

import json
import os.path
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from reconciler.errors import SchedulerUnavailableError
from reconciler.model import HostName, Job, JobId, JobState
from reconciler.schedulers.slurm_parse import Reading, default_pattern, first_node, placed
from reconciler.schedulers.slurm_paths import PathFacts, followed, may_be_pattern
from reconciler.schedulers.slurm_states import ended_with, job_state, wait_status

#: Seconds in one unit of a time limit.
_MINUTE = 60.0

Record = Mapping[str, Any]


def json_jobs(text: bytes, host: HostName) -> Iterator[Job]:
    """Yield the jobs of a document; what waits of an array without a task of its own is left out.

    SchedulerUnavailableError where it is no whole JSON, tells an error of SLURM's, or is about something else.
    """
    document = _document(text)
    records = _records(document)
    reading = Reading(host, _version(document))
    for record in records:
        try:
            job = _job(record, reading)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            what = str(record.get("job_id"))[:40] if isinstance(record, Mapping) else "?"
            raise SchedulerUnavailableError(f"job {what}: not in a form that is known ({error!r})") from error
        if job is not None:
            yield job


def _document(text: bytes) -> Any:
    """SLURM writes names as their bytes are, UTF-8 or not, and numbers that are none as `NaN` and `Infinity`."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(text.decode(errors="surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise SchedulerUnavailableError(f"no whole JSON document: {error}") from error


def _version(document: Mapping[str, Any]) -> tuple[int, int]:
    """Return which SLURM wrote it; (0, 0) where it does not say so."""
    meta = document.get("meta")
    slurm = (meta.get("slurm") or meta.get("Slurm")) if isinstance(meta, Mapping) else None
    version = slurm.get("version") if isinstance(slurm, Mapping) else None
    try:
        return (int(version["major"]), int(version["minor"])) if isinstance(version, Mapping) else (0, 0)
    except (KeyError, TypeError, ValueError):
        return (0, 0)


def _records(document: Any) -> Sequence[Record]:
    if not isinstance(document, Mapping):
        raise SchedulerUnavailableError("the JSON document is no answer of SLURM")
    errors = document.get("errors")
    if isinstance(errors, list) and errors:
        first = errors[0] if isinstance(errors[0], Mapping) else {}
        said = ": ".join(str(first[key]) for key in ("description", "error") if first.get(key))
        raise SchedulerUnavailableError(f"SLURM says: {said or errors[0]}"[:300])
    jobs = document.get("jobs")
    if not isinstance(jobs, list):
        held = ", ".join(sorted(set(document) - {"meta", "errors", "warnings"}))[:100]
        raise SchedulerUnavailableError(f"the JSON document holds no list of jobs, but {held or 'nothing'}")
    return jobs


def _job(record: Record, reading: Reading) -> Job | None:
    accounted = isinstance(record.get("time"), Mapping)
    job_id = _id(record)
    if job_id is None:
        return None
    times = _times(record, accounted)
    words = record["state"]["current"] if accounted else record["job_state"]
    state = job_state(words)
    stdout, stderr = _accounted_outputs(record, job_id, reading) if accounted else _outputs(record)
    comment = record.get("comment")
    return Job(
        host=reading.host,
        id=job_id,
        name=str(record["name"] or ""),
        user=str(record.get("user_name") or record.get("user") or record.get("user_id") or ""),
        state=state,
        raw_state=words if isinstance(words, str) else " ".join(words),
        stdout=followed(stdout),
        stderr=followed(stderr),
        workdir=_workdir(record) or None,
        submitted=times["submitted"],
        started=times["started"] if state is not JobState.PENDING else None,
        ended=times["ended"] if state.ended else None,
        time_limit=times["limit"] * _MINUTE if times["limit"] else None,
        partition=str(record.get("partition") or ""),
        account=str(record.get("account") or ""),
        qos=str(record.get("qos") or ""),
        comment=str((comment.get("job") if isinstance(comment, Mapping) else comment) or ""),
        command=str(record.get("command") or ""),
        exit_code=_exit_code(record.get("exit_code")) if state.ended else None,
        restarts=int(_number(record.get("restart_cnt")) or 0),
        outputs_assumed=accounted and "stdout" not in record,
    )


def _number(value: Any) -> float | None:
    """Return a number in any of its forms; None where it is not set, or infinite."""
    if isinstance(value, Mapping):
        return float(value["number"]) if value["set"] and not value["infinite"] else None
    return None if value is None else float(value)


def _whole(value: Any) -> int:
    return int(_number(value) or 0)


def _id(record: Record) -> JobId | None:
    """Return `123`, `123_4` or `123+1`; None for what waits of an array."""
    array, het = record.get("array"), record.get("het")
    if isinstance(array, Mapping):
        master, task, waiting = _whole(array.get("job_id")), array.get("task_id"), array.get("task")
    else:
        master, task = _whole(record.get("array_job_id")), record.get("array_task_id")
        waiting = record.get("array_task_string")
    if master and (number := _number(task)) is not None:
        return JobId(f"{master}_{number:.0f}")
    if master and (waiting or _cancelled_rest(record)):
        return None
    leader = _whole(het.get("job_id") if isinstance(het, Mapping) else record.get("het_job_id"))
    offset = het.get("job_offset") if isinstance(het, Mapping) else record.get("het_job_offset")
    return JobId(f"{leader}+{_whole(offset)}" if leader else str(int(record["job_id"])))


def _cancelled_rest(record: Record) -> bool:
    """Tell whether what is no task of an array was cancelled: then it is what waited. Accounting tells it of jobs."""
    return "job_state" in record and job_state(record["job_state"]) is JobState.CANCELLED


def _times(record: Record, accounted: bool) -> Mapping[str, float | None]:
    """Return when it was submitted, started and ended (0: never yet), and the limit in minutes."""
    names = ("submission", "start", "end", "limit") if accounted else ("submit_time", "start_time", "end_time")
    where = record["time"] if accounted else record
    submitted, started, ended = (_number(where.get(name)) or None for name in names[:3])
    limit = _number(where.get("limit") if accounted else record.get("time_limit"))
    return {"submitted": submitted, "started": started, "ended": ended, "limit": limit}


def _workdir(record: Record) -> str:
    return str(record.get("current_working_directory") or record.get("working_directory") or "")


def _outputs(record: Record) -> tuple[str | None, str | None]:
    """Return stdout and stderr as slurmctld tells them. Since 25.05 the paths stand beside the patterns.

    Before, SLURM expands some symbols of a pattern and leaves others: where any are left, squeue is to be asked.
    """
    if record.get("batch_flag") is False:
        return None, None  # no batch script: its output goes to somebody's terminal
    expanded = "stdout_expanded" in record
    names = ("stdout_expanded", "stderr_expanded") if expanded else ("standard_output", "standard_error")
    out, err = (str(record.get(name) or "") for name in names)
    if not out or (not expanded and may_be_pattern(out + err)):
        return None, None
    workdir = _workdir(record)
    return os.path.join(workdir, out), os.path.join(workdir, err or out)


def _accounted_outputs(record: Record, job_id: JobId, reading: Reading) -> tuple[str | None, str | None]:
    """Return stdout and stderr. Accounting keeps patterns since 24.05; before, SLURM's default has to do."""
    workdir = _workdir(record)
    if "stdout" in record:
        names = ("stdout_expanded", "stderr_expanded") if reading.expanded else ("stdout", "stderr")
        out, err = (str(record.get(name) or "") for name in names)
    else:
        out, err = default_pattern(job_id) if workdir else "", ""
    if not out:
        return None, None
    facts = PathFacts(
        job_id,
        str(record["name"] or ""),
        str(record.get("user") or ""),
        first_node(str(record.get("nodes") or "")),
        workdir,
        str(record["job_id"]),
        reading.version,
    )
    expanded = reading.expanded and "stdout" in record
    return placed(out, facts, expanded=expanded), placed(err or out, facts, expanded=expanded)


def _exit_code(value: Any) -> int | None:
    """Read the status that wait(2) gave, or `{return_code, signal}`."""
    if isinstance(value, Mapping) and "return_code" in value:
        signal = value.get("signal") or {}
        status, number = _number(value["return_code"]), _number(signal.get("id", signal.get("signal_id")))
        return None if status is None and not number else ended_with(int(status or 0), int(number or 0))
    status = _number(value)
    return None if status is None else wait_status(f"{status:.0f}")
