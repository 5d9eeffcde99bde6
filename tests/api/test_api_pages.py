"""Static pages: for everybody, with the same headers, not counted, and nothing but the files that were there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parts.house import House, Jobs
from parts.served import Served, serving

from reconciler.api.keys import KeyKind, Scope


@pytest.fixture
async def paged(tmp_path: Path) -> AsyncIterator[Served]:
    """A served house with two pages."""
    pages = tmp_path / "static"
    (pages / "js").mkdir(parents=True)
    (pages / "index.html").write_text("<!doctype html><title>hello</title>")
    (pages / "js" / "main.js").write_text("export {};")
    house = House(tmp_path / "house", api={"stranger_burst": 3})
    house.scheduler = Jobs(house.outputs)
    async with serving(house, pages=pages) as served:
        yield served


async def test_pages_are_for_everybody_and_are_not_counted(paged: Served) -> None:
    async with paged.client() as stranger:
        for _ in range(10):
            page = await stranger.get("/")
            assert (page.status_code, "hello" in page.text) == (200, True)
            script = await stranger.get("/js/main.js")
            assert script.headers["content-type"].startswith("text/javascript")
        assert [(await stranger.get("/api/watchers")).status_code for _ in range(4)] == [401, 401, 401, 429]
        assert (await stranger.get("/index.html")).status_code == 200


async def test_pages_have_the_security_headers_and_may_be_kept(paged: Served) -> None:
    async with paged.client() as stranger:
        page = await stranger.get("/")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY"
        assert "no-store" not in page.headers.get("cache-control", "")
        again = await stranger.get("/", headers={"If-None-Match": page.headers["etag"]})
        assert again.status_code == 304


async def test_who_is_signed_in_is_led_to_the_pages(paged: Served) -> None:
    now = paged.engine.parts.clock.now()
    _, token = paged.keyring.create("browser", Scope.READ, now, kind=KeyKind.LINK, expires=now + 60)
    async with paged.client() as browser:
        assert (await browser.get("/login", params={"token": token})).headers["location"] == "/"


async def test_nothing_else_is_a_page(paged: Served) -> None:
    (paged.house.home.parent / "static" / "later.txt").write_text("secret")
    async with paged.client() as stranger:
        for path in ("/later.txt", "/js/", "/nothing", "/js/../../house/settings.yaml"):
            assert (await stranger.get(path)).status_code in (401, 429), path
        assert (await stranger.post("/index.html")).status_code in (401, 429)
    for path in ("/..%2fhouse%2fapikeys.json", "/%2e%2e/house/apikeys.json", "/js/..%2f..%2fhouse%2fapikeys.json"):
        assert (await paged.http.get(path)).status_code == 404, path
    assert (await paged.http.get("/api/nothing")).json()["code"] == "not-found"


NAVIGATION = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


async def test_a_browser_gets_the_index_wherever_it_goes_and_a_program_does_not(paged: Served) -> None:
    async with paged.client(None, **NAVIGATION) as browser:
        for path in ("/watchers/7", "/jobs/localhost/12", "/metrics?host=a", "/new", "/no/such/page", "/later.txt"):
            page = await browser.get(path)
            assert (page.status_code, "hello" in page.text) == (200, True), path
            assert page.headers["vary"] == "Accept"
            assert page.headers["cache-control"] == "no-cache"
        assert (await browser.get("/js/main.js")).headers["content-type"].startswith("text/javascript")
        assert (await browser.get("/healthz")).json() == {"status": "ok"}
        assert (await browser.post("/watchers/7")).status_code == 401
        assert (await browser.get("/api/watchers")).status_code == 401
        assert (await browser.get("/watchers/7", headers={"Host": "evil.example"})).status_code == 421
    assert "reconciler" in (await paged.http.get("/metrics")).text


async def test_a_browser_with_a_used_link_is_led_to_a_page_that_says_so(paged: Served) -> None:
    async with paged.client(None, **NAVIGATION) as browser:
        answer = await browser.get("/login", params={"token": "used"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?problem=used-link")
    async with paged.client() as program:
        assert (await program.get("/login", params={"token": "used"})).json()["code"] == "used-link"
