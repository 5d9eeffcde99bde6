"""Thousands of watchers: what is in view is in the document, the rest is found, and what is new pushes nothing away."""

from __future__ import annotations

import time

import pytest
from parts.served import Served
from parts.window import PATIENCE, Window
from playwright.async_api import Route, expect

from reconciler.model import HostName, JobId, JobKey, Origin, Watcher, WatcherId, WatcherName, WatcherState
from reconciler.protocols import Batch, StateWriting

expect.set_options(timeout=PATIENCE)
MANY = 3000


def a_watcher(number: int) -> Watcher:
    return Watcher(
        WatcherId(0), WatcherName(f"watcher {number}"), JobKey(HostName("localhost"), JobId(str(number // 3))), "train",
        "d", Origin("directory:/w", "/w/a.yaml", 1), phase=WatcherState.COMPLETED, created_at=time.time(),
    )  # fmt: skip


@pytest.fixture
async def many(served: Served) -> Served:
    """3,000 watchers of jobs that have ended, three on each."""

    def work(state: StateWriting) -> None:
        state.commit(Batch(create=tuple(map(a_watcher, range(MANY)))))

    await served.engine.parts.state.run(work)
    return served


async def test_only_what_is_in_view_is_in_the_document_and_everything_is_found(many: Served, window: Window) -> None:
    page = window.page
    await page.goto(many.url)
    cards = page.get_by_role("article")
    await expect(page.get_by_role("button", name="All 3000")).to_be_visible()
    assert 3 <= await cards.count() <= 60
    await expect(page.get_by_role("article", name="watcher 2999", exact=True)).to_be_visible()
    rows = int(str(await page.get_by_role("main").get_by_role("listitem").first.get_attribute("aria-setsize")))
    assert rows >= MANY / 4
    for _ in range(3):  # heights are measured on the way
        await page.keyboard.press("End")
        await expect(page.get_by_role("article", name="watcher 0", exact=True)).to_be_visible()
    assert 3 <= await cards.count() <= 60
    await page.get_by_role("searchbox").fill("watcher 1234")
    await expect(cards.first).to_have_accessible_name("watcher 1234")
    await page.get_by_role("searchbox").fill("")
    await page.get_by_role("button", name="By job").click()
    await expect(page.get_by_role("heading", name="Job 999 · train on localhost")).to_be_visible()
    assert await cards.count() <= 60
    await page.get_by_role("button", name="Grid").click()
    await page.get_by_role("checkbox").first.check()
    await page.get_by_role("button", name="Select all 3000 shown").click()
    await expect(page.get_by_text("3,000 watchers selected")).to_be_visible()


async def test_what_is_new_waits_while_somebody_reads_further_down_and_scrolling_back_keeps_the_place(
    many: Served, window: Window
) -> None:
    page = window.page
    many.jobs.add("4711")
    await many.look()
    await page.goto(many.url)
    await expect(page.get_by_role("button", name="All 3000")).to_be_visible()
    await page.mouse.move(700, 500)
    await page.mouse.wheel(0, 5000)
    await expect(page.get_by_role("article", name="watcher 2999", exact=True)).to_have_count(0)
    seen = page.get_by_role("article").nth(6)
    name = await seen.get_by_role("heading").inner_text()
    before = await seen.bounding_box()
    await many.create("Fresh", "4711")
    show = page.get_by_role("button", name="Show 1 new watcher")
    await expect(show).to_be_visible()
    assert await page.get_by_role("article", name=name, exact=True).bounding_box() == before
    await page.get_by_role("article", name=name, exact=True).get_by_role("link", name=name, exact=True).click()
    await window.heading(name)
    await page.go_back()
    await expect(page.get_by_role("article", name=name, exact=True)).to_be_in_viewport()
    await page.keyboard.press("Home")
    await expect(page.get_by_role("article", name="Fresh", exact=True)).to_be_visible()


async def test_what_was_done_to_many_is_told_though_the_rest_could_not_be_done(many: Served, window: Window) -> None:
    page = window.page
    await page.goto(many.url)
    await page.get_by_role("checkbox").first.check()
    bar = page.get_by_role("region", name="Selection")
    await bar.get_by_role("button", name="Select all 3000 shown").click()
    sent = 0

    async def once(route: Route) -> None:
        nonlocal sent
        sent += 1
        if sent > 1:
            await route.abort()
            return
        done = [{"id": each, "success": True, "message": ""} for each in (route.request.post_data_json or {})["ids"]]
        await route.fulfill(json={"results": done, "succeeded": len(done), "failed": 0})

    await page.route("**/api/watchers/bulk", once)
    await bar.get_by_role("button", name="Resume").click()
    await expect(page.get_by_role("alert").filter(has_text="no answer came from the server")).to_be_visible()
    await expect(page.get_by_text("1,000 watchers resumed")).to_be_visible()
    await expect(bar).to_contain_text("2,000 watchers selected")
