"""The place of who reads or goes by keyboard is kept while the page is brought up to date."""

from __future__ import annotations

import re
from typing import Any

from parts.served import Served
from parts.waiting import eventually
from parts.window import PATIENCE, Window
from playwright.async_api import Locator, Page, Route, expect

expect.set_options(timeout=PATIENCE)

TIMES = "\N{MULTIPLICATION SIGN}"


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name, exact=True)


async def test_details_keep_the_focus_and_what_was_opened_in_them_when_the_watcher_fires(
    served: Served, window: Window
) -> None:
    page = window.page
    out = served.jobs.add("1")
    out.write_text("hit 1\n")
    await served.look()
    await served.create("w", "1", pattern=r"hit (?P<n>\d+)", description="long " * 200)
    await page.goto(served.url)
    await expect(card(page, "w")).to_contain_text(f"1{TIMES}")
    await card(page, "w").get_by_role("button", name="Show details").click()
    await card(page, "w").get_by_role("button", name="show all").first.click()
    await expect(card(page, "w").get_by_role("button", name="show less")).to_be_visible()
    link = card(page, "w").get_by_role("link", name="View output")
    await link.focus()
    with out.open("a") as file:
        file.write("hit 2\n")
    await expect(card(page, "w")).to_contain_text(f"2{TIMES}")
    await expect(card(page, "w").locator(".w-last")).to_contain_text("hit 2")
    await expect(link).to_be_focused()
    await expect(card(page, "w").get_by_role("button", name="show less")).to_be_visible()


async def test_the_page_of_a_job_keeps_the_focus_on_its_watchers(served: Served, window: Window) -> None:
    page = window.page
    out = served.jobs.add("1")
    out.write_text("quiet\n")
    await served.look()
    await served.create("w", "1")
    await window.go("/jobs/localhost/1")
    link = page.get_by_role("link", name=re.compile("^w ?active"))
    await link.focus()
    await expect(link).to_be_focused()
    async with page.expect_response(re.compile("/api/jobs/1/watchers")):
        with out.open("a") as file:
            file.write("a hit\n")
    await window.settled()
    await expect(link).to_be_focused(timeout=1)


async def test_the_plan_keeps_open_what_was_opened_and_the_focus_when_it_changes(
    served: Served, window: Window
) -> None:
    page, house = window.page, served.house
    house.write("w")
    for number in range(5):
        served.jobs.add(str(number))
    await served.look()
    await eventually(lambda: len(house.rows("w")) == 5)
    await window.go("/plan")
    await expect(page.get_by_text("All is as declared.")).to_be_visible()
    body = await served.get("/api/plan")
    change: dict[str, Any] = {
        "change": "create", "watcher": "more", "watcher_id": None, "hostname": "localhost", "job_name": "train",
        "reason": "a job fits", "withheld": "", "file": "/w/more.yaml", "line": 1, "commit": "", "fields": [],
    }  # fmt: skip
    body["changes"] = [{**change, "job_id": str(number)} for number in range(5)]
    await page.route("**/api/plan", lambda route: route.fulfill(json=body))
    await page.get_by_role("button", name="Refresh").click()
    await page.get_by_text("on 5 jobs").click()
    link = page.get_by_role("link", name="3@localhost")
    await link.focus()
    body["changes"].append({**change, "watcher": "another", "job_id": "9", "file": "/w/another.yaml"})
    await page.get_by_role("button", name="Refresh").dispatch_event("click")
    await expect(page.get_by_role("region", name="Pending changes")).to_contain_text("another")
    await expect(link).to_be_visible(timeout=1)
    await expect(link).to_be_focused(timeout=1)


async def test_who_types_already_is_not_taken_to_the_heading_once_the_page_has_come(
    served: Served, window: Window
) -> None:
    page = window.page
    await window.heading("Watchers")
    held = await window.hold(re.compile(r"/api/jobs\?.*limit=100"))
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Jobs").click()
    search = page.get_by_role("searchbox", name="Search jobs")
    await search.press_sequentially("tr")
    await held.let_go()
    await expect(page.get_by_role("heading", name=re.compile("No job"))).to_be_visible()
    await window.settled()
    await expect(search).to_be_focused(timeout=1)


async def test_going_forward_leads_to_where_one_was_as_going_back_does(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1").write_text("".join(f"hit {number}\n" for number in range(60)))
    await served.look()
    await served.create("w", "1")
    await eventually(lambda: len(served.house.events("action.succeeded")) == 60)
    await window.go("/plan")
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Watchers").click()
    await page.get_by_role("link", name="Events", exact=True).click()
    rows = page.get_by_role("main").get_by_role("listitem")
    await expect(rows.first).to_be_visible()
    await page.evaluate("() => window.scrollTo({top: 900})")
    await page.go_back()
    await window.heading("Watchers")
    await page.go_forward()
    await window.heading("Events")
    await expect(rows.first).to_be_attached()
    await expect(page.get_by_role("heading", name="Events")).to_be_focused()
    assert await page.evaluate("() => window.scrollY") > 500  # rows are measured once they are drawn


async def test_a_dialog_stays_when_text_in_it_is_selected_beyond_its_edge(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    await served.create("w", "1")
    await page.goto(served.url)
    await page.get_by_role("checkbox", name="Select w").check()
    await page.get_by_role("region", name="Selection").get_by_role("button", name="Pause").click()
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_label("Why")
    await field.fill("maintenance")
    box = await field.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 60, box["y"] + box["height"] / 2)
    await page.mouse.down()
    await page.mouse.move(5, 5, steps=4)
    await page.mouse.up()
    await window.settled()
    await expect(field).to_have_value("maintenance", timeout=1)
    await page.mouse.click(5, 5)
    await expect(dialog).to_have_count(0)


async def test_lines_of_an_output_do_not_lie_over_each_other_where_letters_are_larger(
    served: Served, window: Window
) -> None:
    page = window.page
    served.jobs.add("1").write_text("".join(f"line {number}\n" for number in range(3000)))
    await served.look()

    async def larger(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, body=f"{await answer.text()} html {{ font-size: 32px; }}")

    await page.route("**/css/base.css", larger)
    await page.set_viewport_size({"width": 1280, "height": 1600})
    await window.go("/jobs/localhost/1")
    output = page.get_by_role("region", name="Output, stdout")
    await expect(output.get_by_text("line 2999", exact=True)).to_be_in_viewport()
    lines = output.locator(".line")
    above, below = await lines.nth(-2).bounding_box(), await lines.last.bounding_box()
    assert above is not None
    assert below is not None
    high = float(await output.evaluate("(frame) => parseFloat(getComputedStyle(frame).fontSize)"))
    assert below["y"] - above["y"] >= 1.2 * high
    await page.get_by_label("Go to line").fill("1500")
    await page.keyboard.press("Enter")
    await expect(output.get_by_text("line 1499", exact=True)).to_be_in_viewport()
