"""What a Batch writes: everything or nothing, and only what differs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from parts.state_values import (
    KEY,
    NOW,
    SteppedClock,
    a_job,
    a_spec,
    a_watcher,
    an_action,
    an_event,
    columns,
)

from reconciler.errors import StateError
from reconciler.events import EventType
from reconciler.model import (
    ActionId,
    ActionStatus,
    Hold,
    HoldKind,
    JobState,
    Memory,
    Outcome,
    OutcomeKind,
    Position,
    StreamName,
    Watcher,
    WatcherId,
    WatcherName,
    WatcherState,
)
from reconciler.protocols import ActionChange, Advance, Batch, EventFilter
from reconciler.state import add_request
from reconciler.state.write import StateWriter


def create(state: StateWriter, watcher: Watcher | None = None, body: str | None = None) -> Watcher:
    spec = (a_spec(body=body),) if body else (a_spec(),)
    (created,) = state.commit(Batch(put_specs=spec, create=(watcher or a_watcher(),))).created
    return created


def shown(state: StateWriter) -> dict[str, object]:
    return dict(columns(state, "SELECT * FROM job_watchers ORDER BY id DESC LIMIT 1")[0])


def test_an_empty_batch_writes_nothing(state: StateWriter) -> None:
    committed = state.commit(Batch())
    assert (committed.created, committed.pending, committed.events) == ((), (), ())
    assert state.empty()


def test_created_watchers_get_ids_in_the_order_given_and_events_theirs(state: StateWriter) -> None:
    told = tuple(an_event(kind=EventType.WATCHER_CREATED, watcher=name) for name in "abc")
    committed = state.commit(Batch(create=tuple(map(a_watcher, "abc")), create_events=told))
    assert [each.name for each in committed.created] == ["a", "b", "c"]
    assert [event.watcher_id for event in committed.events] == [each.id for each in committed.created]
    assert state.watchers() == committed.created


def test_events_for_created_watchers_must_be_one_each(state: StateWriter) -> None:
    with pytest.raises(ValueError, match="zip"):
        state.commit(Batch(create=tuple(map(a_watcher, "ab")), create_events=(an_event(),)))
    assert state.watchers() == ()


def test_a_person_sees_the_spec_in_the_row_of_its_watcher(state: StateWriter) -> None:
    create(state)
    row = shown(state)
    assert {name: row[name] for name in ("pattern", "condition", "interval_seconds", "timer_mode_enabled")} == {
        "pattern": "loss: (.+)",
        "condition": "float(loss) > 5",
        "interval_seconds": 60,
        "timer_mode_enabled": 0,
    }
    assert json.loads(str(row["captures_json"])) == ["loss"]
    assert json.loads(str(row["actions_json"])) == [{"type": "cancel_job"}]


@pytest.mark.parametrize(
    ("body", "pattern"),
    [
        ('{"patterns":{"any":["a","b"]}}', "a OR b"),
        ('{"patterns":{"all":["a","b"],"within":60}}', "a AND b"),
        ('{"preset":"oom"}', "preset: oom"),
        ('{"pattern":null,"patterns":null,"preset":null,"silence":60}', ""),
    ],
)
def test_every_kind_of_pattern_is_shown(state: StateWriter, body: str, pattern: str) -> None:
    create(state, body=body)
    assert shown(state)["pattern"] == pattern


def test_an_edited_spec_is_shown_in_its_watchers(state: StateWriter) -> None:
    before = create(state)
    edited = a_spec(body='{"pattern":"step (.+)","interval_seconds":1.5,"timer_mode_enabled":true}', digest="d2")
    after = replace(before, spec_digest="d2")
    state.commit(Batch(put_specs=(edited,), advances=(Advance(before, after),)))
    row = shown(state)
    assert (row["pattern"], row["interval_seconds"], row["timer_mode_enabled"]) == ("step (.+)", 1.5, 1)
    assert state.watcher(before.id) == after


def test_a_watcher_can_stop_in_the_batch_that_drops_its_spec(state: StateWriter) -> None:
    before = create(state)
    after = replace(before, phase=WatcherState.STOPPED)
    state.commit(Batch(advances=(Advance(before, after),), drop_specs=(WatcherName("w"),)))
    assert state.specs() == ()
    assert state.watcher(before.id) == after
    assert shown(state)["pattern"] == "loss: (.+)"


def test_the_state_column_is_what_a_person_sees(state: StateWriter) -> None:
    before = create(state)
    held = replace(before, holds=(Hold(HoldKind.MANUAL, "ada", "maintenance", NOW),))
    state.commit(Batch(advances=(Advance(before, held),)))
    assert (shown(state)["state"], shown(state)["phase"]) == ("paused", "active")


@pytest.mark.parametrize(
    ("positions", "seen"),
    [({"stdout": 7, "stderr": 9}, 7), ({"stderr": 9}, 9), ({}, 0)],
    ids=["both", "stderr", "none"],
)
def test_last_position_shows_stdout_before_stderr(state: StateWriter, positions: dict[str, int], seen: int) -> None:
    create(state, a_watcher(checkpoints={StreamName(k): Position(offset=v) for k, v in positions.items()}))
    assert shown(state)["last_position"] == seen


def test_a_tick_that_only_read_on_leaves_the_row_of_its_watcher_to_the_next_check(state: StateWriter) -> None:
    before = create(state, a_watcher(checkpoints={StreamName.STDOUT: Position(offset=1)}))
    row = shown(state)
    after = replace(before, last_check=NOW + 1, checkpoints={StreamName.STDOUT: Position(offset=8)})
    state.commit(Batch(advances=(Advance(before, after),)))
    assert shown(state) == row
    assert state.watcher(before.id) == replace(after, last_check=before.last_check)
    state.commit(Batch(checked={before.id: NOW + 2}))
    told = shown(state)
    assert {name for name in told if told[name] != row[name]} == {"last_check", "last_position"}
    assert told["last_position"] == 8
    assert state.watcher(before.id) == replace(after, last_check=NOW + 2)


def test_when_a_place_was_reached_is_kept_also_where_it_is_reached_again(state: StateWriter) -> None:
    """In a file that was written anew, up to the very same place."""
    place = Position(1, 2, 8, 1, head=b"h", tail=b"t", taken=((7, 1, 3),), at=NOW)
    before = create(state, a_watcher(checkpoints={StreamName.STDOUT: place}))
    after = replace(before, checkpoints={StreamName.STDOUT: replace(place, at=NOW + 60)})
    state.commit(Batch(advances=(Advance(before, after),)))
    (found,) = (state.watcher(before.id) or before).checkpoints.values()
    assert (found, found.at, found.taken) == (place, NOW + 60, ((7, 1, 3),))


@pytest.mark.parametrize(("stream", "seen"), [("stderr", 9), (None, 0)])
def test_a_check_shows_the_position_in_stderr_where_stdout_was_not_read(
    state: StateWriter, stream: str | None, seen: int
) -> None:
    places = {StreamName(stream): Position(offset=9)} if stream else {}
    before = create(state, a_watcher(checkpoints=places))
    state.commit(Batch(checked={before.id: NOW}))
    assert shown(state)["last_position"] == seen


def test_only_differences_are_written(state: StateWriter) -> None:
    """What another batch wrote meanwhile (last_check) is not undone by one that did not change it."""
    before = create(state)
    state.commit(Batch(checked={before.id: NOW + 5}))
    after = replace(before, trigger_count=1)
    state.commit(Batch(advances=(Advance(before, after),)))
    assert state.watcher(before.id) == replace(after, last_check=NOW + 5)


def test_an_unchanged_watcher_is_not_written_at_all(state: StateWriter) -> None:
    before = create(state, a_watcher(variables={"a": "1"}, checkpoints={StreamName.STDOUT: Position(offset=1)}))
    columns_before = columns(state, "SELECT * FROM watcher_variables")
    state._clock.at += 100  # type: ignore[attr-defined]
    state.commit(Batch(advances=(Advance(before, replace(before)),)))
    assert columns(state, "SELECT * FROM watcher_variables") == columns_before


def test_variables_that_are_gone_go(state: StateWriter) -> None:
    before = create(state, a_watcher(variables={"a": "1", "b": None}))
    after = replace(before, variables={"b": "2", "c": ""})
    state.commit(Batch(advances=(Advance(before, after),)))
    assert state.watcher(before.id) == after


def test_a_variable_without_a_value_is_not_one_that_is_not_there(state: StateWriter) -> None:
    before = create(state)
    after = replace(before, variables={"a": None})
    state.commit(Batch(advances=(Advance(before, after),)))
    assert state.watcher(before.id) == after


def test_checkpoints_of_both_streams_are_kept_apart(state: StateWriter) -> None:
    one, two = Position(1, 2, 30, 4, window=("x",), taken=((9, 4, 1),)), Position(5, 6, 70, 8, cut=True)
    before = create(state, a_watcher(checkpoints={StreamName.STDOUT: one, StreamName.STDERR: two}))
    after = replace(before, checkpoints={StreamName.STDERR: replace(two, offset=71)})
    state.commit(Batch(advances=(Advance(before, after),)))
    assert state.watcher(before.id) == after


def test_many_watchers_advance_in_one_batch_each_by_its_own_columns(state: StateWriter) -> None:
    watchers = state.commit(Batch(create=tuple(a_watcher(f"w{n}") for n in range(50)))).created
    after = tuple(
        replace(each, trigger_count=each.id) if each.id % 2 else replace(each, memory=Memory(grown_at=float(each.id)))
        for each in watchers
    )
    state.commit(Batch(advances=tuple(map(Advance, watchers, after))))
    assert state.watchers() == after


def test_seq_has_no_gaps_though_batches_fail(state: StateWriter) -> None:
    state.commit(Batch(events=(an_event(), an_event())))
    for _ in range(3):
        with pytest.raises(StateError):  # this watcher does not exist
            state.commit(Batch(events=(an_event(),), advances=(orphan(),)))
    assert [event.seq for event in state.commit(Batch(events=(an_event(), an_event()))).events] == [3, 4]
    assert [event.seq for event in state.events(EventFilter())] == [1, 2, 3, 4]
    assert state.last_seq() == 4


def orphan() -> Advance:
    """An advance that the database refuses after much of its batch was written: its watcher does not exist."""
    watcher = replace(a_watcher(), id=WatcherId(4711))
    return Advance(watcher, watcher, pending=(an_action(watcher),))


def test_a_refused_batch_leaves_nothing_and_the_next_one_works(state: StateWriter) -> None:
    before = create(state)
    everything = Batch(
        create=(a_watcher("other"),),
        put_specs=(a_spec("other"),),
        jobs=(a_job(),),
        advances=(Advance(before, replace(before, trigger_count=9)), orphan()),
        events=(an_event(),),
        facts={"x": "1"},
    )
    with pytest.raises(StateError):
        state.commit(everything)
    assert state.watchers() == (before,)
    assert (state.jobs(), state.last_seq(), state.fact("x"), len(state.specs())) == ((), 0, None, 1)
    state.commit(replace(everything, advances=everything.advances[:1]))
    assert (state.last_seq(), state.fact("x"), len(state.specs())) == (1, "1", 2)


def test_events_come_in_the_order_of_the_batch(state: StateWriter) -> None:
    before = create(state)
    advance = Advance(before, before, events=(an_event(subject="2"), an_event(subject="3")))
    committed = state.commit(
        Batch(
            create=(a_watcher("n"),),
            create_events=(an_event(subject="1"),),
            advances=(advance,),
            events=(an_event(subject="4"),),
        )
    )
    assert [event.subject for event in committed.events] == ["1", "2", "3", "4"]
    assert [event.seq for event in committed.events] == [1, 2, 3, 4]


# --- the ledger ------------------------------------------------------------------------------------------------------


def test_actions_run_by_watcher_group_and_index(state: StateWriter) -> None:
    one, two = state.commit(Batch(create=(a_watcher("one"), a_watcher("two")))).created
    later = Advance(two, two, pending=(an_action(two, 1),))
    mixed = Advance(one, one, pending=(an_action(one, 2, 1), an_action(one, 2, 0), an_action(one, 1)))
    state.commit(Batch(advances=(later, mixed)))
    assert [(action.watcher_id, action.group, action.index) for action in state.pending()] == [
        (one.id, 1, 0),
        (one.id, 2, 0),
        (one.id, 2, 1),
        (two.id, 1, 0),
    ]


def test_an_action_stands_in_the_ledger_once(state: StateWriter) -> None:
    watcher = create(state)
    state.commit(Batch(advances=(Advance(watcher, watcher, pending=(an_action(watcher),)),)))
    with pytest.raises(StateError):
        state.commit(Batch(advances=(Advance(watcher, watcher, pending=(an_action(watcher),)),)))
    assert len(state.pending()) == 1


def pend(state: StateWriter, count: int = 1) -> tuple[Watcher, list[ActionId]]:
    watcher = create(state)
    actions = tuple(an_action(watcher, 1, index) for index in range(count))
    return watcher, [
        each.id for each in state.commit(Batch(advances=(Advance(watcher, watcher, pending=actions),))).pending
    ]


def test_an_action_is_begun_put_off_begun_again_and_ended(state: StateWriter) -> None:
    watcher, (action,) = pend(state)
    state.commit(Batch(actions=(ActionChange(action, NOW + 1, started=True, attempts=1),)))
    assert [(each.status, each.attempts) for each in state.pending()] == [(ActionStatus.STARTED, 1)]
    state.commit(Batch(actions=(ActionChange(action, NOW + 2, not_before=NOW + 60),)))
    (waiting,) = state.pending()
    assert (waiting.status, waiting.attempts, waiting.not_before) == (ActionStatus.PENDING, 1, NOW + 60)
    state.commit(Batch(actions=(ActionChange(action, NOW + 61, started=True, attempts=2),)))
    state.commit(Batch(actions=(ActionChange(action, NOW + 62, outcome=Outcome(OutcomeKind.SUCCEEDED, "gone")),)))
    assert state.pending() == ()
    assert state.group_outcomes(watcher.id, 1) == {0: "succeeded"}
    (row,) = columns(state, "SELECT status, attempts, outcome, result FROM pending_actions")
    assert row == {"status": "done", "attempts": 2, "outcome": "succeeded", "result": "gone"}


def test_the_outcomes_of_one_group_are_those_that_are_known(state: StateWriter) -> None:
    watcher, actions = pend(state, 3)
    ended = [
        ActionChange(actions[n], NOW, outcome=Outcome(kind))
        for n, kind in ((0, OutcomeKind.FAILED), (2, OutcomeKind.SKIPPED))
    ]
    state.commit(Batch(actions=tuple(ended)))
    assert state.group_outcomes(watcher.id, 1) == {0: "failed", 2: "skipped"}
    assert state.group_outcomes(watcher.id, 2) == {}
    assert [action.index for action in state.pending()] == [1]


def test_every_begun_attempt_counts_for_the_limit_and_state_only_actions_do_not(state: StateWriter) -> None:
    watcher, (outside, inside) = pend(state, 2)
    for at in (NOW + 1, NOW + 2):
        state.commit(Batch(actions=(ActionChange(outside, at, started=True), ActionChange(outside, at, not_before=at))))
    state.commit(Batch(actions=(ActionChange(inside, NOW + 3, outcome=Outcome(OutcomeKind.SUCCEEDED)),)))
    assert state.recent_starts(watcher.id, NOW) == (NOW + 1, NOW + 2)
    assert state.recent_starts(watcher.id, NOW + 1) == (NOW + 2,)


# --- jobs ------------------------------------------------------------------------------------------------------------


def test_a_job_keeps_how_it_was_first_seen(state: StateWriter, clock: SteppedClock) -> None:
    first = a_job()
    now = replace(first, name="renamed", state=JobState.FAILED, stdout="/x")
    state.commit(Batch(jobs=(first,)))
    clock.at += 30
    state.commit(Batch(jobs=(now,)))
    (known,) = state.jobs()
    assert (known.first, known.now, known.last_seen, known.finished) == (first, now, NOW + 30, False)


def test_a_finished_job_is_left_out_of_the_unfinished(state: StateWriter) -> None:
    state.commit(Batch(jobs=(a_job("1", state=JobState.COMPLETED), a_job("2"), a_job("1", host="hpc2"))))
    state.commit(Batch(finished=(a_job("1").key,)))
    assert [str(known.now.key) for known in state.jobs(unfinished=True)] == ["2@hpc1", "1@hpc2"]
    assert [known.finished for known in state.jobs()] == [True, False, False]


@pytest.mark.parametrize(
    ("change", "anew", "finished"),
    [
        ({"state": JobState.COMPLETED}, False, True),
        ({"state": JobState.RUNNING}, False, False),
        ({"state": JobState.COMPLETED, "restarts": 1, "submitted": NOW}, False, False),
        ({"state": JobState.COMPLETED, "submitted": None}, False, True),
        ({"state": JobState.PENDING, "submitted": NOW}, True, False),
        ({"state": JobState.COMPLETED, "submitted": NOW}, True, False),
    ],
    ids=["seen again", "runs again", "requeued", "time unknown", "id reused", "id reused and over"],
)
def test_a_finished_job_that_is_seen_again(
    state: StateWriter, change: dict[str, object], anew: bool, finished: bool
) -> None:
    first = a_job(state=JobState.COMPLETED)
    again = replace(first, name="other", **change)  # type: ignore[arg-type]
    state.commit(Batch(jobs=(first,)))
    state.commit(Batch(finished=(KEY,)))
    state.commit(Batch(jobs=(again,)))
    (known,) = state.jobs()
    assert (known.first == again, known.first == first) == (anew, not anew)
    assert known.now == again
    assert known.finished is finished


def test_a_running_job_whose_time_of_submission_moves_is_the_same_job(state: StateWriter) -> None:
    first = a_job()
    state.commit(Batch(jobs=(first,)))
    state.commit(Batch(jobs=(replace(first, submitted=NOW),)))
    assert state.jobs()[0].first == first


def test_a_job_of_which_the_batch_says_so_is_another_one(state: StateWriter) -> None:
    first, second = a_job(), a_job(submitted=NOW, name="other")
    state.commit(Batch(jobs=(first, a_job("2"))))
    state.commit(Batch(finished=(KEY,)))
    state.commit(Batch(jobs=(second, a_job("2", submitted=NOW)), anew=frozenset({KEY})))
    one, two = state.jobs()
    assert (one.first, one.now, one.finished) == (second, second, False)
    assert two.first == a_job("2")


# --- the rest --------------------------------------------------------------------------------------------------------


def test_a_spec_is_replaced_and_dropped_by_name(state: StateWriter) -> None:
    state.commit(Batch(put_specs=(a_spec("a"), a_spec("b"))))
    replaced = replace(a_spec("b", digest="d2"), missing_since=NOW)
    state.commit(Batch(put_specs=(replaced,), drop_specs=(WatcherName("a"), WatcherName("never there"))))
    assert state.specs() == (replaced,)


def test_requests_are_gone_once_they_are_done(state: StateWriter) -> None:
    one, two = (add_request(state.path, verb, "ada", {"watcher": 1}, now=NOW) for verb in ("suspend", "trigger"))
    assert [request.id for request in state.requests()] == [one, two]
    state.commit(Batch(requests_done=(one,)))
    assert [request.verb for request in state.requests()] == ["trigger"]


def test_the_original_tables_keep_their_columns(state: StateWriter) -> None:
    """Names, and types by SQLite's affinity, as the system had them whose tables these are."""
    original = {
        "job_watchers": "id INTEGER, job_id TEXT, hostname TEXT, name TEXT, pattern TEXT, interval_seconds INTEGER, "
        "captures_json TEXT, condition TEXT, actions_json TEXT, last_check TEXT, last_position INTEGER, "
        "trigger_count INTEGER, state TEXT, timer_mode_enabled INTEGER, timer_interval_seconds INTEGER, "
        "timer_mode_active INTEGER, created_at TEXT",
        "watcher_events": "id INTEGER, watcher_id INTEGER, job_id TEXT, hostname TEXT, timestamp TEXT, "
        "matched_text TEXT, captured_vars_json TEXT, action_type TEXT, action_result TEXT, success BOOLEAN",
        "watcher_variables": "watcher_id INTEGER, variable_name TEXT, variable_value TEXT, updated_at TEXT",
    }
    for table, wanted in original.items():
        found = [f"{row['name']} {row['type']}" for row in columns(state, f"PRAGMA table_info({table})")]
        assert found[: wanted.count(",") + 1] == wanted.split(", ")
