"""One Batch, written within a transaction that `write` has open: rows in bulk, differences only.

Ids and seqs are taken from SQLite's own sequences, which a rollback takes back: that is why seq has no gaps. Refuses to
judge: what a batch says is what is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Executable, Table, insert, select

from reconciler.events import Event
from reconciler.model import ActionId, ActionStatus, PendingAction, Position, Watcher, WatcherId, WatcherState
from reconciler.protocols import ActionChange, Advance, Batch, Committed
from reconciler.state import statements as sql
from reconciler.state.rows import (
    action_row,
    checkpoint_row,
    event_row,
    job_row,
    metric_row,
    moved_row,
    spec_columns,
    spec_row,
    watcher_row,
)

Row = dict[str, Any]
Change = tuple[Watcher, Watcher]
_OVER = frozenset({WatcherState.COMPLETED, WatcherState.STOPPED})
#: Fields of a watcher that its own row shows, but for those that every tick changes.
_TELLING = tuple(
    each.name for each in fields(Watcher) if each.name not in {"id", "last_check", "checkpoints", "variables"}
)


def write_batch(connection: Connection, batch: Batch, now: float) -> Committed:
    """Write everything; return what the state filled in."""
    many = _Many(connection)
    many(sql.PUT_SPEC, map(spec_row, batch.put_specs))
    many(sql.SEE_JOB, (job_row(job, now) | {"anew": job.key in batch.anew} for job in batch.jobs))
    created = _create(connection, batch.create, now)
    pending = _advance(connection, batch.advances, now)
    many(sql.MOVE_WATCHERS, map(moved_row, batch.moved))
    _step_actions(many, batch.actions)
    many(
        sql.DROP_SPEC, ({"named": name} for name in batch.drop_specs)
    )  # last, since columns above are shown from specs
    many(sql.CHECKED, ({"row": watcher, "moment": at} for watcher, at in batch.checked.items()))
    many(sql.FINISH_JOB, ({"on_host": key.host, "of_job": key.id} for key in batch.finished))
    many(sql.REQUEST_DONE, ({"row": request, "moment": now} for request in batch.requests_done))
    many(sql.PUT_FACT, ({"name": name, "value": value} for name, value in batch.facts.items()))
    many(sql.PUT_PARSED, ({"key": key, "body": body, "stored_at": now} for key, body in batch.parsed.items()))
    return Committed(created, pending, _record(connection, tuple(_events_of(batch, created))))


class _Many:
    """Executes a statement with many rows; rows of one shape (the same columns) go together."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(self, statement: Executable, rows: Iterable[Row]) -> None:
        shapes: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in rows:
            shapes[tuple(row)].append(row)
        for alike in shapes.values():
            self._connection.execute(statement, alike)


def _next_id(connection: Connection, table: Table) -> int:
    used = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)).scalar()
    return int(used or 0) + 1


def _create(connection: Connection, watchers: Sequence[Watcher], now: float) -> tuple[Watcher, ...]:
    if not watchers:
        return ()
    first = _next_id(connection, sql.WATCHERS)
    created = tuple(replace(each, id=WatcherId(first + index)) for index, each in enumerate(watchers))
    shown = _shown_specs(connection, created)
    rows = [
        {"id": each.id, **watcher_row(each), **shown[each.name], "ended_at": now if each.phase in _OVER else None}
        for each in created
    ]
    connection.execute(insert(sql.WATCHERS), rows)
    _write_details(_Many(connection), [(replace(each, checkpoints={}, variables={}), each) for each in created], now)
    return created


def _advance(connection: Connection, advances: Sequence[Advance], now: float) -> tuple[PendingAction, ...]:
    if not advances:
        return ()
    many = _Many(connection)
    changes = [(each.before, each.after) for each in advances if each.before is not each.after]
    edited = [
        after for before, after in changes if (before.spec_digest, before.name) != (after.spec_digest, after.name)
    ]
    shown = _shown_specs(connection, edited)
    many(sql.UPDATE_WATCHER, _differences(changes, {each.id: shown[each.name] for each in edited}, now))
    _write_details(many, changes, now)
    many(insert(sql.METRICS), (metric_row(point) for each in advances for point in each.metrics))
    pending = tuple(chain.from_iterable(each.pending for each in advances))
    return _put_pending(connection, pending) if pending else ()


def _differences(changes: Sequence[Change], shown: Mapping[WatcherId, Row], now: float) -> Iterator[Row]:
    """Yield the columns of each watcher that are to change; what only others write (last_check) is left alone."""
    for before, after in changes:
        if after.id not in shown and all(getattr(before, name) == getattr(after, name) for name in _TELLING):
            continue  # it read on, no more: `checked` shows that in the batches that bring it
        old = watcher_row(before)
        differing = {name: value for name, value in watcher_row(after).items() if old[name] != value}
        differing.update(shown.get(after.id, {}))
        if (before.phase in _OVER) != (after.phase in _OVER):
            differing["ended_at"] = now if after.phase in _OVER else None
        if differing:
            yield {"row": after.id, **differing}


def _shown_specs(connection: Connection, watchers: Sequence[Watcher]) -> Mapping[str, Row]:
    """Return name -> the columns that show the spec; the specs of this batch stand in the table already."""
    names = sorted({each.name for each in watchers})
    bodies: dict[str, str] = {}
    for start in range(0, len(names), 10_000):
        query = select(sql.SPECS.c.name, sql.SPECS.c.body).where(sql.SPECS.c.name.in_(names[start : start + 10_000]))
        bodies.update((name, body) for name, body in connection.execute(query))
    return {name: spec_columns(bodies.get(name)) for name in names}


def _write_details(many: _Many, changes: Sequence[Change], now: float) -> None:
    """Write checkpoints and variables that differ, and delete those that are no more."""
    moved = [change for change in changes if change[0].checkpoints is not change[1].checkpoints]
    many(
        sql.PUT_CHECKPOINT,
        (
            checkpoint_row(after.id, stream, position)
            for before, after in moved
            for stream, position in after.checkpoints.items()
            if _moved(before.checkpoints.get(stream), position)
        ),
    )
    many(
        sql.DROP_CHECKPOINT,
        (
            {"of_watcher": b.id, "of_stream": stream.value}
            for b, a in moved
            for stream in b.checkpoints.keys() - a.checkpoints
        ),
    )
    learnt = [change for change in changes if change[0].variables != change[1].variables]
    many(
        sql.PUT_VARIABLE,
        (
            {"watcher_id": after.id, "variable_name": name, "variable_value": value, "updated_at": now}
            for before, after in learnt
            for name, value in after.variables.items()
            if name not in before.variables or before.variables[name] != value
        ),
    )
    many(
        sql.DROP_VARIABLE,
        ({"of_watcher": b.id, "named": name} for b, a in learnt for name in b.variables.keys() - a.variables),
    )


def _moved(before: Position | None, after: Position) -> bool:
    """Tell whether a checkpoint is another one; one that was reached again, in a file written anew, is."""
    return before is not after and (before != after or before.at != after.at)


def _put_pending(connection: Connection, pending: Sequence[PendingAction]) -> tuple[PendingAction, ...]:
    first = _next_id(connection, sql.ACTIONS)
    numbered = tuple(replace(each, id=ActionId(first + index)) for index, each in enumerate(pending))
    connection.execute(insert(sql.ACTIONS), [action_row(each, each.id) for each in numbered])
    return numbered


def _step_actions(many: _Many, changes: Sequence[ActionChange]) -> None:
    many(sql.UPDATE_ACTION, map(_step, changes))
    many(sql.NOTE_START, ({"row": each.id, "begun": each.at} for each in changes if each.started and each.counted))


def _step(change: ActionChange) -> Row:
    """Return what one step changes in the ledger: an outcome ends it, a start begins it, anything else puts it off."""
    row: Row = {"row": change.id, "not_before": change.not_before}
    if change.attempts is not None:
        row["attempts"] = change.attempts
    if change.progress is not None:
        row["progress_json"] = dict(change.progress)
    if change.started:
        row["started_at"] = change.at
    if change.outcome is not None:
        ended = {"outcome": change.outcome.kind.value, "result": change.outcome.result, "ended_at": change.at}
        return {**row, "status": ActionStatus.DONE.value, **ended}
    return {**row, "status": (ActionStatus.STARTED if change.started else ActionStatus.PENDING).value}


def _events_of(batch: Batch, created: Sequence[Watcher]) -> Iterator[Event]:
    for event, watcher in zip(batch.create_events, created, strict=bool(batch.create_events)):
        yield replace(event, watcher_id=watcher.id)
    for advance in batch.advances:
        yield from advance.events
    yield from batch.events


def _record(connection: Connection, events: Sequence[Event]) -> tuple[Event, ...]:
    if not events:
        return ()
    first = _next_id(connection, sql.EVENTS)
    numbered = tuple(replace(event, seq=first + index) for index, event in enumerate(events))
    connection.execute(insert(sql.EVENTS), [event_row(event, event.seq) for event in numbered])
    return numbered
