"""Pause, resume and trigger: a request row like a command's, carried out at once by the engine of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.api.callers import Caller
from reconciler.api.desk import Desk
from reconciler.api.refusals import ConflictError, RequestRefusedError
from reconciler.api.shapes import BulkResult, Done, Triggered
from reconciler.api.shaping import spec_of, watcher_shape
from reconciler.events import Event, EventType
from reconciler.model import StoredSpec, Watcher, WatcherState
from reconciler.protocols import EventFilter, StateReading
from reconciler.state import add_request

_OVER = (WatcherState.COMPLETED, WatcherState.STOPPED, WatcherState.STATIC)
_DONE = {"suspend": "paused", "resume": "resumed", "trigger": "triggered"}


async def ask(
    desk: Desk, caller: Caller, verb: str, watchers: Sequence[Watcher], **body: Any
) -> Mapping[int, Event | None]:
    """Get `verb` done to these watchers; return by id the event of a refusal, None for what was done."""
    desk.started()
    before = await desk.reading.ask(lambda state: state.last_seq())
    request = {"watchers": [watcher.id for watcher in watchers], **body}
    path, now = desk.reading.path, desk.parts.clock.now()
    number = await asyncio.to_thread(add_request, path, verb, caller.name, request, now=now)
    await desk.daemon.carry_out()

    def look_up(state: StateReading) -> tuple[Event, ...]:
        return state.events(EventFilter(after_seq=before, types=(EventType.ACTION_REFUSED,), limit=10_000))

    refused = {e.watcher_id: e for e in await desk.reading.ask(look_up) if e.data.get("request") == number}
    ids = [watcher.id for watcher in watchers]
    subject = f"{len(ids)} watchers" if len(ids) > 1 else f"{watchers[0].name}/{watchers[0].job}"
    await desk.audit.written(caller, _DONE[verb], subject, ids=ids, **body)
    return {watcher.id: refused.get(watcher.id) for watcher in watchers}


async def pause(desk: Desk, caller: Caller, watcher_id: int, reason: str, until: float | None) -> Done:
    """Hold a watcher still. Raises ConflictError where there is nothing to hold."""
    watcher, _ = await desk.watcher(watcher_id)
    if watcher.phase in _OVER:
        raise ConflictError("over", f"the watcher is {watcher.state}: its job has ended")
    _check_until(desk, until)
    await ask(desk, caller, "suspend", [watcher], reason=reason, until=until)
    return await _now(desk, watcher_id, "the watcher is paused; its position waits")


def _check_until(desk: Desk, until: float | None) -> None:
    """A pause that is over before it begins holds nothing."""
    if until is not None and until <= desk.parts.clock.now():
        raise RequestRefusedError(
            422, "over-already", "`until` lies in the past, so nothing would be paused",
            remedy="give a later time, or none: then it is paused until it is resumed",
        )  # fmt: skip


async def resume(desk: Desk, caller: Caller, watcher_id: int, start: str) -> Done:
    """Let a watcher go on. What its file suspends stays so, which is a ConflictError."""
    watcher, _ = await desk.watcher(watcher_id)
    if watcher.phase in _OVER:
        raise ConflictError("over", f"the watcher is {watcher.state}: its job has ended")
    await ask(desk, caller, "resume", [watcher], **{"from": start})
    done = await _now(desk, watcher_id, "the watcher goes on")
    if done.state is WatcherState.PAUSED:
        file = f"{watcher.origin.file}:{watcher.origin.line}"
        raise ConflictError("declared", f"{file} says `suspend`", remedy="take it out there")
    return done


async def _now(desk: Desk, watcher_id: int, message: str) -> Done:
    watcher, spec = await desk.watcher(watcher_id)
    return Done(
        success=True, message=message, state=watcher.state, watcher=watcher_shape(watcher, spec, desk.daemon.next_look)
    )


async def trigger(desk: Desk, caller: Caller, watcher_id: int) -> Triggered:
    """Let a watcher act once, on its newest match; a refusal is told in the answer."""
    watcher, spec = await desk.watcher(watcher_id)
    _check_actions(caller, spec)
    refused = (await ask(desk, caller, "trigger", [watcher]))[watcher_id]
    found = watcher.memory.newest is not None
    timer = watcher.timer_active
    if refused is not None:
        return Triggered(timer_mode=timer, success=False, message=refused.action_result, matches=0)
    on_what = "with the stored captures" if timer else "on the newest match" if found else "without a match"
    return Triggered(timer_mode=timer, success=True, message=f"its actions run, {on_what}", matches=int(found))


def _check_actions(caller: Caller, spec: StoredSpec | None) -> None:
    """A key that may write only some action types may let only those run."""
    types = {action["type"] for action in spec_of(spec).get("actions", ())}
    allowed = caller.key.actions if caller.key else ()
    over = sorted(types - set(allowed)) if allowed is not None else []
    if over:
        raise ConflictError("actions", f"the key may not use {', '.join(over)}", remedy="use a key that may")


async def each(desk: Desk, caller: Caller, verb: str, ids: Sequence[int], body: Mapping[str, Any]) -> list[BulkResult]:
    """Do one thing to many watchers, in this order, with one request. Ids that have none are passed over.

    Raises RequestRefusedError where a pause would be over already.
    """
    _check_until(desk, body.get("until"))
    page = await desk.these(ids)
    watchers = sorted(page.watchers, key=lambda watcher: ids.index(watcher.id))
    barred = {watcher.id: _barred(caller, verb, watcher, page.specs.get(watcher.name)) for watcher in watchers}
    able = [watcher for watcher in watchers if not barred[watcher.id]]
    refused = await ask(desk, caller, verb, able, **body) if able else {}
    return [_result(watcher, verb, barred[watcher.id], refused.get(watcher.id)) for watcher in watchers]


def _barred(caller: Caller, verb: str, watcher: Watcher, spec: StoredSpec | None) -> str:
    """Say why it need not be asked for (empty: it is)."""
    if verb != "trigger":
        return f"it is {watcher.state}: its job has ended" if watcher.phase in _OVER else ""
    try:
        _check_actions(caller, spec)
    except ConflictError as error:
        return error.message
    return ""


def _result(watcher: Watcher, verb: str, barred: str, refused: Event | None) -> BulkResult:
    why = barred or (refused.action_result if refused is not None else "")
    return BulkResult(id=watcher.id, success=not (barred or refused), message=why or _DONE[verb])
