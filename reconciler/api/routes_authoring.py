"""Routes for people who write watchers: what one can be made of, the file before it is written, templates."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from reconciler.api import drafting, keeping
from reconciler.api.authoring_shapes import (
    Draft,
    NewTemplate,
    SelectorBody,
    SelectorTested,
    TemplateDetail,
    TemplateId,
    TemplateList,
    Vocabulary,
)
from reconciler.api.desk import Desk
from reconciler.api.refusals import documented
from reconciler.api.routes_watchers import caller_from
from reconciler.api.shapes import IdNumber, NewWatcher
from reconciler.api.vocabulary import vocabulary

Edited = Annotated[IdNumber | None, Query(description="the watcher that is edited; left out: a new one")]


def routes(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api", tags=["authoring"], responses=documented())
    _add_drafts(router, desk)
    _add_templates(router, desk)
    return router


def _add_drafts(router: APIRouter, desk: Desk) -> None:
    @router.get("/vocabulary")
    async def what_there_is(request: Request) -> Vocabulary:
        """Return the action types, names and presets that watchers may use."""
        return vocabulary(desk, caller_from(request))

    @router.post("/watchers/preview")
    async def preview_watcher(
        request: Request,
        body: NewWatcher,
        watcher_id: Edited = None,
    ) -> Draft:
        """Return the file that creating or editing a watcher would write, and everything that is wrong with it."""
        async with desk.trying:
            if watcher_id is None:
                return await drafting.draft(desk, caller_from(request), body)
            return await drafting.draft_of(desk, caller_from(request), watcher_id, body)

    @router.post("/selectors/test")
    async def try_selector(body: SelectorBody) -> SelectorTested:
        """Count the jobs that a selector meets."""
        return drafting.fitting(desk, body.jobs)


def _add_templates(router: APIRouter, desk: Desk) -> None:
    @router.get("/templates")
    async def list_templates() -> TemplateList:
        """List the templates of all layers, by category and name."""
        return await keeping.listed(desk)

    @router.post("/templates", status_code=201)
    async def save_template(request: Request, body: NewTemplate) -> TemplateDetail:
        """Keep a watcher as a template, without its job, in the writable layer."""
        return await keeping.keep(desk, caller_from(request), body)

    @router.get("/templates/{template_id}")
    async def look_at_template(template_id: Annotated[TemplateId, Path()]) -> TemplateDetail:
        """Return one template with its text."""
        return await keeping.looked_up(desk, template_id)

    @router.delete("/templates/{template_id}", status_code=204)
    async def delete_template(request: Request, template_id: Annotated[TemplateId, Path()]) -> Response:
        """Delete a template that was saved here; a copy stays in `.deleted`."""
        await keeping.take_away(desk, caller_from(request), template_id)
        return Response(status_code=204)
