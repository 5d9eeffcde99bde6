"""Following a server from Python and by `events --follow`: what happens comes once, over lost connections too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from parts.house import House, Jobs
from parts.ports import free_port
from parts.served import Served, serving
from parts.waiting import eventually
from websockets.asyncio.server import ServerConnection, serve

from reconciler import client
from reconciler.client import following
from reconciler.errors import ConfigurationError, HostUnreachableError, RefusedError
from reconciler.model import JobId


def hit(served: Served, text: str = "hit\n") -> None:
    with open(str(served.jobs.listed[JobId("1")].stdout), "a") as file:
        file.write(text)


@pytest.fixture
async def job(served: Served) -> Served:
    """A served house with a running job and a watcher on it."""
    served.jobs.add("1").touch()
    await served.create("one", "1")
    return served


async def until(messages: AsyncIterator[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the next message of a type."""
    async with asyncio.timeout(30):
        async for message in messages:
            if message["type"] == kind:
                return message
    raise AssertionError(f"the messages ended without {kind}")


async def test_first_comes_how_things_are_and_then_what_happens(job: Served) -> None:
    messages = client.follow(job.url, job.keys["read"])
    assert [w["name"] for w in (await until(messages, "initial"))["watchers"]] == ["one"]
    hit(job)
    assert (await until(messages, "watcher_event"))["event"]["action_result"] == "saw hit"
    await messages.aclose()  # type: ignore[attr-defined]


async def test_a_restart_of_the_server_loses_nothing_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "FIRST_WAIT", 0.05)
    house = House(tmp_path, api={"socket": str(tmp_path / "s")})
    house.scheduler = Jobs(house.outputs)
    seen: list[int] = []
    port = free_port()  # not one that the system lends: while the server is away it could be somebody else's

    async def listen(url: str, key: str) -> None:
        async for message in client.follow(url, key, since=0):
            if message["type"] == "watcher_event":
                seen.append(message["event"]["id"])

    async with serving(house, port=port) as served:
        served.jobs.add("1").touch()
        await served.create("one", "1")
        listening = asyncio.create_task(listen(served.url, served.keys["read"]))
        hit(served)
        await eventually(lambda: len(seen) == 1)
    assert not listening.done()
    async with serving(house, port=port) as served:
        hit(served, "hit\nhit\n")
        await eventually(lambda: len(seen) == 3)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert len(set(seen)) == 3


async def test_a_wrong_key_and_a_server_that_is_not_there_are_said_at_once(job: Served) -> None:
    with pytest.raises(RefusedError, match="lets nobody in"):
        await anext(client.follow(job.url, "rk_wrong"))
    with pytest.raises(HostUnreachableError, match="does not answer"):
        await anext(client.follow("http://127.0.0.1:9", "rk_wrong"))
    with pytest.raises(ConfigurationError, match="job_id"):
        await anext(client.follow(job.url, job.keys["read"], job_id="-1"))


async def test_a_key_that_is_revoked_ends_it(job: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.api.sockets.HEARTBEAT", 0.1)
    messages = client.follow(job.url, job.keys["read"])
    await until(messages, "initial")
    job.keyring.revoke("read")
    with pytest.raises(RefusedError, match="not valid any more"):
        await until(messages, "watcher_event")


@pytest.mark.parametrize("library", [True, False])
async def test_the_command_follows_the_daemon_that_the_settings_name(
    library: bool, job: Served, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text(job.keys["read"])
    key.chmod(0o600)
    here = House(tmp_path / "here", client={"url": job.url, "key_file": str(key)})
    words = here.argv("events", "-f", "--type", "reconciler.action.succeeded.v1", "-o", "jsonl")
    if not library:
        hidden = "import sys; sys.modules['websockets'] = None; from reconciler.cli import main; sys.exit(main())"
        words = [words[0], "-c", hidden, *words[3:]]
    command = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert command.stdout is not None
    try:
        for _ in range(2):
            hit(job)
            async with asyncio.timeout(60):
                event = json.loads(await command.stdout.readline())
            assert event["data"]["action_result"] == "saw hit"
    finally:
        command.kill()
        await command.communicate()


async def test_who_is_told_to_refetch_comes_back_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "FIRST_WAIT", 0.01)
    asked: list[str] = []

    async def another_state(socket: ServerConnection) -> None:
        assert socket.request is not None
        asked.append(socket.request.path)
        await socket.send(json.dumps({"type": "refetch", "seq": 5, "reason": "too much was missed"}))

    async with serve(another_state, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        messages = client.follow(f"http://127.0.0.1:{port}", since=999)
        for _ in range(2):
            await until(messages, "refetch")
        await messages.aclose()  # type: ignore[attr-defined]
    assert asked == ["/ws/watchers?since=999", "/ws/watchers?since=5"]


async def test_following_goes_where_requests_go_whatever_proxy_there_is(
    job: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    messages = client.follow(job.url, job.keys["read"])
    assert (await until(messages, "initial"))["count"] == 1
    await messages.aclose()  # type: ignore[attr-defined]
