"""A real browser: signed in by the one-time URL it reads, writes and listens; the documentation needs nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from parts.presence import program
from parts.served import Served
from playwright.async_api import Page, async_playwright

from reconciler.api.keys import LINK_LIFE, KeyKind, Scope

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WRITE = """
body => fetch("/api/watchers", {
  method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)
}).then(answer => answer.status)
"""
LISTEN = """
() => new Promise(resolve => {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws/watchers");
  socket.onmessage = message => resolve(JSON.parse(message.data).type);
  socket.onerror = () => resolve("refused");
})
"""
FOREIGN = """
url => fetch(url, {credentials: "include"}).then(answer => answer.text(), error => "refused")
"""


@pytest.fixture
async def page(served: Served) -> AsyncIterator[Page]:
    """A page of a browser that was signed in."""
    chromium = program("chromium")
    now = served.engine.parts.clock.now()
    _, token = served.keyring.create("browser", Scope.ADMIN, now, kind=KeyKind.LINK, expires=now + LINK_LIFE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=QUIET)
        opened = await browser.new_page()
        await opened.goto(f"{served.url}/login?token={token}")
        yield opened
        await browser.close()


@pytest.mark.timeout(120)
async def test_the_documentation_works_under_the_strict_policy_and_asks_nobody_else(served: Served, page: Page) -> None:
    faults: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{served.url}/docs")
    await page.wait_for_selector(".opblock")
    operation = page.locator(".opblock", has_text="/api/watchers/stats").first
    await operation.click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
    await page.wait_for_selector(".live-responses-table")
    assert "total_watchers" in await operation.inner_text()
    assert faults == []
    assert {url for url in asked if not url.startswith((served.url, "data:"))} == set()


@pytest.mark.timeout(120)
async def test_our_own_page_writes_and_listens_and_another_sites_page_does_not(served: Served, page: Page) -> None:
    served.jobs.add("1")
    body: dict[str, Any] = {
        "job_id": "1",
        "name": "w",
        "pattern": "x",
        "actions": [{"type": "log_event", "params": {"message": "x"}}],
    }
    await page.goto(f"{served.url}/docs")
    assert await page.evaluate(WRITE, body) == 201
    assert await page.evaluate(LISTEN) == "initial"
    await page.goto("about:blank")
    assert await page.evaluate(FOREIGN, f"{served.url}/api/watchers") == "refused"
    other = f"{served.url.replace('127.0.0.1', 'localhost')}/healthz"
    await page.goto(other)
    assert await page.evaluate(FOREIGN, f"{served.url}/api/watchers") == "refused"
