"""Texts that others write (names, patterns, labels, log lines) show as texts, at any length."""

from __future__ import annotations

from parts.served import LOG, Served
from parts.waiting import eventually
from parts.window import PATIENCE, Window
from playwright.async_api import expect

expect.set_options(timeout=PATIENCE)

SCRIPT = "<script>window.hit = 1</script><img src=x onerror='window.hit = 2'>"
#: Right-to-left letters, and marks that turn the direction of what follows them.
TURNED = "\u05e9\u05dc\u05d5\u05dd"
MARKS = "\u202e\u2066\u200f"
LONG = "x" * 100_000


async def test_hostile_texts_show_as_texts_on_cards_details_and_events(served: Served, window: Window) -> None:
    page = window.page
    out = served.jobs.add("1", name=f"job {MARKS}{SCRIPT}")
    out.write_text(f"find {MARKS}{SCRIPT}\nfind {LONG}\n")
    await served.look()
    name = f"{TURNED} {SCRIPT}"
    pattern = f"find (?P<all>.+)|{SCRIPT}"
    await served.create(
        name,
        "1",
        pattern=pattern,
        captures=["all"],
        actions=[LOG],
        labels={"a": SCRIPT},
        description=f"{MARKS}{SCRIPT}",
    )
    await eventually(lambda: len(served.house.events("action.succeeded")) == 2)
    await page.goto(served.url)
    card = page.get_by_role("article")
    await expect(card).to_contain_text(pattern)
    await expect(card).to_contain_text("<script>window.hit = 1</script>")
    await card.get_by_role("button", name="Show details").click()
    await expect(card.locator(".w-last")).to_contain_text("log_event")
    more = card.get_by_role("button", name="show all").first
    await expect(more).to_be_visible()
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    await page.get_by_role("button", name="By job").click()
    await expect(page.get_by_role("heading", name=f"Job 1 · job {MARKS}")).to_be_visible()
    await window.go("/events?kind=all")
    await expect(page.get_by_text(f"find {MARKS}{SCRIPT}").first).to_be_visible()
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    events = page.get_by_role("main").get_by_role("listitem").filter(has_text="show all")
    shown = await events.first.inner_text()
    assert len(shown) < 2000
    await events.first.get_by_role("button", name="show all").first.click()
    await expect(events.first.get_by_role("button", name="show less").first).to_be_visible()
    await window.go(f"/watchers/{served.house.rows()[0].id}")
    await page.get_by_text("Its file").click()
    await window.assert_fits_a_phone()
    assert (
        await page.evaluate(
            "() => window.hit === undefined && document.querySelectorAll('main script, main img').length"
        )
        == 0
    )
    isolated = (
        "() => [...document.querySelectorAll('bdi')].every(each => getComputedStyle(each).unicodeBidi === 'isolate')"
    )
    assert await page.evaluate(isolated)
