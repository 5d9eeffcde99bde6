"""The page of hosts: which answer and which do not, since when, why; live."""

from __future__ import annotations

import re

from parts.served import Served
from parts.waiting import eventually
from parts.window import PATIENCE, Window
from playwright.async_api import expect

from reconciler.errors import HostUnreachableError, SchedulerUnavailableError

expect.set_options(timeout=PATIENCE)


async def test_a_host_that_goes_away_and_comes_back_is_shown_as_it_happens(served: Served, window: Window) -> None:
    page = window.page
    served.jobs.add("1").write_text("x\n")
    served.jobs.add("2")
    served.jobs.add("3")
    served.jobs.finish("3")
    await served.look()
    await served.create("w", "1")
    await eventually(lambda: served.engine.daemon.looks())
    await window.go("/hosts")
    host = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="localhost"))
    await expect(page.get_by_text("1 host, all answer")).to_be_visible()
    await expect(host).to_contain_text(re.compile(r"answers\s*since \d"))
    for fact in ("Reached bylocal", "2 jobs, 1 ended", "1 on 1 job", "for 1 output", "Lagnone"):
        await expect(host).to_contain_text(fact)
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    served.jobs.failing = HostUnreachableError("no route to <b>host</b> \u202e")
    await served.look()
    await expect(page.get_by_text("1 of 1 host does not answer")).to_be_visible()
    await expect(host).to_contain_text("no route to <b>host</b> \u27e8U+202E\u27e9")
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    served.jobs.failing = SchedulerUnavailableError("slurmctld is away")
    await served.look()
    await expect(host).to_contain_text("its scheduler does not answer")
    served.jobs.failing, served.jobs.forgetful = None, "sacct failed"
    await served.look()
    await expect(host).to_contain_text("its accounting does not answer")
    await expect(host).to_contain_text("sacct failed")
    await window.assert_accessible()
    served.jobs.forgetful = ""
    await served.look()
    await expect(host).to_contain_text(re.compile(r"answers\s*since \d"))
    await expect(page.get_by_text("1 host, all answer")).to_be_visible()
    await host.get_by_role("link", name="2 jobs").click()
    await window.heading("Jobs")
    assert page.url.endswith("/jobs?host=localhost")
