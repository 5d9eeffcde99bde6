"""The events of a long time: is a state with millions of them as quick as one with ten thousand?

    python -m tests.benchmarks.history [--events 1000000] [--long] [--directory DIR]

Fills two states in bulk, ten thousand events in one and a million (`--long`: ten) in the other, and prints how long
each of the questions takes that commands, the API and the daemon ask, then insertion and retention, in milliseconds.
Figures are for people; nothing here fails on a clock.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from parts.long_history import JOBS, fill, questions

from reconciler.engine.clock import SystemClock
from reconciler.events import Event, EventType
from reconciler.model import WatcherId
from reconciler.protocols import Batch
from reconciler.settings import StateSettings
from reconciler.state import open_state
from reconciler.state.write import StateWriter

FEW = 10_000


def timed(work: Callable[[], object], times: int = 15) -> float:
    """Return the median of some runs, in milliseconds; the first is not counted."""
    work()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1000


def events_of(count: int, now: float) -> tuple[Event, ...]:
    """Return new events."""
    return tuple(
        Event(EventType.WATCHER_TRIGGERED, now, "loss/job@hpc", WatcherId(7), "watcher 3", f"job{n % JOBS}", "hpc1")
        for n in range(count)
    )


def measure(path: Path, total: int, now: float) -> dict[str, float]:
    """Return milliseconds by question."""
    clock = SystemClock()
    made = open_state(path, StateSettings(), clock=clock)
    made.release()
    made.close()
    begun = time.perf_counter()
    fill(path, total, now)
    print(f"{total:,} events: {path.stat().st_size / 1e6:,.0f} MB, filled in {time.perf_counter() - begun:.0f} s")
    state = open_state(path, StateSettings(), clock=clock)
    found = {name: timed(ask) for name, ask in questions(state, total, now).items()}
    begun = time.perf_counter()
    state.statistics(now - 3600)
    found["counts of everything (once an hour)"] = (time.perf_counter() - begun) * 1000
    found["a commit of 2 events"] = timed(lambda: state.commit(Batch(events=events_of(2, now))), 200)
    found["a commit of 1,000 events"] = timed(lambda: state.commit(Batch(events=events_of(1000, now))), 10)
    found |= retention(state, now)
    state.close()
    return found


def retention(state: StateWriter, now: float) -> dict[str, float]:
    """Delete the tenth that is older than 90 days, slice by slice."""
    taken = []
    gone = -1
    while gone:
        begun = time.perf_counter()
        gone = state.purge(now, events=90 * 86400.0, metrics=90 * 86400.0, watchers=30 * 86400.0)
        taken.append((time.perf_counter() - begun) * 1000)
    print(f"  retention: {len(taken)} slices in {sum(taken) / 1000:.1f} s")
    return {"retention, the longest slice": max(taken), "retention, nothing to do": taken[-1]}


def main() -> None:
    """Parse the command line and run in a temporary directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--long", action="store_true", help="ten million events: some 6 GB, some minutes")
    parser.add_argument("--directory", help="on the disk in question; default: where temporary files go")
    words = parser.parse_args()
    total = 10_000_000 if words.long else words.events
    now = time.time()
    with tempfile.TemporaryDirectory(dir=words.directory) as home:
        few = measure(Path(home) / "few.db", FEW, now)
        many = measure(Path(home) / "many.db", total, now)
    print(f"\n{'milliseconds':45}{f'{FEW:,}':>12}{f'{total:,}':>14}")
    for name, took in few.items():
        print(f"{name:45}{took:12.2f}{many[name]:14.2f}")


if __name__ == "__main__":
    main()
