"""`reconcile demo` shows the real thing and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from parts.waiting import soon

from reconciler.cli.commands import present

DEMO = [sys.executable, "-m", "reconciler", "demo"]
SECONDS = 25.0


def jobs_under(directory: Path) -> list[int]:
    """Return the processes that work in `directory`."""
    found = []
    for process in psutil.process_iter(["cwd"]):
        if str(process.info["cwd"] or "").startswith(str(directory)):
            found.append(process.pid)
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The directory and the output of one run."""
    directory = tmp_path_factory.mktemp("demo") / "kept"
    done = subprocess.run(
        [*DEMO, "--keep", str(directory)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return directory, done.stdout


def test_events_appear_in_the_order_in_which_things_happened(kept: tuple[Path, str]) -> None:
    told = kept[1]
    places = [
        told.index(text)
        for text in (
            "created",
            "train_loss = 1.9122 at step 1\n",
            "train_loss = 0.1592 at step 16",
            "GPU 0 is nearly full: 7820 of 8000 MB",
            "this run cannot go on: OutOfMemoryError",
            "cancel_job",
            "its last line, which has no end, says JOB CANCELLED",
            "demo-training has ended: cancelled",
        )
    ]
    assert places == sorted(places)


def test_every_value_was_stored_once_and_the_curve_is_drawn(kept: tuple[Path, str]) -> None:
    directory, told = kept
    assert "train_loss  " in told
    assert "last 0.1592, 16 points" in told
    assert "┤" in told
    with closing(sqlite3.connect(directory / "state.db")) as database:
        variables = dict(database.execute("SELECT variable_name, variable_value FROM watcher_variables").fetchall())
    assert (variables["loss"], variables["epoch"]) == ("0.1592", "16")


def test_the_last_line_without_an_end_was_matched(kept: tuple[Path, str]) -> None:
    directory, _ = kept
    assert not (directory / "train.out").read_bytes().endswith(b"\n")
    events = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
    assert any("JOB CANCELLED" in str(event["data"].get("matched_text")) for event in events)
    assert [event["data"]["seq"] for event in events] == list(range(1, len(events) + 1))


def test_the_memory_alert_kept_still_below_its_limit(kept: tuple[Path, str]) -> None:
    assert len(re.findall("nearly full", kept[1])) == 1


def test_a_directory_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    done = subprocess.run([*DEMO, "--keep", str(tmp_path)], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 64
    assert "is not empty" in done.stderr


def test_it_says_what_to_do_next_with_commands_that_are_here(kept: tuple[Path, str]) -> None:
    named = re.findall(r"^  reconcile ([a-z]+|\./)", kept[1], re.MULTILINE)
    assert len(named) >= 3
    assert set(named) - {"./"} <= set(present())


def test_nothing_is_left_running(kept: tuple[Path, str]) -> None:
    soon(lambda: jobs_under(kept[0]) == [])


def test_without_keep_nothing_is_left_and_the_user_s_own_state_is_not_touched(home: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        DEMO, capture_output=True, text=True, timeout=SECONDS, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
    assert [file for file in home.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_an_interrupted_demo_cancels_its_job(tmp_path: Path, number: signal.Signals, status: int) -> None:
    with subprocess.Popen([*DEMO, "--keep", str(tmp_path)], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        while "train_loss" not in program.stdout.readline():
            assert program.poll() is None
        program.send_signal(number)
        program.stdout.read()
        assert program.wait(timeout=20) == status
    soon(lambda: jobs_under(tmp_path) == [])
