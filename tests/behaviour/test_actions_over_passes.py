"""Actions in their order and within their limits: needs, failures, rates, retries, timers, requests, crashes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from parts.core import LOG
from parts.house import House, Jobs
from parts.waiting import eventually

from reconciler.actions._lineage import lineage_of
from reconciler.engine.once import look
from reconciler.errors import (
    HostUnreachableError,
    PermanentActionError,
    SchedulerUnavailableError,
    StateError,
    TemporaryActionError,
)
from reconciler.model import JobState, OutcomeKind, WatcherState
from reconciler.protocols import ActionContext

NUMBER: dict[str, Any] = {"pattern": r"n=(\d+)", "captures": ["n"]}
CANCEL = {"type": "cancel_job", "params": {"reason": "n is $n"}}


class Doing:
    """An outside action that notes what it was given, and fails as it is told."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.given: list[ActionContext] = []
        self.open: asyncio.Event | None = None

    async def run(self, context: ActionContext) -> str:
        self.given.append(context)
        if self.open is not None:
            await self.open.wait()
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return f"done with {context.values.get('n')}"


@pytest.fixture
def jobs(house: House) -> Jobs:
    return house.with_jobs()


@pytest.fixture
def doing(house: House) -> Doing:
    """What `requeue` (not retried, put off over the limit) does in this test."""
    house.actions["requeue"] = action = Doing()
    return action


REQUEUE = {"type": "requeue"}
RESUBMIT = {"type": "resubmit"}


def numbers(first: int, last: int) -> str:
    return "".join(f"n={n}\n" for n in range(first, last + 1))


def outcomes(house: House, watcher: str = "w") -> list[tuple[int, str]]:
    """Which action of the list came to what, in order."""
    kinds = [f"action.{kind}" for kind in OutcomeKind]
    return [(e.data["action"], e.type.split(".")[2]) for e in house.events(*kinds, watcher=watcher)]


# --- order, needs, conditions ----------------------------------------------------------------------------------------


async def test_actions_run_in_the_order_listed(house: House, jobs: Jobs, doing: Doing) -> None:
    house.write(**NUMBER, actions=[LOG, REQUEUE, LOG, REQUEUE])
    jobs.add().write_text(numbers(1, 2))
    await house.once()
    done = [(e.data["line"], e.data["action"]) for e in house.events("action.succeeded")]
    outside = [pair for pair in done if pair[1] > 0]
    assert outside == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    assert [pair for pair in done if pair[1] == 0] == [(1, 0), (2, 0)]
    assert [context.values["n"] for context in doing.given] == ["1", "1", "2", "2"]


async def test_needs_and_on_failure_follow_the_outcomes_of_their_own_trigger(
    house: House, jobs: Jobs, doing: Doing
) -> None:
    doing.errors = [PermanentActionError("no"), None]
    house.write(**NUMBER, actions=[REQUEUE, {**LOG, "needs": [0]}, {**LOG, "on_failure": [0]}])
    jobs.add().write_text(numbers(1, 2))
    await house.once()
    assert outcomes(house) == [
        (0, "failed"), (1, "skipped"), (2, "succeeded"), (0, "succeeded"), (1, "succeeded"), (2, "skipped"),
    ]  # fmt: skip


async def test_on_failure_stands_in_for_what_was_refused_too(house: House, jobs: Jobs) -> None:
    command = {"type": "run_command", "params": {"command": "cat $n"}}
    house.write(pattern=r"n=(\S+)", captures=["n"], actions=[command, {**LOG, "on_failure": [0]}])
    jobs.add().write_text("n=../../secret\n")
    await house.once()
    assert outcomes(house) == [(0, "refused"), (1, "succeeded")]


async def test_needs_may_name_an_action_of_the_state_alone(house: House, jobs: Jobs) -> None:
    store = {"type": "store_metric", "params": {"name": "x", "value": "$0"}}
    house.write(**NUMBER, actions=[store, {**LOG, "needs": [0]}, {**LOG, "on_failure": [0]}])
    jobs.add().write_text(numbers(1, 1))
    await house.once()
    assert outcomes(house) == [(0, "failed"), (1, "skipped"), (2, "succeeded")]


async def test_an_action_whose_condition_is_false_is_skipped_alone(house: House, jobs: Jobs, doing: Doing) -> None:
    house.write(**NUMBER, actions=[REQUEUE, {**REQUEUE, "condition": "int(n) > 1"}, LOG])
    jobs.add().write_text(numbers(1, 2))
    await house.once()
    assert outcomes(house)[:3] == [(0, "succeeded"), (1, "skipped"), (2, "succeeded")]
    assert [context.values["n"] for context in doing.given] == ["1", "2", "2"]


async def test_an_action_condition_that_cannot_be_told_skips_and_says_why(
    house: House, jobs: Jobs, doing: Doing
) -> None:
    house.write(**NUMBER, actions=[{**REQUEUE, "condition": "float(nothing) > 1"}, LOG])
    jobs.add().write_text(numbers(1, 1))
    await house.once()
    (skipped,) = house.events("action.skipped")
    assert "cannot be told" in skipped.action_result
    assert doing.given == []


# --- limits ----------------------------------------------------------------------------------------------------------


async def test_max_triggers_is_exact_over_many_hits_at_once(house: House, jobs: Jobs, doing: Doing) -> None:
    house.write(**NUMBER, max_triggers=2, actions=[REQUEUE])
    out = jobs.add()
    out.write_text(numbers(1, 7))
    await house.once()
    await house.once()
    assert [context.values["n"] for context in doing.given] == ["1", "2"]
    assert (house.row().state, house.row().trigger_count) == (WatcherState.TRIGGERED, 2)
    house.write(**NUMBER, max_triggers=3, actions=[REQUEUE])
    await house.once()
    assert [context.values["n"] for context in doing.given] == ["1", "2", "3"]
    assert house.row().state is WatcherState.TRIGGERED


async def test_max_failures_is_exact_and_the_rest_is_skipped(house: House, jobs: Jobs, doing: Doing) -> None:
    doing.errors = [PermanentActionError("no")] * 9
    house.write(**NUMBER, max_failures=2, actions=[REQUEUE])
    jobs.add().write_text(numbers(1, 5))
    report = await house.once()
    assert len(doing.given) == 2
    assert [kind for _, kind in outcomes(house)] == ["failed", "failed", "skipped", "skipped", "skipped"]
    assert house.row().state is WatcherState.DISABLED
    assert 7 in report.codes()
    (disabled,) = house.events("watcher.disabled")
    assert "2 failures in a row: no" in disabled.action_result


async def test_a_success_between_failures_counts_anew(house: House, jobs: Jobs, doing: Doing) -> None:
    doing.errors = [PermanentActionError("no"), None, PermanentActionError("no"), None, PermanentActionError("no")]
    house.write(**NUMBER, max_failures=2, actions=[REQUEUE])
    jobs.add().write_text(numbers(1, 5))
    await house.once()
    assert len(doing.given) == 5
    assert (house.row().state, house.row().failures) == (WatcherState.ACTIVE, 1)


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_row_of_failures_is_the_same_however_its_lines_arrive(
    house: House, jobs: Jobs, doing: Doing, at_once: bool
) -> None:
    doing.errors = [PermanentActionError("no")] * 9
    house.write(**NUMBER, max_failures=2, actions=[LOG, REQUEUE])
    out = jobs.add()
    for number in range(1, 5):
        out.write_text(numbers(1, number))
        if number == 4 or not at_once:
            await house.once()
    assert len(doing.given) == 2
    assert house.row().state is WatcherState.DISABLED


async def test_an_edit_makes_a_disabled_watcher_active_again(house: House, jobs: Jobs, doing: Doing) -> None:
    doing.errors = [PermanentActionError("no")]
    house.write(**NUMBER, max_failures=1, actions=[REQUEUE])
    out = jobs.add()
    out.write_text(numbers(1, 2))
    await house.once()
    assert house.row().state is WatcherState.DISABLED
    house.write(**NUMBER, max_failures=1, actions=[REQUEUE], description="mended")
    await house.once()
    assert house.row().state is WatcherState.ACTIVE
    assert [context.values["n"] for context in doing.given] == ["1"]
    with out.open("a") as file:
        file.write(numbers(3, 3))
    await house.once()
    assert [context.values["n"] for context in doing.given] == ["1", "3"]


async def test_what_is_over_the_limit_a_minute_is_dropped_and_told_in_one_event(house: House, jobs: Jobs) -> None:
    house.actions["run_command"] = doing = Doing()
    run = {"type": "run_command", "params": {"command": "touch x"}}
    store = {"type": "store_metric", "params": {"name": "n", "value": "$n"}}
    house.write(**NUMBER, actions=[store, LOG, run])
    jobs.add(user="ada").write_text(numbers(1, 300))
    await house.once()
    assert len(doing.given) == 10
    (limited,) = house.events("action.rate_limited")
    assert (limited.action_type, limited.data["count"], limited.success) == ("run_command", 290, False)
    assert len(house.metrics(name="n")) == 300
    assert len(house.done()) == 300 * 2 + 10
    with house.state() as state:
        assert state.pending() == ()


async def test_what_must_not_be_lost_is_put_off(house: House, jobs: Jobs, doing: Doing) -> None:
    house.write(**NUMBER, actions=[REQUEUE])
    jobs.add().write_text(numbers(1, 25))
    await house.once()
    assert len(doing.given) == 10
    assert house.clock is not None
    for expected in (20, 25):
        await house.once()
        house.clock.at += 61
        await house.once()
        assert len(doing.given) == expected
    assert [context.values["n"] for context in doing.given] == [str(n) for n in range(1, 26)]
    assert house.events("action.rate_limited") == ()


@pytest.mark.parametrize("how", ["by hand", "declared"])
async def test_what_is_put_off_waits_while_its_watcher_is_suspended(
    house: House, jobs: Jobs, doing: Doing, how: str
) -> None:
    house.write(**NUMBER, actions=[REQUEUE])
    jobs.add().write_text(numbers(1, 15))
    await house.once()
    if how == "by hand":
        assert house.run("suspend", "w", "--reason", "it runs wild").returncode == 0
    else:
        house.write(**NUMBER, actions=[REQUEUE], suspend={"reason": "it runs wild"})
    assert house.clock is not None
    for _ in range(3):
        house.clock.at += 61
        await house.once()
    assert (len(doing.given), house.row().state) == (10, WatcherState.PAUSED)
    if how == "by hand":
        assert house.run("resume", "w").returncode == 0
    else:
        house.write(**NUMBER, actions=[REQUEUE])
    await house.once()
    await house.once()
    assert [context.values["n"] for context in doing.given] == [str(n) for n in range(1, 16)]


async def test_what_is_put_off_is_skipped_where_the_job_ends_while_its_watcher_is_suspended(
    house: House, jobs: Jobs, doing: Doing
) -> None:
    house.write(**NUMBER, actions=[REQUEUE])
    jobs.add().write_text(numbers(1, 12))
    await house.once()
    assert house.run("suspend", "w").returncode == 0
    await house.once()
    jobs.finish()
    await house.once()
    await house.once()
    assert (len(doing.given), house.row().state) == (10, WatcherState.COMPLETED)
    assert [kind for _, kind in outcomes(house)][10:] == ["skipped", "skipped"]


async def test_what_is_put_off_keeps_its_place_where_an_edit_moves_its_action(
    house: House, jobs: Jobs, doing: Doing
) -> None:
    first, second = ({**REQUEUE, "params": {"reason": word}} for word in ("a", "b"))
    house.write(**NUMBER, actions=[first, {**second, "condition": "int(n) < 0"}])
    jobs.add().write_text(numbers(1, 11))
    await house.once()
    assert len(doing.given) == 10
    house.write(**NUMBER, actions=[{**second, "condition": "int(n) < 0"}, first])
    assert house.clock is not None
    house.clock.at += 61
    await house.once()
    assert [context.params["reason"] for context in doing.given] == ["a"] * 11


async def test_what_is_told_of_an_action_that_would_have_run_is_bounded(house: House, jobs: Jobs) -> None:
    house.write(pattern="hit.*", mode="observe", actions=[{**CANCEL, "params": {"reason": "$0" * 3000}}])
    jobs.add().write_text(f"hit{'x' * 60_000}\n")
    await house.once()
    (told,) = house.events("action.would_run")
    assert len(told.action_result) == 10_000


async def test_each_watcher_has_a_limit_of_its_own(house: House, jobs: Jobs, doing: Doing) -> None:
    house.write("a", **NUMBER, actions=[REQUEUE])
    house.write("b", **NUMBER, actions=[REQUEUE])
    jobs.add().write_text(numbers(1, 12))
    await house.once()
    assert sorted(context.watcher.name for context in doing.given) == ["a"] * 10 + ["b"] * 10


# --- trying again ----------------------------------------------------------------------------------------------------


async def test_a_temporary_failure_is_tried_again_later_with_the_same_mark(house: House, jobs: Jobs) -> None:
    house.actions["cancel_job"] = doing = Doing(TemporaryActionError("busy", delay=30), None)
    house.write(**NUMBER, actions=[CANCEL, LOG])
    jobs.add().write_text(numbers(1, 1))
    await house.once()
    await house.once()
    assert len(doing.given) == 1
    (failed,) = house.events("action.failed")
    assert failed.data["retry_in"] == 30
    assert house.clock is not None
    house.clock.at += 31
    await house.once()
    first, second = doing.given
    assert first.mark == second.mark
    assert (first.repeat, second.repeat) == (False, True)
    assert outcomes(house) == [(0, "failed"), (1, "succeeded"), (0, "succeeded")]


async def test_what_needs_an_action_waits_until_that_has_been_tried_again(house: House, jobs: Jobs) -> None:
    house.actions["cancel_job"] = Doing(TemporaryActionError("busy", delay=30))
    house.write(**NUMBER, actions=[CANCEL, {**LOG, "needs": [0]}, {**LOG, "on_failure": [0]}])
    jobs.add().write_text(numbers(1, 1))
    await house.once()
    assert outcomes(house) == [(0, "failed")]
    assert house.clock is not None
    house.clock.at += 31
    await house.once()
    assert outcomes(house) == [(0, "failed"), (0, "succeeded"), (1, "succeeded"), (2, "skipped")]


async def test_earlier_successes_are_not_repeated_by_a_retry(house: House, jobs: Jobs, doing: Doing) -> None:
    house.actions["cancel_job"] = cancelling = Doing(TemporaryActionError("busy", delay=1))
    house.write(**NUMBER, actions=[REQUEUE, CANCEL])
    jobs.add().write_text(numbers(1, 1))
    await house.once()
    assert house.clock is not None
    house.clock.at += 2
    await house.once()
    assert (len(doing.given), len(cancelling.given)) == (1, 2)


async def test_an_outage_is_waited_for_however_long_and_counts_for_no_failure(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER, max_failures=2, actions=[CANCEL])
    jobs.add().write_text(numbers(1, 1))
    await house.once()
    assert jobs.cancelled == ["1"]
    jobs.cancelled.clear()
    jobs.add("2").write_text(numbers(2, 2))
    async with house.engine() as engine:
        await engine.controller.pass_()
        jobs.failing = SchedulerUnavailableError("slurmctld is restarted")
        assert house.clock is not None
        for _ in range(12):
            await engine.once.run()
            house.clock.at += 301
        assert house.rows()[1].failures == 0
        jobs.failing = None
        await engine.once.run()
    assert jobs.cancelled == ["2"]


async def test_what_may_have_run_all_the_same_is_not_tried_again_after_an_outage(
    house: House, jobs: Jobs, doing: Doing
) -> None:
    doing.errors = [HostUnreachableError("the connection broke")]
    house.write(**NUMBER, actions=[REQUEUE])
    jobs.add().write_text(numbers(1, 1))
    await house.once()
    assert house.clock is not None
    house.clock.at += 3600
    await house.once()
    assert len(doing.given) == 1
    assert outcomes(house) == [(0, "failed")]


async def test_trying_again_ends_some_time(house: House, jobs: Jobs) -> None:
    house.actions["cancel_job"] = doing = Doing(*[TemporaryActionError("busy")] * 99)
    house.write(**NUMBER, actions=[CANCEL])
    jobs.add().write_text(numbers(1, 1))
    assert house.clock is not None
    for _ in range(12):
        await house.once()
        house.clock.at += 3600
    assert len(doing.given) == 6
    with house.state() as state:
        assert state.pending() == ()


async def test_a_job_is_not_done_with_before_its_put_off_actions_are(house: House, jobs: Jobs) -> None:
    house.actions["cancel_job"] = doing = Doing(TemporaryActionError("busy", delay=30))
    house.write(**NUMBER, actions=[CANCEL])
    jobs.add().write_text(numbers(1, 1))
    jobs.finish()
    await house.once()
    assert house.row().state is WatcherState.COMPLETED
    assert house.clock is not None
    house.clock.at += 31
    await house.once()
    assert len(doing.given) == 2
    assert outcomes(house) == [(0, "failed"), (0, "succeeded")]


async def test_cancelling_a_job_that_has_ended_is_success_and_does_nothing(house: House) -> None:
    house.write(**NUMBER, actions=[CANCEL])
    await house.submit("echo n=1; exit 3")
    await house.once()
    (event,) = house.events("action.succeeded")
    assert "had ended" in event.action_result


async def test_cancelling_a_real_job_ends_it_and_completes_its_watcher(house: House) -> None:
    house.write(**NUMBER, actions=[CANCEL])
    job_id = await house.submit("echo n=1; exec sleep 60", wait=False)
    async with house.host() as host:

        async def printed() -> bool:
            job = (await host.scheduler.lookup([job_id]))[job_id]
            return job.stdout is not None and Path(job.stdout).exists() and "n=1" in Path(job.stdout).read_text()

        await eventually(printed)
        await house.once()
        assert (await host.scheduler.lookup([job_id]))[job_id].state is JobState.CANCELLED
    await house.once()
    assert house.row().state is WatcherState.COMPLETED


# --- an action that pauses its watcher -------------------------------------------------------------------------------


async def test_nothing_behind_a_line_that_paused_the_watcher_triggers(house: House, jobs: Jobs, doing: Doing) -> None:
    for name, actions in {"leading": [{"type": "pause_watcher"}], "late": [REQUEUE, {"type": "pause_watcher"}]}.items():
        house.write(name, **NUMBER, actions=actions)
    jobs.add().write_text(numbers(1, 5))
    await house.once()
    for name in ("leading", "late"):
        assert house.matched(name) == ["n=1"]
        assert house.row(name).state is WatcherState.PAUSED
    assert house.run("resume", "late").returncode == 0
    await house.once()
    assert house.matched("late") == ["n=1", "n=2"]


async def test_a_late_pause_that_failed_before_it_lets_the_next_line_come(
    house: House, jobs: Jobs, doing: Doing
) -> None:
    doing.errors = [PermanentActionError("no"), None]
    house.write(**NUMBER, actions=[REQUEUE, {"type": "pause_watcher", "needs": [0]}])
    jobs.add().write_text(numbers(1, 5))
    await house.once()
    assert house.matched() == ["n=1", "n=2"]


async def test_a_line_of_the_other_output_waits_for_a_pause_that_has_yet_to_run(
    house: House, jobs: Jobs, doing: Doing
) -> None:
    doing.errors = [PermanentActionError("no"), PermanentActionError("no"), None]
    house.write(**NUMBER, output_type="both", actions=[REQUEUE, {"type": "pause_watcher", "needs": [0]}])
    err = house.outputs / "err"
    jobs.add(stderr=str(err)).write_text(numbers(1, 1))
    err.write_text(numbers(11, 13))
    await house.once()
    assert house.matched() == ["n=1", "n=11", "n=12"]


async def test_what_was_printed_while_a_pause_lasted_is_read_when_it_has_run_out(house: House, jobs: Jobs) -> None:
    pause = {"type": "pause_watcher", "params": {"for": "10m"}}
    house.write(**NUMBER, actions=[pause])
    jobs.add().write_text(numbers(1, 2))
    async with house.engine() as engine:
        await engine.once.run()
        await engine.once.run()
        assert house.matched() == ["n=1"]
        assert house.clock is not None
        house.clock.at += 601
        await engine.once.run()
        await engine.once.run()
    assert house.matched() == ["n=1", "n=2"]


async def test_a_pass_does_not_stay_for_actions_that_are_put_off(house: House, jobs: Jobs) -> None:
    house.actions["cancel_job"] = doing = Doing(TemporaryActionError("busy", delay=3600))
    house.write(**NUMBER, actions=[CANCEL, {"type": "pause_watcher", "needs": [0]}])
    jobs.add().write_text(numbers(1, 3))
    jobs.finish()
    assert house.clock is not None
    before = house.clock.at
    await house.once()
    assert (len(doing.given), house.clock.at - before < 10) == (1, True)
    assert house.row().state is WatcherState.ACTIVE
    house.clock.at += 3601
    await house.once()
    assert house.row().state is WatcherState.COMPLETED
    assert len(doing.given) == 2


async def test_many_matches_are_dealt_with_in_bounded_transactions(tmp_path: Path) -> None:
    house = House(tmp_path, limits={"matches_per_tick": 50})
    jobs = house.with_jobs()
    house.write("w", **NUMBER)
    house.write("few", pattern="n=7$")
    jobs.add().write_text(numbers(1, 333))
    async with house.engine() as engine:
        largest = 0
        commit = engine.parts.state.run

        async def counting(work: Any) -> Any:
            nonlocal largest
            before = len(house.events())
            answer = await commit(work)
            largest = max(largest, len(house.events()) - before)
            return answer

        engine.parts.state.run = counting  # type: ignore[method-assign]
        await engine.once.run()
    assert house.matched("w") == [f"n={n}" for n in range(1, 334)]
    assert house.matched("few") == ["n=7"]
    assert largest <= 2 * 50 + 2


# --- timers ----------------------------------------------------------------------------------------------------------


async def test_timer_mode_acts_each_interval_with_the_stored_captures_over_restarts(
    house: House, jobs: Jobs, doing: Doing
) -> None:
    house.write(**NUMBER, timer_mode_enabled=True, timer_interval_seconds=60, actions=[REQUEUE])
    out = jobs.add()
    out.write_text(numbers(1, 3))
    await house.once()
    assert house.clock is not None
    for seconds in (30, 31, 59, 61, 600):
        house.clock.at += seconds
        await house.once()
    assert [(c.trigger.kind, c.values["n"]) for c in doing.given] == [("match", "1"), *[("timer", "1")] * 3]
    jobs.finish()
    house.clock.at += 6000
    await house.once()
    assert len(doing.given) == 4
    assert house.row().state is WatcherState.COMPLETED


# --- on request ------------------------------------------------------------------------------------------------------


async def test_a_request_acts_once_on_the_newest_match(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    jobs.add().write_text(numbers(1, 3))
    await house.once()
    told = house.run("trigger", "w")
    assert (told.returncode, told.stderr) == (0, "")
    assert "trigger done" in told.stdout
    assert house.matched() == ["n=1", "n=2", "n=3", "n=3"]
    (event,) = [e for e in house.events("watcher.triggered") if e.data["trigger"] == "manual"]
    assert event.data["by"]


async def test_a_request_acts_on_the_newest_match_though_the_cooldown_passed_it_over(house: House, jobs: Jobs) -> None:
    house.write(
        **NUMBER, cooldown="1h", condition="int(n) < 5", actions=[{"type": "log_event", "params": {"message": "$n"}}]
    )
    jobs.add().write_text(numbers(1, 6))
    await house.once()
    assert house.run("trigger", "w").returncode == 0
    await house.once()
    assert house.done() == ["1", "4"]


async def test_a_request_to_a_watcher_without_a_match_acts_all_the_same(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    jobs.add().write_text("")
    await house.once()
    assert house.run("trigger", "w").returncode == 0
    assert house.done() == ["seen $0"]


async def test_a_request_to_a_suspended_watcher_is_refused_and_says_why(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    jobs.add().write_text(numbers(1, 1))
    await house.once()
    assert house.run("suspend", "w", "--reason", "new driver").returncode == 0
    told = house.run("trigger", "w")
    assert told.returncode == 5
    assert "new driver" in told.stderr
    assert house.matched() == ["n=1"]


async def test_a_request_whose_condition_is_false_is_refused_and_says_why(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER, condition="int(n) > 1")
    out = jobs.add()
    out.write_text(numbers(1, 1))
    await house.once()
    told = house.run("trigger", "w")
    assert told.returncode == 5
    assert "condition" in told.stderr


async def test_a_request_to_a_watcher_of_an_ended_job_acts_once(house: House) -> None:
    house.write(**NUMBER)
    await house.submit("echo n=7")
    await house.once()
    assert house.row().state is WatcherState.COMPLETED
    assert house.run("trigger", "w").returncode == 0
    assert house.matched() == ["n=7", "n=7"]
    assert house.row().state is WatcherState.COMPLETED


async def test_a_static_watcher_acts_on_request_only(house: House) -> None:
    house.write("first", **NUMBER)
    job_id = await house.submit("echo n=7")
    await house.once()
    house.write("static", **NUMBER, jobs={"ids": [str(job_id)]})
    await house.once()
    assert (house.row("static").state, house.matched("static")) == (WatcherState.STATIC, [])
    assert house.run("trigger", "static").returncode == 0
    assert house.matched("static") == ["None"]
    await house.once()
    assert house.row("static").state is WatcherState.STATIC


# --- a watcher that goes while its actions run -----------------------------------------------------------------------


async def test_an_action_that_runs_is_recorded_though_its_watcher_is_deleted(house: House, jobs: Jobs) -> None:
    house.actions["requeue"] = doing = Doing()
    doing.open = asyncio.Event()
    house.clock = None
    house.write("other", pattern="never")
    house.write(**NUMBER, actions=[REQUEUE])
    jobs.add().write_text(numbers(1, 3))
    async with house.daemon() as engine:
        await eventually(lambda: len(doing.given) == 1)
        async with engine.daemon._passing:  # a pass of the daemon that had read the file before would put it back
            house.remove()
            await engine.controller.pass_(approve="yes", list_jobs=False)
        assert house.row("w").state is WatcherState.STOPPED
        doing.open.set()
        await eventually(lambda: len(house.events("action.succeeded")) == 1)
    assert len(doing.given) == 1
    with house.state() as state:
        assert state.pending() == ()


async def test_two_that_want_to_run_the_same_actions_take_turns(house: House, jobs: Jobs, doing: Doing) -> None:
    house.write(**NUMBER, actions=[REQUEUE])
    jobs.add().write_text(numbers(1, 3))
    async with house.engine() as engine:
        await engine.controller.pass_()
        (task,) = engine.controller.fleet.tasks.values()
        dispatcher = engine.controller.fleet.dispatcher(task)
        (seen,) = await look(engine.parts.hosts[task.job.host], [task])
        await task.tick(seen)
        (watcher_id,) = task.watchers
        await asyncio.gather(*(dispatcher.drain(watcher_id) for _ in range(5)))
    assert [context.values["n"] for context in doing.given] == ["1", "2", "3"]


# --- crashes ---------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process is gone: nothing behind this is done or recorded."""


@pytest.mark.parametrize(
    ("type_", "again"), [("cancel_job", True), ("requeue", False), ("notify_slack", True), ("signal_job", False)]
)
async def test_an_action_that_was_begun_when_the_process_ended_is_told_and_repeated_only_where_it_may_be(
    tmp_path: Path, type_: str, again: bool
) -> None:
    house = House(tmp_path, channels={"team": {"type": "slack", "webhook": "http://127.0.0.1:1/x"}})
    jobs = house.with_jobs()
    params: dict[str, Any] = {
        "notify_slack": {"channel": "team", "message": "$0"}, "signal_job": {"signal": "USR1"},
    }.get(type_, {})  # fmt: skip
    house.actions[type_] = doing = Doing(Crash())  # type: ignore[arg-type]
    house.write(**NUMBER, actions=[{"type": type_, "params": params}, LOG])
    jobs.add().write_text(numbers(1, 1))
    with pytest.raises(Crash):
        await house.once()
    await house.once()
    (told,) = house.events("action.interrupted")
    assert told.action_type == type_
    assert ("it runs again" in told.action_result) is again
    assert len(doing.given) == (2 if again else 1)
    if again:
        assert doing.given[1].repeat
        assert doing.given[0].mark == doing.given[1].mark
    assert house.done()[-1] == "seen n=1"
    with house.state() as state:
        assert state.pending() == ()


async def test_a_pending_action_runs_after_a_crash(house: House, jobs: Jobs) -> None:
    house.actions["requeue"] = doing = Doing(Crash())  # type: ignore[arg-type]
    house.write(**NUMBER, actions=[REQUEUE])
    jobs.add().write_text(numbers(1, 3))
    with pytest.raises(Crash):
        await house.once()
    await house.once()
    assert [context.values["n"] for context in doing.given] == ["1", "2", "3"]
    assert len(house.matched()) == 3


async def test_an_action_whose_outcome_cannot_be_written_at_once_is_not_run_again(
    house: House, jobs: Jobs, doing: Doing
) -> None:
    house.write(**NUMBER, actions=[REQUEUE, LOG])
    jobs.add().write_text(numbers(1, 1))
    async with house.engine() as engine:
        commit = engine.parts.state.run
        refusals = 3

        async def refusing(work: Any) -> Any:
            nonlocal refusals
            if doing.given and refusals:
                refusals -= 1
                raise StateError("database is locked")
            return await commit(work)

        engine.parts.state.run = refusing  # type: ignore[method-assign]
        await engine.once.run()
    assert (len(doing.given), refusals) == (1, 0)
    assert outcomes(house) == [(0, "succeeded"), (1, "succeeded")]


async def test_an_error_that_nobody_foresaw_is_a_failed_action(house: House, jobs: Jobs, doing: Doing) -> None:
    doing.errors = [ZeroDivisionError("oops")]
    house.write(**NUMBER, actions=[REQUEUE, LOG])
    jobs.add().write_text(numbers(1, 1))
    await house.once()
    (failed,) = house.events("action.failed")
    assert failed.action_result == "ZeroDivisionError: oops"
    assert house.done() == ["seen n=1"]


async def test_a_slow_action_of_one_job_does_not_hold_up_another(house: House, jobs: Jobs, doing: Doing) -> None:
    doing.open = asyncio.Event()
    house.write("slow", **NUMBER, actions=[REQUEUE], jobs={"ids": ["1"]})
    house.write("fast", **NUMBER, jobs={"ids": ["2"]})
    jobs.add("1").write_text(numbers(1, 1))
    jobs.add("2").write_text(numbers(1, 1))
    passing = asyncio.create_task(house.once())
    await eventually(lambda: house.home.joinpath("state.db").exists() and house.done("fast") == ["seen n=1"])
    assert not passing.done()
    doing.open.set()
    await passing
    assert len(house.events("action.succeeded", watcher="slow")) == 1


# --- watchers of one job ---------------------------------------------------------------------------------------------


async def test_two_watchers_that_resubmit_the_same_job_make_one_chain_of_it(house: House) -> None:
    for name in ("a", "b"):
        house.write(name, **NUMBER, actions=[RESUBMIT])
    await house.submit("echo n=1")

    async def all_have_ended() -> bool:
        async with house.host() as host:
            return all(job.state.ended for job in await host.scheduler.jobs(None))

    for _ in range(5):
        await house.once()
        await eventually(all_have_ended)
    async with house.host() as host:
        lines = [lineage_of(job) for job in await host.scheduler.jobs(None)]
    assert sorted(line.number for line in lines if line is not None) == [1, 2, 3]
    assert sum("was resubmitted already" in told for told in house.done()) == 3
