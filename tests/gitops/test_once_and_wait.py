"""`--once --wait`: stays until the jobs of its pass have ended, and leaves with what became of them."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from parts.house import House
from parts.waiting import eventually

from reconciler.model import WatcherState

QUICK = {"engine": {"source_interval": 0.2, "discovery_interval": 1, "end_grace": "200ms"}}


def quick(house: House) -> House:
    return House(house.home, **QUICK)


def start(house: House) -> subprocess.Popen[str]:
    return subprocess.Popen(
        house.argv(str(house.watchers), "--once", "--wait"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=house.home, env=dict(os.environ),
    )  # fmt: skip


async def begin(house: House) -> subprocess.Popen[str]:
    process = start(house)
    await eventually(lambda: (house.home / "state.db").exists() and bool(house.rows()))
    return process


async def test_it_stays_until_the_jobs_have_ended_and_were_read(house: House) -> None:
    house = quick(house)
    house.write("w", pattern=r"n=\d", trigger_on_job_end=True)
    go = house.home / "go"
    await house.submit(f"echo n=1; while [ ! -e {go} ]; do sleep 0.05; done; printf n=2", wait=False)
    process = await begin(house)
    await eventually(lambda: house.matched() == ["n=1"])
    assert process.poll() is None
    go.touch()
    await eventually(lambda: process.poll() is not None)
    assert process.communicate()[1] == ""
    assert process.returncode == 0
    assert (house.matched(), house.row().state) == (["n=1", "n=2", "None"], WatcherState.COMPLETED)
    assert len(house.lines()) == len(house.events())


async def test_a_failed_action_shows_in_the_exit_status(house: House) -> None:
    house = quick(house)
    house.write("w", actions=[{"type": "run_command", "params": {"command": "false"}}])
    go = house.home / "go"
    await house.submit(f"while [ ! -e {go} ]; do sleep 0.05; done; echo hit", wait=False)
    process = await begin(house)
    go.touch()
    await eventually(lambda: process.poll() is not None)
    process.communicate()
    assert process.returncode == 7


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 7), (signal.SIGINT, 130)])
async def test_told_to_stop_it_leaves_at_once_and_says_that_it_is_not_done(
    house: House, number: int, status: int
) -> None:
    house = quick(house)
    house.write("w")
    await house.submit("sleep 60", wait=False)
    process = await begin(house)
    process.send_signal(number)
    await eventually(lambda: process.poll() is not None)
    assert process.returncode == status
    assert "before the jobs have ended" in process.communicate()[1]
    assert house.row().state is WatcherState.ACTIVE
    await house.cancel_all()


def test_without_jobs_there_is_nothing_to_wait_for(house: House) -> None:
    house.write("w")
    assert house.run(str(house.watchers), "--once", "--wait").returncode == 0


def test_a_daemon_needs_no_wait(house: House) -> None:
    assert house.run(str(house.watchers), "--wait").returncode == 64


def test_a_detailed_exit_status_belongs_to_a_plan(house: House) -> None:
    """A pass that took the word and ended with 0 would tell a script that nothing had been pending."""
    got = house.run(str(house.watchers), "--once", "--detailed-exitcode")
    assert (got.returncode, "--dry-run" in got.stderr) == (64, True)
    assert house.run(str(house.watchers), "--once", "--dry-run", "--detailed-exitcode").returncode == 0
