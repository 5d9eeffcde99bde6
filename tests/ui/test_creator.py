"""The creator, as a person uses it: a watcher made for a job that runs, tried on its output, saved as it was shown."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from parts.house import House
from parts.served import Served, serving
from parts.waiting import eventually
from parts.window import PATIENCE, Window, window_on
from playwright.async_api import Browser, Dialog, Locator, Page, expect

from reconciler import app
from reconciler.api.keys import Scope

expect.set_options(timeout=PATIENCE)

SCRIPT = "echo 'epoch 1 loss: 0.5'; sleep 1; echo 'epoch 2 loss: 0.25'; for i in $(seq 600); do sleep 0.1; done"
HOSTILE = "<img src=x onerror=alert(1)>\u202eevil"


@pytest.fixture
async def real(house: House, chromium: Browser) -> AsyncIterator[Window]:
    """A signed-in window on a house whose jobs are real processes."""
    async with serving(house) as served, window_on(served, chromium) as window:
        await window.sign_in()
        yield window
        for known in served.engine.controller.discovery.known.values():
            await served.engine.parts.hosts[known.now.host].scheduler.cancel(known.now, "the test is over")


async def file_shown(page: Page) -> str:
    """The text of the file panel, once it is valid."""
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    return await page.get_by_role("region", name="The file that will be written").inner_text()


def part(page: Page, heading: str) -> Locator:
    return page.get_by_role("region", name=heading)


# --- a new watcher ---------------------------------------------------------------------------------------------------


@pytest.mark.timeout(180)
async def test_what_is_made_for_the_running_job_acts_on_its_output_and_is_the_file_that_was_shown(
    house: House, real: Window
) -> None:
    page = real.page
    job_id = await house.submit(SCRIPT, wait=False, **{"job-name": "train"})
    await eventually(lambda: job_id in {key.id for key in real.served.engine.controller.discovery.known})
    await real.go("/new")
    await expect(page.get_by_role("list", name="Chosen jobs")).to_contain_text(f"{job_id}@localhost")
    output = page.get_by_role("region", name="Output with what the pattern finds")
    await expect(output).to_contain_text("epoch 2 loss: 0.25")
    await page.get_by_label("Pattern", exact=True).fill(r"loss: (\S+)")
    await expect(page.get_by_text("2 matches in the last 2 lines")).to_be_visible()
    await expect(output.locator("mark")).to_have_text(["loss: 0.5", "loss: 0.25"])
    await expect(page.get_by_text(re.compile("hyperscan|re2"), exact=True)).to_be_visible()
    await page.get_by_label("Group 1", exact=True).fill("loss")
    await expect(page.get_by_text("found: 0.25")).to_be_visible()
    message = page.get_by_label("Message", exact=True)
    await message.fill("loss is ")
    await page.get_by_role("button", name="$loss", exact=True).click()
    await page.get_by_role("button", name="${JOB_ID}", exact=True).first.click()
    await expect(message).to_have_value("loss is $loss${JOB_ID}")
    await real.assert_accessible()
    await real.assert_fits_a_phone()
    await expect(page.get_by_role("region", name="The file that will be written")).to_contain_text("$loss${JOB_ID}")
    shown = await file_shown(page)
    assert "name: Loss\n" in shown
    await page.get_by_role("button", name="Create watcher").click()
    await page.wait_for_url(re.compile(r"/watchers/\d+$"))
    row = house.row("Loss")
    assert page.url.endswith(f"/watchers/{row.id}")
    (file,) = app.api_directory(house.settings).glob("*.yaml")
    assert file.read_text() == shown
    await eventually(lambda: len(house.events("action.succeeded", watcher="Loss")) == 2)
    told = [event.action_result for event in house.events("action.succeeded", watcher="Loss")]
    assert told == [f"loss is 0.5{job_id}", f"loss is 0.25{job_id}"]


@pytest.mark.timeout(180)
async def test_of_several_jobs_some_are_chosen_by_keyboard_alone_and_one_file_or_several_are_for_them(
    served: Served, window: Window
) -> None:
    page = window.page
    for number, name in (("1", "train-a"), ("2", HOSTILE), ("3", "train-b")):
        served.jobs.add(number, name=name).write_text("x\n")
    await served.look()
    await window.go("/new")
    dialog = page.get_by_role("dialog", name="Watch which jobs?")
    await expect(dialog.get_by_role("searchbox")).to_be_focused()
    await expect(dialog.get_by_text("<img src=x")).to_be_visible()
    await window.assert_accessible("dialog")
    await page.keyboard.type("train")
    await expect(dialog.get_by_role("checkbox")).to_have_count(2)
    for _ in range(2):
        await page.keyboard.press("Tab")
        await page.keyboard.press("Space")
    await expect(dialog.get_by_text("2 jobs chosen")).to_be_visible()
    await page.keyboard.press("Tab")
    while await page.evaluate("() => document.activeElement.textContent") != "Use these jobs":
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_label("Pattern", exact=True)).to_be_focused()
    await page.keyboard.type("x")
    await page.get_by_label("Name", exact=True).fill("Both")
    assert '  ids:\n    - "1"\n    - "3"\n' in (await file_shown(page)).replace('"3"\n    - "1"', '"1"\n    - "3"')
    await page.get_by_label("A file of its own for each job").check()
    await expect(page.get_by_role("region", name="The file that will be written")).not_to_contain_text(
        '- "1"\n    - "3"'
    )
    await file_shown(page)
    await page.get_by_role("button", name="Create watcher").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/watchers$"))
    found = await served.get("/api/watchers")
    assert {each["job_id"] for each in found["watchers"]} == {"1", "3"}
    assert len({each["file"] for each in found["watchers"]}) == 2
    # copied to another job, by its own page
    await window.go(f"/new?from={found['watchers'][0]['id']}&job=2")
    await expect(page.get_by_role("list", name="Chosen jobs")).to_contain_text("2@localhost")
    await page.get_by_role("button", name="Create watcher").click()
    await page.wait_for_url(re.compile(r"/watchers/\d+$"))
    assert (await served.get("/api/watchers"))["total"] == 3


@pytest.mark.timeout(180)
async def test_what_is_wrong_is_said_at_its_field_with_its_place_in_the_file(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1").write_text("<script>alert(1)</script> \u202e" + "y" * 100_000 + "\nloss: 1\n")
    await served.look()
    await window.go("/new")
    await expect(page.get_by_role("region", name="Output with what the pattern finds")).to_contain_text("<script>alert")
    pattern = page.get_by_label("Pattern", exact=True)
    await pattern.fill("loss: (")
    await expect(page.get_by_text("is no regular expression")).to_be_visible()
    await expect(page.get_by_text(re.compile(r"watcher\.yaml:\d+:\d+")).first).to_be_visible()
    await expect(pattern).to_have_attribute("aria-invalid", "true")
    await pattern.fill("loss: (.*)")
    await expect(page.get_by_text("is no regular expression")).to_have_count(0)
    await page.get_by_text("More: conditions, limits").click()
    await page.get_by_label("Cooldown").fill("soon")
    await page.get_by_label("Condition", exact=True).fill("loss >< 1")
    await expect(page.get_by_text("not a duration")).to_be_visible()
    await page.get_by_role("button", name="Add an action").click()
    kinds = page.get_by_role("dialog", name="Add an action")
    await expect(kinds.get_by_role("heading", name="Notify")).to_be_visible()
    await window.assert_accessible("dialog")
    await kinds.get_by_role("button", name="Run command").click()
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    await page.get_by_role("button", name="Create watcher").click()
    await expect(page.get_by_text("Something is still wrong or missing")).to_be_visible()
    await expect(page.get_by_text("command is missing")).to_be_visible()
    assert (await served.get("/api/watchers"))["total"] == 0
    await page.get_by_role("button", name="Remove action 2").click()
    await page.get_by_label("Cooldown").fill("")
    await page.get_by_label("Condition", exact=True).fill("float(loss) > 0")
    await page.get_by_label("Group 1", exact=True).fill("loss")
    await expect(page.get_by_text("1 match in the last 2 lines")).to_be_visible()
    await file_shown(page)


@pytest.mark.timeout(180)
async def test_a_selector_is_counted_while_it_is_entered(served: Served, window: Window) -> None:
    page = window.page
    for number in range(5):
        served.jobs.add(str(number), name="train" if number < 3 else "eval")
    await served.look()
    await window.go("/new")
    await page.get_by_role("button", name="All jobs that fit").click()
    await expect(page.get_by_text("Every job: 5 now.")).to_be_visible()
    await page.get_by_label("Job name").fill("tra*")
    await expect(page.get_by_text("Meets 3 jobs of 5 now.")).to_be_visible()
    await page.get_by_role("button", name="Errors", exact=True).click()
    assert "jobs:\n  name:\n    - tra*\n" in await file_shown(page)
    await page.get_by_role("button", name="Create watcher").click()
    await page.wait_for_url(re.compile(r"/watchers/\d+$"))
    assert {each["job_id"] for each in (await served.get("/api/watchers"))["watchers"]} == {"0", "1", "2"}


@pytest.mark.timeout(180)
async def test_what_is_not_saved_is_kept_over_a_reload_and_asked_about_when_leaving(
    served: Served, window: Window
) -> None:
    page = window.page
    served.jobs.add("1")
    await served.look()

    async def agree(dialog: Dialog) -> None:
        await dialog.accept()

    page.on("dialog", agree)
    await window.go("/new")
    await page.get_by_label("Pattern", exact=True).fill("kept (.*)")
    await page.get_by_label("Message", exact=True).fill("it said $1")
    await file_shown(page)
    await page.reload()
    await expect(page.get_by_text("This is what you had entered and not saved.")).to_be_visible()
    await expect(page.get_by_label("Pattern", exact=True)).to_have_value("kept (.*)")
    await expect(page.get_by_label("Message", exact=True)).to_have_value("it said $1")
    question = page.get_by_role("dialog", name="Leave without saving?")
    plan = page.get_by_role("navigation", name="Pages").get_by_role("link", name="Plan")
    await plan.click()
    await window.assert_accessible("dialog")
    await question.get_by_role("button", name="Stay").click()
    assert page.url.endswith("/new")
    await plan.click()
    await question.get_by_role("button", name="Keep it and leave").click()
    await window.heading("Plan")
    await page.go_back()
    await expect(page.get_by_label("Pattern", exact=True)).to_have_value("kept (.*)")
    await plan.click()
    await question.get_by_role("button", name="Discard it").click()
    await window.heading("Plan")
    await page.go_back()
    await expect(page.get_by_label("Pattern", exact=True)).to_have_value("")


async def test_a_key_that_only_reads_cannot_save(served: Served, stranger: Window) -> None:
    served.jobs.add("1")
    await served.look()
    await stranger.sign_in(Scope.READ, to="/new")
    await stranger.page.get_by_label("Pattern", exact=True).fill("x")
    await file_shown(stranger.page)
    await expect(stranger.page.get_by_role("button", name="Create watcher")).to_be_disabled()
