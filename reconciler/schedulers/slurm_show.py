"""What `scontrol show job` prints (also with `--oneliner`), read into jobs. Pure.

`slurm_kept` hands over what a site keeps of it. Names and comments are printed as they are: where one makes a second
meaning of a record possible, all of it is refused. Times are of the zone of the machine that printed them.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Mapping
from datetime import tzinfo

from reconciler.errors import SchedulerUnavailableError
from reconciler.model import HostName, Job, JobId, JobState
from reconciler.schedulers.slurm_parse import NO_TASK
from reconciler.schedulers.slurm_paths import followed, may_be_pattern
from reconciler.schedulers.slurm_states import exit_code, job_state
from reconciler.schedulers.slurm_times import epoch, limit_seconds

_RECORD = re.compile(r"^(?=JobId=)", re.MULTILINE)
#: A key of scontrol, which ends the value before it; each stands at the start of a line or behind a space.
_KEY = re.compile(r"(?:^|(?<=[ \n]))([A-Z][A-Za-z:/]*)[=:]", re.ASCII)
#: Keys whose value is the rest of its line, whatever it holds.
_FREE = frozenset({"JobName", "Command", "WorkDir", "StdErr", "StdIn", "StdOut", "Comment", "AdminComment"})
#: Where all stands on one line, such a value ends before one of these.
_BEHIND_NAME = frozenset({"UserId"})
_BEHIND = frozenset(
    {
        *("WorkDir", "Comment", "AdminComment", "SystemComment", "StdErr", "StdIn", "StdOut", "Power", "Switches"),
        *("TresPerNode", "TresPerJob", "SubmitLine", "Container", "MailUser", "CpusPerTres"),
    }
)
#: What stands in a record once, and what stands nowhere but before the name.
_ONCE = frozenset({"JobId", "JobName", "UserId", "JobState", "StdOut", "StdErr", "WorkDir"})
_BEFORE_NAME = frozenset({"ArrayJobId", "ArrayTaskId", "HetJobId", "HetJobOffset"})
_NEEDED = ("JobId", "JobName", "UserId", "JobState")
_NOTHING = frozenset({"", "(null)", "N/A", "None", "Unknown"})
_USER = re.compile(r"(?P<name>.*)\(\d+\)", re.DOTALL)
_ID = re.compile(r"\d+", re.ASCII)


def shown_jobs(text: bytes, host: HostName, zone: tzinfo | None = None) -> Iterator[Job]:
    """Yield the jobs; what waits of an array is left out. SchedulerUnavailableError for anything that is no job."""
    seen = set()
    for record in _RECORD.split(text.decode(errors="surrogateescape")):
        facts = _facts(record) if record.strip() else {}
        job = _job(facts, host, zone) if facts else None
        if job is None:
            continue
        if job.id in seen:
            raise SchedulerUnavailableError(f"job {job.id} stands there twice")
        seen.add(job.id)
        yield job


def _facts(record: str) -> Mapping[str, str]:
    """Return key -> value."""
    facts: dict[str, str] = {}
    lines = record.rstrip().split("\n")
    for line in lines:
        for key, value in _pairs(line.strip(" \r"), alone=len(lines) == 1):
            if (key in _ONCE and key in facts) or (key in _BEFORE_NAME and "JobName" in facts):
                said = facts.get("JobId", "?")[:40]
                raise SchedulerUnavailableError(f"what is said of job {said} can be read in two ways, by its {key}")
            facts[key] = value
    missing = [key for key in _NEEDED if key not in facts]
    if missing:
        raise SchedulerUnavailableError(f"what is said of job {facts.get('JobId', '?')[:40]} has no {missing[0]}")
    return facts


def _pairs(line: str, *, alone: bool) -> Iterator[tuple[str, str]]:
    """Yield the keys of a line with their values; `alone`: the whole record stands on it."""
    keys = list(_KEY.finditer(line))
    while keys:
        found, *keys = keys
        if found[1] in _FREE:
            ends = _BEHIND_NAME if found[1] == "JobName" else _BEHIND
            behind = (number for number, key in enumerate(keys) if alone and key[1] in ends)
            keys = keys[next(behind, len(keys)) :]
        yield found[1], line[found.end() : keys[0].start() if keys else None].strip(" ")


def _job(facts: Mapping[str, str], host: HostName, zone: tzinfo | None) -> Job | None:
    job_id = _id(facts)
    if job_id is None:
        return None
    state = job_state(facts["JobState"])
    who = _USER.fullmatch(facts["UserId"])
    user = who["name"] if who else facts["UserId"]
    stdout, stderr = _outputs(facts)
    restarts = facts.get("Restarts", "")
    return Job(
        host=host,
        id=job_id,
        name=facts["JobName"],
        user=user,
        state=state,
        raw_state=facts["JobState"],
        stdout=followed(stdout),
        stderr=followed(stderr),
        workdir=_value(facts, "WorkDir") or None,
        submitted=epoch(facts.get("SubmitTime", ""), zone),
        started=epoch(facts.get("StartTime", ""), zone) if state is not JobState.PENDING else None,
        ended=epoch(facts.get("EndTime", ""), zone) if state.ended else None,
        time_limit=limit_seconds(facts.get("TimeLimit", "")),
        partition=_value(facts, "Partition"),
        account=_value(facts, "Account"),
        qos=_value(facts, "QOS"),
        comment=_value(facts, "Comment"),
        command=_value(facts, "Command"),
        exit_code=exit_code(facts.get("ExitCode", "")) if state.ended else None,
        restarts=int(restarts) if restarts.isdigit() else 0,
    )


def _id(facts: Mapping[str, str]) -> JobId | None:
    """Return `123`, `123_4` or `123+1`; None for what waits of an array."""
    ids = [facts["JobId"], facts.get("ArrayJobId", "0"), facts.get("HetJobId", "0"), facts.get("HetJobOffset", "0")]
    if not all(_ID.fullmatch(each) for each in ids):
        raise SchedulerUnavailableError(f"SLURM printed {facts['JobId'][:80]!r} where a job id belongs")
    if "ArrayTaskId" in facts:
        task = facts["ArrayTaskId"]
        return JobId(f"{ids[1]}_{task}") if _ID.fullmatch(task) and task != NO_TASK else None
    return JobId(f"{ids[2]}+{ids[3]}" if "HetJobId" in facts else ids[0])


def _outputs(facts: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return stdout and stderr; None, None where they may be patterns, and nothing here says so: ask squeue."""
    workdir, out = _value(facts, "WorkDir"), _value(facts, "StdOut")
    err = _value(facts, "StdErr") or out
    if not out or may_be_pattern(out + err) or facts.get("BatchFlag") == "0":
        return None, None
    return os.path.join(workdir, out), os.path.join(workdir, err)


def _value(facts: Mapping[str, str], key: str) -> str:
    text = facts.get(key, "")
    return "" if text in _NOTHING else text
