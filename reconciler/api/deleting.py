"""Watchers deleted, one or many by one request: all files are changed, then one pass stops what was in them.

What cannot be deleted is told by itself and holds up no other. Routes call it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from reconciler.api.callers import Caller
from reconciler.api.composing import check_owner
from reconciler.api.desk import Desk
from reconciler.api.editing import without
from reconciler.api.refusals import ConflictError, RequestRefusedError
from reconciler.api.shapes import BulkResult, Deleted
from reconciler.api.shaping import spec_of
from reconciler.api.standing import Standing, check_match, standing, tag_of
from reconciler.api.writing import changed_now, check_scope, exchange
from reconciler.errors import ReconcilerError
from reconciler.events import EventType
from reconciler.logic.telling import watcher_event
from reconciler.model import StoredSpec, Watcher, WatcherState
from reconciler.protocols import Advance, Batch, StateWriting


@dataclass(slots=True)
class _Leaving:
    """A spec that is to go, with the watcher by which it was asked for.

    `ids`: of all its watchers, of ended jobs, too: they all go. `refused`: why it stays. `left`: watchers that have
    not stopped yet.
    """

    watcher: Watcher
    stored: StoredSpec | None
    ids: Sequence[int]
    refused: ReconcilerError | None = None
    left: bool = False

    @property
    def file(self) -> str:
        """Where it stands; empty: no spec is in force under the watcher's name."""
        return self.stored.origin.file if self.stored else ""

    @property
    def message(self) -> str:
        """What became of it, in words."""
        if self.refused is not None:
            return self.refused.message
        return "its file is deleted; the watcher stops with the next pass" if self.left else "the watcher is deleted"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked: `scope`, the ids that are `meant`, and an If-Match."""

    scope: str
    meant: Collection[int]
    match: str | None = None


async def delete(desk: Desk, caller: Caller, watcher_id: int, scope: str, match: str | None = None) -> Deleted:
    """Take a watcher's spec out of its file, and see that its watchers have stopped. `match`: an If-Match.

    Raises RequestRefusedError.
    """
    desk.started()
    async with desk.writing:
        watcher, stored = await desk.watcher(watcher_id)
        spec = _Leaving(watcher, stored, await _ids(desk, watcher))
        await _remove(desk, caller, [spec], _Asked(scope, {watcher_id}, match))
    if spec.refused is not None:
        raise spec.refused
    await _tell(desk, caller, spec)
    return Deleted(success=not spec.left, message=spec.message, id=watcher_id, ids=list(spec.ids))


async def delete_each(desk: Desk, caller: Caller, ids: Collection[int]) -> list[BulkResult]:
    """Delete many; a spec of several watchers goes where all of them are meant. Ids that have none are passed over."""
    desk.started()
    async with desk.writing:
        page = await desk.these(ids)
        found: dict[int, Watcher] = {watcher.id: watcher for watcher in page.watchers}
        specs: dict[str, _Leaving] = {}
        for watcher in (found[each] for each in ids if each in found):
            if watcher.name not in specs:
                stored = page.specs.get(watcher.name)
                specs[watcher.name] = _Leaving(watcher, stored, await _ids(desk, watcher))
        await _remove(desk, caller, list(specs.values()), _Asked("watcher", {*ids}))
    for spec in specs.values():
        if spec.refused is None:
            await _tell(desk, caller, spec)
    return [_result(each, specs[found[each].name]) for each in ids if each in found]


def _result(watcher_id: int, spec: _Leaving) -> BulkResult:
    if spec.refused is None and watcher_id != spec.watcher.id:
        return BulkResult(id=watcher_id, success=not spec.left, message="it went with another one")
    return BulkResult(id=watcher_id, success=spec.refused is None and not spec.left, message=spec.message)


async def _ids(desk: Desk, watcher: Watcher) -> Sequence[int]:
    return [each.id for each in await desk.of_spec(watcher.name)]


async def _tell(desk: Desk, caller: Caller, spec: _Leaving) -> None:
    await desk.audit.written(caller, "deleted", spec.watcher.name, ids=spec.ids, file=spec.file)


async def _remove(desk: Desk, caller: Caller, specs: Sequence[_Leaving], asked: _Asked) -> None:
    """Take all of these out of their files, let the engine look once, and note of each what came of it."""
    for file, those in groupby(sorted(specs, key=lambda spec: spec.file), lambda spec: spec.file):
        await _take_out(desk, Path(file), list(those), asked)
    gone = [spec for spec in specs if spec.refused is None]
    if any(spec.stored is not None for spec in gone):
        await desk.daemon.look_again()
        await asyncio.to_thread(desk.dropins.thin_out)
    ids = [each for spec in gone for each in spec.ids]
    if ids:
        await _bury(desk, (await desk.these(ids)).watchers, caller)
        left = {watcher.id for watcher in (await desk.these(ids)).watchers}
        for spec in gone:
            spec.left = not left.isdisjoint(spec.ids)


async def _take_out(desk: Desk, path: Path, specs: Sequence[_Leaving], asked: _Asked) -> None:
    """Take specs of one file out of it, with one change."""
    found, rest = None, ""
    for spec in specs:
        try:
            if spec.stored is None:
                _check_asked(spec, "", asked)
                continue
            now = await standing(desk, spec.watcher, spec.stored)
            if found not in (None, now):
                raise changed_now(path)
            new = await asyncio.to_thread(without, rest if found else now.text, spec.watcher.name)
            await asyncio.to_thread(check_owner, desk, spec.stored.origin, now.text, new)
            _check_prune(spec.stored)
            _check_asked(spec, now.text, asked)
        except RequestRefusedError as error:
            spec.refused = error
        else:
            found, rest = now, new
    if found is not None:
        try:
            await _change(desk, path, found, rest)
        except ReconcilerError as error:
            for spec in specs:
                spec.refused = spec.refused or error


def _check_asked(spec: _Leaving, text: str, asked: _Asked) -> None:
    check_match(spec.file or "the watcher", tag_of(text, spec.stored), asked.match)
    if not {*spec.ids} <= {*asked.meant}:
        check_scope(spec.watcher.name, asked.scope, len(spec.ids))


def _check_prune(stored: StoredSpec) -> None:
    if spec_of(stored).get("prune") == "disabled":
        raise ConflictError(
            "prune-disabled", "its file says `prune: disabled`, so it would go on", remedy="take that out first (PUT)"
        )


async def _change(desk: Desk, path: Path, found: Standing, rest: str) -> None:
    """Delete a file; other watchers in it go on in one of another name, so that the deletion is a deliberate one."""
    other = None
    if rest:
        other = path.with_name(f"{path.stem}-rest{path.suffix}")
        other = await asyncio.to_thread(desk.dropins.create, other, rest)
    try:
        await exchange(desk, path, found, None)
    except ReconcilerError:
        if other is not None:
            await asyncio.to_thread(desk.dropins.exchange, other, rest, None)
        raise


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
