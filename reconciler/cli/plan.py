"""`reconcile plan`: what a pass would change, and why; it changes nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import note, output_option, report
from reconciler.cli.plan_rows import drift_rows, problem_row, row_of, show, summary
from reconciler.cli.text import held
from reconciler.errors import ExitCode, RefusedError, SpecError, UsageError, worst

if TYPE_CHECKING:
    from reconciler.logic.plan import Plan

_EPILOG = """\
\b
Examples:
  reconcile plan ./watchers.d
  reconcile plan ./watchers.d -o json | jq '.changes[] | select(.change == "stop")'
  reconcile plan --offline --detailed-exitcode ./watchers.d
  reconcile plan --from origin/main -o markdown ./watchers.d    what a branch would change
"""


@click.command(epilog=_EPILOG)
@click.argument("directories", nargs=-1, type=click.Path(readable=False, path_type=Path), metavar="[DIR]...")
@click.option("--offline", is_flag=True, help="Reach no host: plan with the jobs that the state knows.")
@click.option("--from", "before", metavar="REV", help="Compare commits instead: what changes since this one.")
@click.option("--to", "after", metavar="REV", help="With --from: up to this commit (default: the files as they are).")
@click.option(
    "--repo", type=click.Path(file_okay=False, path_type=Path), help="With --from: DIR is a folder in this repository."
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 where changes are pending, 3 where only drift is.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan for `reconcile apply`.")
@output_option("markdown", "github")
@click.pass_obj
def command(
    options: GlobalOptions,
    /,
    directories: tuple[Path, ...],
    offline: bool,
    detailed_exitcode: bool,
    out: Path | None,
    output: str,
    **revisions: Any,
) -> None:
    """Show what a pass over DIR would change, and why, naming file and line. Nothing is changed.

    With --from: what differs between two commits, watcher by watcher, without any job, host or state.
    """
    if revisions["before"] or revisions["after"] or revisions["repo"]:
        from reconciler.cli.plan_revisions import show_between

        if out is not None:
            raise UsageError("two revisions make no plan that can be applied", remedy="leave out --out")
        raise SystemExit(show_between(directories, output, detailed=detailed_exitcode, **revisions))
    shown = show_plan(options, directories, output, offline=offline, detailed=detailed_exitcode)
    if out is not None:
        _save(out, shown, directories)
    raise SystemExit(shown.code)


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan that was printed: as programs get it, its digest, whether it `asks` for a yes, and the exit status."""

    document: dict[str, Any]
    digest: str
    asks: bool
    code: ExitCode


def _save(path: Path, shown: Shown, directories: tuple[Path, ...]) -> None:
    saved = {"format_version": 1, **shown.document, "directories": [str(d.absolute()) for d in directories]}
    try:
        path.write_text(json.dumps(saved, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", remedy="name another file") from error


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
    document = {
        "changes": rows,
        "summary": summary(rows),
        "digest": plan.digest(),
        "alarms": list(plan.alarms),
        "drift": drift,
        "unreachable": dict(unreachable),
        "problems": [problem_row(p) for p in plan.problems],
    }
    show(document, plan.problems, output)
    if output == "table":
        _tell(plan, unreachable, drift)
    asks = bool(rows or plan.resolution.emptied)
    return Shown(document, plan.digest(), asks, _code(plan, unreachable, drift, detailed))


async def _plan(
    options: GlobalOptions, directories: tuple[Path, ...], offline: bool
) -> tuple[Plan, Mapping[str, str], list[dict[str, Any]]]:
    from reconciler import app  # saves start-up time: it knows every class

    settings = app.load_settings(options.config)
    async with app.preview(settings, directories, offline=offline) as controller:
        plan = await controller.preview(list_jobs=not offline)
        if offline and all(job.finished for job in controller.discovery.known.values()):
            note("offline: the state knows no job that waits or runs, so no watcher can be bound to one here")
        return plan, controller.unreachable(), drift_rows(plan, time.time())


def _tell(plan: Plan, unreachable: Mapping[str, str], drift: list[dict[str, Any]]) -> None:
    for row in drift:
        why = held(row["by"], row["reason"] or "no reason given", row["until"])
        note(f"drift: {row['watcher']} on {row['job']} is {why}")
    for name, why in plan.resolution.notes.items():
        note(f"{name}: {why}")
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
