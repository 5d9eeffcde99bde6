"""What is written in one transaction, and what the state fills in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.events import Event
from reconciler.model import (
    ActionId,
    Job,
    JobKey,
    MetricPoint,
    Outcome,
    PendingAction,
    StoredSpec,
    Watcher,
    WatcherId,
    WatcherName,
)


@dataclass(frozen=True, slots=True)
class Advance:
    """What changes for one watcher, and what came of it: written in one transaction, differences only."""

    before: Watcher
    after: Watcher
    metrics: tuple[MetricPoint, ...] = ()
    pending: tuple[PendingAction, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class ActionChange:
    """A step in the ledger: begun (`outcome` None), or ended with an outcome, or put off until `not_before`.

    `counted`: a start that the limit of actions a minute counts. `progress`: None leaves what there is.
    """

    id: ActionId
    at: float
    started: bool = False
    outcome: Outcome | None = None
    not_before: float | None = None
    attempts: int | None = None
    counted: bool = True
    progress: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction. Everything in it is written, or nothing is."""

    create: tuple[Watcher, ...] = ()  # with id 0
    create_events: tuple[Event, ...] = ()  # one for each of `create`; the state fills in its watcher_id
    advances: tuple[Advance, ...] = ()
    actions: tuple[ActionChange, ...] = ()
    put_specs: tuple[StoredSpec, ...] = ()
    moved: tuple[StoredSpec, ...] = ()  # they stand elsewhere now, and are the same: their watchers are told
    drop_specs: tuple[WatcherName, ...] = ()
    jobs: tuple[Job, ...] = ()  # seen now: inserted, or updated but for what binding was decided on
    anew: frozenset[JobKey] = frozenset()  # those of `jobs` that are others than had their ids before
    finished: tuple[JobKey, ...] = ()  # their streams were read to their end and their watchers completed
    checked: Mapping[WatcherId, float] = field(default_factory=dict)  # last_check, in batches
    requests_done: tuple[int, ...] = ()
    events: tuple[Event, ...] = ()
    #: Small named facts that must survive: the last listing of a host, ...
    facts: Mapping[str, str] = field(default_factory=dict)
    #: The cache of parsed files: key (digest and schema version) -> JSON.
    parsed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Committed:
    """What the state filled in: ids of created watchers and actions (in the order given), events with their seq."""

    created: tuple[Watcher, ...] = ()
    pending: tuple[PendingAction, ...] = ()
    events: tuple[Event, ...] = ()
