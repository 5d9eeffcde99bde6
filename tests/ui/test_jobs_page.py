"""The page of jobs, and a real local job whose output is followed to its end; by keyboard, on a phone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parts.house import House
from parts.served import Served, serving
from parts.waiting import eventually
from parts.window import PATIENCE, Window, window_on
from playwright.async_api import Browser, expect

from reconciler.errors import SchedulerUnavailableError
from reconciler.model import JobState

expect.set_options(timeout=PATIENCE)

#: Prints as it is told to by files: so a test decides when.
SCRIPT = """
echo "epoch 1 loss: 0.5"
echo "a warning" >&2
while [ ! -e {go} ]; do sleep 0.05; done
echo "epoch 2 loss: 0.25"
while [ ! -e {end} ]; do sleep 0.05; done
echo "all is done"
"""


@pytest.fixture
async def real(house: House) -> AsyncIterator[Served]:
    """A served house with the real local jobs of this machine."""
    async with serving(house) as running:
        yield running
        await house.cancel_all()


async def test_a_real_job_is_found_and_its_output_followed_to_its_end(
    real: Served, chromium: Browser, tmp_path: Path
) -> None:
    go, end = tmp_path / "go", tmp_path / "end"
    options = {"job-name": "train", "error": str(tmp_path / "job.err")}
    job_id = await real.house.submit(SCRIPT.format(go=go, end=end), wait=False, **options)
    await real.look()
    async with window_on(real, chromium) as window:
        page = window.page
        await window.sign_in(to="/jobs")
        await page.get_by_role("searchbox", name="Search jobs").fill("trai")
        await page.get_by_role("link", name=job_id, exact=True).click()
        await window.heading(f"Job {job_id}@localhost")
        output = page.get_by_role("region", name="Output, stdout")
        await expect(output.get_by_role("listitem")).to_have_text(["1epoch 1 loss: 0.5"])
        follow = page.get_by_role("button", name="Follow")
        await expect(follow).to_have_attribute("aria-pressed", "true")
        go.touch()
        await expect(output.get_by_role("listitem")).to_have_text(["1epoch 1 loss: 0.5", "2epoch 2 loss: 0.25"])
        await page.get_by_role("tab", name="stderr").click()
        await expect(page.get_by_role("region", name="Output, stderr")).to_contain_text("a warning")
        assert "stream=stderr" in page.url
        await page.keyboard.press("ArrowLeft")
        await expect(page.get_by_role("tab", name="stdout")).to_be_focused()
        end.touch()
        await expect(page.get_by_text("all is done")).to_be_visible()
        await expect(page.get_by_role("main").get_by_text("completed", exact=True).first).to_be_visible()
        await expect(page.get_by_text("the job has ended")).to_be_visible()
        await window.assert_accessible()
        await window.assert_fits_a_phone()


async def test_jobs_are_narrowed_by_state_and_search_and_the_address_keeps_it(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1", name="train").write_text("hit\n")
    served.jobs.add("2", name="evaluate", state=JobState.PENDING)
    served.jobs.add("3", name="prepare")
    served.jobs.finish("3", JobState.FAILED)
    await served.look()
    await served.create("w", "1")
    await window.go("/jobs")
    rows = page.get_by_role("table").get_by_role("row")
    await expect(rows).to_have_count(4)
    await expect(page.get_by_role("row", name=re.compile("1 watcher of job 1 train"))).to_be_visible()
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    await page.get_by_label("State").select_option("failed")
    await expect(rows).to_have_count(2)
    await expect(rows.nth(1)).to_contain_text("prepare")
    await page.reload()
    await expect(rows).to_have_count(2)
    await page.get_by_role("searchbox", name="Search jobs").fill("nothing like it")
    await expect(page.get_by_role("heading", name="No job fits")).to_be_visible()
    await window.assert_accessible()
    await page.get_by_role("link", name="Show all jobs").click()
    await expect(rows).to_have_count(4)
    await page.get_by_role("link", name="2", exact=True).focus()
    await page.keyboard.press("Enter")
    await window.heading("Job 2@localhost")
    await expect(page.get_by_role("heading", name="Nothing is printed")).to_be_visible()
    await window.assert_accessible()


async def test_the_list_is_live_and_says_which_host_does_not_answer(served: Served, window: Window) -> None:
    page = window.page
    await window.go("/jobs")
    await expect(page.get_by_role("heading", name="No jobs are known")).to_be_visible()
    await window.assert_accessible()
    served.jobs.add("7", name="late <b>bold</b>\u202e")
    await served.look()
    await expect(page.get_by_text("late <b>bold</b>\u27e8U+202E\u27e9")).to_be_visible()
    served.jobs.failing = SchedulerUnavailableError("slurmctld <i>sleeps</i>")
    await served.look()
    await expect(page.get_by_text("does not answer: slurmctld <i>sleeps</i>")).to_be_visible()
    await window.assert_accessible()
    served.jobs.failing = None


async def test_a_job_that_is_not_known_and_one_without_outputs_say_so(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1", stdout=None, stderr=None)
    await served.look()
    await page.goto(f"{served.url}/jobs/localhost/99")
    await expect(page.get_by_role("heading", name="There is no such thing")).to_be_visible()
    await window.assert_accessible()
    await window.go("/jobs/localhost/1")
    await expect(page.get_by_role("heading", name="Where it prints is not known")).to_be_visible()
    await window.assert_accessible()


async def test_what_a_watcher_does_shows_on_the_page_of_its_job(served: Served, window: Window) -> None:
    page = window.page
    path = served.jobs.add("1")
    path.write_text("quiet\n")
    await served.look()
    await served.create("stop it", "1", actions=[{"type": "cancel_job"}])
    await window.go("/jobs/localhost/1")
    await expect(page.get_by_role("link", name=re.compile("stop it"))).to_be_visible()
    await expect(page.get_by_text("quiet")).to_be_visible()
    with path.open("a") as file:
        file.write("a hit\n")
    await eventually(lambda: served.jobs.cancelled)
    await expect(page.get_by_text("a hit")).to_be_visible()
    await served.look()
    await expect(page.get_by_text("cancelled", exact=True)).to_be_visible()
    await expect(page.get_by_text("the job has ended")).to_be_visible()
