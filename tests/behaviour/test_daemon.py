"""The daemon: what it sees by itself, requests beside it, its end, a second one, kill -9, a state that fails."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from parts.core import LOG, STORE
from parts.house import House
from parts.presence import missing
from parts.waiting import eventually

from reconciler.model import Job, WatcherState
from reconciler.schedulers.local import LocalScheduler

NUMBER: dict[str, Any] = {"pattern": r"n=(\d+)$", "captures": ["n"]}
POINT = {"type": "store_metric", "params": {"name": "n", "value": "$n"}}


def all_completed(house: House) -> bool:
    """Tell whether there are watchers, and every one has come to its end."""
    rows = house.rows()
    return bool(rows) and all(w.state is WatcherState.COMPLETED for w in rows)


@contextmanager
def daemon(house: House, *, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon as a process of its own, that has made its first pass; killed afterwards where it is still there."""
    log = (house.home / "daemon.log").open("ab")
    process = subprocess.Popen(
        house.argv(str(house.watchers)), stdout=log, stderr=log, cwd=house.home, env={**os.environ, **(env or {})}
    )
    try:
        yield process
    finally:
        log.close()
        if process.poll() is None:
            process.kill()
        process.wait()


def holds_state(house: House) -> bool:
    """Tell whether a pass has come so far that watchers were made."""
    return (house.home / "state.db").exists() and bool(house.rows())


# --- by itself -------------------------------------------------------------------------------------------------------


async def test_a_daemon_sees_new_jobs_lines_edits_and_ends_by_itself(house: House) -> None:
    house.write("w", **NUMBER, interval_seconds=1, trigger_on_job_end=True)
    go = house.home / "go"
    async with house.daemon():
        await house.submit(f"echo n=1; while [ ! -e {go} ]; do sleep 0.05; done; echo n=2; printf n=3", wait=False)
        await eventually(lambda: house.matched() == ["n=1"])
        house.write("late", **NUMBER, interval_seconds=1)
        await eventually(lambda: house.matched("late") == ["n=1"])
        go.touch()
        await eventually(lambda: all(w.state is WatcherState.COMPLETED for w in house.rows()))
        assert house.matched("w") == ["n=1", "n=2", "n=3", "None"]
        await eventually(lambda: len(house.lines()) == len(house.events()))
    with house.state() as state:
        assert all(job.finished for job in state.jobs())


async def test_a_local_change_is_seen_long_before_the_regular_look(house: House) -> None:
    house.write("w", **NUMBER, interval_seconds=3600)
    go = house.home / "go"
    async with house.daemon():
        await house.submit(f"echo n=1; while [ ! -e {go} ]; do sleep 0.02; done; echo n=2; sleep 60", wait=False)
        await eventually(lambda: house.matched() == ["n=1"])
        go.touch()
        await eventually(lambda: house.matched() == ["n=1", "n=2"])
    await house.cancel_all()


async def test_a_timer_ticks_in_a_daemon_and_ends_with_its_job(house: House) -> None:
    house.write("w", **NUMBER, timer_mode_enabled=True, timer_interval_seconds=1, interval_seconds=60)
    async with house.daemon():
        await house.submit("echo n=1; sleep 60", wait=False)
        await eventually(lambda: len(house.matched()) >= 3)
        await house.cancel_all()
        await eventually(lambda: house.row().state is WatcherState.COMPLETED)
        count = len(house.matched())
    assert [e.data["trigger"] for e in house.events("watcher.triggered")] == ["match", *["timer"] * (count - 1)]


async def test_a_daemon_and_a_series_of_passes_come_to_the_same(tmp_path: Path) -> None:
    script = "for i in $(seq 1 200); do echo loss=$i.5; done; sleep 0.3; for i in $(seq 1 50); do echo loss=-$i; done"
    fields: dict[str, Any] = {"pattern": r"loss=(\S+)", "captures": ["loss"], "actions": [STORE, LOG]}
    came: list[Any] = []
    for name in ("daemon", "passes"):
        house = House(tmp_path / name)
        house.write("all", **fields, interval_seconds=1)
        house.write("high", **fields, interval_seconds=1, condition="float(loss) > 150", max_triggers=20)
        if name == "daemon":
            async with house.daemon():
                job = await house.submit(script)
                await eventually(partial(all_completed, house))
        else:
            job = await house.submit(script, wait=False)
            while not (rows := house.rows()) or any(w.state is not WatcherState.COMPLETED for w in rows):
                await house.once()
        points = [(p.name, p.value) for p in house.metrics(job) if house.row("all").id == p.watcher_id]
        came_to = {w.name: (w.trigger_count, w.variables, w.state) for w in house.rows()}
        came.append((house.matched("all"), house.matched("high"), points, came_to))
    assert came[0] == came[1]
    assert len(came[0][0]) == 250


# --- beside it -------------------------------------------------------------------------------------------------------


async def test_suspend_resume_and_trigger_work_beside_a_running_daemon(house: House) -> None:
    house.write("w", **NUMBER)
    await house.submit("echo n=1; sleep 60", wait=False)
    with daemon(house) as process:
        await eventually(lambda: holds_state(house) and house.matched() == ["n=1"])
        assert (await asyncio.to_thread(house.run, "suspend", "w", "--reason", "why not")).returncode == 0
        assert house.row().state is WatcherState.PAUSED
        assert (await asyncio.to_thread(house.run, "trigger", "w")).returncode == 5
        assert (await asyncio.to_thread(house.run, "resume", "w")).returncode == 0
        told = await asyncio.to_thread(house.run, "trigger", "w")
        assert told.returncode == 0
        assert "trigger done" in told.stdout
        await eventually(lambda: house.matched() == ["n=1", "n=1"])
        assert process.poll() is None
    await house.cancel_all()


async def test_a_second_reconciler_leaves_with_its_own_exit_status(house: House) -> None:
    house.write("w", **NUMBER)
    await house.submit("echo n=1; sleep 60", wait=False)
    with daemon(house) as process:
        await eventually(lambda: holds_state(house))
        for words in ([str(house.watchers)], [str(house.watchers), "--once"]):
            told = await asyncio.to_thread(house.run, *words)
            assert told.returncode == 6
            assert f"process {process.pid}" in told.stderr
        assert process.poll() is None
    told = await asyncio.to_thread(house.run, str(house.watchers), "--once")
    assert told.returncode == 0, told.stderr
    assert house.matched() == ["n=1"]
    await house.cancel_all()


async def test_two_that_start_at_once_do_nothing_twice(house: House) -> None:
    house.write("w", **NUMBER, actions=[POINT])
    job = await house.submit("for i in $(seq 1 300); do echo n=$i; done")
    words = house.argv(str(house.watchers), "--once")
    codes = await asyncio.gather(*(asyncio.to_thread(code_of, words) for _ in range(2)))
    assert sorted(codes) in ([0, 0], [0, 6])
    assert [point.value for point in house.metrics(job)] == [float(n) for n in range(1, 301)]


# --- its end ---------------------------------------------------------------------------------------------------------


async def test_a_daemon_that_is_told_to_stop_lets_its_actions_end_and_leaves_with_0(tmp_path: Path) -> None:
    house = House(tmp_path, actions={"run_command": {"commands": ["sleep"]}})
    run = {"type": "run_command", "params": {"command": "sleep 1.5"}}
    house.write("w", **NUMBER, actions=[run])
    await house.submit("echo n=1; sleep 60", wait=False)
    with daemon(house) as process:
        await eventually(lambda: holds_state(house) and house.matched() == ["n=1"])
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 15) == 0
        assert time.monotonic() - begun < 10
    assert len(house.events("action.succeeded")) == 1
    with house.state() as state:
        assert state.pending() == ()
    await house.cancel_all()


@pytest.mark.slow
async def test_an_action_that_outlasts_the_end_is_told_as_interrupted_by_the_next_one(tmp_path: Path) -> None:
    house = House(tmp_path, actions={"run_command": {"commands": ["sleep"]}})
    run = {"type": "run_command", "params": {"command": "sleep 50"}}
    house.write("w", **NUMBER, actions=[run])
    await house.submit("echo n=1; sleep 60", wait=False)
    with daemon(house) as process:
        await eventually(lambda: holds_state(house) and house.matched() == ["n=1"])
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 15) == 0
        assert time.monotonic() - begun < 10
    await house.once()
    (told,) = house.events("action.interrupted")
    assert "it is not repeated" in told.action_result
    await house.cancel_all()


async def test_a_daemon_that_is_stopped_before_its_first_pass_is_over_leaves_with_0(house: House) -> None:
    house.write("w", **NUMBER)
    with daemon(house) as process:
        await eventually(lambda: (house.home / "state.db").exists() or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 10) == 0


def code_of(words: list[str]) -> int:
    return subprocess.run(words, stderr=subprocess.DEVNULL, timeout=60).returncode


def ended_within(words: list[str], seconds: float) -> bool:
    """Run a program, and kill it where it has not ended by itself."""
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


# --- kill -9 ---------------------------------------------------------------------------------------------------------

LONG = os.environ.get("RECONCILER_CAMPAIGN") == "long"
KILLS, LINES = (200, 100_000) if LONG else (10, 6_000)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["daemon", "once"])
@pytest.mark.timeout(1800)
async def test_killed_at_random_instants_every_line_is_dealt_with_once(tmp_path: Path, how: str) -> None:
    house = House(tmp_path, limits={"look_bytes": 65_536})
    house.write("w", **NUMBER, actions=[POINT], interval_seconds=1)
    house.write("late", **NUMBER, interval_seconds=1, actions=[LOG, {**POINT, "needs": [0]}])
    half = LINES // 2
    job = await house.submit(f"seq -f n=%.0f 1 {half}; sleep 1; seq -f n=%.0f {half + 1} {LINES}; printf n=0")
    words = [str(house.watchers)] if how == "daemon" else [str(house.watchers), "--once"]
    chance = random.Random(7)
    kills = 0
    deadline = time.monotonic() + 1500
    while kills < KILLS and time.monotonic() < deadline:
        life = 0.6 + chance.random() * (1.5 if how == "daemon" else 1.0)
        if await asyncio.to_thread(ended_within, house.argv(*words), life):
            break
        kills += 1
    told = await asyncio.to_thread(house.run, str(house.watchers), "--once", timeout=600)
    assert told.returncode == 0, told.stderr
    expected = [float(n) for n in (*range(1, LINES + 1), 0)]
    for name in ("w", "late"):
        row = house.row(name)
        values = [point.value for point in house.metrics(job) if point.watcher_id == row.id]
        assert Counter(values) == Counter(expected)
        assert row.trigger_count == LINES + 1
        assert row.state is WatcherState.COMPLETED
    seqs = [line["data"]["seq"] for line in house.lines()]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) == len(house.events())
    print(f"{kills} kills, {len(seqs)} events")


# --- a state or events file that fails -------------------------------------------------------------------------------


async def test_an_events_file_that_cannot_be_written_is_loud_and_nothing_is_lost(house: House) -> None:
    house.write("w", **NUMBER)
    job = await house.submit("echo n=1; echo n=2")
    (house.home / "events.jsonl").mkdir()
    told = await asyncio.to_thread(house.run, str(house.watchers), "--once")
    assert told.returncode == 1
    assert "events" in told.stderr
    assert house.matched() == ["n=1", "n=2"]
    (house.home / "events.jsonl").rmdir()
    told = await asyncio.to_thread(house.run, str(house.watchers), "--once")
    assert told.returncode == 0, told.stderr
    assert [line["data"]["seq"] for line in house.lines()] == list(range(1, len(house.events()) + 1))
    assert job


async def test_a_locked_state_is_waited_for_by_a_daemon_and_nothing_is_lost(tmp_path: Path) -> None:
    house = House(tmp_path, state={"busy_timeout": 0.2})
    house.write("w", **NUMBER, interval_seconds=1, actions=[POINT])
    go = house.home / "go"
    async with house.daemon():
        job = await house.submit(f"echo n=1; while [ ! -e {go} ]; do sleep 0.05; done; seq -f n=%.0f 2 50", wait=False)
        await eventually(lambda: house.matched() == ["n=1"])
        other = sqlite3.connect(house.home / "state.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        go.touch()
        log = house.home / "state.db"
        before = log.stat().st_mtime_ns
        await eventually(lambda: time.time_ns() - before > 1_000_000_000)
        other.execute("ROLLBACK")
        other.close()
        await eventually(lambda: house.row().state is WatcherState.COMPLETED)
    assert [point.value for point in house.metrics(job)] == [float(n) for n in range(1, 51)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0:
        missing("root, to mount a small file system", "mount")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)], capture_output=True)
    if done.returncode:
        missing("the right to mount a small file system", "mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_full_disk_is_loud_and_nothing_is_lost_once_there_is_room(tmp_path: Path, small_disk: Path) -> None:
    house = House(tmp_path / "house", state={"path": str(small_disk / "state.db")})
    house.write("w", **NUMBER, actions=[POINT])
    count = 3000
    job = await house.submit(f"seq -f n=%.0f 1 {count}")
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:
        file.write(b"x" * 1_300_000)
    told = await asyncio.to_thread(house.run, str(house.watchers), "--once")
    assert told.returncode == 1
    assert "full" in told.stderr
    ballast.unlink()
    (small_disk / "events.jsonl").unlink(missing_ok=True)
    assert await asyncio.to_thread(code_of, ["mount", "-o", "remount,size=64m", str(small_disk)]) == 0
    told = await asyncio.to_thread(house.run, str(house.watchers), "--once")
    assert told.returncode == 0, told.stderr
    assert [point.value for point in house.metrics(job)] == [float(n) for n in range(1, count + 1)]


async def test_a_torn_last_line_of_the_events_file_is_mended_and_seq_goes_on(house: House) -> None:
    house.write("w", **NUMBER)
    await house.submit("echo n=1")
    await house.once()
    path = house.home / "events.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    await house.submit("echo n=2")
    await house.once()
    seqs = [line["data"]["seq"] for line in house.lines()]
    assert seqs == list(range(1, len(house.events()) + 1))


async def test_the_events_file_rotates_without_losing_one(tmp_path: Path) -> None:
    house = House(tmp_path, events={"max_bytes": 4096, "backups": 50})
    house.write("w", **NUMBER)
    await house.submit("seq -f n=%.0f 1 60")
    await house.once()
    files = sorted(house.home.glob("events.jsonl*"), key=lambda p: int(p.suffix[1:]) if p.suffix[1:].isdigit() else 0)
    assert len(files) > 3
    assert all(file.stat().st_size <= 4096 for file in files)
    seqs = [json.loads(line)["data"]["seq"] for file in reversed(files) for line in file.read_text().splitlines()]
    assert seqs == list(range(1, len(house.events()) + 1))


async def test_what_is_past_its_retention_goes_at_a_pass(tmp_path: Path) -> None:
    day = 86400
    house = House(tmp_path, state={"retain_events": day, "retain_metrics": day, "retain_watchers": day})
    jobs = house.with_jobs()
    house.write("w", **NUMBER, actions=[POINT])
    jobs.add("1").write_text("n=1\n")
    jobs.finish("1")
    await house.once()
    assert len(house.metrics()) == 1
    jobs.forget("1")
    assert house.clock is not None
    house.clock.at += 3 * day
    jobs.add("2").write_text("")
    await house.once()
    assert house.metrics() == ()
    assert [str(watcher.job.id) for watcher in house.rows()] == ["2"]
    assert all(event.job_id != "1" for event in house.events())


async def test_a_job_that_reconcile_run_starts_is_seen_before_its_host_is_asked_again_and_no_other_host_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = LocalScheduler.jobs

    async def jobs(scheduler: LocalScheduler, since: float | None) -> tuple[Job, ...]:
        asked.append(scheduler.host)
        return await real(scheduler, since)

    monkeypatch.setattr(LocalScheduler, "jobs", jobs)
    far = {"transport": {"type": "local"}, "scheduler": {"type": "local", "directory": str(tmp_path / "far")}}
    house = House(tmp_path, engine={"discovery_interval": 3600}, hosts={"far": far})
    house.write()
    async with house.daemon() as engine:
        await eventually(lambda: engine.controller.plan is not None)
        assert sorted(asked) == ["far", "localhost"]
        asked.clear()
        started = await asyncio.to_thread(house.run, "run", "--", "sh", "-c", "echo hit; sleep 60")
        assert started.returncode == 0
        await eventually(lambda: house.events("action.succeeded"))
        assert asked == ["localhost"]
        with house.state() as state:
            assert state.requests() == ()
    await house.cancel_all()
