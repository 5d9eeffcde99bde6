"""What goes into the state comes out equal, whatever it is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parts.state_values import (
    a_point,
    a_spec,
    a_watcher,
    actions_of,
    events,
    jobs,
    json_objects,
    opened,
    origins,
    times,
    watchers,
    words,
)

from reconciler.events import Event
from reconciler.model import ActionId, Job, Origin, StoredSpec, Watcher, WatcherName
from reconciler.protocols import Advance, Batch, EventFilter
from reconciler.state import open_readonly
from reconciler.state.requests import add_request
from reconciler.state.write import StateWriter

bounded = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateWriter]:
    writer = opened(tmp_path_factory.mktemp("state") / "state.db")
    yield writer
    writer.close()


def test_the_strategy_makes_every_field_of_a_watcher() -> None:
    made = {field.name for field in dataclasses.fields(Watcher)}
    assert made == set(watchers.wrapped_strategy.kwargs)  # type: ignore[attr-defined]


@bounded
@given(watcher=watchers)
def test_a_watcher_comes_back_equal(shared: StateWriter, watcher: Watcher) -> None:
    (created,) = shared.commit(Batch(create=(watcher,))).created
    assert created == replace(watcher, id=created.id)
    assert shared.watcher(created.id) == created


@bounded
@given(first=watchers, then=watchers)
def test_a_change_of_anything_comes_back_equal(shared: StateWriter, first: Watcher, then: Watcher) -> None:
    (before,) = shared.commit(Batch(create=(first,))).created
    after = replace(then, id=before.id)
    shared.commit(Batch(advances=(Advance(before, after),)))
    assert shared.watcher(before.id) == after


@bounded
@given(given_events=st.lists(events, max_size=4))
def test_events_come_back_equal_and_numbered(shared: StateWriter, given_events: list[Event]) -> None:
    last = shared.last_seq()
    committed = shared.commit(Batch(events=tuple(given_events))).events
    assert committed == tuple(replace(event, seq=last + n) for n, event in enumerate(given_events, start=1))
    assert shared.events(EventFilter(after_seq=last)) == committed


@bounded
@given(data=st.data())
def test_actions_come_back_equal(shared: StateWriter, data: st.DataObject) -> None:
    (watcher,) = shared.commit(Batch(create=(a_watcher(),))).created
    pending = tuple(data.draw(st.lists(actions_of(watcher.id), max_size=3)))
    committed = shared.commit(Batch(advances=(Advance(watcher, watcher, pending=pending),))).pending
    assert [replace(action, id=ActionId(0)) for action in committed] == list(pending)
    assert [action for action in shared.pending() if action.watcher_id == watcher.id] == list(committed)


@bounded
@given(job=jobs)
def test_a_job_comes_back_equal_with_paths_that_are_not_utf_8(
    tmp_path_factory: pytest.TempPathFactory, job: Job
) -> None:
    state = opened(tmp_path_factory.mktemp("state") / "state.db")
    state.commit(Batch(jobs=(job,)))
    (known,) = state.jobs()
    state.close()
    assert known.first == known.now == job


@bounded
@given(body=words, origin=origins, missing=st.none() | times)
def test_a_spec_comes_back_equal(shared: StateWriter, body: str, origin: Origin, missing: float | None) -> None:
    spec = StoredSpec(WatcherName("any"), "digest", body, origin, missing)
    shared.commit(Batch(put_specs=(spec,)))
    assert [each for each in shared.specs() if each.name == "any"] == [spec]


@bounded
@given(facts=st.dictionaries(words, words, max_size=3), parsed=st.dictionaries(words, words, max_size=3))
def test_facts_and_parsed_files_come_back(shared: StateWriter, facts: dict[str, str], parsed: dict[str, str]) -> None:
    shared.commit(Batch(facts=facts, parsed=parsed))
    assert {name: shared.fact(name) for name in facts} == facts
    assert shared.parsed(list(parsed)) == parsed


@bounded
@given(body=json_objects, by=words)
def test_a_request_comes_back_equal(shared: StateWriter, body: dict[str, object], by: str) -> None:
    asked = add_request(shared.path, "trigger", by, body, now=7.5)
    found = {request.id: request for request in shared.requests()}[asked]
    assert (found.verb, found.by, found.at, found.body) == ("trigger", by, 7.5, body)


@pytest.mark.parametrize("value", [0.0, -1.5, 1e308, math.inf, -math.inf])
def test_a_point_comes_back_equal(state: StateWriter, value: float) -> None:
    (watcher,) = state.commit(Batch(create=(a_watcher(),))).created
    point = replace(a_point(watcher, value), step=12.0)
    state.commit(Batch(advances=(Advance(watcher, watcher, metrics=(point,)),)))
    assert state.metrics(watcher.job) == (point,)


def test_a_loss_that_is_not_a_number_stays_one(state: StateWriter) -> None:
    (watcher,) = state.commit(Batch(create=(a_watcher(),))).created
    state.commit(Batch(advances=(Advance(watcher, watcher, metrics=(a_point(watcher, math.nan),)),)))
    assert math.isnan(state.metrics(watcher.job)[0].value)


def test_another_reader_sees_the_same(state: StateWriter, path: Path) -> None:
    state.commit(Batch(put_specs=(a_spec(),), create=(a_watcher(variables={"a": None}),)))
    reader = open_readonly(path)
    assert (reader.watchers(), reader.specs(), reader.identity()) == (state.watchers(), state.specs(), state.identity())
    reader.close()
