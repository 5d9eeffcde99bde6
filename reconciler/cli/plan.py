"""`reconcile plan`: what a pass would change, and why; it changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import Column, Form, emit, note, output_option, report
from reconciler.cli.text import safe
from reconciler.errors import ExitCode, RefusedError, SpecError, worst

if TYPE_CHECKING:
    from reconciler.logic.plan import Change, Plan

COLUMNS = (
    Column("symbol", ""),
    Column("change", form=Form.STATE),
    Column("watcher"),
    Column("job"),
    Column("where"),
    Column("reason"),
)
_SYMBOLS = {"create": "+", "update": "~", "replace": "~", "stop": "-", "resume": "+", "suspend": "~", "no-op": " "}
_EPILOG = """\
\b
Examples:
  reconcile plan ./watchers.d
  reconcile plan ./watchers.d -o json | jq '.changes[] | select(.change == "stop")'
  reconcile plan --offline --detailed-exitcode ./watchers.d
"""


@click.command(epilog=_EPILOG)
@click.argument("directories", nargs=-1, type=click.Path(path_type=Path), metavar="[DIR]...")
@click.option("--offline", is_flag=True, help="Reach no host: plan with the jobs that the state knows.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 where changes are pending, 3 where only drift is.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan for `reconcile apply`.")
@output_option("markdown", "github")
@click.pass_obj
def command(
    options: GlobalOptions,
    directories: tuple[Path, ...],
    offline: bool,
    detailed_exitcode: bool,
    out: Path | None,
    output: str,
) -> None:
    """Show what a pass over DIR would change, and why, naming file and line. Nothing is changed."""
    shown = show_plan(options, directories, output, offline=offline, detailed=detailed_exitcode)
    if out is not None:
        saved = {"format_version": 1, "digest": shown.digest, "directories": [str(d.absolute()) for d in directories]}
        out.write_text(json.dumps({**saved, "changes": shown.rows}, indent=2) + "\n", encoding="utf-8")
    raise SystemExit(shown.code)


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan that was printed: what it would do, its digest, and the exit status."""

    rows: list[dict[str, Any]]
    digest: str
    code: ExitCode


def show_plan(
    options: GlobalOptions,
    directories: tuple[Path, ...],
    output: str,
    *,
    offline: bool = False,
    detailed: bool = False,
) -> Shown:
    """Print the plan and return what it was."""
    plan, unreachable, drift = asyncio.run(_plan(options, directories, offline))
    rows = [row_of(change) for change in plan.pending]
    counts = _counts(plan)
    extra = {
        "summary": counts,
        "digest": plan.digest(),
        "alarms": list(plan.alarms),
        "drift": drift,
        "unreachable": unreachable,
        "problems": [problem_row(p) for p in plan.problems],
    }
    if output == "markdown":
        _markdown(rows)
    elif output == "github":
        _github(plan, rows)
    else:
        emit(rows, COLUMNS, output, name="changes", extra=extra, empty="No changes: all is as declared.")
    if output == "table":
        _tell_fields(rows)
        _tell(plan, unreachable, drift, counts)
    return Shown(rows, plan.digest(), _code(plan, unreachable, drift, detailed))


def _markdown(rows: list[dict[str, Any]]) -> None:
    """A table for a comment on a pull request."""
    click.echo("| | change | watcher | job | where | reason |\n|---|---|---|---|---|---|")
    for row in rows:
        cells = [str(row[key]).replace("|", "\\|") for key in ("symbol", "change", "watcher", "job", "where", "reason")]
        click.echo(safe("| " + " | ".join(cells) + " |"))
    if not rows:
        click.echo("| | no changes | | | | all is as declared |")


def _github(plan: Plan, rows: list[dict[str, Any]]) -> None:
    """Workflow commands that GitHub shows beside the lines."""
    for problem in plan.problems:
        place = f"file={problem.file},line={max(1, problem.line)},col={max(1, problem.column)}"
        click.echo(safe(f"::{problem.severity} {place},title={problem.code}::{problem.message}. {problem.remedy}"))
    for row in rows:
        text = f"{row['change']} {row['watcher']} on {row['job']}: {row['reason']}"
        click.echo(safe(f"::notice file={row['file']},line={row['line']},title=plan::{text}"))


async def _plan(
    options: GlobalOptions, directories: tuple[Path, ...], offline: bool
) -> tuple[Plan, Mapping[str, str], list[dict[str, Any]]]:
    from reconciler import app  # saves start-up time: it knows every class

    settings = app.load_settings(options.config)
    async with app.preview(settings, directories, offline=offline) as controller:
        plan = await controller.preview(list_jobs=not offline)
        return plan, controller.unreachable(), drift_rows(plan)


def drift_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return what a person changed by hand: the manual suspensions."""
    rows = []
    for change in plan.changes:
        for hold in change.before.holds if change.before else ():
            if hold.kind == "manual":
                rows.append(
                    {
                        "watcher": change.name,
                        "job": str(change.job),
                        "by": hold.by,
                        "reason": hold.reason,
                        "since": hold.since,
                        "until": hold.until,
                    }
                )
    return rows


def row_of(change: Change) -> dict[str, Any]:
    """Return one change as programs get it."""
    return {
        "symbol": _SYMBOLS[change.kind],
        "change": str(change.kind),
        "watcher": change.name,
        "job": str(change.job),
        "job_name": change.job_name,
        "where": f"{change.origin.file}:{change.origin.line}",
        "file": change.origin.file,
        "line": change.origin.line,
        "commit": change.origin.commit,
        "reason": change.reason,
        "withheld": change.withheld,
        "fields": [{"path": f.path, "old": f.old, "new": f.new} for f in change.fields],
    }


def problem_row(problem: Any) -> dict[str, Any]:
    """Return a problem as programs get it."""
    return {name: getattr(problem, name) for name in problem.__dataclass_fields__}


def _counts(plan: Plan) -> dict[str, int]:
    counts: dict[str, int] = {}
    for change in plan.pending:
        counts[str(change.kind)] = counts.get(str(change.kind), 0) + 1
    return counts


def _tell_fields(rows: list[dict[str, Any]]) -> None:
    """Say once for each edited spec what the edit changed."""
    told = set()
    for row in rows:
        if row["fields"] and row["watcher"] not in told:
            told.add(row["watcher"])
            click.echo(safe(f"~ {row['watcher']}  {row['where']}"))
            for field in row["fields"]:
                click.echo(safe(f"    {field['path']}: {_shown(field['old'])} -> {_shown(field['new'])}"))


def _shown(value: Any) -> str:
    return "(default)" if value is None else json.dumps(value, ensure_ascii=False)


def _tell(plan: Plan, unreachable: Mapping[str, str], drift: list[dict[str, Any]], counts: Mapping[str, int]) -> None:
    if counts:
        click.echo("Plan: " + ", ".join(f"{n} to {kind}" for kind, n in sorted(counts.items())) + ".")
    for row in drift:
        note(
            f"drift: {row['watcher']} on {row['job']} is suspended by {row['by']}: {row['reason'] or 'no reason given'}"
        )
    for desired in plan.resolution.desired.values():
        if desired.note and desired.binds:
            note(f"{desired.name}: {desired.note}")
    for host, reason in unreachable.items():
        note(f"{host}: not reachable: {reason}; planned with what is known of it")
    if plan.problems:
        report(SpecError(plan.problems))
    try:
        plan.raise_if_unsafe()
    except RefusedError as error:
        report(error)


def _code(plan: Plan, unreachable: Mapping[str, str], drift: list[dict[str, Any]], detailed: bool) -> ExitCode:
    codes = [ExitCode.OK]
    if any(p.severity == "error" for p in plan.problems):
        codes.append(ExitCode.INVALID)
    if plan.alarms or plan.withheld:
        codes.append(ExitCode.REFUSED)
    if unreachable:
        codes.append(ExitCode.PARTIAL)
    if detailed and plan.pending:
        codes.append(ExitCode.CHANGES_PENDING)
    elif detailed and drift:
        codes.append(ExitCode.DRIFT_PENDING)
    return worst(codes)
