"""Every question, and that its answer comes by an index."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parts.state_values import (
    KEY,
    NOW,
    a_job,
    a_point,
    a_watcher,
    an_action,
    an_event,
    opened,
)

from reconciler.events import Event, EventType
from reconciler.model import (
    Hold,
    HoldKind,
    HostName,
    JobId,
    JobKey,
    Match,
    Memory,
    Position,
    StreamName,
    WatcherId,
    WatcherState,
)
from reconciler.protocols import Advance, Batch, EventFilter
from reconciler.protocols.questions import MetricTotals
from reconciler.state.read import StateReader
from reconciler.state.write import StateWriter

OTHER = JobKey(HostName("hpc2"), KEY.id)
HOLD = Hold(HoldKind.SELF, "pause_watcher")


def test_watchers_are_found_by_job_name_and_life(state: StateWriter) -> None:
    made = state.commit(
        Batch(
            create=(
                a_watcher("a"),
                a_watcher("b", holds=(HOLD,)),
                a_watcher("a", OTHER),
                a_watcher("c", phase=WatcherState.COMPLETED),
                a_watcher("d", phase=WatcherState.TRIGGERED),
                a_watcher("e", phase=WatcherState.STATIC),
                a_watcher("f", phase=WatcherState.STOPPED),
                a_watcher("g", phase=WatcherState.DISABLED),
            )
        )
    ).created

    def names(found: tuple[object, ...]) -> str:
        return "".join(each.name for each in found)  # type: ignore[attr-defined]

    assert state.watchers() == made
    assert names(state.watchers(live=True)) == "abadg"
    assert names(state.watchers(job=KEY)) == "abcdefg"
    assert names(state.watchers(live=True, job=OTHER)) == "a"
    assert [each.job for each in state.watchers(name="a")] == [KEY, OTHER]
    assert state.watchers(name="a", job=OTHER) == (made[2],)
    assert state.watchers(name="nobody") == ()


@pytest.mark.parametrize("number", [0, -1, 4711, 2**63 - 1, 2**63, 2**200, -(2**200)])
def test_an_id_that_is_not_there_or_cannot_be_is_nothing(state: StateWriter, number: int) -> None:
    assert state.watcher(number) is None
    assert state.events(EventFilter(watcher_id=number)) == ()


def test_details_stay_with_their_watcher(state: StateWriter) -> None:
    made = tuple(
        a_watcher(f"w{n}", variables={"n": str(n)}, checkpoints={StreamName.STDERR: Position(offset=n)})
        for n in range(5)
    )
    created = state.commit(Batch(create=made)).created
    assert [each.variables["n"] for each in state.watchers()] == list("01234")
    assert state.watcher(created[3].id) == created[3]


def test_metrics_come_by_time_of_one_job(state: StateWriter) -> None:
    one, two = state.commit(Batch(create=(a_watcher(), a_watcher("w", OTHER)))).created
    points = (a_point(one, 3.0, NOW + 3), a_point(one, 1.0, NOW + 1), a_point(one, 2.0, NOW + 2, "accuracy"))
    state.commit(Batch(advances=(Advance(one, one, points), Advance(two, two, (a_point(two, 9.0),)))))
    assert [point.value for point in state.metrics(KEY)] == [1.0, 2.0, 3.0]
    assert [point.value for point in state.metrics(KEY, "loss")] == [1.0, 3.0]
    assert state.metrics(JobKey(HostName("nowhere"), JobId("1"))) == ()
    assert [point.value for point in state.metrics(KEY, since=NOW + 2)] == [2.0, 3.0]
    assert [point.value for point in state.metrics(KEY, newest=2)] == [2.0, 3.0]
    assert [point.value for point in state.metrics(KEY, "loss", newest=1)] == [3.0]
    assert state.metric_totals(KEY) == (
        MetricTotals("accuracy", 1, 2.0, 2.0, 2.0, NOW + 2),
        MetricTotals("loss", 2, 1.0, 3.0, 3.0, NOW + 3),
    )
    assert [each.count for each in state.metric_totals(OTHER, "loss")] == [1]
    assert state.metric_totals(KEY, "nothing") == ()
    assert state.measured() == {KEY: ("accuracy", "loss"), OTHER: ("loss",)}
    assert state.measured(most=2) == {KEY: ("accuracy", "loss")}


def test_thousands_of_parsed_files_are_asked_for_at_once(state: StateWriter) -> None:
    keys = [f"key{n}" for n in range(40_000)]
    state.commit(Batch(parsed={keys[0]: "{}", keys[-1]: "[]"}))
    assert state.parsed(keys) == {keys[0]: "{}", keys[-1]: "[]"}
    assert state.parsed([]) == {}


@pytest.mark.parametrize(
    "batch",
    [
        Batch(create=(a_watcher(),)),
        Batch(events=(an_event(),)),
        Batch(jobs=(a_job(),)),
    ],
    ids=["a watcher", "an event", "a job"],
)
def test_a_state_in_which_anything_was_recorded_is_not_empty(state: StateWriter, batch: Batch) -> None:
    assert state.empty()
    state.commit(batch)
    assert not state.empty()


def test_a_state_that_only_knows_facts_is_a_first_run_still(state: StateWriter) -> None:
    state.commit(Batch(facts={"listed:hpc1": "1.0"}))
    assert state.empty()


def test_what_retention_took_was_recorded_once(state: StateWriter) -> None:
    state.commit(Batch(create=(a_watcher(phase=WatcherState.STOPPED),)))
    assert state.purge(NOW + 1000, events=1, metrics=1, watchers=1) == 1
    assert state.watchers() == ()
    assert not state.empty()


# --- events ----------------------------------------------------------------------------------------------------------

KINDS = (EventType.WATCHER_TRIGGERED, EventType.ACTION_FAILED, EventType.ACTION_SUCCEEDED)
few_events = st.builds(
    an_event,
    at=st.sampled_from([NOW - 2, NOW - 1, NOW, NOW + 1]),
    kind=st.sampled_from(KINDS),
    watcher=st.sampled_from("ab"),
    watcher_id=st.sampled_from([None, 1, 2]),
    job_id=st.sampled_from(["1", "2"]),
    hostname=st.sampled_from(["hpc1", "hpc2"]),
)
filters = st.builds(
    EventFilter,
    after_seq=st.sampled_from([0, 0, 5, 20, 2**63, 2**70]),
    watcher_id=st.sampled_from([None, None, 1]),
    watcher=st.sampled_from([None, None, "a"]),
    job_id=st.sampled_from([None, None, "1"]),
    hostname=st.sampled_from([None, None, "hpc1"]),
    types=st.sampled_from([(), (), KINDS[:1], KINDS[1:], ("no.such.type",), KINDS[:1] * 2]),
    since=st.sampled_from([None, None, NOW - 1, NOW, NOW + 9]),
    newest=st.booleans(),
    limit=st.sampled_from([0, 1, 3, 1000]),
)


def passes(event: Event, wanted: EventFilter) -> bool:
    fields = ("watcher_id", "watcher", "job_id", "hostname")
    return (
        event.seq > wanted.after_seq
        and all(getattr(wanted, each) in (None, getattr(event, each)) for each in fields)
        and (not wanted.types or event.type in wanted.types)
        and (wanted.since is None or event.at >= wanted.since)
    )


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateWriter]:
    writer = opened(tmp_path_factory.mktemp("state") / "state.db")
    yield writer
    writer.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(more=st.lists(few_events, max_size=3), wanted=filters)
def test_a_filter_gives_what_going_through_all_events_gives(
    history: StateWriter, more: list[Event], wanted: EventFilter
) -> None:
    history.commit(Batch(events=tuple(more)))
    passing = [event for event in history.events(EventFilter(limit=10**6)) if passes(event, wanted)]
    limited = passing[-wanted.limit :] if wanted.newest else passing[: wanted.limit]
    assert list(history.events(wanted)) == (limited if wanted.limit else [])


def test_ranges_of_metrics_leave_out_what_is_no_number(state: StateWriter) -> None:
    (one,) = state.commit(Batch(create=(a_watcher(),))).created
    values = (math.inf, 1.0, -math.inf, 2.0, math.nan)
    points = tuple(a_point(one, value, NOW + at) for at, value in enumerate(values))
    state.commit(Batch(advances=(Advance(one, one, points),)))
    assert state.metric_totals(KEY) == (MetricTotals("loss", 5, 1.0, 2.0, None, NOW + 4),)


ASKED: dict[str, Callable[[StateReader], object]] = {
    "live watchers": lambda state: state.watchers(live=True),
    "watchers of a job": lambda state: state.watchers(job=KEY),
    "watchers by name": lambda state: state.watchers(name="w"),
    "a watcher": lambda state: state.watcher(1),
    "unfinished jobs": lambda state: state.jobs(unfinished=True),
    "pending": lambda state: state.pending(),
    "outcomes": lambda state: state.group_outcomes(WatcherId(1), 1),
    "starts": lambda state: state.recent_starts(WatcherId(1), 0.0),
    "metrics": lambda state: state.metrics(KEY, "loss"),
    "measured": lambda state: state.measured(),
    "newest metrics": lambda state: state.metrics(KEY, "loss", since=NOW, newest=5),
    "metric totals": lambda state: state.metric_totals(KEY),
    "requests": lambda state: state.requests(),
    "parsed": lambda state: state.parsed(["a", "b"]),
    "events after": lambda state: state.events(EventFilter(after_seq=5)),
    "newest events": lambda state: state.events(EventFilter(newest=True, limit=20)),
    "events since": lambda state: state.events(EventFilter(since=NOW)),
    "events since, newest": lambda state: state.events(EventFilter(since=NOW, newest=True)),
    "events of a watcher": lambda state: state.events(EventFilter(watcher_id=1, newest=True)),
    "events by name": lambda state: state.events(EventFilter(watcher="w")),
    "events of a job": lambda state: state.events(EventFilter(job_id="1", hostname="hpc1")),
    "events of types": lambda state: state.events(EventFilter(types=("a", "b"), newest=True)),
}


@pytest.mark.parametrize("question", ASKED)
def test_no_question_goes_through_a_whole_table_or_sorts_one(state: StateWriter, question: str) -> None:
    (watcher,) = state.commit(Batch(create=(a_watcher(),), events=(an_event(),) * 9, jobs=(a_job(),))).created
    state.commit(Batch(advances=(Advance(watcher, watcher, (a_point(watcher, 1.0),), (an_action(watcher),)),)))
    statements: list[str] = []
    raw = state._connection.connection.driver_connection
    assert raw
    raw.set_trace_callback(statements.append)
    ASKED[question](state)
    raw.set_trace_callback(None)
    asked = [
        statement for statement in statements if statement.startswith("SELECT") and "sqlite_sequence" not in statement
    ]
    assert asked
    for statement in asked:
        steps = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}")]
        # `SCAN t USING INDEX` of a partial index reads what is open alone; an events page is bounded by its limit.
        bad = [step for step in steps if step.startswith("SCAN") and "INDEX" not in step and "anon" not in step]
        assert bad == [], (statement, steps)


def test_paging_through_a_long_history_costs_the_same_at_its_end(state: StateWriter) -> None:
    for _ in range(20):
        state.commit(Batch(events=tuple(an_event(NOW + n) for n in range(5000))))

    def cost(wanted: EventFilter) -> float:
        taken = []
        for _ in range(5):
            begun = time.thread_time()
            assert state.events(wanted)
            taken.append(time.thread_time() - begun)
        return min(taken)

    page = cost(EventFilter(after_seq=0, limit=50))
    for wanted in (
        EventFilter(after_seq=99_000, limit=50),
        EventFilter(newest=True, limit=50),
        EventFilter(after_seq=50_000, since=NOW, limit=50),
        EventFilter(types=(KINDS[0],), newest=True, limit=50),
        EventFilter(watcher="w", after_seq=90_000, limit=50),
    ):
        assert cost(wanted) < 30 * page + 0.02, wanted  # processor time; a scan of the table takes far longer


def test_a_thousand_watchers_are_read_within_a_blink(state: StateWriter) -> None:
    match = Match("loss: 5", 12, 340, groups=("5",), captures={"loss": "5"})
    memory = Memory(grown_at=NOW, newest=match)
    position = Position(1, 2, 3, 4, head=b"h" * 64, tail=b"t" * 64)
    made = a_watcher(memory=memory, checkpoints={StreamName.STDOUT: position}, variables={"loss": "5", "1": "5"})
    state.commit(Batch(create=tuple(replace(made, created_at=NOW + n) for n in range(1000))))
    taken = []
    for _ in range(5):
        begun = time.thread_time()
        assert len(state.watchers(live=True)) == 1000
        taken.append(time.thread_time() - begun)
    assert min(taken) < 0.15  # 25 ms on a machine of its own
