"""Queries for people who look at very many watchers: one page at a time, and counts. Called by `read` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
    type_coerce,
)

from reconciler.events import EventType
from reconciler.model import OutcomeKind, StoredSpec, WatcherName, WatcherState
from reconciler.protocols import Statistics, WatcherFilter
from reconciler.protocols.questions import OUTLINED, Outline
from reconciler.state.columns import Moment
from reconciler.state.history import LAST_SEQ
from reconciler.state.rows import spec_from
from reconciler.state.tables import ActionRow, JobWatcher, SpecRow, WatcherEvent, table

_WATCHERS, _SPECS, _EVENTS, _ACTIONS = (table(each) for each in (JobWatcher, SpecRow, WatcherEvent, ActionRow))
_LARGEST_ID = 2**63 - 1
_ACTION_TYPES = {EventType.of_outcome(kind).value: kind.value for kind in OutcomeKind}


def page_of(
    connection: Connection, wanted: WatcherFilter
) -> tuple[Sequence[int], Mapping[WatcherName, StoredSpec], int]:
    """Return the ids of one page (descending), the specs under their names, and the number on all pages."""
    clauses = _clauses(wanted)
    total = connection.execute(select(func.count()).select_from(_WATCHERS).where(*clauses)).scalar_one()
    if wanted.before_id is not None:
        clauses.append(_WATCHERS.c.id < min(wanted.before_id, _LARGEST_ID))
    query = select(_WATCHERS.c.id, _WATCHERS.c.name).where(*clauses).order_by(_WATCHERS.c.id.desc())
    rows = connection.execute(query.limit(max(0, wanted.limit))).all()
    names = {row.name for row in rows}
    specs = connection.execute(select(_SPECS).where(_SPECS.c.name.in_(names))) if names else ()
    return [row.id for row in rows], {WatcherName(row.name): spec_from(row) for row in specs}, total


def outline_of(connection: Connection, most: int) -> Outline:
    """Return the newest watchers in few words; times stay the texts that they are."""
    columns = (_WATCHERS.c[name] for name in OUTLINED)
    plain = (type_coerce(each, Text) if isinstance(each.type, Moment) else each for each in columns)
    there = _WATCHERS.c.phase != WatcherState.STOPPED.value
    listed = select(*plain).where(there).order_by(_WATCHERS.c.id.desc()).limit(most).subquery()
    # One row, made by SQLite: fetching very many ones takes as many turns at the interpreter's lock.
    rows = func.json_group_array(func.json_array(*listed.c))
    text, count = connection.execute(select(rows, func.count()).select_from(listed)).one()
    named = _SPECS.c.name.in_(select(listed.c.name))
    specs = map(spec_from, connection.execute(select(_SPECS).where(named)))
    total = connection.execute(select(func.count()).select_from(_WATCHERS).where(there)).scalar_one()
    return Outline(text, count, {spec.name: spec for spec in specs}, total)


def _clauses(wanted: WatcherFilter) -> list[ColumnElement[bool]]:
    columns = {
        _WATCHERS.c.state: wanted.state,
        _WATCHERS.c.hostname: wanted.hostname,
        _WATCHERS.c.job_id: wanted.job_id,
        _WATCHERS.c.name: wanted.name,
    }
    clauses = [column == value for column, value in columns.items() if value is not None]
    if not wanted.stopped and wanted.state != WatcherState.STOPPED:
        clauses.append(_WATCHERS.c.phase != WatcherState.STOPPED.value)
    if wanted.ids:
        clauses.append(_WATCHERS.c.id.in_([min(each, _LARGEST_ID) for each in wanted.ids]))
    clauses += [_labelled(key, value) for key, value in wanted.labels.items()]
    if wanted.search:
        places = (_WATCHERS.c.name, _WATCHERS.c.job_id, _WATCHERS.c.job_name, _WATCHERS.c.pattern)
        clauses.append(or_(*(place.icontains(wanted.search, autoescape=True) for place in places)))
    return clauses


def _labelled(key: str, value: str) -> ColumnElement[bool]:
    """The labels stand in the spec's JSON; they are walked, since a key may hold what a JSON path would read."""
    labels = func.json_each(_SPECS.c.body, "$.labels").table_valued("key", "value")
    given = exists().where(labels.c.key == key, labels.c.value == value)
    return _WATCHERS.c.name.in_(select(_SPECS.c.name).where(given))


def statistics_of(connection: Connection, since: float, after_seq: int, most: int, span: int | None) -> Statistics:
    """Count watchers by state, and action events after a seq, up to `span` of them, by type and outcome.

    They are walked in the order of the table (`+type`): by an index, millions of rows would be fetched one by one.
    """
    newest = int(connection.execute(LAST_SEQ).scalar() or 0)
    until = newest if span is None else min(newest, after_seq + span)
    by_state = select(_WATCHERS.c.state, func.count()).where(_WATCHERS.c.phase != WatcherState.STOPPED.value)
    unindexed = literal_column("+type", _EVENTS.c.type.type)
    within = and_(_EVENTS.c.id > min(after_seq, _LARGEST_ID), _EVENTS.c.id <= until)
    of_actions = and_(unindexed.in_(_ACTION_TYPES), within)
    by_action = select(_EVENTS.c.action_type, _EVENTS.c.type, func.count()).where(of_actions)
    recent = select(func.count()).select_from(_EVENTS).where(text("+type LIKE 'reconciler.action.%'"))
    busiest = select(_EVENTS.c.watcher_id, _EVENTS.c.job_id, _EVENTS.c.watcher, func.count().label("times"))
    open_ = select(func.count()).select_from(_ACTIONS).where(text("status != 'done'"))
    rows = connection.execute(
        busiest.where(of_actions, _EVENTS.c.watcher_id.is_not(None))
        .group_by(_EVENTS.c.watcher_id)
        .order_by(text("times DESC"), _EVENTS.c.watcher_id)
        .limit(most)
    ).all()
    counted = connection.execute(by_action.group_by(_EVENTS.c.action_type, _EVENTS.c.type)).all()
    return Statistics(
        watchers={row.state: row[1] for row in connection.execute(by_state.group_by(_WATCHERS.c.state))},
        actions={(type_, _ACTION_TYPES[outcome]): count for type_, outcome, count in counted},
        recent=connection.execute(recent.where(_EVENTS.c.timestamp >= since)).scalar_one(),
        busiest=tuple((row.watcher_id, row.job_id, row.watcher, row.times) for row in rows),
        seq=until,
        pending=connection.execute(open_).scalar_one(),
    )
