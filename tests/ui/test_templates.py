"""The library of templates in a browser: found, looked at, used, saved from the creator, deleted."""

from __future__ import annotations

import re

import pytest
from parts.served import LOG, Served
from parts.window import PATIENCE, Window
from playwright.async_api import expect

from reconciler.api.keys import Scope

expect.set_options(timeout=PATIENCE)


@pytest.mark.timeout(180)
async def test_a_template_is_found_looked_at_and_used(served: Served, window: Window) -> None:
    page = window.page
    folder = served.house.watchers / "templates"
    folder.mkdir()
    name = "<b>Mine</b> \u202e"
    (folder / "bad.yaml").write_text("name: Bad one\npattern: (\nactions: [{type: log_event, params: {message: m}}]\n")
    (folder / "mine.yaml").write_text(
        f"# category: Team <i>\n# tags: mine\nname: {name.strip()[:11]}\npattern: x\n"
        "actions: [{type: log_event, params: {message: m}}]\n"
    )
    served.jobs.add("1").write_text("loss: 0.5\n")
    await served.look()
    await window.go("/templates")
    await expect(page.get_by_role("heading", name="Training", level=2)).to_be_visible()
    await expect(page.get_by_role("heading", name="<b>Mine</b>")).to_be_visible()
    await expect(page.get_by_text("It cannot be used:")).to_be_visible()
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    await page.get_by_role("button", name="metric", exact=True).click()
    await expect(page.get_by_text("3 templates")).to_be_visible()
    await page.get_by_label("Search templates").fill("loss tracker")
    await expect(page.get_by_text("2 templates")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("2 templates")).to_be_visible()
    await page.get_by_role("button", name="Show Loss tracker").click()
    dialog = page.get_by_role("dialog", name="Loss tracker")
    await expect(dialog.get_by_text("cooldown: 10s")).to_be_visible()
    await window.assert_accessible("dialog")
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name="Use Loss tracker").click()
    await window.heading("New watcher")
    await expect(page.get_by_text("1 match in the last 1 line")).to_be_visible()
    await expect(page.get_by_role("list", name="Chosen jobs")).to_contain_text("1@localhost")
    await expect(page.get_by_label("Name", exact=True).first).to_have_value("loss")
    await page.get_by_role("button", name="Create watcher").click()
    await page.wait_for_url(re.compile(r"/watchers/\d+$"))
    assert served.house.row("Loss tracker").job.id == "1"


@pytest.mark.timeout(180)
async def test_one_is_saved_from_the_creator_and_deleted_again(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()
    made = await served.create("Mine", actions=[LOG])
    await window.go(f"/edit/{made['id']}")
    await page.get_by_role("button", name="Save as template").click()
    dialog = page.get_by_role("dialog", name="Save as a template")
    await dialog.get_by_label("Name").fill("Hits of anybody")
    await dialog.get_by_label("Category").fill("Team")
    await dialog.get_by_label("Tags").fill("hit, team")
    await window.assert_accessible("dialog")
    await dialog.get_by_role("button", name="Save the template").click()
    await expect(page.get_by_text("The template Hits of anybody is saved")).to_be_visible()
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Templates").click()
    await expect(page.get_by_role("heading", name="Team", level=2)).to_be_visible()
    found = (await served.get("/api/templates/hits-of-anybody"))["spec"]
    assert (found["pattern"], "jobs" in found) == ("hit", False)
    await page.get_by_role("button", name="Delete Hits of anybody").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    await expect(page.get_by_role("heading", name="Hits of anybody")).to_have_count(0)
    assert (await served.http.get("/api/templates/hits-of-anybody")).status_code == 404


async def test_a_key_that_only_reads_looks_and_does_not_use(served: Served, stranger: Window) -> None:
    await stranger.sign_in(Scope.READ, to="/templates")
    await expect(stranger.page.get_by_role("button", name="Show Loss tracker")).to_be_visible()
    await expect(stranger.page.get_by_role("link", name="Use Loss tracker")).to_have_count(0)
