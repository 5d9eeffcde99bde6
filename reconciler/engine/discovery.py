"""Keeps the set of known jobs equal to what the schedulers say: one list call per host and turn.

Not knowing is not the same as gone: a host or scheduler that does not answer changes nothing here but its own mark.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.engine.answering import Answering, Listing
from reconciler.engine.parts import Host, Parts
from reconciler.engine.turns import Turns
from reconciler.errors import AccountingUnavailableError, HostUnreachableError, UnavailableError
from reconciler.model import HostName, Job, JobKey, JobState
from reconciler.protocols import Batch, Committed, KnownJob, StateReading, StateWriting
from reconciler.schedulers.auto import AutoScheduler

#: The longest sleep (seconds) between two looks at whose turn it is: the clock may run otherwise than the event loop's.
NAP = 0.5
#: Seconds by which two answers may differ on when one job was submitted: some are rounded.
ROUNDING = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """The jobs of one host, and when it was asked. `lacking`: why those its scheduler forgot are not told."""

    jobs: Sequence[Job]
    at: float
    lacking: str = ""


#: What one host told, or why it did not.
Answer = Told | UnavailableError


@dataclass(slots=True)
class Seen:
    """What one look at all hosts came to. `changed`: jobs that are new or not as they were; `lacking`: hosts that could
    not tell of all jobs, and why."""

    changed: set[JobKey] = field(default_factory=set)
    unreachable: dict[HostName, str] = field(default_factory=dict)
    lacking: dict[HostName, str] = field(default_factory=dict)


class Discovery:
    """The jobs of all hosts, as they were first seen and as they are now."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.known: dict[JobKey, KnownJob] = {}
        self.turn = 0  # counts changes of `known`
        self.answering = Answering(parts)
        self._turns = Turns(parts)
        self.heard: set[HostName] = set()  # hosts whose newest answer, of this process, is among `known`
        self._listed: dict[HostName, float | None] = {}
        self._took: dict[HostName, float] = {}
        self._asking: dict[HostName, asyncio.Task[Answer]] = {}
        self._once_more: set[HostName] = set()  # those to be asked again after the answer that is on its way
        self._answered = asyncio.Event()
        #: Called when a host has answered that a look no longer waited for: `look` has its answer now.
        self.on_late: Callable[[], None] = lambda: None

    async def load(self) -> None:
        """Take over what the state remembers."""

        def look_up(state: StateReading) -> tuple[tuple[KnownJob, ...], dict[HostName, str | None]]:
            self.answering.load(state)
            self._turns.load(state)
            recall_schedulers(self._parts.hosts.values(), state)
            return state.jobs(), {host: state.fact(f"listed:{host}") for host in self._parts.hosts}

        jobs, listed = await self._parts.state.run(look_up)
        self.known = {job.now.key: job for job in jobs}
        self.turn += 1
        self._listed = {host: float(at) if at else None for host, at in listed.items()}

    @property
    def unreachable(self) -> Mapping[HostName, str]:
        """Which hosts do not answer, and why."""
        return self.answering.unreachable

    def listing(self, host: HostName) -> Listing:
        """Return how the newest listing of a host went."""
        known, layer = self.answering.since.get(host), self.answering.layer(host)
        return Listing(known, self._listed.get(host), self._took.get(host), layer, self._turns.every(host))

    async def look(self, patience: float | None = None, *, ask: bool = True) -> Seen:
        """List the jobs of every host, all hosts at once, and record what changed.

        A host that takes longer than `patience` seconds (None: all are waited for) goes on being asked, and its answer
        is part of a later look: a host that hangs holds up no other. Without `ask` only such answers are taken.
        """
        if ask:
            for host in self._parts.hosts.values():
                self._start(host)
        try:
            if self._asking and ask:
                await asyncio.wait(self._asking.values(), timeout=patience)
        except asyncio.CancelledError:
            await self.end()
            raise
        seen = Seen()
        for name in [name for name, task in self._asking.items() if task.done()]:
            await self._take(name, self._asking.pop(name).result(), seen)
            if name in self._once_more:
                self._once_more.discard(name)
                self.ask_now(name)
        for task in self._asking.values():
            task.add_done_callback(self._late)
        return seen

    async def keep_asking(self) -> None:
        """Ask each host when it is its turn; `on_late` tells of each answer, `look` takes it. Ends by cancellation."""
        while True:
            self._answered.clear()
            try:
                async with asyncio.timeout(self._ask_those_due()):
                    await self._answered.wait()
            except TimeoutError:
                continue

    def ask_now(self, name: HostName) -> None:
        """Ask one host before its turn; where it is being asked, once more: what it says may be from before.

        A host that is not configured is left alone.
        """
        asking = self._asking.get(name)
        if asking is not None and not asking.done():
            self._once_more.add(name)
        elif (host := self._parts.hosts.get(name)) is not None:
            self._start(host).add_done_callback(self._late)

    def _ask_those_due(self) -> float | None:
        """Ask every host whose turn it is; return the seconds until the next turn. None: all are being asked."""
        waits = []
        for host in self._parts.hosts.values():
            wait = self._turns.due(host.name) - self._parts.clock.monotonic()
            task = self._asking.get(host.name)
            if task is not None and not task.done():
                continue
            if wait <= 0:
                self._start(host).add_done_callback(self._late)
            else:
                waits.append(wait)
        return min(*waits, NAP) if waits else None

    def _start(self, host: Host) -> asyncio.Task[Answer]:
        """Ask a host that is not being asked."""
        task = self._asking.get(host.name)
        if task is None or task.done():
            task = self._asking[host.name] = asyncio.create_task(self._ask(host), name=f"jobs of {host.name}")
            task.add_done_callback(lambda task: self._answered.set())
        return task

    async def end(self) -> None:
        """Ask no further."""
        asking, self._asking = list(self._asking.values()), {}
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _late(self, task: asyncio.Task[Answer]) -> None:
        if not task.cancelled():
            self.on_late()

    async def _take(self, host: HostName, answer: Answer, seen: Seen) -> None:
        if isinstance(answer, UnavailableError):
            self.heard.discard(host)
            layer = "host" if isinstance(answer, HostUnreachableError) else "scheduler"
            seen.unreachable[host] = await self.answering.not_listed(host, layer, answer.message)
            if pace := self._turns.to_tell(host):
                await self._commit(Batch(facts=pace))
                self._turns.was_told(host, pace)
        else:
            seen.changed |= await self._record(host, answer)
            if reason := self.answering.lacking.get(host):
                seen.lacking[host] = reason

    async def _ask(self, host: Host) -> Answer:
        """Return the jobs of one host, those that left its list included."""
        now, began = self._parts.clock.now(), self._parts.clock.monotonic()
        try:
            told = await self._told(host, now)
        except HostUnreachableError as error:
            self._turns.unreached(host.name)
            return error
        except UnavailableError as error:
            self._turns.silent(host.name)
            return error
        took = self._took[host.name] = self._parts.clock.monotonic() - began
        self._turns.answered(host.name, took)
        return told

    async def _told(self, host: Host, now: float) -> Told:
        """Return what one host tells. Without its accounting, jobs that left its list stay as they are known."""
        try:
            listed = {job.key: job for job in await host.scheduler.jobs(self._listed.get(host.name))}
        except AccountingUnavailableError as error:
            return Told(error.listed, now, error.message)
        left = {
            key: job.now for key, job in self.known.items()
            if key.host == host.name and not job.now.state.ended and not job.finished and key not in listed
        }  # fmt: skip
        try:
            found = await host.scheduler.lookup([key.id for key in left]) if left else {}
        except AccountingUnavailableError as error:
            return Told([*listed.values(), *error.listed], now, error.message)
        for key, job in left.items():
            gone = replace(job, state=JobState.UNKNOWN, raw_state="UNKNOWN", ended=now)
            listed[key] = found.get(key.id, gone)
        return Told(list(listed.values()), now)

    async def _record(self, host: HostName, told: Told) -> set[JobKey]:
        changed, now = {}, told.at
        for job in told.jobs:
            merged = self._merge(job, now)
            if merged is not None:
                changed[job.key] = merged
        facts, events = self.answering.listed(host, now, told.lacking)
        pace = self._turns.to_tell(host)
        before, auto = self._listed.get(host), self._parts.hosts[host].scheduler
        whole = {} if told.lacking else {f"listed:{host}": repr(now)}  # what is lacking is asked for again
        kind = {f"scheduler:{host}": auto.kind} if isinstance(auto, AutoScheduler) and auto.kind else {}
        facts = {**whole, **kind, **facts, **pace}
        if changed or events or before is None or abs(now - before) > 1:
            anew = frozenset(key for key, job in changed.items() if key in self.known and job.first is job.now)
            seen = tuple(job.now for job in changed.values())
            await self._commit(Batch(jobs=seen, anew=anew, facts=facts, events=events))
            self._turns.was_told(host, pace)
        if whole:
            self._listed[host] = now
        self.known.update(changed)
        self.turn += bool(changed)
        self.heard.add(host)
        return set(changed)

    def _merge(self, job: Job, now: float) -> KnownJob | None:
        """Return the job as known from now on; None where nothing changed."""
        known = self.known.get(job.key)
        if known is None or not _same(known.now, job):
            return KnownJob(job, job, now)
        stdout, stderr = job.stdout or known.now.stdout, job.stderr or known.now.stderr
        if job.outputs_assumed and (known.now.stdout or known.now.stderr):
            stdout, stderr = known.now.stdout, known.now.stderr
            job = replace(job, outputs_assumed=known.now.outputs_assumed)
        if (stdout, stderr) != (job.stdout, job.stderr):
            job = replace(job, stdout=stdout, stderr=stderr)
        over = known.finished and job.state.ended and job.restarts <= known.now.restarts
        if job == known.now or over:
            return None
        return KnownJob(known.first, job, now)

    async def finish(self, keys: Iterable[JobKey]) -> None:
        """Record jobs whose output was read to its end, or that nobody watches, as done with."""
        done = tuple(key for key in keys if key in self.known and not self.known[key].finished)
        if done:
            await self._commit(Batch(finished=done))
            self.known.update({key: replace(self.known[key], finished=True) for key in done})
            self.turn += 1

    async def _commit(self, batch: Batch) -> Committed:
        def work(state: StateWriting) -> Committed:
            return state.commit(batch)

        return await self._parts.state.run(work)

    def forget(self, present: Mapping[JobKey, KnownJob]) -> None:
        """After retention: drop what the state no longer has."""
        self.known = {key: job for key, job in self.known.items() if key in present}
        self.turn += 1


def recall_schedulers(hosts: Iterable[Host], state: StateReading) -> None:
    """Tell the schedulers that nobody named what an earlier process found them to be."""
    for host in hosts:
        if isinstance(host.scheduler, AutoScheduler):
            host.scheduler.before = state.fact(f"scheduler:{host.name}")


def _same(known: Job, job: Job) -> bool:
    """Tell a job that goes on (also requeued) from another one that was given its id again, its end seen or not.

    A requeued job gets a new time of submission, a moment after its restart was counted: so one that was ever restarted
    may have moved. One that never was is submitted once, by one user; but of a job that has ended accounting tells no
    restarts, so one of the same name goes on.
    """
    if None in (known.submitted, job.submitted) or known.submitted == job.submitted:
        return True
    if known.user != job.user:
        return False
    if job.restarts > known.restarts:
        return True
    if known.state.ended:
        return False
    if job.state.ended and job.name == known.name:
        return True
    return job.restarts == known.restarts > 0 or (job.submitted or 0.0) <= (known.submitted or 0.0) + ROUNDING
