"""What WebSockets say: first how things are, then what happens; whoever missed too much is told so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
from parts.house import House, Jobs
from parts.served import Served, Socket, serving
from parts.waiting import eventually
from websockets.exceptions import ConnectionClosed

from reconciler.api import listening, sockets
from reconciler.api.feed import Feed, Subscriber, event_note
from reconciler.events import Event, EventType
from reconciler.model import Hold, HoldKind, JobId, WatcherId, WatcherState
from reconciler.protocols import Advance, Batch, EventFilter
from reconciler.state.read import StateReader


@pytest.fixture
async def job(served: Served) -> Served:
    """A served house with running jobs 1 and 2, and a watcher on each."""
    for number in ("1", "2"):
        served.jobs.add(number).touch()
    await served.create("one", "1")
    await served.create("two", "2")
    return served


def append(served: Served, job_id: str, text: str) -> None:
    with open(str(served.jobs.listed[JobId(job_id)].stdout), "a") as file:
        file.write(text)


async def until(socket: Socket, kind: str, **fields: object) -> dict[str, object]:
    """Return the first message of this type whose fields are these."""
    while True:
        message = await socket.next(kind)
        if all(message.get(key) == value for key, value in fields.items()):
            return message


async def test_first_comes_how_things_are_and_then_what_happens(job: Served) -> None:
    async with job.socket() as socket:
        first = await socket.next()
        assert (first["type"], first["count"], first["total"]) == ("initial", 2, 2)
        assert {w["name"] for w in first["watchers"]} == {"one", "two"}
        append(job, "1", "hit\n")
        event = (await socket.next("watcher_event"))["event"]
        listed = (await job.get("/api/watchers/events"))["events"][0]
        assert event == listed
        assert (event["action_type"], event["success"], event["action_result"]) == ("log_event", True, "saw hit")
        assert event["id"] > first["seq"]


async def test_a_job_has_a_socket_of_its_own(job: Served) -> None:
    async with job.socket("/ws/watchers/2") as socket:
        assert [w["name"] for w in (await socket.next("initial"))["watchers"]] == ["two"]
        append(job, "1", "hit\n")
        await eventually(lambda: job.house.done("one"))
        append(job, "2", "hit\n")
        message = await socket.next()
        assert (message["type"], message["event"]["job_id"]) == ("event", "2")


async def test_a_state_that_changes_is_told_and_a_deletion(job: Served) -> None:
    number = job.house.row("one").id
    async with job.socket() as socket:
        await job.post(f"/api/watchers/{number}/pause")
        await until(socket, "watcher_state_change", watcher_id=number, state="paused")
        await job.post(f"/api/watchers/{number}/resume")
        await until(socket, "watcher_state_change", watcher_id=number, state="active")
        await job.http.delete(f"/api/watchers/{number}")
        deleted = await until(socket, "watcher_deleted", watcher_id=number)
        assert deleted["job_id"] == "1"
        job.jobs.finish("2")
        await job.look()
        await until(socket, "watcher_state_change", watcher_id=job.house.row("two").id, state="completed")


async def test_who_comes_back_gets_what_was_missed_once_and_in_order(job: Served) -> None:
    async with job.socket() as socket:
        seq = (await socket.next("initial"))["seq"]
    append(job, "1", "hit\nhit\n")
    await eventually(lambda: len(job.house.done("one")) == 2)
    newest = job.house.events()[-1].seq
    async with job.socket(f"/ws/watchers?since={seq}") as socket:
        seen = [(await socket.next())["seq"] for _ in range(newest - seq)]
        assert seen == list(range(seq + 1, newest + 1))
        append(job, "1", "hit\n")
        assert (await socket.next("watcher_event"))["seq"] > newest


async def test_who_missed_too_much_is_told_to_refetch(job: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MOST_REPLAYED", 1)
    async with job.socket("/ws/watchers?since=0") as socket:
        message = await socket.next()
        assert (message["type"], message["seq"]) == ("refetch", job.house.events()[-1].seq)
        append(job, "1", "hit\n")
        assert (await socket.next("watcher_event"))["event"]["job_id"] == "1"


async def test_a_seq_of_another_state_is_told_to_refetch(job: Served) -> None:
    async with job.socket("/ws/watchers?since=999999") as socket:
        assert (await socket.next())["type"] == "refetch"


async def test_silence_is_broken_by_heartbeats(job: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "HEARTBEAT", 0.05)
    async with job.socket() as socket:
        assert (await socket.next("heartbeat"))["seq"] > 0
        assert (await socket.next("heartbeat"))["seq"] > 0


async def test_a_revoked_key_loses_its_open_sockets(job: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "HEARTBEAT", 0.05)
    async with job.socket() as socket:
        await socket.next("heartbeat")
        job.keyring.revoke("read")
        with pytest.raises(ConnectionClosed) as closed:
            await until(socket, "never")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


async def test_a_socket_on_a_connection_that_was_asked_before_stays(
    job: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "LINGER", 0.1)
    monkeypatch.setattr(sockets, "HEARTBEAT", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", job.port)
    fixed = f"Host: localhost\r\nX-API-Key: {job.keys['read']}\r\n"
    writer.write(f"GET /healthz HTTP/1.1\r\n{fixed}\r\n".encode())
    assert b'"ok"' in await asyncio.wait_for(reader.readuntil(b"}"), 10)
    opening = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    writer.write(f"GET /ws/watchers HTTP/1.1\r\n{fixed}{opening}{key}\r\n".encode())
    for _ in range(2):
        assert await asyncio.wait_for(reader.readuntil(b'"heartbeat"'), 10)
    writer.close()


async def test_keys_that_cannot_be_read_close_open_sockets_with_a_reason(
    job: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sockets, "HEARTBEAT", 0.05)
    async with job.socket() as socket:
        await socket.next("heartbeat")
        job.keyring.path.chmod(0o644)
        with pytest.raises(ConnectionClosed) as closed:
            await until(socket, "never")
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, "cannot be read" in closed.value.rcvd.reason) == (1013, True)
        assert str(job.house.home) not in closed.value.rcvd.reason
    assert "chmod 600" in caplog.text


async def test_what_clients_say_means_nothing_and_too_much_of_it_ends_them(job: Served) -> None:
    async with job.socket() as socket:
        await socket.next("initial")
        await socket.connection.send("x" * 1000)
        await socket.connection.send(b"\x00")
        append(job, "1", "hit\n")
        assert await socket.next("watcher_event")
        await socket.connection.send("x" * 100_000)
        with pytest.raises(ConnectionClosed):
            await until(socket, "never")


async def test_clients_that_leave_are_let_go_of(job: Served) -> None:
    async with job.socket(), job.socket():
        await eventually(lambda: job.feed.subscribers == 2)
    await eventually(lambda: job.feed.subscribers == 0)


async def test_only_so_many_may_listen(tmp_path: Path) -> None:
    house = House(tmp_path, api={"subscribers": 1})
    house.scheduler = Jobs(house.outputs)
    async with serving(house) as served, served.socket() as first:
        await first.next("initial")
        async with served.socket() as second:
            with pytest.raises(ConnectionClosed) as closed:
                await second.next()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013


async def test_the_end_of_the_server_closes_sockets_in_order_and_in_time(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.scheduler = Jobs(house.outputs)
    async with serving(house) as served, served.socket() as socket:
        await socket.next("initial")
        began = time.monotonic()
        served.engine.daemon.stop()
        with pytest.raises(ConnectionClosed) as closed:
            await until(socket, "never")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
    assert time.monotonic() - began < 5


async def test_an_event_arrives_soon_after_its_commit(job: Served) -> None:
    delays = []
    async with job.socket() as socket:
        await socket.next("initial")
        for _ in range(5):
            append(job, "1", "hit\n")
            message = await socket.next("watcher_event")
            delays.append(time.time() - _at(message["event"]["timestamp"]))
    assert min(delays) < 0.2  # from the match on: its commit and its way to the client


def _at(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


# --- the feed alone --------------------------------------------------------------------------------------------------


def an_event(seq: int, job_id: str = "1", **fields: object) -> Event:
    event = Event(EventType.ACTION_SUCCEEDED, 1.8e9, "w/1@h", WatcherId(1), "w", JobId(job_id), seq=seq)
    return replace(event, **fields)  # type: ignore[arg-type]


async def test_a_slow_subscriber_loses_everything_that_waits_and_is_told_up_to_where() -> None:
    feed = Feed(2, 4)
    slow = feed.subscribe(None)
    assert slow is not None
    await feed.write([an_event(seq) for seq in range(1, 4)])
    assert [note.seq for note in slow.take()] == [1, 2, 3]
    await feed.write([an_event(seq) for seq in range(4, 12)])
    assert slow.take() == []
    assert (slow.caught_up(), slow.caught_up(), feed.dropped) == (11, 0, 1)
    await feed.write([an_event(12)])
    assert [note.seq for note in slow.take()] == [12]


async def test_a_slow_subscriber_slows_nobody() -> None:
    feed = Feed(2, 8)
    slow, quick = feed.subscribe(None), feed.subscribe("1")
    assert slow is not None
    assert quick is not None
    seen = []
    for seq in range(1, 101):
        await feed.write([an_event(seq, job_id=str(seq % 2))])
        seen += [note.seq for note in quick.take()]
    assert seen == list(range(1, 101, 2))
    assert slow.behind == 100


async def test_a_state_is_told_when_it_is_news() -> None:
    feed = Feed(1, 100)
    state = WatcherState.ACTIVE

    async def states(ids: Collection[int]) -> dict[int, WatcherState]:
        return dict.fromkeys(ids, state)

    feed.states = states
    subscriber = feed.subscribe(None)
    assert subscriber is not None
    await feed.write([an_event(1), an_event(2)])
    state = WatcherState.TRIGGERED
    await feed.write([an_event(3)])
    changes = [note.seq for note in subscriber.take() if "watcher_state_change" in note.text]
    assert changes == [1, 3]


async def test_no_seq_is_named_before_its_events_were_handed_on() -> None:
    feed = Feed(1, 10)
    named = []

    async def states(ids: Collection[int]) -> dict[int, WatcherState]:
        named.append(feed.last_seq)
        return {}

    feed.states = states
    feed.subscribe(None)
    await feed.write([an_event(1), an_event(2)])
    await feed.write([an_event(3)])
    assert named == [0, 2]


async def test_a_state_is_told_as_it_was_committed_though_the_task_has_not_heard_of_it(job: Served) -> None:
    before = job.house.row("one")
    hold = Hold(HoldKind.MANUAL, "somebody", "", 1.0)
    after = replace(before, holds=(hold,))
    told = replace(an_event(1, job_id="1"), type=EventType.WATCHER_SUSPENDED, watcher_id=before.id)
    batch = Batch(advances=(Advance(before, after, events=(told,)),))
    async with job.socket() as socket:
        await socket.next("initial")
        await job.engine.parts.state.run(lambda state: state.commit(batch))
        job.engine.daemon.tell()
        await until(socket, "watcher_state_change", watcher_id=before.id, state="paused")


async def test_a_feed_without_subscribers_makes_no_texts() -> None:
    feed = Feed(1, 10)
    feed.states = lambda ids: pytest.fail("nobody listens")
    await feed.write([an_event(1)])
    assert feed.last_seq == 1


async def test_text_of_any_kind_becomes_a_message() -> None:
    event = an_event(
        1, matched_text="\udcff \x00 \u2028", data={"nan": float("nan"), "deep": [{"\udc80": float("inf")}]}
    )
    assert '"nan":null' in event_note(event).text


@pytest.fixture
async def waiting() -> Subscriber:
    return Subscriber(None, 10)


async def test_waiting_ends_with_news_with_the_end_and_with_time(waiting: Subscriber) -> None:
    await asyncio.wait_for(waiting.wait(0.01), 1)
    waiting.offer([event_note(an_event(1))])
    await asyncio.wait_for(waiting.wait(100), 1)
    waiting.close()
    await asyncio.wait_for(waiting.wait(100), 1)


async def test_what_is_committed_while_the_missed_is_read_is_told_too(
    job: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, read = asyncio.get_running_loop(), StateReader.events

    def and_then_more_comes(reader: StateReader, wanted: EventFilter) -> tuple[Event, ...]:
        found = read(reader, wanted)
        if wanted.limit == sockets.MOST_REPLAYED + 1:
            before = job.feed.last_seq
            append(job, "1", "hit\n")
            asyncio.run_coroutine_threadsafe(eventually(lambda: job.feed.last_seq > before), loop).result(20)
        return found

    monkeypatch.setattr(StateReader, "events", and_then_more_comes)
    async with job.socket(f"/ws/watchers?since={job.house.events()[-1].seq}") as socket:
        assert (await socket.next("event"))["event"]["type"] == "reconciler.watcher.triggered.v1"
        assert (await socket.next("watcher_event"))["event"]["action_result"] == "saw hit"


async def test_a_heartbeat_after_a_restart_names_no_seq_of_long_ago(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.scheduler = Jobs(house.outputs)
    async with serving(house) as served:
        await served.create("nobody's", None)
    monkeypatch.setattr(sockets, "HEARTBEAT", 0.05)
    async with serving(house) as served, served.socket() as socket:
        first = await socket.next("initial")
        assert (await socket.next("heartbeat"))["seq"] >= first["seq"] > 0
