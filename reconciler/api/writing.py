"""Watchers created and edited: always by changing a file of the writable layer and letting the engine look.

Files stay the truth. What another layer owns is refused with the YAML to commit there; a spec of several watchers is
changed only where the caller says that all of them are meant. `deleting` deletes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.api.callers import Caller
from reconciler.api.composing import changed, check_free, check_owner, composed, loaded, path_of
from reconciler.api.desk import Desk
from reconciler.api.refusals import ConflictError, flawed
from reconciler.api.shapes import NewWatcher, WatcherEdit, WatcherWritten
from reconciler.api.shaping import watcher_shape
from reconciler.api.standing import Standing, altered, check_match, file_changed, standing, tag_of
from reconciler.engine.controller import PassReport
from reconciler.errors import Problem, StateError
from reconciler.model import Watcher


async def create(desk: Desk, caller: Caller, body: NewWatcher) -> WatcherWritten:
    """Write a watcher's file and return what the engine made of it. Raises RequestRefusedError."""
    desk.started()
    async with desk.writing:
        text = await composed(desk, body)
        located = await loaded(desk, caller, text)
        name = located.spec.name
        check_free(desk, name)
        path = await asyncio.to_thread(desk.dropins.create, path_of(desk, located.spec), text)
        report = await _look(desk, path, text, undo=None)
        answer = await _answer(desk, name, path, report, "created")
    await desk.audit.written(caller, "created", name, ids=answer.ids, file=str(path))
    return answer


async def edit(
    desk: Desk, caller: Caller, watcher_id: int, body: WatcherEdit, scope: str, match: str | None = None
) -> WatcherWritten:
    """Edit the file of a watcher's spec, keeping its comments. `match`: an If-Match. Raises RequestRefusedError."""
    desk.started()
    async with desk.writing:
        watcher, stored = await desk.watcher(watcher_id)
        if stored is None:
            raise ConflictError("no-spec", "no spec is in force under the watcher's name")
        path = Path(stored.origin.file)
        found = await standing(desk, watcher, stored)
        check_match(stored.origin.file, tag_of(found.text, stored), match)
        new = await asyncio.to_thread(changed, watcher, found.text, body)
        await asyncio.to_thread(check_owner, desk, stored.origin, found.text, new)
        await _check_reach(desk, watcher.name, scope, [watcher.id])
        located = await loaded(desk, caller, new, among=watcher.name)
        if located.spec.name != watcher.name:
            check_free(desk, located.spec.name)
        others = await _others(desk, found.text, new, {watcher.name, located.spec.name}, scope)
        await exchange(desk, path, found, new)
        report = await _look(desk, path, new, undo=found.on_disk)
        answer = await _answer(desk, located.spec.name, path, report, "updated")
        others = [await other.now(desk) for other in others]
    await desk.audit.written(caller, "updated", watcher.name, ids=answer.ids, file=str(path))
    for other in others:
        await desk.audit.written(caller, other.done, other.name, ids=other.ids, file=str(path))
    return answer


async def exchange(desk: Desk, path: Path, found: Standing, new: str | None) -> None:
    """Put the new text (None: no file) in the place of what was found; ConflictError where that is not so any more."""
    if not await asyncio.to_thread(desk.dropins.exchange, path, found.on_disk, new):
        raise changed_now(path)


def changed_now(path: Path) -> ConflictError:
    """Return the refusal to write where somebody else did, between our look and our hand."""
    return file_changed(str(path), 0, f"{path} was changed at this very moment", "look at it, and try again")


# --- what is asked before anything is written ------------------------------------------------------------------------


async def _check_reach(desk: Desk, name: str, scope: str, meant: Collection[int] = ()) -> Sequence[Watcher]:
    """Return the watchers of a spec; more than one, or others than are `meant`, must be asked for."""
    watchers = await desk.of_spec(name)
    live = [each.id for each in watchers if each.phase.live]
    if len({*meant, *live}) > 1:
        check_scope(name, scope, len(live))
    return watchers


def check_scope(name: str, scope: str, count: int) -> None:
    """Raise ConflictError where a spec of several watchers was not asked for as such."""
    if scope != "spec":
        what = f"the spec {name!r} has {count} watchers, on as many jobs"
        raise ConflictError("several-jobs", what, remedy="add `scope=spec` to mean all")


@dataclass(frozen=True, slots=True)
class _Other:
    """Another spec of the file that is written, what becomes of it, and its watchers."""

    name: str
    done: str
    ids: Sequence[int]

    async def now(self, desk: Desk) -> _Other:
        """Return it with the watchers that it has afterwards, too."""
        ids = [watcher.id for watcher in await desk.of_spec(self.name)]
        return replace(self, ids=list(dict.fromkeys((*ids, *self.ids))))


async def _others(desk: Desk, old: str, new: str, but: Collection[str], scope: str) -> Sequence[_Other]:
    """Return the other specs that the new text changes; those on several jobs must be meant, new names be free."""
    found = []
    for name, done in (await asyncio.to_thread(altered, desk, old, new, but)).items():
        if done == "created":
            check_free(desk, name)
        watchers = await _check_reach(desk, name, scope)
        found.append(_Other(name, done, [watcher.id for watcher in watchers]))
    return found


# --- afterwards ------------------------------------------------------------------------------------------------------


async def _look(desk: Desk, path: Path, written: str, undo: str | None) -> PassReport:
    """Let the engine take the file up; where it cannot, or finds it bad after all, put back what was there before
    (None: no file). What somebody else wrote there meanwhile stays."""
    report = await desk.daemon.look_again()
    problems: list[Problem] = [
        p for p in (report.problems if report else ()) if p.file == str(path) and p.severity == "error"
    ]
    if report is not None and not problems:
        return report
    await asyncio.to_thread(desk.dropins.exchange, path, written, undo)
    await desk.daemon.look_again()
    if report is None:
        raise StateError(
            "nothing was changed, since the state cannot be written now", remedy="the server's log says why"
        )
    raise flawed(problems)


async def _answer(desk: Desk, name: str, path: Path, report: PassReport, done: str) -> WatcherWritten:
    watchers = await desk.of_spec(name)
    held = next((c.withheld for c in report.plan.withheld if c.name == name), "") if report.plan else ""
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
