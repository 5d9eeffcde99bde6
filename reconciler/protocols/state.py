"""The state: questions, the one writer, and the thread both run in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from reconciler.events import Event
from reconciler.model import (
    JobKey,
    MetricPoint,
    PendingAction,
    Request,
    StoredSpec,
    Watcher,
    WatcherId,
    WatcherState,
)
from reconciler.protocols.batches import Batch, Committed
from reconciler.protocols.questions import (
    EventFilter,
    KnownJob,
    MetricTotals,
    Outline,
    Statistics,
    WatcherFilter,
    WatcherPage,
)

T = TypeVar("T")


class StateReading(Protocol):
    """Questions to the state. Synchronous; every answer is consistent in itself."""

    def identity(self) -> str:
        """Return the state's own random id (hex), made when it was created."""
        ...

    def empty(self) -> bool:
        """Tell whether nothing was ever recorded here (a first run)."""
        ...

    def specs(self) -> tuple[StoredSpec, ...]:
        """Return the specs in force as they were last applied, by name."""
        ...

    def watchers(
        self, *, live: bool = False, job: JobKey | None = None, name: str | None = None
    ) -> tuple[Watcher, ...]:
        """Return watchers with checkpoints, memory and variables, by id; `live`: those that have an engine task's
        work."""
        ...

    def watcher(self, watcher_id: int) -> Watcher | None:
        """Return one watcher; None where there is none of this id."""
        ...

    def states(self, ids: Collection[int]) -> Mapping[int, WatcherState]:
        """Return what state each of these watchers is in; those that are no more are left out."""
        ...

    def page(self, wanted: WatcherFilter) -> WatcherPage:
        """Return one page of watchers, at a cost that does not grow with the number of those on other pages."""
        ...

    def outline(self, most: int) -> Outline:
        """Return the newest `most` watchers in few words, at a fraction of what pages of them cost."""
        ...

    def statistics(self, since: float, *, after_seq: int = 0, most: int = 10, span: int | None = None) -> Statistics:
        """Return counts for people, the recent ones since `since` (seconds since the epoch).

        `after_seq`: actions and busiest watchers by later events alone, so that who asks again and again can add them
        up. `span`: no more than so many of these, so that nobody waits long; `seq` says how far it came. `most`: how
        many of the busiest.
        """
        ...

    def jobs(self, *, unfinished: bool = False) -> tuple[KnownJob, ...]:
        """Return the jobs that were seen; `unfinished`: those whose output is not read to its end."""
        ...

    def pending(self) -> tuple[PendingAction, ...]:
        """Return actions without an outcome, in the order they are to run: by watcher, group, index."""
        ...

    def group_outcomes(self, watcher_id: WatcherId, group: int) -> Mapping[int, str]:
        """Return index -> outcome kind of one trigger's actions that have one (for `needs` and `on_failure`)."""
        ...

    def recent_starts(self, watcher_id: WatcherId, since: float) -> tuple[float, ...]:
        """Return when actions of this watcher were begun after `since`, every attempt; state-only ones never are."""
        ...

    def events(self, wanted: EventFilter) -> tuple[Event, ...]:
        """Return events in ascending order of seq."""
        ...

    def last_seq(self) -> int:
        """Return the seq of the newest event, 0 where there is none."""
        ...

    def metrics(
        self, job: JobKey, name: str | None = None, *, since: float = 0.0, newest: int | None = None
    ) -> tuple[MetricPoint, ...]:
        """Return the points of a job's metrics by time: those at `since` and later, of them the `newest` so many."""
        ...

    def metric_totals(self, job: JobKey, name: str | None = None) -> tuple[MetricTotals, ...]:
        """Return what is stored of each of a job's metrics, or of one of them, by name."""
        ...

    def measured(self, most: int = 10_000) -> Mapping[JobKey, tuple[str, ...]]:
        """Return the names of the metrics of every job that has some, at a cost that does not grow with the points."""
        ...

    def requests(self) -> tuple[Request, ...]:
        """Return what people asked for and nobody has carried out, oldest first."""
        ...

    def fact(self, name: str) -> str | None:
        """Return a named fact."""
        ...

    def parsed(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Return what the cache of parsed files holds under these keys, in one query."""
        ...


class StateWriting(StateReading, Protocol):
    """The one writer. Every write checks the lease's fencing number and raises LeaseLostError where it was taken
    over."""

    def commit(self, batch: Batch) -> Committed:
        """Write the batch in one transaction. Raises StateError (disk full, locked): then nothing was written."""
        ...

    def renew(self, now: float) -> None:
        """Keep the lease for another term."""
        ...

    def release(self) -> None:
        """Give the lease up."""
        ...

    def purge(self, now: float, *, events: float, metrics: float, watchers: float) -> int:
        """Delete some thousand rows older than these ages (seconds); return how many: call again until it is 0."""
        ...


class State(Protocol):
    """The state as the engine uses it: work runs in the state's own thread, one piece after the other."""

    async def run(self, work: Callable[[StateWriting], T]) -> T:
        """Return `work(state)`."""
        ...
