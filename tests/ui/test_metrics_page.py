"""The pages of metrics: real numbers of real jobs as charts, read by keyboard, zoomed, exported; live."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from parts.served import Served
from parts.waiting import eventually
from parts.window import PATIENCE, Window
from playwright.async_api import Locator, Page, expect

expect.set_options(timeout=PATIENCE)

HOSTILE = "<b>speed</b> \u202e"
PATTERN = r"step (\d+) loss (\S+) speed (\S+)"
ACTIONS = [
    {"type": "store_metric", "params": {"name": "loss", "value": "$2", "step": "$1"}},
    {"type": "store_metric", "params": {"name": HOSTILE, "value": "$3", "step": "$1"}},
]


def text(first: int, last: int) -> str:
    return "".join(f"step {step} loss {100 / step:g} speed {step * 10}\n" for step in range(first, last + 1))


@pytest.fixture
async def output(served: Served) -> Path:
    """The output of job 1, of which a watcher keeps two numbers a line; 50 lines are there."""
    path = served.jobs.add("1", name="train <i>net</i>")
    path.write_text(text(1, 50))
    await served.look()
    await served.create("numbers", "1", pattern=PATTERN, actions=ACTIONS, interval_seconds=1)
    await eventually(lambda: len(served.house.metrics("1")) == 100)
    return path


def chart(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name=re.compile(f"^{name} over"))


def ticks(of: Locator, texts: str) -> Locator:
    """The labels of the horizontal axis that say one of these."""
    return of.locator(".chart-axes text[text-anchor=middle]").filter(has_text=re.compile(f"^({texts})$"))


def readout(page: Page) -> Locator:
    return page.locator(".chart-readout").first


async def test_numbers_are_drawn_read_and_zoomed_by_keyboard_and_pointer(
    served: Served, output: Path, window: Window
) -> None:
    page = window.page
    await window.go("/metrics")
    await expect(page.get_by_text("train <i>net</i>")).to_be_visible()
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    await page.get_by_role("link", name="1", exact=True).click()
    await window.heading("Metrics of job 1")
    await expect(page.locator(".chart")).to_have_count(2)
    await page.get_by_role("checkbox", name=re.compile("speed")).uncheck()
    await expect(page.locator(".chart")).to_have_count(1)
    loss = chart(page, "loss")
    await expect(loss.locator(".series path")).to_have_attribute(
        "d", re.compile(r"^M[\d.]+ [\d.]+(L[\d.]+ [\d.]+){49}$")
    )
    await expect(ticks(loss, "50")).to_have_count(1)
    await expect(readout(page)).to_have_text(re.compile(r"Newest:\s*loss\s*2\s*$"))
    await loss.focus()
    await page.keyboard.press("ArrowRight")
    await expect(readout(page)).to_have_text(re.compile(r"Step 1:\s*loss\s*100\s*$"))
    await page.keyboard.press("ArrowRight")
    await expect(readout(page)).to_have_text(re.compile(r"Step 2:\s*loss\s*50\s*$"))
    show_all = page.get_by_role("button", name="Show all")
    await expect(show_all).to_be_disabled()
    await page.keyboard.press("+")
    await expect(show_all).to_be_enabled()
    await expect(ticks(loss, "50")).to_have_count(0)
    await page.keyboard.press("0")
    await expect(show_all).to_be_disabled()
    box = await loss.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 80, steps=4)
    await expect(loss.locator(".chosen")).to_have_count(1)
    await page.mouse.up()
    await expect(show_all).to_be_enabled()
    await expect(ticks(loss, "5|10|50")).to_have_count(0)
    await show_all.click()
    await expect(ticks(loss, "50")).to_have_count(1)
    await window.assert_accessible()
    await window.assert_fits_a_phone()


async def test_the_chart_grows_as_numbers_come_and_keeps_what_was_chosen(
    served: Served, output: Path, window: Window
) -> None:
    page = window.page
    await window.go("/metrics?host=localhost&job=1&name=loss")
    await expect(readout(page)).to_have_text(re.compile(r"loss\s*2\s*$"))
    with output.open("a") as file:
        file.write(text(51, 100))
    await expect(readout(page)).to_have_text(re.compile(r"loss\s*1\s*$"))
    await expect(page.locator(".chart")).to_have_count(1)
    await expect(page.get_by_role("checkbox", name=re.compile("speed"))).not_to_be_checked()
    await page.get_by_role("checkbox", name=re.compile("speed")).check()
    await page.get_by_role("button", name="Together").click()
    await expect(page.locator(".chart")).to_have_count(1)
    await expect(page.locator(".chart .series path")).to_have_count(2)
    await page.get_by_role("button", name="Log", exact=True).click()
    await page.get_by_role("button", name="Order").click()
    await page.reload()
    await expect(page.locator(".chart .series path")).to_have_count(2)
    for name in ("Together", "Log", "Order"):
        await expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
    await expect(chart(page, "")).to_have_count(0)
    await expect(page.get_by_role("group", name=re.compile("over their order"))).to_be_visible()
    await window.assert_accessible()


async def test_values_are_had_as_a_table_and_as_the_csv_that_the_command_writes(
    served: Served, output: Path, window: Window
) -> None:
    page = window.page
    await window.go("/metrics?host=localhost&job=1")
    await page.get_by_text("Values as a table").click()
    values = page.get_by_role("region", name="Values")
    await expect(values.get_by_role("row")).to_have_count(101)
    await expect(values).to_contain_text("<b>speed</b> \u27e8U+202E\u27e9")
    assert await page.locator("main b").count() == 0
    await window.assert_accessible()
    async with page.expect_download() as started:
        await page.get_by_role("button", name="CSV").click()
    download = await started.value
    assert download.suggested_filename == "metrics-1@localhost.csv"
    saved = Path(await download.path()).read_text(encoding="utf-8").splitlines()
    printed = served.house.run("metrics", "1", "-o", "csv").stdout.replace("\\u202e", "\u202e").splitlines()
    assert saved[0] == printed[0]
    assert sorted(map(columns, saved[1:])) == sorted(map(columns, printed[1:]))


def columns(line: str) -> tuple[str, ...]:
    """A line of the CSV, its time left out: the API gives it to the microsecond."""
    job, host, name, step, value, _, watcher = line.split(",")
    return job, host, name, f"{float(step):g}", f"{float(value):g}", watcher


async def test_where_nothing_is_kept_the_page_says_how_to_begin(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    await window.go("/metrics")
    await expect(page.get_by_role("heading", name="No numbers are kept yet")).to_be_visible()
    await window.assert_accessible()
    await window.go("/metrics?host=localhost&job=1")
    await expect(page.get_by_role("heading", name="No numbers are kept of this job")).to_be_visible()
    await window.assert_accessible()
    await page.goto(f"{served.url}/metrics?host=localhost&job=2")
    await expect(page.get_by_role("heading", name="There is no such thing")).to_be_visible()
