"""`reconcile serve` as a person starts it: the URL it prints is opened, and a real job fires a watcher."""

from __future__ import annotations

import asyncio
import signal
from types import SimpleNamespace
from typing import cast

from parts.core import LOG
from parts.house import House
from parts.served import Served
from parts.window import PATIENCE, window_on
from playwright.async_api import Browser, expect

expect.set_options(timeout=PATIENCE)


async def test_the_printed_url_shows_a_real_job_fire_a_watcher(house: House, chromium: Browser) -> None:
    go = house.home / "go"
    job = await house.submit(
        f"echo begin; while [ ! -e {go} ]; do sleep 0.1; done; echo 'loss: 0.25'; exec sleep 600", wait=False
    )
    house.write("Loss", pattern=r"loss: (?P<loss>\S+)", captures=["loss"], interval_seconds=5, actions=[LOG])
    words = house.argv("serve", str(house.watchers), "--port", "0")
    quiet = asyncio.subprocess.DEVNULL
    serving = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, stderr=quiet)
    assert serving.stdout is not None
    try:
        link = (await asyncio.wait_for(serving.stdout.readline(), 60)).decode().strip()
        url = link.partition("/login")[0]
        async with window_on(cast(Served, SimpleNamespace(url=url)), chromium) as window:
            page = window.page
            await page.goto(link)
            await window.heading("Watchers")
            card = page.get_by_role("article", name="Loss", exact=True)
            await expect(card).to_contain_text(f"Job {job}")
            await expect(card).to_contain_text("Active")
            await expect(page.get_by_text("Live", exact=True)).to_be_visible()
            await expect(page.get_by_text("Nothing has fired yet")).to_be_visible()
            go.touch()
            await expect(page.get_by_text(f"on job {job}, ")).to_be_visible()
            await expect(card).to_contain_text("1\N{MULTIPLICATION SIGN}")
            await card.get_by_role("button", name="Show details of Loss").click()
            await expect(card.locator(".w-last")).to_contain_text("0.25")
            await card.get_by_role("link", name="View output").click()
            await expect(page.get_by_text("loss: 0.25").first).to_be_visible()
            window.faults[:] = [each for each in window.faults if "WebSocket" not in each]
    finally:
        serving.send_signal(signal.SIGTERM)
        await asyncio.wait_for(serving.wait(), 30)
        await house.cancel_all()
