"""What a local job's directory says, as values: what was submitted, and what became of it. Pure.

Written and read by `local`; the programs that keep the directory are in `local_scripts`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from reconciler.errors import SchedulerUnavailableError
from reconciler.model import HostName, Job, JobId, JobState
from reconciler.protocols import Submission
from reconciler.schedulers.batch_options import script_options, text_of
from reconciler.schedulers.slurm_paths import PathFacts, expand, followed
from reconciler.schedulers.slurm_times import limit_seconds

#: Seconds after its launch in which a supervisor must have written who it is; without that the job is lost.
_STARTING = 60.0


class JobRecord(BaseModel):
    """`job.json`. Paths are absolute; bytes that are not UTF-8 are kept by surrogateescape."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    user: str
    node: str
    submitted: float
    stdout: str
    stderr: str
    workdir: str
    comment: str = ""
    append: bool = False
    limit: float | None = None
    arguments: tuple[str, ...] = ()
    options: Mapping[str, str] = {}
    command: str = ""

    def line(self) -> str:
        """Return the record as one line of ASCII."""
        return json.dumps(self.model_dump())


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new job was put: the jobs directory, its id, the machine, our home there."""

    directory: str
    id: JobId
    node: str
    home: str


def new_record(submission: Submission, place: Place, user: str, now: float) -> JobRecord:
    """Return what is submitted; the options of the submission go over those in the script."""
    options = {**script_options(submission.script), **submission.options}
    workdir = text_of(options, "chdir") or submission.workdir or place.home
    name = text_of(options, "job-name") or "job"
    facts = PathFacts(place.id, name=name, user=user, node=place.node.split(".")[0], workdir=workdir)
    home = f"{place.directory}/{place.id}"
    output, error = text_of(options, "output"), text_of(options, "error")
    stdout = expand(output, facts) if output else f"{home}/output"
    return JobRecord(
        name=name,
        user=user,
        node=place.node,
        submitted=now,
        stdout=stdout,
        stderr=expand(error, facts) if error else stdout,  # one file, as with sbatch
        workdir=workdir,
        comment=submission.comment or text_of(options, "comment"),
        append=text_of(options, "open-mode").startswith("a"),
        limit=limit_seconds(text_of(options, "time")),
        arguments=submission.arguments,
        options={each: text_of(options, each) for each in options},
        command=text_of(options, "wrap"),
    )


def read_listing(text: bytes, host: HostName) -> tuple[Job, ...]:
    """Return the jobs of a listing. SchedulerUnavailableError where it is not whole."""
    lines = text.decode(errors="surrogateescape").split("\n")
    now = 0.0
    jobs: list[dict[str, str]] = []
    for line in lines:
        key, _, value = line.partition(" ")
        if key == "now":
            now = float(value)
        elif key == "job":
            jobs.append({"job": value})
        elif jobs:
            jobs[-1][key] = value
    return tuple(_jobs(jobs, host, now))


def _jobs(found: list[dict[str, str]], host: HostName, now: float) -> Iterator[Job]:
    for facts in found:
        try:
            record = JobRecord.model_validate(json.loads(facts["json"]))
            yield _job(JobId(facts["job"]), record, facts, host, now)
        except (KeyError, IndexError, ValueError) as error:
            raise SchedulerUnavailableError(f"the local jobs on {host} cannot be read: {error}") from error


def _job(job_id: JobId, record: JobRecord, facts: Mapping[str, str], host: HostName, now: float) -> Job:
    over = facts["exit"].split()
    payload = facts["payload"].split()
    state = _state(record, facts, now)
    return Job(
        host=host,
        id=job_id,
        name=record.name,
        user=record.user,
        state=state,
        raw_state=state.value.upper(),
        stdout=followed(record.stdout),
        stderr=followed(record.stderr),
        workdir=record.workdir,
        submitted=record.submitted,
        started=float(payload[3]) if payload else None,
        ended=float(over[1]) if over else None,
        time_limit=record.limit,
        comment=record.comment,
        command=record.command,
        exit_code=int(over[0]) if over else None,
    )


def _state(record: JobRecord, facts: Mapping[str, str], now: float) -> JobState:
    over = facts["exit"].split()
    if over:
        return _end_state(facts, int(over[0]))
    if facts["alive"]:
        return JobState.RUNNING
    if "launched" not in facts:
        return JobState.PENDING
    launched = facts["launched/at"]
    if not facts["supervisor"] and (not launched or now - float(launched) < _STARTING):
        return JobState.PENDING
    return JobState.UNKNOWN


def _end_state(facts: Mapping[str, str], status: int) -> JobState:
    if facts["cancelled"]:
        return JobState.CANCELLED
    if facts["timed-out"]:
        return JobState.TIMEOUT
    if status == 0:
        return JobState.COMPLETED
    return JobState.FAILED
