"""A watcher over a finished job in memory: what matched, what was done, in what order, and what went wrong."""

from __future__ import annotations

from typing import Any

import pytest
from parts.core import CANCEL, LOG, NOTIFY, NOW, PAUSE, STORE, a_job, a_spec, compiled

from reconciler.logic.simulate import SimulatedAction, Simulation, simulate
from reconciler.model import JobState, StreamName, WatcherState

LOSS: dict[str, Any] = {"pattern": r"loss=(\S+)", "captures": ["loss"]}
COMPLETED: dict[str, Any] = {"state": JobState.COMPLETED, "raw_state": "COMPLETED"}


def run(
    output: bytes, errors: bytes = b"", *, job: dict[str, Any] | None = None, after: float = 0.0, **fields: Any
) -> Simulation:
    """Return what a watcher makes of two outputs; the job is completed unless `job` says otherwise."""
    return simulate(
        compiled(a_spec(**fields)), a_job("7", **(COMPLETED if job is None else job)), output, errors, NOW, after
    )


def log(message: str, **fields: Any) -> dict[str, Any]:
    """Return an action that logs."""
    return {"type": "log_event", "params": {"message": message}, **fields}


def messages(simulation: Simulation) -> list[str]:
    """Return what was logged."""
    return [action.params["message"] for action in simulation.actions if action.type == "log_event"]


def types(simulation: Simulation) -> list[str]:
    """Return the types of what was done, in order."""
    return [action.type for action in simulation.actions]


# --- matches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "texts"),
    [
        (b"", []),
        (b"nothing\n", []),
        (b"loss=1\n", ["loss=1"]),
        (b"loss=1\nx\nloss=2", ["loss=1", "loss=2"]),
        (b"loss=1\rloss=2\r\nloss=3\n", ["loss=1", "loss=2", "loss=3"]),
        (b"loss=1 loss=2\n", ["loss=1", "loss=2"]),
        (b"\x1b[31mloss=1\x1b[0m\n", ["loss=1"]),
        (b"loss=\xff\n", ["loss=\ufffd"]),
        (b"loss=1\n\0\0\0", ["loss=1"]),
    ],
)
def test_every_line_of_the_output_is_met_once(output: bytes, texts: list[str]) -> None:
    done = run(output, **LOSS)
    assert [match.text for match in done.matches] == texts
    assert done.watcher.trigger_count == len(texts)
    assert (types(done), done.problems) == (["log_event"] * len(texts), ())


@pytest.mark.parametrize(
    ("wanted", "streams"),
    [
        ("stdout", [StreamName.STDOUT]),
        ("stderr", [StreamName.STDERR]),
        ("both", [StreamName.STDOUT, StreamName.STDERR]),
    ],
)
def test_the_streams_that_the_spec_asks_for_are_read_stdout_first(wanted: str, streams: list[StreamName]) -> None:
    done = run(b"hit\n", b"x\nhit\n", output_type=wanted)
    assert [match.stream for match in done.matches] == streams
    assert [match.line for match in done.matches] == [1 if s is StreamName.STDOUT else 2 for s in streams]


def test_only_what_the_condition_lets_through_triggers() -> None:
    done = run(b"loss=1\nloss=9\n", condition="float(loss) > 5", **LOSS)
    assert [match.captures for match in done.matches] == [{"loss": "9"}]
    assert done.problems == ()


def test_a_condition_that_cannot_be_told_is_a_problem_and_no_trigger() -> None:
    done = run(b"loss=abc\nloss=9\n", condition="float(loss) > 5", **LOSS)
    assert [match.text for match in done.matches] == ["loss=9"]
    assert len(done.problems) == 1
    assert "abc" in done.problems[0]


def test_nothing_triggers_behind_the_last_one_that_may() -> None:
    done = run(b"loss=1\nloss=2\nloss=3\n", max_triggers=2, **LOSS)
    assert [match.text for match in done.matches] == ["loss=1", "loss=2"]
    assert done.watcher.state is not WatcherState.ACTIVE


def test_all_patterns_trigger_together() -> None:
    done = run(b"a\na\nb\n", pattern=None, patterns={"all": ["a", "b"]})
    assert [(match.line, match.text) for match in done.matches] == [(3, "b")]


def test_a_cooldown_lets_one_of_an_output_through() -> None:
    assert len(run(b"hit\n" * 5, cooldown="10m").matches) == 1


# --- actions ---------------------------------------------------------------------------------------------------------


def test_actions_are_rendered_for_each_trigger_in_their_order() -> None:
    done = run(b"loss=1\nloss=2\n", actions=[log("$loss $JOB_ID $WATCHER $TRIGGER"), STORE, CANCEL], **LOSS)
    assert done.actions == (
        SimulatedAction("log_event", {"message": "1 7 w match"}),
        SimulatedAction("store_metric", {"name": "loss", "value": "1"}),
        SimulatedAction("cancel_job", {"reason": "because"}),
        SimulatedAction("log_event", {"message": "2 7 w match"}),
        SimulatedAction("store_metric", {"name": "loss", "value": "2"}),
        SimulatedAction("cancel_job", {"reason": "because"}),
    )


@pytest.mark.parametrize("first", [[], [CANCEL]])
def test_a_pause_ends_the_reading_wherever_it_stands(first: list[dict[str, Any]]) -> None:
    done = run(b"loss=1\nloss=2\n", job={}, actions=[*first, PAUSE, log("$loss")], **LOSS)
    assert [match.text for match in done.matches] == ["loss=1"]
    assert messages(done) == ["1"]
    assert done.watcher.state is WatcherState.PAUSED


def test_an_action_whose_condition_does_not_hold_is_left_out_alone() -> None:
    actions = [log("big $loss", condition="float(loss) > 5"), log("any $loss")]
    assert messages(run(b"loss=1\nloss=9\n", actions=actions, **LOSS)) == ["any 1", "big 9", "any 9"]


def test_a_condition_of_an_action_that_cannot_be_told_is_a_problem() -> None:
    done = run(b"loss=x\n", actions=[log("a", condition="float(loss) > 5"), log("b")], **LOSS)
    assert messages(done) == ["b"]
    assert len(done.problems) == 1


def test_what_acts_outside_succeeds_so_its_fallback_is_not_done() -> None:
    actions = [CANCEL, log("cancelled", needs=[0]), NOTIFY | {"on_failure": [0]}]
    assert types(run(b"hit\n", actions=actions)) == ["cancel_job", "log_event"]


def test_a_metric_that_is_no_number_fails_and_its_fallback_is_done() -> None:
    actions = [STORE, log("stored", needs=[0]), log("not stored", on_failure=[0])]
    done = run(b"loss=abc\n", actions=actions, **LOSS)
    assert messages(done) == ["not stored"]
    assert len(done.problems) == 1
    assert messages(run(b"loss=5\n", actions=actions, **LOSS)) == ["stored"]


def test_what_needs_something_that_was_left_out_is_left_out() -> None:
    actions = [log("a", condition="float(loss) > 5"), log("b", needs=[0]), log("c", needs=[1])]
    assert messages(run(b"loss=1\n", actions=actions, **LOSS)) == []
    assert messages(run(b"loss=6\n", actions=actions, **LOSS)) == ["a", "b", "c"]


def test_captures_stay_with_the_watcher() -> None:
    assert run(b"loss=1\nloss=2\n", **LOSS).watcher.variables["loss"] == "2"


# --- ends and times --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "wanted", "count"),
    [
        (JobState.COMPLETED, ["completed"], 1),
        (JobState.FAILED, ["completed"], 0),
        (JobState.FAILED, ["failed", "timeout"], 1),
        (JobState.TIMEOUT, ["failed", "timeout"], 1),
        (JobState.RUNNING, ["completed"], 0),
    ],
)
def test_the_end_of_the_job_triggers_where_it_counts(state: JobState, wanted: list[str], count: int) -> None:
    job = {"state": state, "raw_state": state.value.upper()}
    done = run(
        b"",
        job=job,
        pattern=None,
        trigger_on_job_end=True,
        trigger_job_states=wanted,
        actions=[log("$TRIGGER $JOB_STATE")],
    )
    assert messages(done) == [f"job_end {state.value}"] * count
    assert done.matches == ()


def test_the_end_comes_behind_the_matches() -> None:
    done = run(b"hit\n", trigger_on_job_end=True, actions=[log("$TRIGGER")])
    assert messages(done) == ["match", "job_end"]


@pytest.mark.parametrize(("after", "count"), [(0, 0), (299, 0), (301, 1), (5_000, 1)])
def test_silence_acts_once_when_it_has_lasted(after: float, count: int) -> None:
    done = run(b"x\n", after=after, silence="5m", actions=[log("$TRIGGER")])
    assert messages(done) == ["silence"] * count


@pytest.mark.parametrize(("after", "ticks"), [(0, 0), (29, 0), (31, 1), (95, 3)])
def test_a_timer_acts_with_the_captures_of_the_first_match(after: float, ticks: int) -> None:
    done = run(
        b"loss=1\nloss=2\n",
        job={},
        after=after,
        timer_mode_enabled=True,
        timer_interval_seconds=30,
        actions=[log("$loss $TRIGGER")],
        **LOSS,
    )
    assert [match.text for match in done.matches] == ["loss=1"] * len(done.matches)
    assert [text for text in messages(done) if text.endswith("timer")] == ["1 timer"] * ticks
    assert done.watcher.timer_active


def test_a_simulation_leaves_the_spec_and_the_job_as_they_are_and_can_be_done_again() -> None:
    spec, job = compiled(a_spec(actions=[CANCEL, PAUSE], **LOSS)), a_job("7", **COMPLETED)
    first, second = simulate(spec, job, b"loss=1\n"), simulate(spec, job, b"loss=1\n")
    assert first == second
    assert (spec, job) == (compiled(a_spec(actions=[CANCEL, PAUSE], **LOSS)), a_job("7", **COMPLETED))


def test_a_watcher_that_logs_alone_and_one_with_an_outside_action_see_the_same_matches() -> None:
    data = b"".join(b"loss=%d\n" % number for number in range(500))
    assert run(data, actions=[LOG], **LOSS).matches == run(data, actions=[CANCEL, LOG], **LOSS).matches


def test_what_takes_too_long_is_left_out_and_told() -> None:
    output = (b"a" * 17 + b"!\n") * 200
    spec = compiled(a_spec(pattern=r"^(a|aa){1,17}(?=b)", actions=[LOG]))
    whole = simulate(spec, a_job("7", **COMPLETED), output)
    assert (whole.looked, whole.problems) == (len(output), ())
    part = simulate(spec, a_job("7", **COMPLETED), output, budget=0.0)
    assert 0 < part.looked < len(output)
    assert part.problems == (f"it takes too long: {part.looked:,} of {len(output):,} bytes were tried",)
