"""The Python client and the commands that use it: another machine's daemon answers as a state here does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from parts.house import House, Jobs
from parts.served import LOG, Served, serving
from parts.waiting import eventually

from reconciler.cli.options import GlobalOptions
from reconciler.cli.reading import state_of
from reconciler.client import Client, RemoteState, follow
from reconciler.errors import ConfigurationError, HostUnreachableError, RefusedError, UsageError
from reconciler.model import LOCALHOST, JobId, JobKey, Memory, StreamName, Watcher
from reconciler.protocols import EventFilter, WatcherFilter

TIMES = {"at", "created_at", "last_trigger", "submitted", "started", "ended"}
METRIC = {"type": "store_metric", "params": {"name": "loss", "value": "$1"}}


@pytest.fixture
async def busy(served: Served) -> Served:
    """Jobs 1 (with watchers that acted) and 2."""
    served.jobs.add("1").write_text("loss: 3\nloss: 2\n")
    served.jobs.add("2")
    await served.create(
        "Loss", pattern=r"loss: (\S+)", actions=[METRIC, LOG], labels={"team": "nlp"}, captures=["loss"]
    )
    await served.create("Idle", "2", pattern="never")
    await eventually(lambda: len(served.house.done("Loss")) == 4)
    return served


def client_of(served: Served, key: str = "write") -> Client:
    return Client(served.url, served.keys[key])


async def used(served: Served, use: Any, key: str = "write") -> Any:
    """Return what `use(client)` returns, in a thread: the client is synchronous."""

    def run() -> Any:
        with client_of(served, key) as client:
            return use(client)

    return await asyncio.to_thread(run)


async def test_every_endpoint_has_a_method(busy: Served) -> None:
    def use(client: Client) -> None:
        made = client.create(job_id="2", hostname="localhost", name="mine", pattern="hit", actions=[LOG])
        number = made["id"]
        assert {w["name"] for w in client.watchers()} == {"Loss", "Idle", "mine"}
        assert [w["name"] for w in client.watchers(label=["team=nlp"])] == ["Loss"]
        assert len(client.job_watchers("2")) == 2
        assert client.edit(number, interval_seconds=5)["id"] == number
        assert client.watcher(number)["spec"]["interval_seconds"] == 5
        assert client.pause(number, "why", "2100-01-01T00:00:00Z")["state"] == "paused"
        assert client.resume(number, "end")["state"] == "active"
        assert client.trigger(number)["success"]
        assert [r["success"] for r in client.bulk("pause", [number, 999])] == [True, False]
        assert client.delete(number)["success"]
        assert client.watcher(number, stopped=True)["state"] == "stopped"
        assert len(list(client.events(watcher="Loss"))) == 4
        assert [e["id"] for e in client.events_after(0, limit=3, all=True)] == [1, 2, 3]
        assert client.stats()["total_watchers"] == 2
        assert {job["job_id"] for job in client.jobs()} == {"1", "2"}
        assert client.unreachable() == {}
        assert client.output("1", tail=1)["text"] == "loss: 2\n"
        assert [p["value"] for p in client.metrics("1", "loss")] == [3, 2]
        assert client.metrics("1")[0]["name"] == "loss"
        assert [(row["job_id"], row["metrics"]) for row in client.measured()] == [("1", ["loss"])]
        assert [row["reachable"] for row in client.hosts()] == [True]
        assert client.plan()["changes"] == []
        assert not client.validate("name: x")["valid"]
        assert client.test_pattern("a", text="aa")["count"] == 2
        assert client.session()["scope"] == "write"

    await used(busy, use)


async def test_refusals_are_errors_of_the_house(busy: Served) -> None:
    def use(client: Client) -> None:
        with pytest.raises(UsageError, match="no watcher 999"):
            client.watcher(999)
        with pytest.raises(ConfigurationError, match="pattern"):
            client.create(job_id="1", name="w", pattern="(", actions=[LOG])
        with pytest.raises(RefusedError, match="already"):
            client.create(jobs={"ids": ["1"]}, name="Loss", pattern="x", actions=[LOG])

    await used(busy, use)

    def read(client: Client) -> None:
        with pytest.raises(RefusedError, match="scope read"):
            client.delete(1)

    await used(busy, read, "read")
    with pytest.raises(RefusedError), Client(busy.url) as stranger:
        await asyncio.to_thread(stranger.stats)
    with pytest.raises(HostUnreachableError), Client("http://127.0.0.1:9") as nobody:
        await asyncio.to_thread(nobody.stats)


def near(value: Any) -> Any:
    """Return the value with its times to the microsecond, which is what the API tells."""
    if isinstance(value, tuple):
        return tuple(map(near, value))
    times = {f.name: getattr(value, f.name) for f in fields(value) if f.name in TIMES}
    return replace(value, **{name: None if at is None else round(at, 6) for name, at in times.items()})


def seen(watcher: Watcher) -> tuple[Watcher, int]:
    """Return a watcher as far as the API tells it: how far it has read, and not what it must know to go on."""
    read = watcher.checkpoints.get(StreamName.STDOUT)
    bare = replace(
        watcher, spec_digest="", origin=replace(watcher.origin, layer="", source=watcher.origin.source.split(":")[0]),
        memory=Memory(), checkpoints={}, job_submitted=None, last_check=None,
    )  # fmt: skip
    return near(bare), read.offset if read else 0


async def test_a_remote_state_answers_as_the_state_itself(busy: Served) -> None:
    key = JobKey(LOCALHOST, JobId("1"))

    def use(client: Client) -> None:
        remote = RemoteState(client)
        with busy.house.state() as state:
            assert remote.identity() == state.identity()
            assert remote.last_seq() == state.last_seq()
            assert near(remote.events(EventFilter(limit=7))) == near(state.events(EventFilter(limit=7)))
            newest = EventFilter(newest=True, limit=5, types=("reconciler.action.succeeded.v1",), job_id="1")
            assert near(remote.events(newest)) == near(state.events(newest))
            assert near(remote.events(EventFilter(after_seq=3))) == near(state.events(EventFilter(after_seq=3)))
            assert tuple(map(seen, remote.watchers())) == tuple(map(seen, state.watchers()))
            assert [w.name for w in remote.watchers(live=True, job=key)] == ["Loss"]
            assert near(remote.metrics(key)) == near(state.metrics(key))
            assert remote.measured() == state.measured()
            assert remote.metrics(key, "nothing") == ()
            jobs = [near(replace(job.now, comment="", command="")) for job in state.jobs()]
            assert [near(job.now) for job in remote.jobs()] == jobs
            assert [spec.name for spec in remote.specs()] == [spec.name for spec in state.specs()]
            assert remote.page(WatcherFilter(labels={"team": "nlp"})).total == 1
            assert remote.statistics(0).watchers == state.statistics(0).watchers
            watcher = remote.watcher(1)
            assert watcher is not None
            assert seen(watcher) == seen(state.watchers()[0])
        assert remote.watcher(999) is None
        assert remote.fact("unreachable:localhost") is None
        assert not remote.empty()

    await used(busy, use)


# --- as commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[tuple[Served, House]]:
    """A served house with HTTPS, and another that asks it."""
    served_house = House(tmp_path / "there")
    served_house.scheduler = Jobs(served_house.outputs)
    served_house.scheduler.add("1").write_text("hit\n")
    async with serving(served_house, secure=True) as served, served.client(served.keys["write"]) as http:
        served.http = http
        await served.create("w", labels={"team": "nlp"})
        await eventually(lambda: served_house.done("w"))
        secret = tmp_path / "key"
        secret.write_text(served.keys["write"] + "\n")
        here = House(
            tmp_path / "here",
            client={
                "url": served.url,
                "key_file": str(secret),
                "certificate": str(served_house.home / "tls" / "self-signed.pem"),
            },
        )
        yield served, here


async def run(house: House, *words: str) -> tuple[int, str, str]:
    done = await asyncio.to_thread(house.run, *words)
    return done.returncode, done.stdout, done.stderr


async def test_commands_ask_the_daemon_that_the_settings_name(there: tuple[Served, House]) -> None:
    served, here = there
    code, out, err = await run(here, "status", "-o", "json")
    assert code == 0, err
    assert [row["watcher"] for row in json.loads(out)["watchers"]] == ["w"]
    code, out, _ = await run(here, "events", "-o", "jsonl")
    assert code == 0
    assert "reconciler.action.succeeded.v1" in out
    code, out, err = await run(here, "suspend", "--label", "team=nlp", "--reason", "by test", "--for", "2h")
    assert (code, out) == (0, "w/1@localhost: suspend done\n"), err
    (hold,) = served.house.row("w").holds
    assert (hold.by, hold.reason) == ("write (API)", "by test")
    assert hold.until is not None
    code, _, err = await run(here, "trigger", "w")
    assert (code, "suspended by write (API)" in err) == (5, True)
    assert (await run(here, "resume", "w"))[0] == 0
    assert (await run(here, "trigger", "w"))[0] == 0
    await eventually(lambda: len(served.house.done("w")) == 2)
    code, out, _ = await run(here, "why", "w", "-o", "json")
    assert code == 0
    code, out, err = await run(here, "attach", "1", "--pattern", "never", "--name", "attached")
    assert (code, "api-1-attached" in out) == (0, True), err
    assert served.house.row("attached").state == "active"
    assert not (here.home / "state.db").exists()


async def test_a_server_that_is_not_trusted_or_not_there_is_said(there: tuple[Served, House], tmp_path: Path) -> None:
    served, _ = there
    for client in ({"url": served.url}, {"url": "https://127.0.0.1:9"}, {"url": f"unix://{tmp_path}/nothing"}):
        other = House(tmp_path / "other", client=client)
        code, _, err = await run(other, "status")
        assert (code, "does not answer" in err) == (7, True), err


async def test_a_password_in_the_url_is_not_shown_where_nobody_answers(tmp_path: Path) -> None:
    here = House(tmp_path, client={"url": "http://ada:hunter2@127.0.0.1:9", "key": "rk_x"})
    for words in (("status",), ("events",), ("events", "-f")):
        code, out, err = await run(here, *words)
        assert (code, "http://127.0.0.1:9 does not answer" in err) == (7, True), err
        assert "hunter2" not in out + err


@pytest.mark.parametrize("rest", ["", "/ter2@h", "@h:99999", "@[::1"])
async def test_a_url_that_is_no_web_address_is_said_without_it(rest: str) -> None:
    url = f"http://ada:hunter2{rest}"
    with pytest.raises(ConfigurationError, match="no web address") as caught:
        Client(url)
    assert "hun" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="no web address"):
        await anext(follow(url))


def test_a_key_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    house = House(tmp_path, client={"url": "http://127.0.0.1:9", "key_file": str(tmp_path / "none")})
    with pytest.raises(ConfigurationError, match="none"), state_of(GlobalOptions(config=house.config())):
        pass


async def test_a_metric_of_any_name_is_had(busy: Served) -> None:
    name = "acc/top 5? 100%25 #1"
    await busy.create("odd", pattern="loss", actions=[{**METRIC, "params": {"name": name, "value": "7"}}])
    await eventually(lambda: len(busy.house.done("odd")) == 2)
    assert [point["value"] for point in await used(busy, lambda client: client.metrics("1", name))] == [7, 7]


@pytest.mark.parametrize("key", ["rk_secret\nrk_other", "rk_secr\u00e9t", "rk_secret\x00"])
async def test_a_key_that_cannot_be_one_is_said_without_it(key: str) -> None:
    with pytest.raises(ConfigurationError) as refused, Client("http://127.0.0.1:9", key) as client:
        client.stats()
    assert "rk_" not in str(refused.value)
    with pytest.raises(ConfigurationError) as refused:
        await anext(follow("http://127.0.0.1:9", key))
    assert "rk_" not in str(refused.value)


async def test_a_certificate_is_looked_at_however_the_url_is_spelt(tmp_path: Path) -> None:
    async with serving(House(tmp_path), secure=True) as served:
        for scheme in ("https", "HTTPS"):
            url = served.url.replace("https", scheme)
            with pytest.raises(HostUnreachableError, match="certificate"), Client(url, served.keys["read"]) as client:
                await asyncio.to_thread(client.stats)


@pytest.mark.parametrize("said", [b"[]", b"null", b'"<html>"', b"7"])
async def test_what_is_json_and_no_answer_of_ours_is_said(said: bytes) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(said), said))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(HostUnreachableError, match="does not answer as a rec"), Client(url) as client:
            await asyncio.to_thread(client.stats)


async def test_very_many_are_deleted_in_parts_that_are_answered_in_time() -> None:
    asked: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = json.loads(await reader.readexactly(int(head.partition("content-length: ")[2].split()[0])))
        asked.append(len(body["ids"]))
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{"results":[]}')
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        with Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
            for action in ("delete", "pause"):
                await asyncio.to_thread(client.bulk, action, list(range(1, 451)))
    assert asked == [200, 200, 50, 450]
