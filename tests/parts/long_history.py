"""A long history: events in bulk, as a writer would have left them over the weeks, and what is asked about them.

For the benchmark of long histories, and for the test that no question costs more there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from reconciler.events import EventType
from reconciler.model import OutcomeKind
from reconciler.protocols import EXPORTED_SEQ, EventFilter
from reconciler.state.write import StateWriter

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
