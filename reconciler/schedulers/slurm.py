"""SLURM, through the commands that every cluster has: squeue, sacct, scancel, scontrol, sbatch.

`app` makes one for each host whose scheduler is `slurm`. However many jobs there are, a listing is one squeue, and one
sacct where slurmctld has forgotten what is asked about. It refuses to guess: a failed call is never an empty answer.
"""

from __future__ import annotations

import re
import time
from asyncio import to_thread  # reading a long answer takes seconds, in which others have their turn
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from reconciler.errors import AccountingUnavailableError, PermanentActionError, SchedulerUnavailableError
from reconciler.model import HostName, Job, JobId, JobState
from reconciler.protocols import Completed, Submission, Transport
from reconciler.registry import Plugin
from reconciler.schedulers import slurm_commands as commands
from reconciler.schedulers.calls import answer, call, checked_id, complaint
from reconciler.schedulers.slurm_kept import READ, kept_jobs
from reconciler.schedulers.slurm_parse import (
    KEEPS_OUTPUTS,
    SACCT_FIELDS,
    SACCT_OUTPUTS,
    Reading,
    array_rests,
    may_be_rest,
    sacct_jobs,
    squeue_jobs,
)
from reconciler.schedulers.slurm_times import zone
from reconciler.settings import Duration, Section

#: Ids in one call: a command line has room for so many.
_IDS = 1000
#: A listing of a hundred thousand jobs.
_LISTING_BYTES = 256 * 1024 * 1024
#: Seconds that the clocks of two hosts may differ.
_SKEW = 300.0
#: Seconds in which slurmdbd hears of the end of a job, at the latest.
_LATE = 600.0
_SIGNAL = re.compile(r"(SIG)?(?P<name>[A-Z][A-Z0-9]{0,9}|[1-9][0-9]?)", re.ASCII)
#: How squeue and scontrol word ESLURM_INVALID_JOB_ID; their exit status is the same for everything.
_NO_SUCH_JOB = "Invalid job id specified"
#: What squeue says of a user whose name cannot be looked up, and what sacct says.
_NO_SUCH_USER = b"Invalid user: "
_NOBODY = re.compile(r"Invalid user id: (\S+)")
#: The same of scontrol, also for a task of an array that is known, and for a part of a heterogeneous job.
_UNKNOWN = re.compile(rf"{_NO_SUCH_JOB}|\bJob \S+ not found")


class SlurmSpec(Section):
    """`scheduler: {type: slurm}`."""

    type: Literal["slurm"] = "slurm"
    programs: str | None = None  # directory of squeue, sbatch, ... on the host; None: they are on its PATH
    timeout: Duration = 60.0  # seconds that one call may take
    listing: str | None = None  # file on the host in which the site keeps the list of jobs; None: squeue is asked
    listing_age: Duration = 300.0  # an older one counts as no answer


class SlurmScheduler:
    """See `protocols.Scheduler`. `users` empty: our own account's jobs; `*`: everybody's."""

    def __init__(
        self,
        host: HostName,
        transport: Transport,
        settings: SlurmSpec | None = None,
        users: Sequence[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.host = host
        self._transport = transport
        settings = settings or SlurmSpec()
        self._programs, self._timeout = settings.programs, settings.timeout
        self._listing, self._listing_age = settings.listing, settings.listing_age
        self._detailed: frozenset[JobId] = frozenset()  # squeue was asked for their outputs, which that list lacks
        self._rests: Mapping[tuple[JobId, float | None], bool] = {}  # what scontrol told of those that may be
        self._users = tuple(users)
        self._now = now
        self._unended: dict[JobId, float] = {}  # since when slurmctld does not know them, and accounting not their end
        self._account = ""
        self._version: tuple[int, int] | None = None
        self._config: Mapping[str, str] = {}

    async def jobs(self, since: float | None) -> tuple[Job, ...]:
        """List by one squeue, or by the list that the site keeps; by one sacct too, where some jobs may have ended and
        been forgotten after `since`.

        What slurmctld remembers of ended jobs is listed whatever `since` is: minutes, usually.
        """
        users = () if "*" in self._users else self._users or (await self.account(),)
        listed = await self._squeue(users=users) if self._listing is None else await self._kept(self._listing, users)
        found = {job.id: job for job in listed}
        if since is not None and await self._forgotten(since):
            for job in await self._sacct(found, users=users, seconds=int(self._now() - since + _SKEW)):
                if job.state.ended and (job.ended or 0.0) >= since - _SKEW:
                    found.setdefault(job.id, job)
        return tuple(found.values())

    async def lookup(self, ids: Sequence[JobId]) -> Mapping[JobId, Job]:
        """Ask slurmctld, and accounting for what slurmctld does not know.

        Where both know nothing of some, scontrol must say so of one: a squeue that prints nothing is not believed.
        """
        found: dict[JobId, Job] = {}
        for some in _portions([checked_id(job_id) for job_id in ids]):
            found.update({job.id: job for job in await self._squeue(ids=some)})
        missing = [job_id for job_id in ids if job_id not in found]
        if missing and await self._accounting():
            for some in _portions(missing):
                told = await self._sacct(found, ids=some)
                found.update({job.id: job for job in told if job.id in missing and not self._lost(job)})
        unknown = next((job_id for job_id in missing if job_id not in found), None)
        if unknown is not None:
            await self._confirm_unknown(unknown)
        return {job_id: found[job_id] for job_id in ids if job_id in found}

    async def cancel(self, job: Job, reason: str) -> str:
        """Cancel by scancel, which says nothing of a job that has ended: so it is looked at first."""
        known = (await self.lookup([job.id])).get(job.id)
        if known is None or known.state.ended:
            return f"job {job.id} had ended"
        await self._do("scancel", checked_id(job.id))
        return f"job {job.id} was cancelled"

    async def signal(self, job: Job, signal: str) -> str:
        """Send a signal to the batch script, its children and its steps."""
        found = _SIGNAL.fullmatch(signal)
        if not found:
            raise PermanentActionError(f"{signal[:40]!r} is no signal", remedy="write USR1, TERM, ...")
        await self._do("scancel", "--full", f"--signal={found['name']}", checked_id(job.id))
        return f"sent {found['name']} to job {job.id}"

    async def requeue(self, job: Job) -> str:
        """Put the job back into the queue."""
        await self._do("scontrol", "requeue", checked_id(job.id))
        return f"job {job.id} was requeued"

    async def script(self, job: Job) -> bytes:
        """Return the script as slurmctld keeps it; PermanentActionError where it has forgotten it."""
        done = await self._do("scontrol", "write", "batch_script", checked_id(job.id), "-")
        if not done.stdout.strip():  # scontrol ends with 0 for an unknown job too
            raise PermanentActionError(f"the script of job {job.id} is not known any more: {complaint(done)}")
        return done.stdout

    async def submit(self, submission: Submission) -> JobId:
        """Submit the script, given on standard input."""
        done = await self._do(*commands.sbatch(submission), stdin=submission.script)
        number = commands.submitted_id(done.stdout.decode(errors="replace"))
        if number is None:
            raise SchedulerUnavailableError(f"sbatch on {self.host} gave no job id: {complaint(done)}")
        return JobId(number)

    async def release(self, job_id: JobId) -> None:
        """Let a held job run; one that runs already, or ended, was released before."""
        try:
            await self._do("scontrol", "release", checked_id(job_id))
        except PermanentActionError:
            job = (await self.lookup([job_id])).get(job_id)
            if job is None or job.state is JobState.PENDING:
                raise

    async def account(self) -> str:
        """Return our account's name; asked once."""
        if not self._account:
            named = await answer(self._transport, ["id", "-un"], timeout=self._timeout)
            self._account = named.decode().strip()
        return self._account

    async def _squeue(self, *, users: Sequence[str] = (), ids: Sequence[str] = ()) -> list[Job]:
        reading = Reading(self.host, await self._slurm_version())
        question = commands.squeue(users=users, ids=ids, expand=reading.expanded)
        done = await self._ask(question)
        if done.status != 0 and ids and _NO_SUCH_JOB in complaint(done):
            return []  # said only of a single id; of several, those that are not known are passed over
        text = self._whole("squeue", done)
        if users and done.stderr.count(_NO_SUCH_USER) >= len(users):  # and ends with 0, as if they had no jobs
            raise SchedulerUnavailableError(
                f"squeue on {self.host} knows none of the users {', '.join(users)}"[:300],
                remedy="see whether `id USER` knows them there: who looks names up may be away",
            )
        jobs = await to_thread(lambda: list(squeue_jobs(text, question.separator, reading)))
        return await self._without_rests(jobs, all_of_them=not ids)

    async def _without_rests(self, jobs: Sequence[Job], *, all_of_them: bool) -> list[Job]:
        """Leave out what waited of arrays and was cancelled: one call of scontrol tells it, asked once for each."""
        asked = {(job.id, job.submitted) for job in jobs if may_be_rest(job)}
        told = {each: rest for each, rest in self._rests.items() if each in asked or not all_of_them}
        if new := asked - told.keys():
            done = await self._ask(commands.Question(("scontrol", "--all", "--oneliner", "show", "job")))
            rests = array_rests(self._whole("scontrol", done))
            told |= {each: each[0] in rests for each in new}
        self._rests = told
        return [job for job in jobs if not told.get((job.id, job.submitted), False)]

    def _lost(self, job: Job) -> bool:
        """Tell whether accounting will not learn the end of this job, which slurmctld does not know.

        slurmdbd hears of ends late when it was away. A job that slurmctld lost stays RUNNING there for ever.
        """
        if job.state.ended:
            self._unended.pop(job.id, None)
            return False
        since = self._unended.setdefault(job.id, self._now())
        if job.started is not None and job.time_limit is not None:
            since = min(since, job.started + job.time_limit)
        return self._now() - since >= _LATE

    async def _confirm_unknown(self, job_id: JobId) -> None:
        """Return where slurmctld says that it does not know this job; else raise SchedulerUnavailableError."""
        done = await call(self._transport, self._placed(("scontrol", "show", "job", job_id)), timeout=self._timeout)
        if not (done.status and _UNKNOWN.search(complaint(done))):
            said = complaint(done) if done.status else "scontrol shows it"
            raise SchedulerUnavailableError(
                f"squeue on {self.host} tells nothing of job {job_id}, scontrol not that there is none: {said[:200]}",
                remedy="see whether `squeue` works there, and which SLURM it asks",
            )

    async def _kept(self, path: str, users: Sequence[str]) -> list[Job]:
        """Return the users' jobs by the list that the site keeps. SchedulerUnavailableError for an old one."""
        done = await call(self._transport, ("sh", "-c", READ, "sh", path), timeout=self._timeout, limit=_LISTING_BYTES)
        first, _, text = self._whole(f"reading {path}", done).partition(b"\n")
        age, _, offset = first.partition(b" ")
        if not age.lstrip(b"-").isdigit() or int(age) > self._listing_age:
            raise SchedulerUnavailableError(
                f"{path} on {self.host} is {age[:20].decode(errors='replace')} s old",
                remedy="see what keeps it, or raise `listing_age` of the host's scheduler",
            )
        there = zone(offset.decode(errors="replace"))
        try:
            kept = await to_thread(kept_jobs, text, self.host, there)
        except SchedulerUnavailableError as error:
            raise SchedulerUnavailableError(f"{path} on {self.host}: {error.message}", remedy=error.remedy) from error
        return await self._with_outputs([job for job in kept if not users or job.user in users])

    async def _with_outputs(self, jobs: Sequence[Job]) -> list[Job]:
        """Ask squeue for the outputs that a kept list does not tell: for all new jobs in one call, once for each."""
        unsaid = (job for job in jobs if job.stdout is None or job.outputs_assumed)
        lacking = [job.id for job in unsaid if job.state is JobState.RUNNING]
        unasked = [job_id for job_id in lacking if job_id not in self._detailed]
        found: dict[JobId, Job] = {}
        for some in _portions([checked_id(job_id) for job_id in unasked]):
            found.update({job.id: job for job in await self._squeue(ids=some)})
        self._detailed = frozenset(lacking)
        told = ((job, found.get(job.id, job)) for job in jobs)
        return [
            replace(job, stdout=by.stdout, stderr=by.stderr, outputs_assumed=by.outputs_assumed) for job, by in told
        ]

    async def _sacct(
        self,
        found: Mapping[JobId, Job],
        *,
        users: Sequence[str] = (),
        ids: Sequence[str] = (),
        seconds: int | None = None,
    ) -> list[Job]:
        """Ask accounting, beside what slurmctld told. AccountingUnavailableError has that, where there is no answer."""
        try:
            return await self._asked_of_accounting(users, ids, seconds)
        except SchedulerUnavailableError as error:
            lacking = AccountingUnavailableError(error.message, remedy=error.remedy)
            lacking.listed = tuple(found.values())
            raise lacking from error

    async def _asked_of_accounting(self, users: Sequence[str], ids: Sequence[str], seconds: int | None) -> list[Job]:
        reading = Reading(self.host, await self._slurm_version())
        fields = (*(SACCT_OUTPUTS if reading.version >= KEEPS_OUTPUTS else ()), *SACCT_FIELDS)
        question = commands.sacct(fields, users=users, ids=ids, seconds=seconds, expand=reading.expanded)
        done = await self._ask(question)
        nobody = _NOBODY.search(complaint(done)) if done.status else None
        others = [user for user in users if nobody and user != nobody[1]]
        if 0 < len(others) < len(users):  # sacct tells nothing of anybody where one name cannot be looked up
            return await self._asked_of_accounting(others, ids, seconds)
        text = self._whole("sacct", done)
        return await to_thread(lambda: list(sacct_jobs(text, question.separator, fields, reading)))

    async def _ask(self, question: commands.Question) -> Completed:
        return await call(self._transport, self._placed(question.argv), timeout=self._timeout, limit=_LISTING_BYTES)

    def _placed(self, argv: Sequence[str]) -> Sequence[str]:
        return argv if self._programs is None else commands.placed(argv, self._programs)

    def _whole(self, program: str, done: Completed) -> bytes:
        if done.status != 0 or done.cut:
            said = "it printed too much" if done.cut else complaint(done)
            raise SchedulerUnavailableError(f"{program} on {self.host} failed: {said}")
        return done.stdout

    async def _do(self, *argv: str, stdin: bytes = b"") -> Completed:
        """Run what changes something. Where it fails, slurmctld is asked whether it is there: outage or refusal."""
        done = await call(self._transport, self._placed(argv), stdin=stdin, timeout=self._timeout)
        if done.status == 0:
            return done
        ping = await call(self._transport, self._placed(("scontrol", "ping")), timeout=self._timeout)
        if ping.status != 0:
            raise SchedulerUnavailableError(f"{argv[0]} on {self.host} failed: {complaint(done)}")
        raise PermanentActionError(f"{argv[0]} failed: {complaint(done)}")

    async def _slurm_version(self) -> tuple[int, int]:
        if self._version is None:
            text = await answer(self._transport, self._placed(("squeue", "--version")), timeout=self._timeout)
            self._version = commands.version(text.decode(errors="replace"))
        return self._version

    async def _forgotten(self, since: float) -> bool:
        """Tell whether slurmctld may have forgotten jobs that ended after `since`, and accounting knows them."""
        if not await self._accounting():
            return False
        found = re.match(r"\d+", self._config.get("MinJobAge", ""))
        if found and not int(found[0]):
            return False  # it forgets nothing
        return self._now() - since >= (float(found[0]) if found else 0.0)

    async def _accounting(self) -> bool:
        """Tell whether accounting is kept; asked once."""
        if not self._config:
            text = await answer(self._transport, self._placed(("scontrol", "show", "config")), timeout=self._timeout)
            self._config = commands.config(text.decode(errors="replace"))
        storage = self._config.get("AccountingStorageType", "")
        return storage.rpartition("/")[2] not in ("", "none", "(null)")


def _portions(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[first : first + _IDS] for first in range(0, len(ids), _IDS)]


PLUGIN = Plugin(name="slurm", spec=SlurmSpec, factory=SlurmScheduler)
