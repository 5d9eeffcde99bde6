"""What is too large, too slow or no request at all ends by itself, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parts.house import House, Jobs
from parts.served import Served, serving

from reconciler.api import listening, refusals
from reconciler.api.gate import MOST_HEADERS


@pytest.fixture
async def tight(tmp_path: Path) -> AsyncIterator[Served]:
    """A served house with small bounds."""
    house = House(tmp_path, api={"body_bytes": 2048, "body_timeout": 0.5})
    house.scheduler = Jobs(house.outputs)
    house.scheduler.add("1")
    async with serving(house) as served:
        yield served


async def raw(served: Served, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send bytes piece by piece and return everything that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def head(served: Served, method: str, path: str, *lines: str) -> bytes:
    key = served.keys["write"]
    fixed = (f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}", "Connection: close")
    return "\r\n".join((*fixed, *lines, "", "")).encode()


async def test_a_body_that_says_it_is_too_large_is_refused_unread(tight: Served) -> None:
    answer = await tight.http.post("/api/watchers", content=b"x" * 3000)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    began = time.monotonic()
    said = await raw(tight, head(tight, "POST", "/api/watchers", "Content-Length: 9999999999999999"))
    assert said.startswith(b"HTTP/1.1 413")
    assert time.monotonic() - began < 5


async def test_a_body_that_grows_too_large_is_refused(tight: Served) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 1000

    answer = await tight.http.post("/api/watchers", content=pieces())
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


async def test_a_body_that_does_not_come_is_refused_after_a_while(tight: Served) -> None:
    said = await raw(tight, head(tight, "POST", "/api/watchers", "Content-Length: 100"), b"{", b" ", pause=0.1)
    assert said.startswith(b"HTTP/1.1 408")


async def test_headers_that_do_not_come_end_the_connection(tight: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEADER_TIME", 0.3)
    began = time.monotonic()
    whole = head(tight, "GET", "/healthz")
    dribbled = [whole[place : place + 1] for place in range(12)]
    assert await raw(tight, *dribbled, pause=0.05) == b""
    assert await raw(tight) == b""
    assert time.monotonic() - began < 5
    assert (await raw(tight, whole)).startswith(b"HTTP/1.1 200")


def stranger(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", "")).encode()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (stranger("POST", "/api/watchers", "Content-Length: 100000"), b"401"),
        (stranger("POST", "/api/watchers", "Transfer-Encoding: chunked"), b"401"),
        (stranger("GET", "/api/watchers", "Content-Length: 100000"), b"401"),
        (stranger("HEAD", "/api/watchers", "Content-Length: 9"), b"401"),
        (stranger("POST", "/healthz", "Content-Length: 100000", "Origin: http://evil.example"), b"403"),
        (b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 100000\r\n\r\n", b"421"),
    ],
    ids=repr,
)
async def test_a_refused_request_whose_body_does_not_come_is_over_soon_whatever_else_does(
    tight: Served, sent: bytes, status: bytes
) -> None:
    began = time.monotonic()
    said = await raw(tight, sent, *[b"x"] * 5, pause=0.05)
    assert said.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in said.lower()
    assert time.monotonic() - began < refusals.LINGER + 2


async def test_a_refused_body_that_is_on_its_way_does_not_take_the_answer_from_its_sender(tight: Served) -> None:
    async with tight.client() as client:
        for _ in range(5):
            answer = await client.post("/api/watchers", content=b"x" * 3_000_000)
            assert (answer.status_code, answer.json()["code"]) == (401, "no-key")


async def test_an_answer_that_needs_no_body_waits_for_none(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("hello")
    house = House(tmp_path)
    house.scheduler = Jobs(house.outputs)
    async with serving(house, pages=tmp_path / "pages") as served:
        began = time.monotonic()
        said = await raw(served, stranger("GET", "/", "Content-Length: 9"), *[b"x"] * 3, pause=0.05)
        assert said.endswith(b"hello")
        assert time.monotonic() - began < refusals.LINGER + 2
        whole = stranger("GET", "/", "Content-Length: 2") + b"xx"
        said = await raw(served, whole, stranger("GET", "/", "Connection: close"), pause=0.1)
        assert said.count(b"HTTP/1.1 200") == 2


async def test_headers_that_are_too_large_are_refused(tight: Served) -> None:
    said = await raw(tight, head(tight, "GET", "/healthz", "X-Long: " + "x" * MOST_HEADERS))
    assert said.startswith(b"HTTP/1.1 431")
    pieces = [head(tight, "GET", "/healthz", "X-Long: " + "x" * 30_000)[:-2], *([b"x" * 30_000] * 3)]
    assert (await raw(tight, *pieces, pause=0.02)).startswith(b"HTTP/1.1 431")
    huge = head(tight, "GET", "/healthz", "X-Long: " + "x" * 300_000)
    assert (await raw(tight, huge)).startswith(b"HTTP/1.1 431")


async def test_a_body_whose_length_is_told_in_two_ways_is_refused_and_ends_the_connection(tight: Served) -> None:
    lines = head(tight, "GET", "/api/watchers", "Content-Length: 5", "Transfer-Encoding: chunked")
    said = await raw(tight, lines.replace(b"Connection: close\r\n", b"") + b"0\r\n\r\n" + lines)
    assert said.startswith(b"HTTP/1.1 400")
    assert said.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n",
    ],
    ids=repr,
)
async def test_what_is_no_http_is_refused_in_the_shape_of_all_refusals(tight: Served, sent: bytes) -> None:
    top, _, body = (await raw(tight, sent, b"and more\r\n\r\n", pause=0.05)).partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 400")
    lines = top.lower().decode().split("\r\n")
    assert {"content-type: application/json", "connection: close", "x-frame-options: deny"} <= set(lines)
    assert json.loads(body)["code"] == "bad-request"


async def test_a_body_that_makes_no_sense_is_told_nobody_but_its_sender(
    tight: Served, caplog: pytest.LogCaptureFixture
) -> None:
    chunked = "Transfer-Encoding: chunked"
    said = await raw(tight, head(tight, "POST", "/api/watchers", chunked), b"ZZ\r\n", pause=0.1)
    assert said.startswith(b"HTTP/1.1 400")
    said = await raw(tight, stranger("POST", "/api/watchers", chunked), b"ZZ\r\n", pause=0.1)
    assert (said[:12], said.count(b"HTTP/1.1")) == (b"HTTP/1.1 401", 1)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_strangers_of_one_address_leave_room_for_who_has_a_key(
    tight: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "MOST_OF_STRANGERS", 5)
    async with tight.client(tight.keys["read"]) as known:
        assert (await known.get("/api/watchers")).status_code == 200
        held = [await asyncio.open_connection("127.0.0.1", tight.port) for _ in range(20)]
        try:
            await asyncio.gather(*(reader.read() for reader, _ in held[:15]), return_exceptions=True)
            assert not any(reader.at_eof() for reader, _ in held[15:])
            async with tight.client(tight.keys["read"]) as other:
                assert (await other.get("/api/watchers")).status_code == 200
            assert (await known.get("/api/watchers")).status_code == 200
        finally:
            for _, writer in held:
                writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"POST /api/watchers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0",
        b"POST /api/watchers HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
    ids=repr,
)
async def test_what_is_no_request_of_ours_is_refused(tight: Served, sent: bytes) -> None:
    said = await raw(tight, sent)
    assert said[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 401", b"HTTP/1.1 421"), said


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"[" * 1500,
        b'{"a":' * 300,
        b'{"job_id": NaN}',
        b'{"ids":[1e999]}',
    ],
    ids=repr,
)
async def test_bodies_that_are_no_json_of_ours_are_refused(tight: Served, body: bytes) -> None:
    for path in ("/api/watchers", "/api/watchers/bulk", "/api/validate", "/api/patterns/test"):
        answer = await tight.http.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), (path, answer.text)
        assert answer.json()["detail"]


async def test_somebody_who_reads_nothing_holds_nobody_up(tight: Served) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", tight.port)
    for _ in range(300):
        writer.write(head(tight, "GET", "/openapi.json").replace(b"Connection: close\r\n", b""))
    began = time.monotonic()
    assert (await tight.http.get("/api/watchers")).status_code == 200
    assert time.monotonic() - began < 5
    writer.close()


async def test_one_connection_too_many_is_refused_in_the_shape_of_all_refusals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "MOST_CONNECTIONS", 1)
    async with serving(House(tmp_path, api={"subscribers": 1})) as served, served.client(served.keys["read"]) as known:
        assert (await known.get("/healthz")).status_code == 200
        crowded = await served.http.get("/healthz")
        assert (crowded.status_code, crowded.json()["code"]) == (503, "too-many-connections")
        assert crowded.headers["retry-after"] == "1"
        assert crowded.headers["x-content-type-options"] == "nosniff"
        await known.aclose()
        assert (await served.http.get("/healthz")).status_code == 200
