"""Which hosts answer, since when, and why not: what listings of jobs and looks at outputs came to, marked in the state.

`discovery` tells it of every listing, the daemon of every host whose outputs cannot be looked at. A host is marked
while either fails, and each change of that is one event. It decides nothing: an outage ends no watcher.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.engine.parts import Parts
from reconciler.events import Event, EventType
from reconciler.model import HostName
from reconciler.protocols import Batch, StateReading, StateWriting

log = logging.getLogger(__name__)

#: The fact `lacking:HOST`: why a host could not tell of jobs that its scheduler has forgotten, else empty.
LACKING = "lacking"
#: The layer of a host whose jobs are listed but for those that its scheduler has forgotten.
ACCOUNTING = "accounting"
#: The layer of a host whose outputs cannot be looked at though its jobs may be listed: a file system that hangs.
OUTPUTS = "outputs"


@dataclass(frozen=True, slots=True)
class Listing:
    """How the newest listing of a host went. `layer`: what does not answer, `host`, `scheduler`, `outputs` or
    `accounting`; or empty.

    `since`: when that began to be so (None: not known); `at`: when it was listed last, `took` (seconds) how long that
    was, as far as this process has asked; `every` (seconds): how often it is asked at present.
    """

    since: float | None = None
    at: float | None = None
    took: float | None = None
    layer: str = ""
    every: float | None = None


class Answering:
    """The marks of all hosts. `unreachable` has the reason of each host that is marked; `lacking`, why a host that is
    not could not tell of all its jobs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.unreachable: dict[HostName, str] = {}
        self.lacking: dict[HostName, str] = {}
        self.since: dict[HostName, float] = {}
        self._listing: dict[HostName, tuple[str, str]] = {}  # layer and reason
        self._outputs: dict[HostName, str] = {}

    def load(self, state: StateReading) -> None:
        """Take over what the state remembers."""
        marks = {host: state.fact(f"unreachable:{host}") for host in self._parts.hosts}
        since = {host: state.fact(f"since:{host}") for host in self._parts.hosts}
        lacking = {host: state.fact(f"{LACKING}:{host}") for host in self._parts.hosts}
        self.unreachable = {host: reason for host, reason in marks.items() if reason}
        self.since = {host: float(at) for host, at in since.items() if at}
        self.lacking = {host: reason for host, reason in lacking.items() if reason}

    def layer(self, host: HostName) -> str:
        """Return what does not answer; empty where all does."""
        if host not in self.unreachable:
            return ACCOUNTING if host in self.lacking else ""
        if host in self._listing:
            return self._listing[host][0]
        return OUTPUTS if host in self._outputs else "host"

    async def not_listed(self, host: HostName, layer: str, reason: str) -> str:
        """Mark a host whose jobs could not be listed; return the reason without the host's name."""
        self._listing[host] = (layer, _bare(host, reason))
        await self._mark(host)
        return self.unreachable[host]

    async def not_seen(self, host: HostName, reason: str) -> None:
        """Mark a host whose outputs cannot be looked at."""
        self._outputs[host] = _bare(host, reason)
        await self._mark(host)

    async def seen(self, host: HostName) -> None:
        """Its outputs were looked at again."""
        if self._outputs.pop(host, None) is not None and host not in self._listing:
            await self._commit(*self._cleared(host, self._parts.clock.now()))

    def listed(self, host: HostName, now: float, lacking: str = "") -> tuple[Mapping[str, str], tuple[Event, ...]]:
        """Its jobs were listed, but for what is `lacking`: return the facts and events to commit along with them."""
        self._listing.pop(host, None)
        facts = self._lacks(host, lacking)
        if host in self._outputs:
            self.unreachable[host] = self._outputs[host]
            return facts, ()
        cleared, events = self._cleared(host, now)
        return {**facts, **cleared}, events

    def _lacks(self, host: HostName, reason: str) -> dict[str, str]:
        """Mark that a host could not tell of all its jobs, or could (empty); return the fact, where it is new."""
        known = self.lacking.pop(host, "")
        if reason:
            self.lacking[host] = reason
        if bool(reason) == bool(known):
            return {}
        if reason:
            log.warning("%s: %s", host, reason)
        return {f"{LACKING}:{host}": reason}

    def _cleared(self, host: HostName, now: float) -> tuple[dict[str, str], tuple[Event, ...]]:
        was_marked = self.unreachable.pop(host, None) is not None
        if not was_marked and host in self.since:
            return {}, ()
        self.since[host] = now
        facts = {f"since:{host}": repr(now), **({f"unreachable:{host}": ""} if was_marked else {})}
        return facts, (Event(EventType.HOST_REACHABLE, now, host, hostname=host),) if was_marked else ()

    async def _mark(self, host: HostName) -> None:
        reason = self._listing[host][1] if host in self._listing else self._outputs[host]
        if host in self.unreachable:
            self.unreachable[host] = reason
            return
        log.warning("%s: %s", host, reason)
        now = self._parts.clock.now()
        event = Event(
            EventType.HOST_UNREACHABLE, now, host, hostname=host, action_result=reason, success=False,
            data={"layer": self._listing[host][0] if host in self._listing else OUTPUTS},
        )  # fmt: skip
        await self._commit({f"unreachable:{host}": reason, f"since:{host}": repr(now)}, (event,))
        self.unreachable[host], self.since[host] = reason, now

    async def _commit(self, facts: Mapping[str, str], events: tuple[Event, ...]) -> None:
        batch = Batch(facts=dict(facts), events=events)

        def work(state: StateWriting) -> None:
            state.commit(batch)

        if facts or events:
            await self._parts.state.run(work)


def _bare(host: HostName, reason: str) -> str:
    """Return a reason without the host's name, which what shows it puts in front."""
    return reason.removeprefix(f"{host}: ")
