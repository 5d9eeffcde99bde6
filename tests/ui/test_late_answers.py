"""Answers that come late: what was told meanwhile stays, and who has gone on is left in peace."""

from __future__ import annotations

import re

from parts.served import Served
from parts.waiting import eventually
from parts.window import PATIENCE, Window
from playwright.async_api import Locator, Page, WebSocketRoute, expect

expect.set_options(timeout=PATIENCE)

OUTLINE, EVENTS = re.compile(r"/api/watchers/outline"), re.compile(r"/api/watchers/events\?")
SOME = re.compile(r"/api/watchers\?id=")
TIMES = "\N{MULTIPLICATION SIGN}"


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name, exact=True)


async def told(page: Page) -> list[str]:
    """What the WebSocket tells the page from its next loading on."""
    heard: list[str] = []

    def relay(socket: WebSocketRoute) -> None:
        def pass_on(message: str | bytes) -> None:
            socket.send(message)
            heard.append(str(message))

        socket.connect_to_server().on_message(pass_on)

    await page.route_web_socket(re.compile("/ws/watchers"), relay)
    return heard


async def test_a_list_that_comes_late_undoes_nothing_that_was_told_meanwhile(served: Served, window: Window) -> None:
    page = window.page
    out = served.jobs.add("1")
    out.write_text("hit\n")
    await served.look()
    await served.create("Fires", "1")
    gone = await served.create("Goes", "1", pattern="never")
    await page.goto(served.url)
    await expect(card(page, "Fires")).to_contain_text(f"1{TIMES}")
    held = await window.hold(OUTLINE)
    await page.get_by_role("button", name="Refresh").click()
    await held.here()
    assert (await served.http.delete(f"/api/watchers/{gone['id']}")).status_code == 200
    await expect(card(page, "Goes")).to_have_count(0)
    with out.open("a") as file:
        file.write("hit\n")
    await expect(card(page, "Fires")).to_contain_text(f"2{TIMES}")
    await held.let_go()
    await window.settled()
    await served.create("Later", "1", pattern="never")  # drawn after the list that came late
    await expect(card(page, "Later")).to_be_visible()
    await expect(card(page, "Fires")).to_contain_text(f"2{TIMES}", timeout=1)
    await expect(card(page, "Goes")).to_have_count(0, timeout=1)


async def test_a_watcher_that_could_not_be_read_is_asked_for_again(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    await expect(page.get_by_role("heading", name="No watchers yet")).to_be_visible()
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await page.route(SOME, lambda route: route.abort(), times=1)
    await served.create("New", "1")
    await expect(card(page, "New")).to_be_visible()


async def test_an_event_that_happened_while_events_were_being_read_is_shown(served: Served, window: Window) -> None:
    page = window.page
    heard = await told(page)
    out = served.jobs.add("1")
    out.write_text("hit 1\n")
    await served.look()
    await served.create("w", "1", pattern=r"hit (\d+)$")
    await eventually(lambda: served.house.events("action.succeeded"))
    await window.go("/events")
    rows = page.get_by_role("main").get_by_role("listitem")
    await expect(rows).to_have_count(1)
    held = await window.hold(EVENTS)
    await page.get_by_role("button", name="Refresh").click()
    await held.here()
    with out.open("a") as file:
        file.write("hit 2\n")
    await eventually(lambda: any("saw hit 2" in each for each in heard))
    await held.let_go()
    await expect(rows.first).to_contain_text("saw hit 2")
    await expect(rows).to_have_count(2)


async def test_the_count_of_a_selector_is_that_of_what_stands_there(served: Served, window: Window) -> None:
    page = window.page
    for number in range(5):
        served.jobs.add(str(number), name="train" if number < 3 else "eval")
    await served.look()
    await window.go("/new")
    await page.get_by_role("button", name="All jobs that fit").click()
    await expect(page.get_by_text("Every job: 5 now.")).to_be_visible()
    held = await window.hold("**/api/selectors/test")
    await page.get_by_label("Job name").fill("tra*")
    await held.here()
    await page.get_by_label("Job name").fill("eval")
    await expect(page.get_by_text("Meets 2 jobs of 5 now.")).to_be_visible()
    await held.let_go()
    await window.settled()
    await expect(page.get_by_text("Meets 2 jobs of 5 now.")).to_be_visible(timeout=1)


async def test_who_has_left_the_creator_is_not_pulled_away_once_it_is_saved(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    await window.go("/new")
    await page.get_by_label("Pattern", exact=True).fill("x")
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    held = await window.hold(re.compile(r"/api/watchers$"))
    await page.get_by_role("button", name="Create watcher").click()
    await held.here()
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Plan").click()
    await page.get_by_role("button", name="Keep it and leave").click()
    await window.heading("Plan")
    await held.let_go()
    await expect(page.locator(".toast.good")).to_be_visible()
    await window.settled()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Plan", timeout=1)


async def test_a_watchers_page_keeps_what_it_knows_when_the_list_comes(served: Served, window: Window) -> None:
    page = window.page
    out = served.jobs.add("1")
    out.write_text("hit\n")
    await served.look()
    made = await served.create("w", "1")
    await eventually(lambda: served.house.events("action.succeeded"))
    held = await window.hold(OUTLINE)
    await window.go(f"/watchers/{made['id']}")
    since = page.locator("dt", has_text="Since").locator("xpath=following-sibling::dd[1]")
    await expect(since).to_have_text(re.compile(r"\d"))
    await held.here()
    await held.let_go()
    await window.settled()
    with out.open("a") as file:
        file.write("hit\n")
    await expect(card(page, "w")).to_contain_text(f"2{TIMES}")
    await expect(since).to_have_text(re.compile(r"\d"), timeout=1)


async def test_an_output_whose_place_becomes_known_is_shown(served: Served, window: Window) -> None:
    page = window.page
    path = served.house.outputs / "late.out"
    path.write_text("here it is\n")
    served.jobs.add("1", stdout=None, stderr=None)
    await served.look()
    await window.go("/jobs/localhost/1")
    await expect(page.get_by_role("heading", name="Where it prints is not known")).to_be_visible()
    served.jobs.change("1", stdout=str(path), stderr=str(path))
    await served.look()
    await expect(page.get_by_text("here it is")).to_be_visible()


async def test_the_address_is_written_when_it_changes_alone(served: Served, window: Window) -> None:
    page = window.page
    out = served.jobs.add("1")
    out.write_text("hit\n")
    await served.look()
    await served.create("w", "1")
    await page.goto(served.url)
    await expect(card(page, "w")).to_contain_text(f"1{TIMES}")
    await page.evaluate(
        "() => { window.__written = 0; const before = history.replaceState.bind(history);"
        " history.replaceState = (...given) => { window.__written += 1; before(...given); }; }"
    )
    with out.open("a") as file:
        file.write("hit\n")
    await expect(card(page, "w")).to_contain_text(f"2{TIMES}")
    assert await page.evaluate("() => window.__written") == 0
    await page.get_by_role("searchbox", name="Search watchers").fill("w")
    await page.wait_for_url("**/?q=w")
