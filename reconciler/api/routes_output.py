"""Routes of outputs as lines: some lines, a search through all of them, and where a line stands.

Each request reads a bounded part; who wants more asks on from where the answer says. `routes_jobs` gives plain ranges.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query

from reconciler.api import outputs
from reconciler.api.desk import TRYING, Desk
from reconciler.api.output_shapes import (
    FoundList,
    LineShape,
    LinesQuery,
    LinesShape,
    OutputQuery,
    PlaceQuery,
    PlaceShape,
    SearchQuery,
)
from reconciler.api.refusals import NotThereError, RequestRefusedError, documented
from reconciler.api.routes_jobs import look
from reconciler.api.shapes import JobIdText
from reconciler.api.shaping import clean
from reconciler.errors import ConfigurationError
from reconciler.logic.expression import Tier, check
from reconciler.model import Position
from reconciler.protocols import Glimpse, KnownJob, Sight

#: Bytes that lines are taken from at once, and bytes that a search or a count goes through in one request.
LINES_BYTES, WALK_BYTES = 256 * 1024, 4 * 1024 * 1024
JobPath = Annotated[JobIdText, Path()]


def routes(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api", tags=["jobs"], responses=documented())

    @router.get("/jobs/{job_id}/output/lines")
    async def read_lines(job_id: JobPath, asked: Annotated[LinesQuery, Query()]) -> LinesShape:
        """Return lines of a job's output: from `offset` on, those before `before`, those around, or the last ones."""
        return await _lines(_Stream.of(desk, job_id, asked), asked)

    @router.get("/jobs/{job_id}/output/search")
    async def search_output(job_id: JobPath, asked: Annotated[SearchQuery, Query()]) -> FoundList:
        """Search a job's output with the matcher that watches jobs, a few megabytes in one request."""
        pattern = _checked(outputs.expression(asked.text, regex=asked.regex, ignore_case=asked.ignore_case))
        part = await _Stream.of(desk, job_id, asked).walk(asked.offset)
        place = Position(offset=part.start, line=asked.line - 1, cut=asked.inside)
        async with desk.trying:
            found = await asyncio.to_thread(
                outputs.search, pattern, part.data, place, last=part.last, limit=asked.limit, budget=TRYING
            )
        return FoundList(
            found=list(found.found), count=len(found.found), size=part.size,
            done=found.done, next_offset=found.offset,
            next_line=found.line, next_inside=found.inside,
        )  # fmt: skip

    @router.get("/jobs/{job_id}/output/place")
    async def place_in_output(job_id: JobPath, asked: Annotated[PlaceQuery, Query()]) -> PlaceShape:
        """Count lines, a few megabytes in one request: where a line begins, or which number a place has."""
        part = await _Stream.of(desk, job_id, asked).walk(asked.offset)
        reached = await asyncio.to_thread(
            outputs.count, part.data, part.start, asked.line,
            until_line=asked.until_line, until_offset=asked.until_offset,
        )  # fmt: skip
        stuck = reached.offset == part.start and not reached.reached and not part.last  # in a line longer than a walk
        offset = part.start + len(part.data) if stuck else reached.offset
        return PlaceShape(line=reached.line, offset=offset, size=part.size, done=reached.reached or part.last)

    return router


@dataclass(frozen=True, slots=True)
class _Part:
    """Bytes from `start` on; `last`: nothing follows them."""

    start: int
    data: bytes
    size: int
    last: bool


@dataclass(frozen=True, slots=True)
class _Stream:
    """One stream of one job, as a request names it."""

    desk: Desk
    known: KnownJob
    path: str

    @staticmethod
    def of(desk: Desk, job_id: str, asked: OutputQuery) -> _Stream:
        known = desk.job(job_id, asked.hostname)
        path = known.now.stderr if asked.stream == "stderr" else known.now.stdout
        if path is None:
            raise NotThereError(f"where job {job_id} writes its {asked.stream} is not known")
        return _Stream(desk, known, path)

    async def look(self, offset: int, limit: int) -> Glimpse:
        return await look(self.desk, self.known, self.path, offset, limit)

    async def size(self) -> int:
        glimpse = await self.look(0, 0)
        return glimpse.stat.size if glimpse.stat else 0

    async def walk(self, offset: int) -> _Part:
        """Return what one request goes through. What is not there is empty."""
        glimpse = await self.look(offset, WALK_BYTES)
        size = glimpse.stat.size if glimpse.stat else 0
        data = glimpse.data if offset <= size else b""
        last = offset + len(data) >= size
        if not last and data.endswith(b"\r"):
            data = data[:-1]  # the newline that belongs to it may follow
        return _Part(min(offset, size), data, size, last)


def _checked(pattern: str) -> str:
    try:
        info = check(pattern)
    except ConfigurationError as error:
        raise RequestRefusedError(422, "invalid-pattern", error.message, remedy=error.remedy) from error
    if info.tier is Tier.REFUSED:
        raise RequestRefusedError(422, "invalid-pattern", info.reason, remedy="look for plain text instead")
    if info.matches_empty:
        raise RequestRefusedError(
            422, "invalid-pattern", "it finds nothing at all, everywhere", remedy="demand a character"
        )
    return pattern


async def _lines(stream: _Stream, asked: LinesQuery) -> LinesShape:
    start, limit = await _range(stream, asked)
    glimpse = await stream.look(start, limit)
    size = glimpse.stat.size if glimpse.stat else 0
    begins_line = start == 0 or (asked.offset is not None and asked.before is None and asked.around is None)
    if start > size:  # it was cut meanwhile
        start, data = size, b""
    else:
        data = glimpse.data
        skipped = 0 if begins_line else outputs.line_start(data)
        start, data = start + skipped, data[skipped:]
    last = start + len(data) >= size
    lines = outputs.split(data, start, last=last or asked.before is not None)
    return _shape(stream, asked, glimpse, *_kept(asked, lines, start, last))


async def _range(stream: _Stream, asked: LinesQuery) -> tuple[int, int]:
    """Return the first byte to read and how many; one byte more in front, to see whether a line begins there."""
    if asked.before is not None:
        start = max(0, asked.before - LINES_BYTES)
        return start, max(1, asked.before - start)
    if asked.around is not None:
        return max(0, asked.around - LINES_BYTES // 2), LINES_BYTES
    if asked.offset is not None:
        return asked.offset, LINES_BYTES
    return max(0, await stream.size() - LINES_BYTES), LINES_BYTES + 65_536  # it may grow meanwhile


def _kept(asked: LinesQuery, lines: list[LineShape], start: int, last: bool) -> tuple[list[LineShape], int, int]:
    """Return at most so many lines, where they begin, and where to go on.

    A line that has no end yet is shown, and is where to go on; a piece of one that is longer than all that is read
    is dealt with.
    """
    if not last and asked.before is None and len(lines) > 1 and not lines[-1].whole:
        del lines[-1]
    if asked.offset is not None and asked.before is None and asked.around is None:
        lines = lines[: asked.limit]
    elif asked.around is not None:
        at = next((i for i, line in enumerate(lines) if line.offset + line.bytes > asked.around), len(lines))
        first = max(0, at - asked.limit // 2)
        lines = lines[first : first + asked.limit]
    else:
        lines = lines[-asked.limit :]
    if not lines:
        return [], start, start
    end = lines[-1]
    waits = last and not end.whole and end.bytes < LINES_BYTES and asked.before is None
    return lines, lines[0].offset, end.offset if waits else end.offset + end.bytes


def _shape(
    stream: _Stream, asked: LinesQuery, glimpse: Glimpse, lines: list[LineShape], offset: int, next_offset: int
) -> LinesShape:
    stat = glimpse.stat
    return LinesShape(
        job_id=stream.known.now.id, hostname=stream.known.now.host, stream=asked.stream, path=clean(stream.path),
        sight="missing" if glimpse.sight is Sight.MISSING else "failed" if glimpse.sight is Sight.FAILED else "read",
        reason=clean(glimpse.reason), size=stat.size if stat else 0, file=f"{stat.device}:{stat.inode}" if stat else "",
        lines=lines, offset=offset, next_offset=next_offset,
    )  # fmt: skip
