"""A watcher edited in the creator: comments stay; what git owns is shown as what to commit; the file as text."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from parts.served import Served
from parts.waiting import eventually
from parts.window import PATIENCE, Window
from playwright.async_api import Page, expect

expect.set_options(timeout=PATIENCE)

TEXT = """\
# kept on top
name: Mine
jobs: {ids: ['1']}
pattern: 'loss: (\\S+)'   # beside
captures: [loss]
actions:
  - type: log_event   # loud
    params: {message: "$loss"}
  - type: store_metric
    params: {name: loss, value: $loss}
"""


async def shown(page: Page) -> str:
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    return await page.get_by_role("region", name="The file that will be written").inner_text()


@pytest.mark.timeout(180)
async def test_an_edit_keeps_comments_and_writes_what_was_shown(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1").write_text("loss: 1\n")
    await served.look()
    made = await served.post("/api/watchers", {"yaml": TEXT})
    await window.go(f"/edit/{made['id']}")
    await expect(page.get_by_label("Group 1", exact=True)).to_have_value("loss")
    await expect(page.get_by_role("region", name="Output with what the pattern finds").locator("mark")).to_have_text(
        "loss: 1"
    )
    assert await shown(page) == TEXT
    await page.get_by_label("Message", exact=True).fill("it is $loss")
    await page.get_by_role("button", name="Move down action 1").click()
    await page.get_by_role("button", name="Move up action 2").click()
    await page.get_by_text("More: conditions, limits").click()
    await page.get_by_label("Most triggers").fill("7")
    await expect(page.get_by_role("region", name="The file that will be written")).to_contain_text("max_triggers: 7")
    wanted = await shown(page)
    assert wanted == TEXT.replace('"$loss"', '"it is $loss"') + "max_triggers: 7\n"
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.wait_for_url(f"**/watchers/{made['id']}")
    assert Path(made["file"]).read_text() == wanted
    spec = (await served.get(f"/api/watchers/{made['id']}"))["spec"]
    assert (spec["max_triggers"], spec["actions"][0]["params"]) == (7, {"message": "it is $loss"})


async def edited_as_text(served: Served, window: Window) -> Any:
    """Make a watcher of `TEXT`, and open its file as text; return what the API said of it."""
    served.jobs.add("1")
    await served.look()
    made = await served.post("/api/watchers", {"yaml": TEXT})
    await window.go(f"/edit/{made['id']}")
    await shown(window.page)
    await window.page.get_by_role("button", name="Edit as text").click()
    return made


@pytest.mark.timeout(180)
async def test_the_file_is_edited_as_text_too_and_comes_back_into_the_form(served: Served, window: Window) -> None:
    page = window.page
    made = await edited_as_text(served, window)
    text = page.get_by_label("The whole file")
    await expect(text).to_have_value(TEXT)
    await text.fill(TEXT.replace("captures: [loss]", "captures: [loss]\ncooldown: soon"))
    await expect(page.get_by_text("not a duration").first).to_be_visible()
    await expect(page.get_by_text(re.compile(r"\.yaml:6:11")).first).to_be_visible()
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    changed = TEXT.replace("captures: [loss]", "captures: [loss]\ncooldown: 10s   # mine")
    await text.fill(changed)
    await expect(page.get_by_role("region", name="The file that will be written")).to_contain_text("# mine")
    await shown(page)
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.wait_for_url(f"**/watchers/{made['id']}")
    assert Path(made["file"]).read_text() == changed


@pytest.mark.timeout(180)
async def test_a_file_that_was_changed_meanwhile_is_not_replaced(served: Served, window: Window) -> None:
    page = window.page
    made = await edited_as_text(served, window)
    await page.get_by_label("The whole file").fill(f"{TEXT}cooldown: 10s\n")
    await shown(page)
    Path(made["file"]).write_text(f"{TEXT}# by hand\n")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("was changed since it was read").first).to_be_visible()
    assert Path(made["file"]).read_text() == f"{TEXT}# by hand\n"


@pytest.mark.timeout(180)
async def test_what_git_owns_is_shown_to_be_committed(served: Served, window: Window) -> None:
    page = window.page
    folder = served.house.watchers

    async def git(*words: str) -> None:
        program = ["git", "-C", str(folder.parent), "-c", "user.name=a", "-c", "user.email=a@b", *words]
        await asyncio.to_thread(subprocess.run, program, check=True)

    (folder / "theirs.yaml").write_text(TEXT.replace("Mine", "Theirs"))
    await git("init", "-q")
    await git("add", "watchers.d/theirs.yaml")
    await git("commit", "-qm", "theirs")
    served.jobs.add("1")
    await served.look()
    await eventually(lambda: served.house.rows("Theirs"))
    row = served.house.row("Theirs")
    await window.go(f"/edit/{row.id}")
    await expect(page.get_by_text("comes from a file that these pages do not write")).to_be_visible()
    await expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    await page.get_by_label("Pattern", exact=True).fill("val_loss: (.*)")
    await expect(page.get_by_role("button", name="Copy YAML")).to_be_visible()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download patch").click()
    patch = Path(await (await download.value).path()).read_text()
    assert "--- a/watchers.d/theirs.yaml" in patch
    assert "+pattern: 'val_loss: (.*)'" in patch
    await window.assert_accessible()
    await page.get_by_role("button", name="Show what to commit").click()
    dialog = page.get_by_role("dialog", name="Commit this change")
    await expect(dialog.get_by_text("theirs.yaml").first).to_be_visible()
    await expect(dialog.get_by_text("val_loss")).to_be_visible()
    await window.assert_accessible("dialog")
    assert "val_loss" not in (folder / "theirs.yaml").read_text()
