"""Questions to the state: rows become the house's values again. `write` builds on it; reading commands use it alone.

Each answer comes from one transaction. One thread at a time. It refuses nothing: an id beyond what SQLite can hold is
simply not there.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, exists, func, select, tuple_
from sqlalchemy import text as sql_text

from reconciler.events import Event
from reconciler.model import (
    ActionStatus,
    HostName,
    JobId,
    JobKey,
    MetricPoint,
    PendingAction,
    Position,
    Request,
    StoredSpec,
    StreamName,
    Watcher,
    WatcherId,
    WatcherState,
)
from reconciler.protocols import EventFilter, KnownJob, Statistics, WatcherFilter, WatcherPage
from reconciler.protocols.questions import MetricTotals, Outline
from reconciler.state import connection as db
from reconciler.state.history import LAST_SEQ, select_events
from reconciler.state.listing import outline_of, page_of, statistics_of
from reconciler.state.migrations import IDENTITY
from reconciler.state.rows import (
    action_from,
    event_from,
    job_known,
    metric_from,
    position_from,
    spec_from,
    watcher_from,
)
from reconciler.state.tables import (
    ActionRow,
    ActionStart,
    Checkpoint,
    Fact,
    JobRow,
    JobWatcher,
    MetricRow,
    ParsedFile,
    RequestRow,
    SpecRow,
    WatcherVariable,
    table,
)

_WATCHERS, _CHECKPOINTS, _VARIABLES = table(JobWatcher), table(Checkpoint), table(WatcherVariable)
_ACTIONS, _STARTS, _METRICS = table(ActionRow), table(ActionStart), table(MetricRow)
_SPECS, _JOBS, _REQUESTS, _FACTS, _PARSED = (table(each) for each in (SpecRow, JobRow, RequestRow, Fact, ParsedFile))

_SHOWN_ONLY = {"pattern", "interval_seconds", "captures_json", "condition", "actions_json", "timer_mode_enabled"}
_WATCHER_COLUMNS = [column for column in _WATCHERS.c if column.name not in _SHOWN_ONLY]
_LIVE = [state.value for state in WatcherState if state.live]
_OPEN = _ACTIONS.c.status != sql_text(f"'{ActionStatus.DONE.value}'")  # literally so, for the partial index to be used
_LARGEST_ID = 2**63 - 1
_LARGEST_NUMBER = sys.float_info.max
_CHUNK = 10_000  # parameters in one statement; SQLite takes 32,766


def _of_metric(job: JobKey, name: str | None) -> list[ColumnElement[bool]]:
    wanted = [_METRICS.c.hostname == job.host, _METRICS.c.job_id == job.id]
    return wanted if name is None else [*wanted, _METRICS.c.name == name]


class StateReader:
    """protocols.StateReading over one connection."""

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    def close(self) -> None:
        """Close the connection."""
        db.close(self._connection)

    def _reading(self) -> AbstractContextManager[Connection]:
        return db.transaction(self._connection, "DEFERRED", self.path)

    def identity(self) -> str:
        """Return the state's own random id (32 hex digits)."""
        return self.fact(IDENTITY) or ""

    def empty(self) -> bool:
        """Tell whether nothing was ever recorded here: sequences remember what retention has taken."""
        with self._reading() as connection:
            used = connection.exec_driver_sql("SELECT count(*) FROM sqlite_sequence WHERE seq > 0").scalar_one()
            return not used and not any(
                connection.execute(select(exists().select_from(each))).scalar_one() for each in (_SPECS, _JOBS)
            )

    def specs(self) -> tuple[StoredSpec, ...]:
        """Return the last good version of every spec, by name."""
        with self._reading() as connection:
            return tuple(map(spec_from, connection.execute(select(_SPECS).order_by(_SPECS.c.name))))

    def watchers(
        self, *, live: bool = False, job: JobKey | None = None, name: str | None = None
    ) -> tuple[Watcher, ...]:
        """Return watchers with all that belongs to them, by id; `live`: those whose phase leaves work to do."""
        wanted: list[ColumnElement[bool]] = []
        if live:
            wanted.append(_WATCHERS.c.phase.in_(_LIVE))
        if job is not None:
            wanted += [_WATCHERS.c.hostname == job.host, _WATCHERS.c.job_id == job.id]
        if name is not None:
            wanted.append(_WATCHERS.c.name == name)
        return self._watchers(wanted)

    def watcher(self, watcher_id: int) -> Watcher | None:
        """Return one watcher."""
        if not 0 < watcher_id <= _LARGEST_ID:
            return None
        return next(iter(self._watchers([_WATCHERS.c.id == watcher_id])), None)

    def states(self, ids: Collection[int]) -> Mapping[int, WatcherState]:
        """Return what state each of these watchers is in."""
        query = select(_WATCHERS.c.id, _WATCHERS.c.state).where(_WATCHERS.c.id.in_(ids))
        with self._reading() as connection:
            return {row.id: WatcherState(row.state) for row in connection.execute(query)}

    def page(self, wanted: WatcherFilter) -> WatcherPage:
        """Return one page of watchers, newest first, with the specs in force under their names."""
        with self._reading() as connection:
            ids, specs, total = page_of(connection, wanted)
        found = self._watchers([_WATCHERS.c.id.in_(ids)]) if ids else ()
        return WatcherPage(found[::-1], specs, total)

    def outline(self, most: int) -> Outline:
        """Return the newest watchers in few words."""
        with self._reading() as connection:
            return outline_of(connection, most)

    def statistics(self, since: float, *, after_seq: int = 0, most: int = 10, span: int | None = None) -> Statistics:
        """Return counts for people; of actions by events after `after_seq`."""
        with self._reading() as connection:
            return statistics_of(connection, since, after_seq, most, span)

    def _watchers(self, wanted: Sequence[ColumnElement[bool]]) -> tuple[Watcher, ...]:
        with self._reading() as connection:
            rows = connection.execute(select(*_WATCHER_COLUMNS).where(*wanted).order_by(_WATCHERS.c.id)).all()
            positions: dict[int, dict[StreamName, Position]] = defaultdict(dict)
            variables: dict[int, dict[str, str | None]] = defaultdict(dict)
            if rows:
                ids = select(_WATCHERS.c.id).where(*wanted)
                for row in connection.execute(_of(select(_CHECKPOINTS), _CHECKPOINTS.c.watcher_id, ids, wanted)).all():
                    positions[row[0]][StreamName(row[1])] = position_from(row)
                names = select(_VARIABLES.c.watcher_id, _VARIABLES.c.variable_name, _VARIABLES.c.variable_value)
                for watcher_id, name, value in connection.execute(
                    _of(names, _VARIABLES.c.watcher_id, ids, wanted)
                ).all():
                    variables[watcher_id][name] = value
        return tuple(watcher_from(row, positions.get(row.id, {}), variables.get(row.id, {})) for row in rows)

    def jobs(self, *, unfinished: bool = False) -> tuple[KnownJob, ...]:
        """Return the jobs that are remembered, by host and id."""
        query = select(_JOBS).order_by(_JOBS.c.hostname, _JOBS.c.job_id)
        if unfinished:
            query = query.where(_JOBS.c.finished == sql_text("0"))
        with self._reading() as connection:
            return tuple(map(job_known, connection.execute(query)))

    def pending(self) -> tuple[PendingAction, ...]:
        """Return actions without an outcome, in the order they are to run: by watcher, group, index."""
        place = (_ACTIONS.c.watcher_id, _ACTIONS.c.trigger_group, _ACTIONS.c.action_index)
        with self._reading() as connection:
            return tuple(map(action_from, connection.execute(select(_ACTIONS).where(_OPEN).order_by(*place))))

    def group_outcomes(self, watcher_id: WatcherId, group: int) -> Mapping[int, str]:
        """Return index -> outcome kind of one trigger's actions that have one."""
        query = select(_ACTIONS.c.action_index, _ACTIONS.c.outcome).where(
            _ACTIONS.c.watcher_id == watcher_id, _ACTIONS.c.trigger_group == group, _ACTIONS.c.outcome.is_not(None)
        )
        with self._reading() as connection:
            return {row.action_index: row.outcome for row in connection.execute(query)}

    def recent_starts(self, watcher_id: WatcherId, since: float) -> tuple[float, ...]:
        """Return when actions of this watcher were begun after `since`, every attempt by itself, oldest first.

        Actions that touch the state alone are given an outcome without being started, so they are none of these.
        """
        query = (
            select(_STARTS.c.at).where(_STARTS.c.watcher_id == watcher_id, _STARTS.c.at > since).order_by(_STARTS.c.at)
        )
        with self._reading() as connection:
            return tuple(connection.execute(query).scalars())

    def events(self, wanted: EventFilter) -> tuple[Event, ...]:
        """Return events that pass the filter, ascending by seq."""
        with self._reading() as connection:
            return tuple(map(event_from, select_events(connection, wanted)))

    def last_seq(self) -> int:
        """Return the seq of the newest event ever, 0 where there was none."""
        with self._reading() as connection:
            return int(connection.execute(LAST_SEQ).scalar() or 0)

    def metrics(
        self, job: JobKey, name: str | None = None, *, since: float = 0.0, newest: int | None = None
    ) -> tuple[MetricPoint, ...]:
        """Return the points of a job, all or of one metric, by time: the newest so many since then."""
        order = (_METRICS.c.at, _METRICS.c.id)
        query = select(_METRICS).where(*_of_metric(job, name))
        if since > 0:
            query = query.where(_METRICS.c.at >= since)
        with self._reading() as connection:
            if newest is None:
                return tuple(map(metric_from, connection.execute(query.order_by(*order))))
            rows = connection.execute(query.order_by(*(column.desc() for column in order)).limit(newest)).all()
            return tuple(map(metric_from, reversed(rows)))

    def metric_totals(self, job: JobKey, name: str | None = None) -> tuple[MetricTotals, ...]:
        """Return counts and ranges of a job's metrics, by name."""
        value, moment = _METRICS.c.value, (_METRICS.c.at, _METRICS.c.id)
        finite = case((value.between(-_LARGEST_NUMBER, _LARGEST_NUMBER), value))
        query = select(_METRICS.c.name, func.count(), func.min(finite), func.max(finite))
        found = []
        with self._reading() as connection:
            rows = connection.execute(query.where(*_of_metric(job, name)).group_by(_METRICS.c.name)).all()
            for each, count, low, high in rows:
                newest = select(value, _METRICS.c.at).where(*_of_metric(job, each))
                last, at = connection.execute(newest.order_by(*(column.desc() for column in moment)).limit(1)).one()
                found.append(MetricTotals(each, count, low, high, last, at))
        return tuple(found)

    def measured(self, most: int = 10_000) -> Mapping[JobKey, tuple[str, ...]]:
        """Return the names of metrics by job: one step in the index for each, however many points there are."""
        columns = (_METRICS.c.hostname, _METRICS.c.job_id, _METRICS.c.name)
        query = select(*columns).order_by(*columns).limit(1)
        found: dict[JobKey, tuple[str, ...]] = {}
        with self._reading() as connection:
            row = connection.execute(query).first()
            while row is not None and (most := most - 1) >= 0:
                key = JobKey(HostName(row.hostname), JobId(row.job_id))
                found[key] = (*found.get(key, ()), row.name)
                row = connection.execute(query.where(tuple_(*columns) > tuple_(*row))).first()
        return found

    def requests(self) -> tuple[Request, ...]:
        """Return what was asked and not carried out yet, oldest first."""
        query = select(_REQUESTS).where(_REQUESTS.c.done_at.is_(None)).order_by(_REQUESTS.c.id)
        with self._reading() as connection:
            return tuple(Request(row.id, row.verb, row.by, row.at, row.body_json) for row in connection.execute(query))

    def fact(self, name: str) -> str | None:
        """Return a small named fact."""
        with self._reading() as connection:
            return connection.execute(select(_FACTS.c.value).where(_FACTS.c.name == name)).scalar()

    def parsed(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Return what the cache of parsed files holds under these keys."""
        found: dict[str, str] = {}
        with self._reading() as connection:
            for start in range(0, len(keys), _CHUNK):
                query = select(_PARSED.c.key, _PARSED.c.body).where(_PARSED.c.key.in_(keys[start : start + _CHUNK]))
                found.update((key, body) for key, body in connection.execute(query))
        return found


def _of(
    query: Select[*tuple[Any, ...]], column: ColumnElement[int], ids: Any, wanted: Sequence[ColumnElement[bool]]
) -> Select[*tuple[Any, ...]]:
    """Narrow a query to the rows of the wanted watchers; all of them want no subquery."""
    return query.where(column.in_(ids)) if wanted else query
