"""Routes of watchers: list, create, look, edit, delete; pause, resume, trigger; many at once."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, Path, Query, Request, Response

from reconciler.api import asking, deleting, writing
from reconciler.api.callers import Caller
from reconciler.api.composing import text_of
from reconciler.api.desk import Desk
from reconciler.api.refusals import RequestRefusedError, documented
from reconciler.api.shapes import (
    BulkBody,
    BulkDone,
    BulkResult,
    BulkVerb,
    Deleted,
    Done,
    HostText,
    IdNumber,
    JobIdText,
    JobWatchers,
    NewWatcher,
    Number,
    PauseBody,
    ResumeBody,
    Triggered,
    WatcherDetail,
    WatcherEdit,
    WatcherList,
    WatcherOutline,
    WatcherQuery,
    WatcherWritten,
)
from reconciler.api.shaping import outline_text, page_shapes, spec_of, watcher_fields
from reconciler.api.standing import tag_of
from reconciler.protocols import WatcherFilter
from reconciler.spec.moments import epoch

#: Watchers in one outline.
MOST_OUTLINED = 50_000


Id = Annotated[IdNumber, Path(description="the watcher's number")]
Reach = Annotated[
    Literal["watcher", "spec"], Query(description="spec: all watchers of its spec are meant, on every job")
]
Match = Annotated[
    str | None,
    Header(max_length=1000, description="`tag` of the watcher that is meant; 412 where it or its file is another now"),
]


def caller_from(request: Request) -> Caller:
    """Return who the gate says it is."""
    found: Caller = request.scope["caller"]
    return found


def routes(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api", tags=["watchers"], responses=documented())
    _add_looking(router, desk)
    _add_writing(router, desk)
    _add_asking(router, desk)
    return router


def _add_looking(router: APIRouter, desk: Desk) -> None:
    @router.get("/jobs/{job_id}/watchers")
    async def watchers_of_job(
        job_id: Annotated[JobIdText, Path()], hostname: Annotated[HostText | None, Query()] = None
    ) -> JobWatchers:
        """List the watchers of a job."""
        wanted = WatcherFilter(job_id=job_id, hostname=hostname, limit=1000)
        page = await desk.reading.ask(lambda state: state.page(wanted))
        shapes = page_shapes(page, desk.daemon.next_look)
        return JobWatchers(job_id=job_id, watchers=shapes, count=len(shapes))

    @router.get("/watchers")
    async def list_watchers(asked: Annotated[WatcherQuery, Query()]) -> WatcherList:
        """List watchers, the newest first."""
        wanted = WatcherFilter(
            state=asked.state.value if asked.state else None, hostname=asked.host, job_id=asked.job_id, name=asked.name,
            labels=_labels(asked.label), search=asked.search, ids=asked.id,
            before_id=int(asked.cursor) if asked.cursor else None, limit=asked.limit,
        )  # fmt: skip
        page = await desk.reading.ask(lambda reader: reader.page(wanted))
        more = str(page.watchers[-1].id) if len(page.watchers) == asked.limit and page.watchers[-1].id > 1 else None
        shapes = page_shapes(page, desk.daemon.next_look)
        return WatcherList(watchers=shapes, count=len(shapes), total=page.total, next_cursor=more)

    @router.get("/watchers/outline", response_model=WatcherOutline)  # before watchers, whose numbers stand there
    async def outline_watchers(limit: Annotated[Number, Query(ge=1, le=MOST_OUTLINED)] = MOST_OUTLINED) -> Response:
        """List very many watchers in few words: what a list of cards shows, each spec once."""
        seq, outline = await desk.reading.ask(lambda state: (state.last_seq(), state.outline(limit)))
        return Response(await asyncio.to_thread(outline_text, outline, seq), media_type="application/json")

    @router.get("/watchers/{watcher_id}")
    async def look_at_watcher(
        response: Response, watcher_id: Id, stopped: Annotated[bool, Query()] = False
    ) -> WatcherDetail:
        """Return one watcher with its spec and the text of its file; with `stopped` a deleted one, too."""
        watcher, stored = await desk.watcher(watcher_id, stopped=stopped)
        async with desk.trying:
            text = await text_of(desk, watcher, stored)
        jobs = len(await desk.of_spec(watcher.name))
        response.headers["ETag"] = tag = tag_of(text, stored)
        return WatcherDetail(
            **watcher_fields(watcher, stored, desk.daemon.next_look),
            spec=spec_of(stored),
            yaml=text,
            tag=tag,
            jobs=jobs,
        )


def _add_writing(router: APIRouter, desk: Desk) -> None:
    @router.post("/watchers", status_code=201)
    async def create_watcher(request: Request, body: NewWatcher) -> WatcherWritten:
        """Write a watcher's file into the writable layer, and answer what it was bound to."""
        return await writing.create(desk, caller_from(request), body)

    @router.put("/watchers/{watcher_id}")
    async def edit_watcher(
        request: Request, watcher_id: Id, body: WatcherEdit, scope: Reach = "watcher", if_match: Match = None
    ) -> WatcherWritten:
        """Edit the file of a watcher; comments in it stay. What another layer owns is answered with what to commit."""
        return await writing.edit(desk, caller_from(request), watcher_id, body, scope, if_match)

    @router.delete("/watchers/{watcher_id}")
    async def delete_watcher(
        request: Request, watcher_id: Id, scope: Reach = "watcher", if_match: Match = None
    ) -> Deleted:
        """Delete the file of a watcher; it stops at once."""
        return await deleting.delete(desk, caller_from(request), watcher_id, scope, if_match)


def _add_asking(router: APIRouter, desk: Desk) -> None:
    @router.post("/watchers/bulk")
    async def act_on_many(request: Request, body: BulkBody) -> BulkDone:
        """Pause, resume, trigger or delete many watchers; what cannot be done to one does not stop the others."""
        caller = caller_from(request)
        ids = list(dict.fromkeys(body.ids))
        if body.action is BulkVerb.DELETE:
            done = await deleting.delete_each(desk, caller, ids)
        else:
            verb = "suspend" if body.action is BulkVerb.PAUSE else body.action.value
            done = await asking.each(desk, caller, verb, ids, _body(body))
        told = {result.id: result for result in done}
        missing = "there is no such watcher"
        results = [told.get(each) or BulkResult(id=each, success=False, message=missing) for each in ids]
        good = sum(result.success for result in results)
        return BulkDone(results=results, succeeded=good, failed=len(results) - good)

    @router.post("/watchers/{watcher_id}/pause")
    async def pause_watcher(request: Request, watcher_id: Id, body: Annotated[PauseBody | None, Body()] = None) -> Done:
        """Hold a watcher still; its position waits."""
        body = body or PauseBody()
        until = epoch(body.until) if body.until else None
        return await asking.pause(desk, caller_from(request), watcher_id, body.reason, until)

    @router.post("/watchers/{watcher_id}/resume")
    async def resume_watcher(
        request: Request, watcher_id: Id, body: Annotated[ResumeBody | None, Body()] = None
    ) -> Done:
        """Let a paused or disabled watcher go on."""
        return await asking.resume(desk, caller_from(request), watcher_id, (body or ResumeBody()).start)

    @router.post("/watchers/{watcher_id}/trigger")
    async def trigger_watcher(request: Request, watcher_id: Id) -> Triggered:
        """Run a watcher's actions once, on its newest match."""
        return await asking.trigger(desk, caller_from(request), watcher_id)


def _labels(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise RequestRefusedError(422, "bad-label", f"{pair!r} is no label", remedy="write label=key=value")
    return dict(pair.split("=", 1) for pair in pairs)


def _body(asked: BulkBody) -> dict[str, Any]:
    """Return what the request row says beside whom it is about."""
    if asked.action is BulkVerb.PAUSE:
        return {"reason": asked.reason, "until": epoch(asked.until) if asked.until else None}
    return {"from": asked.start} if asked.action is BulkVerb.RESUME else {}
