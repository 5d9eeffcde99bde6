"""Pages of watchers and counts: what the API shows to people who have thousands of them."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

import orjson
import pytest
from parts.state_values import BODY, KEY, NOW, ORIGIN, a_watcher, an_event

from reconciler.events import EventType
from reconciler.model import HostName, JobId, JobKey, StoredSpec, WatcherId, WatcherName, WatcherState
from reconciler.protocols import Advance, Batch, EventFilter, WatcherFilter
from reconciler.protocols.questions import OUTLINED
from reconciler.state.write import StateWriter

OTHER = JobKey(HostName("hpc2"), JobId("77"))


def a_spec(name: str, labels: str = "{}") -> StoredSpec:
    body = f'{{"labels":{labels},{BODY[1:]}'
    return StoredSpec(WatcherName(name), "d1", body, ORIGIN)


def names(state: StateWriter, /, **wanted: object) -> list[str]:
    return [str(watcher.name) for watcher in state.page(WatcherFilter(**wanted)).watchers]  # type: ignore[arg-type]


@pytest.fixture
def several(state: StateWriter) -> StateWriter:
    """Watchers a, b, c and a tombstone d."""
    state.commit(
        Batch(
            create=(
                a_watcher("a"),
                a_watcher("b", OTHER, phase=WatcherState.COMPLETED),
                a_watcher("c_1%", job_name="eval"),
                a_watcher("d", phase=WatcherState.STOPPED),
            ),
            put_specs=(a_spec("a", '{"team":"vision","a.b\\"]":"x"}'), a_spec("b", '{"team":"nlp"}'), a_spec("c_1%")),
        )
    )
    return state


def test_the_newest_come_first_and_tombstones_only_when_asked_for(several: StateWriter) -> None:
    assert names(several) == ["c_1%", "b", "a"]
    assert names(several, state="stopped") == ["d"]
    assert names(several, stopped=True) == ["d", "c_1%", "b", "a"]


def test_every_field_narrows(several: StateWriter) -> None:
    assert names(several, state="completed") == ["b"]
    assert names(several, hostname="hpc2") == ["b"]
    assert names(several, job_id=KEY.id) == ["c_1%", "a"]
    assert names(several, name="a") == ["a"]
    a, b = (several.watchers(name=name)[0].id for name in "ab")
    assert names(several, ids=[a, b, 2**80]) == ["b", "a"]
    assert names(several, ids=[a, b], hostname="hpc2") == ["b"]


def test_labels_are_those_of_the_spec_whatever_their_keys_hold(several: StateWriter) -> None:
    assert names(several, labels={"team": "vision"}) == ["a"]
    assert names(several, labels={"team": "vision", 'a.b"]': "x"}) == ["a"]
    assert names(several, labels={"team": "vision", "other": "x"}) == []
    assert names(several, labels={"team') OR 1=1 --": "x"}) == []


def test_a_search_is_text_and_no_pattern(several: StateWriter) -> None:
    assert names(several, search="C_1") == ["c_1%"]
    assert names(several, search="%") == ["c_1%"]
    assert names(several, search="eval") == ["c_1%"]
    assert names(several, search="77") == ["b"]
    assert names(several, search="a_b") == []


def test_pages_go_on_where_the_last_one_ended_and_tell_the_whole_number(several: StateWriter) -> None:
    first = several.page(WatcherFilter(limit=2))
    assert ([w.name for w in first.watchers], first.total) == (["c_1%", "b"], 3)
    second = several.page(WatcherFilter(limit=2, before_id=first.watchers[-1].id))
    assert ([w.name for w in second.watchers], second.total) == (["a"], 3)
    assert second.specs[WatcherName("a")].body.startswith('{"labels"')
    assert several.page(WatcherFilter(before_id=2**80)).watchers == first.watchers + second.watchers


def test_an_outline_has_all_watchers_in_few_words_and_each_spec_once(several: StateWriter) -> None:
    outline = several.outline(10)
    rows = [dict(zip(OUTLINED, row, strict=True)) for row in orjson.loads(outline.rows)]
    assert ([row["name"] for row in rows], outline.total) == (["c_1%", "b", "a"], 3)
    assert (rows[1]["state"], rows[1]["hostname"], rows[1]["job_id"]) == ("completed", "hpc2", "77")
    assert sorted(outline.specs) == ["a", "b", "c_1%"]
    fewer = several.outline(1)
    assert (len(orjson.loads(fewer.rows)), fewer.count, fewer.total, list(fewer.specs)) == (1, 1, 3, ["c_1%"])


def test_times_of_an_outline_are_texts_in_utc(state: StateWriter) -> None:
    state.commit(
        Batch(
            create=(
                replace(a_watcher("w"), last_check=NOW, last_trigger=None, job_name='odd \udc80"\\\x00\x1b\u2028é'),
            )
        )
    )
    row = dict(zip(OUTLINED, orjson.loads(state.outline(1).rows)[0], strict=True))
    assert datetime.fromisoformat(str(row["last_check"])).timestamp() == pytest.approx(NOW)
    assert row["last_trigger"] is None
    assert row["job_name"] == state.page(WatcherFilter()).watchers[0].job_name


def test_a_page_of_very_many_costs_what_a_page_costs(state: StateWriter) -> None:
    state.commit(Batch(create=tuple(a_watcher(f"w{n}", KEY._replace(id=JobId(str(n)))) for n in range(10_000))))
    best = 1.0
    for _ in range(5):
        began = time.process_time()
        assert len(state.page(WatcherFilter(limit=100, before_id=5000)).watchers) == 100
        best = min(best, time.process_time() - began)
    assert best < 0.05


def test_statistics_count_states_and_actions_by_outcome(several: StateWriter) -> None:
    action = replace(
        an_event(kind=EventType.ACTION_SUCCEEDED), watcher_id=WatcherId(1), watcher="a", action_type="log_event"
    )
    failed = replace(action, type=EventType.ACTION_FAILED, at=NOW - 7200)
    told = replace(action, type=EventType.WATCHER_TRIGGERED)
    several.commit(Batch(events=(action, action, failed, told)))
    found = several.statistics(NOW - 3600)
    assert found.watchers == {"active": 2, "completed": 1}
    assert found.actions == {("log_event", "succeeded"): 2, ("log_event", "failed"): 1}
    assert (found.recent, found.pending) == (2, 0)
    assert found.busiest == ((1, action.job_id, "a", 3),)


def test_statistics_follow_a_watcher_that_changed(several: StateWriter) -> None:
    before = several.watcher(1)
    assert before is not None
    several.commit(Batch(advances=(Advance(before, replace(before, phase=WatcherState.DISABLED)),)))
    assert several.statistics(0.0).watchers == {"active": 1, "completed": 1, "disabled": 1}


def test_events_before_a_seq_are_the_older_page(state: StateWriter) -> None:
    state.commit(Batch(events=tuple(an_event() for _ in range(5))))
    older = state.events(EventFilter(before_seq=4, newest=True, limit=2))
    assert [event.seq for event in older] == [2, 3]
    assert state.events(EventFilter(before_seq=2**80)) == ()


def test_statistics_since_a_seq_add_up_to_those_of_everything(several: StateWriter) -> None:
    action = replace(an_event(kind=EventType.ACTION_FAILED), watcher_id=WatcherId(1), action_type="notify")
    several.commit(Batch(events=(action, action)))
    first = several.statistics(0.0)
    several.commit(Batch(events=(action, replace(action, watcher_id=WatcherId(2)))))
    later = several.statistics(0.0, after_seq=first.seq)
    assert (first.seq, later.seq) == (2, 4)
    assert later.actions == {("notify", "failed"): 2}
    assert sorted((watcher, times) for watcher, _, _, times in later.busiest) == [(1, 1), (2, 1)]
    assert len(several.statistics(0.0, most=1).busiest) == 1
    assert several.statistics(0.0, after_seq=2**80).actions == {}
