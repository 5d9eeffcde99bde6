"""Watchers created, edited and deleted: always by changing a file of the writable layer and letting the engine look.

Files stay the truth. What another layer owns is refused with the YAML to commit there; a spec of several watchers is
changed only where the caller says that all of them are meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.api.callers import Caller
from reconciler.api.composing import changed, check_free, check_owner, composed, loaded, path_of
from reconciler.api.desk import Desk
from reconciler.api.editing import without
from reconciler.api.refusals import ConflictError, flawed
from reconciler.api.shapes import Deleted, NewWatcher, WatcherEdit, WatcherWritten
from reconciler.api.shaping import spec_of, watcher_shape
from reconciler.api.standing import Standing, altered, check_match, file_changed, standing
from reconciler.engine.controller import PassReport
from reconciler.errors import Problem
from reconciler.events import EventType
from reconciler.logic.telling import watcher_event
from reconciler.model import StoredSpec, Watcher, WatcherState
from reconciler.protocols import Advance, Batch, StateWriting


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
    desk: Desk, caller: Caller, watcher_id: int, body: WatcherEdit, scope: str, match: str = ""
) -> WatcherWritten:
    """Edit the file of a watcher's spec, keeping its comments. `match`: an If-Match. Raises RequestRefusedError."""
    desk.started()
    async with desk.writing:
        watcher, stored = await desk.watcher(watcher_id)
        if stored is None:
            raise ConflictError("no-spec", "no spec is in force under the watcher's name")
        path = Path(stored.origin.file)
        found = await standing(desk, watcher, stored)
        check_match(stored.origin.file, found.text, match)
        new = await asyncio.to_thread(changed, watcher, found.text, body)
        await asyncio.to_thread(check_owner, desk, stored.origin, found.text, new)
        await _check_reach(desk, watcher.name, scope, [watcher.id])
        located = await loaded(desk, caller, new, among=watcher.name)
        if located.spec.name != watcher.name:
            check_free(desk, located.spec.name)
        others = await _others(desk, found.text, new, {watcher.name, located.spec.name}, scope)
        await _exchange(desk, path, found, new)
        report = await _look(desk, path, new, undo=found.on_disk)
        answer = await _answer(desk, located.spec.name, path, report, "updated")
        others = [await other.now(desk) for other in others]
    await desk.audit.written(caller, "updated", watcher.name, ids=answer.ids, file=str(path))
    for other in others:
        await desk.audit.written(caller, other.done, other.name, ids=other.ids, file=str(path))
    return answer


async def delete(desk: Desk, caller: Caller, watcher_id: int, scope: str, meant: Collection[int] = ()) -> Deleted:
    """Take a watcher's spec out of its file, and see that its watchers have stopped. `meant`: other ids that may go
    with it. Raises RequestRefusedError."""
    desk.started()
    async with desk.writing:
        watcher, stored = await desk.watcher(watcher_id)
        found, rest = await _check_deletion(desk, watcher, stored) if stored is not None else (None, "")
        ids = [each.id for each in await desk.of_spec(watcher.name)]  # of ended jobs, too: they all go
        if not {*ids} <= {watcher.id, *meant}:
            _check_scope(watcher.name, scope, len(ids))
        if stored is not None and found is not None:
            await _remove(desk, Path(stored.origin.file), found, rest)
            await desk.daemon.look_again()
        await _bury(desk, [each for each in await desk.of_spec(watcher.name) if each.id in ids], caller)
        left = [each.id for each in await desk.of_spec(watcher.name) if each.id in ids]
    file = stored.origin.file if stored else ""
    await desk.audit.written(caller, "deleted", watcher.name, ids=ids, file=file)
    message = "the watcher is deleted" if not left else "its file is deleted; the watcher stops with the next pass"
    return Deleted(success=not left, message=message, id=watcher_id, ids=ids)


async def _check_deletion(desk: Desk, watcher: Watcher, stored: StoredSpec) -> tuple[Standing, str]:
    """Return what stands in the file now, and what is left of it then."""
    found = await standing(desk, watcher, stored)
    rest = await asyncio.to_thread(without, found.text, watcher.name)
    await asyncio.to_thread(check_owner, desk, stored.origin, found.text, rest)
    if spec_of(stored).get("prune") == "disabled":
        raise ConflictError(
            "prune-disabled", "its file says `prune: disabled`, so it would go on", remedy="take that out first (PUT)"
        )
    return found, rest


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


async def _remove(desk: Desk, path: Path, found: Standing, rest: str) -> None:
    """Delete a file; other watchers in it go on in one of another name, so that the deletion is a deliberate one."""
    other = None
    if rest:
        other = path.with_name(f"{path.stem}-rest{path.suffix}")
        other = await asyncio.to_thread(desk.dropins.create, other, rest)
    try:
        await _exchange(desk, path, found, None)
    except ConflictError:
        if other is not None:
            await asyncio.to_thread(desk.dropins.exchange, other, rest, None)
        raise


async def _exchange(desk: Desk, path: Path, found: Standing, new: str | None) -> None:
    """Put the new text (None: no file) in the place of what was found; ConflictError where that is not so any more."""
    if not await asyncio.to_thread(desk.dropins.exchange, path, found.on_disk, new):
        raise file_changed(str(path), 0, f"{path} was changed at this very moment", "look at it, and try again")


# --- what is asked before anything is written ------------------------------------------------------------------------


async def _check_reach(desk: Desk, name: str, scope: str, meant: Collection[int] = ()) -> Sequence[Watcher]:
    """Return the watchers of a spec; more than one, or others than are `meant`, must be asked for."""
    watchers = await desk.of_spec(name)
    live = [each.id for each in watchers if each.phase.live]
    if len({*meant, *live}) > 1:
        _check_scope(name, scope, len(live))
    return watchers


def _check_scope(name: str, scope: str, count: int) -> None:
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


async def _look(desk: Desk, path: Path, written: str, undo: str | None) -> PassReport | None:
    """Let the engine take the file up; where it finds it bad after all, put back what was there before (None: no
    file). What somebody else wrote there meanwhile stays."""
    report = await desk.daemon.look_again()
    problems: list[Problem] = [
        p for p in (report.problems if report else ()) if p.file == str(path) and p.severity == "error"
    ]
    if not problems:
        return report
    await asyncio.to_thread(desk.dropins.exchange, path, written, undo)
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
