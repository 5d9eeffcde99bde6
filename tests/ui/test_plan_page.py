"""The page of the plan shows what `plan`, `drift` and `validate` show: changes, drift, bad files, commits."""

from __future__ import annotations

import json
import re
from pathlib import Path

from parts.house import House, Jobs, Sourced
from parts.repository import Repository, a_file
from parts.served import Served, serving
from parts.waiting import eventually
from parts.window import PATIENCE, Window, window_on
from playwright.async_api import Browser, expect

from reconciler.api.keys import Scope

expect.set_options(timeout=PATIENCE)

CANCEL = {"type": "cancel_job"}


async def test_an_edit_that_waits_is_shown_with_its_fields_and_what_to_do(tmp_path: Path, chromium: Browser) -> None:
    house = House(tmp_path, policy={"max_new_bindings": 1})
    house.scheduler = Jobs(house.outputs)
    for number in range(1, 6):
        house.scheduler.add(str(number), name=f"train <b>{number}</b>")
    house.write("calm")
    house.write("w", pattern="lost")
    async with serving(house) as served, window_on(served, chromium) as window:
        page = window.page
        await eventually(lambda: len(house.rows("w")) == 5)
        await window.sign_in(to="/plan")
        await expect(page.get_by_text("All is as declared.")).to_be_visible()
        await expect(page.get_by_text("no changes")).to_be_visible()
        await window.assert_accessible()
        house.write("w", pattern="gone <script>", actions=[CANCEL])
        pending = page.get_by_role("region", name="Pending changes")
        await expect(pending).to_contain_text("its spec was edited")
        await expect(page.get_by_text("5 to update")).to_be_visible()
        change = pending.get_by_role("listitem").first
        await expect(change).to_contain_text("w.yaml:1")
        await expect(change).to_contain_text("waits for approval")
        await expect(pending.get_by_role("row", name=re.compile("^pattern"))).to_have_text(
            'pattern"lost""gone <script>"'
        )
        await expect(pending.get_by_role("row", name=re.compile("actions.0..type"))).to_contain_text('"cancel_job"')
        await pending.get_by_text("on 5 jobs").click()
        await expect(pending.get_by_role("link", name="5@localhost")).to_be_visible()
        await expect(pending).to_contain_text("train <b>5</b>")
        digest = (await served.get("/api/plan"))["digest"]
        await expect(page.get_by_text(f"reconcile --once --approve={digest}")).to_be_visible()
        await window.assert_accessible()
        await window.assert_fits_a_phone()


async def test_a_bad_file_shows_its_line_and_the_remedy_until_it_is_mended(served: Served, window: Window) -> None:
    page, house = window.page, served.house
    served.jobs.add("1")
    await served.look()
    house.write("good")
    bad = house.watchers / "bad.yaml"
    bad.write_text("name: bad\npattern: (unclosed <b>\nactions:\n  - type: log_evnt\n")
    house._settle(bad)
    await window.go("/plan")
    files = page.get_by_role("region", name="Invalid files")
    await expect(files).to_contain_text(f"{bad}:2:")
    await expect(files).to_contain_text("pattern: (unclosed <b>")
    await expect(files).to_contain_text("What to do:")
    validated = json.loads(house.run("validate", str(house.watchers), "-o", "json").stdout)["problems"]
    for problem in validated:
        place = f"{bad}:{problem['line']}:{problem['column']}"
        shown = files.get_by_role("article").filter(has_text=place)
        await expect(shown).to_contain_text(problem["code"])
        await expect(shown).to_contain_text(problem["remedy"].replace("`", ""))
    sources = page.get_by_role("region", name="Sources").last
    await expect(sources).to_contain_text("1 bad")
    await window.assert_accessible()
    await window.assert_fits_a_phone()
    house.write("bad", file="bad.yaml")
    await expect(page.get_by_text("All files are good.")).to_be_visible()


async def test_drift_is_shown_and_ended_by_who_may(served: Served, window: Window) -> None:
    page, house = window.page, served.house
    served.jobs.add("1")
    await served.look()
    house.write("held")
    await eventually(lambda: house.rows("held"))
    await window.go("/plan")
    await expect(page.get_by_text("Nothing was changed by hand.")).to_be_visible()
    await served.post(f"/api/watchers/{house.row('held').id}/pause", {"reason": "until <i>Monday</i>"})
    row = page.get_by_role("row", name=re.compile("held on 1@localhost"))
    await expect(row).to_contain_text("suspended by write (API): until <i>Monday</i>")
    shown = json.loads(house.run("drift", "-o", "json").stdout)["drift"]
    assert [(each["watcher"], each["by"]) for each in shown] == [("held", "write (API)")]
    await window.assert_accessible()
    await page.get_by_role("button", name="Resume held on job 1").click()
    await expect(page.get_by_text("Nothing was changed by hand.")).to_be_visible()
    assert not house.row("held").holds
    await served.post(f"/api/watchers/{house.row('held').id}/pause", {})
    await expect(row).to_contain_text("no reason given")


async def test_who_may_only_read_sees_drift_without_a_button(served: Served, stranger: Window) -> None:
    served.jobs.add("1")
    await served.look()
    made = await served.create("held", "1")
    await served.post(f"/api/watchers/{made['id']}/pause", {})
    await stranger.sign_in(Scope.READ, to="/plan")
    await expect(stranger.page.get_by_role("row", name=re.compile("held on 1@localhost"))).to_be_visible()
    await expect(stranger.page.get_by_role("button", name="Resume held on job 1")).to_have_count(0)
    await stranger.assert_accessible()


async def test_the_commit_that_was_applied_last_is_named(tmp_path: Path, chromium: Browser) -> None:
    repository = Repository(tmp_path / "repository")
    first = repository.commit({"watchers.d/w.yaml": a_file("w")})
    source = {"type": "git", "git": str(repository.path), "path": "watchers.d", "interval": 1}
    house = Sourced(tmp_path / "house", sources=[source])
    house.scheduler = Jobs(house.outputs)
    house.scheduler.add("1")
    async with serving(house) as served, window_on(served, chromium) as window:
        await eventually(lambda: house.rows("w"))
        await window.sign_in(to="/plan")
        row = window.page.get_by_role("region", name="Sources").last.get_by_role("row", name=re.compile("git"))
        await expect(row).to_contain_text(first[:12])
        await expect(row).to_contain_text("1 change")
        second = repository.commit({"watchers.d/w.yaml": a_file("w", "other")})
        await expect(row).to_contain_text(re.compile(f"{second[:12]}.*{second[:12]}"))
        await window.assert_accessible()
