"""A plan as programs get it, and as people and pull requests are shown it; `plan` and `apply` print through here.

The models are the schema of `plan -o json` and of a saved plan (`reconcile schema plan`), nothing else: a test holds
what is printed against them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from reconciler.cli.output import Column, Form, emit
from reconciler.cli.problems import annotation, escaped
from reconciler.cli.text import safe
from reconciler.errors import Problem

if TYPE_CHECKING:
    from reconciler.logic.plan import Change, Plan
    from reconciler.logic.revisions import SpecChange

COLUMNS = (
    Column("symbol", ""),
    Column("change", form=Form.STATE),
    Column("watcher"),
    Column("job"),
    Column("where"),
    Column("reason"),
)
_SYMBOLS = {"create": "+", "update": "~", "replace": "~", "stop": "-", "resume": "+", "suspend": "~", "no-op": " "}


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FieldRow(_Row):
    """One field that an edit changed; null where it was not written, so that its default held."""

    path: str = Field(description="dotted, with list positions: actions[0].params.message")
    old: JsonValue
    new: JsonValue


class ChangeRow(_Row):
    """What becomes of one watcher. Between two revisions there are no jobs: `job` and `job_name` are empty."""

    symbol: Literal["+", "~", "-"]
    change: Literal["create", "update", "replace", "stop", "resume", "suspend"]
    watcher: str
    job: str = Field(description="id@host")
    job_name: str
    where: str = Field(description="file:line")
    file: str
    line: int
    commit: str = Field(description="empty where the file is of no commit")
    reason: str
    withheld: str = Field(description="why it waits for approval; empty: it does not")
    fields: tuple[FieldRow, ...] = Field(description="what an edit changed")


class DriftRow(_Row):
    """What a person changed by hand."""

    watcher: str
    job: str
    by: str
    reason: str
    since: float = Field(description="seconds since the epoch")
    until: float | None


class ProblemRow(_Row):
    """Something wrong in a file or a source; line and column are 0 where the place is not known."""

    file: str
    line: int
    column: int
    code: str
    message: str
    remedy: str
    value: str
    watcher: str
    severity: Literal["error", "warning"]
    field: str = Field("", description="what is meant, as dotted path (`actions[0].params.message`)")


class PlanDocument(_Row):
    """What `reconcile plan -o json` prints, and `--out` saves."""

    format_version: Literal[1]
    changes: tuple[ChangeRow, ...]
    summary: Mapping[str, int] = Field(description="number of changes by kind")
    digest: str = Field(description="names what would be done: `apply`, `--approve`; empty between two revisions")
    alarms: tuple[str, ...] = Field(description="sources that are gone or empty: nothing of theirs is stopped")
    drift: tuple[DriftRow, ...]
    unreachable: Mapping[str, str] = Field(description="hosts that did not answer, and why")
    problems: tuple[ProblemRow, ...]
    directories: tuple[str, ...] = Field((), description="in a saved plan: the directories it was made of")


def row_of(change: Change) -> dict[str, Any]:
    """Return one change as programs get it."""
    return _row(change, str(change.job), change.job_name, change.withheld)


def row_of_spec(change: SpecChange) -> dict[str, Any]:
    """Return one change between two revisions as programs get it."""
    return _row(change, "", "", "")


def _row(change: Change | SpecChange, job: str, job_name: str, withheld: str) -> dict[str, Any]:
    return {
        "symbol": _SYMBOLS[change.kind],
        "change": str(change.kind),
        "watcher": change.name,
        "job": job,
        "job_name": job_name,
        "where": f"{change.origin.file}:{change.origin.line}",
        "file": change.origin.file,
        "line": change.origin.line,
        "commit": change.origin.commit,
        "reason": change.reason,
        "withheld": withheld,
        "fields": [{"path": f.path, "old": f.old, "new": f.new} for f in change.fields],
    }


def drift_rows(plan: Plan, now: float) -> list[dict[str, Any]]:
    """Return what a person changed by hand: the manual suspensions that have not run out."""
    return [
        {
            "watcher": change.name,
            "job": str(change.job),
            "by": hold.by,
            "reason": hold.reason,
            "since": hold.since,
            "until": hold.until,
        }
        for change in plan.changes
        for hold in (change.before.holds if change.before else ())
        if hold.kind == "manual" and hold.lasts(now)
    ]


def problem_row(problem: Problem) -> dict[str, Any]:
    """Return a problem as programs get it."""
    return {name: getattr(problem, name) for name in problem.__dataclass_fields__}


def summary(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the number of changes by kind."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["change"]] = counts.get(row["change"], 0) + 1
    return counts


def show(document: Mapping[str, Any], problems: Iterable[Problem], output: str) -> None:
    """Print a plan on standard output; `document` as `PlanDocument`, without its version."""
    rows = document["changes"]
    if output == "markdown":
        _markdown(document)
    elif output == "github":
        _github(problems, document)
    else:
        extra = {key: value for key, value in document.items() if key != "changes"}
        emit(rows, COLUMNS, output, name="changes", extra=extra, empty="No changes: all is as declared.")
    if output == "table" and rows:
        _tell_fields(rows)
        click.echo("Plan: " + ", ".join(f"{n} to {kind}" for kind, n in sorted(document["summary"].items())) + ".")


def _markdown(document: Mapping[str, Any]) -> None:
    """A table for a comment on a pull request, and what else a reader must know."""
    rows = [{**row, "where": f"{_near(row['file'])}:{row['line']}"} for row in document["changes"]]
    click.echo("| | change | watcher | job | where | reason |\n|---|---|---|---|---|---|")
    for row in rows:
        cells = [cell(str(row[key])) for key in ("symbol", "change", "watcher", "job", "where", "reason")]
        click.echo(safe("| " + " | ".join(cells) + " |"))
    if not rows:
        click.echo("| | no changes | | | | all is as declared |")
    _tell_fields(rows, "- `{path}`: {old} → {new}", "\n**{watcher}** ({where})\n")
    wrong = [f"{_near(p['file'])}:{p['line']}: {p['message']} ({p['remedy']})" for p in document["problems"]]
    for title, lines in (("Waits for approval", _obstacles(document)), ("Wrong in the files", wrong)):
        if lines:
            click.echo(f"\n**{title}**\n")
        for line in lines:
            click.echo(safe(f"- {cell(line)}"))


def _obstacles(document: Mapping[str, Any]) -> list[str]:
    """Return why something is not carried out, each reason once."""
    held = (row["withheld"] for row in document["changes"] if row["withheld"])
    return list(dict.fromkeys([*document["alarms"], *held]))


def _near(file: str) -> str:
    """Return a path as it is named from here, where it lies below: CI looks for it in the repository."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def cell(text: str) -> str:
    """Return a text that neither ends its cell nor is read as HTML or as a mention of somebody."""
    for character in "\\|<>&@`*_[]":
        text = text.replace(character, f"\\{character}")
    return text


def _github(problems: Iterable[Problem], document: Mapping[str, Any]) -> None:
    """Workflow commands that GitHub shows beside the lines."""
    for problem in problems:
        click.echo(safe(annotation(replace(problem, file=_near(problem.file)))))
    for row in document["changes"]:
        on = f" on {row['job']}" if row["job"] else ""
        held = f" (waits for approval: {row['withheld']})" if row["withheld"] else ""
        text = escaped(f"{row['change']} {row['watcher']}{on}: {row['reason']}{held}")
        click.echo(
            safe(f"::notice file={escaped(_near(row['file']), more=True)},line={row['line']},title=plan::{text}")
        )
    for alarm in document["alarms"]:
        click.echo(safe(f"::warning title=plan::{escaped(alarm)}"))


def _tell_fields(
    rows: list[dict[str, Any]], form: str = "    {path}: {old} -> {new}", head: str = "~ {watcher}  {where}"
) -> None:
    """Say once for each edited spec what the edit changed."""
    told = set()
    for row in rows:
        if row["fields"] and row["watcher"] not in told:
            told.add(row["watcher"])
            click.echo(safe(head.format(**row), keep="\n"))
            for field in row["fields"]:
                old, new = (_shown(field[key]) for key in ("old", "new"))
                click.echo(safe(form.format(path=field["path"], old=old, new=new)))


def _shown(value: Any) -> str:
    return "(default)" if value is None else json.dumps(value, ensure_ascii=False)
