"""`plan` shows and changes nothing, `apply` carries out what was shown and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from parts.house import House
from parts.waiting import eventually

from reconciler.model import WatcherState

LOG = {"type": "log_event", "params": {"message": "seen"}}


@pytest.fixture
async def running(house: House) -> House:
    """Watchers `edited` and `kept` on a job that runs; of the edit and of `new` the state does not know yet."""
    house.write("edited")
    house.write("kept")
    await house.submit("exec sleep 600", wait=False)
    assert house.run(str(house.watchers), "--once").returncode == 0
    house.write("edited", pattern="miss", cooldown="1m", actions=[{**LOG, "params": {"message": "missed"}}])
    house.write("new")
    return house


@pytest.fixture(autouse=True)
async def ended(house: House) -> Any:
    yield
    await house.cancel_all()


def files_of(house: House) -> Mapping[str, bytes]:
    """The state and the events, byte for byte, and nothing else that a reader might leave beside them."""
    return {path.name: path.read_bytes() for path in house.home.glob("*") if path.is_file()}


# --- plan ------------------------------------------------------------------------------------------------------------


async def test_a_plan_says_what_and_why_and_changes_no_byte(running: House) -> None:
    before = files_of(running)
    got = running.run("plan", str(running.watchers), "-o", "json")
    assert got.returncode == 0, got.stderr
    assert files_of(running) == before
    plan = json.loads(got.stdout)
    assert plan["format_version"] == 1
    assert plan["summary"] == {"create": 1, "update": 1}
    rows = {row["watcher"]: row for row in plan["changes"]}
    edited, where = rows["edited"], f"{running.watchers}/edited.yaml:1"
    assert (edited["symbol"], edited["change"], edited["where"]) == ("~", "update", where)
    fields = {field["path"]: (field["old"], field["new"]) for field in edited["fields"]}
    assert fields == {
        "pattern": ("hit", "miss"),
        "cooldown": (None, 60),
        "actions[0].params.message": ("seen $0", "missed"),
    }
    assert (rows["new"]["symbol"], rows["new"]["reason"]) == ("+", "fits the job")


async def test_a_plan_for_people_and_pull_requests(running: House) -> None:
    text = running.run("plan", str(running.watchers)).stdout
    assert '    pattern: "hit" -> "miss"' in text
    assert "    cooldown: (default) -> 60" in text
    assert text.endswith("Plan: 1 to create, 1 to update.\n")
    table = running.run("plan", str(running.watchers), "-o", "markdown").stdout
    assert table.startswith("| | change | watcher |")
    assert '- `pattern`: "hit" → "miss"' in table
    lines = running.run("plan", str(running.watchers), "-o", "github").stdout.splitlines()
    assert all(line.startswith("::notice file=") for line in lines)
    assert any("file=watchers.d/new.yaml,line=1,title=plan::create new on " in line for line in lines)


async def test_a_pull_request_is_told_what_is_wrong_and_what_would_wait(running: House) -> None:
    running.write("bad", pattern="(")
    running.written["policy"] = {"max_new_bindings": 1}
    for name in ("danger", "worse"):
        running.write(name, actions=[{"type": "cancel_job"}])
    table = running.run("plan", str(running.watchers), "-o", "markdown").stdout
    assert "\n**Waits for approval**\n\n- would bind actions that change jobs 2 times at once" in table
    assert "\n**Wrong in the files**\n\n- watchers.d/bad.yaml:1: " in table
    lines = running.run("plan", str(running.watchers), "-o", "github").stdout.splitlines()
    assert any(line.startswith("::error file=watchers.d/bad.yaml,line=1,") for line in lines)
    assert any("create danger" in line and "(waits for approval: would bind" in line for line in lines)


async def test_the_exit_status_says_what_is_pending(running: House) -> None:
    words = ("plan", str(running.watchers), "--detailed-exitcode")
    assert running.run(*words).returncode == 2
    assert running.run("plan", str(running.watchers)).returncode == 0
    assert running.run(str(running.watchers), "--once").returncode == 0
    assert running.run(*words).returncode == 0
    assert running.run("suspend", "new", "--reason", "why not").returncode == 0
    got = running.run(*words)
    assert (got.returncode, got.stdout) == (3, "No changes: all is as declared.\n")
    assert "drift: new on" in got.stderr
    running.write("edited", pattern="(")
    bad = running.run(*words)
    assert bad.returncode == 4
    assert "edited.yaml:1:" in bad.stderr


async def test_drift_says_until_when_and_is_none_once_that_is_over(running: House) -> None:
    words = ("plan", str(running.watchers), "--detailed-exitcode")
    assert running.run(str(running.watchers), "--once").returncode == 0
    assert running.run("suspend", "kept", "--for", "1h", "--reason", "lunch").returncode == 0
    told = running.run(*words)
    assert told.returncode == 3
    assert re.search(r"kept on \S+ is suspended by .* until 2\d{3}-.*: lunch", told.stderr)
    status = running.run("status", "-o", "json").stdout
    (remark,) = (row["remark"] for row in json.loads(status)["watchers"] if row["watcher"] == "kept")
    assert re.search(r" until 2\d{3}-.*: lunch", remark)
    assert running.run("suspend", "kept", "--for", "1s").returncode == 0
    await eventually(lambda: running.run("drift", "--detailed-exitcode").returncode == 0)
    assert running.run(*words).returncode == 0
    for command in (("status",), ("why", "kept")):
        assert "goes on at the next pass" in running.run(*command).stdout


async def test_offline_a_plan_is_made_of_the_jobs_that_the_state_knows(running: House) -> None:
    plan = json.loads(running.run("plan", "--offline", str(running.watchers), "-o", "json").stdout)
    assert plan["summary"] == {"create": 1, "update": 1}


# --- apply -----------------------------------------------------------------------------------------------------------


def saved(house: House) -> Path:
    path = house.home / "plan.json"
    assert house.run("plan", str(house.watchers), "--out", str(path)).returncode == 0
    return path


async def test_a_saved_plan_is_carried_out(running: House) -> None:
    got = running.run("apply", str(saved(running)))
    assert (got.returncode, got.stderr) == (0, "")
    assert {row.name for row in running.rows() if row.state is WatcherState.ACTIVE} == {"edited", "kept", "new"}
    assert running.run("plan", str(running.watchers), "--detailed-exitcode").returncode == 0


async def test_a_plan_that_is_no_longer_true_is_refused(running: House) -> None:
    path = saved(running)
    running.write("new", pattern="another")
    before = [(row.name, row.spec_digest) for row in running.rows()]
    got = running.run("apply", str(path))
    assert got.returncode == 5
    assert "no longer true" in got.stderr
    assert [(row.name, row.spec_digest) for row in running.rows()] == before
    assert running.run("apply", str(saved(running))).returncode == 0
    assert running.run("apply", str(path)).returncode == 5  # nor once it was carried out


@pytest.mark.parametrize(("answer", "status", "applied"), [("y\n", 0, True), ("n\n", 5, False), ("", 5, False)])
async def test_it_asks_before_it_does(running: House, answer: str, status: int, applied: bool) -> None:
    words = running.argv("apply", str(running.watchers))
    got = await asyncio.to_thread(subprocess.run, words, input=answer, capture_output=True, text=True, cwd=running.home)
    assert got.returncode == status, got.stderr
    assert "Carry this plan out?" in got.stderr
    assert "create" in got.stdout
    assert (running.rows("new") != ()) is applied


async def test_yes_does_not_ask_and_neither_does_what_changes_nothing(running: House) -> None:
    got = running.run("apply", str(running.watchers), "--yes")
    assert (got.returncode, got.stderr) == (0, "")
    again = running.run("apply", str(running.watchers))
    assert (again.returncode, again.stdout) == (0, "No changes: all is as declared.\n")


async def test_what_waits_for_approval_is_carried_out_by_the_plan_that_shows_it(house: House) -> None:
    house = House(house.home, policy={"max_new_bindings": 1})
    house.write("cancels", pattern="never", actions=[{"type": "cancel_job", "params": {"reason": "x"}}])
    for _ in range(2):
        await house.submit("exec sleep 600", wait=False)
    held = house.run(str(house.watchers), "--once")
    assert (held.returncode, house.rows()) == (5, ())
    path = house.home / "plan.json"
    shown = house.run("plan", str(house.watchers), "--out", str(path))
    assert shown.returncode == 5
    assert all(change["withheld"] for change in json.loads(path.read_text())["changes"])
    assert house.run("apply", str(path)).returncode == 0
    assert len(house.rows("cancels")) == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "no saved plan"),
        ("[]", "no saved plan"),
        ('{"format_version": 2, "digest": "x", "directories": []}', "another version"),
        ('{"format_version": 1, "directories": []}', "no saved plan"),
        ("\udcff", "no saved plan"),
    ],
)
def test_what_is_no_plan_is_said(house: House, content: str, why: str) -> None:
    path = house.home / "plan.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    got = house.run("apply", str(path))
    assert got.returncode == 4
    assert why in got.stderr


def test_a_plan_that_is_not_there_is_no_directory(house: House) -> None:
    got = house.run("apply", "plan.json", "--yes")
    assert (got.returncode, "there is no plan.json" in got.stderr) == (64, True)
    assert not (house.home / "state.db").exists()


# --- a directory that was emptied, or is gone ------------------------------------------------------------------------


@pytest.fixture
async def emptied(house: House) -> House:
    """Watchers `a` and `b` on a job that runs, their files deleted."""
    house.write("a")
    house.write("b")
    await house.submit("exec sleep 600", wait=False)
    assert house.run(str(house.watchers), "--once").returncode == 0
    house.remove("a")
    house.remove("b")
    return house


def live(house: House) -> list[str]:
    return sorted(str(row.name) for row in house.rows() if row.phase.live)


async def test_a_plan_shows_what_an_emptied_directory_would_stop_and_its_digest_is_the_yes(emptied: House) -> None:
    shown = emptied.run("plan", str(emptied.watchers), "-o", "json")
    plan = json.loads(shown.stdout)
    assert (shown.returncode, plan["summary"]) == (5, {"stop": 2})
    assert all("is empty" in row["withheld"] for row in plan["changes"])
    assert emptied.run(str(emptied.watchers), "--once", "--approve=0123").returncode == 5
    assert live(emptied) == ["a", "b"]
    got = emptied.run(str(emptied.watchers), "--once", f"--approve={plan['digest']}")
    assert (got.returncode, live(emptied)) == (0, []), got.stderr
    assert emptied.run(str(emptied.watchers), "--once").returncode == 0
    assert live(emptied) == []


async def test_a_saved_plan_of_an_emptied_directory_is_carried_out(emptied: House) -> None:
    path = emptied.home / "plan.json"
    assert emptied.run("plan", str(emptied.watchers), "--out", str(path)).returncode == 5
    assert emptied.run("apply", str(path)).returncode == 0
    assert live(emptied) == []


@pytest.mark.parametrize(("answer", "status", "left"), [("y\n", 0, []), ("n\n", 5, ["a", "b"]), ("", 5, ["a", "b"])])
async def test_it_asks_before_it_empties(emptied: House, answer: str, status: int, left: list[str]) -> None:
    words = emptied.argv("apply", str(emptied.watchers))
    got = await asyncio.to_thread(subprocess.run, words, input=answer, capture_output=True, text=True, cwd=emptied.home)
    assert (got.returncode, live(emptied)) == (status, left), got.stderr
    assert "Carry this plan out?" in got.stderr
    assert "Plan: 2 to stop." in got.stdout


async def test_a_directory_that_vanished_is_no_mistake_and_no_yes_ends_its_watchers(emptied: House) -> None:
    emptied.watchers.rmdir()
    directory = str(emptied.watchers)
    for words in (("apply", directory, "--yes"), (directory, "--once", "--approve"), (emptied.watchers.name, "--once")):
        got = emptied.run(*words)
        assert (got.returncode, live(emptied)) == (5, ["a", "b"])
        assert "--approve" not in got.stderr
        assert "put an empty directory there" in got.stderr
