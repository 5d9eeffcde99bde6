"""An output that is read in several places at once: each answer goes where it was asked for, or nowhere."""

from __future__ import annotations

import re
from pathlib import Path

from parts.served import Served
from parts.window import PATIENCE, Window
from playwright.async_api import Locator, Page, expect

expect.set_options(timeout=PATIENCE)


async def numbered(served: Served, last: int = 9000) -> Path:
    path = served.jobs.add("1")
    path.write_bytes(b"".join(b"line %d\n" % number for number in range(1, last + 1)))
    await served.look()
    return path


def output(page: Page) -> Locator:
    return page.get_by_role("region", name="Output, stdout")


async def test_what_follows_the_end_is_not_put_behind_the_start(served: Served, window: Window) -> None:
    page = window.page
    path = await numbered(served)
    await window.go("/jobs/localhost/1")
    await expect(output(page).get_by_text("line 9000", exact=True)).to_be_in_viewport()
    start = await window.hold(re.compile(r"/output/lines\?.*\boffset=0\b"))
    await output(page).press("Home")
    await start.here()
    following = await window.hold(re.compile(r"/output/lines\?.*\boffset=[1-9]"))
    with path.open("a") as file:
        file.write("the newest\n")
    await following.here()
    await start.let_go()
    await expect(output(page).get_by_text("line 1", exact=True)).to_be_in_viewport()
    await following.let_go()
    await output(page).evaluate("(frame) => { frame.scrollTop = 2000 * 20 - frame.clientHeight; }")
    await expect(output(page).get_by_text("line 2001", exact=True)).to_be_attached()
    await expect(output(page).get_by_text("the newest")).to_have_count(0)


async def test_of_two_found_lines_the_one_that_was_chosen_last_is_gone_to_and_nothing_untrue_is_said(
    served: Served, window: Window
) -> None:
    page = window.page
    await numbered(served)
    await window.go("/jobs/localhost/1?q=line+%28100%7C200%29%24&regex=1")
    await expect(page.get_by_text("2 lines", exact=True)).to_be_visible()
    await page.get_by_text("Found lines").click()
    found = page.get_by_role("list", name="Found lines")
    first = await window.hold(re.compile(r"/output/lines\?.*\baround="))
    await found.get_by_role("button", name=re.compile("line 100")).click()
    await first.here()
    second = await window.hold(re.compile(r"/output/lines\?.*\baround="))
    await found.get_by_role("button", name=re.compile("line 200")).click()
    await second.here()
    await first.let_go()
    await window.settled()
    await expect(page.get_by_text("That place is not there")).to_have_count(0, timeout=1)
    await second.let_go()
    await expect(page.locator(".line.current")).to_have_text("200line 200")


async def test_a_line_that_was_counted_long_does_not_pull_away_who_went_elsewhere(
    served: Served, window: Window
) -> None:
    page = window.page
    await numbered(served)
    await window.go("/jobs/localhost/1")
    await expect(output(page).get_by_text("line 9000", exact=True)).to_be_in_viewport()
    counted = await window.hold(re.compile(r"/output/place\?.*until_line"))
    await page.get_by_label("Go to line").fill("300")
    await page.keyboard.press("Enter")
    await counted.here()
    await output(page).press("Home")
    await expect(output(page).get_by_text("line 1", exact=True)).to_be_in_viewport()
    await counted.let_go()
    await window.settled()
    await expect(output(page).get_by_text("line 1", exact=True)).to_be_in_viewport(timeout=1)
    assert "line=300" not in page.url


async def test_a_search_is_made_anew_in_an_output_that_was_written_anew(served: Served, window: Window) -> None:
    page = window.page
    path = await numbered(served, 50)
    await window.go("/jobs/localhost/1?q=line")
    await expect(page.get_by_text("50 lines", exact=True).first).to_be_visible()
    path.write_text("line of the new one\n")
    await expect(page.get_by_text("1 line", exact=True)).to_be_visible()


async def test_a_long_line_that_is_still_read_when_the_page_is_left_is_no_problem(
    served: Served, window: Window
) -> None:
    page = window.page
    served.jobs.add("1").write_bytes(b"x" * 20_000 + b"\n")
    await served.look()
    await window.go("/jobs")
    await page.get_by_role("link", name="1", exact=True).click()
    held = await window.hold(re.compile(r"/output\?"))
    await page.get_by_role("button", name="Show all").click()
    await held.here()
    await page.go_back()
    await window.heading("Jobs")
    await held.let_go()
    await window.settled()
    await expect(page.locator(".toast")).to_have_count(0)


async def test_a_found_line_keeps_the_focus_when_it_is_gone_to(served: Served, window: Window) -> None:
    page = window.page
    await numbered(served, 50)
    await window.go("/jobs/localhost/1?q=line+7")
    await page.get_by_text("Found lines").click()
    line = page.get_by_role("list", name="Found lines").get_by_role("button", name=re.compile("^7"))
    await line.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".line.current")).to_have_text("7line 7")
    await expect(line).to_be_focused()
