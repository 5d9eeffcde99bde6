"""Carries out what people asked for: trigger, suspend, resume. A request is a row; this is where it becomes deeds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.engine.controller import Controller
from reconciler.engine.parts import Parts
from reconciler.errors import UnavailableError
from reconciler.events import Event, EventType
from reconciler.logic.telling import watcher_event
from reconciler.model import Hold, HoldKind, Position, Request, StreamName, Watcher, WatcherId, WatcherState
from reconciler.protocols import Advance, Batch, EventFilter, StateReading, StateWriting

if TYPE_CHECKING:
    from reconciler.engine.jobtask import JobTask
    from reconciler.logic.advance import WatcherTick

log = logging.getLogger(__name__)

#: Why nothing can be suspended or resumed in these.
_OVER = {
    WatcherState.TRIGGERED: "it reached max_triggers; raise it in its file",
    WatcherState.COMPLETED: "its job has ended",
    WatcherState.STATIC: "its job had ended before it was written; it acts on request only",
    WatcherState.STOPPED: "it was stopped; no spec wants it",
}


def _stays(watcher: Watcher) -> str:
    """Say why a person cannot resume a watcher (empty: it goes on)."""
    if watcher.phase is WatcherState.DISABLED or any(h.kind is not HoldKind.DECLARED for h in watcher.holds):
        return ""
    where = f"{watcher.origin.file}:{watcher.origin.line}"
    return f"its file suspends it; take `suspend` out of {where}" if watcher.holds else _OVER.get(watcher.phase, "")


class Requests:
    """Takes the request rows in their order. Each verb of `reconcile` that acts on watchers is one method here.

    `drains`: triggered actions are run here; otherwise whoever runs the job tasks finds them pending.
    """

    def __init__(self, parts: Parts, controller: Controller, *, drains: bool = True) -> None:
        self._parts, self._controller, self._drains = parts, controller, drains
        self._verbs: dict[str, Callable[[Request, Watcher, JobTask | None], Any]] = {
            "trigger": self._trigger,
            "suspend": self._suspend,
            "resume": self._resume,
        }

    async def carry_out(self) -> tuple[Request, ...]:
        """Carry out every waiting request; return them."""

        def look_up(state: StateReading) -> tuple[Request, ...]:
            return state.requests()

        requests = await self._parts.state.run(look_up)
        for request in requests:
            await self._one(request)
        return requests

    async def _one(self, request: Request) -> None:
        verb = self._verbs.get(request.verb)
        for watcher_id in request.body.get("watchers", ()):
            watcher = await self._watcher(watcher_id)
            if verb is None or watcher is None:
                log.warning("request %s %s of %s: nothing to do it to", request.id, request.verb, request.by)
                continue
            if await self._told(request, watcher):  # the process before us ended between the deed and its tick
                continue
            await verb(request, watcher, self._controller.fleet.find(watcher.id))
        await self._commit(Batch(requests_done=(request.id,)))

    async def _watcher(self, watcher_id: int) -> Watcher | None:
        task = self._controller.fleet.find(WatcherId(watcher_id))
        if task is not None:
            return task.watchers[WatcherId(watcher_id)]

        def look_up(state: StateReading) -> Watcher | None:
            return state.watcher(watcher_id)

        return await self._parts.state.run(look_up)

    async def _told(self, request: Request, watcher: Watcher) -> bool:
        """Tell whether this was done already: the event of a deed is in its transaction."""
        types = (EventType.WATCHER_TRIGGERED, EventType.WATCHER_SUSPENDED, EventType.WATCHER_RESUMED)

        def look_up(state: StateReading) -> bool:
            asked = EventFilter(watcher_id=watcher.id, types=types, since=request.at, newest=True, limit=1000)
            return any(event.data.get("request") == request.id for event in state.events(asked))

        return await self._parts.state.run(look_up)

    async def _trigger(self, request: Request, watcher: Watcher, task: JobTask | None) -> None:
        from reconciler.engine.dispatch import manual_refusal  # saves start-up time where nobody asks

        refusal = manual_refusal(watcher)
        task = task or self._ended(watcher)
        if refusal or task is None:
            await self._refuse(watcher, request, refusal or "its spec is gone")
            return

        def fire(tick: WatcherTick) -> bool:
            return tick.manual({"by": request.by, "request": request.id})

        fired, watcher = await task.change(watcher.id, fire)
        if not fired:
            await self._refuse(watcher, request, "its condition is false for the newest match")
        elif self._drains:
            await self._controller.fleet.dispatcher(task).drain(watcher.id)

    async def _refuse(self, watcher: Watcher, request: Request, why: str) -> None:
        event = self._event(watcher, EventType.ACTION_REFUSED, request, why)
        await self._commit(Batch(events=(replace(event, action_type=request.verb, success=False),)))

    def _ended(self, watcher: Watcher) -> JobTask | None:
        """Return a task for the watcher of an ended job, which has none of its own any more."""
        known = self._controller.discovery.known.get(watcher.job)
        plan = self._controller.plan
        desired = plan.resolution.desired.get(watcher.name) if plan else None
        return self._controller.fleet.put(watcher, known, desired.spec) if known and desired else None

    async def _suspend(self, request: Request, watcher: Watcher, task: JobTask | None) -> None:
        from reconciler.logic.advance import hold  # saves start-up time where nobody asks

        if not watcher.phase.live:
            await self._refuse(watcher, request, _OVER.get(watcher.phase, ""))
            return
        until = request.body.get("until")
        new = Hold(HoldKind.MANUAL, request.by, str(request.body.get("reason", "")), request.at, until)
        await self._edit(watcher, task, lambda w: hold(w, new), EventType.WATCHER_SUSPENDED, request)

    async def _resume(self, request: Request, watcher: Watcher, task: JobTask | None) -> None:
        """Lift the manual and the watcher's own hold; a disabled watcher becomes active. What YAML declares stays."""
        if refusal := _stays(watcher):
            await self._refuse(watcher, request, refusal)
            return
        ends: Mapping[StreamName, Position] = {}
        if task is not None and request.body.get("from") == "end":
            try:
                ends = await task.ends()
            except UnavailableError as error:
                await self._refuse(watcher, request, f"where its output ends cannot be told: {error.message}")
                return

        def lift(w: Watcher) -> Watcher:
            phase = WatcherState.ACTIVE if w.phase is WatcherState.DISABLED else w.phase
            holds = tuple(h for h in w.holds if h.kind is HoldKind.DECLARED)
            return replace(w, phase=phase, holds=holds, failures=0, checkpoints={**w.checkpoints, **ends})

        await self._edit(watcher, task, lift, EventType.WATCHER_RESUMED, request)

    async def _edit(
        self,
        watcher: Watcher,
        task: JobTask | None,
        edit: Callable[[Watcher], Watcher],
        type_: EventType,
        request: Request,
    ) -> None:
        if task is None:
            after = edit(watcher)
            advance = Advance(watcher, after, events=(self._event(after, type_, request),))
            await self._commit(Batch(advances=(advance,)))
            return
        async with task.lock:
            before = task.watchers[watcher.id]
            after = edit(before)
            await task.write([Advance(before, after, events=(self._event(after, type_, request),))])
            task.put(after, task.compiled[watcher.id])

    def _event(self, watcher: Watcher, type_: EventType, request: Request, result: str = "") -> Event:
        reason = result or str(request.body.get("reason", ""))
        data = {"by": request.by, "request": request.id}
        return watcher_event(watcher, type_, self._parts.clock.now(), result=reason, data=data)

    async def _commit(self, batch: Batch) -> None:
        def work(state: StateWriting) -> None:
            state.commit(batch)

        await self._parts.state.run(work)
