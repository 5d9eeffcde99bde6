"""The viewer of an output: big files, jumping, searching, hostile lines, files that are cut or come late."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from parts.served import Served
from parts.waiting import eventually
from parts.window import PATIENCE, Window
from playwright.async_api import Locator, Page, Route, expect

expect.set_options(timeout=PATIENCE)

MANY = 100_000


def row(number: int) -> str:
    """A line of a big output; every ten thousandth is an error."""
    return f"step {number} " + ("Error: out of memory" if number % 10_000 == 0 else "all is well")


async def printed(served: Served, content: bytes) -> Path:
    path = served.jobs.add("1")
    path.write_bytes(content)
    await served.look()
    return path


def output(page: Page) -> Locator:
    return page.get_by_role("region", name=re.compile("^Output, "))


async def in_view(page: Page, text: str) -> None:
    await expect(output(page).get_by_text(text, exact=True)).to_be_in_viewport()


async def test_a_big_output_is_gone_through_line_by_line_from_its_end_to_its_start(
    served: Served, window: Window
) -> None:
    page = window.page
    await printed(served, "".join(f"{row(number)}\n" for number in range(1, MANY + 1)).encode())
    await window.go("/jobs/localhost/1")
    await in_view(page, row(MANY))
    await expect(output(page).get_by_role("listitem").last).to_contain_text(str(MANY))
    assert await page.locator(".line").count() < 200
    await page.get_by_label("Go to line").fill("77777")
    await page.keyboard.press("Enter")
    await in_view(page, row(77_777))
    await expect(page.locator(".line.current")).to_have_text(f"77777{row(77_777)}")
    assert re.search(r"[?&]line=77777\b", page.url)
    await page.reload()
    await in_view(page, row(77_777))
    await expect(page.locator(".line.current")).to_have_text(f"77777{row(77_777)}")
    await output(page).focus()
    await page.keyboard.press("Home")
    await in_view(page, row(1))
    await expect(output(page).get_by_role("listitem").first).to_have_text(f"1{row(1)}")
    await page.keyboard.press("End")
    await in_view(page, row(MANY))
    await page.get_by_label("Go to line").fill(str(MANY + 5))
    await page.keyboard.press("Enter")
    await expect(page.get_by_text(f"There is no line {MANY + 5} (yet).")).to_be_visible()


async def test_scrolling_brings_earlier_lines_and_leaves_the_end_which_is_found_again(
    served: Served, window: Window
) -> None:
    page = window.page
    path = await printed(served, "".join(f"{row(number)}\n" for number in range(1, 8001)).encode())
    await window.go("/jobs/localhost/1")
    await in_view(page, row(8000))
    await output(page).hover()
    for first in (6001, 4001, 2001):  # 2,000 lines come at once, and those in view stay
        await output(page).evaluate("(frame) => { frame.dispatchEvent(new WheelEvent('wheel')); frame.scrollTop = 0; }")
        await expect(output(page).get_by_text(row(first - 1), exact=True)).to_be_attached()
        await in_view(page, row(first))
    follow = page.get_by_role("button", name="Follow")
    await expect(follow).to_have_attribute("aria-pressed", "false")
    with path.open("a") as file:
        file.write("the newest line\n")
    await follow.click()
    await in_view(page, "the newest line")
    await expect(output(page).get_by_role("listitem").last).to_have_text("8001the newest line")


async def test_earlier_lines_come_although_the_end_was_being_looked_at_when_they_were_scrolled_to(
    served: Served, window: Window
) -> None:
    page = window.page
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slowly(route: Route) -> None:
        asked.set()
        await answered.wait()
        await route.continue_()

    await page.route(re.compile(r"/output/lines\?.*\boffset="), slowly)  # for what follows the end
    await printed(served, "".join(f"{row(number)}\n" for number in range(1, 8001)).encode())
    await window.go("/jobs/localhost/1")
    await in_view(page, row(8000))
    await asyncio.wait_for(asked.wait(), 30)
    await output(page).evaluate("(frame) => { frame.dispatchEvent(new WheelEvent('wheel')); frame.scrollTop = 0; }")
    await in_view(page, row(6001))
    answered.set()
    await expect(output(page).get_by_text(row(6000), exact=True)).to_be_attached()
    await in_view(page, row(6001))


async def test_lines_that_could_not_be_read_are_asked_for_again_though_the_job_has_ended(
    served: Served, window: Window
) -> None:
    page = window.page
    lost = 0

    async def lose(route: Route) -> None:
        nonlocal lost
        lost += 1
        await route.abort()

    await printed(served, "".join(f"{row(number)}\n" for number in range(1, 8001)).encode())
    await window.go("/jobs/localhost/1")
    await in_view(page, row(8000))
    served.jobs.finish("1")
    await served.look()
    await expect(page.get_by_text("the job has ended")).to_be_visible()
    await page.route(re.compile("/output/lines"), lose)
    await output(page).evaluate("(frame) => { frame.dispatchEvent(new WheelEvent('wheel')); frame.scrollTop = 0; }")
    await expect(page.get_by_text("it is tried again.")).to_be_visible()
    await eventually(lambda: lost > 1)
    await page.unroute_all(behavior="ignoreErrors")
    await expect(output(page).get_by_text(row(6000), exact=True)).to_be_attached()
    await expect(page.get_by_text("it is tried again.")).to_be_hidden()


async def test_all_of_it_is_searched_and_a_found_line_is_jumped_to(served: Served, window: Window) -> None:
    page = window.page
    await printed(served, "".join(f"{row(number)}\n" for number in range(1, MANY + 1)).encode())
    await window.go("/jobs/localhost/1")
    await in_view(page, row(MANY))
    await page.keyboard.press("Tab")
    field = page.get_by_role("searchbox", name="Search the output")
    await field.fill("error")
    await expect(page.get_by_text("10 lines", exact=True)).to_be_visible()
    await field.press("Enter")
    await expect(page.get_by_text("10 of 10 lines")).to_be_visible()  # the next one from where one is
    await page.get_by_role("button", name="Previous found line").click()
    await in_view(page, row(90_000))
    await page.get_by_text("Found lines").click()
    await page.get_by_role("list", name="Found lines").get_by_role("button", name=re.compile("^30,000")).click()
    await in_view(page, row(30_000))
    await expect(page.get_by_text("3 of 10 lines")).to_be_visible()
    await expect(page.locator(".line.current")).to_have_text(f"30000{row(30_000)}")
    await expect(page.locator(".line.current mark")).to_have_text("Error")
    await window.assert_accessible()
    await output(page).focus()
    await page.keyboard.press("n")
    await in_view(page, row(40_000))
    await page.get_by_role("button", name="Match case").click()
    await expect(page.get_by_text("nothing found")).to_be_visible()
    await page.get_by_role("button", name="Pattern").click()
    await field.fill(r"^step [37]{5} all is \w+$")
    await expect(page.get_by_text("32 lines", exact=True)).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("32 lines", exact=True)).to_be_visible()
    await field.fill("(unclosed")
    await expect(page.get_by_text(re.compile("missing \\)|unterminated"))).to_be_visible()
    await window.assert_accessible()


async def test_hostile_lines_are_shown_as_text_and_long_ones_in_parts(served: Served, window: Window) -> None:
    page = window.page
    hostile = (
        b"\x1b[31mred\x1b[0m and <script>document.title='owned'</script>\n"
        + b"<img src=x onerror=alert(1)> \xff\xfe bytes \x00\x07 bell\n"
        + "abc \u202e turned \u2066 and \u05d0\u05d1\u05d2\n".encode()
        + b"begin " + b"x" * 120_000 + b" end <b>of it</b>\n"
        + b"progress 1\rprogress 2\r\nlast\n"
    )  # fmt: skip
    await printed(served, hostile)
    await window.go("/jobs/localhost/1")
    await in_view(page, "red and <script>document.title='owned'</script>")
    await in_view(page, "<img src=x onerror=alert(1)> \ufffd\ufffd bytes \u2400\u2407 bell")
    await in_view(page, "abc \u27e8U+202E\u27e9 turned \u27e8U+2066\u27e9 and \u05d0\u05d1\u05d2")
    await in_view(page, "progress 2")
    assert "owned" not in await page.title()
    assert await page.locator(".output img, .output script, .output b").count() == 0
    assert len(await page.locator(".line").nth(3).inner_text()) < 5000
    await page.get_by_role("button", name="Show all").click()
    dialog = page.get_by_role("dialog", name="Line 4")
    await expect(dialog).to_contain_text("end <b>of it</b>")
    await expect(dialog).to_contain_text("120 kB of 120 kB are shown.")
    await window.assert_accessible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Show all")).to_be_focused()
    await page.get_by_role("button", name="Wrap").click()
    await in_view(page, "last")
    await window.assert_accessible()
    await window.assert_fits_a_phone()


async def test_a_file_that_comes_late_or_is_written_anew_is_followed(served: Served, window: Window) -> None:
    page = window.page
    path = served.jobs.add("1")
    await served.look()
    await window.go("/jobs/localhost/1")
    await expect(page.get_by_role("heading", name="Nothing is printed")).to_be_visible()
    await window.assert_accessible()
    path.write_text("begun\n" * 50)
    await expect(output(page).get_by_text("begun").first).to_be_attached()
    await expect(page.get_by_role("heading", name="Nothing is printed")).to_have_count(0)
    path.write_text("restarted\n")
    await expect(page.get_by_text("The output was written anew; this is the new one.")).to_be_visible()
    await expect(output(page).get_by_role("listitem")).to_have_text(["1restarted"])


async def test_a_link_to_a_byte_leads_to_its_line(served: Served, window: Window) -> None:
    page = window.page
    await printed(served, b"".join(b"line %d\n" % number for number in range(1, 5001)))
    await window.go("/jobs/localhost/1?stream=stdout&offset=30003")
    await expect(page.locator(".line.current")).to_have_text("3112line 3112")
    await window.go("/jobs/localhost/1?stream=stdout&offset=999999999")
    await expect(page.get_by_text("That place is not there (any more)")).to_be_visible()
    await in_view(page, "line 5000")


async def test_who_follows_is_at_the_end_however_much_is_printed_at_once(served: Served, window: Window) -> None:
    page = window.page
    path = await printed(served, b"begin\n")
    await window.go("/jobs/localhost/1")
    await in_view(page, "begin")
    for last in (MANY, 2 * MANY):  # some megabytes each
        with path.open("a") as file:
            file.writelines(f"{row(number)}\n" for number in range(last - MANY + 1, last + 1))
        await in_view(page, row(last))
        await expect(output(page).get_by_role("listitem").last).to_have_text(f"{last + 1}{row(last)}")
    with path.open("a") as file:
        file.write("the end, ")
    await in_view(page, "the end,")
    with path.open("a") as file:
        file.write("at last\n")
    await in_view(page, "the end, at last")
    await expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "true")


async def test_an_event_leads_to_the_very_line_that_matched(served: Served, window: Window) -> None:
    page = window.page
    await printed(served, b"".join(b"line %d\n" % number for number in range(1, 5001)) + b"a hit\nlast\n")
    await served.create("w", "1")
    await eventually(lambda: served.house.events("action.succeeded"))
    await window.go("/events")
    await page.get_by_role("link", name=re.compile("^job 1")).first.click()
    await window.heading("Job 1@localhost")
    await expect(page.locator(".line.current")).to_have_text("5001a hit")
    assert "line=5001" in page.url
