"""What is pressed twice is done once; what is gone cannot be selected; what others did is not undone."""

from __future__ import annotations

import re
from pathlib import Path

from parts.served import Served
from parts.window import PATIENCE, Window
from playwright.async_api import Dialog, Locator, Page, expect

expect.set_options(timeout=PATIENCE)


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name, exact=True)


async def test_the_second_half_of_a_double_click_on_pause_does_not_resume(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    made = await served.create("w", "1")
    await page.goto(served.url)
    box = await card(page, "w").get_by_role("button", name="Pause w").bounding_box()
    assert box is not None
    place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    await page.mouse.move(*place)
    await page.mouse.down()
    await page.mouse.up()
    await expect(card(page, "w").get_by_role("button", name="Resume w")).to_be_visible()
    await page.mouse.down(click_count=2)
    await page.mouse.up(click_count=2)
    await window.settled()
    await expect(page.get_by_text("w is paused")).to_be_visible()
    await window.go("/jobs")  # whatever was asked for has been done by then
    assert (await served.get(f"/api/watchers/{made['id']}"))["state"] == "paused"


async def test_create_that_is_pressed_twice_makes_one_watcher(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    await window.go("/new")
    await page.get_by_label("Pattern", exact=True).fill("x")
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    held = await window.hold("**/api/watchers/preview")
    create = page.get_by_role("button", name="Create watcher")
    await create.dblclick()
    await held.here()
    await held.let_go()
    await page.wait_for_url(re.compile(r"/watchers/\d+$"))
    await window.settled()
    asked = [each for each in window.asked if each == f"POST {served.url}/api/watchers"]
    assert len(asked) == 1


async def test_what_was_deleted_elsewhere_is_not_selected_any_more(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    made = [await served.create(name, "1") for name in ("One", "Two", "Three")]
    await page.goto(served.url)
    for name in ("One", "Two"):
        await page.get_by_role("checkbox", name=f"Select {name}").check()
    bar = page.get_by_role("region", name="Selection")
    await expect(bar).to_contain_text("2 watchers selected")
    assert (await served.http.delete(f"/api/watchers/{made[0]['id']}")).status_code == 200
    await expect(card(page, "One")).to_have_count(0)
    await expect(bar).to_contain_text("1 watcher selected")
    await page.get_by_role("searchbox", name="Search watchers").fill("three")
    await expect(page.get_by_role("article")).to_have_count(1)
    await bar.get_by_role("button", name="Select all 1 shown").click()
    await expect(bar).to_contain_text("2 watchers selected")


async def test_a_watcher_that_is_deleted_elsewhere_is_stopped_on_its_page(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    made = await served.create("w", "1")
    await window.go(f"/watchers/{made['id']}")
    await expect(card(page, "w")).to_contain_text("Active")
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    assert (await served.http.delete(f"/api/watchers/{made['id']}")).status_code == 200
    await expect(card(page, "w")).to_contain_text("Stopped")
    await expect(card(page, "w").get_by_role("button", name="Trigger w")).to_have_count(0)


async def test_what_was_entered_is_saved_beside_what_others_changed_meanwhile(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    made = await served.create("w", "1")

    async def agree(dialog: Dialog) -> None:
        await dialog.accept()

    page.on("dialog", agree)
    await window.go(f"/edit/{made['id']}")
    await page.get_by_label("Pattern", exact=True).fill("mine")
    await expect(page.get_by_role("region", name="The file that will be written")).to_contain_text("mine")
    await page.reload()
    await expect(page.get_by_text("This is what you had entered and not saved.")).to_be_visible()
    answer = await served.http.put(f"/api/watchers/{made['id']}", json={"cooldown": "10s"})
    assert answer.status_code == 200
    await page.reload()
    await expect(page.get_by_label("Pattern", exact=True)).to_have_value("mine")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.wait_for_url(f"**/watchers/{made['id']}")
    spec = (await served.get(f"/api/watchers/{made['id']}"))["spec"]
    assert (spec["pattern"], spec.get("cooldown")) == ("mine", 10.0)


async def test_a_text_that_was_kept_does_not_replace_what_others_changed_meanwhile(
    served: Served, window: Window
) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    made = await served.create("w", "1")

    async def agree(dialog: Dialog) -> None:
        await dialog.accept()

    page.on("dialog", agree)
    await window.go(f"/edit/{made['id']}")
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Edit as text").click()
    text = page.get_by_label("The whole file")
    await text.fill(await text.input_value() + "max_triggers: 3\n")
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    changed = (await served.http.put(f"/api/watchers/{made['id']}", json={"cooldown": "10s"})).json()
    await page.reload()
    await expect(text).to_have_value(re.compile("max_triggers: 3"))
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("was changed since it was read").first).to_be_visible()
    assert "cooldown" in Path(changed["file"]).read_text()
