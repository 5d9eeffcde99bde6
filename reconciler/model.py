"""The nouns of the house as frozen values: jobs, watchers, positions in streams, matches, triggers, actions.

Everybody imports this; it imports nothing but the standard library. A change of a value returns a new one
(`dataclasses.replace`).
Times are seconds since the epoch (float, UTC), durations are seconds, offsets are bytes from the start of a file,
line numbers start at 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, NewType

JobId = NewType("JobId", str)  # as the scheduler writes it; an array task is "123_4"
HostName = NewType("HostName", str)
WatcherName = NewType("WatcherName", str)
WatcherId = NewType("WatcherId", int)
ActionId = NewType("ActionId", int)

LOCALHOST = HostName("localhost")


class JobState(StrEnum):
    """Where a job stands. SLURM's finer words map onto these (`Job.raw_state` keeps them)."""

    PENDING = "pending"  # known, not started; also REQUEUED, REQUEUE_HOLD, SPECIAL_EXIT, CONFIGURING
    RUNNING = "running"  # started, not ended; also COMPLETING, STOPPED, SIGNALING, STAGE_OUT
    SUSPENDED = "suspended"  # started, holding still
    COMPLETED = "completed"  # ended with exit status 0
    FAILED = "failed"  # also OUT_OF_MEMORY, NODE_FAIL, BOOT_FAIL, LAUNCH_FAILED, RECONFIG_FAIL
    TIMEOUT = "timeout"  # also DEADLINE
    CANCELLED = "cancelled"  # also PREEMPTED, REVOKED
    UNKNOWN = "unknown"  # ended, and nobody knows how ("Invalid job id")

    @property
    def ended(self) -> bool:
        """True for the states that nothing follows."""
        return self in _END_STATES


_END_STATES = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.TIMEOUT, JobState.CANCELLED, JobState.UNKNOWN})


class JobKey(NamedTuple):
    """What makes a job itself: ids are reused by schedulers and are the same on two hosts. Hashed very often."""

    host: HostName
    id: JobId

    def __str__(self) -> str:
        return f"{self.id}@{self.host}"


@dataclass(frozen=True, slots=True)
class Job:
    """What a scheduler reports of one job (an array task is a job of its own).

    `stdout` and `stderr` are absolute paths on the job's host, None while unknown; bytes that are not UTF-8 are kept by
    surrogateescape; `outputs_assumed`: nobody told them, they are where a job writes that names no output. `submitted`
    tells a reused id from the job that had it before.
    """

    host: HostName
    id: JobId
    name: str
    user: str
    state: JobState
    raw_state: str = ""
    stdout: str | None = None
    stderr: str | None = None
    workdir: str | None = None
    submitted: float | None = None
    started: float | None = None
    ended: float | None = None
    time_limit: float | None = None
    partition: str = ""
    account: str = ""
    qos: str = ""
    comment: str = ""
    command: str = ""
    exit_code: int | None = None
    restarts: int = 0
    outputs_assumed: bool = False

    @property
    def key(self) -> JobKey:
        """Host and id."""
        return JobKey(self.host, self.id)


class StreamName(StrEnum):
    """The two outputs of a job. Where both are one file there is one stream, `stdout`."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class FileStat:
    """What a look at a file saw: identity, size in bytes, last modification in nanoseconds since the epoch."""

    device: int
    inode: int
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stream has been dealt with, and enough to know the file again.

    `offset` is the first byte not dealt with; `line` counts the lines before it (from where reading began).
    `pending_cr`: the byte before `offset` is a `\\r` whose line is dealt with, so a `\\n` at `offset` belongs to it.
    `cut`: `offset` stands inside a line that was cut; the rest up to its end is skipped.
    `head` are up to `HEAD_BYTES` first bytes of the file (of the dealt part), `tail` up to `TAIL_BYTES` bytes before
    `offset`:
    the fingerprint that tells a rewritten file from one that grew. `window`: the last dealt lines (text), where a
    multiline pattern may still need them; `taken`: up to where there each of these patterns has matched already, as
    (CRC-32 of its text, number of the line, byte of the line's text). `at`: when it was reached (seconds since the
    epoch), which makes no two of them different. A watcher's checkpoint on a stream is one Position.
    """

    device: int = 0
    inode: int = 0
    offset: int = 0
    line: int = 0
    pending_cr: bool = False
    cut: bool = False
    head: bytes = b""
    tail: bytes = b""
    window: tuple[str, ...] = ()
    taken: tuple[tuple[int, int, int], ...] = ()
    at: float | None = field(default=None, compare=False)


HEAD_BYTES = 64
TAIL_BYTES = 64


class Match(NamedTuple):
    """A pattern met a line. A tuple, since millions are made: a frozen dataclass takes three times as long to build.

    `groups` are groups 1..N, None where a group took no part; `captures` the named values (from `captures:` and
    `(?P<name>)`). `offset` is the byte where the match begins in the file (where its line begins, if colour codes
    before it make that uncertain).
    """

    text: str
    line: int
    offset: int
    stream: StreamName = StreamName.STDOUT
    groups: tuple[str | None, ...] = ()
    captures: Mapping[str, str | None] = MappingProxyType({})
    pattern: int = 0


class TriggerKind(StrEnum):
    """What made the actions run."""

    MATCH = "match"
    TIMER = "timer"
    JOB_END = "job_end"
    SILENCE = "silence"
    TIME_LEFT = "time_left"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A match, tick, job end, silence or request that passed its condition."""

    kind: TriggerKind
    at: float
    variables: Mapping[str, str | None]
    match: Match | None = None


class WatcherState(StrEnum):
    """Where a watcher stands, as a person reads it in `job_watchers.state`."""

    ACTIVE = "active"  # watching
    PAUSED = "paused"  # active underneath; at least one Hold keeps it still; its checkpoint waits
    TRIGGERED = "triggered"  # max_triggers reached; raising it makes it active again
    DISABLED = "disabled"  # max_failures reached, or an error that an edit must mend
    COMPLETED = "completed"  # its job has ended, and everything was read
    STATIC = "static"  # bound by ids to a job that had ended before the spec existed; fires on request only
    STOPPED = "stopped"  # tombstone: no spec wants it now; the same name, host and job go on from its checkpoint

    @property
    def live(self) -> bool:
        """True where an engine task has work for it."""
        return self in (WatcherState.ACTIVE, WatcherState.PAUSED, WatcherState.TRIGGERED, WatcherState.DISABLED)


class HoldKind(StrEnum):
    """Who holds a paused watcher. Only MANUAL is drift."""

    DECLARED = "declared"  # `suspend:` in its YAML
    MANUAL = "manual"  # a person, by command or API
    SELF = "self"  # its own pause_watcher


@dataclass(frozen=True, slots=True)
class Hold:
    """One of the three flags that hold a watcher: who, why, since and until when (None: until lifted)."""

    kind: HoldKind
    by: str
    reason: str = ""
    since: float = 0.0
    until: float | None = None

    def lasts(self, now: float) -> bool:
        """Tell whether it has not run out; it stays recorded until the watcher's next tick."""
        return self.until is None or self.until > now


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a spec was written. `source` names the source instance that gave it (pruning stays within it)."""

    source: str
    file: str
    line: int
    commit: str = ""
    layer: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a watcher must remember between ticks beside its checkpoints and variables.

    `seen`: for `patterns.all`, when each member was last seen, by the CRC-32 of its text. `grown_at`: last growth of
    its streams, `grown_to`: their sizes and times then. `missing_since`: an output of the ended job is out of sight.
    `silence_fired`, `time_left_fired`, `job_end_fired`: each fires once (silence is armed again by growth). `runs`:
    when the run of the job began in which silence or time left fired, and that which ended.
    `stood_still`: the job was suspended when it was last looked at.
    `newest`: the newest match, for a manual trigger. `condition_failures`: evaluations that could not be made.
    """

    seen: Mapping[int, float] = field(default_factory=dict)
    cooldown_until: float | None = None
    grown_at: float | None = None
    grown_to: Mapping[str, str] = field(default_factory=dict)
    missing_since: float | None = None
    silence_fired: bool = False
    time_left_fired: bool = False
    job_end_fired: bool = False
    runs: Mapping[str, float] = field(default_factory=dict)
    stood_still: bool = False
    timer_due: float | None = None
    newest: Match | None = None
    condition_failures: int = 0


@dataclass(frozen=True, slots=True)
class Watcher:
    """One spec bound to one job: runtime state, as the state keeps it.

    `phase` is the state without holds; `state` is what a person sees. `failures` counts failed actions in a row.
    `variables` are what earlier matches left (captures by name and by number).
    """

    id: WatcherId
    name: WatcherName
    job: JobKey
    job_name: str
    spec_digest: str
    origin: Origin
    phase: WatcherState = WatcherState.ACTIVE
    holds: tuple[Hold, ...] = ()
    trigger_count: int = 0
    failures: int = 0
    timer_active: bool = False
    created_at: float = 0.0
    last_check: float | None = None
    last_trigger: float | None = None
    last_error: str = ""
    job_submitted: float | None = None  # tells a reused job id from the job that had it before
    memory: Memory = Memory()
    checkpoints: Mapping[StreamName, Position] = field(default_factory=dict)
    variables: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def state(self) -> WatcherState:
        """The phase, or PAUSED where an active watcher is held."""
        return WatcherState.PAUSED if self.holds and self.phase is WatcherState.ACTIVE else self.phase


@dataclass(frozen=True, slots=True)
class StoredSpec:
    """A spec as the state keeps it: the last good version of what a source gave, canonical JSON."""

    name: WatcherName
    digest: str
    body: str
    origin: Origin
    missing_since: float | None = None  # when its file was first not there any more (prune_grace)


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One stored value of one metric of one job, with the time it was observed."""

    watcher_id: WatcherId
    job: JobKey
    name: str
    value: float
    at: float
    step: float | None = None


class ActionStatus(StrEnum):
    """The ledger of an action with an effect outside the state."""

    PENDING = "pending"  # recorded in the tick's transaction; not begun
    STARTED = "started"  # begun; after a crash: interrupted
    DONE = "done"  # has an outcome


class OutcomeKind(StrEnum):
    """What became of an action; the last part of its event type."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"  # a policy said no; never tried again
    SKIPPED = "skipped"  # its condition, needs or on_failure did not hold, or its watcher was disabled meanwhile
    WOULD_RUN = "would_run"  # mode: observe
    RATE_LIMITED = "rate_limited"
    INTERRUPTED = "interrupted"  # begun, and the process ended before the outcome was known


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an action.

    `result` is text for people; `retry_after` (seconds) where a failure is worth another try. `unanswered`: nobody
    answered, which says nothing against the action. `progress`: what the next try has to know (None: nothing new).
    """

    kind: OutcomeKind
    result: str = ""
    retry_after: float | None = None
    unanswered: bool = False
    progress: Mapping[str, Any] | None = None

    @property
    def success(self) -> bool:
        """True where the action did, or in observe mode would have done, what it should."""
        return self.kind in (OutcomeKind.SUCCEEDED, OutcomeKind.WOULD_RUN)


@dataclass(frozen=True, slots=True)
class PendingAction:
    """One action of one trigger in the ledger. `group` numbers the trigger, `index` the action in its list.

    `progress`: how far an earlier try came, in the action's own words; it is not done again.
    """

    watcher_id: WatcherId
    group: int
    index: int
    type: str
    params: Mapping[str, Any]
    trigger: Trigger
    id: ActionId = ActionId(0)
    status: ActionStatus = ActionStatus.PENDING
    attempts: int = 0
    not_before: float | None = None
    outcome: OutcomeKind | None = None
    progress: Mapping[str, Any] | None = None


#: A request for the jobs of `host` to be listed now, about no watcher: a daemon does so, a pass has just done it.
LIST_JOBS = "list_jobs"


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for while another process held the state: `trigger`, `suspend`, `resume`, `list_jobs`."""

    id: int
    verb: str
    by: str
    at: float
    body: Mapping[str, Any]
