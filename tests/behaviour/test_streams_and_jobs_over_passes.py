"""Files that are missing, truncated, replaced; jobs that end, come again, or cannot be seen; specs that come and go."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from parts.house import House, Jobs

from reconciler.engine.jobtask import LOST_GRACE
from reconciler.engine.parts import Host
from reconciler.errors import HostUnreachableError, SchedulerUnavailableError
from reconciler.model import LOCALHOST, Job, JobId, JobState, StreamName, WatcherState
from reconciler.transports.ssh import SshTransport

NUMBER: dict[str, Any] = {"pattern": r"n=\d+"}
NUMBERS = re.compile(NUMBER["pattern"])


@pytest.fixture
def house(house_anywhere: House) -> House:
    return house_anywhere


@pytest.fixture
def jobs(house: House) -> Jobs:
    return house.with_jobs()


async def test_the_way_to_the_host_is_the_one_that_is_named(house: House, request: pytest.FixtureRequest) -> None:
    async with house.engine() as engine:
        transport = engine.parts.hosts[LOCALHOST].transport
    assert isinstance(transport, SshTransport) == ("ssh" in request.node.name)


def numbers(first: int, last: int) -> str:
    return "".join(f"n={n}\n" for n in range(first, last + 1))


def said(first: int, last: int) -> list[str]:
    return [f"n={n}" for n in range(first, last + 1)]


def write_at(file: Path, text: str, at: float) -> None:
    """Write a file anew as if it were `at`."""
    file.write_text(text)
    os.utime(file, (at, at))


# --- the file --------------------------------------------------------------------------------------------------------


async def test_an_output_that_is_not_there_yet_is_waited_for(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    out = jobs.add()
    await house.once()
    assert house.row().state is WatcherState.ACTIVE
    out.write_text(numbers(1, 1))
    await house.once()
    assert house.matched() == said(1, 1)


@pytest.mark.parametrize("begun", [b"", b"n=1", b"n=0\nn=1", b"\0"])
async def test_nuls_where_text_has_yet_to_come_hold_up_no_pass(house: House, jobs: Jobs, begun: bytes) -> None:
    """As NFS shows an append whose bytes are not there yet."""
    house.write(**NUMBER)
    out = jobs.add()
    out.write_bytes(begun + b"\0\0")
    report = await asyncio.wait_for(house.once(), 30)
    assert (report.codes(), house.row().state) == ([0], WatcherState.ACTIVE)
    out.write_bytes(begun + b"23\nn=9\n")
    await house.once()
    assert house.matched() == NUMBERS.findall((begun + b"23\nn=9\n").decode())


@pytest.mark.parametrize("seen_empty", [True, False])
async def test_a_file_that_is_copied_and_truncated_under_a_writer_that_does_not_append_loses_no_line(
    house: House, jobs: Jobs, seen_empty: bool
) -> None:
    house.write(pattern=r"^n=\d+$")
    out = jobs.add()
    with out.open("wb", buffering=0) as file:
        file.write(b"x" * 100_000 + b"\n" + numbers(1, 1).encode())
        await house.once()
        os.truncate(out, 0)
        if seen_empty:
            await house.once()
        file.write(numbers(2, 3).encode())
        await house.once()
    assert house.matched() == said(1, 3)
    assert [event.data["offset"] for event in house.events("stream.line_cut")] == [0]  # that of the x


@pytest.mark.parametrize("comes_back", [True, False])
async def test_an_output_that_is_out_of_sight_when_its_job_has_ended_is_waited_for(
    house: House, jobs: Jobs, comes_back: bool
) -> None:
    house.write(**NUMBER, trigger_on_job_end=True, trigger_job_states=["completed"])
    out = jobs.add()
    out.write_text(numbers(1, 1))
    await house.once()
    out.write_text(numbers(1, 2))
    away = out.rename(out.with_suffix(".away"))
    jobs.finish()
    assert house.clock is not None
    for _ in range(3):
        house.clock.at += LOST_GRACE / 4
        await house.once()
    assert (house.row().state, house.events("watcher.completed")) == (WatcherState.ACTIVE, ())
    if comes_back:
        away.rename(out)
    house.clock.at += LOST_GRACE
    for _ in range(2):
        await house.once()
    assert house.row().state is WatcherState.COMPLETED
    assert house.matched() == [*said(1, 2 if comes_back else 1), "None"]


@pytest.mark.parametrize("output", ["both", "stderr", "stdout"])
@pytest.mark.parametrize("spelling", ["./o.out", "../outputs/o.out", "/o.out", "symlink", "hardlink", "linked/o.out"])
async def test_one_file_under_two_names_is_read_once(house: House, jobs: Jobs, output: str, spelling: str) -> None:
    house.write(**NUMBER, output_type=output)
    out = house.outputs / "o.out"
    out.touch()
    (house.outputs / "symlink").symlink_to(out)
    (house.outputs / "hardlink").hardlink_to(out)
    (house.outputs / "linked").symlink_to(house.outputs)
    jobs.add(stdout=str(out), stderr=f"{house.outputs}/{spelling}")
    for last in range(1, 4):
        out.write_text(numbers(1, last).rstrip("\n" if last == 3 else ""))
        await house.once()
    jobs.finish()
    await house.once()
    await house.once()
    assert (house.matched(), house.row().state) == (said(1, 3), WatcherState.COMPLETED)


async def test_two_files_that_become_one_are_read_on_from_where_the_further_was(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER, output_type="both")
    out, err = house.outputs / "o.out", house.outputs / "o.err"
    out.write_text(numbers(1, 2))
    jobs.add(stdout=str(out), stderr=str(err))
    await house.once()
    err.hardlink_to(out)
    for last in (3, 4):
        out.write_text(numbers(1, last))
        await house.once()
    assert house.matched() == said(1, 4)


@pytest.mark.parametrize(("output", "triggers"), [("stdout", 1), ("stderr", 0), ("both", 1)])
async def test_a_job_whose_errors_go_nowhere_has_none(house: House, jobs: Jobs, output: str, triggers: int) -> None:
    house.write(**NUMBER, output_type=output)
    jobs.add(stderr=None).write_text(numbers(1, 1))
    await house.once()
    assert len(house.matched()) == triggers


@pytest.mark.parametrize("wait", [0.3, 30])
async def test_where_one_starts_at_the_end_of_a_job_that_has_yet_to_begin_all_of_it_is_read(
    house: House, jobs: Jobs, wait: float
) -> None:
    assert house.clock is not None
    house.clock.at = int(house.clock.at) + 0.5
    house.write(**NUMBER, start_at="end")
    out = jobs.add(state=JobState.PENDING, started=None)
    await house.once()
    house.clock.at += wait
    write_at(out, numbers(1, 2), house.clock.at)
    jobs.change(state=JobState.RUNNING, started=float(int(house.clock.at)))
    await house.once()
    assert house.matched() == said(1, 2)


async def test_an_output_that_is_missing_for_one_look_is_not_read_again(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    out = jobs.add()
    out.write_text(numbers(1, 3))
    await house.once()
    hidden = out.with_suffix(".away")
    out.rename(hidden)
    await house.once()
    assert house.row().state is WatcherState.ACTIVE
    hidden.rename(out)
    with out.open("a") as file:
        file.write(numbers(4, 4))
    await house.once()
    assert house.matched() == said(1, 4)


async def test_an_output_that_cannot_be_looked_at_is_no_end_and_no_silence(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER, silence="1m", trigger_on_job_end=True)
    out = jobs.add()
    out.write_text(numbers(1, 1))
    await house.once()
    out.unlink()
    out.mkdir()  # neither a file nor missing: nobody knows
    assert house.clock is not None
    house.clock.at += 600
    jobs.finish()
    await house.once()
    assert house.matched() == said(1, 1)
    assert house.row().state is WatcherState.ACTIVE
    out.rmdir()
    out.write_text(numbers(1, 2))
    await house.once()
    await house.once()
    assert [event.data["trigger"] for event in house.events("watcher.triggered")] == ["match", "match", "job_end"]
    assert house.row().state is WatcherState.COMPLETED


async def test_a_truncated_output_is_read_from_its_beginning(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    out = jobs.add()
    out.write_text(numbers(1, 5))
    await house.once()
    out.write_text(numbers(6, 7))
    await house.once()
    assert house.matched() == said(1, 7)
    assert len(house.events("stream.truncated")) == 1


@pytest.mark.parametrize("inode", ["the same", "another"])
async def test_an_output_that_was_written_anew_and_longer_is_read_once(house: House, jobs: Jobs, inode: str) -> None:
    house.write(**NUMBER)
    out = jobs.add()
    out.write_text(numbers(1, 5))
    await house.once()
    new = out if inode == "the same" else out.with_suffix(".new")
    new.write_text(numbers(100, 130))
    new.rename(out)
    await house.once()
    assert house.matched() == [*said(1, 5), *said(100, 130)]
    assert len(house.events("stream.replaced")) == 1


async def test_an_output_that_an_earlier_job_left_triggers_nothing(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    out = jobs.add()
    out.write_text(numbers(1, 3))
    os.utime(out, (time.time() - 9999, time.time() - 9999))
    await house.once()
    assert house.matched() == []
    out.write_text(numbers(8, 9))
    await house.once()
    assert house.matched() == said(8, 9)


async def test_a_job_that_was_cancelled_while_it_waited_has_no_lines(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER, trigger_on_job_end=True, trigger_job_states=["cancelled"])
    jobs.add(state=JobState.PENDING, started=None).write_text(numbers(1, 3))
    await house.once()
    jobs.finish(state=JobState.CANCELLED)
    await house.once()
    assert [event.data["trigger"] for event in house.events("watcher.triggered")] == ["job_end"]
    assert house.row().state is WatcherState.COMPLETED


# --- where a watcher starts and goes on ------------------------------------------------------------------------------


async def test_a_watcher_that_comes_later_starts_at_the_beginning_or_at_the_end(house: House, jobs: Jobs) -> None:
    out = jobs.add()
    out.write_text(numbers(1, 3) + "n=4")
    await house.once()
    house.write("beginning", **NUMBER)
    house.write("end", **NUMBER, start_at="end")
    await house.once()
    with out.open("a") as file:
        file.write("4\n" + numbers(5, 6))
    await house.once()
    assert house.matched("beginning") == [*said(1, 3), "n=44", *said(5, 6)]
    assert house.matched("end") == said(5, 6)


@pytest.mark.parametrize("start", ["start_at: end", "resume --from end", "an earlier run's file"])
async def test_the_second_half_of_a_line_end_is_no_line_to_who_starts_behind_the_first(
    house: House, jobs: Jobs, start: str
) -> None:
    house.write(pattern="^(|n=.*)$", start_at="end" if start == "start_at: end" else "beginning")
    out = jobs.add()
    if start == "resume --from end":
        await house.once()
        assert house.run("suspend", "w").returncode == 0
    out.write_bytes(b"50%\r")
    if start == "an earlier run's file":
        os.utime(out, (time.time() - 9999, time.time() - 9999))
    await house.once()
    if start == "resume --from end":
        assert house.run("resume", "w", "--from", "end").returncode == 0
        await house.once()
    with out.open("ab") as file:
        file.write(b"\nn=1\n\n")
    await house.once()
    assert house.matched() == ["n=1", ""]


@pytest.mark.parametrize(("job_id", "heard"), [("4711", said(1, 4)), ("1", said(4, 4))])
async def test_a_scheduler_whose_clock_is_ahead_costs_no_line_of_a_file_named_after_its_job(
    house: House, jobs: Jobs, job_id: str, heard: list[str]
) -> None:
    house.write(**NUMBER)
    out = jobs.add(job_id, started=time.time() + 5)
    out.write_text(numbers(1, 3))
    await house.once()
    jobs.change(job_id, started=time.time() - 5)
    with out.open("a") as file:
        file.write(numbers(4, 4))
    await house.once()
    assert house.matched() == heard


async def test_an_edited_pattern_goes_on_from_the_checkpoint(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    out = jobs.add()
    out.write_text(numbers(1, 3))
    await house.once()
    house.write(pattern=r"m=\d+")
    with out.open("a") as file:
        file.write("n=4 m=4\n")
    await house.once()
    assert house.matched() == [*said(1, 3), "m=4"]
    assert len(house.rows()) == 1


async def test_a_renamed_watcher_keeps_position_counters_and_variables(house: House, jobs: Jobs) -> None:
    house.write("Old", pattern=r"n=(\d+)", captures=["n"])
    out = jobs.add()
    out.write_text(numbers(1, 3))
    await house.once()
    before = house.row("Old")
    house.remove("Old")
    house.write("New", pattern=r"n=(\d+)", captures=["n"], renamed_from="Old")
    with out.open("a") as file:
        file.write(numbers(4, 4))
    await house.once()
    after = house.row("New")
    assert (after.id, after.trigger_count, after.variables["n"]) == (before.id, 4, "4")
    assert house.matched() == said(1, 4)
    assert [event.type for event in house.events("watcher.stopped", "watcher.replaced")] == [
        "reconciler.watcher.replaced.v1"
    ]


async def test_a_spec_that_was_deleted_and_put_back_goes_on_from_its_checkpoint(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER, trigger_on_job_end=True)
    house.write("other")
    out = jobs.add()
    out.write_text(numbers(1, 3))
    await house.once()
    house.remove()
    await house.once(approve="yes")
    assert house.row("w").state is WatcherState.STOPPED
    with out.open("a") as file:
        file.write(numbers(4, 4))
    await house.once()
    house.write(**NUMBER, trigger_on_job_end=True)
    await house.once()
    assert house.matched("w") == said(1, 4)
    jobs.finish()
    await house.once()
    await house.once()
    assert [event.data["trigger"] for event in house.events("watcher.triggered", watcher="w")] == [
        *["match"] * 4, "job_end",
    ]  # fmt: skip
    assert len(house.rows("w")) == 1


async def test_a_selector_that_stops_matching_and_matches_again_goes_on(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER, jobs={"name": "train"})
    out = jobs.add()
    out.write_text(numbers(1, 2))
    await house.once()
    house.write(**NUMBER, jobs={"name": "eval"})
    await house.once()
    assert house.row().state is WatcherState.STOPPED
    house.write(**NUMBER, jobs={"name": "train"})
    with out.open("a") as file:
        file.write(numbers(3, 3))
    await house.once()
    assert house.matched() == said(1, 3)


# --- the end of jobs -------------------------------------------------------------------------------------------------


async def test_a_job_that_ended_while_nothing_ran_is_read_and_completed_at_the_next_pass(
    house: House, jobs: Jobs
) -> None:
    house.write(**NUMBER, trigger_on_job_end=True)
    out = jobs.add()
    out.write_text(numbers(1, 1))
    await house.once()
    with out.open("a") as file:
        file.write("n=2\nn=3")
    jobs.finish(state=JobState.FAILED)
    await house.once()
    await house.once()
    assert [event.data["trigger"] for event in house.events("watcher.triggered")] == [
        "match",
        "match",
        "match",
        "job_end",
    ]
    assert house.row().state is WatcherState.COMPLETED
    assert len(house.events("watcher.completed")) == 1


async def test_a_job_that_began_and_ended_between_two_passes_is_read_and_completed(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER, trigger_on_job_end=True)
    await house.once()
    jobs.add("5").write_text(numbers(1, 2))
    jobs.finish("5")
    await house.once()
    assert house.matched() == [*said(1, 2), "None"]
    assert house.row().state is WatcherState.COMPLETED


async def test_a_job_that_the_scheduler_has_forgotten_has_ended_and_nobody_knows_how(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER, trigger_on_job_end=True, trigger_job_states=["failed"])
    out = jobs.add()
    await house.once()
    out.write_text(numbers(1, 1))
    jobs.forget()
    assert house.clock is not None
    await house.once()
    await house.once()
    assert house.matched() == said(1, 1)
    (completed,) = house.events("watcher.completed")
    assert completed.data["job_state"] == "UNKNOWN"


async def test_the_end_of_a_job_is_not_believed_before_its_output_has_been_still(tmp_path: Path) -> None:
    house = House(tmp_path, engine={"end_grace": 20})
    jobs = house.with_jobs()
    house.write(**NUMBER)
    out = jobs.add()
    out.write_text("n=1")
    jobs.change(state=JobState.COMPLETED, ended=house.clock.at if house.clock else None)
    await house.once()
    assert (house.matched(), house.row().state) == ([], WatcherState.ACTIVE)
    assert house.clock is not None
    house.clock.at += 30
    with out.open("a") as file:
        file.write("2\n")
    os.utime(out, (house.clock.at, house.clock.at))
    await house.once()
    assert (house.matched(), house.row().state) == (["n=12"], WatcherState.ACTIVE)
    house.clock.at += 30
    await house.once()
    assert house.row().state is WatcherState.COMPLETED


async def test_a_requeued_job_keeps_its_watcher_whether_it_appends_or_begins_anew(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    appends, anew = jobs.add("1"), jobs.add("2")
    for out in (appends, anew):
        out.write_text(numbers(1, 2))
    jobs.finish("1")
    jobs.finish("2")
    await house.once()
    assert {watcher.state for watcher in house.rows()} == {WatcherState.COMPLETED}
    for job_id in ("1", "2"):
        jobs.change(job_id, state=JobState.RUNNING, raw_state="RUNNING", ended=None, restarts=1)
    with appends.open("a") as file:
        file.write(numbers(3, 4))
    anew.write_text(numbers(7, 7))
    await house.once()
    by_job = {job: [e.matched_text for e in house.events("watcher.triggered") if e.job_id == job] for job in ("1", "2")}
    assert by_job == {"1": said(1, 4), "2": [*said(1, 2), *said(7, 7)]}
    assert len(house.rows()) == 2
    jobs.finish("1")
    jobs.finish("2")
    await house.once()
    assert {watcher.state for watcher in house.rows()} == {WatcherState.COMPLETED}


@pytest.mark.parametrize("end_seen", [True, False])
@pytest.mark.parametrize("second", ["begin\nn=1\n", "begin\nn=1\nbegin\nn=1\n", "begin\n"])
async def test_a_requeued_job_that_says_the_same_again_is_heard_again(
    house: House, jobs: Jobs, end_seen: bool, second: str
) -> None:
    house.write(**NUMBER)
    out = jobs.add()
    assert house.clock is not None
    write_at(out, "begin\nn=1\n", house.clock.at)
    await house.once()
    if end_seen:
        jobs.finish()
        house.clock.at += 100
        await house.once()
    jobs.change(state=JobState.PENDING, raw_state="PENDING", ended=None)
    await house.once()
    house.clock.at += 300
    jobs.change(state=JobState.RUNNING, raw_state="RUNNING", started=house.clock.at - 10, restarts=1)
    await house.once()
    assert house.matched() == said(1, 1)  # what is there is the run's before
    write_at(out, second, house.clock.at - 5)
    await house.once()
    await house.once()
    assert house.matched() == said(1, 1) * (1 + ("n=1" in second))


@pytest.mark.parametrize("appends", [True, False])
async def test_a_run_of_a_requeued_job_that_began_and_ended_between_two_passes_is_read_and_completed(
    house: House, jobs: Jobs, appends: bool
) -> None:
    house.write(**NUMBER, trigger_on_job_end=True)
    out = jobs.add()
    assert house.clock is not None
    write_at(out, numbers(1, 1), house.clock.at)
    jobs.finish()
    await house.once()
    house.clock.at += 500
    started, ended = house.clock.at - 200, house.clock.at - 100
    jobs.change(state=JobState.FAILED, raw_state="FAILED", started=started, ended=ended, restarts=1)
    write_at(out, numbers(1, 1) * (1 + appends), house.clock.at - 150)
    for _ in range(2):
        await house.once()
    kinds = [str(event.data["trigger"]) for event in house.events("watcher.triggered")]
    assert (kinds, house.row().state) == (["match", "job_end"] * 2, WatcherState.COMPLETED)


@pytest.mark.parametrize("second", ["n=1\nn=2\n", "n=2\n", "n=1\nn=1\n"])
async def test_what_was_read_of_a_new_run_before_it_was_known_is_not_read_again(
    house: House, jobs: Jobs, second: str
) -> None:
    house.write(**NUMBER)
    out = jobs.add()
    assert house.clock is not None
    write_at(out, numbers(1, 1), house.clock.at)
    await house.once()
    house.clock.at += 300
    write_at(out, second, house.clock.at - 5)
    await house.once()
    read = house.matched()
    assert len(read) == 2
    jobs.change(started=house.clock.at - 10, restarts=1)
    for _ in range(2):
        await house.once()
        house.clock.at += 60
    assert house.matched() == read


async def test_what_a_job_said_before_it_was_requeued_is_read_though_its_new_run_says_nothing_yet(
    house: House, jobs: Jobs
) -> None:
    house.write(**NUMBER)
    out = jobs.add()
    assert house.clock is not None
    write_at(out, numbers(1, 2), house.clock.at)
    await house.once()
    write_at(out, numbers(1, 3), house.clock.at + 5)
    house.clock.at += 300
    jobs.change(started=house.clock.at - 10, restarts=1)
    await house.once()
    write_at(out, numbers(1, 4), house.clock.at)
    await house.once()
    await house.once()
    assert house.matched() == said(1, 4)


async def test_a_job_id_that_was_given_to_another_job_means_another_watcher(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    jobs.add().write_text(numbers(1, 2))
    jobs.finish()
    await house.once()
    assert house.clock is not None
    house.clock.at += 9999
    jobs.add(submitted=house.clock.at, stdout=str(house.outputs / "second"))
    out = house.outputs / "second"
    out.write_text(numbers(1, 1))
    os.utime(out, (house.clock.at, house.clock.at))
    await house.once()
    first, second = house.rows()
    assert (first.state, second.state) == (WatcherState.COMPLETED, WatcherState.ACTIVE)
    assert (first.trigger_count, second.trigger_count) == (2, 1)
    await house.once()
    assert len(house.rows()) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {}),
        ({}, {"state": JobState.PENDING, "started": None}),
        ({"state": JobState.PENDING, "started": None}, {}),
        ({}, {"state": JobState.FAILED}),
        ({"restarts": 2}, {}),
        ({}, {"user": "bob", "restarts": 1}),
        ({"restarts": 1}, {"user": "bob", "restarts": 1}),
    ],
)
async def test_a_job_is_another_one_though_nobody_saw_the_end_of_the_job_that_had_its_id(
    house: House, jobs: Jobs, old: dict[str, Any], new: dict[str, Any]
) -> None:
    house.write("trains", pattern="OOM", jobs={"name": "train"}, actions=[{"type": "cancel_job"}])
    house.write("evals", pattern="OOM", jobs={"name": "eval"})
    jobs.add(**old).write_text("fine\n")
    await house.once()
    assert house.clock is not None
    house.clock.at += 5
    out = jobs.add(name="eval", **new)
    out.write_text("OOM\n")
    os.utime(out, (house.clock.at, house.clock.at))
    await house.once()
    jobs.change(state=JobState.RUNNING, started=house.clock.at)
    await house.once()
    assert [(row.name, row.job_name, row.state) for row in house.rows()] == [
        ("trains", "train", WatcherState.STOPPED), ("evals", "eval", WatcherState.ACTIVE),
    ]  # fmt: skip
    assert (jobs.cancelled, house.matched()) == ([], ["OOM"])
    (stopped,) = house.events("watcher.stopped")
    assert "the id was given to another job" in (stopped.action_result or "")


async def test_a_job_that_is_requeued_renamed_or_told_with_a_rounded_time_is_the_same_job(
    house: House, jobs: Jobs
) -> None:
    house.write(**NUMBER)
    assert house.clock is not None
    at = house.clock.at
    out = jobs.add(submitted=at - 2.75)
    changes: list[dict[str, Any]] = [
        {"submitted": at - 2},
        {"name": "other"},
        {"state": JobState.RUNNING, "raw_state": "COMPLETING", "restarts": 1},
        {"state": JobState.PENDING, "raw_state": "PENDING", "submitted": at + 9},  # told after the restart
        {"state": JobState.RUNNING, "raw_state": "RUNNING", "started": at},
        {"submitted": None},
        {"submitted": at + 9, "user": "1001"},  # whose name is not known just now
        {"submitted": at + 90, "restarts": 2},
    ]
    for number, change in enumerate(changes, start=1):
        jobs.change(**change)
        out.write_text(numbers(1, number))
        await house.once()
    assert (house.matched(), len(house.rows()), house.events("watcher.stopped")) == (said(1, 8), 1, ())


async def test_an_array_has_one_watcher_for_each_task_that_runs_and_none_for_the_rest(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER, jobs={"ids": ["70"]})
    for task in (1, 2):
        jobs.add(f"70_{task}", stdout=str(house.outputs / f"task{task}"))
        (house.outputs / f"task{task}").write_text(numbers(task, task))
    await house.once()
    assert [(str(w.job.id), w.trigger_count) for w in house.rows()] == [("70_1", 1), ("70_2", 1)]


# --- not knowing -----------------------------------------------------------------------------------------------------


async def test_a_scheduler_that_does_not_answer_ends_no_watcher_and_all_is_caught_up(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    out = jobs.add()
    out.write_text(numbers(1, 1))
    await house.once()
    jobs.failing = SchedulerUnavailableError("slurmctld does not answer")
    report = await house.once()
    assert 7 in report.codes()
    assert house.row().state is WatcherState.ACTIVE
    shown = house.run("status", "-o", "json").stdout
    assert '"unreachable"' in shown
    assert "slurmctld does not answer" in shown
    with out.open("a") as file:
        file.write(numbers(2, 3))
    jobs.failing = None
    jobs.finish()
    await house.once()
    assert house.matched() == said(1, 3)
    assert [event.type.split(".")[2] for event in house.events("host.unreachable", "host.reachable")] == [
        "unreachable", "reachable",
    ]  # fmt: skip


async def test_without_accounting_jobs_that_left_the_list_wait_and_all_others_go_on(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    stays, leaves = jobs.add("1"), jobs.add("2")
    stays.write_text(numbers(1, 1))
    leaves.write_text(numbers(7, 7))
    await house.once()
    left = jobs.listed[JobId("2")]
    jobs.forget("2")
    jobs.forgetful = "sacct failed: Connection refused"
    jobs.add("3").write_text(numbers(5, 5))
    for number in (2, 3):
        stays.write_text(numbers(1, number))
        report = await house.once()
        assert 7 in report.codes()
        assert (report.seen.unreachable, report.seen.lacking) == ({}, {"localhost": jobs.forgetful})
    assert house.matched() == ["n=1", "n=7", "n=2", "n=5", "n=3"]
    assert {str(row.job.id): row.state for row in house.rows()} == dict.fromkeys("123", WatcherState.ACTIVE)
    assert "sacct failed: Connection refused; jobs that its scheduler has forgotten" in house.run("status").stderr
    jobs.forgetful = ""
    jobs.listed[JobId("2")] = left
    jobs.finish("2")
    leaves.write_text(numbers(7, 8))
    report = await house.once()
    assert 7 not in report.codes()
    assert house.matched()[-1] == "n=8"
    assert {str(row.job.id): str(row.state) for row in house.rows()}["2"] == "completed"
    assert "sacct" not in house.run("status").stderr
    assert house.events("host.unreachable") == ()


async def test_what_accounting_did_not_tell_is_asked_for_from_where_all_was_known(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    jobs.add("1").write_text("")
    await house.once()
    asked = []
    assert house.clock is not None
    known, listing = house.clock.now(), jobs.jobs

    async def listened(since: float | None) -> tuple[Job, ...]:
        asked.append(since)
        return await listing(since)

    jobs.jobs = listened  # type: ignore[method-assign]
    jobs.forgetful = "sacct failed"
    for _ in range(2):
        house.clock.at += 600
        await house.once()
    jobs.forgetful = ""
    for _ in range(2):
        house.clock.at += 600
        await house.once()
    assert asked == [known, known, known, known + 1800]


class Cut:
    """A transport whose looks fail."""

    def __init__(self, real: Host) -> None:
        self._real = real.transport
        self.host = real.name

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    async def look(self, wants: object) -> object:
        raise HostUnreachableError("the connection broke")


async def test_a_host_that_cannot_be_reached_keeps_everything_as_it_is(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER, silence="1m")
    jobs.add().write_text(numbers(1, 1))
    await house.once()
    assert house.clock is not None
    house.clock.at += 3600
    jobs.finish()
    async with house.engine() as engine:
        hosts = engine.parts.hosts
        assert isinstance(hosts, dict)
        hosts[LOCALHOST] = Host(LOCALHOST, Cut(hosts[LOCALHOST]), jobs)  # type: ignore[arg-type]
        report = await engine.once.run()
    assert report.seen.unreachable == {"localhost": "the connection broke"}
    assert (house.matched(), house.row().state) == (said(1, 1), WatcherState.ACTIVE)
    await house.once()
    assert house.row().state is WatcherState.COMPLETED


async def test_many_watchers_on_one_output_read_it_once(house: House, jobs: Jobs) -> None:
    for number in range(100):
        house.write(f"w{number}", pattern=rf"n={number % 10}\b")
    out = jobs.add()
    out.write_text(numbers(0, 9) * 50)
    asked: list[int] = []
    async with house.engine() as engine:
        transport = engine.parts.hosts[LOCALHOST].transport

        class Counting(Cut):
            async def look(self, wants: object) -> object:
                glimpses = await transport.look(wants)  # type: ignore[arg-type]
                asked.extend(len(glimpse.data) for glimpse in glimpses)
                return glimpses

        hosts = engine.parts.hosts
        assert isinstance(hosts, dict)
        hosts[LOCALHOST] = Host(LOCALHOST, Counting(hosts[LOCALHOST]), jobs)  # type: ignore[arg-type]
        await engine.once.run()
    assert sum(asked) == out.stat().st_size
    assert {watcher.trigger_count for watcher in house.rows()} == {50}
    assert {watcher.checkpoints[StreamName.STDOUT].offset for watcher in house.rows()} == {out.stat().st_size}


async def test_two_jobs_that_write_one_file_are_told(house: House, jobs: Jobs) -> None:
    house.write()
    shared = str(house.outputs / "shared")
    jobs.add("1", stdout=shared)
    jobs.add("2", stdout=shared)
    Path(shared).write_text("")
    await house.once()
    assert "write one file" in house.run("status").stderr


async def test_outputs_on_a_directory_that_is_gone_are_waited_for(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    jobs.add().write_text(numbers(1, 1))
    await house.once()
    away = house.outputs.with_name("away")
    shutil.move(house.outputs, away)
    await house.once()
    shutil.move(away, house.outputs)
    await house.once()
    assert house.matched() == said(1, 1)
