"""What the settings decide, whoever writes watchers: whose jobs, which actions, whose line; and what `clean` does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from parts.core import LOG
from parts.house import House, Jobs

from reconciler.errors import SchedulerUnavailableError
from reconciler.model import JobState, WatcherState

NUMBER: dict[str, Any] = {"pattern": r"n=(\d+)", "captures": ["n"]}
CANCEL: dict[str, Any] = {"type": "cancel_job", "params": {"reason": "$n"}}


async def test_an_action_that_the_settings_do_not_allow_for_a_source_is_refused(tmp_path: Path) -> None:
    house = House(tmp_path, policy={"actions": {"directory": ["log_event"]}})
    jobs = house.with_jobs()
    house.write(**NUMBER, actions=[CANCEL, LOG])
    jobs.add().write_text("n=1\n")
    report = await house.once()
    (refused,) = house.events("action.refused")
    assert "do not allow cancel_job for watchers from directory" in refused.action_result
    assert (jobs.cancelled, house.done()) == ([], ["seen n=1"])
    assert 7 in report.codes()
    with house.state() as state:
        assert state.pending() == ()


async def test_a_kind_of_source_that_is_not_named_may_use_all(tmp_path: Path) -> None:
    house = House(tmp_path, policy={"actions": {"git": ["log_event"]}})
    jobs = house.with_jobs()
    house.write(**NUMBER, actions=[CANCEL])
    jobs.add().write_text("n=1\n")
    await house.once()
    assert jobs.cancelled == ["1"]


async def test_two_jobs_that_write_one_file_are_not_cancelled_for_each_others_lines(house: House) -> None:
    jobs = house.with_jobs()
    house.write(**NUMBER, actions=[CANCEL, LOG])
    shared = str(house.outputs / "shared")
    for number in ("1", "2"):
        jobs.add(number, stdout=shared, stderr=shared)
    Path(shared).write_text("n=1\n")
    await house.once()
    assert jobs.cancelled == []
    refused = house.events("action.refused")
    assert sorted(str(event.job_id) for event in refused) == ["1", "2"]
    assert "writes the same file" in refused[0].action_result


async def test_once_the_other_job_has_ended_the_file_has_one_owner(house: House) -> None:
    jobs = house.with_jobs()
    house.write(**NUMBER, actions=[CANCEL])
    shared = str(house.outputs / "shared")
    for number in ("1", "2"):
        jobs.add(number, stdout=shared, stderr=shared)
    jobs.finish("2")
    await house.once()
    Path(shared).write_text("n=1\n")
    await house.once()
    assert jobs.cancelled == ["1"]


async def test_a_job_that_only_waits_for_its_turn_writes_no_file(house: House) -> None:
    jobs = house.with_jobs()
    house.write(**NUMBER, actions=[CANCEL])
    shared = str(house.outputs / "shared")
    jobs.add("1", stdout=shared, stderr=shared)
    jobs.add("2", stdout=shared, stderr=shared, state=JobState.PENDING, started=None)
    Path(shared).write_text("n=1\n")
    await house.once()
    assert jobs.cancelled == ["1"]


async def test_a_selector_narrows_the_hosts_and_never_widens_them(house: House) -> None:
    jobs = house.with_jobs()
    house.write("here", **NUMBER, jobs={"hosts": ["localhost"]})
    house.write("elsewhere", **NUMBER, jobs={"hosts": ["hpc7"]})
    jobs.add().write_text("n=1\n")
    await house.once()
    assert [str(watcher.name) for watcher in house.rows()] == ["here"]


async def test_jobs_of_others_are_not_listed_unless_the_settings_say_so(tmp_path: Path) -> None:
    nobody = House(tmp_path / "a", policy={"users": ["nobody-here"]})
    everybody = House(tmp_path / "b", policy={"users": ["*"]})
    for house in (nobody, everybody):
        house.write(**NUMBER)
        await house.submit("echo n=1")
        await house.once()
    assert (nobody.matched(), everybody.matched()) == ([], ["n=1"])


# --- clean -----------------------------------------------------------------------------------------------------------


async def test_clean_completes_watchers_of_jobs_that_are_gone_and_stops_none(house: House) -> None:
    house.write(**NUMBER)
    house.write("stays", **NUMBER)
    job_id = await house.submit("echo n=1; exec sleep 60", wait=False)
    assert house.run(str(house.watchers), "--once").returncode == 0
    assert house.run("clean").returncode == 0
    assert {watcher.state for watcher in house.rows()} == {WatcherState.ACTIVE}
    async with house.host() as host:
        (job,) = (await host.scheduler.lookup([job_id])).values()
        await host.scheduler.cancel(job, "")
    told = house.run("clean")
    assert told.returncode == 0, told.stderr
    assert {watcher.state for watcher in house.rows()} == {WatcherState.COMPLETED}
    assert house.run("plan", str(house.watchers), "--detailed-exitcode").returncode == 0


# --- what is shown ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("status", "--all"), ("events",), ("events", "-o", "jsonl"), ("metrics", "1")])
async def test_what_a_job_prints_cannot_write_to_the_terminal(house: House, words: tuple[str, ...]) -> None:
    house.write(pattern=r"loss=(\S+)(.*)", captures=["loss", "rest"], actions=[
        {"type": "store_metric", "params": {"name": "\u202eloss", "value": "$loss"}},
        {"type": "log_event", "params": {"message": "[$rest]"}},
    ])  # fmt: skip
    await house.submit(r"printf 'loss=1\033]0;owned\007\033[2J\342\200\256 x\n'")
    await house.once()
    shown = house.run(*words).stdout
    assert shown
    assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(shown)


async def test_events_of_a_job_are_cloud_events_a_line(house: House) -> None:
    house.write(**NUMBER)
    await house.submit("echo n=1")
    await house.once()
    for line in house.run("events", "-o", "jsonl").stdout.splitlines():
        event = json.loads(line)
        assert event["specversion"] == "1.0"
        assert event["id"] == str(event["data"]["seq"])
        assert event["source"].startswith("/reconciler/")


# --- many jobs at once -----------------------------------------------------------------------------------------------


def many(jobs: Jobs, first: int, last: int) -> None:
    for number in range(first, last + 1):
        jobs.add(str(number)).write_text("")


async def test_a_new_spec_that_meets_many_jobs_waits_and_one_that_is_applied_takes_what_comes(tmp_path: Path) -> None:
    house = House(tmp_path, policy={"max_new_bindings": 10})
    jobs = house.with_jobs()
    many(jobs, 1, 11)
    house.write(**NUMBER, actions=[CANCEL])
    for _ in range(2):
        report = await house.once()
        assert (5 in report.codes(), house.rows()) == (True, ())
    await house.once(approve="yes")
    assert len(house.rows()) == 11
    many(jobs, 12, 60)  # the array goes on: all at once, by a process of its own
    report = await house.once()
    assert 5 not in report.codes()
    assert len(house.rows()) == 60


async def test_a_spec_that_was_applied_before_there_were_jobs_takes_a_whole_array(tmp_path: Path) -> None:
    house = House(tmp_path, policy={"max_new_bindings": 10})
    jobs = house.with_jobs()
    house.write(**NUMBER, actions=[CANCEL])
    await house.once()
    many(jobs, 1, 40)
    report = await house.once()
    assert (5 in report.codes(), len(house.rows())) == (False, 40)


async def test_a_spec_that_was_applied_while_the_host_was_away_has_met_none_of_its_jobs(tmp_path: Path) -> None:
    house = House(tmp_path, policy={"max_new_bindings": 10})
    jobs = house.with_jobs()
    jobs.failing = SchedulerUnavailableError("no answer")
    house.write(**NUMBER, actions=[CANCEL])
    await house.once()
    jobs.failing = None
    many(jobs, 1, 40)
    report = await house.once()
    assert (5 in report.codes(), house.rows()) == (True, ())


async def test_an_edit_that_widens_an_applied_spec_waits_and_what_it_had_goes_on(tmp_path: Path) -> None:
    house = House(tmp_path, policy={"max_new_bindings": 10})
    jobs = house.with_jobs()
    many(jobs, 1, 40)
    house.write(**NUMBER, jobs={"ids": ["1"]}, actions=[CANCEL])
    await house.once()
    assert len(house.rows()) == 1
    house.write(**NUMBER, actions=[CANCEL])
    for _ in range(2):
        report = await house.once()
        assert (5 in report.codes(), len(house.rows())) == (True, 1)
    (house.outputs / "localhost-1.out").write_text("n=1\n")
    await house.once()
    assert jobs.cancelled == ["1"]
