"""What is older than its retention goes, a bounded number of rows at a time. Called by `write.StateWriter.purge`.

Never goes: an event that the events file does not have yet, the newest event, a watcher that is live or static or has
an action without an outcome, a job that has watchers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Table,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    tuple_,
)

from reconciler.model import WatcherState
from reconciler.protocols import EXPORTED_SEQ
from reconciler.state.tables import (
    ActionRow,
    ActionStart,
    Fact,
    JobRow,
    JobWatcher,
    MetricRow,
    ParsedFile,
    RequestRow,
    WatcherEvent,
    table,
)

#: Rows of one table that one call deletes at most; a call takes tenths of a second at that, also among ten million.
CHUNK = 1_000
#: Entries of the cache of parsed files that are kept, the newest: every commit of a busy repository makes some.
MOST_PARSED = 20_000

_EVENTS, _FACTS, _WATCHERS, _JOBS = table(WatcherEvent), table(Fact), table(JobWatcher), table(JobRow)
_ACTIONS, _STARTS, _METRICS = table(ActionRow), table(ActionStart), table(MetricRow)
_REQUESTS, _PARSED = table(RequestRow), table(ParsedFile)
_OVER = (WatcherState.COMPLETED.value, WatcherState.STOPPED.value)


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What is older than these times (seconds since the epoch) goes."""

    events: float
    metrics: float
    watchers: float


def sweep(connection: Connection, cutoffs: Cutoffs) -> int:
    """Delete up to CHUNK rows of each table; return how many went, 0 where nothing is left to go."""
    rules = (
        (_EVENTS, and_(_EVENTS.c.timestamp < cutoffs.events, *_dispensable(connection))),
        (_STARTS, _STARTS.c.at < cutoffs.events),
        (_ACTIONS, and_(text("status = 'done'"), _ACTIONS.c.ended_at < cutoffs.events)),
        (_REQUESTS, _REQUESTS.c.done_at < cutoffs.events),
        (_METRICS, _METRICS.c.at < cutoffs.metrics),
        (_WATCHERS, and_(_WATCHERS.c.phase.in_(_OVER), _WATCHERS.c.ended_at < cutoffs.watchers, ~_UNFINISHED_BUSINESS)),
        (_JOBS, and_(_JOBS.c.last_seen < cutoffs.watchers, ~_WATCHED)),
        (_PARSED, or_(_PARSED.c.stored_at < cutoffs.watchers, _PARSED.c.stored_at < _too_many())),
    )
    return sum(_delete(connection, target, old) for target, old in rules)


_UNFINISHED_BUSINESS = exists().where(_ACTIONS.c.watcher_id == _WATCHERS.c.id, text("pending_actions.status != 'done'"))
_WATCHED = exists().where(_WATCHERS.c.hostname == _JOBS.c.hostname, _WATCHERS.c.job_id == _JOBS.c.job_id)


def _too_many() -> ScalarSelect[Any]:
    """Return the query for when the last of the newest MOST_PARSED files was parsed; NULL where there are fewer."""
    newest = select(_PARSED.c.stored_at).order_by(_PARSED.c.stored_at.desc())
    return newest.offset(MOST_PARSED - 1).limit(1).scalar_subquery()


def _dispensable(connection: Connection) -> list[ColumnElement[bool]]:
    """Return what else must hold of an event: a later one is there, and the events file has it (where there is one)."""
    newest = select(func.max(_EVENTS.c.id)).scalar_subquery()
    exported = connection.execute(select(_FACTS.c.value).where(_FACTS.c.name == EXPORTED_SEQ)).scalar()
    return [_EVENTS.c.id < newest, *([] if exported is None else [_EVENTS.c.id <= int(exported)])]


def _delete(connection: Connection, target: Table, old: ColumnElement[bool]) -> int:
    key = list(target.primary_key)
    chosen = select(*key).where(old).limit(CHUNK)
    return connection.execute(delete(target).where(tuple_(*key).in_(chosen))).rowcount
