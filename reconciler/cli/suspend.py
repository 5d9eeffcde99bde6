"""`reconcile suspend`: holds watchers by hand; their position waits."""

from __future__ import annotations

import time

import click
import durationpy

from reconciler.cli.asking import ask, chosen
from reconciler.cli.options import GlobalOptions
from reconciler.cli.reading import state_of
from reconciler.errors import UsageError

_EPILOG = """\
\b
Examples:
  reconcile suspend "GPU alert" --reason "maintenance" --for 2h
  reconcile suspend --label team=vision --reason "new driver"
"""


@click.command(epilog=_EPILOG)
@click.argument("watchers", nargs=-1)
@click.option("--job", metavar="ID", help="Only for this job.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="All with this label (repeatable).")
@click.option("--reason", default="", help="Shown wherever the suspension is.")
@click.option("--for", "length", metavar="DURATION", help="Until when: 30m, 2h, 3d; left out: until `resume`.")
@click.pass_obj
def command(
    options: GlobalOptions,
    watchers: tuple[str, ...],
    job: str | None,
    labels: tuple[str, ...],
    reason: str,
    length: str | None,
) -> None:
    """Suspend WATCHERS (names or ids). Files do not undo it: it shows as drift until `resume`."""
    if not (watchers or job or labels):
        raise UsageError("which watchers?", remedy="name them, or give --job or --label")
    until = time.time() + _seconds(length) if length else None
    with state_of(options) as state:
        meant = chosen(state, watchers, job, labels)
    ask(options, "suspend", meant, reason=reason, until=until)


def _seconds(text: str) -> float:
    try:
        seconds = float(durationpy.from_str(text).total_seconds())
    except (durationpy.DurationError, ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is no duration", remedy="write 30m, 2h or 3d") from error
    if seconds <= 0:
        raise UsageError(f"--for {text}: that is over before it begins", remedy="write 30m, 2h or 3d, or leave it out")
    return seconds
