"""The text that a request to write a watcher means, and whether it may be written. Nothing is written here.

`writing` does that, `drafting` shows it before, `templates` keep it. What another layer owns is refused with the YAML
to commit there, and a patch.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.api.callers import Caller
from reconciler.api.desk import Desk
from reconciler.api.editing import edited, merge, new_text
from reconciler.api.refusals import ConflictError, RequestRefusedError, flawed
from reconciler.api.shapes import NewWatcher, WatcherEdit
from reconciler.api.shaping import spec_of
from reconciler.errors import StateError
from reconciler.model import Origin, StoredSpec, Watcher
from reconciler.sources.git import GitSource
from reconciler.spec.load import LocatedSpec
from reconciler.spec.watcher import WatcherSpec

#: The kind of source that the writable layer is, in policies.
KIND = "api"


async def composed(desk: Desk, body: NewWatcher) -> str:
    """Return the text of a new watcher's file. Raises RequestRefusedError."""
    fields = body.model_dump(exclude_unset=True)
    text, job_id = fields.pop("yaml", None), fields.pop("job_id", None)
    hostname = fields.pop("hostname", None)
    if job_id is not None:
        await _check_job(desk, job_id, hostname)
    if text is None:
        spec = _bound(fields, job_id, hostname)
        spec["name"] = _free_name(desk, str(spec.get("name", "")), job_id, hostname)
        return await asyncio.to_thread(_written, spec)
    if fields or job_id or hostname:
        raise RequestRefusedError(422, "yaml-alone", "`yaml` says all; nothing can stand beside it")
    return str(text)


def path_of(desk: Desk, spec: WatcherSpec) -> Path:
    """Return the file that a new watcher gets, unless something stands there: see `Dropins.free`."""
    ids = spec.jobs.ids
    return desk.dropins.path_for(spec.name, ids[0] if len(ids) == 1 else "")


async def text_of(desk: Desk, watcher: Watcher, stored: StoredSpec | None) -> str:
    """Return the text of the file that gave a spec; its canonical form where the file is not as it was, or not here."""
    return "" if stored is None else await asyncio.to_thread(_text_of, desk, watcher, stored)


def _text_of(desk: Desk, watcher: Watcher, stored: StoredSpec) -> str:
    text = at_hand(desk, stored.origin)
    found = desk.tools.parse(text.encode(), "watcher.yaml")
    if found.good and any(located.spec.name == watcher.name for located in found.specs):
        return text
    return new_text({"name": watcher.name, **spec_of(stored)})


def at_hand(desk: Desk, origin: Origin) -> str:
    """Return what stands in a file: on disk, or in the commit that a git source read last; "" where it is neither."""
    if Path(origin.file).is_absolute():
        try:
            return desk.dropins.read(Path(origin.file))
        except StateError:
            return ""
    sources = (source for source in desk.parts.sources if isinstance(source, GitSource))
    contents = (source.content(origin.file) for source in sources if source.name == origin.source)
    try:
        return (next(contents, None) or b"").decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""


def changed(watcher: Watcher, text: str, body: WatcherEdit) -> str:
    """Return the file as the body wants it."""
    fields = body.model_dump(exclude_unset=True)
    whole = fields.pop("yaml", None)
    for field, own in (("job_id", watcher.job.id), ("hostname", str(watcher.job.host))):
        if fields.pop(field, own) not in (own, None):
            raise RequestRefusedError(422, "other-job", "a watcher stays with its job", remedy="create another one")
    if whole is not None:
        if fields:
            raise RequestRefusedError(422, "yaml-alone", "`yaml` says all; nothing can stand beside it")
        return str(whole)

    def change(spec: Any) -> None:
        name = fields.get("name")
        merge(spec, fields)
        if name is not None and str(name).strip() != watcher.name:
            spec["renamed_from"] = str(watcher.name)

    try:
        return edited(text, watcher.name, change)
    except ValueError as error:
        raise RequestRefusedError(422, "no-text", "a value holds what is no text (half a character)") from error


async def loaded(desk: Desk, caller: Caller, text: str, *, among: str = "") -> LocatedSpec:
    """Return the spec in a text that is to be written. `among`: the one that was edited, where several stand there."""
    return await asyncio.to_thread(_loaded, desk, caller, text, among)


def _loaded(desk: Desk, caller: Caller, text: str, among: str) -> LocatedSpec:
    try:
        found = desk.tools.parse(text.encode(), "watcher.yaml")
    except UnicodeEncodeError as error:
        raise RequestRefusedError(422, "no-text", "the text holds half a character") from error
    if not found.good:
        raise flawed([problem for problem in found.problems if problem.severity == "error"])
    if len(found.specs) > 1 and not among:
        raise RequestRefusedError(422, "several-watchers", "one watcher at a time")
    for located in found.specs:
        check_policy(desk, caller, located)
    named = [located for located in found.specs if located.spec.name == among]
    renamed = [located for located in found.specs if located.spec.renamed_from == among]
    return [*named, *renamed, *found.specs][0]


def check_free(desk: Desk, name: str) -> None:
    """Raise ConflictError where a watcher has the name already."""
    taken = desk.desired(name)
    if taken is not None:
        where = f"{taken.origin.file}:{taken.origin.line}"
        raise ConflictError("name-taken", f"there is a watcher {name!r} already, in {where}", remedy="use another name")


def check_owner(desk: Desk, origin: Origin, old: str, new: str) -> None:
    """Raise ConflictError where another layer owns the file: with `new`, the text that it should have."""
    if not desk.dropins.owns(origin.file):
        remedy = "commit this to that file" if new else "delete that file"
        raise ConflictError(
            "not-ours", f"{origin.file} owns the watcher, and the API may not write there", remedy=remedy,
            yaml=new, file=origin.file, line=origin.line, patch=patch_of(desk, origin, old, new),
        )  # fmt: skip


def patch_of(desk: Desk, origin: Origin, old: str, new: str) -> str:
    """Return what changes in a file as a patch for `git apply`; "" where nothing does, or the file is not at hand.

    Its path is seen from the top of the work tree that the file stands in, if there is one. Blocking, for a moment.
    """
    if old == new or at_hand(desk, origin) != old:
        return ""
    path = Path(origin.file)
    top = next((parent for parent in path.parents if (parent / ".git").exists()), path.parent)
    name = (path.relative_to(top) if path.is_absolute() else path).as_posix()
    diff = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{name}", f"b/{name}" if new else "/dev/null"
    )
    lines = [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in diff]
    return "".join(lines)


async def _check_job(desk: Desk, job_id: str, hostname: str | None) -> None:
    """The job must be known; one that was submitted a moment ago is looked for."""
    if hostname is not None and hostname not in desk.parts.settings.hosts:
        raise RequestRefusedError(422, "unknown-host", f"no host {hostname} is configured", remedy="see `hosts`")
    known = any(key.id == job_id for key in desk.controller.discovery.known)
    if not known and not desk.listings.wait("jobs", desk.parts.clock.monotonic()):
        await desk.daemon.look_again(list_jobs=True)
    desk.job(job_id, hostname)


def _bound(fields: Mapping[str, Any], job_id: str | None, hostname: str | None) -> dict[str, Any]:
    """Return the spec of a body: the job stands where a selector has it."""
    spec = {key: value for key, value in fields.items() if value is not None}
    jobs: dict[str, Any] = {}
    if job_id is not None:
        jobs["ids"] = [job_id]
    if hostname is not None:
        jobs["hosts"] = [hostname]
    if jobs and "jobs" in spec:
        raise RequestRefusedError(422, "two-selectors", "give either `job_id` and `hostname`, or `jobs`")
    name = spec.pop("name", None)
    return {**({"name": name} if name is not None else {}), **({"jobs": jobs} if jobs else {}), **spec}


def _free_name(desk: Desk, name: str, job_id: str | None, hostname: str | None) -> str:
    """Return the name, with the job in it where another job's watcher has it already: names are unique here."""
    taken = desk.desired(name.strip())
    if taken is None or job_id is None or (job_id in taken.spec.jobs.ids and (
        hostname is None or not taken.spec.jobs.hosts or hostname in taken.spec.jobs.hosts
    )):  # fmt: skip
        return name
    longer = f"{name.strip()[:150]} ({job_id})"
    return longer if desk.desired(longer) is None or hostname is None else f"{longer[:-1]}@{hostname})"


def _written(spec: Mapping[str, Any]) -> str:
    try:
        return new_text(spec)
    except ValueError as error:
        raise RequestRefusedError(422, "no-text", "a value holds what is no text (half a character)") from error


def check_policy(desk: Desk, caller: Caller, located: LocatedSpec) -> None:
    """Refuse action types that the settings deny to the API, or the key to its holder, and what they forbid in use."""
    types = {action.type for action in located.spec.actions}
    allowed = desk.parts.settings.policy.actions.get(KIND)
    for who, limit in (("the settings do", allowed), ("the key does", caller.key.actions if caller.key else ())):
        over = sorted(types - set(limit)) if limit is not None else []
        if over:
            raise RequestRefusedError(
                403, "actions", f"{who} not allow {', '.join(over)} for watchers of the API",
                remedy="commit the watcher to a directory, or let an operator allow it",
            )  # fmt: skip
    forbidden = desk.tools.forbidden(located, "watcher.yaml", f"{KIND}:")
    if forbidden:
        raise flawed(list(forbidden), "the settings do not allow that")
