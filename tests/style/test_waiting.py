"""Waiting helpers give up at their deadline, and a missing part is a failure in CI and a skip elsewhere."""

from __future__ import annotations

import pytest
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
