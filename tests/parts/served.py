"""The fixture `served`: a house whose daemon has its HTTP face, on a real server on loopback, a key for each scope."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from parts.house import House, Jobs
from parts.waiting import eventually
from reconciler import app
from reconciler.api import listening
from reconciler.api.certificates import self_signed
from reconciler.api.feed import Feed
from reconciler.api.keys import Keyring, Scope

LOG = {"type": "log_event", "params": {"message": "saw $0"}}


class Socket:
    """A WebSocket as a test reads it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def next(self, kind: str | None = None, timeout: float = 10.0) -> dict[str, Any]:
        """Return the next message, of this type where one is given."""
        async with asyncio.timeout(timeout):
            while True:
                message: dict[str, Any] = json.loads(await self.connection.recv())
                if kind is None or message["type"] == kind:
                    return message


class Served:
    """A running server. `keys`: by scope; `http` sends the key of scope write."""

    def __init__(self, house: House, engine: app.Engine, feed: Feed, port: int, secure: bool) -> None:
        self.house, self.engine, self.feed, self.port = house, engine, feed, port
        self.url = f"{'https' if secure else 'http'}://127.0.0.1:{port}"
        self.keyring = Keyring(app.keys_path(house.settings))
        now = engine.parts.clock.now()
        self.keys = {scope.value: self.keyring.create(scope.value, scope, now)[1] for scope in Scope}
        self.http = self.client(self.keys["write"])

    def client(self, key: str | None = None, **headers: str) -> httpx.AsyncClient:
        """A client with this key, or none."""
        sent = {**({"Authorization": f"Bearer {key}"} if key else {}), **headers}
        return httpx.AsyncClient(base_url=self.url, headers=sent, timeout=20, trust_env=False, verify=False)

    @property
    def jobs(self) -> Jobs:
        """The list of jobs."""
        assert self.house.scheduler is not None
        return self.house.scheduler

    async def look(self) -> None:
        """Let the engine list the jobs now."""
        await self.engine.daemon.look_again(list_jobs=True)

    async def create(self, name: str = "w", job_id: str | None = "1", **fields: Any) -> dict[str, Any]:
        """Create a watcher that looks for `hit` and logs, unless `fields` say otherwise."""
        body = {"job_id": job_id, "hostname": "localhost", "name": name, "pattern": "hit", "actions": [LOG], **fields}
        answer = await self.http.post("/api/watchers", json={k: v for k, v in body.items() if v is not None})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def get(self, path: str, **query: Any) -> Any:
        """Return what a GET answers."""
        answer = await self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None) -> Any:
        """Return what a POST answers."""
        answer = await self.http.post(path, json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    @asynccontextmanager
    async def socket(self, path: str = "/ws/watchers", key: str = "read", **more: Any) -> AsyncIterator[Socket]:
        """An open WebSocket."""
        headers = {"Authorization": f"Bearer {self.keys[key]}"}
        url = self.url.replace("http", "ws", 1) + path
        async with connect(url, additional_headers=headers, proxy=None, **more) as connection:
            yield Socket(connection)


@asynccontextmanager
async def serving(
    house: House, *, secure: bool = False, hosts: tuple[str, ...] = (), port: int = 0, **face: Any
) -> AsyncIterator[Served]:
    """A daemon with its face, until the block ends."""
    api = house.settings.api
    feed = Feed(api.subscribers, api.subscriber_queue)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(house.engine(sinks=[feed]))
        names = ["localhost", "127.0.0.1", *hosts]
        application = await stack.enter_async_context(
            app.face(engine, house.settings, feed, hosts=names, secure=secure, **face)
        )
        bound = listening.bind_port("127.0.0.1", port)
        identity = self_signed(house.home / "tls", ["localhost"]) if secure else None
        server = listening.make_server(application, identity=identity, sockets=api.subscribers)
        running = asyncio.create_task(listening.run_beside(engine.daemon, server, bound, feed))
        served = Served(house, engine, feed, listening.address_of(bound)[1], secure)
        stack.push_async_callback(served.http.aclose)
        try:
            await eventually(lambda: running.done() or (server.started and engine.controller.plan))
            yield served
        finally:
            engine.daemon.stop()
            await asyncio.wait_for(running, 15)


@pytest.fixture
async def served(house: House) -> AsyncIterator[Served]:
    """A served house with listed jobs."""
    house.scheduler = Jobs(house.outputs)
    async with serving(house) as running:
        yield running
