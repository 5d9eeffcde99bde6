"""trigger, suspend and resume: whom they mean, what they refuse, with a daemon beside them and without one."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import sqlite3
import subprocess
from contextlib import closing
from typing import Any

import pytest
from parts.house import House, Jobs
from parts.waiting import eventually

from reconciler.cli import main
from reconciler.model import HoldKind, Watcher, WatcherState

NUMBER: dict[str, Any] = {"pattern": r"n=(\d+)", "captures": ["n"]}


@pytest.fixture
def jobs(house: House) -> Jobs:
    return house.with_jobs()


@pytest.fixture
async def three(house: House, jobs: Jobs) -> House:
    """Watcher `a` (team vision) on jobs 1 and 2, `b` on job 1 and 2."""
    house.write("a", **NUMBER, labels={"team": "vision", "kind": "x"})
    house.write("b", **NUMBER, labels={"team": "speech"})
    for job_id in ("1", "2"):
        jobs.add(job_id).write_text(f"n={job_id}\n")
    await house.once()
    return house


def held(house: House) -> set[str]:
    return {f"{row.name}/{row.job.id}" for row in house.rows() if row.state is WatcherState.PAUSED}


def of(house: House, name: str, job_id: str) -> Watcher:
    (found,) = [row for row in house.rows(name) if row.job.id == job_id]
    return found


# --- whom they mean --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("a",), {"a/1", "a/2"}),
        (("a", "b"), {"a/1", "a/2", "b/1", "b/2"}),
        (("a", "--job", "2"), {"a/2"}),
        (("--job", "1"), {"a/1", "b/1"}),
        (("--job", "1@localhost"), {"a/1", "b/1"}),
        (("--label", "team=vision"), {"a/1", "a/2"}),
        (("--label", "team=vision", "--label", "kind=x", "--job", "1"), {"a/1"}),
    ],
)
async def test_by_name_job_and_label(three: House, words: tuple[str, ...], meant: set[str]) -> None:
    told = three.run("suspend", *words, "--reason", "maintenance")
    assert (told.returncode, told.stderr) == (0, "")
    assert sorted(told.stdout.splitlines()) == sorted(f"{each}@localhost: suspend done" for each in meant)
    assert held(three) == meant
    assert {row.holds[0].reason for row in three.rows() if row.holds} == {"maintenance"}
    assert three.run("resume", *words).returncode == 0
    assert held(three) == set()


async def test_by_id(three: House) -> None:
    one = of(three, "b", "2")
    assert three.run("suspend", str(one.id)).returncode == 0
    assert held(three) == {"b/2"}


async def test_an_account_without_a_name_is_told_by_its_number(
    three: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert await asyncio.to_thread(main, ["--config", str(three.config()), "suspend", "a", "--job", "2"]) == 0
    assert of(three, "a", "2").holds[0].by == f"uid {os.getuid()}"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "which watchers?"),
        (("nobody",), "'nobody'"),
        (("a", "nobody"), "'nobody'"),
        (("99",), "'99'"),
        (("--job", "9"), "no watcher is meant"),
        (("--label", "team"), "has no value"),
        (("--label", "team=nobody"), "no watcher is meant"),
        (("a", "--for", "soon"), "no duration"),
        (("a", "--for", "0s"), "over before it begins"),
        (("a", "--for", "-5m"), "over before it begins"),
    ],
)
async def test_wrong_words_hold_nobody(three: House, words: tuple[str, ...], why: str) -> None:
    told = three.run("suspend", *words)
    assert told.returncode == 64
    assert why in told.stderr
    assert held(three) == set()


async def test_watchers_of_ended_jobs_are_left_alone_where_others_work(three: House, jobs: Jobs) -> None:
    jobs.finish("1")
    await three.once()
    assert of(three, "a", "1").state is WatcherState.COMPLETED
    assert three.run("suspend", "a").stdout == "a/2@localhost: suspend done\n"
    assert three.run("resume", "a").returncode == 0
    assert three.run("trigger", "a").stdout == "a/2@localhost: trigger done\n"


async def test_ended_jobs_are_triggered_one_by_one_only(three: House, jobs: Jobs) -> None:
    jobs.finish("1")
    jobs.finish("2")
    await three.once()
    before = three.matched("a")
    told = three.run("trigger", "a")
    assert told.returncode == 64
    assert "2 jobs that have ended" in told.stderr
    assert three.matched("a") == before
    assert three.run("trigger", "a", "--job", "2").returncode == 0
    assert three.matched("a") == [*before, "n=2"]


# --- what they refuse ------------------------------------------------------------------------------------------------


async def test_what_cannot_be_suspended_or_resumed_says_why(house: House, jobs: Jobs) -> None:
    house.write("full", **NUMBER, max_triggers=1)
    house.write("declared", **NUMBER, suspend={"reason": "not yet"})
    jobs.add("1").write_text("n=1\n")
    await house.once()
    for name, why in (("full", "max_triggers"), ("declared", "declared.yaml:1")):
        told = house.run("resume", name)
        assert (told.returncode, told.stdout) == (5, "")
        assert why in told.stderr
    jobs.finish("1")
    await house.once()
    for verb in ("suspend", "resume"):
        told = house.run(verb, "full")
        assert told.returncode == 5
        assert "its job has ended" in told.stderr
    assert house.row("full").holds == ()


async def test_a_persons_hold_goes_and_the_files_stays(house: House, jobs: Jobs) -> None:
    house.write("w", **NUMBER, suspend=True)
    jobs.add("1")
    await house.once()
    assert house.run("suspend", "w", "--for", "2h", "--reason", "me too").returncode == 0
    manual = next(hold for hold in house.row().holds if hold.kind is HoldKind.MANUAL)
    assert manual.until is not None
    assert 7190 < manual.until - manual.since <= 7200.5
    assert house.run("resume", "w").returncode == 0
    assert [hold.kind for hold in house.row().holds] == [HoldKind.DECLARED]


async def test_a_disabled_watcher_is_resumed_and_counts_failures_anew(house: House, jobs: Jobs) -> None:
    bad = {"type": "store_metric", "params": {"name": "n", "value": "none"}}
    house.write("w", **NUMBER, max_failures=2, actions=[bad])
    out = jobs.add("1")
    out.write_text("n=1\nn=2\n")
    await house.once()
    assert (house.row().state, house.row().failures) == (WatcherState.DISABLED, 2)
    told = house.run("trigger", "w")
    assert (told.returncode, "it is disabled" in told.stderr) == (5, True)
    assert house.run("resume", "w").returncode == 0
    assert (house.row().state, house.row().failures) == (WatcherState.ACTIVE, 0)


# --- once ------------------------------------------------------------------------------------------------------------


async def test_a_request_whose_tick_was_lost_is_not_carried_out_twice(three: House) -> None:
    assert three.run("trigger", "a").returncode == 0
    matched = three.matched("a")
    assert matched == ["n=1", "n=2", "n=1", "n=2"]
    # as a kill -9 right after the deed leaves it
    with closing(sqlite3.connect(three.home / "state.db")) as state, state:
        assert state.execute("UPDATE requests SET done_at = NULL").rowcount == 1
    await three.once()
    assert three.matched("a") == matched
    with three.state() as reading:
        assert reading.requests() == ()


# --- beside a daemon -------------------------------------------------------------------------------------------------


async def test_the_daemon_carries_out_what_is_asked_beside_it(house: House) -> None:
    house.write("w", **NUMBER, interval_seconds=1, labels={"team": "vision"})
    async with house.daemon():
        await house.submit("echo n=7; exec sleep 60", wait=False)
        await eventually(lambda: house.matched() == ["n=7"])

        async def ask(*words: str) -> subprocess.CompletedProcess[str]:
            return await asyncio.to_thread(house.run, *words)

        told = await ask("suspend", "--label", "team=vision", "--reason", "new driver")
        assert (told.returncode, told.stderr) == (0, "")
        assert house.row().state is WatcherState.PAUSED
        refused = await ask("trigger", str(house.row().id))
        assert (refused.returncode, "new driver" in refused.stderr) == (5, True)
        shown = json.loads((await ask("drift", "-o", "json")).stdout)["drift"]
        assert [(row["watcher"], row["reason"]) for row in shown] == [("w", "new driver")]
        assert (await ask("resume", "w", "--from", "end")).returncode == 0
        assert (await ask("trigger", "w")).returncode == 0
        await eventually(lambda: house.matched() == ["n=7", "n=7"])
        await house.cancel_all()
