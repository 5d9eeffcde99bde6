"""One pass that is told to stop: running actions end or are recorded, nothing is left behind, the status says so."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from parts.house import House
from parts.waiting import eventually

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
async def acting(tmp_path: Path) -> House:
    """A job whose watcher runs a command; `command` is the file that says which."""
    house = House(tmp_path, actions={"run_command": {"commands": ["sleep"]}})
    await house.submit("echo hit; exec sleep 600", wait=False)
    return house


@pytest.fixture(autouse=True)
async def ended(acting: House) -> object:
    yield
    await acting.cancel_all()


@pytest.fixture
def start(acting: House) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(*words: str, ignored: int = 0) -> subprocess.Popen[str]:
        argv = acting.argv(*(words or (str(acting.watchers), "--once")))
        if ignored:
            argv = ["/bin/sh", "-c", f'trap "" {ignored}; exec "$@"', "sh", *argv]
        started.append(subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, cwd=acting.home, env={**os.environ}))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        assert process.stderr
        process.stderr.close()
        process.wait()


def runs(house: House, seconds: str) -> None:
    house.write(actions=[{"type": "run_command", "params": {"command": f"sleep {seconds}"}}])


def sleepers(seconds: str) -> list[psutil.Process]:
    """The commands that run, by their command line."""
    return [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", seconds]]


async def began(seconds: str) -> None:
    await eventually(lambda: bool(sleepers(seconds)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_what_ends_in_time_is_recorded_and_the_pass_was_whole(acting: House, start: Start, number: int) -> None:
    seconds = f"1.51{int(number)}"  # workers run side by side: each test has commands of its own
    runs(acting, seconds)
    process = start()
    await began(seconds)
    process.send_signal(number)
    assert await asyncio.to_thread(process.wait, 15) == 0
    assert len(acting.events("action.succeeded")) == 1
    with acting.state() as state:
        assert state.pending() == ()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 7), (signal.SIGINT, 130)])
async def test_what_does_not_end_in_time_is_killed_and_told_by_the_next_pass(
    acting: House, start: Start, number: int, status: int
) -> None:
    seconds = f"51.7{int(number)}"
    runs(acting, seconds)
    process = start()
    await began(seconds)
    begun = time.monotonic()
    process.send_signal(number)
    assert await asyncio.to_thread(process.wait, 15) == status
    assert time.monotonic() - begun < 10
    assert process.stderr
    assert "the next pass goes on from here" in process.stderr.read()
    assert sleepers(seconds) == []
    await acting.once()
    assert len(acting.events("action.interrupted")) == 1


async def test_apply_lets_its_actions_end_too(acting: House, start: Start) -> None:
    runs(acting, "1.52")
    process = start("apply", str(acting.watchers), "--yes")
    await began("1.52")
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 15) == 0
    assert len(acting.events("action.succeeded")) == 1


async def test_a_terminal_that_closes_ends_nothing_under_nohup(acting: House, start: Start) -> None:
    runs(acting, "1.53")
    process = start(str(acting.watchers), ignored=signal.SIGHUP)
    await began("1.53")
    process.send_signal(signal.SIGHUP)
    await eventually(lambda: len(acting.events("action.succeeded")) == 1)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 15) == 0


async def test_a_pass_that_is_told_before_it_looked_begins_nothing(acting: House) -> None:
    acting.write()
    async with acting.engine() as engine:
        engine.once.stop()
        await engine.once.run()
        assert engine.once.cut_short
    assert acting.rows() == ()
    await acting.once()
    assert acting.matched() == ["hit"]
