"""Jobs of a machine without SLURM: processes that outlive us, kept in a directory on their host.

`app` makes one for each host whose scheduler is `local`; `reconcile run` submits through it. Any transport will do.
It refuses what only a cluster can do (requeue).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from reconciler.errors import PermanentActionError, SchedulerUnavailableError
from reconciler.model import HostName, Job, JobId
from reconciler.protocols import Submission, Transport
from reconciler.registry import Plugin
from reconciler.schedulers.batch_options import refuse_empty
from reconciler.schedulers.calls import answer, checked_id
from reconciler.schedulers.local_jobs import JobRecord, Place, new_record, read_listing
from reconciler.schedulers.local_scripts import (
    ALLOCATE,
    CANCEL,
    LAUNCH,
    LAUNCH_PROGRAMS,
    LIST,
    READ,
    RECORD,
    SIGNAL,
)
from reconciler.settings import Duration, Section

#: Seconds that an ended job is listed whatever was asked, as slurmctld does by default: clocks of hosts differ.
MEMORY = 300.0
_SIGNAL = re.compile(r"(SIG)?(?P<name>[A-Z][A-Z0-9]{0,9})", re.ASCII)


class LocalSchedulerSpec(Section):
    """`scheduler: {type: local}`: processes that `reconcile run` started."""

    type: Literal["local"] = "local"
    directory: str | None = None  # on the host; None: $XDG_STATE_HOME/reconciler/jobs there
    kill_grace: Duration = 5.0  # seconds between TERM and KILL
    timeout: Duration = 30.0  # seconds that one call may take


class LocalScheduler:
    """See `protocols.Scheduler`. `users` empty: our own account's jobs, which are all there can be."""

    def __init__(
        self,
        host: HostName,
        transport: Transport,
        settings: LocalSchedulerSpec | None = None,
        users: Sequence[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.host = host
        self._transport = transport
        self._settings = settings or LocalSchedulerSpec()
        self._users = frozenset(users)
        self._now = now
        self._account = ""
        self._directory = self._settings.directory or ""
        self._seen = False

    async def jobs(self, since: float | None) -> tuple[Job, ...]:
        """Return the jobs, ended ones where they ended after `since` or in the last minutes; one call."""
        age = MEMORY if since is None else MEMORY + max(0.0, self._now() - since)
        found = await self._list(str(int(age)))
        wanted = self._users
        return tuple(job for job in found if not wanted or "*" in wanted or job.user in wanted)

    async def lookup(self, ids: Sequence[JobId]) -> Mapping[JobId, Job]:
        """Return these jobs; one that has no directory is left out."""
        if not ids:
            return {}
        return {job.id: job for job in await self._list("", *map(checked_id, ids))}

    async def cancel(self, job: Job, reason: str) -> str:
        """End the process group: TERM, KILL after `kill_grace`. Returns when it is gone."""
        grace = max(1, round(self._settings.kill_grace))
        word = await self._sh(CANCEL, await self._home(job.id), str(grace), extra=grace + 5.0)
        said = {
            b"cancelled": f"job {job.id} was cancelled",
            b"pending": f"job {job.id} was cancelled before it started",
            b"ended": f"job {job.id} had ended",
            b"unknown": f"job {job.id} had ended, and is not known any more",
        }
        return said.get(word.strip(), f"job {job.id} was cancelled")

    async def signal(self, job: Job, signal: str) -> str:
        """Send a signal to the job's process group."""
        found = _SIGNAL.fullmatch(signal)
        if not found:
            raise PermanentActionError(f"{signal[:40]!r} is no signal", remedy="write USR1, TERM, ...")
        word = await self._sh(SIGNAL, await self._home(job.id), found["name"])
        if word.strip() != b"sent":
            raise PermanentActionError(f"job {job.id} is not running")
        return f"sent {found['name']} to job {job.id}"

    async def requeue(self, job: Job) -> str:
        """Refuse: a local job has no queue to go back to."""
        raise PermanentActionError(f"job {job.id} is a local process and cannot be requeued", remedy="use resubmit")

    async def script(self, job: Job) -> bytes:
        """Return the script as it was submitted."""
        return await self._sh(READ, await self._known(job.id), "script")

    async def submit(self, submission: Submission) -> JobId:
        """Write the job down, and start it unless it is held. Options that only a cluster understands do nothing."""
        refuse_empty(submission.options)
        printed = await self._sh(ALLOCATE, self._settings.directory or "", stdin=submission.script)
        directory, job_id, node, home = printed.decode(errors="surrogateescape").split("\0")[:4]
        self._directory = directory
        place = Place(directory, JobId(job_id), node, home)
        record = new_record(submission, place, await self.account(), self._now())
        await self._sh(RECORD, f"{directory}/{job_id}", record.line())
        if not submission.held:
            await self._launch(place.id, record)
        return place.id

    async def release(self, job_id: JobId) -> None:
        """Start a held job; one that was started or cancelled already stays as it is."""
        text = await self._sh(READ, await self._known(job_id), "job.json")
        await self._launch(job_id, JobRecord.model_validate_json(text))

    async def account(self) -> str:
        """Return our account's name; asked once."""
        if not self._account:
            named = await answer(self._transport, ["id", "-un"], timeout=self._settings.timeout)
            self._account = named.decode().strip()
        return self._account

    async def _launch(self, job_id: JobId, record: JobRecord) -> None:
        limit = "" if record.limit is None else str(max(1, round(record.limit)))
        grace = str(max(1, round(self._settings.kill_grace)))
        mode = "append" if record.append else "truncate"
        facts = (job_id, record.name, record.workdir, record.stdout, record.stderr, mode, limit, grace)
        await self._sh(LAUNCH, await self._home(job_id), *LAUNCH_PROGRAMS, *facts, *record.arguments)

    async def _list(self, age: str, *ids: str) -> tuple[Job, ...]:
        text = await self._sh(LIST, self._settings.directory or "", age, *ids)
        there = text.startswith(b"directory yes\n")
        if self._seen and not there:  # a home that is not mounted just now is no empty list
            raise SchedulerUnavailableError(f"the jobs directory on {self.host} has vanished")
        self._seen = self._seen or there
        return read_listing(text, self.host)

    async def _known(self, job_id: JobId) -> str:
        """Return the directory of a job that is there."""
        if not await self.lookup([job_id]):
            raise PermanentActionError(f"job {job_id} is not known any more")
        return await self._home(job_id)

    async def _home(self, job_id: str) -> str:
        """Return the job's directory on the host."""
        if not self._directory:
            where = 'printf %s "${XDG_STATE_HOME:-$HOME/.local/state}/reconciler/jobs"'
            self._directory = (await self._sh(where)).decode(errors="surrogateescape")
        return f"{self._directory}/{checked_id(job_id)}"

    async def _sh(self, program: str, *arguments: str, stdin: bytes = b"", extra: float = 0.0) -> bytes:
        """Run one of our own programs. What comes from outside is an argument of it, never part of its text."""
        timeout = self._settings.timeout + extra
        return await answer(self._transport, ["sh", "-c", program, "sh", *arguments], stdin=stdin, timeout=timeout)


PLUGIN = Plugin(name="local", spec=LocalSchedulerSpec, factory=LocalScheduler)
