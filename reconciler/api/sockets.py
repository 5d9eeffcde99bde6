"""The WebSockets: `/ws/watchers` and `/ws/watchers/{job_id}`. What they send stands in this folder's README.

A client that gives `since` gets what it missed, as far as that is not too much; any other gets `initial`. The gate has
looked at Host, Origin and key before any of this runs; the key is looked at again at every heartbeat.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Path, Query, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from reconciler.api.callers import Caller
from reconciler.api.desk import Desk
from reconciler.api.feed import Subscriber, event_note, to_text
from reconciler.api.refusals import Refusal
from reconciler.api.shapes import JobIdText, Number
from reconciler.api.shaping import clean, page_shapes
from reconciler.errors import ReconcilerError
from reconciler.protocols import EventFilter, StateReading, WatcherFilter, WatcherPage

log = logging.getLogger(__name__)

#: Seconds between two heartbeats.
HEARTBEAT = 15.0
#: Most events that are sent again to a client that comes back; whoever missed more must refetch.
MOST_REPLAYED = 5000
#: Watchers in `initial`; where there are more, the rest is at GET /api/watchers.
FIRST_PAGE = 200
GOING_AWAY, POLICY, TRY_LATER = 1001, 1008, 1013

Since = Annotated[Number | None, Query(ge=0, le=2**63 - 1, description="the last `seq` that the client has")]


def routes(desk: Desk) -> APIRouter:
    """Return the WebSockets."""
    router = APIRouter()

    @router.websocket("/ws/watchers")
    async def everything(socket: WebSocket, since: Since = None) -> None:
        await _Session(desk, socket, None).run(since)

    @router.websocket("/ws/watchers/{job_id}")
    async def one_job(socket: WebSocket, job_id: Annotated[JobIdText, Path()], since: Since = None) -> None:
        await _Session(desk, socket, job_id).run(since)

    @router.websocket("/{path:path}")
    async def nowhere(socket: WebSocket, path: str) -> None:
        refusal = Refusal(code="not-found", detail=f"there is no WebSocket at /{clean(path[:100])}")
        await socket.send_denial_response(JSONResponse(refusal.model_dump(exclude_defaults=True), 404))

    return router


class _Session:
    """One client, from its opening to its end."""

    def __init__(self, desk: Desk, socket: WebSocket, job_id: str | None) -> None:
        self._desk, self._socket, self._job_id = desk, socket, job_id
        self._caller: Caller = socket.scope["caller"]
        self._horizon = 0  # what came up to this seq is known to the client

    async def run(self, since: int | None) -> None:
        await self._socket.accept()
        subscriber = self._desk.feed.subscribe(self._job_id)  # before anything is read, so that nothing is missed
        if subscriber is None:
            await self._socket.close(TRY_LATER, "too many subscribers")
            return
        listening = asyncio.create_task(self._listen(subscriber), name="websocket listener")
        try:
            await (self._initial() if since is None else self._replay(since))
            await self._forward(subscriber)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the client left: starlette says so by either of the two
        except ReconcilerError as error:  # of the keys or the state; where these are is for the log alone
            log.error("a WebSocket is closed: %s (%s)", error.message, error.remedy)
            with suppress(WebSocketDisconnect, RuntimeError):
                await self._socket.close(TRY_LATER, "the keys or the state cannot be read; the server's log says why")
        finally:
            self._desk.feed.leave(subscriber)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, subscriber: Subscriber) -> None:
        """Read what the client says, which means nothing but that it is still there."""
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
        finally:
            subscriber.close()

    async def _initial(self) -> None:
        wanted = WatcherFilter(job_id=self._job_id, limit=FIRST_PAGE)

        def look_up(state: StateReading) -> tuple[int, WatcherPage]:
            return state.last_seq(), state.page(wanted)

        def told() -> str:
            shapes = [shape.model_dump(mode="json") for shape in page_shapes(page, self._desk.daemon.next_look)]
            counts = {"count": len(shapes), "total": page.total}
            return to_text({"type": "initial", "seq": self._horizon, "watchers": shapes, **counts})

        self._horizon, page = await self._desk.reading.ask(look_up)
        await self._socket.send_text(await asyncio.to_thread(told))  # some tens of milliseconds, which hold up nobody

    async def _replay(self, since: int) -> None:
        wanted = EventFilter(after_seq=since, job_id=self._job_id, limit=MOST_REPLAYED + 1)

        def look_up(state: StateReading) -> tuple[int, list[str]]:
            newest, found = state.last_seq(), state.events(wanted)  # in this order: what comes between is in `found`
            return max([newest, *(event.seq for event in found)]), [event_note(event).text for event in found]

        self._horizon, texts = await self._desk.reading.ask(look_up)
        if len(texts) > MOST_REPLAYED or since > self._horizon:
            await self._refetch(self._horizon, "too much was missed")
            return
        for text in texts:
            await self._socket.send_text(text)

    async def _refetch(self, seq: int, why: str) -> None:
        await self._socket.send_text(to_text({"type": "refetch", "seq": seq, "reason": why}))

    async def _forward(self, subscriber: Subscriber) -> None:
        beat = self._desk.parts.clock.monotonic() + HEARTBEAT
        while not subscriber.closed:
            told = max(self._horizon, self._desk.feed.last_seq)  # before anything is taken: what came up to it is, then
            for note in subscriber.take():
                if note.seq > self._horizon:
                    await self._socket.send_text(note.text)
            behind = subscriber.caught_up()
            if behind:
                await self._refetch(behind, "too slow")
            left = beat - self._desk.parts.clock.monotonic()
            if left <= 0:
                if not self._welcome():
                    await self._socket.close(POLICY, "the key is not valid any more")
                    return
                await self._socket.send_text(to_text({"type": "heartbeat", "seq": told}))
                beat, left = beat + HEARTBEAT, HEARTBEAT
            await subscriber.wait(left)
        if self._desk.feed.closed:
            await self._socket.close(GOING_AWAY, "the server ends")

    def _welcome(self) -> bool:
        """Tell whether the key that opened this still stands."""
        key = self._caller.key
        return key is not None and key.alive(self._desk.parts.clock.now()) and key in self._desk.keyring.entries()
