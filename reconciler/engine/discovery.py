"""Keeps the set of known jobs equal to what the schedulers say: one list call per host and look.

Not knowing is not the same as gone: a host or scheduler that does not answer changes nothing here but its own mark.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.engine.parts import Host, Parts
from reconciler.errors import HostUnreachableError, UnavailableError
from reconciler.events import Event, EventType
from reconciler.model import HostName, Job, JobKey, JobState
from reconciler.protocols import Batch, Committed, KnownJob, StateReading, StateWriting

log = logging.getLogger(__name__)

#: What the state keeps of each host: when it was listed, why it does not answer, since when it does or does not.
_FACTS = ("listed", "unreachable", "since")


@dataclass(slots=True)
class Seen:
    """What one look at all hosts came to. `changed`: jobs that are new or not as they were."""

    changed: set[JobKey] = field(default_factory=set)
    unreachable: dict[HostName, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """How the newest listing of a host went. `layer`: what did not answer, `host` or `scheduler`; empty: it answered.

    `since`: when that began to be so (None: not known); `at`: when it was listed last, `took` (seconds) how long that
    was, as far as this process has asked.
    """

    since: float | None = None
    at: float | None = None
    took: float | None = None
    layer: str = ""


class Discovery:
    """The jobs of all hosts, as they were first seen and as they are now."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.known: dict[JobKey, KnownJob] = {}
        self.unreachable: dict[HostName, str] = {}
        self._listed: dict[HostName, float | None] = {}
        self._since: dict[HostName, float] = {}
        self._took: dict[HostName, float] = {}
        self._layers: dict[HostName, str] = {}

    async def load(self) -> None:
        """Take over what the state remembers."""

        def look_up(state: StateReading) -> tuple[tuple[KnownJob, ...], list[dict[HostName, str | None]]]:
            facts = [{host: state.fact(f"{kind}:{host}") for host in self._parts.hosts} for kind in _FACTS]
            return state.jobs(), facts

        jobs, (listed, marks, since) = await self._parts.state.run(look_up)
        self.known = {job.now.key: job for job in jobs}
        self._listed = {host: float(at) if at else None for host, at in listed.items()}
        self.unreachable = {host: reason for host, reason in marks.items() if reason}
        self._since = {host: float(at) for host, at in since.items() if at}

    def listing(self, host: HostName) -> Listing:
        """Return how the newest listing of a host went."""
        layer = self._layers.get(host, "host") if host in self.unreachable else ""
        return Listing(self._since.get(host), self._listed.get(host), self._took.get(host), layer)

    async def look(self) -> Seen:
        """List the jobs of every host, all hosts at once, and record what changed."""
        seen = Seen()
        hosts = list(self._parts.hosts.values())
        answers = await asyncio.gather(*(self._ask(host) for host in hosts))
        for host, answer in zip(hosts, answers, strict=True):
            if isinstance(answer, UnavailableError):
                seen.unreachable[host.name] = answer.message
                await self._mark(host.name, answer.message, isinstance(answer, HostUnreachableError))
            else:
                seen.changed |= await self._record(host.name, *answer)
        return seen

    async def _ask(self, host: Host) -> tuple[list[Job], float] | UnavailableError:
        """Return the jobs of one host, those that left its list included, and when they were listed."""
        now, began = self._parts.clock.now(), self._parts.clock.monotonic()
        try:
            listed = {job.key: job for job in await host.scheduler.jobs(self._listed.get(host.name))}
            left = [
                key for key, job in self.known.items()
                if key.host == host.name and not job.now.state.ended and not job.finished and key not in listed
            ]  # fmt: skip
            found = await host.scheduler.lookup([key.id for key in left]) if left else {}
        except UnavailableError as error:
            return error
        for key in left:
            gone = replace(self.known[key].now, state=JobState.UNKNOWN, raw_state="UNKNOWN", ended=now)
            listed[key] = found.get(key.id, gone)
        self._took[host.name] = self._parts.clock.monotonic() - began
        return list(listed.values()), now

    async def _record(self, host: HostName, jobs: Iterable[Job], now: float) -> set[JobKey]:
        changed = {}
        for job in jobs:
            merged = self._merge(job, now)
            if merged is not None:
                changed[job.key] = merged
        facts = {f"listed:{host}": repr(now)}
        events: tuple[Event, ...] = ()
        if self.unreachable.pop(host, None) is not None:
            facts[f"unreachable:{host}"] = ""
            events = (Event(EventType.HOST_REACHABLE, now, host, hostname=host),)
        if events or host not in self._since:
            self._since[host] = now
            facts[f"since:{host}"] = repr(now)
        if changed or events or self._listed.get(host) is None or now - (self._listed[host] or 0) > 1:
            await self._commit(Batch(jobs=tuple(k.now for k in changed.values()), facts=facts, events=events))
        self._listed[host] = now
        self.known.update(changed)
        return set(changed)

    def _merge(self, job: Job, now: float) -> KnownJob | None:
        """Return the job as known from now on; None where nothing changed."""
        known = self.known.get(job.key)
        if known is None or not _same(known.now, job):
            return KnownJob(job, job, now)
        job = replace(job, stdout=job.stdout or known.now.stdout, stderr=job.stderr or known.now.stderr)
        if job == known.now or (known.finished and job.state.ended):
            return None
        return KnownJob(known.first, job, now, finished=known.finished and job.state.ended)

    async def _mark(self, host: HostName, reason: str, transport: bool) -> None:
        layer = self._layers[host] = "host" if transport else "scheduler"
        if host in self.unreachable:
            self.unreachable[host] = reason
            return
        self.unreachable[host] = reason
        log.warning("%s: %s", host, reason)
        now = self._since[host] = self._parts.clock.now()
        event = Event(
            EventType.HOST_UNREACHABLE, now, host, hostname=host, action_result=reason, success=False,
            data={"layer": layer},
        )  # fmt: skip
        facts = {f"unreachable:{host}": reason, f"since:{host}": repr(now)}
        await self._commit(Batch(facts=facts, events=(event,)))

    async def finish(self, keys: Iterable[JobKey]) -> None:
        """Record jobs whose output was read to its end, or that nobody watches, as done with."""
        done = tuple(key for key in keys if key in self.known and not self.known[key].finished)
        if done:
            await self._commit(Batch(finished=done))
            self.known.update({key: replace(self.known[key], finished=True) for key in done})

    async def _commit(self, batch: Batch) -> Committed:
        def work(state: StateWriting) -> Committed:
            return state.commit(batch)

        return await self._parts.state.run(work)

    def forget(self, present: Mapping[JobKey, KnownJob]) -> None:
        """After retention: drop what the state no longer has."""
        self.known = {key: job for key, job in self.known.items() if key in present}


def _same(known: Job, job: Job) -> bool:
    """Tell a job that goes on (also requeued) from another one that was given its id again."""
    if not known.state.ended or job.restarts > known.restarts:
        return True
    return known.submitted == job.submitted or None in (known.submitted, job.submitted)
