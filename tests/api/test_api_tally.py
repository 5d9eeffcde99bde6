"""Counts that are kept up to date agree with counting everything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api import tally
from reconciler.api.reading import Reading
from reconciler.api.tally import DAY, HOUR, Tally
from reconciler.engine.clock import SystemClock
from reconciler.events import Event, EventType
from reconciler.model import JobId, WatcherId
from reconciler.protocols import Batch, StateReading, Statistics
from reconciler.settings import StateSettings
from reconciler.state import open_state

NOW = 1.8e9


def an_event(watcher: int, type_: EventType = EventType.ACTION_SUCCEEDED, action: str = "notify") -> Event:
    return Event(type_, NOW, "s", WatcherId(watcher), f"w{watcher}", JobId("1"), "h", action_type=action)


@pytest.fixture
async def reading(tmp_path: Path) -> AsyncIterator[Reading]:
    with_state = open_state(tmp_path / "state.db", StateSettings(), clock=SystemClock())
    reading = Reading(tmp_path / "state.db", 1.0)
    reading.write = with_state  # type: ignore[attr-defined]
    yield reading
    await reading.close()
    with_state.close()


def commit(reading: Reading, *events: Event) -> None:
    reading.write.commit(Batch(events=events))  # type: ignore[attr-defined]


async def whole(reading: Reading) -> Statistics:
    return await reading.ask(lambda state: state.statistics(NOW - HOUR))


async def test_counts_grow_with_what_happens(reading: Reading) -> None:
    counts = Tally()
    assert (await counts.read(reading, NOW)).actions == {}
    commit(reading, an_event(1), an_event(2), an_event(1, EventType.ACTION_FAILED))
    assert await counts.read(reading, NOW) == await whole(reading)
    commit(reading, an_event(2), an_event(2), an_event(3, EventType.WATCHER_TRIGGERED, ""))
    found = await counts.read(reading, NOW)
    assert found == await whole(reading)
    assert [(top[0], top[3]) for top in found.busiest] == [(2, 3), (1, 2)]


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
async def test_many_events_are_counted_in_pieces(reading: Reading, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(tally, "PIECE", piece)
    asked: list[object] = []
    ask = reading.ask

    def counting(work: Callable[[StateReading], Any]) -> Awaitable[Any]:
        asked.append(work)
        return ask(work)

    monkeypatch.setattr(reading, "ask", counting)
    counts = Tally()
    for _ in range(2):
        commit(reading, *(an_event(number % 3) for number in range(7)))
        asked.clear()
        found = await counts.read(reading, NOW)
        assert len(asked) == 1 + max(1, -(-7 // piece))
        assert found == await whole(reading)


async def test_only_the_busiest_are_told(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "BUSIEST", 2)
    commit(reading, *(an_event(number) for number in (1, 2, 2, 3, 3, 3)))
    assert [top[0] for top in (await Tally().read(reading, NOW)).busiest] == [3, 2]


async def test_what_retention_took_is_forgotten_within_a_day(reading: Reading) -> None:
    counts = Tally()
    old = replace(an_event(1), at=NOW - 10 * HOUR)
    commit(reading, old, old, an_event(1))
    await counts.read(reading, NOW)
    reading.write.purge(NOW, events=HOUR, metrics=HOUR, watchers=HOUR)  # type: ignore[attr-defined]
    assert sum((await counts.read(reading, NOW + 1)).actions.values()) == 3
    assert sum((await counts.read(reading, NOW + DAY + 1)).actions.values()) == 1


@given(st.lists(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["a", "b"])), max_size=4), max_size=4))
def test_adding_up_is_counting(batches: list[list[tuple[int, str]]]) -> None:
    counts = Tally()
    seq = 0
    for batch in batches:
        seq += len(batch)
        actions: dict[tuple[str, str], int] = {}
        times: dict[int, int] = {}
        for watcher, action in batch:
            actions[action, "failed"] = actions.get((action, "failed"), 0) + 1
            times[watcher] = times.get(watcher, 0) + 1
        counts._add(Statistics(actions=actions, seq=seq, busiest=tuple((w, "1", "w", n) for w, n in times.items())))
    every = [pair for batch in batches for pair in batch]
    assert sum(counts._actions.values()) == sum(counts._times.values()) == len(every)
    assert counts._seq == seq
