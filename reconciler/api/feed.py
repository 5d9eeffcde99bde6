"""Events to WebSocket subscribers: a sink that waits for none of them. Whoever is too slow is told to refetch.

Each message is made into text once, however many subscribers there are. The engine calls `write`, `sockets` the rest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import orjson

from reconciler.api.shaping import event_fields
from reconciler.events import Event, EventType
from reconciler.model import WatcherState

#: How many watchers' states are remembered, to tell a change from what was told already.
_MOST_STATES = 100_000


@dataclass(frozen=True, slots=True)
class Note:
    """One message, ready to be sent. `seq`: of the event that it came from."""

    seq: int
    job_id: str
    text: str


def to_text(message: object) -> str:
    """Return the JSON text of a message."""
    return orjson.dumps(message, option=orjson.OPT_UTC_Z).decode()


def event_note(event: Event) -> Note:
    """Return the message of an event: `watcher_event` for what an action came to, `event` for everything else."""
    kind = "watcher_event" if event.type.startswith("reconciler.action.") else "event"
    body = {"type": kind, "seq": event.seq, "event": event_fields(event)}
    return Note(event.seq, str(event.job_id), to_text(body))


class Subscriber:
    """One client's queue. `job_id` None: everything."""

    def __init__(self, job_id: str | None, most: int) -> None:
        self.job_id, self._most = job_id, most
        self._notes: deque[Note] = deque()
        self._waiting = asyncio.Event()
        self.losses = 0  # how often notes began to be dropped
        self.behind = 0  # the seq from which on notes were dropped; 0: none was
        self.closed = False

    def offer(self, notes: Sequence[Note]) -> None:
        """Take those it is meant to see; what does not fit is dropped, with everything that waits."""
        behind = self.behind
        for note in notes:
            if self.job_id is not None and note.job_id != self.job_id:
                continue
            if len(self._notes) >= self._most:
                self._notes.clear()
                self.behind = note.seq
            if self.behind:
                self.behind = note.seq
            else:
                self._notes.append(note)
        self.losses += bool(self.behind and not behind)
        self._waiting.set()

    def close(self) -> None:
        """Say that nothing more will come."""
        self.closed = True
        self._waiting.set()

    def take(self) -> list[Note]:
        """Return what waits, and make room for more."""
        taken = list(self._notes)
        self._notes.clear()
        return taken

    def caught_up(self) -> int:
        """Return the seq up to which notes were dropped, and begin anew; 0: none was."""
        behind, self.behind = self.behind, 0
        return behind

    async def wait(self, seconds: float) -> None:
        """Return when there is something to do, after `seconds` in any case."""
        try:
            async with asyncio.timeout(seconds):
                await self._waiting.wait()
        except TimeoutError:
            return
        self._waiting.clear()


class Feed:
    """protocols.Sink over all subscribers.

    `states` tells the states of watchers as they are committed, and is set once the state is there.
    """

    def __init__(self, most_subscribers: int, most_notes: int) -> None:
        self._most_subscribers, self._most_notes = most_subscribers, most_notes
        self._subscribers: set[Subscriber] = set()
        self._told: dict[int, WatcherState] = {}
        self.states: Callable[[Collection[int]], Awaitable[Mapping[int, WatcherState]]] | None = None
        self.last_seq = 0
        self.dropped = 0
        self.closed = False

    @property
    def subscribers(self) -> int:
        """How many listen now."""
        return len(self._subscribers)

    def subscribe(self, job_id: str | None) -> Subscriber | None:
        """Return a new subscriber; None where there are too many, or the server ends."""
        if self.closed or len(self._subscribers) >= self._most_subscribers:
            return None
        subscriber = Subscriber(job_id, self._most_notes)
        self._subscribers.add(subscriber)
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Let go of a subscriber."""
        self._subscribers.discard(subscriber)

    # --- protocols.Sink ---

    def position(self) -> int | None:
        """Keep nothing: only what is new is wanted."""
        return None

    async def write(self, events: Sequence[Event]) -> None:
        """Hand the events to every subscriber's queue."""
        newest = events[-1].seq if events else self.last_seq
        if not self._subscribers:
            self._told.clear()
            self.last_seq = newest
            return
        ids = {event.watcher_id for event in events if event.watcher_id is not None}
        states = await self.states(ids) if ids and self.states is not None else {}
        self.last_seq = newest  # not before: a heartbeat that names it says that all up to there was handed on
        notes = [note for event in events for note in (event_note(event), *self._changes(event, states))]
        for subscriber in self._subscribers:
            before = subscriber.losses
            subscriber.offer(notes)
            self.dropped += subscriber.losses - before

    async def close(self) -> None:
        """End every subscription."""
        self.end()

    def end(self) -> None:
        """The same, for who cannot wait."""
        self.closed = True
        for subscriber in self._subscribers:
            subscriber.close()

    def _changes(self, event: Event, states: Mapping[int, WatcherState]) -> list[Note]:
        """Return what an event means for the state of its watcher, where that is news."""
        if event.watcher_id is None:
            return []
        body = {"watcher_id": event.watcher_id, "job_id": event.job_id, "hostname": event.hostname, "seq": event.seq}
        if event.type is EventType.WATCHER_STOPPED:
            self._told.pop(event.watcher_id, None)
            return [Note(event.seq, str(event.job_id), to_text({"type": "watcher_deleted", **body}))]
        state = states.get(event.watcher_id)
        if state is None or self._told.get(event.watcher_id) is state:
            return []
        if len(self._told) >= _MOST_STATES:
            self._told.clear()
        self._told[event.watcher_id] = state
        text = to_text({"type": "watcher_state_change", **body, "state": state.value})
        return [Note(event.seq, str(event.job_id), text)]
