"""Values for the tests of the state: short ways to make them, and hypothesis strategies that make any."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from reconciler.events import Event, EventType
from reconciler.model import (
    ActionId,
    ActionStatus,
    Hold,
    HoldKind,
    HostName,
    Job,
    JobId,
    JobKey,
    JobState,
    Match,
    Memory,
    MetricPoint,
    Origin,
    PendingAction,
    Position,
    StoredSpec,
    StreamName,
    Trigger,
    TriggerKind,
    Watcher,
    WatcherId,
    WatcherName,
    WatcherState,
)
from reconciler.settings import StateSettings
from reconciler.state import open_state
from reconciler.state.write import StateWriter

NOW = 1_800_000_000.25
ORIGIN = Origin("directory:/w", "a.yaml", 3, "c0ffee", "site")
KEY = JobKey(HostName("hpc1"), JobId("123_4"))
BODY = (
    '{"actions":[{"type":"cancel_job"}],"captures":["loss"],"condition":"float(loss) > 5",'
    '"name":"w","pattern":"loss: (.+)"}'
)


@dataclass
class SteppedClock:
    """protocols.Clock that stands still until a test sets it."""

    at: float = NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


def opened(path: Path, clock: SteppedClock | None = None, **settings: Any) -> StateWriter:
    """Open the state at `path` for writing."""
    return open_state(path, StateSettings(**settings), clock=clock or SteppedClock())


def a_watcher(name: str = "w", key: JobKey = KEY, **fields: Any) -> Watcher:
    """Return a watcher that is not in the state yet."""
    whole: dict[str, Any] = {"job_name": "train", "spec_digest": "d1", "origin": ORIGIN, "created_at": NOW, **fields}
    return Watcher(id=WatcherId(0), name=WatcherName(name), job=key, **whole)


def a_spec(name: str = "w", body: str = BODY, digest: str = "d1") -> StoredSpec:
    """Return a spec as the state keeps it."""
    return StoredSpec(WatcherName(name), digest, body, ORIGIN)


def an_event(at: float = NOW, kind: EventType = EventType.WATCHER_TRIGGERED, **fields: Any) -> Event:
    """Return an event that was not committed yet."""
    return Event(
        kind, at, **{"subject": "w/123_4@hpc1", "watcher": "w", "job_id": KEY.id, "hostname": KEY.host, **fields}
    )


def a_job(job_id: str = "123_4", host: str = "hpc1", **fields: Any) -> Job:
    """Return a running job."""
    whole: dict[str, Any] = {"name": "train", "user": "ada", "state": JobState.RUNNING, "submitted": NOW - 60, **fields}
    return Job(HostName(host), JobId(job_id), **whole)


def an_action(watcher: Watcher, group: int = 1, index: int = 0, **fields: Any) -> PendingAction:
    """Return an action that is not in the ledger yet."""
    trigger = Trigger(TriggerKind.MATCH, NOW, {"loss": "5.7"}, Match("loss: 5.7", 7, 120, captures={"loss": "5.7"}))
    whole: dict[str, Any] = {"type": "cancel_job", "params": {"reason": "$loss"}, "trigger": trigger, **fields}
    return PendingAction(watcher.id, group, index, **whole)


def a_point(watcher: Watcher, value: float, at: float = NOW, name: str = "loss") -> MetricPoint:
    """Return a point of a metric."""
    return MetricPoint(watcher.id, watcher.job, name, value, at)


# --- any value -------------------------------------------------------------------------------------------------------

numbers = st.integers(0, 2**63 - 1)
file_numbers = st.integers(0, 2**64 - 1)
times = st.floats(0, 250_000_000_000) | st.floats(1.7e9, 1.9e9)
words = st.text(max_size=20)
paths = st.binary(max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
values = st.dictionaries(words, st.none() | words, max_size=4)
streams = st.sampled_from(StreamName)

origins = st.builds(Origin, words, words, st.integers(0, 10**6), words, words)
holds = st.builds(Hold, st.sampled_from(HoldKind), words, words, times, st.none() | times)
matches = st.builds(
    Match,
    words,
    numbers,
    numbers,
    streams,
    st.lists(st.none() | words, max_size=3).map(tuple),
    values,
    st.integers(0, 99),
)
memories = st.builds(
    Memory,
    seen=st.dictionaries(st.integers(0, 99), times, max_size=3),
    cooldown_until=st.none() | times,
    grown_at=st.none() | times,
    silence_fired=st.booleans(),
    time_left_fired=st.booleans(),
    job_end_fired=st.booleans(),
    timer_due=st.none() | times,
    newest=st.none() | matches,
    condition_failures=st.integers(0, 10**6),
)
positions = st.builds(
    Position,
    file_numbers,
    file_numbers,
    numbers,
    numbers,
    st.booleans(),
    st.booleans(),
    st.binary(max_size=64),
    st.binary(max_size=64),
    st.lists(words, max_size=3).map(tuple),
)
keys = st.builds(JobKey, st.sampled_from(["hpc1", "hpc2"]), st.from_regex(r"[0-9]{1,6}(_[0-9]{1,3})?", fullmatch=True))
watchers = st.builds(
    Watcher,
    id=st.just(WatcherId(0)),
    name=words,
    job=keys,
    job_name=words,
    spec_digest=words,
    origin=origins,
    phase=st.sampled_from(WatcherState),
    holds=st.lists(holds, max_size=3).map(tuple),
    trigger_count=numbers,
    failures=numbers,
    timer_active=st.booleans(),
    created_at=times,
    last_check=st.none() | times,
    last_trigger=st.none() | times,
    last_error=words,
    job_submitted=st.none() | times,
    memory=memories,
    checkpoints=st.dictionaries(streams, positions),
    variables=values,
)
jobs = st.builds(
    Job,
    host=st.sampled_from(["hpc1", "hpc2"]),
    id=st.from_regex(r"[0-9]{1,4}", fullmatch=True),
    name=paths,
    user=words,
    state=st.sampled_from(JobState),
    raw_state=words,
    stdout=st.none() | paths,
    stderr=st.none() | paths,
    workdir=st.none() | paths,
    submitted=st.none() | times,
    started=st.none() | times,
    ended=st.none() | times,
    time_limit=st.none() | times,
    comment=words,
    command=paths,
    exit_code=st.none() | st.integers(-255, 255),
    restarts=st.integers(0, 9),
)
triggers = st.builds(Trigger, st.sampled_from(TriggerKind), times, values, st.none() | matches)
_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words
)
json_objects = st.dictionaries(
    words,
    st.recursive(_leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)),
    max_size=3,
)
events = st.builds(
    Event,
    type=st.sampled_from(EventType),
    at=times,
    subject=words,
    watcher_id=st.none() | numbers,
    watcher=words,
    job_id=words,
    hostname=words,
    matched_text=st.none() | words,
    captured_vars=values,
    action_type=words,
    action_result=words,
    success=st.booleans(),
    data=json_objects,
)

_groups = itertools.count(1)


def actions_of(watcher_id: WatcherId) -> st.SearchStrategy[PendingAction]:
    """Return a strategy of actions, each of a trigger of its own."""
    return st.builds(
        PendingAction,
        watcher_id=st.just(watcher_id),
        group=st.builds(lambda: next(_groups)),
        index=st.integers(0, 49),
        type=words,
        params=json_objects,
        trigger=triggers,
        id=st.just(ActionId(0)),
        status=st.sampled_from([ActionStatus.PENDING, ActionStatus.STARTED]),
        attempts=st.integers(0, 99),
        not_before=st.none() | times,
        progress=st.none() | json_objects,
    )


def columns(state: StateWriter, query: str, *parameters: Any) -> list[Mapping[str, Any]]:
    """Return rows as a person with sqlite3 sees them."""
    with closing(sqlite3.connect(f"{state.path.as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query, parameters)]
