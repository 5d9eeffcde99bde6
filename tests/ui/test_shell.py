"""What stands around every page: signing in, navigation, the theme, pages that are not there or fail."""

from __future__ import annotations

import asyncio
import re

import pytest
from parts.served import Served
from parts.waiting import eventually
from parts.window import PATIENCE, Window
from playwright.async_api import Route, WebSocketRoute, expect

from reconciler.api.keys import Scope

expect.set_options(timeout=PATIENCE)


async def test_a_stranger_is_told_how_to_get_in_and_comes_to_the_page_that_was_wanted(
    served: Served, stranger: Window
) -> None:
    page = stranger.page
    await page.goto(f"{served.url}/watchers?q=loss")
    await stranger.heading("Sign in")
    await expect(page.get_by_text("reconcile apikey link")).to_be_visible()
    await stranger.assert_accessible()
    await stranger.assert_fits_a_phone()
    field = page.get_by_label("Key or one-time URL")
    for wrong, told in (("hello", "That is no key"), (f"rk_{'0' * 12}_{'a' * 43}", "not valid")):
        await field.fill(wrong)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert").filter(has_text=told)).to_be_visible()
    await field.fill(served.keys["read"])
    await page.get_by_role("button", name="Sign in").click()
    await stranger.heading("Watchers")
    assert page.url == f"{served.url}/watchers?q=loss"
    await expect(page.get_by_role("link", name="New watcher")).to_have_count(0)


async def test_a_one_time_url_pasted_into_the_field_signs_in_and_a_used_one_says_so(
    served: Served, stranger: Window
) -> None:
    page = stranger.page
    async with served.client(served.keys["admin"]) as admin:
        url = (await admin.post("/api/session/links")).json()["url"]
    await stranger.go("/sign-in")
    await page.get_by_label("Key or one-time URL").fill(url)
    await page.keyboard.press("Enter")
    await stranger.heading("Watchers")
    await page.goto(url)
    await stranger.heading("Sign in")
    await expect(page.get_by_text("was used already")).to_be_visible()


async def test_signing_out_ends_the_session_and_asks_before(window: Window) -> None:
    page = window.page
    await page.get_by_role("button", name="Sign out").click()
    dialog = page.get_by_role("dialog", name="Sign this browser out?")
    await expect(dialog).to_be_visible()
    await window.assert_accessible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_role("button", name="Sign out")).to_be_focused()
    await page.get_by_role("button", name="Sign out").click()
    await dialog.get_by_role("button", name="Sign out").click()
    await window.heading("Sign in")
    await page.goto(f"{window.served.url}/watchers")
    await window.heading("Sign in")


async def test_a_session_that_is_revoked_leads_to_signing_in(served: Served, window: Window) -> None:
    await window.heading("Watchers")
    served.keyring.revoke("browser")
    await window.page.get_by_role("link", name="Jobs", exact=True).click()
    await window.heading("Sign in")
    assert "from=%2Fjobs" in window.page.url


async def test_navigation_keeps_the_document_moves_the_focus_and_goes_back(window: Window) -> None:
    page = window.page
    await window.heading("Watchers")
    await page.evaluate("() => { window.__same = true; }")
    navigation = page.get_by_role("navigation", name="Pages")
    await navigation.get_by_role("link", name="Plan").click()
    heading = await window.heading("Plan")
    await expect(heading).to_be_focused()
    await expect(navigation.get_by_role("link", name="Plan")).to_have_attribute("aria-current", "page")
    await expect(page).to_have_title(re.compile("Plan.*reconcile"))
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.go_back()
    await window.heading("Watchers")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert await page.evaluate("() => window.__same") is True
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()


async def test_everything_of_the_shell_is_reached_by_keyboard(window: Window) -> None:
    page = window.page
    await window.heading("Watchers")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    await page.keyboard.press("Enter")
    assert await page.evaluate("() => document.querySelector('main').contains(document.activeElement)")
    await page.set_viewport_size({"width": 360, "height": 740})
    menu = page.get_by_role("button", name="Menu")
    await menu.focus()
    await page.keyboard.press("Enter")
    jobs = page.get_by_role("link", name="Jobs", exact=True)
    await expect(jobs).to_be_visible()
    await window.assert_accessible()
    await page.keyboard.press("Escape")
    await expect(jobs).to_be_hidden()
    await expect(menu).to_be_focused()
    await page.keyboard.press("Enter")
    await jobs.focus()
    await page.keyboard.press("Enter")
    await window.heading("Jobs")
    await expect(jobs).to_be_hidden()


async def test_the_theme_is_the_systems_until_one_is_chosen_which_stays(window: Window) -> None:
    page = window.page
    background = "() => getComputedStyle(document.documentElement).backgroundColor"
    await page.emulate_media(color_scheme="dark")
    dark = await page.evaluate(background)
    await page.emulate_media(color_scheme="light")
    light = await page.evaluate(background)
    assert dark != light
    await page.reload()
    await page.get_by_role("button", name="Use the dark theme").click()
    assert await page.evaluate(background) == dark
    await page.reload()
    await expect(page.get_by_role("button", name="Use the light theme")).to_be_visible()
    assert await page.evaluate(background) == dark


async def test_a_lost_connection_is_told_and_comes_back_from_where_it_was(served: Served, window: Window) -> None:
    page = window.page
    sockets: list[WebSocketRoute] = []
    told: list[str | bytes] = []
    refusing = False

    def relay(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if not refusing:
            socket.connect_to_server().on_message(lambda message: pass_on(socket, message))

    def pass_on(socket: WebSocketRoute, message: str | bytes) -> None:
        told.append(message)
        socket.send(message)

    async def lose(socket: WebSocketRoute) -> None:
        await socket.close(code=1012, reason="the server starts again")

    await page.route_web_socket(re.compile("/ws/watchers"), relay)
    served.jobs.add("1").write_text("hit\n")
    await served.create("First", "1")
    await page.reload()
    await expect(page.get_by_role("article", name="First", exact=True)).to_contain_text("1")
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await eventually(lambda: len(told) > 0)
    refusing = True
    await lose(sockets[0])
    await served.create("Missed", "1")
    await eventually(lambda: len(sockets) > 1)
    refusing = False
    await lose(sockets[1])
    await expect(page.get_by_role("article", name="Missed", exact=True)).to_be_visible()
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    assert re.search(r"since=[1-9]\d*$", sockets[-1].url)


async def test_an_address_without_a_page_says_so(window: Window) -> None:
    await window.go("/no/such/page")
    await expect(window.page.get_by_role("heading", name="No such page")).to_be_visible()
    await window.assert_accessible()
    await window.page.get_by_role("link", name="To the watchers").click()
    await window.heading("Watchers")


async def test_a_page_that_is_slow_to_come_says_so_and_then_stands_alone(window: Window) -> None:
    page = window.page
    await window.heading("Watchers")
    await page.clock.install()
    gate = asyncio.Event()

    async def held(route: Route) -> None:
        await gate.wait()
        await route.continue_()

    await page.route("**/parts/watchers/list.js", held)
    await page.route("**/pages/missing.js", held)
    await page.goto(f"{window.served.url}/nothing")
    await expect(page.get_by_text("The page is being loaded")).to_be_visible()
    gate.set()
    await window.heading("No such page")
    await expect(page.get_by_text("The page is being loaded")).to_have_count(0)
    gate.clear()
    await page.goto(f"{window.served.url}/")
    await expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Jobs")).to_be_visible()
    await page.clock.fast_forward(2000)  # longer than a page waits to say so
    gate.set()
    await window.heading("Watchers")
    await expect(page.get_by_text("The page is being loaded")).to_have_count(0)


async def test_a_page_whose_program_does_not_come_says_so_and_can_be_tried_again(window: Window) -> None:
    page = window.page
    await window.heading("Watchers")
    await page.route("**/pages/missing.js", lambda route: route.abort())
    await page.goto(f"{window.served.url}/nothing")
    await expect(page.get_by_role("heading", name="The server cannot be reached")).to_be_visible()
    await window.assert_accessible()
    await page.unroute("**/pages/missing.js")
    await page.reload()
    await window.heading("No such page")
    window.faults.clear()


@pytest.mark.parametrize("scope", [Scope.READ])
async def test_who_may_only_read_is_offered_nothing_that_writes(stranger: Window, scope: Scope) -> None:
    await stranger.sign_in(scope)
    await stranger.heading("Watchers")
    await expect(stranger.page.get_by_role("link", name="New watcher")).to_have_count(0)
