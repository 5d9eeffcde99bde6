"""Helpers of tests: waiting ends at its deadline, a missing part is a failure in CI, a port is given to one alone."""

from __future__ import annotations

import pytest
from parts.ports import FIRST, WORKERS, free_port
from parts.presence import missing, program
from parts.waiting import eventually, soon


async def test_a_condition_that_becomes_true_is_returned() -> None:
    answers = iter([0, 0, 7])
    assert await eventually(lambda: next(answers)) == 7


async def test_an_async_condition_is_awaited() -> None:
    async def yes() -> str:
        return "yes"

    assert await eventually(yes) == "yes"


async def test_a_condition_that_stays_false_is_told() -> None:
    with pytest.raises(AssertionError, match="the last answer was 0"):
        await eventually(lambda: 0, timeout=0.02)


def test_blocking_waiting_does_the_same() -> None:
    answers = iter([None, "there"])
    assert soon(lambda: next(answers)) == "there"
    with pytest.raises(AssertionError, match="within"):
        soon(list, timeout=0.02)


def test_a_missing_part_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install slurm-wlm"):
        missing("slurmctld", "slurm-wlm")


def test_a_missing_part_skips_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install no-such-program"):
        program("no-such-program")


def test_a_program_that_is_there_is_found() -> None:
    assert program("sh").endswith("/sh")


def test_a_port_is_given_once_and_by_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = []
    for worker in ("gw1", "gw2"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        ports += [free_port() for _ in range(50)]
    assert len(set(ports)) == 100
    assert [(port - FIRST) % WORKERS for port in ports] == [1] * 50 + [2] * 50
