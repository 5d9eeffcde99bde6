"""When each host is asked for its jobs next: `discovery` tells of every answer, `logic.pacing` decides.

The state keeps how often a slow or silent scheduler is asked, for `status`; it survives nothing else.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable

from reconciler.engine.parts import Parts
from reconciler.logic.pacing import Pace
from reconciler.model import HostName
from reconciler.protocols import StateReading

#: The fact `asked_every:HOST`: seconds between two listings while its scheduler is slow or silent, else empty.
ASKED_EVERY = "asked_every"
#: Not the generator of the module, which a test in another thread has seeded and watches.
_DICE = random.Random()  # noqa: S311 - only spreads questions


class Turns:
    """Times are of the clock's `monotonic`. `dice`: random numbers from 0 to 1."""

    def __init__(self, parts: Parts, dice: Callable[[], float] = _DICE.random) -> None:
        self._parts, self._dice = parts, dice
        self._paces: dict[HostName, Pace] = defaultdict(Pace)
        self._due: dict[HostName, float] = {}
        self._told: dict[HostName, str] = {}

    def load(self, state: StateReading) -> None:
        """Take over what the state says, so that it is changed where it is not so any more."""
        self._told = {host: state.fact(f"{ASKED_EVERY}:{host}") or "" for host in self._parts.hosts}

    def answered(self, host: HostName, took: float) -> None:
        """Its scheduler answered, after `took` seconds."""
        self._paces[host] = self._paces[host].answered(took)
        self._next(host)

    def silent(self, host: HostName) -> None:
        """Its scheduler did not answer."""
        self._paces[host] = self._paces[host].silent()
        self._next(host)

    def unreached(self, host: HostName) -> None:
        """The question did not come so far: no burden on its scheduler, and the transport has a patience of its own."""
        self._next(host)

    def due(self, host: HostName) -> float:
        """Return when it is the host's turn; in the past where it was never asked."""
        return self._due.get(host, 0.0)

    def every(self, host: HostName) -> float:
        """Return the seconds between two questions at present."""
        engine = self._parts.settings.engine
        return self._paces[host].interval(engine.discovery_interval, engine.max_stretch)

    def to_tell(self, host: HostName) -> dict[str, str]:
        """Return the fact that says how often the host is asked, where the state says something else."""
        every = self.every(host)
        text = f"{every:.0f}" if every > self._parts.settings.engine.discovery_interval else ""
        return {} if self._told.get(host, "") == text else {f"{ASKED_EVERY}:{host}": text}

    def was_told(self, host: HostName, facts: dict[str, str]) -> None:
        """What `to_tell` returned is committed."""
        self._told[host] = facts.get(f"{ASKED_EVERY}:{host}", self._told.get(host, ""))

    def _next(self, host: HostName) -> None:
        engine = self._parts.settings.engine
        wait = self._paces[host].wait(engine.discovery_interval, engine.max_stretch, self._dice())
        self._due[host] = self._parts.clock.monotonic() + wait
