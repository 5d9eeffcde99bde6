"""From the house's values to what JSON can carry."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.feed import to_text
from reconciler.api.shaping import (
    clean,
    event_shape,
    finite,
    job_shape,
    pattern_of,
    stats_shape,
    watcher_shape,
)
from reconciler.events import Event, EventType
from reconciler.model import (
    LOCALHOST,
    Hold,
    HoldKind,
    HostName,
    Job,
    JobId,
    JobKey,
    JobState,
    Memory,
    Origin,
    Position,
    StoredSpec,
    StreamName,
    Watcher,
    WatcherId,
    WatcherName,
    WatcherState,
)
from reconciler.protocols import KnownJob, Statistics

WATCHER = Watcher(
    WatcherId(7), WatcherName("w"), JobKey(LOCALHOST, JobId("1")), "train", "d",
    Origin("git:x", "old.yaml", 1, "c0ffee"), created_at=1.8e9,
)  # fmt: skip
STORED = StoredSpec(
    WatcherName("w"), "d", '{"name":"w","pattern":"x","actions":[{"type":"log_event"}],"labels":{"a":"b"}}',
    Origin("api:/api.d", "/api.d/w.yaml", 3),
)  # fmt: skip
LOOKS = {WATCHER.job: 1.8e9 + 60}


def test_a_watcher_shows_the_spec_in_force_and_where_it_stands_now() -> None:
    shape = watcher_shape(WATCHER, STORED, LOOKS.get)
    assert (shape.pattern, shape.labels, shape.interval_seconds) == ("x", {"a": "b"}, 60)
    assert (shape.source, shape.file, shape.line, shape.writable) == ("api", "/api.d/w.yaml", 3, True)
    assert (shape.next_check, shape.timer_due) == (datetime.fromtimestamp(1.8e9 + 60, UTC), None)


def test_a_held_watcher_is_not_looked_at_and_a_timer_says_when_it_is_due() -> None:
    hold = Hold(HoldKind.MANUAL, "ada", "", 1.8e9, None)
    assert watcher_shape(replace(WATCHER, holds=(hold,)), STORED, LOOKS.get).next_check is None
    timing = replace(WATCHER, timer_active=True, memory=Memory(timer_due=1.8e9 + 5))
    assert watcher_shape(timing, STORED, LOOKS.get).timer_due == datetime.fromtimestamp(1.8e9 + 5, UTC)


def test_a_watcher_whose_spec_is_gone_shows_what_it_knows_itself() -> None:
    shape = watcher_shape(replace(WATCHER, phase=WatcherState.STOPPED), None, LOOKS.get)
    assert (shape.pattern, shape.actions, shape.source, shape.writable) == ("", [], "git", False)
    assert (shape.file, shape.commit, shape.state) == ("old.yaml", "c0ffee", WatcherState.STOPPED)


def test_holds_and_positions_are_shown() -> None:
    held = replace(
        WATCHER, holds=(Hold(HoldKind.MANUAL, "ada", "why", 1.8e9, 1.8e9 + 1),),
        checkpoints={StreamName.STDERR: Position(offset=5)},
    )  # fmt: skip
    shape = json.loads(watcher_shape(held, STORED, LOOKS.get).model_dump_json())
    assert (shape["state"], shape["last_position"]) == ("paused", 5)
    assert shape["holds"] == [
        {
            "kind": "manual",
            "by": "ada",
            "reason": "why",
            "since": "2027-01-15T08:00:00Z",
            "until": "2027-01-15T08:00:01Z",
        }
    ]


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ({"pattern": "x"}, "x"),
        ({"preset": "oom"}, "preset: oom"),
        ({"patterns": {"any": ["a", "b"]}}, "a OR b"),
        ({"patterns": {"all": ["a", "b"], "within": 5}}, "a AND b"),
        ({}, ""),
    ],
)
def test_what_is_looked_for_is_one_text(spec: dict[str, object], shown: str) -> None:
    assert pattern_of(spec) == shown


def test_bytes_that_are_no_text_are_shown_all_the_same() -> None:
    job = Job(
        HostName("h"), JobId("1"), "n\udcff", "u", JobState.RUNNING, stdout="/out/\udce4", time_limit=float("inf")
    )
    shape = json.loads(job_shape(KnownJob(job, job, 0.0), 2).model_dump_json())
    assert (shape["name"], shape["stdout"], shape["time_limit"], shape["watchers"]) == (
        "n\ufffd",
        "/out/\ufffd",
        None,
        2,
    )
    assert clean("plain é") == "plain é"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec=None)), inner, max_size=3),
    max_leaves=8,
)
ANY_TEXT = st.text(st.characters(codec=None), max_size=20)


@given(data=st.dictionaries(ANY_TEXT, JSON, max_size=3), text=ANY_TEXT, captured=st.none() | ANY_TEXT)
def test_any_event_becomes_json_over_rest_and_socket(data: dict[str, object], text: str, captured: str | None) -> None:
    event = Event(
        EventType.ACTION_FAILED, 1.8e9, text, WatcherId(1), "w", JobId("1"), "h", text, {"x": captured}, "notify", text,
        False, data, 9,
    )  # fmt: skip
    shape = event_shape(event)
    rest = json.loads(shape.model_dump_json())
    socket = json.loads(to_text(shape.model_dump(mode="python")))
    assert rest["id"] == socket["id"] == 9
    assert rest["data"].keys() == socket["data"].keys()


def test_numbers_that_are_none_are_null() -> None:
    assert [finite(value) for value in (1.5, None, float("nan"), float("inf"), -float("inf"))] == [
        1.5,
        None,
        None,
        None,
        None,
    ]


def test_counts_sort_outcomes_into_success_and_failure() -> None:
    actions = {
        ("notify", "succeeded"): 3, ("notify", "would_run"): 1, ("notify", "failed"): 2, ("notify", "refused"): 1,
        ("notify", "interrupted"): 1, ("notify", "skipped"): 4, ("notify", "rate_limited"): 5, ("x", "failed"): 1,
    }  # fmt: skip
    shape = stats_shape(Statistics(watchers={"active": 2, "paused": 1}, actions=actions, recent=4))
    assert shape.events_by_action["notify"].model_dump() == {"total": 17, "success": 4, "failed": 4}
    assert (shape.total_events, shape.total_watchers, shape.events_last_hour) == (18, 3, 4)
