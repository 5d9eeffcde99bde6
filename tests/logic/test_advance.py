"""One tick of one watcher: matches and deadlines in, triggers and what follows from them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from parts.core import CANCEL, LOG, NOW, PAUSE, STORE, a_job, a_match, a_spec, a_watcher, compiled, desired

from reconciler.events import Event, EventType
from reconciler.logic.advance import WatcherTick, hold
from reconciler.logic.deadlines import next_due
from reconciler.logic.outcomes import count_failure, count_success
from reconciler.model import (
    FileStat,
    Hold,
    HoldKind,
    Job,
    JobState,
    Match,
    Memory,
    Position,
    StreamName,
    Watcher,
    WatcherState,
)
from reconciler.protocols import Advance, StateEffect

FIRST = replace(a_watcher(), variables={}, created_at=NOW - 40)


class Life:
    """A watcher through its ticks, each taking up what the one before left."""

    def __init__(self, job: Job | None = None, **fields: Any) -> None:
        self.spec = compiled(a_spec(**fields))
        self.watcher = a_watcher(desired(a_spec(**fields)))
        self.job = job or a_job()
        self.now = NOW
        self.advances: list[Advance] = []

    def tick(
        self, *lines: Match | Sequence[Match], after: float = 0.0, grew: bool = False, ended: bool = False
    ) -> WatcherTick:
        """One tick, `after` seconds later, that meets the matches of these lines."""
        self.now += after
        tick = WatcherTick(self.spec, self.watcher, self.job, self.now)
        if grew or lines:
            tick.grew(StreamName.STDOUT, FileStat(1, 1, len(self.advances) + 1, int(self.now * 1e9)))
        for line in lines:
            tick.matched([line] if isinstance(line, Match) else line)
        tick.deadlines()
        if ended:
            tick.job_ended()
        advance = tick.advance()
        if advance is not None:
            self.advances.append(advance)
            self.watcher = advance.after
        return tick

    def end(self, state: JobState = JobState.COMPLETED, raw: str = "", after: float = 0.0) -> None:
        """The job ends, and its output has been read."""
        self.job = replace(self.job, state=state, raw_state=raw or state.value.upper())
        self.tick(after=after, ended=True)

    def events(self, kind: EventType | None = None) -> list[Event]:
        return [event for a in self.advances for event in a.events if kind in (None, event.type)]

    @property
    def triggers(self) -> list[str]:
        """The kinds of triggers so far."""
        return [str(event.data["trigger"]) for event in self.events(EventType.WATCHER_TRIGGERED)]


def loss(value: str, line: int = 1) -> Match:
    return a_match(f"loss: {value}", line, loss=value)


# --- matches and conditions ------------------------------------------------------------------------------------------


def test_a_match_triggers_and_leaves_its_captures() -> None:
    life = Life()
    life.tick(a_match("Loss: 5.73, Step: 1200", 3, loss="5.73", step="1200"))
    assert life.watcher.variables == {"loss": "5.73", "step": "1200", "1": "5.73", "2": "1200"}
    assert (life.watcher.trigger_count, life.watcher.last_trigger) == (1, NOW)
    (event,) = life.events(EventType.WATCHER_TRIGGERED)
    assert (event.matched_text, event.data["line"], event.data["offset"]) == ("Loss: 5.73, Step: 1200", 3, 20)
    assert event.captured_vars == {"loss": "5.73", "step": "1200"}
    assert (event.data["file"], event.data["spec_line"]) == ("/w/w.yaml", 1)


def test_nothing_happened_is_nothing_to_write() -> None:
    assert Life().tick().advance() is None


def test_a_position_alone_is_written() -> None:
    tick = WatcherTick(Life().spec, FIRST, a_job(), NOW)
    advance = tick.advance({StreamName.STDOUT: Position(offset=7)})
    assert advance is not None
    assert advance.after.checkpoints == {StreamName.STDOUT: Position(offset=7)}
    assert advance.events == ()


def test_a_condition_decides() -> None:
    life = Life(condition="float(loss) > 5")
    life.tick(loss("4.9"))
    assert (life.triggers, life.watcher.variables) == ([], {})
    life.tick(loss("5.73"))
    assert life.triggers == ["match"]


def test_a_condition_sees_what_earlier_matches_left() -> None:
    life = Life(condition="loss is not None and epoch is not None", patterns={"any": ["a", "b"]}, pattern=None)
    life.watcher = replace(life.watcher, variables={"epoch": "3"})
    life.tick(loss("1"))
    assert life.triggers == ["match"]
    assert life.watcher.variables["epoch"] == "3"


def test_a_condition_that_cannot_be_told_is_shown_and_told_once() -> None:
    life = Life(condition="float(loss) > 5")
    life.tick(loss("abc"), loss("def"), loss("6"))
    assert life.triggers == ["match"]
    (event,) = life.events(EventType.CONDITION_FAILED)
    assert (event.data["count"], event.data["total"], event.success) == (2, 2, False)
    assert "abc" in event.action_result or "could not convert" in event.action_result
    assert life.watcher.last_error.startswith("condition:")
    life.tick(loss("ghi"))
    assert life.watcher.memory.condition_failures == 3
    assert len(life.events(EventType.CONDITION_FAILED)) == 1


def test_a_condition_that_stays_untold_tells_again_at_each_power_of_ten() -> None:
    life = Life(condition="float(loss) > 5")
    for number in range(1, 120):
        life.tick(loss(f"no-{number}"))
    life.tick(*(loss(f"burst-{number}") for number in range(900)))
    assert life.triggers == []
    told = [(event.data["count"], event.data["total"]) for event in life.events(EventType.CONDITION_FAILED)]
    assert told == [(1, 1), (1, 10), (1, 100), (900, 1019)]
    assert life.watcher.memory.condition_failures == 1019
    assert life.events(EventType.CONDITION_FAILED)[1].action_result.count("no-10") == 1
    assert "burst-0" in life.watcher.last_error


def test_a_captured_value_is_cut_where_it_is_too_long() -> None:
    life = Life()
    tick = WatcherTick(life.spec, life.watcher, life.job, NOW, variable_bytes=64)
    tick.matched([a_match("x", 1, word="é" * 100)])
    kept = tick.after.variables["word"]
    assert kept == "é" * 32


def test_a_group_that_took_no_part_is_none() -> None:
    life = Life(condition="unit is None")
    life.tick(a_match("5", 1, value="5", unit=None))
    assert life.watcher.variables["unit"] is None
    assert life.triggers == ["match"]


# --- limits ----------------------------------------------------------------------------------------------------------


def test_max_triggers_is_exact_within_one_tick() -> None:
    life = Life(max_triggers=2)
    tick = life.tick(*(a_match(f"hit {n}", n) for n in range(1, 8)))
    assert life.watcher.trigger_count == 2
    assert life.watcher.state is WatcherState.TRIGGERED
    assert [event.matched_text for event in life.events(EventType.WATCHER_TRIGGERED)] == ["hit 1", "hit 2"]
    assert tick.stopped


def test_max_triggers_is_exact_within_one_line() -> None:
    life = Life(max_triggers=2)
    life.tick([a_match("a"), a_match("b"), a_match("c")])
    assert life.watcher.trigger_count == 2


def test_a_watcher_that_reached_max_triggers_meets_nothing_more() -> None:
    life = Life(max_triggers=1)
    life.tick(a_match())
    life.tick(a_match())
    life.end()
    assert life.triggers == ["match"]
    assert life.watcher.phase is WatcherState.COMPLETED


def test_cooldown_lets_matches_pass_without_triggering() -> None:
    life = Life(cooldown="60s")
    life.tick(a_match("a"), a_match("b"))
    life.tick(a_match("c"), after=59.9)
    assert life.watcher.trigger_count == 1
    life.tick(a_match("d"), after=0.1)
    assert [event.matched_text for event in life.events(EventType.WATCHER_TRIGGERED)] == ["a", "d"]


def test_a_clock_that_is_set_back_or_a_shorter_cooldown_ends_one_that_is_longer_than_the_spec_says() -> None:
    life = Life(cooldown="60s")
    life.tick(loss("1"))
    life.tick(loss("2"), after=-7200)
    assert len(life.triggers) == 2
    life.spec = compiled(a_spec(cooldown="10s"))
    life.tick(loss("3"), after=20)
    assert len(life.triggers) == 3


def test_a_match_whose_condition_is_false_starts_no_cooldown() -> None:
    life = Life(cooldown="60s", condition="float(loss) > 5")
    life.tick(loss("1"), loss("6"))
    assert life.triggers == ["match"]


def test_a_tick_leaves_what_is_too_much_to_the_next_and_never_half_a_line() -> None:
    life = Life()
    tick = WatcherTick(life.spec, life.watcher, life.job, NOW, matches=3)
    tick.matched([a_match("a"), a_match("b")])
    assert (tick.stopped, tick.again) == (False, False)
    tick.matched([a_match("c"), a_match("d"), a_match("e")])
    assert (tick.stopped, tick.again) == (True, True)
    assert tick.after.trigger_count == 5


# --- several patterns ------------------------------------------------------------------------------------------------


def of(member: int, text: str = "x") -> Match:
    return a_match(text)._replace(pattern=member)


def test_all_patterns_must_have_been_seen() -> None:
    life = Life(patterns={"all": ["a", "b", "c"]}, pattern=None)
    life.tick(of(0), of(2), of(0))
    assert life.triggers == []
    life.tick(of(1), after=9999)
    assert life.triggers == ["match"]


def test_after_a_trigger_all_patterns_are_wanted_anew() -> None:
    life = Life(patterns={"all": ["a", "b"]}, pattern=None)
    life.tick(of(0), of(1), of(1))
    assert life.watcher.trigger_count == 1
    life.tick(of(0))
    assert life.watcher.trigger_count == 2


def test_a_member_that_was_seen_in_a_cooldown_was_seen_and_a_whole_set_in_it_does_not_trigger() -> None:
    life = Life(pattern=None, patterns={"all": ["a", "b"]}, cooldown=60)
    life.tick(of(0), of(1))
    life.tick(of(0), after=30)
    life.tick(of(1), after=40)
    assert len(life.triggers) == 2
    life.tick(of(0), of(1), after=30)
    life.tick(of(0), after=40)
    assert len(life.triggers) == 2
    life.tick(of(1))
    assert len(life.triggers) == 3


def test_within_is_measured_between_the_members() -> None:
    life = Life(patterns={"all": ["a", "b"], "within": "5m"}, pattern=None)
    life.tick(of(0))
    life.tick(of(1), after=300.1)
    assert life.triggers == []
    life.tick(of(0), after=300)
    assert life.triggers == ["match"]


def test_what_each_of_all_patterns_captured_by_name_is_there_in_the_end() -> None:
    life = Life(
        patterns={"all": [r"loss=(?P<loss>\S+)", r"acc=(?P<acc>\S+)"]},
        pattern=None,
        condition="float(loss) < float(acc)",
    )
    life.tick(a_match("loss=0.3", 1, loss="0.3")._replace(pattern=0))
    life.tick(a_match("acc=0.9", 2, acc="0.9")._replace(pattern=1), after=60)
    assert life.triggers == ["match"]
    assert life.watcher.variables == {"loss": "0.3", "acc": "0.9", "1": "0.9"}


# --- timer mode ------------------------------------------------------------------------------------------------------


def timed(**fields: Any) -> Life:
    return Life(timer_mode_enabled=True, timer_interval_seconds=30, **fields)


def test_the_first_match_starts_the_timer_and_no_further_line_is_read() -> None:
    life = timed()
    tick = life.tick(loss("1", 1), loss("2", 2))
    assert life.triggers == ["match"]
    assert life.watcher.timer_active
    assert tick.stopped
    assert next_due(life.spec, life.watcher, life.job) == NOW + 30


def test_each_interval_acts_with_the_stored_captures() -> None:
    life = timed(actions=[CANCEL])
    life.tick(loss("1"))
    life.tick(after=29.9)
    assert life.triggers == ["match"]
    life.tick(after=0.1)
    life.tick(after=30)
    assert life.triggers == ["match", "timer", "timer"]
    assert life.advances[-1].pending[0].trigger.variables["loss"] == "1"


def test_overdue_ticks_are_one() -> None:
    life = timed()
    life.tick(loss("1"))
    life.tick(after=3600)
    assert life.triggers == ["match", "timer"]
    assert next_due(life.spec, life.watcher, life.job) == life.now + 30


def test_a_tick_of_the_timer_has_the_whole_text_of_the_match_that_began_it() -> None:
    life = timed(actions=[{"type": "log_event", "params": {"message": "$0 $1"}}])
    life.tick(loss("7"))
    life.tick(after=30)
    told = [event.action_result for event in life.events(EventType.ACTION_SUCCEEDED)]
    assert told == ["loss: 7 7"] * 2
    assert "0" not in life.watcher.variables


def test_an_edit_that_makes_the_timer_quicker_holds_from_now_on() -> None:
    life = timed()
    life.tick(loss("1"))
    life.spec = compiled(a_spec(timer_mode_enabled=True, timer_interval_seconds=10))
    life.tick(after=1)
    assert life.watcher.memory.timer_due == life.now + 10
    life.tick(after=10)
    assert life.triggers == ["match", "timer"]


def test_the_end_of_a_job_ends_its_timer_without_a_burst() -> None:
    life = timed()
    life.tick(loss("1"))
    life.end(after=3600)
    assert life.triggers == ["match"]
    assert not life.watcher.timer_active
    assert life.watcher.memory.timer_due is None
    assert next_due(life.spec, life.watcher, life.job) is None


def test_a_timer_holds_still_while_the_job_or_the_watcher_does() -> None:
    life = timed()
    life.tick(loss("1"))
    life.job = replace(life.job, state=JobState.SUSPENDED)
    life.tick(after=100)
    life.job = replace(life.job, state=JobState.RUNNING)
    life.watcher = hold(life.watcher, Hold(HoldKind.MANUAL, "ada"))
    life.tick(after=100)
    assert life.triggers == ["match"]


def test_a_suspended_job_makes_nothing_due() -> None:
    life = timed()
    life.tick(loss("1"))
    life.job = replace(life.job, state=JobState.SUSPENDED)
    assert next_due(life.spec, life.watcher, life.job) is None


def test_max_triggers_ends_a_timer() -> None:
    life = timed(max_triggers=2)
    life.tick(loss("1"))
    life.tick(after=30)
    life.tick(after=30)
    assert life.triggers == ["match", "timer"]
    assert (life.watcher.state, life.watcher.timer_active) == (WatcherState.TRIGGERED, False)


# --- silence and time left -------------------------------------------------------------------------------------------


def silent(**fields: Any) -> Life:
    return Life(silence="10m", pattern=None, **fields)


def test_silence_fires_once_and_is_armed_again_by_growth() -> None:
    life = silent()
    life.tick(grew=True)
    life.tick(after=599.9)
    assert life.triggers == []
    life.tick(after=0.1)
    life.tick(after=5000)
    assert life.triggers == ["silence"]
    life.tick(grew=True)
    life.tick(after=600)
    assert life.triggers == ["silence", "silence"]


def test_silence_counts_from_when_the_job_and_the_watcher_began() -> None:
    life = silent(job=a_job(started=NOW - 50))
    assert next_due(life.spec, life.watcher, life.job) == NOW - 40 + 600
    life.job = replace(life.job, started=NOW + 100)
    assert next_due(life.spec, life.watcher, life.job) == NOW + 700


def test_an_ended_or_waiting_job_is_not_silent() -> None:
    for state in (JobState.PENDING, JobState.SUSPENDED, JobState.COMPLETED):
        life = silent(job=a_job(state=state))
        life.tick(after=9999)
        assert life.triggers == []


def test_what_is_not_known_is_not_silence() -> None:
    life = silent()
    tick = WatcherTick(life.spec, life.watcher, life.job, NOW + 9999)
    tick.deadlines(blind=True)
    assert tick.advance() is None


def test_a_requeued_job_is_silent_from_when_it_runs_again_and_whatever_fired_before() -> None:
    for fired in (True, False):
        life = silent()
        life.tick(grew=True)
        life.tick(after=600 if fired else 300)
        life.job = replace(life.job, started=life.now + 5000)
        life.tick(after=5000)
        life.tick(after=599)
        assert life.triggers == ["silence"] * fired
        assert next_due(life.spec, life.watcher, life.job) == life.now + 1
        life.tick(after=1)
        life.tick(after=5000)
        assert life.triggers == ["silence"] * (1 + fired)


def test_the_time_that_a_job_stood_still_is_no_silence() -> None:
    life = silent()
    life.tick(grew=True)
    for state, after, fired in (("suspended", 100, 0), ("running", 5000, 0), ("running", 599, 0), ("running", 1, 1)):
        life.job = replace(life.job, state=JobState(state))
        life.tick(after=after)
        assert life.triggers == ["silence"] * fired


def test_timer_mode_reads_nothing_and_so_knows_no_silence() -> None:
    life = silent(timer_mode_enabled=True, timer_interval_seconds=5000)
    life.tick(loss("1"))
    life.tick(after=4000)
    assert life.triggers == ["match"]


def test_time_left_fires_once() -> None:
    job = a_job(started=NOW - 3000, time_limit=3600.0)
    life = Life(job=job, time_left="5m", pattern=None, trigger_on_job_end=True)
    assert next_due(life.spec, life.watcher, life.job) == NOW + 300
    life.tick(after=299)
    assert life.triggers == []
    life.tick(after=1)
    life.tick(after=100)
    assert life.triggers == ["time_left"]
    life.job = replace(life.job, started=life.now + 500)  # requeued
    life.tick(after=500 + 3299)
    life.tick(after=1)
    life.tick(after=100)
    assert life.triggers == ["time_left"] * 2


def test_a_job_without_a_limit_has_no_time_left() -> None:
    life = Life(time_left="5m", pattern=None)
    life.tick(after=10**6)
    assert life.triggers == []


# --- the end of the job ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "raw", "fires"),
    [
        (JobState.COMPLETED, "", True),
        (JobState.FAILED, "OUT_OF_MEMORY", True),
        (JobState.TIMEOUT, "", True),
        (JobState.CANCELLED, "", False),
        (JobState.UNKNOWN, "", False),
    ],
)
def test_job_end_triggers_fire_on_the_default_states(state: JobState, raw: str, fires: bool) -> None:
    life = Life(trigger_on_job_end=True, pattern=None)
    life.end(state, raw)
    life.tick(ended=True)
    assert life.triggers == (["job_end"] if fires else [])
    assert life.watcher.state is WatcherState.COMPLETED
    (event,) = life.events(EventType.WATCHER_COMPLETED)
    assert event.data["job_state"] == raw or event.data["job_state"] == state.value.upper()


def test_a_cancelled_job_counts_where_it_is_listed() -> None:
    life = Life(trigger_on_job_end=True, trigger_job_states=["cancelled"], pattern=None)
    life.end(JobState.CANCELLED)
    assert life.triggers == ["job_end"]


def test_a_watcher_that_is_held_completes_without_acting() -> None:
    life = Life(trigger_on_job_end=True, pattern=None)
    life.watcher = hold(life.watcher, Hold(HoldKind.MANUAL, "ada"))
    life.end()
    assert (life.triggers, life.watcher.state) == ([], WatcherState.COMPLETED)


@pytest.mark.parametrize("phase", [WatcherState.COMPLETED, WatcherState.STATIC, WatcherState.STOPPED])
def test_what_is_over_stays_as_it_is(phase: WatcherState) -> None:
    life = Life(trigger_on_job_end=True)
    life.watcher = replace(life.watcher, phase=phase)
    life.end()
    assert (life.advances, life.watcher.phase) == ([], phase)


# --- holds -----------------------------------------------------------------------------------------------------------


def test_a_hold_that_ran_out_lets_the_watcher_go_on_and_says_so() -> None:
    life = Life()
    life.watcher = hold(life.watcher, Hold(HoldKind.MANUAL, "ada", "maintenance", NOW, NOW + 60))
    assert next_due(life.spec, life.watcher, life.job) == NOW + 60
    life.tick(a_match("during"), after=59)
    assert (life.triggers, life.watcher.state) == ([], WatcherState.PAUSED)
    life.tick(a_match("after"), after=1)
    assert life.watcher.state is WatcherState.ACTIVE
    assert life.triggers == ["match"]
    (event,) = life.events(EventType.WATCHER_RESUMED)
    assert "ada" in event.action_result


def test_one_hold_that_ran_out_leaves_the_others() -> None:
    life = Life()
    life.watcher = hold(hold(life.watcher, Hold(HoldKind.SELF, "w", until=NOW + 5)), Hold(HoldKind.DECLARED, "w.yaml"))
    life.tick(after=6)
    assert [kept.kind for kept in life.watcher.holds] == [HoldKind.DECLARED]
    assert life.watcher.state is WatcherState.PAUSED


def test_a_new_hold_takes_the_place_of_one_of_its_kind() -> None:
    held = hold(hold(FIRST, Hold(HoldKind.MANUAL, "ada", "a")), Hold(HoldKind.MANUAL, "bob", "b"))
    assert [(kept.by, kept.reason) for kept in held.holds] == [("bob", "b")]


# --- actions ---------------------------------------------------------------------------------------------------------


def test_a_leading_pause_stops_the_watcher_behind_its_line() -> None:
    life = Life(actions=[PAUSE])
    tick = life.tick(a_match("one", 1), a_match("two", 2))
    assert life.triggers == ["match"]
    assert life.watcher.state is WatcherState.PAUSED
    assert life.watcher.holds[0].kind is HoldKind.SELF
    assert (tick.stopped, tick.waits) == (True, False)


def test_a_pause_that_comes_after_an_outside_action_holds_the_watcher_until_it_has_run() -> None:
    life = Life(actions=[CANCEL, PAUSE])
    tick = life.tick(a_match("one", 1), a_match("two", 2))
    assert life.triggers == ["match"]
    assert life.watcher.state is WatcherState.ACTIVE
    assert (tick.stopped, tick.waits) == (True, True)
    assert [action.type for action in life.advances[0].pending] == ["cancel_job", "pause_watcher"]


def test_leading_actions_are_done_in_the_tick_and_the_rest_is_pending_in_order() -> None:
    life = Life(actions=[STORE, LOG, CANCEL, LOG], captures=["loss"], pattern="loss: (.+)")
    life.tick(loss("0.5"), loss("0.25"))
    assert [point.value for point in life.advances[0].metrics] == [0.5, 0.25]
    assert [(a.group, a.index, a.type) for a in life.advances[0].pending] == [
        (1, 2, "cancel_job"), (1, 3, "log_event"), (2, 2, "cancel_job"), (2, 3, "log_event"),
    ]  # fmt: skip
    done = life.events(EventType.ACTION_SUCCEEDED)
    assert [event.action_type for event in done] == ["store_metric", "log_event"] * 2
    assert [event.data["action"] for event in done] == [0, 1, 0, 1]


def test_an_action_whose_condition_is_false_is_skipped_alone() -> None:
    life = Life(actions=[{**LOG, "condition": "float(loss) > 5"}, LOG])
    life.tick(loss("1"))
    assert [event.data["action"] for event in life.events(EventType.ACTION_SKIPPED)] == [0]
    assert [event.data["action"] for event in life.events(EventType.ACTION_SUCCEEDED)] == [1]


def test_max_failures_is_exact_for_leading_actions() -> None:
    life = Life(actions=[STORE], max_failures=2, captures=["loss"], pattern="loss: (.+)")
    life.tick(loss("a"), loss("b"), loss("c"))
    assert len(life.events(EventType.ACTION_FAILED)) == 2
    assert life.watcher.state is WatcherState.DISABLED
    (event,) = life.events(EventType.WATCHER_DISABLED)
    assert event.action_result.startswith("2 failures in a row")


def test_a_success_between_failures_counts_anew() -> None:
    life = Life(actions=[STORE], max_failures=2, captures=["loss"], pattern="loss: (.+)")
    life.tick(loss("a"), loss("1"), loss("b"), loss("2"), loss("c"))
    assert life.watcher.state is WatcherState.ACTIVE
    assert life.watcher.failures == 1


def test_the_rest_of_a_list_is_skipped_once_a_failure_disables_the_watcher() -> None:
    life = Life(actions=[STORE, STORE, LOG], max_failures=1, captures=["loss"], pattern="loss: (.+)")
    life.tick(loss("a"), loss("b"))
    kinds = [event.type.split(".")[2] for event in life.events() if event.type.startswith("reconciler.action")]
    assert kinds == ["failed", "skipped", "skipped"]
    assert (life.watcher.state, life.watcher.failures) == (WatcherState.DISABLED, 1)


def test_what_touches_the_state_alone_ends_no_row_of_failures_of_what_reaches_outside() -> None:
    spec = compiled(a_spec(actions=[LOG, CANCEL]))
    failed = replace(FIRST, failures=3)
    assert count_success(spec, failed, outside=False).failures == 3
    assert count_success(spec, failed, outside=True).failures == 0
    assert count_success(compiled(a_spec(actions=[LOG, STORE])), failed, outside=False).failures == 0


def test_a_bug_in_an_action_fails_that_action_alone() -> None:
    class Broken:
        def effect(self, *_: Any) -> StateEffect:
            return 1 / 0  # type: ignore[return-value]

    life = Life(actions=[STORE, LOG], captures=["loss"], pattern="loss: (.+)")
    first, second = life.spec.actions
    life.spec = replace(life.spec, actions=(replace(first, kind=replace(first.kind, state=Broken())), second))
    life.tick(loss("1"))
    (event,) = life.events(EventType.ACTION_FAILED)
    assert event.action_result == "ZeroDivisionError: division by zero"
    assert len(life.events(EventType.ACTION_SUCCEEDED)) == 1


def test_a_watcher_without_a_limit_is_never_disabled() -> None:
    watcher = FIRST
    for _ in range(50):
        watcher, events = count_failure(Life().spec, watcher, "no", NOW)
        assert events == ()
    assert (watcher.failures, watcher.state) == (50, WatcherState.ACTIVE)


def test_the_last_value_of_a_metric_is_among_the_variables() -> None:
    life = Life(actions=[{"type": "store_metric", "params": {"name": "train_loss", "value": "$loss"}}])
    life.tick(loss("0.5"))
    assert life.watcher.variables["train_loss"] == "0.5"


def test_a_metric_does_not_cover_a_capture_of_its_name() -> None:
    life = Life(actions=[STORE], captures=["loss"], pattern="loss: (.+)")
    life.tick(loss("5.70"))
    assert life.watcher.variables["loss"] == "5.70"


# --- on request ------------------------------------------------------------------------------------------------------


def manual(life: Life) -> tuple[bool, Advance | None]:
    tick = WatcherTick(life.spec, life.watcher, life.job, life.now)
    return tick.manual(), tick.advance()


def test_a_request_acts_once_on_the_newest_match() -> None:
    life = Life(actions=[CANCEL])
    life.tick(loss("1"), loss("2"), loss("3"))
    done, advance = manual(life)
    assert done
    assert advance is not None
    (action,) = advance.pending
    assert (action.group, action.trigger.kind, action.trigger.variables["loss"]) == (4, "manual", "3")


def test_a_request_without_any_match_acts_all_the_same() -> None:
    done, advance = manual(Life())
    assert done
    assert advance is not None
    assert advance.events[0].matched_text is None


def test_a_request_whose_condition_is_false_does_nothing() -> None:
    life = Life(condition="float(loss) > 5")
    life.watcher = replace(life.watcher, memory=Memory(newest=loss("1")))
    assert manual(life) == (False, None)


def test_the_newest_match_is_kept_across_ticks() -> None:
    life = Life()
    life.tick(a_match("a"))
    life.tick(after=10)
    assert life.watcher.memory.newest == a_match("a")


def test_what_becomes_of_a_watcher_is_a_new_value() -> None:
    life = Life()
    before: Watcher = life.watcher
    life.tick(a_match())
    assert before.trigger_count == 0
    assert life.advances[0].before == before
