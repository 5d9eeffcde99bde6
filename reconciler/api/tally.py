"""Counts of what happened, kept up to date: with millions of events, only those since the last question are counted.

Asked by `GET /api/watchers/stats`. What retention takes is forgotten once a day. Many
events are counted in pieces, so that other questions come in between.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from dataclasses import replace
from functools import partial

from reconciler.api.reading import Reading
from reconciler.protocols import StateReading, Statistics

HOUR, DAY = 3600.0, 86400.0
#: Events counted in one piece: tenths of a second.
PIECE = 100_000
#: How many of the busiest watchers are told.
BUSIEST = 10


def _counted(state: StateReading, since: float, after: int) -> Statistics:
    return state.statistics(since, after_seq=after, most=1_000_000, span=PIECE)  # all that acted since


class Tally:
    """The counts so far."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._begun: float | None = None
        self._seq = 0
        self._actions: Counter[tuple[str, str]] = Counter()
        self._times: Counter[int] = Counter()
        self._who: dict[int, tuple[str, str]] = {}

    async def read(self, reading: Reading, now: float) -> Statistics:
        """Return the counts as of now (seconds since the epoch). Raises StateError."""
        async with self._lock:
            if self._begun is None or now - self._begun > DAY:
                self._forget(now)
            newest = await reading.ask(lambda state: state.last_seq())
            while newest - self._seq > PIECE:
                self._add(await reading.ask(partial(_counted, since=now, after=self._seq)))
            fresh = await reading.ask(partial(_counted, since=now - HOUR, after=self._seq))
            self._add(fresh)
            busiest = heapq.nlargest(BUSIEST, self._times.items(), key=lambda pair: (pair[1], -pair[0]))
            told = tuple((id_, *self._who[id_], count) for id_, count in busiest)
            return replace(fresh, actions=dict(self._actions), busiest=told)

    def _forget(self, now: float) -> None:
        self._begun, self._seq = now, 0
        self._actions.clear()
        self._times.clear()
        self._who.clear()

    def _add(self, fresh: Statistics) -> None:
        self._seq = fresh.seq
        self._actions.update(fresh.actions)
        for watcher_id, job_id, name, count in fresh.busiest:
            self._times[watcher_id] += count
            self._who[watcher_id] = (job_id, name)
