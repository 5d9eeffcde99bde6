"""What requests and answers look like, as pydantic models: OpenAPI is made from them. They know no logic.

The fields of the system that this API comes from keep their names (`timer_mode_active`, `last_position`, ...). Times
are ISO 8601 in UTC; durations are seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from reconciler.model import WatcherState
from reconciler.spec.moments import Moment
from reconciler.spec.yaml import MAX_DEPTH

JobIdText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
HostText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$")]
ListText = Annotated[str, StringConstraints(max_length=200)]


def _in_digits(value: object) -> object:
    """Let no other way to write a number through than the one we write: `+1`, `1.0`, `1_0` are none of ours."""
    if isinstance(value, str) and not re.fullmatch("[0-9]{1,19}", value):
        raise ValueError("write the number in digits alone")
    return value


Number = Annotated[int, BeforeValidator(_in_digits)]
#: What SQLite can hold.
IdNumber = Annotated[Number, Field(ge=1, le=2**63 - 1)]
Cursor = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")]
#: The same for jobs, whose ids have no order: microseconds since the epoch, and the job.
JobCursor = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}:\S{1,400}$")]


class Answer(BaseModel):
    """The base of answers."""

    model_config = ConfigDict(frozen=True)


class HoldShape(Answer):
    """What keeps a watcher still."""

    kind: Literal["declared", "manual", "self"]
    by: str
    reason: str
    since: datetime
    until: datetime | None


class WatcherQuery(BaseModel):
    """Which watchers are wanted."""

    state: WatcherState | None = None
    host: HostText | None = Field(None, description="only on this host")
    job_id: JobIdText | None = None
    name: ListText | None = None
    label: list[ListText] = Field([], description="`key=value`, repeatable", max_length=20)
    search: ListText = Field("", description="in names, jobs and patterns")
    id: list[IdNumber] = Field([], description="only these, repeatable", max_length=500)
    limit: Number = Field(100, ge=1, le=1000)
    cursor: Cursor | None = Field(None, description="`next_cursor` of the page before")


class WatcherShape(Answer):
    """One watcher: a spec bound to one job."""

    id: int
    job_id: str
    hostname: str
    name: str
    pattern: str
    interval_seconds: float
    captures: list[str]
    condition: str | None
    actions: list[dict[str, Any]]
    state: WatcherState
    last_check: datetime | None
    next_check: datetime | None = Field(description="when its job is looked at next; null: none is planned")
    last_position: int
    trigger_count: int
    timer_mode_enabled: bool
    timer_interval_seconds: float
    timer_mode_active: bool
    timer_due: datetime | None = Field(description="when the timer runs the actions next")
    created_at: datetime
    variables: dict[str, str | None]
    job_name: str
    last_trigger: datetime | None
    last_error: str
    failures: int
    output_type: str
    mode: str
    labels: dict[str, str]
    description: str
    holds: list[HoldShape]
    source: str = Field(description="which kind of source gave it: api, directory, git, ...")
    file: str
    line: int
    commit: str
    writable: bool = Field(description="PUT and DELETE may change its file")


class WatcherDetail(WatcherShape):
    """One watcher with everything that is known of it."""

    spec: dict[str, Any] = Field(description="the spec in force, as canonical JSON has it")
    yaml: str = Field(description="the text of its file, where that can be read; else its spec as YAML")
    tag: str = Field(description="of `yaml` and `spec`, and the header ETag; If-Match of a PUT or DELETE takes it")
    jobs: int = Field(description="how many watchers its spec has now")


class WatcherList(Answer):
    """A page of watchers, the newest first."""

    watchers: list[WatcherShape]
    count: int = Field(description="of this page")
    total: int = Field(description="of all pages")
    next_cursor: str | None = Field(description="for the next page; null: this is the last")


class SpecOutline(Answer):
    """What all watchers of one spec have in common."""

    pattern: str
    interval_seconds: float
    captures: list[str]
    condition: str | None
    actions: list[dict[str, Any]]
    timer_mode_enabled: bool
    timer_interval_seconds: float
    output_type: str
    mode: str
    labels: dict[str, str]
    description: str
    source: str
    file: str
    line: int
    commit: str
    writable: bool


class WatcherOutline(Answer):
    """Very many watchers in few words, the newest first."""

    columns: list[str] = Field(description="names of what stands in each row, in this order; as in a watcher")
    rows: list[list[Any]]
    specs: dict[str, SpecOutline] = Field(description="by the names of the watchers")
    seq: int = Field(description="what happened up to this event is in it, and maybe more")
    count: int
    total: int


class JobWatchers(Answer):
    """The watchers of one job."""

    job_id: str
    watchers: list[WatcherShape]
    count: int


class WatcherWritten(Answer):
    """What became of a watcher that was written."""

    id: int | None = Field(description="of the watcher; null while its spec is bound to no job")
    ids: list[int] = Field(description="of all watchers of its spec")
    name: str
    file: str
    message: str
    watcher: WatcherShape | None


class Deleted(Answer):
    """What became of a watcher that was deleted."""

    success: bool
    message: str
    id: int
    ids: list[int]


class Done(Answer):
    """What became of a watcher that was paused or resumed."""

    success: bool
    message: str
    state: WatcherState
    watcher: WatcherShape


class Triggered(Answer):
    """What a manual trigger came to. `matches`: 1 where it acted on the newest match, 0 where there is none."""

    timer_mode: bool
    success: bool
    message: str
    matches: int


class WatcherEdit(BaseModel):
    """What to change of a watcher: fields that are given replace its file's, null takes one out.

    Every field of a watcher's file may stand here. `yaml` replaces the whole file.
    """

    model_config = ConfigDict(extra="allow")

    job_id: JobIdText | None = Field(None, description="the job it watches; it cannot be changed")
    hostname: HostText | None = Field(None, description="the host of that job")
    name: Annotated[str, StringConstraints(max_length=1000)] | None = Field(
        None, description="unique over all watchers"
    )
    pattern: Annotated[str, StringConstraints(max_length=1000)] | None = None
    interval_seconds: int | float | None = None
    captures: list[str] | None = None
    condition: Annotated[str, StringConstraints(max_length=500)] | None = None
    actions: list[dict[str, Any]] | None = None
    timer_mode_enabled: bool | None = None
    timer_interval_seconds: int | float | None = None
    yaml: Annotated[str, StringConstraints(max_length=1_000_000)] | None = Field(
        None, description="the whole file as text, comments and all; then nothing else may be given"
    )

    @model_validator(mode="before")
    @classmethod
    def _shallow(cls, given: Any) -> Any:
        """What is nested deeper than files may be is refused here, before anything follows it down."""
        level, depth = [given], 0
        while level := [inner for each in level for inner in _inside(each)]:
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep; write it flatter")
        return given


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


class NewWatcher(WatcherEdit):
    """A watcher for one job (`job_id`, `hostname`), or for all jobs that `jobs` selects.

    Every field of a watcher's file may stand here; `yaml` is the file itself.
    """

    job_id: JobIdText | None = Field(None, description="the job to watch")


class PauseBody(BaseModel):
    """Why and until when."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, StringConstraints(max_length=500)] = ""
    until: Moment | None = None


class ResumeBody(BaseModel):
    """Where to go on."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    start: Literal["checkpoint", "end"] = Field("checkpoint", alias="from")


class BulkVerb(StrEnum):
    """What may be done to many at once."""

    PAUSE = "pause"
    RESUME = "resume"
    TRIGGER = "trigger"
    DELETE = "delete"


class BulkBody(BaseModel):
    """One thing, done to many watchers."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    action: BulkVerb
    ids: Annotated[list[IdNumber], Field(min_length=1, max_length=1000)]
    reason: Annotated[str, StringConstraints(max_length=500)] = Field("", description="of a pause")
    until: Moment | None = Field(None, description="end of a pause")
    start: Literal["checkpoint", "end"] = Field("checkpoint", alias="from", description="where to go on reading")


class BulkResult(Answer):
    """What became of one of them."""

    id: int
    success: bool
    message: str


class BulkDone(Answer):
    """What became of all of them."""

    results: list[BulkResult]
    succeeded: int
    failed: int
