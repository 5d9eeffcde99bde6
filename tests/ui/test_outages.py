"""A server that does not answer for a while, or no more: what a page says of it is true, and ends with it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from parts.house import House, Jobs
from parts.served import Served, serving
from parts.waiting import eventually
from parts.window import PATIENCE, Window, window_on
from playwright.async_api import Browser, Route, WebSocket, WebSocketRoute, expect

expect.set_options(timeout=PATIENCE)

METRIC = {"type": "store_metric", "params": {"name": "loss", "value": "$1"}}
LINES = re.compile("/output/lines")


async def lose(route: Route) -> None:
    await route.abort()


async def measured(served: Served) -> None:
    served.jobs.add("1").write_text("loss 5\n")
    await served.look()
    await served.create("w", "1", pattern=r"loss (\d+)", actions=[METRIC])
    await eventually(lambda: served.house.metrics("1"))


async def test_jobs_with_metrics_are_shown_again_once_the_server_answers(served: Served, window: Window) -> None:
    page = window.page
    await measured(served)
    await page.clock.install()
    await window.go("/metrics")
    job = page.get_by_role("link", name="1", exact=True)
    await expect(job).to_be_visible()
    await page.route("**/api/metrics", lose)
    await page.clock.fast_forward(16_000)
    alert = page.get_by_role("main").get_by_role("alert")
    await expect(alert).to_contain_text("The server cannot be reached")
    await page.unroute("**/api/metrics")
    await alert.get_by_role("button", name="Try again").click()
    await expect(alert).to_have_count(0)
    await expect(job).to_be_visible()


async def test_metrics_of_a_job_say_once_that_the_server_is_away_and_no_more_when_it_is_back(
    served: Served, window: Window
) -> None:
    page = window.page
    await measured(served)
    await page.clock.install()
    await window.go("/metrics?host=localhost&job=1")
    await expect(page.locator(".chart")).to_have_count(1)
    lost = 0

    async def count(route: Route) -> None:
        nonlocal lost
        lost += 1
        await route.abort()

    await page.route("**/api/metrics/**", count)
    told = page.get_by_text("no answer came from the server")
    for times in (1, 2):
        await page.clock.fast_forward(16_000)
        await eventually(lambda: lost == times)  # noqa: B023
        await expect(told).to_have_count(1)
    await page.unroute("**/api/metrics/**")
    await page.clock.fast_forward(16_000)
    await expect(told).to_have_count(0)


async def test_hosts_are_not_said_to_answer_while_the_server_does_not(served: Served, window: Window) -> None:
    page = window.page
    await window.go("/hosts")
    await expect(page.get_by_text("1 host, all answer")).to_be_visible()
    await page.route("**/api/hosts", lose)
    await expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("The server cannot be reached")
    await expect(page.get_by_text("1 host, all answer")).to_have_count(0)
    await page.unroute("**/api/hosts")
    await expect(page.get_by_text("1 host, all answer")).to_be_visible()


async def test_an_output_that_could_not_be_read_at_first_is_shown_where_the_address_says(
    served: Served, window: Window
) -> None:
    page = window.page
    served.jobs.add("1").write_bytes(b"".join(b"line %d\n" % number for number in range(1, 5001)))
    await served.look()
    await page.route(LINES, lose)
    await window.go("/jobs/localhost/1?stream=stdout&offset=30003")
    await expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("The server cannot be reached")
    await page.unroute(LINES)
    await expect(page.locator(".line.current")).to_have_text("3112line 3112")
    await expect(page.get_by_role("main").get_by_role("alert")).to_have_count(0)


async def test_keys_that_lead_through_an_output_say_that_the_server_is_away(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1").write_bytes(b"".join(b"line %d\n" % number for number in range(1, 5001)))
    await served.look()
    await window.go("/jobs/localhost/1")
    output = page.get_by_role("region", name="Output, stdout")
    await expect(output.get_by_text("line 5000", exact=True)).to_be_in_viewport()
    await page.route(LINES, lose)
    await output.press("Home")
    await expect(page.get_by_role("main").get_by_text("no answer came from the server")).to_be_visible()
    await page.unroute(LINES)
    await output.press("Home")
    await expect(output.get_by_text("line 1", exact=True)).to_be_in_viewport()


async def test_a_page_whose_program_did_not_come_is_tried_again_by_its_button(served: Served, window: Window) -> None:
    page = window.page
    await window.heading("Watchers")
    await page.route("**/pages/plan.js", lose)
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Plan").click()
    await expect(page.get_by_role("heading", name="The server cannot be reached")).to_be_visible()
    await page.unroute("**/pages/plan.js")
    await page.get_by_role("button", name="Try again").click()
    await window.heading("Plan")


async def test_a_list_that_failed_comes_once_the_connection_is_back(served: Served, window: Window) -> None:
    page = window.page
    sockets: list[WebSocketRoute] = []

    def relay(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    await page.route_web_socket(re.compile("/ws/watchers"), relay)
    for path, asked in (("/", "**/api/watchers/outline"), ("/events", "**/api/watchers/events?*")):
        await page.route(asked, lose)
        await page.goto(served.url + path)
        alert = page.get_by_role("main").get_by_role("alert")
        await expect(alert).to_contain_text("The server cannot be reached")
        await expect(page.get_by_text("Live", exact=True)).to_be_visible()
        await page.unroute(asked)
        await sockets[-1].close(code=1012, reason="the server starts again")
        await expect(alert).to_have_count(0)


async def test_a_session_that_ended_during_an_outage_leads_to_signing_in(served: Served, window: Window) -> None:
    page = window.page
    refused: list[WebSocketRoute] = []

    async def refuse(socket: WebSocketRoute) -> None:
        refused.append(socket)
        await socket.close(code=1012)

    await page.route_web_socket(re.compile("/ws/watchers"), refuse)
    await window.go("/events")
    await page.route("**/api/session", lose)
    await eventually(lambda: len(refused) > 3)
    served.keyring.revoke("browser")
    await page.unroute("**/api/session")
    await window.heading("Sign in")


async def test_a_server_that_takes_no_more_listeners_is_asked_less_and_less_often(
    tmp_path: Path, chromium: Browser
) -> None:
    house = House(tmp_path, api={"subscribers": 1})
    house.scheduler = Jobs(house.outputs)
    async with serving(house) as served, served.socket(), window_on(served, chromium) as window:
        page = window.page
        await window.sign_in()
        opened: list[WebSocket] = []
        page.on("websocket", lambda socket: opened.append(socket))
        await page.clock.install()
        await window.go("/plan")
        while len(opened) < 7:
            await page.clock.fast_forward(19_000)
            await window.settled()
        await eventually(lambda: opened[-1].is_closed())
        await expect(page.get_by_text("Reconnecting", exact=True)).to_be_visible()
        before = len(opened)
        await page.clock.fast_forward(1000)
        await window.settled()
        assert len(opened) == before


async def test_the_page_that_was_wanted_is_remembered_though_several_answers_say_that_nobody_is_signed_in(
    served: Served, window: Window
) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    some = re.compile(r"/api/watchers\?id=")
    answered = asyncio.Event()

    async def later(route: Route) -> None:
        await answered.wait()
        await route.continue_()

    await page.route(some, later)
    async with page.expect_request(some):
        await served.create("w", "1")
    served.keyring.revoke("browser")
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Jobs").click()
    await window.heading("Sign in")
    field = page.get_by_label("Key or one-time URL")
    await field.fill("rk_begun")
    async with page.expect_response(some):
        answered.set()
    await window.settled()
    assert "from=%2Fjobs" in page.url
    await expect(field).to_have_value("rk_begun", timeout=1)
