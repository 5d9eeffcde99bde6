"""The creator over slow answers, lost ones and large outputs: nothing that was entered or asked for is lost."""

from __future__ import annotations

import re

from parts.served import LOG, Served
from parts.window import PATIENCE, Window
from playwright.async_api import Request, Route, expect

expect.set_options(timeout=PATIENCE)

LINES = re.compile("/output/lines")


async def test_an_output_that_is_slow_to_read_is_waited_for(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1").write_text("slow to come\n")
    await served.look()
    await page.clock.install()
    given_up: list[Request] = []
    page.on("requestfailed", lambda request: given_up.append(request))
    held = await window.hold(LINES)
    await window.go("/new")
    await held.here()
    await page.clock.fast_forward(9000)  # longer than between two looks
    await window.settled()
    await held.let_go()
    await expect(page.get_by_role("region", name="Output with what")).to_contain_text("slow to come")
    assert [each.url for each in given_up if LINES.search(each.url)] == []


async def test_what_was_typed_last_is_in_the_text_that_is_edited(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    await window.go("/new")
    await page.get_by_label("Pattern", exact=True).fill("first")
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    held = await window.hold("**/api/watchers/preview")
    await page.get_by_label("Pattern", exact=True).fill("second")
    await page.get_by_role("button", name="Edit as text").click()
    await held.here()
    await held.let_go()
    await expect(page.get_by_label("The whole file")).to_have_value(re.compile("pattern: second"))


async def test_the_form_stays_where_the_text_of_it_cannot_be_had(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    made = await served.create("w", "1")
    await window.go(f"/edit/{made['id']}")
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    await page.route("**/api/watchers/preview*", lambda route: route.abort())
    await page.get_by_label("Pattern", exact=True).fill("mine")
    await page.get_by_role("button", name="Edit as text").click()
    await expect(page.get_by_role("alert").filter(has_text="no answer came from the server")).to_be_visible()
    await expect(page.get_by_label("Pattern", exact=True)).to_have_value("mine")


async def test_a_pattern_that_could_not_be_tried_is_tried_again_and_its_groups_stay(
    served: Served, window: Window
) -> None:
    page = window.page
    served.jobs.add("1").write_text("loss 5\n")
    await served.look()
    await page.clock.install()
    await window.go("/new")
    await page.get_by_label("Pattern", exact=True).fill(r"loss (\d)")
    group = page.get_by_label("Group 1", exact=True)
    await expect(group).to_be_visible()
    await expect(page.get_by_text("1 match in the last 1 line")).to_be_visible()
    await page.route("**/api/patterns/test", lambda route: route.abort())
    await group.fill("loss")
    await expect(page.get_by_role("region", name="Tried on").get_by_text("no answer came")).to_be_visible()
    await expect(group).to_be_focused()
    await page.unroute("**/api/patterns/test")
    await page.clock.fast_forward(5000)
    await expect(page.get_by_text("1 match in the last 1 line")).to_be_visible()


async def test_a_pattern_is_tried_on_an_output_that_is_no_text(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1").write_bytes((b"\x01" * 3000 + b"\n") * 300 + b"a hit\n")
    await served.look()
    await window.go("/new")
    await page.get_by_label("Pattern", exact=True).fill("hit")
    await expect(page.get_by_text(re.compile("^1 match in the last"))).to_be_visible()


async def test_of_several_jobs_those_that_have_no_watcher_yet_stay_chosen(served: Served, window: Window) -> None:
    page = window.page
    for number in ("1", "2"):
        served.jobs.add(number)
    await served.look()

    async def one(route: Route) -> None:
        if '"job_id":"2"' in (route.request.post_data or ""):
            await route.abort()
        else:
            await route.continue_()

    await window.go("/new?host=localhost&job=1&job=2")
    chosen = page.get_by_role("list", name="Chosen jobs")
    await expect(chosen.get_by_role("listitem")).to_have_count(2)
    await page.get_by_label("Pattern", exact=True).fill("x")
    await page.get_by_label("A file of its own for each job").check()
    await page.route(re.compile("/api/watchers$"), one)
    await page.get_by_role("button", name="Create watcher").click()
    await expect(page.get_by_text("1 watcher created, 1 not")).to_be_visible()
    await expect(chosen.get_by_role("listitem")).to_have_count(1)
    await expect(chosen).to_contain_text("2@localhost")


async def test_a_dialog_that_was_waited_for_does_not_open_on_another_page(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    made = await served.create("w", actions=[LOG])
    navigation = page.get_by_role("navigation", name="Pages")
    await window.go(f"/watchers/{made['id']}")
    held = await window.hold("**/api/templates")
    await page.get_by_role("button", name="Save as template").click()
    await held.here()
    await navigation.get_by_role("link", name="Hosts").click()
    await window.heading("Hosts")
    await held.let_go()
    await window.settled()
    await expect(page.get_by_role("dialog")).to_have_count(0, timeout=1)
    await window.go("/templates")
    held = await window.hold("**/api/templates/*")
    await page.get_by_role("button", name="Show Loss tracker").click()
    await held.here()
    await navigation.get_by_role("link", name="Hosts").click()
    await window.heading("Hosts")
    await held.let_go()
    await window.settled()
    await expect(page.get_by_role("dialog")).to_have_count(0, timeout=1)
    await expect(page.locator(".toast")).to_have_count(0, timeout=1)
