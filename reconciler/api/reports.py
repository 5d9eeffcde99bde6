"""What answers about events, jobs, metrics, plans and the server look like, and what is sent to try things out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from reconciler.api.refusals import Flaw
from reconciler.api.shapes import Answer, Cursor, HostText, IdNumber, JobIdText, ListText, Number
from reconciler.events import EventType
from reconciler.model import JobState
from reconciler.spec.moments import Since


class EventQuery(BaseModel):
    """Which events are wanted; of actions, unless others are asked for."""

    job_id: JobIdText | None = None
    hostname: HostText | None = None
    watcher_id: IdNumber | None = None
    watcher: ListText | None = Field(None, description="name of a watcher")
    type: list[EventType] = Field([], description="types, repeatable; left out: those of actions")
    all: bool = Field(False, description="events of every type")
    since: Since | None = Field(None, description="only what happened from then on")
    after: Number | None = Field(None, ge=0, le=2**63 - 1, description="only those after this `id`, the oldest first")
    limit: Number = Field(100, ge=1, le=1000)
    cursor: Cursor | None = Field(None, description="`next_cursor` of the page before")


class EventShape(Answer):
    """One event. `id` is its seq, without gaps over all events."""

    id: int
    type: str
    subject: str
    watcher_id: int | None
    watcher_name: str
    job_id: str
    hostname: str
    timestamp: datetime
    matched_text: str | None
    captured_vars: dict[str, str | None]
    action_type: str
    action_result: str
    success: bool
    data: dict[str, Any]


class EventList(Answer):
    """A page of events, the newest first; with `after` the oldest first."""

    events: list[EventShape]
    count: int
    next_cursor: str | None = Field(description="for the next, older page; null: there is none")


class ActionCounts(Answer):
    """How often an action ran, and how that ended."""

    total: int
    success: int
    failed: int


class BusyWatcher(Answer):
    """A watcher that acts much."""

    watcher_id: int
    job_id: str
    name: str
    event_count: int


class Stats(Answer):
    """Counts over everything that is kept; events are those of actions."""

    total_watchers: int
    watchers_by_state: dict[str, int]
    total_events: int
    events_by_action: dict[str, ActionCounts]
    events_last_hour: int
    top_watchers: list[BusyWatcher]


class JobShape(Answer):
    """One job, as its scheduler reported it last."""

    job_id: str
    hostname: str
    name: str
    user: str
    state: JobState
    raw_state: str
    partition: str
    account: str
    qos: str
    stdout: str | None
    stderr: str | None
    workdir: str | None
    submitted: datetime | None
    started: datetime | None
    ended: datetime | None
    time_limit: float | None
    exit_code: int | None
    restarts: int
    finished: bool = Field(description="its output was read to its end")
    watchers: int = Field(description="how many are watching it now")


class JobList(Answer):
    """A page of jobs, the newest first."""

    jobs: list[JobShape]
    count: int
    total: int
    next_cursor: str | None = Field(description="for the next page; null: this is the last")
    unreachable: dict[str, str] = Field(description="hosts that did not answer when they were last asked, and why")


class OutputShape(Answer):
    """A part of a job's output. Offsets are bytes; what is no UTF-8 is replaced."""

    job_id: str
    hostname: str
    stream: Literal["stdout", "stderr"]
    path: str
    sight: Literal["read", "missing", "failed"] = Field(description="missing: there is no such file now")
    reason: str
    size: int
    offset: int
    next_offset: int
    text: str


class PointShape(Answer):
    """One value of a metric; null: it is not a number."""

    at: datetime
    value: float | None
    step: float | None
    watcher_id: int


class MetricShape(Answer):
    """One metric of one job."""

    job_id: str
    hostname: str
    name: str
    points: list[PointShape]
    count: int
    total: int


class MetricSummary(Answer):
    """What is stored under one name."""

    name: str
    count: int
    last: float | None
    low: float | None
    high: float | None
    last_at: datetime


class MetricList(Answer):
    """All metrics of one job."""

    job_id: str
    metrics: list[MetricSummary]
    count: int


class MeasuredJob(Answer):
    """A job of which numbers are kept."""

    job_id: str
    hostname: str
    name: str
    state: JobState
    metrics: list[str]


class MeasuredList(Answer):
    """The jobs of which numbers are kept, the newest first."""

    jobs: list[MeasuredJob]
    count: int


class ValidateBody(BaseModel):
    """A file of watchers, or one watcher as JSON."""

    model_config = ConfigDict(extra="forbid")

    yaml: Annotated[str, StringConstraints(max_length=1_000_000)]
    name: Annotated[str, StringConstraints(max_length=200)] = Field("watchers.yaml", description="shown in problems")


class Validated(Answer):
    """What is wrong with a file of watchers, all at once."""

    valid: bool
    watchers: list[str] = Field(description="names of the watchers in it")
    errors: list[Flaw]
    warnings: list[Flaw]


class PatternTestBody(BaseModel):
    """A pattern (or several, `any`, or a `preset`) and what to try it on: `text`, or the end of a job's output."""

    model_config = ConfigDict(extra="forbid")

    pattern: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    any: Annotated[list[Annotated[str, StringConstraints(max_length=1000)]], Field(max_length=100)] | None = None
    preset: Annotated[str, StringConstraints(max_length=64)] | None = None
    captures: Annotated[list[Annotated[str, StringConstraints(max_length=64)]], Field(max_length=50)] = []
    condition: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    multiline: Annotated[int, Field(ge=1, le=50)] = 1
    every_nth_line: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    ignore_pattern_echo: bool = True
    text: Annotated[str, StringConstraints(max_length=500_000)] | None = None
    job_id: JobIdText | None = None
    hostname: HostText | None = None
    stream: Literal["stdout", "stderr"] = "stdout"
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class MatchShape(Answer):
    """One match that would trigger."""

    text: str
    line: int
    offset: int
    groups: list[str | None]
    captures: dict[str, str | None]


class PatternTested(Answer):
    """What a pattern finds. `count` counts all matches, `matches` are the first `limit` of them."""

    matches: list[MatchShape]
    count: int
    bytes: int = Field(description="how much text was looked at")
    problems: list[str] = Field(description="conditions that could not be told, lines that took too long")
    tier: Literal["hyperscan", "re2", "fallback"] = Field(description="the slowest engine that is needed")
    reason: str = Field(description="why no faster one")
    slow: bool = Field(description="every line has to be tried with it")
    matches_empty: bool = Field(description="it matches every line")
    groups: list[str | None] = Field(description="names of groups 1..N in the pattern; null: it has none there")


class SessionShape(Answer):
    """Who one is to this server."""

    name: str
    scope: Literal["read", "write", "admin"]
    expires: datetime | None
    version: str
    state: str = Field(description="id of the state behind this server")


class LinkShape(Answer):
    """A URL that signs one browser in, once."""

    url: str
    expires: datetime


class Health(Answer):
    """Whether the process is alive."""

    status: Literal["ok"]


class Readiness(Answer):
    """Whether it does its work. `checks`: what was looked at, and empty text or what is wrong with it."""

    ready: bool
    checks: dict[str, str]
