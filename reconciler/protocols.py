"""Every seam of the house. A docstring here is the contract that the conformance suites in tests/ check.

The engine knows plugins and the state only by these; `app` gives it the real ones, tests give it real classes that
live in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from reconciler.errors import Problem
from reconciler.events import Event
from reconciler.model import (
    ActionId,
    FileStat,
    Hold,
    HostName,
    Job,
    JobId,
    JobKey,
    MetricPoint,
    Outcome,
    PendingAction,
    Request,
    StoredSpec,
    Trigger,
    Watcher,
    WatcherId,
    WatcherName,
)

T = TypeVar("T")


class Clock(Protocol):
    """Time, injected, so that tests step it."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock."""
        ...


# --- sources ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One accepted file: `content` are the very bytes that `digest` (hex BLAKE2b-160) was made of."""

    name: str
    path: str
    content: bytes
    digest: str
    layer: str = ""
    commit: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a source holds now.

    `deliberate`: an absence is a deletion that somebody committed; otherwise it is only a disappearance.
    `problems`: files passed over, with reasons (unreadable, not UTF-8, wrong kind), severity `warning` or `error`.
    `unreadable`: names of files that exist and could not be read: their last good version stays.
    `revision` names the content as a whole (commit, or digest over all files).
    """

    source: str
    files: tuple[SourceFile, ...]
    revision: str
    deliberate: bool = False
    problems: tuple[Problem, ...] = ()
    unreadable: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()  # paths that a commit deleted, where the rest is no commit's content


class Source(Protocol):
    """Where specs come from. `name` is stable over restarts: pruning stays within it."""

    name: str

    async def snapshot(self) -> Snapshot:
        """Return the present content; raise UnavailableError where it cannot be told (vanished, unreadable, in
        motion)."""
        ...

    async def changed(self) -> None:
        """Return when another look may be worth while (a hint; never returning is allowed)."""
        ...

    async def close(self) -> None:
        """Let go of watches and processes."""
        ...


# --- hosts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Want:
    """One stream that is due.

    `offset`: first byte wanted. `known`: the stat of the last look; where nothing changed since, nothing is read.
    `context`: bytes before `offset` to read along (for the fingerprint). `limit`: bytes from `offset` on, at most.
    """

    path: str
    offset: int = 0
    known: FileStat | None = None
    context: int = 0
    limit: int = 4 * 1024 * 1024


class Sight(StrEnum):
    """What a look saw of one file."""

    UNCHANGED = "unchanged"  # the stat equals `Want.known`
    MISSING = "missing"  # no such file now
    FAILED = "failed"  # it could not be told: permission, stale handle, not a regular file
    READ = "read"  # stat, head and data were taken from one open file


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The answer to one `Want`.

    `data` begins at `start` (= max(0, offset - context), or 0 where the file is shorter than that) and holds at most
    context + limit bytes; `head` are the first bytes of the file (up to HEAD_BYTES).
    """

    sight: Sight
    stat: FileStat | None = None
    start: int = 0
    data: bytes = b""
    head: bytes = b""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended: exit status (negative: the signal that ended it), output up to the limit asked for."""

    status: int
    stdout: bytes = b""
    stderr: bytes = b""
    cut: bool = False


class Transport(Protocol):
    """How a host is reached. Everything from outside travels as arguments or as data, never as shell text."""

    host: HostName

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 60.0,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        limit: int = 16 * 1024 * 1024,
    ) -> Completed:
        """Run one program with exactly these arguments and return when it has ended.

        `env` None: the transport's own environment; otherwise exactly this one. `limit`: bytes kept of each output.
        After `timeout` seconds its process group is killed and TimeoutError raised. Raises HostUnreachableError where
        the host cannot be reached; a program that is not there is status 127.
        """
        ...

    async def look(self, wants: Sequence[Want]) -> Sequence[Glimpse]:
        """Return one Glimpse for each Want, in order, in one round trip. Raises HostUnreachableError."""
        ...

    def watch(self, paths: Sequence[str], wake: Callable[[str], None]) -> None:
        """Call `wake(path)` soon after one of exactly these files grows, where the host can tell (a hint, may do
        nothing).

        Replaces the set of an earlier call.
        """
        ...

    async def close(self) -> None:
        """End the connection and what runs on it."""
        ...


@dataclass(frozen=True, slots=True)
class Submission:
    """What to submit: a script and its arguments, sbatch-style options merged over those of the script, and a
    comment."""

    script: bytes
    arguments: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    comment: str = ""
    held: bool = True


class Scheduler(Protocol):
    """Where jobs live. All methods raise UnavailableError where the scheduler (or its host) did not answer."""

    host: HostName

    async def jobs(self, since: float | None) -> tuple[Job, ...]:
        """Return every job of the configured users that is not ended, and those that ended after `since`, as far as
        is known.

        A constant number of calls to the scheduler, however many jobs there are.
        """
        ...

    async def lookup(self, ids: Sequence[JobId]) -> Mapping[JobId, Job]:
        """Return what is known of these jobs now, in few calls. An id left out is one the scheduler says it does not
        know."""
        ...

    async def cancel(self, job: Job, reason: str) -> str:
        """End the job; a job that has ended is success. Return what was done, for people."""
        ...

    async def signal(self, job: Job, signal: str) -> str:
        """Send a signal (`USR1`) to the job's processes."""
        ...

    async def requeue(self, job: Job) -> str:
        """Put the job back into the queue."""
        ...

    async def script(self, job: Job) -> bytes:
        """Return the job's batch script."""
        ...

    async def submit(self, submission: Submission) -> JobId:
        """Submit and return the new job's id."""
        ...

    async def release(self, job_id: JobId) -> None:
        """Let a held job run."""
        ...

    async def account(self) -> str:
        """Return the name of our own account on the host (what resubmit and run_command are measured against)."""
        ...


# --- actions ---------------------------------------------------------------------------------------------------------


class Limit(StrEnum):
    """How the limit of actions a minute meets an action."""

    NONE = "none"  # touches the state alone, not counted
    DROP = "drop"  # what is over the limit is dropped and reported as rate_limited
    DEFER = "defer"  # what is over the limit waits


class AfterCrash(StrEnum):
    """What happens to an action that was begun and has no outcome, after it was reported as interrupted."""

    RERUN = "rerun"  # doing it twice is doing it once (cancel_job)
    RERUN_MARKED = "rerun_marked"  # sent again, saying that it may be a repeat (notifications)
    LOOK_FIRST = "look_first"  # the action looks for its own mark before it acts (resubmit)
    ASK_SPEC = "ask_spec"  # only where its params declare `idempotent: true` (run_command)
    REPORT = "report"  # never


@dataclass(frozen=True, slots=True)
class ActionTraits:
    """How the engine treats an action type. `outside`: it has an effect outside the state."""

    outside: bool = True
    limit: Limit = Limit.DEFER
    after_crash: AfterCrash = AfterCrash.REPORT
    retry: bool = False


@dataclass(frozen=True, slots=True)
class StateEffect:
    """What a state-only action does; written in the transaction of its tick. `result` is text for people."""

    result: str
    metrics: tuple[MetricPoint, ...] = ()
    hold: Hold | None = None


class StateAction(Protocol):
    """An action that touches the state alone: pure."""

    def effect(self, params: Mapping[str, Any], watcher: Watcher, trigger: Trigger) -> StateEffect:
        """Return what to write; `params` are rendered. Raises PermanentActionError (value is no number, ...)."""
        ...


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What an action with an outside effect gets.

    `params` are rendered (every `$name` replaced), `template` the params as written, `values` what there was to
    replace with: an action
    that must keep captured text apart from trusted text (run_command) renders for itself. `mark` is unique to this
    action of this trigger, over
    crashes and retries. `repeat`: an earlier attempt was interrupted, so this may be a repeat.
    """

    watcher: Watcher
    job: Job
    trigger: Trigger
    params: Mapping[str, Any]
    template: Mapping[str, Any]
    values: Mapping[str, str | None]
    transport: Transport
    scheduler: Scheduler
    mark: str
    repeat: bool = False
    tail: Callable[[int], Awaitable[str]] | None = None  # the last N lines of the watched output


class OutsideAction(Protocol):
    """An action with an effect outside the state."""

    async def run(self, context: ActionContext) -> str:
        """Do it and return what was done, for people. Raises TemporaryActionError, PermanentActionError,
        UnavailableError."""
        ...


# --- state -----------------------------------------------------------------------------------------------------------


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
    """A step in the ledger: begun (`outcome` None), or ended with an outcome, or put off until `not_before`."""

    id: ActionId
    at: float
    started: bool = False
    outcome: Outcome | None = None
    not_before: float | None = None
    attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction. Everything in it is written, or nothing is."""

    create: tuple[Watcher, ...] = ()  # with id 0
    create_events: tuple[Event, ...] = ()  # one for each of `create`; the state fills in its watcher_id
    advances: tuple[Advance, ...] = ()
    actions: tuple[ActionChange, ...] = ()
    put_specs: tuple[StoredSpec, ...] = ()
    drop_specs: tuple[WatcherName, ...] = ()
    jobs: tuple[Job, ...] = ()  # seen now: inserted, or updated but for what binding was decided on
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


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a reader wants; None and empty fields do not narrow."""

    after_seq: int = 0
    before_seq: int | None = None
    watcher_id: int | None = None
    watcher: str | None = None
    job_id: str | None = None
    hostname: str | None = None
    types: tuple[str, ...] = ()
    since: float | None = None
    newest: bool = False  # the newest `limit` of them (still in ascending order)
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class WatcherFilter:
    """Which watchers a reader wants, the newest first; None and empty fields do not narrow.

    `labels` are those of the spec in force under the watcher's name. `search` is looked for in names, jobs, patterns.
    `stopped`: tombstones too (asking for the state `stopped` asks for them as well). `before_id` continues a page.
    """

    state: str | None = None
    hostname: str | None = None
    job_id: str | None = None
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    search: str = ""
    stopped: bool = False
    before_id: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class WatcherPage:
    """Watchers by descending id, the specs in force under their names, and how many pass the filter on all pages."""

    watchers: tuple[Watcher, ...] = ()
    specs: Mapping[WatcherName, StoredSpec] = field(default_factory=dict)
    total: int = 0


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts over everything that is kept; tombstones are no watchers.

    `actions`: (action type, outcome kind) -> events. `recent`: action events since the time asked for. `busiest`:
    watchers with the most action events: id, job id, name, count. `pending`: actions without an outcome.
    """

    watchers: Mapping[str, int] = field(default_factory=dict)
    actions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    recent: int = 0
    busiest: tuple[tuple[int, str, str, int], ...] = ()
    pending: int = 0


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A job as the state remembers it: as it was first seen (binding is decided on that), and as it is now.

    `finished`: its streams were read to their end and its watchers completed; `last_seen` by a listing of its
    scheduler.
    """

    first: Job
    now: Job
    last_seen: float
    finished: bool = False


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

    def page(self, wanted: WatcherFilter) -> WatcherPage:
        """Return one page of watchers, at a cost that does not grow with the number of those on other pages."""
        ...

    def statistics(self, since: float) -> Statistics:
        """Return counts for people, the recent ones since `since` (seconds since the epoch)."""
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
        """Return when actions of this watcher were begun after `since`, every attempt; state-only ones are never begun."""
        ...

    def events(self, wanted: EventFilter) -> tuple[Event, ...]:
        """Return events in ascending order of seq."""
        ...

    def last_seq(self) -> int:
        """Return the seq of the newest event, 0 where there is none."""
        ...

    def metrics(self, job: JobKey, name: str | None = None) -> tuple[MetricPoint, ...]:
        """Return the points of a job's metrics in the order they were stored."""
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
        """Delete some thousands of rows older than these ages (seconds); return how many: call again until it is 0."""
        ...


class State(Protocol):
    """The state as the engine uses it: work runs in the state's own thread, one piece after the other."""

    async def run(self, work: Callable[[StateWriting], T]) -> T:
        """Return `work(state)`."""
        ...


#: The fact that says how far the events file has the events (their seq, decimal); retention keeps what is beyond it.
EXPORTED_SEQ = "exported_seq"


class Sink(Protocol):
    """Where events go, in the order of their seq."""

    def position(self) -> int | None:
        """Return the seq of the last event this sink has safely, None where it keeps none (then it gets new ones
        only)."""
        ...

    async def write(self, events: Sequence[Event]) -> None:
        """Take these; on an exception the same events are offered again later."""
        ...

    async def close(self) -> None:
        """Let go of the file or the subscribers."""
        ...
