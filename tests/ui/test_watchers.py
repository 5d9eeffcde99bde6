"""The watchers page as a person uses it: looking, searching, selecting, acting; live, by keyboard, on a phone."""

from __future__ import annotations

import re

import pytest
from parts.served import LOG, Served
from parts.waiting import eventually
from parts.window import PATIENCE, Window
from playwright.async_api import Locator, Page, expect

expect.set_options(timeout=PATIENCE)

METRIC = {"type": "store_metric", "params": {"name": "loss", "value": "$loss"}}
TIMES = "\N{MULTIPLICATION SIGN}"
BROKEN = {"type": "store_metric", "params": {"name": "bad", "value": "x"}}


def card(page: Page, name: str) -> Locator:
    """The card of a watcher."""
    return page.get_by_role("article", name=name, exact=True)


@pytest.fixture
async def busy(served: Served) -> Served:
    """Two jobs with four watchers: one fired twice, one is paused, one has an error, one waits."""
    served.jobs.add("4711", name="train").write_text("loss: 3\nloss: 2\n")
    served.jobs.add("4712", name="evaluate").write_text("nothing\n")
    await served.look()
    await served.create(
        "Loss", "4711", pattern=r"loss: (?P<loss>\S+)", captures=["loss"], actions=[METRIC, LOG],
        labels={"team": "vision"}, interval_seconds=30, description="Keeps the loss.",
    )  # fmt: skip
    await served.create("Broken", "4711", pattern="loss", actions=[BROKEN])
    await served.create("Waiting", "4712", pattern="never there")
    held = await served.create("Held", "4712", pattern="held back")
    await served.post(f"/api/watchers/{held['id']}/pause", {"reason": "until Monday"})
    await eventually(lambda: len(served.house.events("action.succeeded", "action.failed")) == 6)
    return served


async def test_a_person_sees_what_is_watched_what_fired_and_whether_all_is_well(busy: Served, window: Window) -> None:
    page = window.page
    await page.goto(busy.url)
    overview = page.get_by_role("region", name="Overview")
    await expect(overview).to_contain_text("1 watcher has errors")
    await expect(overview).to_contain_text(re.compile(r"3\s*watching"))
    await expect(overview).to_contain_text(re.compile(r"2\s*jobs watched"))
    await expect(overview).to_contain_text(re.compile(r"6\s*actions in the last hour"))
    await expect(overview).to_contain_text(re.compile("Fired last: (Loss|Broken)"))
    loss = card(page, "Loss")
    await expect(loss).to_contain_text("Active")
    await expect(loss).to_contain_text(f"2{TIMES}")
    await expect(loss).to_contain_text("Job 4711 · train on localhost")
    await expect(loss).to_contain_text("every 30 s · read")
    await expect(loss).to_contain_text("next in")
    await expect(loss).to_contain_text(r"loss: (?P<loss>\S+)")
    await expect(card(page, "Held")).to_contain_text("Paused")
    asked = len([each for each in window.asked if each.endswith("/api/watchers/outline")])
    await page.get_by_role("button", name="Refresh").click()
    await eventually(lambda: len([e for e in window.asked if e.endswith("/api/watchers/outline")]) > asked)
    await window.assert_accessible()
    await window.assert_fits_a_phone()


async def test_details_tell_the_last_trigger_its_values_and_where_the_watcher_comes_from(
    busy: Served, window: Window
) -> None:
    page = window.page
    await page.goto(busy.url)
    loss = card(page, "Loss")
    await loss.get_by_role("button", name="Show details of Loss").click()
    for told in ("Keeps the loss.", "team=vision", "store_metric", "value", "$loss", "saw $0", "line 2 of stdout"):
        await expect(loss).to_contain_text(told)
    last = loss.locator(".w-last")
    await expect(last).to_contain_text("loss: 2")
    await expect(last).to_contain_text("succeeded store_metric loss = 2")
    await expect(last).to_contain_text("succeeded log_event saw loss: 2")
    await expect(loss).to_contain_text(re.compile(r"api-4711-loss-\w+\.yaml:1"))
    await expect(loss.get_by_role("link", name="View metrics")).to_have_attribute(
        "href", "/metrics?host=localhost&job=4711"
    )
    await expect(loss.get_by_role("link", name="View output")).to_have_attribute("href", "/jobs/localhost/4711")
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    await loss.get_by_role("button", name="Hide details of Loss").click()
    await expect(last).to_have_count(0)
    broken = card(page, "Broken")
    await broken.get_by_role("button", name="Show details of Broken").click()
    await expect(broken).to_contain_text("Last error: value is not a finite number")
    await expect(broken.locator(".w-last")).to_contain_text("failed store_metric")
    held = card(page, "Held")
    await held.get_by_role("button", name="Show details of Held").click()
    await expect(held).to_contain_text("until Monday")


async def test_search_is_fuzzy_over_every_field_and_filters_count(busy: Served, window: Window) -> None:
    page = window.page
    await page.goto(busy.url)
    cards = page.get_by_role("article")
    search = page.get_by_role("searchbox", name="Search watchers")
    await expect(cards).to_have_count(4)
    for query, names in (
        ("4711", {"Loss", "Broken"}), ("vision", {"Loss"}), ("evaluate", {"Waiting", "Held"}), ("brkn", {"Broken"}),
        ("localhost never", {"Waiting"}), ("held back", {"Held"}), ("no such thing", set()),
    ):  # fmt: skip
        await search.fill(query)
        await expect(cards).to_have_count(len(names))
        for name in names:
            await expect(card(page, name)).to_be_visible()
    await expect(page.get_by_role("heading", name="No watcher fits")).to_be_visible()
    await window.assert_accessible()
    await page.get_by_role("button", name="Show all watchers").click()
    await expect(cards).to_have_count(4)
    filters = page.get_by_role("group", name="Filter by state")
    await expect(filters).to_contain_text(re.compile(r"All\s*4\s*Active\s*3\s*Paused\s*1\s*With errors\s*1"))
    await filters.get_by_role("button", name="Paused").click()
    await expect(cards).to_have_count(1)
    assert page.url.endswith("?state=paused")
    await page.reload()
    await expect(card(page, "Held")).to_be_visible()
    await expect(cards).to_have_count(1)
    await page.get_by_role("link", name="1 watcher has errors").click()
    await expect(card(page, "Broken")).to_be_visible()
    await expect(cards).to_have_count(1)


async def test_watchers_are_grouped_by_job_and_the_address_says_so(busy: Served, window: Window) -> None:
    page = window.page
    await page.goto(busy.url)
    await page.get_by_role("button", name="By job").click()
    await expect(page.get_by_role("heading", name="Job 4711 · train on localhost")).to_be_visible()
    await expect(page.get_by_text("2 watchers, fired 4 times")).to_be_visible()
    assert "view=jobs" in page.url
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    await page.reload()
    await expect(page.get_by_role("heading", name="Job 4712 · evaluate on localhost")).to_be_visible()
    await page.get_by_role("link", name="Job 4711 · train").click()
    await page.wait_for_url("**/jobs/localhost/4711")


async def test_a_card_pauses_resumes_and_triggers(busy: Served, window: Window) -> None:
    page = window.page
    await page.goto(busy.url)
    loss = card(page, "Loss")
    await loss.get_by_role("button", name="Pause Loss").click()
    await expect(loss).to_contain_text("Paused")
    await expect(page.get_by_text("Loss is paused")).to_be_visible()
    resume = loss.get_by_role("button", name="Resume Loss")
    await expect(resume).to_be_focused()
    await resume.click()
    await expect(loss).to_contain_text("Active")
    await loss.get_by_role("button", name="Trigger Loss").click()
    dialog = page.get_by_role("dialog", name="Trigger Loss now?")
    await expect(dialog).to_contain_text("store_metric")
    await window.assert_accessible("dialog")
    await dialog.get_by_role("button", name="Trigger", exact=True).click()
    await expect(page.get_by_text("its actions run, on the newest match")).to_be_visible()
    await expect(loss).to_contain_text(f"3{TIMES}")
    await expect(loss.get_by_role("link", name="Edit Loss")).to_have_attribute("href", re.compile(r"^/edit/\d+$"))
    await expect(loss.get_by_role("link", name="Copy Loss")).to_have_attribute("href", re.compile(r"^/new\?copy=\d+$"))


async def test_a_refusal_says_what_is_wrong_and_stays(served: Served, window: Window) -> None:
    served.jobs.add("1")
    served.house.write("Declared", suspend=True)
    await served.look()
    page = window.page
    await page.goto(served.url)
    await card(page, "Declared").get_by_role("button", name="Resume Declared").click()
    await expect(page.get_by_role("alert").filter(has_text="suspend")).to_be_visible()
    await window.assert_accessible()
    await page.get_by_role("button", name="Dismiss").click()
    await card(page, "Declared").get_by_role("button", name="Show details").click()
    await card(page, "Declared").get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("dialog", name="Its file lies elsewhere")).to_contain_text("Declared.yaml")
    await window.assert_accessible("dialog")


async def test_many_are_selected_paused_resumed_and_deleted(busy: Served, window: Window) -> None:
    page = window.page
    await page.goto(busy.url)
    await page.get_by_role("checkbox", name="Select Loss").check()
    bar = page.get_by_role("region", name="Selection")
    await expect(bar).to_contain_text("1 watcher selected")
    await window.assert_fits_a_phone()
    await page.get_by_role("checkbox", name="Select Held").click(modifiers=["Shift"])
    await expect(bar).to_contain_text("4 watchers selected")
    await window.assert_accessible()
    await bar.get_by_role("button", name="Pause").click()
    dialog = page.get_by_role("dialog", name="Pause 4 watchers")
    await dialog.get_by_label("Why").fill("maintenance")
    await window.assert_accessible("dialog")
    await dialog.get_by_role("button", name="Pause").click()
    await expect(page.get_by_text("4 watchers paused")).to_be_visible()
    await expect(page.get_by_role("article").filter(has_text="Paused")).to_have_count(4)
    await expect(bar).to_be_hidden()
    assert {hold.reason for row in busy.house.rows() for hold in row.holds} >= {"maintenance"}
    await page.get_by_role("checkbox", name="Select Loss").check()
    await bar.get_by_role("button", name="Select all 4 shown").click()
    await bar.get_by_role("button", name="Resume").click()
    await expect(page.get_by_role("article").filter(has_text="Active")).to_have_count(4)
    await page.get_by_role("checkbox", name="Select Waiting").check()
    await page.get_by_role("checkbox", name="Select Held").check()
    await bar.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog", name="Delete 2 watchers?").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("article")).to_have_count(2)
    assert {row.name for row in busy.house.rows() if row.phase != "stopped"} == {"Loss", "Broken"}
    await page.get_by_role("checkbox", name="Select Loss").check()
    await page.keyboard.press("Escape")
    await expect(bar).to_be_hidden()


async def test_what_could_not_be_done_to_some_is_listed(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    served.house.write("Declared")
    await served.create("Ours", "1")
    await page.goto(served.url)
    await page.get_by_role("checkbox", name="Select Declared").check()
    await page.get_by_role("checkbox", name="Select Ours").check()
    await page.get_by_role("region", name="Selection").get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    told = page.get_by_role("dialog", name="1 watcher could not be deleted")
    await expect(told).to_contain_text("Declared")
    await window.assert_accessible("dialog")
    await expect(page.get_by_text("1 watcher deleted")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("article", include_hidden=False)).to_have_count(1)


async def test_cards_tell_timers_and_watchers_that_only_observe(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1").write_text("hit\n")
    await served.look()
    await served.create("Clock", "1", timer_mode_enabled=True, timer_interval_seconds=300)
    await served.create("Later", "1", pattern="never", timer_mode_enabled=True)
    await served.create("Careful", "1", mode="observe")
    await page.goto(served.url)
    await expect(card(page, "Clock")).to_contain_text(re.compile(r"timer in [45] min"))
    await expect(card(page, "Later")).to_contain_text("timer")
    await expect(card(page, "Careful")).to_contain_text("observe")
    await card(page, "Clock").get_by_role("button", name="Show details").click()
    await expect(card(page, "Clock")).to_contain_text("on, every 5 min")
    await expect(card(page, "Clock")).to_contain_text("Last trigger")
    await window.assert_accessible()


async def test_what_happens_is_shown_as_it_happens_and_nothing_jumps(busy: Served, window: Window) -> None:
    page = window.page
    await page.goto(busy.url)
    loss = card(page, "Loss")
    await expect(loss).to_contain_text(f"2{TIMES}")
    before = await loss.bounding_box()
    out = busy.house.outputs / "localhost-4711.out"
    with out.open("a") as file:
        file.write("loss: 1.5\n")
    await expect(loss).to_contain_text(f"3{TIMES}")
    assert await loss.bounding_box() == before
    await busy.create("Fresh", "4712", pattern="fresh")
    await expect(card(page, "Fresh")).to_be_visible()
    fresh = busy.house.row("Fresh")
    assert (await busy.http.post(f"/api/watchers/{fresh.id}/pause")).status_code == 200
    await expect(card(page, "Fresh")).to_contain_text("Paused")
    assert (await busy.http.delete(f"/api/watchers/{fresh.id}")).status_code == 200
    await expect(card(page, "Fresh")).to_have_count(0)


async def test_a_watcher_has_an_address_of_its_own(busy: Served, window: Window) -> None:
    page = window.page
    number = busy.house.row("Loss").id
    await window.go(f"/watchers/{number}")
    await window.heading("Loss")
    await expect(page.get_by_role("article", name="Loss")).to_contain_text("Keeps the loss.")
    await page.locator(".events").scroll_into_view_if_needed()
    events = page.locator(".event").filter(has_text="store_metric")
    await expect(events.first).to_contain_text("loss = 2")
    await page.get_by_text("Its file").click()
    await expect(page.get_by_text("description: Keeps the loss.")).to_be_visible()
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await window.heading("Watchers")
    await expect(card(page, "Loss")).to_have_count(0)
    await window.go("/watchers/999999")
    await expect(page.get_by_role("heading", name="No such watcher")).to_be_visible()


async def test_everything_on_a_card_is_reached_by_keyboard(busy: Served, window: Window) -> None:
    page = window.page
    await page.goto(busy.url)
    await card(page, "Held").wait_for()
    await page.get_by_role("searchbox").focus()
    await page.keyboard.type("loss vision")
    await expect(page.get_by_role("article")).to_have_count(1)
    reached: list[str] = []
    for _ in range(20):
        await page.keyboard.press("Tab")
        reached.append(
            await page.evaluate(
                "() => document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
            )
        )
    for wanted in ("Select Loss", "Loss", "Show details of Loss", "Pause Loss", "Trigger Loss", "Edit Loss"):
        assert wanted in reached
    await page.get_by_role("button", name="Show details of Loss").focus()
    await page.keyboard.press("Enter")
    await expect(card(page, "Loss").get_by_text("Keeps the loss.")).to_be_visible()
    await page.get_by_role("checkbox", name="Select Loss").focus()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("region", name="Selection")).to_be_visible()


async def test_no_watchers_yet_says_what_to_do(window: Window) -> None:
    page = window.page
    await expect(page.get_by_role("heading", name="No watchers yet")).to_be_visible()
    await expect(page.get_by_text("All is well")).to_be_visible()
    await window.assert_accessible()
    await window.assert_fits_a_phone()


async def test_watchers_that_no_job_fits_are_told_and_a_bad_file_is_not_well(served: Served, window: Window) -> None:
    page, house = window.page, served.house
    house.write("waits", jobs={"name": "nobody"})
    bad = house.watchers / "bad.yaml"
    bad.write_text("name: bad\npattern: (unclosed\nactions: [{type: pause_watcher}]\n")
    house._settle(bad)
    await eventually(lambda: _declared(served))
    await page.reload()
    await expect(page.get_by_role("heading", name="No job fits yet")).to_be_visible()
    await expect(page.get_by_text("1 watcher is declared.")).to_be_visible()
    await expect(page.get_by_text("All is well")).to_have_count(0)
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    await page.get_by_role("link", name="1 file is invalid").click()
    await expect(page.get_by_role("heading", name="Invalid files")).to_be_visible()


async def _declared(served: Served) -> bool:
    told = await served.get("/api/plan/summary")
    return bool((told["declared"], told["invalid_files"], told["waiting"], told["alarms"]) == (1, 1, 0, 0))


async def test_a_list_that_cannot_be_loaded_says_so_and_is_tried_again(busy: Served, window: Window) -> None:
    page = window.page
    body = '{"code": "internal", "detail": "the disk is full", "remedy": "make room"}'
    await page.route("**/api/watchers/outline", lambda route: route.fulfill(status=507, body=body))
    await page.goto(busy.url)
    alert = page.get_by_role("main").get_by_role("alert")
    await expect(alert).to_contain_text("the disk is full")
    await expect(alert).to_contain_text("make room")
    await window.assert_accessible()
    await page.unroute("**/api/watchers/outline")
    await alert.get_by_role("button", name="Try again").click()
    await expect(card(page, "Loss")).to_be_visible()
    window.faults.clear()
