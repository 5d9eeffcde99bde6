"""What the state is asked for: filters, pages, counts, jobs as they are remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.model import Job, StoredSpec, Watcher, WatcherName


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a reader wants; None and empty fields do not narrow."""

    after_seq: int = 0
    before_seq: int | None = None
    watcher_id: int | None = None
    watcher: str | None = None
    job_id: str | None = None
    hostname: str | None = None
    types: tuple[str, ...] = ()
    since: float | None = None
    newest: bool = False  # the newest `limit` of them (still in ascending order)
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class WatcherFilter:
    """Which watchers a reader wants, the newest first; None and empty fields do not narrow.

    `labels` are those of the spec in force under the watcher's name. `search` is looked for in names, jobs, patterns.
    `stopped`: tombstones too (asking for the state `stopped` asks for them as well). `before_id` continues a page.
    `ids`: only these.
    """

    state: str | None = None
    hostname: str | None = None
    job_id: str | None = None
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    search: str = ""
    stopped: bool = False
    before_id: int | None = None
    limit: int = 100
    ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Outline:
    """Very many watchers in few words, by descending id.

    `rows`: `count` of them as JSON, each an array of what OUTLINED names, times as ISO text in UTC.
    `specs`: those in force under their names. `total`: how many watchers there are beside tombstones.
    """

    rows: str = "[]"
    count: int = 0
    specs: Mapping[WatcherName, StoredSpec] = field(default_factory=dict)
    total: int = 0


#: What a row of an `Outline` has, in this order.
OUTLINED = (
    "id", "name", "job_id", "hostname", "job_name", "state", "trigger_count", "last_check", "last_trigger",
    "last_error", "failures", "timer_mode_active",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WatcherPage:
    """Watchers by descending id, the specs in force under their names, and how many pass the filter on all pages."""

    watchers: tuple[Watcher, ...] = ()
    specs: Mapping[WatcherName, StoredSpec] = field(default_factory=dict)
    total: int = 0


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts over everything that is kept; tombstones are no watchers.

    `actions`: (action type, outcome kind) -> events. `recent`: action events since the time asked for. `busiest`:
    watchers with the most action events: id, job id, name, count. `pending`: actions without an outcome.
    """

    watchers: Mapping[str, int] = field(default_factory=dict)
    actions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    recent: int = 0
    seq: int = 0  # of the newest event that was counted
    busiest: tuple[tuple[int, str, str, int], ...] = ()
    pending: int = 0


@dataclass(frozen=True, slots=True)
class MetricTotals:
    """All points of one metric of one job: how many, the last one, and the range of those that are finite numbers.

    None: there is no such number.
    """

    name: str
    count: int
    low: float | None
    high: float | None
    last: float | None
    last_at: float


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A job as the state remembers it: as it was first seen (binding is decided on that), and as it is now.

    `finished`: its streams were read to their end and its watchers completed; `last_seen` by a listing of its
    scheduler.
    """

    first: Job
    now: Job
    last_seen: float
    finished: bool = False
