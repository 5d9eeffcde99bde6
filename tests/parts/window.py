"""A real browser on a served house: what it asked for and what went wrong are kept. Fixtures: `window`, `stranger`.

axe-core comes with its package and is run through the debugger's door, so the page's strict policy stays as it is.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from re import Pattern
from typing import Any

import pytest
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    Route,
    async_playwright,
    expect,
)

from parts.presence import program
from parts.served import Served
from parts.waiting import soon
from reconciler.api.keys import LINK_LIFE, KeyKind, Scope

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
#: Milliseconds that an expectation may take to come true, on a slow machine.
PATIENCE = 60_000
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
_VIOLATIONS = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", event =>
  window.__violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""
_AXE = """
async within => {
  const wanted = {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]};
  const found = await axe.run(within || document, {runOnly: wanted, resultTypes: ["violations"]});
  return found.violations.flatMap(rule => rule.nodes.map(node =>
    `${rule.id}: ${node.html.slice(0, 200)} (${[...node.any, ...node.all, ...node.none].map(each => each.message)})`));
}
"""
_THEME = "theme => { document.documentElement.dataset.theme = theme; }"
_TOO_WIDE = """
() => [...document.querySelectorAll("body *")].filter(each => {
  const box = each.getBoundingClientRect();
  if (box.width === 0 || box.right <= innerWidth + 0.5) return false;
  for (let up = each.parentElement; up; up = up.parentElement) {
    if (up !== document.body && getComputedStyle(up).overflowX !== "visible") return false;
  }
  return true;
}).map(each => each.outerHTML.slice(0, 160)).slice(0, 5)
"""


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


class Held:
    """Answers that wait: the server has given them, and the page gets them once they are let go."""

    def __init__(self, most: int) -> None:
        self.given, self._free, self._left = asyncio.Event(), asyncio.Event(), most
        self._giving: list[asyncio.Future[None]] = []

    async def __call__(self, route: Route) -> None:
        """Hold one answer; those after the last that is to be held are not."""
        if not self._left:
            await route.continue_()
            return
        self._left -= 1
        answer = await route.fetch()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._giving.append(done)
        self.given.set()
        await self._free.wait()
        await route.fulfill(response=answer)
        done.set_result(None)

    async def here(self) -> None:
        """Wait until there is one."""
        await asyncio.wait_for(self.given.wait(), PATIENCE / 1000)

    async def let_go(self) -> None:
        """Let the page have them."""
        self._free.set()
        await asyncio.gather(*self._giving)


class Window:
    """One page. `faults`: errors of its programs, violations of the policy, answers that should not be."""

    def __init__(self, page: Page, served: Served) -> None:
        self.page, self.served = page, served
        self.faults: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)
        page.set_default_timeout(PATIENCE)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        self.asked.append(f"{request.method} {request.url}")
        if not request.url.startswith((self.served.url, "data:", "blob:")):
            self.faults.append(f"foreign request: {request.url}")

    def _response(self, response: Response) -> None:
        ours = response.url.startswith(f"{self.served.url}/api/")
        if response.status >= (500 if ours else 400):
            self.faults.append(f"answer {response.status}: {response.url}")

    # --- what a person does ---

    async def sign_in(self, scope: Scope = Scope.ADMIN, *, to: str = "/") -> None:
        """Open a one-time URL, as `serve` prints it."""
        now = self.served.engine.parts.clock.now()
        _, token = self.served.keyring.create("browser", scope, now, kind=KeyKind.LINK, expires=now + LINK_LIFE)
        await self.page.goto(f"{self.served.url}/login?token={token}")
        if to != "/":
            await self.go(to)

    async def go(self, path: str) -> None:
        """Open an address, and wait for its page."""
        await self.page.goto(self.served.url + path)
        await self.heading()

    async def heading(self, name: str | None = None) -> Locator:
        """Wait for the heading of the page."""
        found = self.page.get_by_role("heading", level=1, name=name)
        await expect(found).to_be_visible(timeout=PATIENCE)
        return found

    async def hold(self, address: str | Pattern[str], most: int = 1) -> Held:
        """Keep the next answers from this address from the page until they are let go."""
        held = Held(most)
        await self.page.route(address, held)
        return held

    async def settled(self) -> None:
        """Let the page do what an answer that it got gives it to do: it draws twice."""
        await self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    # --- what must hold ---

    async def violations(self) -> list[str]:
        """Violations of the policy on this page so far."""
        found: list[str] = await self.page.evaluate("() => window.__violations")
        return found

    async def assert_accessible(self, within: str = "") -> None:
        """No violation of WCAG A or AA, in both themes; `within`: a CSS selector, for dialogs."""
        if not await self.page.evaluate("() => 'axe' in window"):
            await self.page.evaluate(_axe())
        before = await self.page.evaluate("() => document.documentElement.dataset.theme || ''")
        for theme in ("light", "dark"):
            await self.page.evaluate(_THEME, theme)
            found = await self.page.evaluate(_AXE, within)
            assert found == [], f"in the {theme} theme: {found}"
        await self.page.evaluate("theme => { if (theme) document.documentElement.dataset.theme = theme; "
                                 "else delete document.documentElement.dataset.theme; }", before)  # fmt: skip

    async def assert_fits_a_phone(self) -> None:
        """At 360 px nothing stands out to the side; the window is as before afterwards."""
        before: Any = self.page.viewport_size
        await self.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        await self.settled()
        width = await self.page.evaluate("() => document.scrollingElement.scrollWidth")
        assert width <= PHONE["width"], await self.page.evaluate(_TOO_WIDE)
        await self.page.set_viewport_size(before)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium, until the block ends."""
    chromium = program("chromium")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium, args=QUIET)
        try:
            yield running
        finally:
            await running.close()


@asynccontextmanager
async def window_on(served: Served, running: Browser, **context: Any) -> AsyncIterator[Window]:
    """A window that is not signed in; at its end nothing may have gone wrong in it."""
    wanted: dict[str, Any] = {"viewport": DESK, "reduced_motion": "reduce", "ignore_https_errors": True, **context}
    opened = await running.new_context(**wanted)
    await opened.add_init_script(_VIOLATIONS)
    window = Window(await opened.new_page(), served)
    try:
        yield window
        assert window.faults == []
        assert await window.violations() == []
    finally:
        await opened.close()


@pytest.fixture(scope="session")
def chromium_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The debugging port of one Chromium for all tests of this process: each start of one costs a second."""
    profile = tmp_path_factory.mktemp("chromium")
    told = profile / "DevToolsActivePort"
    command = [program("chromium"), *QUIET, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            soon(lambda: told.exists() and told.read_text().count("\n"))
            yield int(told.read_text().split()[0])
        finally:
            running.terminate()


@pytest.fixture
async def chromium(chromium_port: int) -> AsyncIterator[Browser]:
    """The browser; what a test opens in it ends with the test."""
    async with async_playwright() as playwright:
        running = await playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{chromium_port}")
        try:
            yield running
        finally:
            await running.close()


@pytest.fixture
async def stranger(served: Served, chromium: Browser) -> AsyncIterator[Window]:
    """A window that is not signed in."""
    async with window_on(served, chromium) as window:
        yield window


@pytest.fixture
async def window(stranger: Window) -> Window:
    """A window that was signed in by a one-time URL, scope admin."""
    await stranger.sign_in()
    return stranger
