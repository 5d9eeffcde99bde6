"""The fixture `house`: a reconciler of the test's own, with its directory of watchers, its state, and jobs.

`house_anywhere` is the same, once on this machine and once with everything going over a real sshd.

Transport and state are the real ones of this machine. Jobs are either real local processes (`submit`), or lines in a
list whose outputs are files that the test writes (`Jobs`), so that a test can end, requeue and forget them at will.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parts.core import LOG
from parts.waiting import eventually
from reconciler import app
from reconciler.engine.controller import Controller, PassReport
from reconciler.engine.once import Once
from reconciler.engine.parts import Host
from reconciler.engine.pump import Pump
from reconciler.errors import AccountingUnavailableError, PermanentActionError, ReconcilerError
from reconciler.events import Event
from reconciler.model import LOCALHOST, HostName, Job, JobId, JobState, MetricPoint, Watcher
from reconciler.protocols import EventFilter, OutsideAction, Sink, StateReading, Submission
from reconciler.settings import Settings
from reconciler.state import open_readonly

#: Sleeps up to this many seconds pass at once on a stepped clock: the engine's short waits within a pass.
SHORT = 6.0


class SteppedClock:
    """protocols.Clock that stands still until it is stepped; short sleeps step it by themselves."""

    def __init__(self, at: float | None = None) -> None:
        self.at = at if at is not None else time.time()

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        if seconds > SHORT:
            await asyncio.Event().wait()
        self.at += max(0.0, seconds)
        await asyncio.sleep(0)


class Jobs:
    """A list of jobs with output files, as a scheduler that fails or forgets when it is told to."""

    def __init__(self, home: Path, clock: SteppedClock | None = None, host: HostName = LOCALHOST) -> None:
        self.host = host
        self.listed: dict[JobId, Job] = {}
        self._home, self._clock = home, clock
        self.failing: ReconcilerError | None = None
        self.forgetful = ""  # why its accounting does not answer
        self.cancelled: list[str] = []

    def _now(self) -> float:
        return self._clock.now() if self._clock else time.time()

    def add(self, job_id: str = "1", **fields: Any) -> Path:
        """Let a job run, and return its output file, which is not there yet."""
        out = self._home / f"{self.host}-{job_id}.out"
        now = self._now()
        whole: dict[str, Any] = {
            "name": "train", "user": "ada", "state": JobState.RUNNING, "stdout": str(out), "stderr": str(out),
            "submitted": now - 2, "started": now - 1, **fields,
        }  # fmt: skip
        self.listed[JobId(job_id)] = Job(self.host, JobId(job_id), **whole)
        return out

    def change(self, job_id: str = "1", **fields: Any) -> None:
        """Let the scheduler say something else of a job."""
        self.listed[JobId(job_id)] = replace(self.listed[JobId(job_id)], **fields)

    def finish(self, job_id: str = "1", state: JobState = JobState.COMPLETED, **fields: Any) -> None:
        """Let a job have ended a while ago."""
        self.change(job_id, state=state, raw_state=state.value.upper(), ended=self._now() - 100, **fields)

    def forget(self, job_id: str = "1") -> None:
        """Let the scheduler know nothing of a job any more."""
        del self.listed[JobId(job_id)]

    async def jobs(self, since: float | None) -> tuple[Job, ...]:
        self._answer()
        if self.forgetful and since is not None:
            raise self._lacking(self.listed.values())
        return tuple(self.listed.values())

    async def lookup(self, ids: Sequence[JobId]) -> Mapping[JobId, Job]:
        self._answer()
        found = {job_id: self.listed[job_id] for job_id in ids if job_id in self.listed}
        if self.forgetful and len(found) < len(ids):
            raise self._lacking(found.values())
        return found

    def _lacking(self, listed: Iterable[Job]) -> AccountingUnavailableError:
        error = AccountingUnavailableError(self.forgetful)
        error.listed = tuple(listed)
        return error

    def _answer(self) -> None:
        if self.failing is not None:
            raise self.failing

    async def cancel(self, job: Job, reason: str) -> str:
        self._answer()
        self.cancelled.append(job.id)
        self.finish(job.id, JobState.CANCELLED)
        return f"job {job.id} was cancelled"

    async def signal(self, job: Job, signal: str) -> str:
        raise PermanentActionError("a listed job has no processes")

    async def requeue(self, job: Job) -> str:
        self.change(job.id, state=JobState.PENDING, raw_state="REQUEUED", restarts=job.restarts + 1)
        return f"job {job.id} was requeued"

    async def script(self, job: Job) -> bytes:
        return b"#!/bin/sh\n"

    async def submit(self, submission: Submission) -> JobId:
        raise PermanentActionError("a list of jobs takes none")

    async def release(self, job_id: JobId) -> None:
        raise PermanentActionError("a list of jobs holds none")

    async def account(self) -> str:
        return "ada"


class House:
    """One reconciler: `watchers` is its directory, `home` holds all it has. Settings are a user's, as values."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.home = home
        self.watchers = home / "watchers.d"
        self.watchers.mkdir(parents=True, exist_ok=True)
        self.outputs = home / "outputs"
        self.outputs.mkdir(exist_ok=True)
        local = {"type": "local", "directory": str(home / "jobs"), "kill_grace": 1}
        written: dict[str, Any] = {
            "hosts": {"localhost": {"scheduler": local}},
            "state": {"path": str(home / "state.db")},
            "engine": {"discovery_interval": 1, "source_interval": 0.2, "end_grace": 0.1},
        }
        for key, value in settings.items():
            written[key] = {**written.get(key, {}), **value} if isinstance(value, dict) else value
        self.written = written
        self.settings = Settings.model_validate(written)
        self.clock: SteppedClock | None = None
        self.scheduler: Jobs | None = None
        self.actions: dict[str, OutsideAction] = {}

    # --- what a user does ---

    def write(self, name: str = "w", /, file: str = "", **fields: Any) -> Path:
        """Write a watcher's file as a user does: it looks for `hit` and logs, unless `fields` say otherwise."""
        spec = {"name": name, "pattern": "hit", "actions": [LOG], **fields}
        path = self.watchers / (file or f"{name}.yaml")
        path.write_text(json.dumps({key: value for key, value in spec.items() if value is not None}))
        self._settle(path)
        return path

    def _settle(self, path: Path) -> None:
        """Let the file have been written a while ago, so that one look is enough to take it."""
        for each in (path, path.parent):
            past = time.time() - 10
            os.utime(each, (past, past))

    def remove(self, name: str = "w") -> None:
        """Delete a watcher's file."""
        (self.watchers / f"{name}.yaml").unlink()
        self._settle(self.watchers)

    def with_jobs(self, clock: SteppedClock | None = None) -> Jobs:
        """Take listed jobs in place of local processes, and a clock that the test steps."""
        self.clock = clock or SteppedClock()
        self.scheduler = Jobs(self.outputs, self.clock)
        return self.scheduler

    # --- running it ---

    @asynccontextmanager
    async def engine(
        self, named: Sequence[Path] | None = None, *, sinks: Sequence[Sink] = ()
    ) -> AsyncIterator[app.Engine]:
        """An engine over the directory of watchers."""
        named = named if named is not None else [self.watchers]
        async with app.engine(self.settings, named, sinks=sinks) as real:
            if self.scheduler is None and self.clock is None and not self.actions:
                yield real
                return
            parts = replace(real.parts, actions={**real.parts.actions, **self.actions})
            if self.scheduler is not None:
                transport = real.parts.hosts[LOCALHOST].transport
                parts = replace(parts, hosts={LOCALHOST: Host(LOCALHOST, transport, self.scheduler)})
            if self.clock is not None:
                parts = replace(parts, clock=self.clock)
            controller, pump = Controller(parts, real.identity), Pump(parts)
            yield app.Engine(parts, real.identity, controller, Once(parts, controller, pump), pump)

    async def once(self, approve: str = "", named: Sequence[Path] | None = None) -> PassReport:
        """One pass by a process of its own, as under cron."""
        async with self.engine(named) as engine:
            return await engine.once.run(approve=approve)

    @asynccontextmanager
    async def daemon(self, named: Sequence[Path] | None = None) -> AsyncIterator[app.Engine]:
        """A daemon that runs while the block does, and is stopped in order."""
        async with self.engine(named) as engine:
            running = asyncio.create_task(engine.daemon.run())
            try:
                yield engine
            finally:
                engine.daemon.stop()
                await asyncio.wait_for(running, 15)

    async def submit(self, script: str, *, wait: bool = True, **options: str) -> JobId:
        """Start a local job; `wait`: return when it has ended."""
        async with self.host() as host:
            text = f"#!/bin/sh\n{script}\n".encode()
            job_id = await host.scheduler.submit(Submission(script=text, options=options, held=False))
            if wait:
                await eventually(lambda: self._ended(host, job_id))
            return job_id

    async def cancel_all(self) -> None:
        """End every local job that is left."""
        async with self.host() as host:
            for job in await host.scheduler.jobs(None):
                await host.scheduler.cancel(job, "")

    @asynccontextmanager
    async def host(self) -> AsyncIterator[Host]:
        """The machine with its local jobs."""
        host = app.make_host(LOCALHOST, self.settings)
        try:
            yield host
        finally:
            await host.transport.close()

    @staticmethod
    async def _ended(host: Host, job_id: JobId) -> bool:
        return (await host.scheduler.lookup([job_id]))[job_id].state.ended

    # --- what came of it ---

    @contextmanager
    def state(self) -> Iterator[StateReading]:
        """The state, read beside whoever writes it."""
        with closing(open_readonly(app.state_path(self.settings))) as reader:
            yield reader

    def rows(self, name: str | None = None) -> tuple[Watcher, ...]:
        """The watchers in the state."""
        with self.state() as state:
            return state.watchers(name=name)

    def row(self, name: str = "w") -> Watcher:
        """The only watcher of a name."""
        (watcher,) = self.rows(name)
        return watcher

    def events(self, *kinds: str, watcher: str | None = None) -> tuple[Event, ...]:
        """Events, of these kinds (`watcher.triggered`) where some are given."""
        types = tuple(f"reconciler.{kind}.v1" for kind in kinds)
        with self.state() as state:
            return state.events(EventFilter(types=types, watcher=watcher, limit=1_000_000))

    def matched(self, name: str | None = None) -> list[str]:
        """The texts that triggered, in order."""
        return [str(event.matched_text) for event in self.events("watcher.triggered", watcher=name)]

    def done(self, name: str | None = None) -> list[str]:
        """What actions said, in order."""
        return [event.action_result for event in self.events("action.succeeded", watcher=name)]

    def metrics(self, job_id: str = "1", name: str | None = None) -> tuple[MetricPoint, ...]:
        """The stored points of a job."""
        key = Job(LOCALHOST, JobId(job_id), "", "", JobState.RUNNING).key
        with self.state() as state:
            return state.metrics(key, name)

    def lines(self) -> list[dict[str, Any]]:
        """The events file, every line of it."""
        return [json.loads(line) for line in app.events_path(self.settings).read_text().splitlines()]

    # --- as a command ---

    def config(self) -> Path:
        """The settings as a file."""
        path = self.home / "settings.yaml"
        path.write_text(json.dumps(self.written))
        path.chmod(0o600)
        return path

    def argv(self, *words: str) -> list[str]:
        """The words of a command of this reconciler."""
        return [sys.executable, "-m", "reconciler", "--config", str(self.config()), *words]

    def run(self, *words: str, timeout: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.argv(*words), capture_output=True, text=True, timeout=timeout, env={**os.environ, **env}, cwd=self.home
        )


class Sourced(House):
    """A house whose watchers come from the sources of its settings alone."""

    @asynccontextmanager
    async def engine(
        self, named: Sequence[Path] | None = None, *, sinks: Sequence[Sink] = ()
    ) -> AsyncIterator[app.Engine]:
        async with super().engine(named or (), sinks=sinks) as made:
            yield made


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A reconciler without watchers and jobs."""
    return House(tmp_path)


@pytest.fixture(params=["here", pytest.param("over ssh", marks=pytest.mark.ssh)])
def house_anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    """A reconciler without watchers and jobs, by each way to its only host."""
    if request.param == "here":
        return House(tmp_path)
    way = request.getfixturevalue("sshd").settings().model_dump(mode="json", exclude_none=True)
    local = {"type": "local", "directory": str(tmp_path / "jobs"), "kill_grace": 1}
    return House(tmp_path, hosts={"localhost": {"transport": way, "scheduler": local}})
