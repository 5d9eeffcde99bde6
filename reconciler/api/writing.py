"""Watchers created, edited and deleted: always by changing a file of the writable layer and letting the engine look.

Files stay the truth. What another layer owns is refused with the YAML to commit there; a spec of several watchers is
changed only where the caller says that all of them are meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.api.callers import Caller
from reconciler.api.desk import Desk
from reconciler.api.editing import edited, merge, names_in, new_text, without
from reconciler.api.refusals import ConflictError, RequestRefusedError, flawed
from reconciler.api.shapes import Deleted, NewWatcher, WatcherEdit, WatcherWritten
from reconciler.api.shaping import spec_of, watcher_shape
from reconciler.engine.controller import PassReport
from reconciler.errors import Problem, StateError
from reconciler.events import EventType
from reconciler.logic.telling import watcher_event
from reconciler.model import Origin, StoredSpec, Watcher, WatcherState
from reconciler.protocols import Advance, Batch, StateWriting
from reconciler.spec.load import LocatedSpec

#: The kind of source that the writable layer is, in policies.
_KIND = "api"


async def create(desk: Desk, caller: Caller, body: NewWatcher) -> WatcherWritten:
    """Write a watcher's file and return what the engine made of it. Raises RequestRefusedError."""
    desk.started()
    fields = body.model_dump(exclude_unset=True)
    text, job_id = fields.pop("yaml", None), fields.pop("job_id", None)
    hostname = fields.pop("hostname", None)
    async with desk.writing:
        if job_id is not None:
            await _check_job(desk, job_id, hostname)
        if text is None:
            spec = _bound(fields, job_id, hostname)
            spec["name"] = _free_name(desk, str(spec.get("name", "")), job_id, hostname)
            text = _written(spec)
        elif fields or job_id or hostname:
            raise RequestRefusedError(422, "yaml-alone", "`yaml` says all; nothing can stand beside it")
        located = _loaded(desk, caller, text)
        name = located.spec.name
        _check_free(desk, name)
        ids = located.spec.jobs.ids
        path = desk.dropins.path_for(name, ids[0] if len(ids) == 1 else "")
        await asyncio.to_thread(desk.dropins.write, path, text)
        report = await _look(desk, path)
        answer = await _answer(desk, name, path, report, "created")
    await desk.audit.written(caller, "created", name, ids=answer.ids, file=str(path))
    return answer


async def edit(desk: Desk, caller: Caller, watcher_id: int, body: WatcherEdit, scope: str) -> WatcherWritten:
    """Edit the file of a watcher's spec, keeping its comments. Raises RequestRefusedError."""
    desk.started()
    async with desk.writing:
        watcher, stored = await desk.watcher(watcher_id)
        if stored is None:
            raise ConflictError("no-spec", "no spec is in force under the watcher's name")
        path = Path(stored.origin.file)
        old = await text_of(desk, watcher, stored)
        new = _changed(watcher, old, body)
        _check_owner(desk, stored.origin, new)
        await _check_reach(desk, watcher, scope)
        located = _loaded(desk, caller, new, among=watcher.name)
        if located.spec.name != watcher.name:
            _check_free(desk, located.spec.name)
        await asyncio.to_thread(desk.dropins.write, path, new)
        report = await _look(desk, path, undo=old)
        answer = await _answer(desk, located.spec.name, path, report, "updated")
    await desk.audit.written(caller, "updated", watcher.name, ids=answer.ids, file=str(path))
    return answer


async def delete(desk: Desk, caller: Caller, watcher_id: int, scope: str) -> Deleted:
    """Take a watcher's spec out of its file, and see that its watchers have stopped. Raises RequestRefusedError."""
    desk.started()
    async with desk.writing:
        watcher, stored = await desk.watcher(watcher_id)
        if stored is not None:
            await _check_deletion(desk, watcher, stored)
        ids = [each.id for each in await _check_reach(desk, watcher, scope)]
        if stored is not None:
            old = await text_of(desk, watcher, stored)
            await _remove(desk, Path(stored.origin.file), without(old, watcher.name))
            await desk.daemon.look_again()
        await _bury(desk, [each for each in await desk.of_spec(watcher.name) if each.id in ids], caller)
        left = [each.id for each in await desk.of_spec(watcher.name) if each.id in ids]
    file = stored.origin.file if stored else ""
    await desk.audit.written(caller, "deleted", watcher.name, ids=ids, file=file)
    message = "the watcher is deleted" if not left else "its file is deleted; the watcher stops with the next pass"
    return Deleted(success=not left, message=message, id=watcher_id, ids=ids)


async def _check_deletion(desk: Desk, watcher: Watcher, stored: StoredSpec) -> None:
    if not desk.dropins.owns(stored.origin.file):
        old = await text_of(desk, watcher, stored)
        _check_owner(desk, stored.origin, without(old, watcher.name))
    if spec_of(stored).get("prune") == "disabled":
        raise ConflictError(
            "prune-disabled", "its file says `prune: disabled`, so it would go on", remedy="take that out first (PUT)"
        )


async def _bury(desk: Desk, watchers: Sequence[Watcher], caller: Caller) -> None:
    """Stop what no pass stops, since it does not run: watchers whose job has ended."""
    now = desk.parts.clock.now()
    over = [each for each in watchers if not each.phase.live]
    advances = []
    for before in over:
        after = replace(before, phase=WatcherState.STOPPED)
        told = watcher_event(after, EventType.WATCHER_STOPPED, now, result="deleted", data={"by": caller.name})
        advances.append(Advance(before, after, events=(told,)))
        task = desk.controller.fleet.find(before.id)
        if task is not None:
            task.drop(before.id)
    if advances:

        def work(state: StateWriting) -> None:
            state.commit(Batch(advances=tuple(advances)))

        await desk.parts.state.run(work)


async def _remove(desk: Desk, path: Path, rest: str) -> None:
    """Delete a file; other watchers in it go on in one of another name, so that the deletion is a deliberate one."""
    if rest:
        other = path.with_name(f"{path.stem}-rest{path.suffix}")
        while other.exists():
            other = other.with_name(f"{other.stem}-rest{other.suffix}")
        await asyncio.to_thread(desk.dropins.write, other, rest)
    await asyncio.to_thread(desk.dropins.delete, path)


# --- what is asked before anything is written ------------------------------------------------------------------------


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


def _check_free(desk: Desk, name: str) -> None:
    taken = desk.desired(name)
    if taken is not None:
        where = f"{taken.origin.file}:{taken.origin.line}"
        raise ConflictError("name-taken", f"there is a watcher {name!r} already, in {where}", remedy="use another name")


def _written(spec: Mapping[str, Any]) -> str:
    try:
        return new_text(spec)
    except ValueError as error:
        raise RequestRefusedError(422, "no-text", "a value holds what is no text (half a character)") from error


def _loaded(desk: Desk, caller: Caller, text: str, *, among: str = "") -> LocatedSpec:
    """Return the spec in a text that is to be written. `among`: the one that was edited, where several stand there."""
    try:
        loaded = desk.tools.parse(text.encode(), "watcher.yaml")
    except UnicodeEncodeError as error:
        raise RequestRefusedError(422, "no-text", "the text holds half a character") from error
    if not loaded.good:
        raise flawed([problem for problem in loaded.problems if problem.severity == "error"])
    if len(loaded.specs) > 1 and not among:
        raise RequestRefusedError(422, "several-watchers", "one watcher at a time")
    for located in loaded.specs:
        _check_policy(desk, caller, located)
    chosen = [located for located in loaded.specs if located.spec.name == among] or list(loaded.specs)
    return chosen[0]


def _check_policy(desk: Desk, caller: Caller, located: LocatedSpec) -> None:
    """Refuse action types that the settings deny to the API, or the key to its holder, and what they forbid in use."""
    types = {action.type for action in located.spec.actions}
    allowed = desk.parts.settings.policy.actions.get(_KIND)
    for who, limit in (("the settings do", allowed), ("the key does", caller.key.actions if caller.key else ())):
        over = sorted(types - set(limit)) if limit is not None else []
        if over:
            raise RequestRefusedError(
                403, "actions", f"{who} not allow {', '.join(over)} for watchers of the API",
                remedy="commit the watcher to a directory, or let an operator allow it",
            )  # fmt: skip
    forbidden = desk.tools.forbidden(located, "watcher.yaml", f"{_KIND}:")
    if forbidden:
        raise flawed(list(forbidden), "the settings do not allow that")


def _check_owner(desk: Desk, origin: Origin, text: str) -> None:
    if not desk.dropins.owns(origin.file):
        remedy = "commit this to that file" if text else "delete that file"
        raise ConflictError(
            "not-ours", f"{origin.file} owns the watcher, and the API may not write there", remedy=remedy,
            yaml=text, file=origin.file, line=origin.line,
        )  # fmt: skip


async def _check_reach(desk: Desk, watcher: Watcher, scope: str) -> Sequence[Watcher]:
    """Return the watchers of the spec; more than one must be meant."""
    watchers = await desk.of_spec(watcher.name)
    live = [each for each in watchers if each.phase.live]
    if scope != "spec" and len({watcher.id, *(each.id for each in live)}) > 1:
        raise ConflictError(
            "several-jobs", f"the spec has {len(live)} watchers, on as many jobs", remedy="add `scope=spec` to mean all"
        )
    return watchers


# --- texts -----------------------------------------------------------------------------------------------------------


async def text_of(desk: Desk, watcher: Watcher, stored: StoredSpec | None) -> str:
    """Return the text of the file that gave a spec; its canonical form where the file is not at hand (a commit)."""
    if stored is None:
        return ""
    path = Path(stored.origin.file)
    if path.is_absolute():
        try:
            text = await asyncio.to_thread(desk.dropins.read, path)
        except StateError:
            text = ""
        if text and desk.tools.parse(text.encode(), path.name).good and watcher.name in names_in(text):
            return text
    return new_text({"name": watcher.name, **spec_of(stored)})


def _changed(watcher: Watcher, text: str, body: WatcherEdit) -> str:
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


# --- afterwards ------------------------------------------------------------------------------------------------------


async def _look(desk: Desk, path: Path, undo: str | None = None) -> PassReport | None:
    """Let the engine take the file up; where it finds it bad after all, put back what was there before."""
    report = await desk.daemon.look_again()
    problems: list[Problem] = [
        p for p in (report.problems if report else ()) if p.file == str(path) and p.severity == "error"
    ]
    if not problems:
        return report
    if undo is None:
        await asyncio.to_thread(desk.dropins.delete, path)
    else:
        await asyncio.to_thread(desk.dropins.write, path, undo)
    await desk.daemon.look_again()
    raise flawed(problems)


async def _answer(desk: Desk, name: str, path: Path, report: PassReport | None, done: str) -> WatcherWritten:
    watchers = await desk.of_spec(name)
    held = next((c.withheld for c in report.plan.withheld if c.name == name), "") if report and report.plan else ""
    message = f"the watcher is {done}"
    if held:
        message = f"{path.name} is written; it waits for approval: {held}"
    elif not watchers:
        message = f"{path.name} is written; no job fits it now"
    found = desk.desired(name)
    stored = found.stored() if found else None
    shape = watcher_shape(watchers[0], stored, desk.daemon.next_look) if watchers else None
    ids = [watcher.id for watcher in watchers]
    return WatcherWritten(
        id=ids[0] if ids else None, ids=ids, name=name, file=str(path), message=message, watcher=shape
    )
