"""Closed to strangers: every route and WebSocket with every kind of key; foreign sites, wrong hosts, browsers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from parts.house import House, Jobs
from parts.served import LOG, Served, serving
from parts.waiting import eventually
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from reconciler.api.gate import host_name, needed
from reconciler.api.keys import LINK_LIFE, KeyKind, Scope

WRONG = f"rk_{'0' * 12}_{'A' * 43}"
OPEN = {"/healthz", "/readyz", "/login"}
READING_POSTS = {
    "/api/validate", "/api/patterns/test", "/api/selectors/test", "/api/watchers/preview", "/api/session",
}  # fmt: skip
SOCKETS = ("/ws/watchers", "/ws/watchers/1")


@pytest.fixture
async def roomy(tmp_path: Path) -> AsyncIterator[Served]:
    """A served house in which strangers may ask often, and job 1 runs."""
    house = House(tmp_path, api={"stranger_burst": 5000})
    house.scheduler = Jobs(house.outputs)
    house.scheduler.add("1").write_text("hit\n")
    async with serving(house) as served:
        yield served


async def operations(served: Served) -> list[tuple[str, str]]:
    """Every method and path of the schema, with numbers and names that fit, and the pages of the documentation."""
    schema = (await served.get("/openapi.json"))["paths"]
    values = {"watcher_id": "999999", "job_id": "1", "name": "loss", "template_id": "loss-tracker"}
    found = [(method.upper(), path.format(**values)) for path, item in schema.items() for method in item]
    return [*found, ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/docs/start.js"), ("GET", "/nothing")]


async def walk(served: Served, key: str | None) -> dict[tuple[str, str], int]:
    async with served.client(key) as client:
        return {
            (method, path): (
                await client.request(method, path, json={} if method in ("POST", "PUT") else None)
            ).status_code
            for method, path in await operations(served)
        }


def below(method: str, path: str) -> bool:
    return method == "GET" or path in READING_POSTS


async def test_without_a_key_and_with_a_wrong_one_everything_is_closed(roomy: Served) -> None:
    for key in (None, WRONG, "x", roomy.keys["admin"][:-1]):
        answers = await walk(roomy, key)
        assert len(answers) > 25
        closed = {status for (_, path), status in answers.items() if path not in OPEN}
        assert closed == {401}


async def test_a_reading_key_reads_everything_and_writes_nothing(roomy: Served) -> None:
    answers = await walk(roomy, roomy.keys["read"])
    for (method, path), status in answers.items():
        if path in OPEN:
            continue
        assert (status == 403) is not below(method, path), (method, path, status)
        assert status not in (401, 500)
    told = await roomy.get("/api/watchers/events", type="reconciler.api.refused.v1")
    assert told["events"][0]["data"]["by"] == "read (API)"


async def test_only_an_admin_key_makes_links(roomy: Served) -> None:
    assert (await walk(roomy, roomy.keys["write"]))["POST", "/api/session/links"] == 403
    assert (await walk(roomy, roomy.keys["admin"]))["POST", "/api/session/links"] == 201


async def test_keys_that_expired_or_were_revoked_are_wrong_keys(roomy: Served) -> None:
    _, old = roomy.keyring.create("old", Scope.READ, 0.0, expires=1.0)
    _, token = roomy.keyring.create("gone", Scope.READ, 0.0)
    async with roomy.client(token) as client:
        assert (await client.get("/api/watchers")).status_code == 200
        roomy.keyring.revoke("gone")
        assert (await client.get("/api/watchers")).status_code == 401
    async with roomy.client(old) as client:
        assert (await client.get("/api/watchers")).status_code == 401
    async with roomy.client(None, **{"X-API-Key": roomy.keys["read"]}) as client:
        assert (await client.get("/api/watchers")).status_code == 200


@pytest.mark.parametrize("path", SOCKETS)
async def test_websockets_are_closed_likewise(roomy: Served, path: str) -> None:
    url = roomy.url.replace("http", "ws") + path
    for headers, status in (
        ({}, 401),
        ({"Authorization": f"Bearer {WRONG}"}, 401),
        ({"Authorization": f"Bearer {roomy.keys['read']}", "Origin": "https://evil.example"}, 403),
        ({"Authorization": f"Bearer {roomy.keys['read']}", "Origin": "null"}, 403),
        ({"Authorization": f"Bearer {roomy.keys['read']}", "Sec-Fetch-Site": "same-site"}, 403),
    ):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, additional_headers=headers, proxy=None):
                pass
        assert refused.value.response.status_code == status, headers
    async with roomy.socket(path) as socket:
        assert (await socket.next())["type"] == "initial"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ws/watchers/..%2fx", 404), ("/ws/watchers/-x", 422), ("/ws/watchers?since=x", 422),
        ("/ws/watchers?since=-1", 422), ("/ws/watchers/", 404), ("/ws//watchers", 404), ("/", 404), ("/healthz", 404),
    ],
)  # fmt: skip
async def test_what_names_no_websocket_is_refused_in_the_shape_of_all_refusals(
    roomy: Served, path: str, status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with roomy.socket(path):
            pass
    response = refused.value.response
    assert (response.status_code, response.headers["x-content-type-options"]) == (status, "nosniff")
    assert json.loads(response.body or b"")["code"] == ("not-found" if status == 404 else "invalid-request")


async def test_refused_websockets_are_no_errors_of_ours(roomy: Served, caplog: pytest.LogCaptureFixture) -> None:
    for headers in ({}, {"Authorization": f"Bearer {WRONG}"}, {"Origin": "https://evil.example"}):
        with pytest.raises(InvalidStatus):
            async with connect(
                roomy.url.replace("http", "ws") + "/ws/watchers", additional_headers=headers, proxy=None
            ):
                pass
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


# --- other sites -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8443", "127.0.0.1.evil.example", "", "localhost.evil"])
async def test_a_name_that_is_none_of_ours_gets_nothing(roomy: Served, host: str) -> None:
    for path in ("/api/watchers", "/healthz", "/docs", "/"):
        assert (await roomy.http.get(path, headers={"Host": host})).status_code == 421


async def test_names_of_ours_are_served(roomy: Served) -> None:
    for host in (f"localhost:{roomy.port}", "LOCALHOST", "127.0.0.1"):
        assert (await roomy.http.get("/api/watchers", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1", "http://localhost", "", "file://"],
)
async def test_a_foreign_origin_gets_nothing_whatever_key_it_has(roomy: Served, origin: str) -> None:
    body = {"job_id": "1", "name": "w", "pattern": "x", "actions": [LOG]}
    assert (await roomy.http.post("/api/watchers", json=body, headers={"Origin": origin})).status_code == 403
    assert (await roomy.http.get("/api/watchers", headers={"Origin": origin})).status_code == 403
    assert roomy.house.rows() == ()


async def test_no_answer_lets_another_site_read_it(roomy: Served) -> None:
    answer = await roomy.http.options(
        "/api/watchers", headers={"Origin": roomy.url, "Access-Control-Request-Method": "PUT"}
    )
    for headers in (answer.headers, (await roomy.http.get("/api/watchers")).headers):
        assert not [name for name in headers if name.startswith("access-control")]


# --- browsers --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def browser(roomy: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that was signed in by a one-time URL."""
    async with roomy.client() as client:
        answer = await client.get("/login", params={"token": link(roomy)})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        yield client


def link(served: Served) -> str:
    now = served.engine.parts.clock.now()
    return served.keyring.create("browser", Scope.ADMIN, now, kind=KeyKind.LINK, expires=now + LINK_LIFE)[1]


async def test_a_one_time_url_signs_one_browser_in_once(roomy: Served) -> None:
    token = link(roomy)
    async with roomy.client() as client:
        answer = await client.get("/login", params={"token": token})
        cookie = answer.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/"))
        assert (await client.get("/api/session")).json()["scope"] == "admin"
    async with roomy.client() as client:
        assert (await client.get("/login", params={"token": token})).status_code == 403
        assert (await client.get("/login", params={"token": WRONG})).status_code == 403
        assert (await client.get("/login")).status_code == 422
        assert (await client.get("/api/session")).status_code == 401


async def test_a_link_and_a_session_are_no_keys(roomy: Served, browser: httpx.AsyncClient) -> None:
    session = browser.cookies["reconciler"]
    for token in (link(roomy), session):
        async with roomy.client(token) as client:
            assert (await client.get("/api/session")).status_code == 401
    async with roomy.client(None, Cookie=f"reconciler={roomy.keys['read']}") as client:
        assert (await client.get("/api/session")).status_code == 401


async def test_what_a_browser_writes_must_come_from_our_own_page(roomy: Served, browser: httpx.AsyncClient) -> None:
    body = {"job_id": "1", "name": "w", "pattern": "x", "actions": [LOG]}
    for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": roomy.url, "Sec-Fetch-Site": "same-site"}):
        assert (await browser.post("/api/watchers", json=body, headers=headers)).status_code == 403, headers
    own = {"Origin": roomy.url, "Sec-Fetch-Site": "same-origin"}
    assert (await browser.post("/api/watchers", json=body, headers=own)).status_code == 201
    form = await browser.post("/api/watchers", content="job_id=1", headers={**own, "Content-Type": "text/plain"})
    assert form.status_code == 422


async def test_a_browser_reads_only_for_our_own_pages(roomy: Served, browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/api/watchers", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 403
    assert (await browser.get("/api/watchers", headers={"Sec-Fetch-Site": "same-origin"})).status_code == 200


async def test_a_websocket_of_a_browser_must_say_its_page(roomy: Served, browser: httpx.AsyncClient) -> None:
    url = roomy.url.replace("http", "ws") + "/ws/watchers"
    cookie = {"Cookie": f"reconciler={browser.cookies['reconciler']}"}
    with pytest.raises(InvalidStatus):
        async with connect(url, additional_headers=cookie, proxy=None):
            pass
    async with connect(url, additional_headers={**cookie, "Origin": roomy.url}, proxy=None) as socket:
        assert '"initial"' in str(await socket.recv())


async def test_signing_out_ends_the_session(roomy: Served, browser: httpx.AsyncClient) -> None:
    session = browser.cookies["reconciler"]
    assert (await browser.delete("/api/session", headers={"Origin": roomy.url})).status_code == 204
    async with roomy.client(None, Cookie=f"reconciler={session}") as client:
        assert (await client.get("/api/session")).status_code == 401


async def test_an_admin_makes_a_link_for_another_browser(roomy: Served) -> None:
    async with roomy.client(roomy.keys["admin"]) as admin, roomy.client() as client:
        url = (await admin.post("/api/session/links")).json()["url"]
        assert url.startswith(f"{roomy.url}/login?token=")
        assert (await client.get(url)).status_code == 303


# --- how often -------------------------------------------------------------------------------------------------------


async def test_strangers_are_held_to_a_burst_and_keys_are_not(tmp_path: Path) -> None:
    house = House(tmp_path, api={"stranger_per_minute": 1})  # of those 10 that come back by default one may come now
    house.scheduler = Jobs(house.outputs)
    async with serving(house) as served, served.client() as stranger:
        statuses = [(await stranger.get("/api/watchers")).status_code for _ in range(120)]
        assert (statuses.count(401), statuses.count(429)) == (100, 20)
        late = await stranger.get("/login", params={"token": "x"})
        assert (late.status_code, late.headers["retry-after"].isdecimal()) == (429, True)
        wrong = await stranger.get("/api/watchers", headers={"Authorization": f"Bearer {WRONG}"})
        assert wrong.status_code == 429
        assert {(await served.http.get("/api/watchers")).status_code for _ in range(120)} == {200}


async def test_a_key_is_held_to_its_own_rate(tmp_path: Path) -> None:
    house = House(tmp_path, api={"requests_per_minute": 5})
    house.scheduler = Jobs(house.outputs)
    async with serving(house) as served:
        assert [(await served.http.get("/healthz")).status_code for _ in range(6)] == [200] * 5 + [429]
        async with served.client(served.keys["read"]) as other:
            assert (await other.get("/api/watchers")).status_code == 200


async def test_strangers_do_not_fill_the_state_with_refusals(roomy: Served) -> None:
    async with roomy.client(WRONG) as client:
        for _ in range(200):
            await client.get("/api/watchers")
    await eventually(lambda: len(roomy.house.events("api.refused")) >= 10)
    assert len(roomy.house.events("api.refused")) <= 12  # two a minute come back


# --- pure ------------------------------------------------------------------------------------------------------------


def test_host_names_are_read_without_port_and_brackets() -> None:
    found = [host_name(text) for text in ("LocalHost:8443", "[::1]:8443", "::1", "a.b", "1.2.3.4:1", " x ")]
    assert found == ["localhost", "::1", "::1", "a.b", "1.2.3.4", "x"]


@pytest.mark.parametrize(
    "text",
    ["", ":1", "localhost:", "localhost:evil", "localhost:1/x?", "localhost:80@evil", "[::1]x", "[::1]:x", "[]:1", "["],
)
def test_what_is_no_name_with_a_port_names_nobody(text: str) -> None:
    assert host_name(text) == ""


def paths() -> Iterator[tuple[str, str, Any]]:
    yield "GET", "/healthz", None
    yield "GET", "/index.html", None
    yield "POST", "/index.html", Scope.WRITE
    yield "GET", "/", Scope.READ
    yield "GET", "/healthz/", Scope.READ
    yield "GET", "/api/../healthz", Scope.READ
    yield "DELETE", "/anything", Scope.WRITE
    yield "POST", "/api/validate", Scope.READ
    yield "PROPFIND", "/api/watchers", Scope.WRITE
    yield "GET", "/api/session/links", Scope.ADMIN


@pytest.mark.parametrize(("method", "path", "scope"), list(paths()))
def test_what_no_rule_opens_is_closed(method: str, path: str, scope: Scope | None) -> None:
    assert needed(method, path, {"/index.html"}) is scope
