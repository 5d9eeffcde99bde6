"""A browser signed in with a key: it may do what the key may, no longer than the key, and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from parts.served import Served

from reconciler.api.keys import MOST_OF_A_KEY, KeyKind, Scope


async def signed_in(served: Served, token: str) -> str:
    """Sign a browser in; return its cookie."""
    async with served.client(token, Origin=served.url) as program:
        answer = await program.post("/api/session")
        assert answer.status_code == 201, answer.text
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        return cookie.partition(";")[0]


async def status(served: Served, cookie: str) -> int:
    async with served.client(None, Cookie=cookie) as browser:
        return (await browser.get("/api/session")).status_code


@pytest.mark.parametrize("scope", list(Scope))
async def test_the_session_has_the_scope_of_the_key_and_can_be_left(served: Served, scope: Scope) -> None:
    cookie = await signed_in(served, served.keys[scope.value])
    async with served.client(None, Cookie=cookie, Origin=served.url) as browser:
        found = (await browser.get("/api/session")).json()
        assert (found["name"], found["scope"]) == (scope.value, scope.value)
        written = await browser.post("/api/watchers/bulk", json={"action": "pause", "ids": [7]})
        assert written.status_code == (200 if scope.covers(Scope.WRITE) else 403)
        assert (await browser.delete("/api/session")).status_code == 204
        assert (await browser.get("/api/session")).status_code == 401


async def test_the_session_ends_with_its_key(served: Served) -> None:
    now = served.engine.parts.clock.now()
    _, token = served.keyring.create("short", Scope.READ, now, expires=now + 3600, actions=("log_event",))
    cookie = await signed_in(served, token)
    (session,) = (key for key in served.keyring.entries() if key.kind is KeyKind.SESSION)
    assert session.expires is not None
    assert session.expires <= now + 3600
    assert session.actions == ("log_event",)
    assert await status(served, cookie) == 200
    assert {key.kind for key in served.keyring.revoke("short")} == {KeyKind.KEY, KeyKind.SESSION}
    assert await status(served, cookie) == 401


async def test_one_key_does_not_end_the_sessions_of_others(served: Served) -> None:
    other = await signed_in(served, served.keys["admin"])
    first = await signed_in(served, served.keys["read"])
    for _ in range(MOST_OF_A_KEY):
        newest = await signed_in(served, served.keys["read"])
    assert [await status(served, cookie) for cookie in (other, first, newest)] == [200, 401, 200]


async def test_a_browser_that_is_signed_in_stays_who_it_is(served: Served) -> None:
    cookie = await signed_in(served, served.keys["read"])
    before = len(served.keyring.entries())
    async with served.client(None, Cookie=cookie, Origin=served.url) as browser:
        answer = await browser.post("/api/session")
    assert answer.json()["scope"] == "read"
    assert datetime.fromisoformat(answer.json()["expires"])
    assert "set-cookie" not in answer.headers
    assert len(served.keyring.entries()) == before


async def test_another_site_signs_nobody_in(served: Served) -> None:
    async with served.client(served.keys["read"], Origin="https://evil.example") as foreign:
        assert (await foreign.post("/api/session")).status_code == 403
    async with served.client() as stranger:
        assert (await stranger.post("/api/session")).status_code == 401


async def linked(served: Served, token: str = "", cookie: str = "") -> str:
    """Sign a browser in by a link that this key, or this session, makes; return its cookie."""
    headers = {"Cookie": cookie, "Origin": served.url} if cookie else {}
    async with served.client(token or None, **headers) as maker, served.client() as browser:
        made = await maker.post("/api/session/links")
        assert made.status_code == 201, made.text
        return (await browser.get(made.json()["url"])).headers["set-cookie"].partition(";")[0]


async def test_a_link_of_a_key_gives_no_more_than_the_key_and_neither_does_a_link_of_that(served: Served) -> None:
    served.jobs.add("1")
    now = served.engine.parts.clock.now()
    _, token = served.keyring.create("lim", Scope.ADMIN, now, expires=now + 3600, actions=("log_event",))
    first = await linked(served, token)
    second = await linked(served, cookie=first)
    third = await linked(served, cookie=await signed_in(served, token))
    cancel = {
        "job_id": "1",
        "name": "w",
        "pattern": "x",
        "actions": [{"type": "cancel_job", "params": {"reason": "x"}}],
    }
    for cookie in (first, second, third):
        async with served.client(None, Cookie=cookie, Origin=served.url) as browser:
            found = (await browser.get("/api/session")).json()
            assert (found["name"], found["scope"]) == ("lim", "admin")
            assert datetime.fromisoformat(found["expires"]).timestamp() < now + 3600.01
            assert (await browser.post("/api/watchers", json=cancel)).status_code == 403
    served.keyring.revoke("lim")
    assert [await status(served, cookie) for cookie in (first, second, third)] == [401] * 3


async def test_a_link_that_waits_ends_with_who_made_it(served: Served) -> None:
    now = served.engine.parts.clock.now()
    _, token = served.keyring.create("short", Scope.ADMIN, now, expires=now + 60)
    async with served.client(token) as maker, served.client() as browser:
        made = (await maker.post("/api/session/links")).json()
        assert datetime.fromisoformat(made["expires"]).timestamp() < now + 60.01
        served.keyring.revoke("short")
        assert (await browser.get(made["url"])).status_code == 403


async def test_who_signs_out_twice_at_once_is_signed_out(served: Served) -> None:
    cookie, ended = await signed_in(served, served.keys["read"]), asyncio.Event()

    async def in_two_pieces() -> AsyncIterator[bytes]:
        yield b"{"
        await ended.wait()
        yield b"}"

    async with served.client(None, Cookie=cookie, Origin=served.url) as browser:
        late = asyncio.create_task(browser.request("DELETE", "/api/session", content=in_two_pieces()))
        for _ in range(5):
            await browser.get("/healthz")  # so that the first one is past the gate
        assert (await browser.delete("/api/session")).status_code == 204
        ended.set()
        assert (await late).status_code == 204
