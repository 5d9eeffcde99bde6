"""`reconcile trigger`: runs a watcher's actions now, once, on its newest match."""

from __future__ import annotations

import click

from reconciler.cli.asking import ask, chosen
from reconciler.cli.options import GlobalOptions
from reconciler.cli.reading import state_of
from reconciler.errors import UsageError

_EPILOG = """\
\b
Examples:
  reconcile trigger "Loss tracker" --job 4711
  reconcile trigger 12
"""


@click.command(epilog=_EPILOG)
@click.argument("watcher")
@click.option("--job", metavar="ID", help="Only for this job.")
@click.pass_obj
def command(options: GlobalOptions, watcher: str, job: str | None) -> None:
    """Run the actions of WATCHER (a name or an id) once, on the newest match, or on none."""
    with state_of(options) as state:
        meant = chosen(state, (watcher,), job, ())
    if len(meant) > 1 and not any(each.phase.live for each in meant):  # nobody wants yesterday's jobs resubmitted
        raise UsageError(f"{len(meant)} jobs that have ended are meant", remedy="say which: --job, or the watcher's id")
    ask(options, "trigger", meant)
