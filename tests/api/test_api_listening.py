"""Sockets, and the running of server and engine beside each other."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from pathlib import Path

import pytest
from parts.house import House, Jobs
from parts.served import serving
from parts.waiting import eventually
from starlette.types import Receive, Scope, Send

from reconciler.api import listening
from reconciler.api.feed import Feed
from reconciler.errors import ConfigurationError, LeaseLostError, RefusedError


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """The smallest application."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class Engine:
    """A daemon that runs until it is stopped, or ends with an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self._stopping, self._error = asyncio.Event(), error
        self.ended = False

    def stop(self) -> None:
        self._stopping.set()

    async def stopped(self) -> None:
        await self._stopping.wait()

    async def run(self, *, approve: str = "") -> None:
        if self._error is not None:
            raise self._error
        await self._stopping.wait()
        self.ended = True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.sock"


def test_a_socket_is_its_owners_alone_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        bound = listening.bind_path(path)
    finally:
        assert os.umask(before) == 0
    with bound:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert listening.address_of(bound) == (str(path), 0)


def test_a_dead_socket_is_replaced_a_living_one_and_files_are_not(path: Path) -> None:
    listening.bind_path(path).close()
    with listening.bind_path(path), pytest.raises(RefusedError, match="somebody listens"):
        listening.bind_path(path)
    path.unlink()
    for make in (path.touch, path.mkdir):
        make()
        with pytest.raises(RefusedError, match="no socket"):
            listening.bind_path(path)
        path.unlink() if path.is_file() else path.rmdir()
    path.symlink_to("/nonexistent")
    with pytest.raises(RefusedError):
        listening.bind_path(path)


def test_a_path_that_cannot_be_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "r.sock", tmp_path / ("x" * 200)):
        with pytest.raises(ConfigurationError, match="cannot listen"):
            listening.bind_path(path)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_ports_are_bound_by_either_family(address: str) -> None:
    with listening.bind_port(address, 0) as bound:
        name, port = listening.address_of(bound)
        assert name in ("127.0.0.1", "::1")
        assert port > 0
        with socket.create_connection((name, port), 5):
            pass


def test_who_reads_nothing_of_an_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "TAKE_TIME", 1.0)
    with listening.bind_port("127.0.0.1", 0) as bound, socket.create_connection(listening.address_of(bound), 5):
        bound.setblocking(True)
        served, _ = bound.accept()
        served.settimeout(20)
        with served, pytest.raises(OSError, match="timed out") as caught:
            served.sendall(b"x" * 50_000_000)
        assert caught.value.errno == errno.ETIMEDOUT


@pytest.mark.parametrize("address", ["192.0.2.1", "no.such.host.invalid", "999.1.1.1"])
def test_addresses_that_are_none_of_ours_are_said(address: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot listen"):
        listening.bind_port(address, 0)


async def run(engine: Engine) -> tuple[asyncio.Task[None], int, Feed]:
    bound, feed = listening.bind_port("127.0.0.1", 0), Feed(1, 8)
    port = listening.address_of(bound)[1]
    server = listening.make_server(hello, identity=None, sockets=1)
    task = asyncio.create_task(listening.run_beside(engine, server, bound, feed))  # type: ignore[arg-type]
    await eventually(lambda: task.done() or server.started)
    return task, port, feed


async def test_the_end_of_the_engine_ends_the_server() -> None:
    engine = Engine()
    task, port, feed = await run(engine)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
    engine.stop()
    await asyncio.wait_for(task, 5)
    assert (engine.ended, feed.closed) == (True, True)
    writer.close()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_an_error_of_the_engine_ends_everything_and_is_raised() -> None:
    task, _, feed = await run(Engine(LeaseLostError("taken over")))
    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(task, 5)
    assert feed.closed


async def test_a_request_that_runs_may_end_when_the_server_does(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.scheduler = Jobs(house.outputs)
    house.scheduler.add("1")
    async with serving(house) as served:
        body = {
            "job_id": "1",
            "name": "w",
            "pattern": "x",
            "actions": [{"type": "log_event", "params": {"message": "x"}}],
        }
        writing = asyncio.create_task(served.http.post("/api/watchers", json=body))
        await eventually(lambda: list((tmp_path / "api.d").glob("*.yaml")))
        served.engine.daemon.stop()
        assert (await writing).status_code == 201
