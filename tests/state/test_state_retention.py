"""What is old goes, in bounded pieces, and what is still needed stays however old it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from parts.state_values import KEY, NOW, SteppedClock, a_job, a_point, a_watcher, an_action, an_event, columns

from reconciler.model import ActionId, JobState, Outcome, OutcomeKind, Position, StreamName, WatcherState
from reconciler.protocols import EXPORTED_SEQ, ActionChange, Advance, Batch, EventFilter
from reconciler.state import add_request, retention
from reconciler.state.write import StateWriter

DAY = 86400.0
LATER = NOW + 10 * DAY


def purge(state: StateWriter, *, events: float = 5, metrics: float = 5, watchers: float = 5) -> int:
    """Purge until nothing is left to go; ages in days, ten days after everything was written."""
    total = 0
    while went := state.purge(LATER, events=events * DAY, metrics=metrics * DAY, watchers=watchers * DAY):
        total += went
    return total


def rows(state: StateWriter, table: str) -> int:
    return int(columns(state, f"SELECT count(*) AS number FROM {table}")[0]["number"])


def seqs(state: StateWriter) -> list[int]:
    return [event.seq for event in state.events(EventFilter())]


def test_old_events_go_and_young_ones_stay(state: StateWriter) -> None:
    state.commit(
        Batch(events=(an_event(NOW), an_event(NOW + 4 * DAY), an_event(NOW + 6 * DAY), an_event(NOW + 7 * DAY)))
    )
    assert purge(state) == 2
    assert seqs(state) == [3, 4]
    assert purge(state) == 0


def test_the_newest_event_stays_and_seq_goes_on(state: StateWriter) -> None:
    state.commit(Batch(events=(an_event(),) * 3))
    assert purge(state) == 2
    assert seqs(state) == [3]
    assert state.commit(Batch(events=(an_event(),))).events[0].seq == 4


def test_an_event_that_the_events_file_does_not_have_yet_stays(state: StateWriter) -> None:
    state.commit(Batch(events=(an_event(),) * 5, facts={EXPORTED_SEQ: "2"}))
    purge(state)
    assert seqs(state) == [3, 4, 5]
    state.commit(Batch(facts={EXPORTED_SEQ: "5"}))
    purge(state)
    assert seqs(state) == [5]


@pytest.mark.parametrize("phase", WatcherState)
def test_only_watchers_that_are_over_go(state: StateWriter, phase: WatcherState) -> None:
    state.commit(Batch(create=(a_watcher(phase=phase),)))
    purge(state)
    stays = phase not in (WatcherState.COMPLETED, WatcherState.STOPPED)
    assert bool(state.watchers()) is stays


def test_a_watcher_that_ended_lately_stays_however_long_it_ran(state: StateWriter, clock: SteppedClock) -> None:
    (watcher,) = state.commit(Batch(create=(a_watcher(),))).created
    clock.at = LATER - 2 * DAY
    state.commit(Batch(advances=(Advance(watcher, replace(watcher, phase=WatcherState.COMPLETED)),)))
    purge(state)
    assert len(state.watchers()) == 1
    assert purge(state, watchers=1) == 1
    assert state.watchers() == ()


def test_a_watcher_wanted_again_is_not_over(state: StateWriter) -> None:
    (watcher,) = state.commit(Batch(create=(a_watcher(phase=WatcherState.STOPPED),))).created
    state.commit(Batch(advances=(Advance(watcher, replace(watcher, phase=WatcherState.ACTIVE)),)))
    purge(state)
    assert len(state.watchers()) == 1


def test_with_a_watcher_go_its_checkpoints_variables_and_actions_but_not_its_points(state: StateWriter) -> None:
    made = a_watcher(variables={"a": "1"}, checkpoints={StreamName.STDOUT: Position(offset=1)})
    (watcher,) = state.commit(Batch(create=(made,))).created
    stopped = replace(watcher, phase=WatcherState.STOPPED)
    state.commit(Batch(advances=(Advance(watcher, stopped, (a_point(watcher, 1.0),), (an_action(watcher),)),)))
    state.commit(Batch(actions=(ActionChange(ActionId(1), NOW, outcome=Outcome(OutcomeKind.SUCCEEDED)),)))
    purge(state, events=50, metrics=50)
    kept = {
        table: rows(state, table) for table in ("job_watchers", "checkpoints", "watcher_variables", "pending_actions")
    }
    assert set(kept.values()) == {0}, kept
    assert [point.value for point in state.metrics(KEY)] == [1.0]
    purge(state)
    assert state.metrics(KEY) == ()


def test_a_watcher_with_an_action_to_do_stays(state: StateWriter) -> None:
    (watcher,) = state.commit(Batch(create=(a_watcher(),))).created
    stopped = replace(watcher, phase=WatcherState.STOPPED)
    state.commit(Batch(advances=(Advance(watcher, stopped, pending=(an_action(watcher),)),)))
    purge(state)
    assert len(state.pending()) == 1
    state.commit(Batch(actions=(ActionChange(state.pending()[0].id, NOW, outcome=Outcome(OutcomeKind.FAILED)),)))
    purge(state)
    assert state.watchers() == ()


def test_actions_that_are_done_go_with_the_events_of_their_age(state: StateWriter) -> None:
    (watcher,) = state.commit(Batch(create=(a_watcher(),))).created
    pending = (an_action(watcher, 1), an_action(watcher, 2), an_action(watcher, 3))
    first, second, _ = state.commit(Batch(advances=(Advance(watcher, watcher, pending=pending),))).pending
    for action, at in ((first, NOW), (second, LATER - DAY)):
        begun = ActionChange(action.id, at, started=True)
        state.commit(Batch(actions=(begun, ActionChange(action.id, at, outcome=Outcome(OutcomeKind.SUCCEEDED)))))
    purge(state)
    assert [row["trigger_group"] for row in columns(state, "SELECT trigger_group FROM pending_actions")] == [2, 3]
    assert state.recent_starts(watcher.id, 0) == (LATER - DAY,)


def test_a_job_goes_once_nothing_watches_it(state: StateWriter) -> None:
    state.commit(Batch(create=(a_watcher(),), jobs=(a_job(), a_job("9", state=JobState.COMPLETED))))
    purge(state)
    assert [known.now.id for known in state.jobs()] == [KEY.id]
    (watcher,) = state.watchers()
    state.commit(Batch(advances=(Advance(watcher, replace(watcher, phase=WatcherState.COMPLETED)),)))
    purge(state)
    assert state.jobs() == ()


def test_done_requests_and_the_cache_of_parsed_files_do_not_grow_for_ever(state: StateWriter) -> None:
    done, kept = (add_request(state.path, "trigger", "ada", {}, now=NOW) for _ in range(2))
    state.commit(Batch(requests_done=(done,), parsed={"k": "{}"}))
    purge(state)
    assert [request.id for request in state.requests()] == [kept]
    assert rows(state, "requests") == 1
    assert state.parsed(["k"]) == {}


def test_no_more_parsed_files_are_kept_than_the_newest(
    state: StateWriter, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_PARSED", 3)
    for number in range(5):
        state.commit(Batch(parsed={str(number): "{}"}))
        clock.at += 1
    assert purge(state, watchers=365) == 2
    assert set(state.parsed([str(number) for number in range(5)])) == {"2", "3", "4"}
    assert purge(state, watchers=365) == 0


def test_one_call_is_bounded(state: StateWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 10)
    state.commit(Batch(events=(an_event(),) * 35))
    ages = {"events": DAY, "metrics": DAY, "watchers": DAY}
    assert [state.purge(LATER, **ages) for _ in range(5)] == [10, 10, 10, 4, 0]
