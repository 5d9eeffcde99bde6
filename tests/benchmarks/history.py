"""The events of a long time: is a state with millions of them as quick as one with ten thousand?

    python -m tests.benchmarks.history [--events 1000000] [--long] [--directory DIR]

Fills two states in bulk, ten thousand events in one and a million (`--long`: ten) in the other, and prints how long
each of the questions takes that commands, the API and the daemon ask, then insertion and retention, in milliseconds.
Figures are for people; nothing here fails on a clock.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from reconciler.engine.clock import SystemClock
from reconciler.events import Event, EventType
from reconciler.model import OutcomeKind, WatcherId
from reconciler.protocols import EXPORTED_SEQ, Batch, EventFilter
from reconciler.settings import StateSettings
from reconciler.state import open_state
from reconciler.state.write import StateWriter

FEW = 10_000
SLICE = 250_000
#: So many jobs at a time, each with five watchers; one event in a thousand is of a rare job, watcher, host and type.
JOBS = 200
DAYS = 100
KINDS = (EventType.WATCHER_TRIGGERED, EventType.ACTION_SUCCEEDED, EventType.WATCHER_TRIGGERED, EventType.ACTION_FAILED)
#: What the API lists where it is not told otherwise.
ACTIONS = tuple(sorted(EventType.of_outcome(kind) for kind in OutcomeKind))

# Numbers from 1; the newest event is now, the oldest DAYS ago, as evenly as in life they never are.
FILL = """
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
INSERT INTO watcher_events (id, watcher_id, job_id, hostname, timestamp, matched_text, captured_vars_json, action_type,
    action_result, success, type, subject, watcher, data_json)
SELECT i,
    CASE WHEN i % 1000 = 7 THEN 999999 ELSE 1 + i % 1000 END,
    CASE WHEN i % 1000 = 7 THEN 'rare' ELSE 'job' || (i % :jobs) END,
    CASE WHEN i % 1000 = 7 THEN 'rare' ELSE 'hpc' || (i % 5) END,
    strftime('%Y-%m-%dT%H:%M:%f', :now - (:total - i) * :days * 86400.0 / :total, 'unixepoch') || '000+00:00',
    'step ' || i || ' loss: 5.73', '{"step":"' || i || '","loss":"5.73"}',
    CASE WHEN i % 4 IN (1, 3) THEN 'log_event' ELSE '' END, 'loss is 5.73', 1,
    CASE WHEN i % 1000 = 7 THEN :rare ELSE CASE i % 4 WHEN 0 THEN :a WHEN 1 THEN :b WHEN 2 THEN :c ELSE :d END END,
    'loss/job@hpc', CASE WHEN i % 1000 = 7 THEN 'rare' ELSE 'watcher ' || (i % 5) END, '{"line":1,"offset":40}'
FROM n
"""


def fill(path: Path, total: int, now: float) -> None:
    """Write events in bulk, as the writer would have over the weeks."""
    facts = {"now": now, "total": total, "days": DAYS, "jobs": JOBS, "rare": str(EventType.WATCHER_DISABLED)}
    facts |= dict(zip("abcd", map(str, KINDS), strict=True))
    with sqlite3.connect(path, isolation_level=None) as raw:
        raw.execute("PRAGMA synchronous = OFF")
        for first in range(1, total + 1, SLICE):
            raw.execute(FILL, {**facts, "first": first, "last": min(total, first + SLICE - 1)})
        raw.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'watcher_events'", (total,))
        raw.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (EXPORTED_SEQ, str(total)))
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def questions(state: StateWriter, total: int, now: float) -> Mapping[str, Callable[[], object]]:
    """Return what is asked, by whom."""

    def events(**wanted: object) -> Callable[[], object]:
        return lambda: state.events(EventFilter(limit=100, **wanted))  # type: ignore[arg-type]

    common, rare = "job17", "rare"
    return {
        "the newest 100": events(newest=True),
        "a page in the middle": events(after_seq=total // 2),
        "of a job, newest": events(job_id=common, newest=True),
        "of a job, from the first": events(job_id=common),
        "of a rare job": events(job_id=rare, newest=True),
        "of a watcher, newest": events(watcher_id=42, newest=True),
        "of a rare watcher": events(watcher_id=999999),
        "of a spec's name": events(watcher="watcher 3", newest=True),
        "of a type": events(types=(str(EventType.ACTION_FAILED),), newest=True),
        "of a rare type": events(types=(str(EventType.WATCHER_DISABLED),), newest=True),
        "of a type that never was": events(types=(str(EventType.ACTION_INTERRUPTED),)),
        "of a job and a type": events(job_id=common, types=(str(EventType.ACTION_FAILED),), newest=True),
        "of a job and a rare type": events(job_id=common, types=(str(EventType.WATCHER_DISABLED),), newest=True),
        "of a job, its actions": events(job_id=common, types=ACTIONS, newest=True),
        "of a rare job, its actions": events(job_id=rare, types=ACTIONS, newest=True),
        "of a watcher, its actions": events(watcher_id=42, types=ACTIONS, newest=True),
        "of a watcher and a rare type": events(watcher_id=42, types=(str(EventType.WATCHER_DISABLED),), newest=True),
        "of a spec's name, its actions": events(watcher="watcher 3", types=ACTIONS, newest=True),
        "of a host, its actions": events(hostname="hpc3", types=ACTIONS, newest=True),
        "of a rare name, its actions": events(watcher=rare, types=ACTIONS, newest=True),
        "of a rare host, its actions": events(hostname=rare, types=ACTIONS, newest=True),
        "of a host and a rare type": events(hostname="hpc3", types=(str(EventType.WATCHER_DISABLED),)),
        "of a host": events(hostname="hpc3", newest=True),
        "of a rare host": events(hostname=rare, newest=True),
        "of no host": events(hostname="nowhere"),
        "of the last hour": events(since=now - 3600),
        "of a job since yesterday": events(job_id=common, since=now - 86400),
        "since before the first": events(since=0.0),
        "in the last hour, of a job that had none": events(job_id="none", since=now - 3600),
        "`events -f`: anything new?": lambda: state.last_seq(),
        "`events -f`: the last ten": events(after_seq=total - 10),
        "counts since a minute ago": lambda: state.statistics(now - 3600, after_seq=total - 1000),
    }


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
