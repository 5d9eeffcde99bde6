"""Routes of what happened: events, counts, metrics of jobs."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Response

from reconciler.api.desk import Desk
from reconciler.api.refusals import NotThereError, documented
from reconciler.api.reports import (
    EventList,
    EventQuery,
    MeasuredJob,
    MeasuredList,
    MetricList,
    MetricShape,
    MetricSummary,
    Stats,
)
from reconciler.api.shapes import HostText, JobIdText, Number
from reconciler.api.shaping import clean, event_shape, finite, from_then, moment, stats_shape
from reconciler.events import EventType
from reconciler.model import MetricPoint, OutcomeKind
from reconciler.protocols import EventFilter, StateReading
from reconciler.protocols.questions import MetricTotals
from reconciler.spec.moments import Since

#: What the table of events held in the system this API comes from.
ACTIONS = tuple(EventType.of_outcome(kind).value for kind in OutcomeKind)
MetricName = Annotated[str, Path(min_length=1, max_length=200)]


def routes(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api", responses=documented())
    _add_events(router, desk)
    _add_metrics(router, desk)
    return router


def _add_events(router: APIRouter, desk: Desk) -> None:
    @router.get("/watchers/events", tags=["events"])
    async def list_events(asked: Annotated[EventQuery, Query()]) -> EventList:
        """List events, the newest first; of actions, unless others are asked for."""
        wanted = EventFilter(
            after_seq=asked.after or 0, before_seq=int(asked.cursor) if asked.cursor else None, job_id=asked.job_id,
            hostname=asked.hostname, watcher_id=asked.watcher_id, watcher=asked.watcher,
            types=tuple(asked.type) or (() if asked.all else ACTIONS),
            since=None if asked.since is None else from_then(asked.since),
            newest=asked.after is None, limit=asked.limit,
        )  # fmt: skip
        found = await desk.reading.ask(lambda state: state.events(wanted))
        shapes = [event_shape(event) for event in (reversed(found) if wanted.newest else found)]
        older = wanted.newest and len(found) == asked.limit and found[0].seq > 1
        return EventList(events=shapes, count=len(shapes), next_cursor=str(found[0].seq) if older else None)

    @router.get("/watchers/stats", tags=["events"])
    async def count_everything() -> Stats:
        """Count watchers by state, and events by action and outcome."""
        return stats_shape(await desk.tally.read(desk.reading, desk.parts.clock.now()))


def _add_metrics(router: APIRouter, desk: Desk) -> None:
    @router.get("/metrics", tags=["metrics"])
    async def list_measured() -> MeasuredList:
        """List the jobs of which numbers are kept, with the names of their metrics, the newest first."""
        measured = await desk.reading.ask(lambda state: state.measured())
        known = [job for key in measured if (job := desk.controller.discovery.known.get(key)) is not None]
        known.sort(key=lambda job: (-(job.now.submitted or 0.0), str(job.now.key)))
        jobs = [
            MeasuredJob(
                job_id=job.now.id, hostname=job.now.host, name=clean(job.now.name), state=job.now.state,
                metrics=[clean(name) for name in measured[job.now.key]],
            )
            for job in known
        ]  # fmt: skip
        return MeasuredList(jobs=jobs, count=len(jobs))

    @router.get("/metrics/{job_id}", tags=["metrics"])
    async def list_metrics(
        job_id: Annotated[JobIdText, Path()], hostname: Annotated[HostText | None, Query()] = None
    ) -> MetricList:
        """List the metrics of a job, each with its last value and range."""
        key = desk.job(job_id, hostname).now.key
        totals = await desk.reading.ask(lambda state: state.metric_totals(key))
        summaries = [
            MetricSummary(
                name=clean(each.name), count=each.count, last=finite(each.last), low=each.low, high=each.high,
                last_at=moment(each.last_at),
            )
            for each in totals
        ]  # fmt: skip
        return MetricList(job_id=job_id, metrics=summaries, count=len(summaries))

    @router.get("/metrics/{job_id}/{name:path}", tags=["metrics"], response_model=MetricShape)
    async def points_of_metric(
        job_id: Annotated[JobIdText, Path()],
        name: MetricName,
        hostname: Annotated[HostText | None, Query()] = None,
        since: Annotated[Since | None, Query()] = None,
        limit: Annotated[Number, Query(ge=1, le=20_000, description="the newest so many")] = 2000,
    ) -> Response:
        """Return the points of one metric, by time."""
        key = desk.job(job_id, hostname).now.key

        def look_up(state: StateReading) -> tuple[tuple[MetricTotals, ...], tuple[MetricPoint, ...]]:
            totals = state.metric_totals(key, name)
            return totals, state.metrics(
                key, name, since=from_then(since) if since else 0.0, newest=limit
            ) if totals else ()

        totals, found = await desk.reading.ask(look_up)
        if not totals:
            raise NotThereError(f"job {job_id} has no metric {name!r}", remedy=f"`GET /api/metrics/{job_id}`")
        shape = MetricShape(
            job_id=job_id, hostname=key.host, name=name, points=[], count=len(found), total=totals[0].count
        )
        whole = {
            **shape.model_dump(),
            "points": [_point(point) for point in found],
        }
        return Response(orjson.dumps(whole, option=orjson.OPT_UTC_Z), media_type="application/json")


def _point(point: MetricPoint) -> dict[str, Any]:
    """Return the fields of `PointShape`."""
    value, step = finite(point.value), finite(point.step)
    return {"at": moment(point.at), "value": value, "step": step, "watcher_id": point.watcher_id}
