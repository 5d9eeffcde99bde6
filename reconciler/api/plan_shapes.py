"""What the plan of the next pass looks like: changes, what was changed by hand, files with problems, sources."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from reconciler.api.refusals import Flaw
from reconciler.api.shapes import Answer


class FieldShape(Answer):
    """One field that an edit changed; null where it was not written, so that its default held."""

    path: str = Field(description="dotted, with list positions: actions[0].params.message")
    old: Any
    new: Any


class ChangeShape(Answer):
    """One change that a pass would make."""

    change: str
    watcher: str
    watcher_id: int | None = Field(description="null: it is made by the change")
    job_id: str
    hostname: str
    job_name: str
    reason: str
    withheld: str = Field(description="why it waits for approval; empty: it does not")
    file: str
    line: int
    commit: str
    fields: list[FieldShape] = Field(description="what an edit changed")


class DriftShape(Answer):
    """What a person changed by hand, and no file says: a watcher that is held still."""

    watcher: str
    watcher_id: int
    job_id: str
    hostname: str
    by: str
    reason: str
    since: datetime
    until: datetime | None


class ProblemShape(Flaw):
    """Something wrong in a file or a source. `line` and `column` are 0 where the place is not known."""

    file: str
    code: str
    value: str
    watcher: str
    severity: str
    excerpt: str = Field("", description="the line, or a part of a long one")
    excerpt_column: int = Field(0, description="the place within `excerpt`, from 1; 0: not known")


class AppliedShape(Answer):
    """What was last applied of a source."""

    revision: str
    at: datetime
    changes: int


class SourceShape(Answer):
    """One source of watchers, as the last pass found it."""

    name: str
    revision: str = Field(description="the commit, or a digest over all files; empty: it could not be read")
    failed: str = Field(description="why it could not be read")
    files: int
    bad_files: int = Field(description="their last good version stays in force")
    watchers: int = Field(description="specs that its files hold")
    applied: AppliedShape | None = Field(description="null: nothing of it was applied, as far as events are kept")


class PlanSummary(Answer):
    """How the last pass found the files, in numbers."""

    declared: int = Field(description="specs in force, with or without a job")
    invalid_files: int = Field(description="their last good version stays in force")
    waiting: int = Field(description="changes that wait for approval")
    alarms: int = Field(description="sources that are gone or empty, though they gave watchers before")


class PlanShape(Answer):
    """What a pass would change now, with the jobs as they are known."""

    changes: list[ChangeShape]
    count: int
    summary: dict[str, int] = Field(description="number of changes by kind")
    digest: str
    alarms: list[str]
    drift: list[DriftShape]
    notes: dict[str, str] = Field(description="watchers that stand though their files say otherwise, and why")
    problems: list[ProblemShape]
    sources: list[SourceShape]
    unreachable: dict[str, str]
