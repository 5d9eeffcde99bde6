"""`protocols.StateReading` over the API: what commands ask of a state here, asked of another machine's daemon.

Answers what reading commands need; checkpoints, actions that wait and the like are not told by the API, and are empty.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from reconciler.client.http import Client
from reconciler.errors import UsageError
from reconciler.events import Event, EventType
from reconciler.model import (
    Hold,
    HoldKind,
    HostName,
    Job,
    JobId,
    JobKey,
    JobState,
    MetricPoint,
    Origin,
    PendingAction,
    Position,
    Request,
    StoredSpec,
    StreamName,
    Watcher,
    WatcherId,
    WatcherName,
    WatcherState,
)
from reconciler.protocols import EventFilter, KnownJob, Statistics, WatcherFilter, WatcherPage
from reconciler.protocols.questions import MetricTotals, Outline

_UNREACHABLE = "unreachable:"


class RemoteState:
    """The state of a server. What was listed once is not asked for again: make one for each command."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def identity(self) -> str:
        """Return the id of the state behind the server."""
        return str(self._client.session()["state"])

    def empty(self) -> bool:
        """Tell whether nothing was ever recorded there."""
        return self.last_seq() == 0

    @cached_property
    def _watchers(self) -> list[dict[str, Any]]:
        return list(self._client.watchers())

    @cached_property
    def _unreachable(self) -> Mapping[str, str]:
        return self._client.unreachable()

    def specs(self) -> tuple[StoredSpec, ...]:
        """Return the specs that have watchers, by name, as far as the list of watchers tells them."""
        found = {row["name"]: row for row in self._watchers}
        return tuple(_spec(found[name]) for name in sorted(found))

    def watchers(
        self, *, live: bool = False, job: JobKey | None = None, name: str | None = None
    ) -> tuple[Watcher, ...]:
        """Return watchers, by id; without `live` stopped ones too."""
        rows = [*self._watchers, *([] if live else self._client.watchers(state="stopped"))]
        found = [_watcher(row) for row in rows]
        kept = [
            watcher
            for watcher in found
            if (not live or watcher.phase.live) and job in (None, watcher.job) and name in (None, watcher.name)
        ]
        return tuple(sorted(kept, key=lambda watcher: watcher.id))

    def watcher(self, watcher_id: int) -> Watcher | None:
        """Return one watcher."""
        try:
            return _watcher(self._client.watcher(watcher_id, stopped=True))
        except UsageError:
            return None

    def states(self, ids: Collection[int]) -> Mapping[int, WatcherState]:
        """Return what state each of these watchers is in."""
        return {watcher.id: watcher.state for watcher in self.watchers() if watcher.id in ids}

    def page(self, wanted: WatcherFilter) -> WatcherPage:
        """Return the first page of a filter."""
        labels = [f"{key}={value}" for key, value in wanted.labels.items()]
        query = {"state": wanted.state, "host": wanted.hostname, "job_id": wanted.job_id, "name": wanted.name,
                 "label": labels, "search": wanted.search}  # fmt: skip
        rows = list(self._client.watchers(**{key: value for key, value in query.items() if value}))
        kept = [row for row in rows if wanted.before_id is None or row["id"] < wanted.before_id][: wanted.limit]
        specs = {WatcherName(row["name"]): _spec(row) for row in kept}
        return WatcherPage(tuple(map(_watcher, kept)), specs, len(rows))

    def outline(self, most: int) -> Outline:
        """Return nothing: pages tell more."""
        return Outline()

    def statistics(self, since: float, *, after_seq: int = 0, most: int = 10, span: int | None = None) -> Statistics:
        """Return the counts that the server tells; outcomes by type are not among them."""
        found = self._client.stats()
        busiest = tuple((t["watcher_id"], t["job_id"], t["name"], t["event_count"]) for t in found["top_watchers"])
        return Statistics(watchers=found["watchers_by_state"], recent=found["events_last_hour"], busiest=busiest)

    def jobs(self, *, unfinished: bool = False) -> tuple[KnownJob, ...]:
        """Return the jobs that the server knows, as they are now."""
        rows = [row for row in self._client.jobs() if not (unfinished and row["finished"])]
        return tuple(sorted(map(_known, rows), key=lambda known: (known.now.host, known.now.id)))

    def events(self, wanted: EventFilter) -> tuple[Event, ...]:
        """Return events, ascending by seq."""
        query: dict[str, Any] = {
            "watcher_id": wanted.watcher_id, "watcher": wanted.watcher, "job_id": wanted.job_id,
            "hostname": wanted.hostname, "type": list(wanted.types), "all": not wanted.types, "since": wanted.since,
        }  # fmt: skip
        narrowed = {key: value for key, value in query.items() if value is not None}
        if not wanted.newest:
            return tuple(map(event_of, self._client.events_after(wanted.after_seq, limit=wanted.limit, **narrowed)))
        rows: list[dict[str, Any]] = []
        for row in self._client.events(**narrowed):
            if len(rows) >= wanted.limit or row["id"] <= wanted.after_seq:
                break
            rows.append(row)
        return tuple(event_of(row) for row in reversed(rows))

    def last_seq(self) -> int:
        """Return the seq of the newest event."""
        return next((row["id"] for row in self._client.events(all=True)), 0)

    def metrics(
        self, job: JobKey, name: str | None = None, *, since: float = 0.0, newest: int | None = None
    ) -> tuple[MetricPoint, ...]:
        """Return the points of a job's metrics."""
        try:
            names = [name] if name else [row["name"] for row in self._client.metrics(job.id, hostname=job.host)]
            rows = [(each, row) for each in names for row in self._points(job, each)]
        except UsageError:
            return ()
        points = [
            MetricPoint(WatcherId(row["watcher_id"]), job, each, _number(row["value"]), _at(row["at"]), row["step"])
            for each, row in rows
        ]
        points = sorted((each for each in points if each.at >= since), key=lambda point: point.at)
        return tuple(points if newest is None else points[max(0, len(points) - newest) :])

    def metric_totals(self, job: JobKey, name: str | None = None) -> tuple[MetricTotals, ...]:
        """Return what is stored of a job's metrics."""
        try:
            rows = self._client.metrics(job.id, hostname=job.host)
        except UsageError:
            return ()
        return tuple(
            MetricTotals(row["name"], row["count"], row["low"], row["high"], row["last"], _at(row["last_at"]))
            for row in rows
            if name in (None, row["name"])
        )

    def _points(self, job: JobKey, name: str) -> list[dict[str, Any]]:
        return self._client.metrics(job.id, name, hostname=job.host, limit=20_000)

    def measured(self, most: int = 10_000) -> Mapping[JobKey, tuple[str, ...]]:
        """Return the names of metrics by job."""
        rows = self._client.measured()
        return {JobKey(HostName(row["hostname"]), JobId(row["job_id"])): tuple(row["metrics"]) for row in rows}

    def fact(self, name: str) -> str | None:
        """Return whether a host is unreachable; no other fact is told."""
        return self._unreachable.get(name.removeprefix(_UNREACHABLE)) if name.startswith(_UNREACHABLE) else None

    def pending(self) -> tuple[PendingAction, ...]:
        """Return nothing: the server does not tell."""
        return ()

    def requests(self) -> tuple[Request, ...]:
        """Return nothing: the server carries requests out before it answers."""
        return ()

    def group_outcomes(self, watcher_id: WatcherId, group: int) -> Mapping[int, str]:
        """Return nothing: the server does not tell."""
        return {}

    def recent_starts(self, watcher_id: WatcherId, since: float) -> tuple[float, ...]:
        """Return nothing: the server does not tell."""
        return ()

    def parsed(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Return nothing: no files are parsed here."""
        return {}


# --- from rows to values ---------------------------------------------------------------------------------------------


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _maybe(text: str | None) -> float | None:
    return None if text is None else _at(text)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _spec(row: Mapping[str, Any]) -> StoredSpec:
    fields = ("labels", "captures", "condition", "actions", "interval_seconds", "mode", "output_type", "description")
    body = json.dumps({"name": row["name"], **{key: row[key] for key in fields if row[key]}})
    return StoredSpec(WatcherName(row["name"]), "", body, _origin(row))


def _origin(row: Mapping[str, Any]) -> Origin:
    return Origin(row["source"], row["file"], row["line"], row["commit"])


def _watcher(row: Mapping[str, Any]) -> Watcher:
    state = WatcherState(row["state"])
    return Watcher(
        id=WatcherId(row["id"]),
        name=WatcherName(row["name"]),
        job=JobKey(HostName(row["hostname"]), JobId(row["job_id"])),
        job_name=row["job_name"],
        spec_digest="",
        origin=_origin(row),
        phase=WatcherState.ACTIVE if state is WatcherState.PAUSED else state,
        holds=tuple(
            Hold(HoldKind(h["kind"]), h["by"], h["reason"], _at(h["since"]), _maybe(h["until"])) for h in row["holds"]
        ),
        trigger_count=row["trigger_count"],
        failures=row["failures"],
        timer_active=row["timer_mode_active"],
        created_at=_at(row["created_at"]),
        last_check=_maybe(row["last_check"]),
        last_trigger=_maybe(row["last_trigger"]),
        last_error=row["last_error"],
        checkpoints={StreamName.STDOUT: Position(offset=row["last_position"])} if row["last_position"] else {},
        variables=row["variables"],
    )


def _known(row: Mapping[str, Any]) -> KnownJob:
    plain = ("name", "user", "raw_state", "stdout", "stderr", "workdir", "time_limit", "partition", "account", "qos",
             "exit_code", "restarts")  # fmt: skip
    fields: dict[str, Any] = {key: row[key] for key in plain}
    fields |= {key: _maybe(row[key]) for key in ("submitted", "started", "ended")}
    job = Job(HostName(row["hostname"]), JobId(row["job_id"]), state=JobState(row["state"]), **fields)
    return KnownJob(job, job, 0.0, row["finished"])


def event_of(row: Mapping[str, Any]) -> Event:
    """Return an event as the API tells it."""
    return Event(
        type=EventType(row["type"]),
        at=_at(row["timestamp"]),
        subject=row["subject"],
        watcher_id=row["watcher_id"],
        watcher=row["watcher_name"],
        job_id=row["job_id"],
        hostname=row["hostname"],
        matched_text=row["matched_text"],
        captured_vars=row["captured_vars"],
        action_type=row["action_type"],
        action_result=row["action_result"],
        success=row["success"],
        data=row["data"],
        seq=row["id"],
    )
