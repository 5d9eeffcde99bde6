"""The statements that write, built once: upserts, and what changes in place. Used by `write` alone."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    ColumnElement,
    ScalarSelect,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from reconciler.model import JobState, StreamName
from reconciler.state.tables import (
    ActionRow,
    ActionStart,
    Checkpoint,
    Fact,
    JobRow,
    JobWatcher,
    MetricRow,
    ParsedFile,
    RequestRow,
    SpecRow,
    WatcherEvent,
    WatcherVariable,
    table,
)

WATCHERS, EVENTS, METRICS, ACTIONS, JOBS = (
    table(each) for each in (JobWatcher, WatcherEvent, MetricRow, ActionRow, JobRow)
)
SPECS, REQUESTS = table(SpecRow), table(RequestRow)
_STARTS, _VARIABLES, _CHECKPOINTS = table(ActionStart), table(WatcherVariable), table(Checkpoint)
# Written out, since SQLAlchemy expands no list of values where a statement is executed with many rows.
_ENDED = ", ".join(f"'{state.value}'" for state in JobState if state.ended)


def _upsert(target: Table) -> Insert:
    """Return an insert that replaces all columns but the key where the key is there already."""
    statement = sqlite_insert(target)
    key = [column.name for column in target.primary_key]
    renewed = {each.name: statement.excluded[each.name] for each in target.c if each.name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=renewed)


def _upsert_job() -> Insert:
    """Return the insert of a job seen now, which keeps what binding was decided on.

    An ended job that was submitted at another time, and not merely run again, is another job under a reused id, and so
    is one of which the batch says that it is `anew`: it begins anew. One that runs, or ran, again is not finished.
    """
    statement = sqlite_insert(JOBS)
    new, old = statement.excluded, JOBS.c
    runs: ColumnElement[bool] = literal_column(f"(excluded.state NOT IN ({_ENDED}))")
    restarted = new.restarts > old.restarts
    over = literal_column(f"jobs.state IN ({_ENDED})") & ~restarted & (new.submitted != old.submitted)
    reused = or_(over, bindparam("anew", type_=Boolean()))
    names = ("name", "user", "state", "submitted", "restarts", "last_seen", "now_json")
    renewed: dict[str, ColumnElement[object]] = {name: new[name] for name in names}
    renewed["first_json"] = case((reused, new.first_json), else_=old.first_json)
    renewed["finished"] = case((or_(reused, restarted, runs), literal(False)), else_=old.finished)
    return statement.on_conflict_do_update(index_elements=["hostname", "job_id"], set_=renewed)


PUT_SPEC = _upsert(SPECS)
PUT_VARIABLE = _upsert(_VARIABLES)
PUT_CHECKPOINT = _upsert(_CHECKPOINTS)
PUT_FACT = _upsert(table(Fact))
PUT_PARSED = _upsert(table(ParsedFile))
SEE_JOB = _upsert_job()

DROP_SPEC = delete(SPECS).where(SPECS.c.name == bindparam("named"))
DROP_VARIABLE = delete(_VARIABLES).where(
    _VARIABLES.c.watcher_id == bindparam("of_watcher"), _VARIABLES.c.variable_name == bindparam("named")
)
DROP_CHECKPOINT = delete(_CHECKPOINTS).where(
    _CHECKPOINTS.c.watcher_id == bindparam("of_watcher"), _CHECKPOINTS.c.stream == bindparam("of_stream")
)
UPDATE_WATCHER = update(WATCHERS).where(WATCHERS.c.id == bindparam("row"))
MOVE_WATCHERS = update(WATCHERS).where(
    WATCHERS.c.name == bindparam("named"), WATCHERS.c.spec_digest == bindparam("of_digest")
)


def _offset(stream: StreamName) -> ScalarSelect[int]:
    """Return how far a watcher has read a stream, null where it has not."""
    its = (_CHECKPOINTS.c.watcher_id == WATCHERS.c.id, _CHECKPOINTS.c.stream == stream.value)
    return select(_CHECKPOINTS.c.offset).where(*its).scalar_subquery()


#: What a tick without a match leaves to be written once in a while: the row of the watcher is for people.
CHECKED = UPDATE_WATCHER.values(
    last_check=bindparam("moment"),
    last_position=func.coalesce(_offset(StreamName.STDOUT), _offset(StreamName.STDERR), 0),
)
UPDATE_ACTION = update(ACTIONS).where(ACTIONS.c.id == bindparam("row"))
NOTE_START = insert(_STARTS).from_select(
    ["watcher_id", "action_id", "at"],
    select(ACTIONS.c.watcher_id, ACTIONS.c.id, bindparam("begun", type_=_STARTS.c.at.type)).where(
        ACTIONS.c.id == bindparam("row")
    ),
)
FINISH_JOB = (
    update(JOBS)
    .where(JOBS.c.hostname == bindparam("on_host"), JOBS.c.job_id == bindparam("of_job"))
    .values(finished=True)
)
REQUEST_DONE = update(REQUESTS).where(REQUESTS.c.id == bindparam("row")).values(done_at=bindparam("moment"))
