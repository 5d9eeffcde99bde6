"""How fast the state commits and answers. Run it with a directory on the disk in question; it only prints."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from reconciler.engine.clock import SystemClock
from reconciler.events import Event, EventType
from reconciler.model import (
    HostName,
    JobId,
    JobKey,
    Match,
    Memory,
    Origin,
    Position,
    StreamName,
    Watcher,
    WatcherId,
    WatcherName,
)
from reconciler.protocols import Advance, Batch, EventFilter
from reconciler.settings import Durability, StateSettings
from reconciler.state import open_state
from reconciler.state.write import StateWriter

KEY = JobKey(HostName("hpc1"), JobId("4711"))
NEW = Watcher(WatcherId(0), WatcherName("loss"), KEY, "train", "digest", Origin("directory", "a.yaml", 1))


def event(number: int) -> Event:
    """Return an event as a match makes it."""
    return Event(
        EventType.WATCHER_TRIGGERED,
        1.8e9 + number / 1000,
        "loss/4711@hpc1",
        WatcherId(1),
        "loss",
        KEY.id,
        KEY.host,
        matched_text=f"step {number} loss: 5.73",
        captured_vars={"step": str(number), "loss": "5.73"},
        data={"line": number, "offset": number * 40},
    )


def after(watcher: Watcher, number: int) -> Watcher:
    """Return the watcher one tick later."""
    position = Position(1, 2, number * 40, number, head=b"h" * 64, tail=b"t" * 64)
    match = Match("loss: 5.73", number, number * 40, groups=("5.73",), captures={"loss": "5.73"})
    return replace(
        watcher,
        trigger_count=number,
        last_trigger=1.8e9 + number,
        checkpoints={StreamName.STDOUT: position},
        variables={"loss": str(number), "1": str(number)},
        memory=Memory(grown_at=1.8e9 + number, newest=match),
    )


def timed(work: Callable[[], object]) -> float:
    """Return how long it takes, in seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def small_commits(state: StateWriter, count: int) -> list[float]:
    """Commit ticks of one watcher, each with two events; return their times."""
    watcher = state.commit(Batch(create=(NEW,))).created[0]
    taken = []
    for number in range(1, count + 1):
        batch = Batch(advances=(Advance(watcher, after(watcher, number), events=(event(number), event(number))),))
        taken.append(timed(lambda batch=batch: state.commit(batch)))  # type: ignore[misc]
        watcher = batch.advances[0].after
    return sorted(taken)


def read_on(state: StateWriter, count: int) -> float:
    """Return the seconds that a commit takes by which 100 watchers read on without a match: the least of `count`."""
    watchers = state.commit(Batch(create=tuple(replace(NEW, name=WatcherName(f"q{n}")) for n in range(100)))).created
    taken = []
    for number in range(count):
        place = {StreamName.STDOUT: Position(1, 2, number * 40, number, head=b"h" * 64, tail=b"t" * 64)}
        later = [replace(each, last_check=1.8e9 + number, checkpoints=place) for each in watchers]
        batch = Batch(advances=tuple(Advance(*pair) for pair in zip(watchers, later, strict=True)))
        taken.append(timed(lambda batch=batch: state.commit(batch)))  # type: ignore[misc]
        watchers = tuple(later)
    return min(taken)


def measure(directory: Path, durability: Durability, count: int) -> None:
    """Print the figures of one durability."""
    path = directory / f"{durability}.db"
    state = open_state(path, StateSettings(durability=durability), clock=SystemClock())
    taken = small_commits(state, count)
    median, slow = statistics.median(taken) * 1e3, taken[int(len(taken) * 0.99)] * 1e3
    print(f"{durability}: one advance and 2 events: {median:.3f} ms median, {slow:.3f} ms at the 99th of 100")
    print(f"{durability}: 100 watchers that read on without a match: {read_on(state, 100) * 1e3:.2f} ms")
    large = Batch(events=tuple(map(event, range(10_000))))
    rate = 10_000 / min(timed(lambda: state.commit(large)) for _ in range(5))
    print(f"{durability}: {rate:,.0f} events a second in batches of 10,000")
    state.commit(Batch(create=tuple(after(replace(NEW, name=WatcherName(f"w{n}")), n) for n in range(1000))))
    reading = min(timed(lambda: state.watchers(live=True)) for _ in range(10))
    print(f"{durability}: 1,000 watchers read in {reading * 1e3:.1f} ms")
    page = min(timed(lambda: state.events(EventFilter(after_seq=40_000, limit=1000))) for _ in range(10))
    print(f"{durability}: a page of 1,000 events in {page * 1e3:.1f} ms")
    state.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        measure(Path(name), Durability.NORMAL, 3000)
        measure(Path(name), Durability.FULL, 200)
