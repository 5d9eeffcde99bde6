"""Routes of jobs: which there are, and what they print."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from reconciler.api.desk import Desk
from reconciler.api.refusals import NotThereError, documented
from reconciler.api.reports import JobList, JobShape, OutputShape
from reconciler.api.shapes import HostText, JobCursor, JobIdText, ListText, Number
from reconciler.api.shaping import clean, job_shape
from reconciler.model import JobKey, JobState
from reconciler.protocols import Glimpse, KnownJob, Sight, Want

#: Bytes that one look at an output may bring.
MOST_BYTES = 1024 * 1024


def routes(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api", tags=["jobs"], responses=documented())

    @router.get("/jobs")
    async def list_jobs(
        state: Annotated[JobState | None, Query()] = None,
        host: Annotated[HostText | None, Query()] = None,
        user: Annotated[ListText | None, Query()] = None,
        search: Annotated[ListText, Query(description="in ids and names")] = "",
        limit: Annotated[Number, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[JobCursor | None, Query(description="`next_cursor` of the page before")] = None,
    ) -> JobList:
        """List the jobs that are known, the newest first; one that was requeued keeps its place."""
        fitting = [
            known
            for known in desk.controller.discovery.known.values()
            if (state is None or known.now.state is state)
            and (host is None or known.now.host == host)
            and (user is None or known.now.user == user)
            and (not search or search.lower() in f"{known.now.id} {known.now.name}".lower())
        ]
        after = _behind(cursor) if cursor else None
        rest = sorted((job for job in fitting if after is None or _place(job) > after), key=_place)
        page = rest[:limit]
        counts = _watching(desk)
        return JobList(
            jobs=[job_shape(known, counts[known.now.key]) for known in page],
            count=len(page),
            total=len(fitting),
            next_cursor=_cursor(page[-1]) if len(rest) > limit else None,
            unreachable={host: clean(why) for host, why in desk.controller.unreachable().items()},
        )

    @router.get("/jobs/{job_id}")
    async def look_at_job(
        job_id: Annotated[JobIdText, Path()], hostname: Annotated[HostText | None, Query()] = None
    ) -> JobShape:
        """Return one job."""
        known = desk.job(job_id, hostname)
        return job_shape(known, _watching(desk)[known.now.key])

    @router.get("/jobs/{job_id}/output")
    async def read_output(
        job_id: Annotated[JobIdText, Path()],
        hostname: Annotated[HostText | None, Query()] = None,
        stream: Annotated[Literal["stdout", "stderr"], Query()] = "stdout",
        offset: Annotated[Number, Query(ge=0, le=2**62, description="first byte wanted")] = 0,
        limit: Annotated[Number, Query(ge=1, le=MOST_BYTES, description="bytes, at most")] = 65_536,
        tail: Annotated[Number | None, Query(ge=1, le=10_000, description="the last so many lines instead")] = None,
    ) -> OutputShape:
        """Return a part of a job's output, read now."""
        known = desk.job(job_id, hostname)
        path = known.now.stderr if stream == "stderr" else known.now.stdout
        if path is None:
            raise NotThereError(f"where job {job_id} writes its {stream} is not known")
        glimpse = await (look_at_end(desk, known, path, limit) if tail else look(desk, known, path, offset, limit))
        return _output(known, stream, path, _within(glimpse, 0 if tail else offset), tail)

    return router


def _place(known: KnownJob) -> tuple[int, str]:
    """Return what the list is sorted by; a job's never changes, so that pages lose and double none."""
    return -round((known.first.submitted or 0.0) * 1e6), str(known.now.key)


def _cursor(known: KnownJob) -> str:
    at, job = _place(known)
    return f"{-at}:{job}"


def _behind(cursor: str) -> tuple[int, str]:
    at, _, job = cursor.partition(":")
    return -int(at), job


def _watching(desk: Desk) -> Counter[JobKey]:
    return Counter({key: len(task.watchers) for key, task in desk.controller.fleet.tasks.items()})


async def look(desk: Desk, known: KnownJob, path: str, offset: int, limit: int) -> Glimpse:
    """Return bytes of an output. Raises HostUnreachableError; NotThereError where the host is none of ours now."""
    host = desk.parts.hosts.get(known.now.host)
    if host is None:
        raise NotThereError(f"{known.now.host} is not among the hosts of the settings")
    return (await host.transport.look([Want(path, offset, None, 0, limit)]))[0]


async def look_at_end(desk: Desk, known: KnownJob, path: str, limit: int) -> Glimpse:
    """Return the last `limit` bytes of an output."""
    size = await look(desk, known, path, 0, 0)
    return await look(desk, known, path, max(0, size.stat.size - limit) if size.stat else 0, limit)


def _within(glimpse: Glimpse, offset: int) -> Glimpse:
    """Behind the end of a file there is nothing; a look from there begins at the file's start, since it was cut."""
    if glimpse.stat is None or offset <= glimpse.stat.size:
        return glimpse
    return glimpse._replace(start=glimpse.stat.size, data=b"")


def _output(
    known: KnownJob, stream: Literal["stdout", "stderr"], path: str, glimpse: Glimpse, tail: int | None
) -> OutputShape:
    sights: dict[Sight, Literal["missing", "failed"]] = {Sight.MISSING: "missing", Sight.FAILED: "failed"}
    start, data = glimpse.start, glimpse.data
    if tail is not None:
        kept = b"".join(data.splitlines(keepends=True)[-tail:])
        start, data = start + len(data) - len(kept), kept
    return OutputShape(
        job_id=known.now.id,
        hostname=known.now.host,
        stream=stream,
        path=clean(path),
        sight=sights.get(glimpse.sight, "read"),
        reason=clean(glimpse.reason),
        size=glimpse.stat.size if glimpse.stat else 0,
        offset=start,
        next_offset=start + len(data),
        text=data.decode("utf-8", "replace"),
    )
