"""A job of a real SLURM on the pages: a watcher made there cancels it, and its output and end are shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from parts.house import House
from parts.served import serving
from parts.slurm import SlurmCluster
from parts.window import PATIENCE, browser, window_on
from playwright.async_api import expect

expect.set_options(timeout=2 * PATIENCE)

SCRIPT = """
echo "epoch 1 loss: 0.5"
echo "a warning" >&2
while [ ! -e {go} ]; do sleep 0.1; done
echo "epoch 2 loss: nan"
while true; do sleep 0.1; done
"""


@pytest.mark.slurm
@pytest.mark.timeout(240)
async def test_a_watcher_made_for_a_slurm_job_ends_it_and_all_of_it_is_shown_live(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    house = House(tmp_path, hosts={"localhost": {"scheduler": {"type": "slurm"}}})
    go, out, err = (tmp_path / name for name in ("go", "job.out", "job.err"))
    job_id = slurm.submit(SCRIPT.format(go=go), "--job-name=train", f"--output={out}", f"--error={err}")
    slurm.wait_for(job_id, "RUNNING")
    async with serving(house) as served, browser() as running, window_on(served, running) as window:
        page = window.page
        await window.sign_in(to="/hosts")
        await expect(page.get_by_role("definition").filter(has_text=re.compile("^slurm$"))).to_be_visible()
        await window.go("/new")
        await expect(page.get_by_role("list", name="Chosen jobs")).to_contain_text(f"{job_id}@localhost")
        tried = page.get_by_role("region", name="Output with what the pattern finds")
        await expect(tried).to_contain_text("epoch 1 loss: 0.5")
        await page.get_by_label("Pattern", exact=True).fill("loss: nan")
        await page.get_by_label("Name", exact=True).fill("Stop at nan")
        await page.get_by_role("button", name="Add an action").click()
        await page.get_by_role("dialog", name="Add an action").get_by_role("button", name="Cancel job").click()
        await page.get_by_role("button", name="Remove action 1").click()
        await page.get_by_role("button", name="Create watcher").click()
        await page.wait_for_url(re.compile(r"/watchers/\d+$"))
        await window.go("/jobs")
        row = page.get_by_role("row", name=re.compile(f"^{job_id}@localhost running 1 watcher"))
        await row.get_by_role("link", name=job_id, exact=True).click()
        await window.heading(f"Job {job_id}@localhost")
        output = page.get_by_role("region", name="Output, stdout").get_by_role("listitem")
        await expect(output).to_have_text(["1epoch 1 loss: 0.5"])
        await expect(page.get_by_role("link", name=re.compile("Stop at nan"))).to_be_visible()
        await page.get_by_role("tab", name="stderr").click()
        await expect(page.get_by_text("a warning")).to_be_visible()
        await page.get_by_role("tab", name="stdout").click()
        go.touch()
        await expect(page.get_by_text("epoch 2 loss: nan")).to_be_visible()
        await expect(page.locator(".job-state")).to_contain_text("cancelled")
        await expect(page.get_by_text("the job has ended")).to_be_visible()
        assert slurm.state(job_id) == "CANCELLED"
        await window.assert_accessible()
