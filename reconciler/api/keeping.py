"""Templates saved and taken away again, in the writable layer alone; the same limits hold as for watchers."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from reconciler.api.authoring_shapes import NewTemplate, TemplateDetail, TemplateList, TemplateShape
from reconciler.api.callers import Caller
from reconciler.api.composing import loaded, text_of
from reconciler.api.desk import Desk
from reconciler.api.editing import alone, names_in
from reconciler.api.refusals import ConflictError, NotThereError, RequestRefusedError, flaw_of
from reconciler.api.shaping import clean, pattern_of
from reconciler.api.template_text import put_together
from reconciler.api.templates import UNSORTED, Template, file_name, library, shelf
from reconciler.spec.canonical import to_plain

#: Templates that the writable layer keeps.
MOST_TEMPLATES = 500


async def listed(desk: Desk) -> TemplateList:
    """Return all templates, by category and name."""
    found = [_shape(each) for each in (await library(desk)).values()]
    found.sort(key=lambda each: (each.category == UNSORTED, each.category.lower(), each.name.lower(), each.id))
    return TemplateList(
        templates=found,
        count=len(found),
        categories=list(dict.fromkeys(each.category for each in found)),
        tags=sorted({tag for each in found for tag in each.tags}),
    )


async def looked_up(desk: Desk, template_id: str) -> TemplateDetail:
    """Return one template with its text. Raises NotThereError."""
    found = await _find(desk, template_id)
    spec = to_plain(found.located.spec) if found.located else {}
    return TemplateDetail(**_shape(found).model_dump(), yaml=clean(found.text.body), spec=spec)


async def keep(desk: Desk, caller: Caller, body: NewTemplate) -> TemplateDetail:
    """Write a template into the writable layer. Raises RequestRefusedError."""
    text = await _given(desk, body)
    name = (await loaded(desk, caller, text)).spec.name
    text = await asyncio.to_thread(alone, text, name, lambda spec: _made_general(spec, body.name))
    located = await loaded(desk, caller, text)
    path = shelf(desk).directory / file_name(located.spec.name)
    async with desk.writing:
        known = await library(desk)
        taken = known.get(path.stem)
        if taken is not None and taken.path == path and not body.replace:
            raise ConflictError(
                "template-taken", f"there is a template of that name already: {taken.path.name}",
                remedy="use another name, or say `replace`",
            )  # fmt: skip
        if taken is None and sum(each.layer == "api" for each in known.values()) >= MOST_TEMPLATES:
            raise ConflictError("too-many-templates", f"{MOST_TEMPLATES} templates are kept", remedy="delete some")
        whole = put_together(body.category, body.tags, text)
        await asyncio.to_thread(shelf(desk).write, path, whole)
    await desk.audit.written(caller, "saved the template", located.spec.name, file=str(path))
    return await looked_up(desk, path.stem)


async def take_away(desk: Desk, caller: Caller, template_id: str) -> None:
    """Delete a template that was saved over the API. Raises RequestRefusedError."""
    async with desk.writing:
        found = await _find(desk, template_id)
        if found.layer != "api":
            raise ConflictError("not-ours", f"{found.path} is not the API's to delete", remedy="delete it where it is")
        await asyncio.to_thread(shelf(desk).delete, found.path)
        await asyncio.to_thread(shelf(desk).thin_out)
    await desk.audit.written(caller, "deleted the template", template_id, file=str(found.path))


async def _find(desk: Desk, template_id: str) -> Template:
    found = (await library(desk)).get(template_id)
    if found is None:
        raise NotThereError(f"there is no template {template_id}", remedy="`GET /api/templates` lists them")
    return found


async def _given(desk: Desk, body: NewTemplate) -> str:
    """Return a text with the watcher that is meant."""
    if (body.yaml is None) == (body.watcher_id is None):
        raise RequestRefusedError(422, "one-watcher", "give either `yaml` or `watcher_id`")
    if body.yaml is not None:
        return body.yaml
    watcher, stored = await desk.watcher(int(body.watcher_id or 0))
    text = await text_of(desk, watcher, stored)
    if not text:
        raise ConflictError("no-spec", "no spec is in force under the watcher's name")
    return await asyncio.to_thread(_by_itself, text, watcher.name)


def _by_itself(text: str, name: str) -> str:
    return alone(text, name, lambda _: None) if len(names_in(text)) > 1 else text


def _made_general(spec: MutableMapping[str, Any], name: str | None) -> None:
    """Take out what holds for one watcher alone: its job, its earlier name; give it the name that was asked for."""
    spec.pop("renamed_from", None)
    spec.pop("suspend", None)
    jobs = spec.get("jobs")
    if isinstance(jobs, MutableMapping) and "ids" in jobs:
        jobs.pop("ids")
        jobs.pop("hosts", None)
        if not jobs:
            spec.pop("jobs")
    if name is not None:
        spec["name"] = name


def _shape(found: Template) -> TemplateShape:
    spec = to_plain(found.located.spec) if found.located else {}
    return TemplateShape(
        id=found.id,
        name=str(spec.get("name", found.id)),
        description=str(spec.get("description", "")) or clean(found.text.prose),
        category=clean(found.text.category) or UNSORTED,
        tags=[clean(tag) for tag in found.text.tags],
        pattern=pattern_of(spec),
        actions=[action["type"] for action in spec.get("actions", ())],
        layer=found.layer,
        file=clean(str(found.path)),
        writable=found.layer == "api",
        errors=[flaw_of(problem) for problem in found.problems],
    )
