"""`reconcile drift`: what a person changed by hand and the files do not say; the state is opened read-only."""

from __future__ import annotations

import time

import click

from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import Column, Form, emit, output_option
from reconciler.cli.reading import state_of
from reconciler.errors import ExitCode
from reconciler.model import HoldKind

COLUMNS = (
    Column("watcher"),
    Column("job"),
    Column("by"),
    Column("reason"),
    Column("since", form=Form.AGE),
    Column("until", form=Form.TIME),
)
_EPILOG = """\
\b
Examples:
  reconcile drift
  reconcile drift --detailed-exitcode -o json      3 where something drifted
"""


@click.command(epilog=_EPILOG)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 3 where something drifted.")
@output_option()
@click.pass_obj
def command(options: GlobalOptions, detailed_exitcode: bool, output: str) -> None:
    """Show watchers that are held by hand: by whom, why, since when and until when. `reconcile resume` ends it."""
    now = time.time()
    with state_of(options) as state:
        rows = [
            {
                "watcher": watcher.name,
                "job": str(watcher.job),
                "by": hold.by,
                "reason": hold.reason,
                "since": hold.since,
                "until": hold.until,
            }
            for watcher in state.watchers(live=True)
            for hold in watcher.holds
            if hold.kind is HoldKind.MANUAL and hold.lasts(now)
        ]
        emit(rows, COLUMNS, output, name="drift", empty="No drift: nothing was changed by hand.")
    if rows and detailed_exitcode:
        raise SystemExit(ExitCode.DRIFT_PENDING)
