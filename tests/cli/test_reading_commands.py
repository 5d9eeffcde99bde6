"""status, explain, why, drift and events: what they say of what is there, read beside whoever writes it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from parts.house import House, Jobs
from parts.waiting import eventually, soon

from reconciler.errors import HostUnreachableError
from reconciler.model import JobState

NUMBER: dict[str, Any] = {"pattern": r"n=(\d+)", "captures": ["n"]}
NO_POINT = {"type": "store_metric", "params": {"name": "n", "value": "none"}}


@pytest.fixture
def jobs(house: House) -> Jobs:
    return house.with_jobs()


def told(house: House, *words: str) -> Any:
    """What a command says as JSON."""
    got = house.run(*words, "-o", "json")
    assert got.returncode == 0, got.stderr
    return json.loads(got.stdout)


# --- status ----------------------------------------------------------------------------------------------------------


async def test_status_is_everything_of_a_watcher_for_programs(house: House, jobs: Jobs) -> None:
    path = house.write("w", **NUMBER)
    jobs.add("1", name="train-x").write_text("n=7\n")
    await house.once()
    shown = told(house, "status")
    assert (shown["format_version"], shown["unreachable"]) == (1, {})
    (row,) = shown["watchers"]
    assert (row["watcher"], row["job"], row["job_id"], row["hostname"]) == ("w", "1@localhost", "1", "localhost")
    assert (row["job_name"], row["job_state"], row["state"], row["triggers"]) == ("train-x", "running", "active", 1)
    assert (row["variables"], row["holds"], row["last_error"]) == ({"n": "7", "1": "7"}, [], "")
    assert (row["file"], row["line"]) == (str(path), 1)
    assert row["last_trigger"] == pytest.approx(row["last_check"], abs=1)


async def test_status_is_narrowed(house: House, jobs: Jobs) -> None:
    house.write("a", **NUMBER)
    house.write("b", **NUMBER)
    for job_id in ("1", "2"):
        jobs.add(job_id).write_text("")
    await house.once()
    jobs.finish("2")
    await house.once()

    def seen(*words: str) -> list[tuple[str, str]]:
        return [(row["watcher"], row["job_id"]) for row in told(house, "status", *words)["watchers"]]

    assert seen() == [("a", "1"), ("b", "1")]
    assert sorted(seen("--all")) == [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]
    assert seen("--name", "a") == [("a", "1")]
    assert seen("--job", "2", "--name", "b") == [("b", "2")]
    assert sorted(seen("--state", "completed")) == [("a", "2"), ("b", "2")]
    assert house.run("status", "--name", "nobody").stdout == "no watcher has work\n"


async def test_status_says_that_a_host_does_not_answer(house: House, jobs: Jobs) -> None:
    house.write("w", **NUMBER)
    jobs.add("1").write_text("")
    await house.once()
    jobs.failing = HostUnreachableError("no route to host")
    await house.once()
    shown = told(house, "status")
    assert shown["unreachable"] == {"localhost": "no route to host"}
    assert [(row["state"], row["remark"]) for row in shown["watchers"]] == [("unreachable", "no route to host")]
    (row,) = told(house, "why", "w")["watchers"]
    assert row["reasons"][0] == "its host does not answer: no route to host"


# --- explain ---------------------------------------------------------------------------------------------------------


async def test_explain_tells_where_it_is_written_and_what_it_did(house: House, jobs: Jobs) -> None:
    path = house.write("w", **NUMBER)
    jobs.add("1").write_text("n=1\nn=2\n")
    jobs.add("2").write_text("")
    await house.once()
    facts = told(house, "explain", "w")
    assert (facts["file"], facts["line"], facts["actions"]) == (str(path), 1, ["log_event"])
    assert [pattern["pattern"] for pattern in facts["patterns"]] == [r"n=(\d+)"]
    assert facts["patterns"][0]["tier"] != "refused"
    first, second = facts["bound"]
    assert (first["job"], first["job_state"], first["triggers"]) == ("1@localhost", "running", 2)
    assert (first["last_match"], first["last_outcome"].split(",")[0]) == ("n=2", "log_event: succeeded")
    assert (second["last_match"], second["last_outcome"]) == ("", "")
    text = house.run("explain", "w").stdout
    assert f"written in  {path}:1" in text
    assert "actions     log_event" in text


async def test_explain_of_a_watcher_whose_file_is_gone(house: House, jobs: Jobs) -> None:
    house.write("w", **NUMBER)
    house.write("other", **NUMBER)
    jobs.add("1").write_text("n=1\n")
    await house.once()
    house.remove("w")
    assert house.clock is not None
    await house.once()
    house.clock.at += 1000
    await house.once()
    got = house.run("explain", "w")
    assert "no file gives it any more" in got.stdout
    assert "stopped" in got.stdout


def test_explain_of_a_name_that_nobody_gave(house: House) -> None:
    got = house.run("explain", "nobody")
    assert (got.returncode, "'nobody'" in got.stderr) == (64, True)


# --- why -------------------------------------------------------------------------------------------------------------


def why(house: House, *words: str) -> str:
    """The reasons for the only row."""
    (row,) = told(house, "why", *words)["watchers"]
    assert row["why"] == "; ".join(row["reasons"])
    return str(row["why"])


async def test_why_nothing_has_matched(house: House, jobs: Jobs) -> None:
    house.write("w", **NUMBER)
    out = jobs.add("1")
    await house.once()
    assert f"there is no output yet ({out})" in why(house, "w")
    out.write_text("m=1\nm=2\n")
    await house.once()
    assert "it has read stdout: 2 lines, 8 bytes; no line has matched" in why(house, "w")


async def test_why_a_condition_could_not_be_told(house: House, jobs: Jobs) -> None:
    house.write("w", pattern="n=(.+)", captures=["n"], condition="float(n) > 1")
    jobs.add("1").write_text("n=x\nn=y\n")
    await house.once()
    assert "last error: condition: " in why(house, "w")
    assert "its condition or pattern could not be told 2 times" in why(house, "w")


async def test_why_it_is_held(house: House, jobs: Jobs) -> None:
    house.write("w", **NUMBER, suspend={"reason": "not yet"})
    jobs.add("1").write_text("")
    await house.once()
    house.run("suspend", "w", "--reason", "new driver", "--for", "2h")
    reasons = why(house, "w")
    assert "suspended (declared) by" in reasons
    assert "not yet" in reasons
    assert "suspended (manual) by" in reasons
    assert ", for another 1h59m" in reasons or ", for another 2h" in reasons
    assert "new driver" in reasons


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"max_triggers": 1}, "it reached max_triggers"),
        (
            {"max_failures": 1, "actions": [{"type": "store_metric", "params": {"name": "n", "value": "none"}}]},
            "it fai",
        ),
        ({"timer_mode_enabled": True}, "it is in timer mode"),
        ({"cooldown": "30m"}, "it triggered and is in its cooldown for another"),
    ],
)
async def test_why_it_no_longer_triggers(house: House, jobs: Jobs, fields: dict[str, Any], reason: str) -> None:
    house.write("w", **{**NUMBER, **fields})
    jobs.add("1").write_text("n=1\n")
    await house.once()
    assert reason in why(house, "w")


async def test_why_its_job_is_over_or_has_not_begun(house: House, jobs: Jobs) -> None:
    house.write("w", **NUMBER)
    jobs.add("1").write_text("")
    await house.once()
    jobs.change("1", state=JobState.PENDING, raw_state="REQUEUED", restarts=1)
    await house.once()
    assert why(house, "w") == "its job has not started"
    jobs.change("1", state=JobState.RUNNING, raw_state="RUNNING")
    await house.once()
    jobs.finish("1")
    await house.once()
    assert "its job has ended and its output was read to the end" in why(house, "w", "--job", "1")
    house.write("late", **NUMBER, jobs={"ids": ["1"]})
    await house.once()
    assert "its job had ended before the spec existed" in why(house, "late")


async def test_why_actions_were_left_out(house: House, jobs: Jobs) -> None:
    house.write("w", **NUMBER, actions=[{"type": "run_command", "params": {"command": "true"}}])
    jobs.add("1", workdir=str(house.home)).write_text("".join(f"n={n}\n" for n in range(12)))
    await house.once()
    assert "some of its actions were over the limit a minute" in why(house, "w")


async def test_why_no_job_fits(house: House, jobs: Jobs) -> None:
    house.write("w", **NUMBER, jobs={"name": "train-*", "partition": ["gpu", "big"]})
    jobs.add("1", name="test")
    await house.once()
    reason = why(house, "w")
    assert "none of the 1 jobs that wait or run fits its selector" in reason
    assert "name: train-*" in reason
    assert "partition: gpu or big" in reason
    assert house.run("why", "nobody").returncode == 64


# --- drift -----------------------------------------------------------------------------------------------------------


async def test_drift_is_what_a_person_did_and_nothing_else(house: House, jobs: Jobs) -> None:
    house.write("mine", **NUMBER)
    house.write("declared", **NUMBER, suspend=True)
    house.write("self", **NUMBER, actions=[{"type": "pause_watcher"}])
    jobs.add("1").write_text("n=1\n")
    await house.once()
    nothing = house.run("drift", "--detailed-exitcode")
    assert (nothing.returncode, nothing.stdout) == (0, "No drift: nothing was changed by hand.\n")
    house.run("suspend", "mine", "--reason", "why not")
    (row,) = told(house, "drift")["drift"]
    assert (row["watcher"], row["job"], row["reason"], row["until"]) == ("mine", "1@localhost", "why not", None)
    assert row["by"]
    assert house.run("drift", "--detailed-exitcode").returncode == 3
    assert house.run("drift").returncode == 0
    house.run("resume", "mine")
    assert told(house, "drift")["drift"] == []


# --- events ----------------------------------------------------------------------------------------------------------


@contextmanager
def following(house: House, *words: str) -> Iterator[Path]:
    """`events -f` as a process of its own; yield the file of what it says, end it as Ctrl-C does."""
    out = house.home / "followed"
    with out.open("wb") as stream:
        process = subprocess.Popen(house.argv("events", "-f", *words), stdout=stream, stderr=stream, cwd=house.home)
        try:
            yield out
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
        finally:
            process.kill()
            process.wait()


async def test_events_follow_as_things_happen(house: House, jobs: Jobs) -> None:
    house.write("w", **NUMBER)
    out = jobs.add("1")
    out.write_text("n=1\n")
    await house.once()
    with following(house, "--type", "reconciler.watcher.triggered.v1", "-o", "json") as said:

        def matched() -> list[str]:
            lines = said.read_text().splitlines()
            return [json.loads(line)["data"]["matched_text"] for line in lines]

        await eventually(lambda: matched() == ["n=1"])
        for number in (2, 3):
            with out.open("a") as file:
                file.write(f"n={number}\n")
            await house.once()
        await eventually(lambda: matched() == ["n=1", "n=2", "n=3"])


def test_events_follow_a_state_that_is_not_there_yet(house: House) -> None:
    house.write("w", pattern="hit")
    with following(house) as said:
        soon(lambda: "nothing has happened yet" in said.read_text())
        assert house.run("run", "--wait", "--", "echo", "hit").returncode == 0
        assert house.run(str(house.watchers), "--once").returncode == 0
        soon(lambda: "watcher.triggered  w/1@localhost" in said.read_text())
        soon(lambda: "watcher.completed" in said.read_text())


async def test_filters_that_let_nothing_through_do_not_say_that_nothing_happened(house: House, jobs: Jobs) -> None:
    assert house.run("events", "--job", "7").stdout == "nothing has happened yet\n"
    house.write("a", **NUMBER)
    jobs.add("1").write_text("n=1\n")
    await house.once()
    for words in (("--job", "7"), ("--watcher", "b"), ("--type", "reconciler.api.refused.v1"), ("--after", "999")):
        got = house.run("events", *words)
        assert (got.returncode, got.stdout) == (0, "no event fits\n")
    mistyped = house.run("events", "--type", "triggered")
    assert (mistyped.returncode, "reconciler.watcher.triggered.v1" in mistyped.stderr) == (64, True)


async def test_events_are_narrowed_and_counted(house: House, jobs: Jobs) -> None:
    house.write("a", **NUMBER)
    house.write("b", **NUMBER)
    for job_id in ("1", "2"):
        jobs.add(job_id).write_text("n=1\nn=2\n")
    await house.once()
    everything = told(house, "events")["events"]
    seqs = [event["data"]["seq"] for event in everything]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    some = told(house, "events", "--job", "1", "--watcher", "b", "--type", "reconciler.watcher.triggered.v1")["events"]
    assert [event["subject"] for event in some] == ["b/1@localhost"] * 2
    assert [event["data"]["seq"] for event in told(house, "events", "-n", "2")["events"]] == seqs[-2:]
    assert [e["data"]["seq"] for e in told(house, "events", "--after", str(seqs[3]), "-n", "3")["events"]] == seqs[4:7]


# --- clean -----------------------------------------------------------------------------------------------------------


async def test_clean_deletes_what_is_past_its_retention(tmp_path: Path) -> None:
    house = House(tmp_path, state={"retain_events": "1s", "retain_metrics": "1s", "retain_watchers": "1s"})
    house.write("w", **NUMBER, actions=[{"type": "store_metric", "params": {"name": "n", "value": "$n"}}])
    job_id = await house.submit("echo n=1")
    await house.once()
    assert [point.value for point in house.metrics(str(job_id))] == [1.0]

    def cleaned() -> bool:
        got = house.run("clean")
        assert got.returncode == 0, got.stderr
        assert got.stdout.startswith("0 watchers still have work; ")
        return not house.rows()

    await eventually(cleaned)
    assert house.metrics(str(job_id)) == ()
    assert house.matched() == []


async def test_clean_stops_nothing_that_runs_and_leaves_a_held_state_alone(house: House) -> None:
    house.write("w", **NUMBER, interval_seconds=1)
    async with house.daemon():
        await house.submit("echo n=1; exec sleep 60", wait=False)
        await eventually(lambda: house.matched() == ["n=1"])
        assert house.run("clean").returncode == 6
    got = house.run("clean")
    assert (got.returncode, got.stdout) == (
        0,
        "1 watchers still have work; 0 rows and files were older than their retention and went\n",
    )
    assert house.row().state == "active"
    await house.cancel_all()
