"""The events tab: loaded when it is opened, filtered, older pages on request, new ones as they come."""

from __future__ import annotations

import json
import re

import pytest
from parts.served import LOG, Served
from parts.waiting import eventually
from parts.window import PATIENCE, Window
from playwright.async_api import WebSocketRoute, expect

expect.set_options(timeout=PATIENCE)
BROKEN = {"type": "store_metric", "params": {"name": "bad", "value": "x"}}


@pytest.fixture
async def eventful(served: Served) -> Served:
    """Two jobs; one watcher logged 150 matches, another failed three times."""
    served.jobs.add("1", name="train").write_text("".join(f"hit {n}\n" for n in range(150)))
    served.jobs.add("2", name="eval").write_text("miss\n" * 3)
    await served.look()
    await served.create("Hits", "1", pattern=r"hit (\d+)$", actions=[LOG])
    await served.create("Misses", "2", pattern="miss", actions=[BROKEN], max_failures=10)
    await eventually(lambda: len(served.house.events("action.succeeded", "action.failed")) == 153)
    return served


async def test_events_are_asked_for_when_their_tab_is_opened_and_older_ones_on_request(
    eventful: Served, window: Window
) -> None:
    page = window.page
    await page.goto(eventful.url)
    await page.get_by_role("article", name="Hits").wait_for()
    assert not any("/api/watchers/events" in each for each in window.asked)
    await page.get_by_role("link", name="Events").click()
    await window.heading("Events")
    rows = page.get_by_role("main").get_by_role("listitem")
    await expect(rows.first).to_be_visible()
    first = int(str(await rows.first.get_attribute("aria-setsize")))
    assert first == 100
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    await page.get_by_role("button", name="Show older events").click()
    await expect(rows.first).to_have_attribute("aria-setsize", "153")
    await expect(page.get_by_role("button", name="Show older events")).to_be_hidden()
    await page.keyboard.press("End")
    await expect(page.get_by_text("saw hit 0", exact=True)).to_be_visible()


async def test_events_are_narrowed_by_kind_job_host_and_watcher_and_the_address_says_so(
    eventful: Served, window: Window
) -> None:
    page = window.page
    await window.go("/events")
    rows = page.get_by_role("main").get_by_role("listitem")
    await page.get_by_label("Job id").fill("2")
    await expect(rows).to_have_count(3)
    await expect(rows.first).to_contain_text("failed")
    await expect(rows.first).to_contain_text("value is not a finite number: 'x'")
    assert page.url.endswith("/events?job_id=2")
    await page.get_by_role("button", name="Triggers").click()
    await expect(rows.filter(has_text="triggered")).to_have_count(3)
    await page.reload()
    await expect(rows.filter(has_text="triggered")).to_have_count(3)
    await page.get_by_label("Host").fill("elsewhere")
    await expect(page.get_by_role("heading", name="No events here yet")).to_be_visible()
    await window.assert_accessible()
    number = eventful.house.row("Misses").id
    await window.go(f"/events?watcher_id={number}&kind=all")
    await expect(rows.filter(has_text="created")).to_have_count(1)
    await page.get_by_role("button", name=f"Only watcher {number}").click()
    await expect(rows.first).to_have_attribute("aria-setsize", "100")
    await page.get_by_role("button", name="Failures").click()
    await page.get_by_label("Watcher", exact=True).fill("Misses")
    await expect(rows).to_have_count(3)


async def test_new_events_are_added_on_top_and_wait_where_somebody_reads_further_down(
    eventful: Served, window: Window
) -> None:
    page = window.page
    out = eventful.house.outputs / "localhost-1.out"
    await window.go("/events")
    rows = page.get_by_role("main").get_by_role("listitem")
    await expect(rows.first).to_be_visible()
    with out.open("a") as file:
        file.write("hit 1000\n")
    await expect(rows.first).to_contain_text("saw hit 1000")
    await page.mouse.move(700, 600)
    await page.mouse.wheel(0, 2500)
    await expect(page.get_by_text("saw hit 1000", exact=True)).to_have_count(0)
    with out.open("a") as file:
        file.write("hit 2000\n")
    show = page.get_by_role("button", name="Show 1 new event")
    await expect(show).to_be_visible()
    await show.click()
    await expect(rows.first).to_contain_text("saw hit 2000")
    await expect(show).to_have_count(0)
    await rows.first.get_by_role("link", name="Hits").click()
    await window.heading("Hits")


async def test_events_that_cannot_be_loaded_are_tried_again(eventful: Served, window: Window) -> None:
    page = window.page
    await page.route("**/api/watchers/events?*", lambda route: route.abort())
    await window.go("/events")
    alert = page.get_by_role("main").get_by_role("alert")
    await expect(alert).to_contain_text("The server cannot be reached")
    await window.assert_accessible()
    await page.unroute("**/api/watchers/events?*")
    await alert.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("main").get_by_role("listitem").first).to_be_visible()


async def test_of_events_that_wait_no_more_are_kept_than_the_page_shows(eventful: Served, window: Window) -> None:
    page = window.page
    sockets: list[WebSocketRoute] = []

    def relay(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    await page.route_web_socket(re.compile("/ws/watchers"), relay)
    (event,) = (await eventful.get("/api/watchers/events", limit=1))["events"]
    await window.go("/events")
    rows = page.get_by_role("main").get_by_role("listitem")
    await expect(rows.first).to_be_visible()
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await page.mouse.move(700, 600)
    await page.mouse.wheel(0, 2500)
    await expect(rows.get_by_text("saw hit 149", exact=True)).to_have_count(0)
    for number in range(1, 2101):
        told = {**event, "id": event["id"] + number}
        sockets[-1].send(json.dumps({"type": "watcher_event", "seq": told["id"], "event": told}))
    show = page.get_by_role("button", name="Show 2,000 new events")
    await show.click()
    await expect(rows.first).to_have_attribute("aria-setsize", "2000")
