"""What tests of actions share: a context as the dispatcher makes it, a scheduler that lives in memory, a canary.

The transport is the real one of this machine, so commands are real processes.
"""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import ReconcilerError
from reconciler.logic.substitution import builtin_values, render_params
from reconciler.model import (
    LOCALHOST,
    HostName,
    Job,
    JobId,
    JobState,
    Match,
    Origin,
    Trigger,
    TriggerKind,
    Watcher,
    WatcherId,
    WatcherName,
)
from reconciler.protocols import ActionContext, Scheduler, Submission, Transport
from reconciler.transports.local import LocalTransport

ME = getpass.getuser()


@dataclass
class MemoryScheduler:
    """A scheduler without processes: it remembers what was asked, in order, and fails where `failing` says so."""

    host: HostName = LOCALHOST
    known: dict[JobId, Job] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    failing: dict[str, ReconcilerError] = field(default_factory=dict)
    me: str = ME
    text: bytes = b"#!/bin/sh\necho hello\n"

    def _asked(self, what: str, whom: str = "") -> None:
        self.asked.append((what, whom))
        if what in self.failing:
            raise self.failing.pop(what)

    def verbs(self) -> list[str]:
        """Return what was asked that changes something."""
        return [verb for verb, _ in self.asked if verb not in ("jobs", "lookup", "script", "account")]

    async def jobs(self, since: float | None) -> tuple[Job, ...]:
        self._asked("jobs")
        return tuple(self.known.values())

    async def lookup(self, ids: Sequence[JobId]) -> Mapping[JobId, Job]:
        self._asked("lookup", ",".join(ids))
        return {job_id: self.known[job_id] for job_id in ids if job_id in self.known}

    async def cancel(self, job: Job, reason: str) -> str:
        self._asked("cancel", job.id)
        if job.id in self.known:
            self.known[job.id] = replace(self.known[job.id], state=JobState.CANCELLED)
        return f"job {job.id} was cancelled"

    async def signal(self, job: Job, signal: str) -> str:
        self._asked("signal", f"{job.id} {signal}")
        return f"sent {signal} to job {job.id}"

    async def requeue(self, job: Job) -> str:
        self._asked("requeue", job.id)
        return f"job {job.id} was requeued"

    async def script(self, job: Job) -> bytes:
        self._asked("script", job.id)
        return self.text

    async def submit(self, submission: Submission) -> JobId:
        self._asked("submit", submission.comment)
        self.submissions.append(submission)
        new = JobId(str(1000 + len(self.submissions)))
        self.known[new] = a_job(id=new, state=JobState.PENDING, comment=submission.comment)
        return new

    async def release(self, job_id: JobId) -> None:
        self._asked("release", job_id)
        self.known[job_id] = replace(self.known[job_id], state=JobState.RUNNING)

    async def account(self) -> str:
        self._asked("account")
        return self.me


def a_job(**changes: Any) -> Job:
    """Return a running job of ours."""
    return replace(Job(LOCALHOST, JobId("123"), "train", ME, JobState.RUNNING, submitted=1000.0), **changes)


def a_watcher(source: str = "directory:/etc/watchers.d", name: str = "Watch") -> Watcher:
    """Return an active watcher of job 123."""
    return Watcher(
        WatcherId(7), WatcherName(name), a_job().key, "train", "digest", Origin(source, "a.yaml", 1), created_at=900.0
    )


def a_trigger(values: Mapping[str, str | None] | None = None) -> Trigger:
    """Return a match trigger with these captures."""
    text = "loss 5.73"
    match = Match(text, 3, 40, captures=values or {})
    return Trigger(TriggerKind.MATCH, 2000.0, {"0": text, **(values or {})}, match)


def a_context(
    params: Mapping[str, Any],
    values: Mapping[str, str | None] | None = None,
    *,
    transport: Transport,
    scheduler: Scheduler | None = None,
    job: Job | None = None,
    watcher: Watcher | None = None,
    repeat: bool = False,
    mark: str = "0123456789ab.42",
    tail: Callable[[int], Awaitable[str]] | None = None,
) -> ActionContext:
    """Return what the dispatcher hands to an action: `params` as written, and rendered with `values`."""
    job = job or a_job()
    watcher = watcher or a_watcher()
    known = {**(values or {}), **builtin_values(job, watcher.name)}
    return ActionContext(
        watcher=watcher,
        job=job,
        trigger=a_trigger(values),
        params=render_params(params, known),
        template=params,
        values=known,
        transport=transport,
        scheduler=scheduler or MemoryScheduler(),
        mark=mark,
        repeat=repeat,
        tail=tail,
    )


@pytest.fixture
async def this_machine() -> AsyncIterator[LocalTransport]:
    """The real transport of this machine."""
    local = LocalTransport(LOCALHOST)
    yield local
    await local.close()


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """A job's working directory with the files that the examples name."""
    directory = tmp_path / "work"
    for name in ("checkpoints/epoch1.pt", "backups/old", "milestones/old", "model.pt", "best_model.pt", "log.txt"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(f"{name}\n")
    return directory
