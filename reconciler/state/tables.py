"""The tables, as SQLModel classes: what a person finds in `state.db` with sqlite3. They stay inside this room.

`job_watchers`, `watcher_events` and `watcher_variables` keep the columns of the system they come from. The classes
declare; rows are written and read in bulk through `table(...)`, since an object for each row would cost more than the
row. A change of a table wants a step in `migrations`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, text
from sqlmodel import Field, SQLModel

from reconciler.state.columns import FILE_NUMBER, JSON, MOMENT, WORDS


class StateTable(SQLModel):
    """The base: tables of the state, kept apart from whatever else in the process uses SQLModel."""

    metadata: ClassVar[MetaData] = MetaData()
    model_config = {"defer_build": True}  # nobody validates rows, and the validators cost start-up time


def table(model: type[StateTable]) -> Table:
    """Return the table that a class declares."""
    return StateTable.metadata.tables[str(model.__tablename__)]


def _text(default: str | None = None) -> Any:
    """Text, never NULL; with a default where another program that writes rows may leave it out."""
    shown = {} if default is None else {"server_default": default}
    return Field(sa_type=WORDS, nullable=False, sa_column_kwargs=shown)


def _number(default: int) -> Any:
    """A whole number, never NULL."""
    return Field(default=default, sa_column_kwargs={"server_default": text(str(default))})


def _of_watcher() -> Any:
    """The watcher that a row belongs to and goes with."""
    return Column(Integer, ForeignKey("job_watchers.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)


class JobWatcher(StateTable, table=True):
    """One spec bound to one job. `state` is what a person sees, `phase` the same without holds.

    pattern, interval_seconds, captures_json, condition, actions_json and timer_* are shown from the spec; the spec's
    own row in `specs` is what counts. `last_position` is the byte offset in stdout (else stderr). `ended_at`: since
    when it has been completed or stopped, which retention counts from.
    """

    __tablename__ = "job_watchers"
    __table_args__ = (
        Index("job_watchers_job", "hostname", "job_id"),
        Index("job_watchers_state", "state"),
        Index("job_watchers_name", "name"),
        Index("job_watchers_phase", "phase", "ended_at"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    job_id: str = _text()
    hostname: str = _text()
    name: str | None = Field(default=None, sa_type=WORDS)
    pattern: str = _text()
    interval_seconds: int = _number(60)
    captures_json: str | None = Field(default=None, sa_type=JSON)
    condition: str | None = Field(default=None, sa_type=WORDS)
    actions_json: str = Field(sa_type=JSON, nullable=False)
    last_check: float | None = Field(default=None, sa_type=MOMENT)
    last_position: int = _number(0)
    trigger_count: int = _number(0)
    state: str = _text("active")
    timer_mode_enabled: int = _number(0)
    timer_interval_seconds: int = _number(30)
    timer_mode_active: int = _number(0)
    created_at: float = Field(sa_type=MOMENT, nullable=False)
    job_name: str = _text()
    job_submitted: float | None = Field(default=None, sa_type=MOMENT)
    phase: str = _text("active")
    holds_json: str = Field(sa_type=JSON, nullable=False)
    failures: int = 0
    last_trigger: float | None = Field(default=None, sa_type=MOMENT)
    last_error: str = _text()
    memory_json: str = Field(sa_type=JSON, nullable=False)
    spec_digest: str = _text()
    source: str = _text()
    file: str = _text()
    line: int = 0
    git_commit: str = _text()
    layer: str = _text()
    ended_at: float | None = Field(default=None, sa_type=MOMENT)


class WatcherEvent(StateTable, table=True):
    """What happened. `id` is the seq: it has no gaps, and it is never used twice."""

    __tablename__ = "watcher_events"
    __table_args__ = (
        Index("watcher_events_watcher_type", "watcher_id", "type", "id"),
        Index("watcher_events_name", "watcher", "id"),
        Index("watcher_events_job_type", "job_id", "type", "id"),
        Index("watcher_events_host", "hostname", "id"),
        Index("watcher_events_type", "type", "id"),
        Index("watcher_events_time", "timestamp"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    watcher_id: int | None = None
    job_id: str = _text()
    hostname: str = _text()
    timestamp: float = Field(sa_type=MOMENT, nullable=False)
    matched_text: str | None = Field(default=None, sa_type=WORDS)
    captured_vars_json: str | None = Field(default=None, sa_type=JSON)
    action_type: str = _text()
    action_result: str | None = Field(default=None, sa_type=WORDS)
    success: bool
    type: str = _text()
    subject: str = _text()
    watcher: str = _text()
    data_json: str | None = Field(default=None, sa_type=JSON)


class WatcherVariable(StateTable, table=True):
    """What the matches of a watcher left; NULL where an optional group took no part."""

    __tablename__ = "watcher_variables"

    watcher_id: int = Field(sa_column=_of_watcher())
    variable_name: str = Field(sa_type=WORDS, primary_key=True)
    variable_value: str | None = Field(default=None, sa_type=WORDS)
    updated_at: float = Field(sa_type=MOMENT, nullable=False)


class Checkpoint(StateTable, table=True):
    """How far a watcher has dealt with a stream. `head` and `tail` are bytes of the file, to know it again."""

    __tablename__ = "checkpoints"

    watcher_id: int = Field(sa_column=_of_watcher())
    stream: str = Field(sa_type=WORDS, primary_key=True)
    device: int = Field(sa_type=FILE_NUMBER, nullable=False)
    inode: int = Field(sa_type=FILE_NUMBER, nullable=False)
    offset: int
    line: int
    pending_cr: bool
    cut: bool
    head: bytes = Field(sa_type=LargeBinary, nullable=False)
    tail: bytes = Field(sa_type=LargeBinary, nullable=False)
    window_json: str | None = Field(default=None, sa_type=JSON)
    taken_json: str | None = Field(default=None, sa_type=JSON)
    read_at: float | None = Field(default=None, sa_type=MOMENT)


class MetricRow(StateTable, table=True):
    """One value of one metric of one job. A value of NULL is one that is not a number."""

    __tablename__ = "metric_points"
    __table_args__ = (Index("metric_points_job", "hostname", "job_id", "name", "at"), Index("metric_points_time", "at"))

    id: int | None = Field(default=None, primary_key=True)
    watcher_id: int
    job_id: str = _text()
    hostname: str = _text()
    name: str = _text()
    value: float | None = None
    at: float = Field(sa_type=MOMENT, nullable=False)
    step: float | None = None


class ActionRow(StateTable, table=True):
    """The ledger of actions: pending, started, done with an outcome. `trigger_group` numbers the watcher's triggers."""

    __tablename__ = "pending_actions"
    __table_args__ = (
        Index("pending_actions_place", "watcher_id", "trigger_group", "action_index", unique=True),
        Index(
            "pending_actions_open", "watcher_id", "trigger_group", "action_index", sqlite_where=text("status != 'done'")
        ),
        Index("pending_actions_done", "ended_at", sqlite_where=text("status = 'done'")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    watcher_id: int = Field(
        sa_column=Column(Integer, ForeignKey("job_watchers.id", ondelete="CASCADE"), nullable=False)
    )
    trigger_group: int
    action_index: int
    type: str = _text()
    params_json: str = Field(sa_type=JSON, nullable=False)
    trigger_json: str = Field(sa_type=JSON, nullable=False)
    status: str = _text("pending")
    attempts: int = 0
    not_before: float | None = Field(default=None, sa_type=MOMENT)
    started_at: float | None = Field(default=None, sa_type=MOMENT)
    ended_at: float | None = Field(default=None, sa_type=MOMENT)
    outcome: str | None = Field(default=None, sa_type=WORDS)
    result: str = _text()
    progress_json: str | None = Field(default=None, sa_type=JSON)


class ActionStart(StateTable, table=True):
    """When actions were begun, every attempt by itself: what the limit of actions a minute counts."""

    __tablename__ = "action_starts"
    __table_args__ = (Index("action_starts_watcher", "watcher_id", "at"), Index("action_starts_time", "at"))

    id: int | None = Field(default=None, primary_key=True)
    watcher_id: int
    action_id: int
    at: float = Field(sa_type=MOMENT, nullable=False)


class SpecRow(StateTable, table=True):
    """The last good version of what a source gave under a name, as canonical JSON."""

    __tablename__ = "specs"

    name: str = Field(sa_type=WORDS, primary_key=True)
    digest: str = _text()
    body: str = _text()
    source: str = _text()
    file: str = _text()
    line: int = 0
    git_commit: str = _text()
    layer: str = _text()
    missing_since: float | None = Field(default=None, sa_type=MOMENT)


class JobRow(StateTable, table=True):
    """A job as it was first seen, which decides what is bound to it, and as it is now."""

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_unfinished", "hostname", "job_id", sqlite_where=text("finished = 0")),)

    hostname: str = Field(sa_type=WORDS, primary_key=True)
    job_id: str = Field(sa_type=WORDS, primary_key=True)
    name: str = _text()
    user: str = _text()
    state: str = _text()
    submitted: float | None = Field(default=None, sa_type=MOMENT)
    restarts: int = 0
    last_seen: float = Field(sa_type=MOMENT, nullable=False)
    finished: bool = False
    first_json: str = Field(sa_type=JSON, nullable=False)
    now_json: str = Field(sa_type=JSON, nullable=False)


class RequestRow(StateTable, table=True):
    """What a person asked for while another process held the state; `done_at` where the holder has carried it out."""

    __tablename__ = "requests"
    __table_args__ = (
        Index("requests_open", "id", sqlite_where=text("done_at IS NULL")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    verb: str = _text()
    by: str = _text()
    at: float = Field(sa_type=MOMENT, nullable=False)
    body_json: str = Field(sa_type=JSON, nullable=False)
    done_at: float | None = Field(default=None, sa_type=MOMENT)


class Fact(StateTable, table=True):
    """A small named fact that must survive: the identity of this state, the last listing of a host, ..."""

    __tablename__ = "facts"

    name: str = Field(sa_type=WORDS, primary_key=True)
    value: str = _text()


class ParsedFile(StateTable, table=True):
    """What a file was parsed to, by the digest of its bytes and the version of the schema: a cache, and no more."""

    __tablename__ = "parsed_files"

    key: str = Field(sa_type=WORDS, primary_key=True)
    body: str = _text()
    stored_at: float = Field(sa_type=MOMENT, nullable=False)


class LeaseRow(StateTable, table=True):
    """Who holds the state: one row. `token` grows with every holder and never goes back."""

    __tablename__ = "lease"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    token: int
    holder: str | None = Field(default=None, sa_column=Column(Text))
    since: float = Field(sa_type=MOMENT, nullable=False)
    renewed_at: float = Field(sa_type=MOMENT, nullable=False)
