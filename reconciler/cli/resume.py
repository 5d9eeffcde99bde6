"""`reconcile resume`: lets held or disabled watchers go on."""

from __future__ import annotations

import click

from reconciler.cli.asking import ask, chosen
from reconciler.cli.options import GlobalOptions
from reconciler.cli.reading import state_of
from reconciler.errors import UsageError

_EPILOG = """\
\b
Examples:
  reconcile resume "GPU alert"
  reconcile resume --job 4711 --from end     skip what was printed meanwhile
"""


@click.command(epilog=_EPILOG)
@click.argument("watchers", nargs=-1)
@click.option("--job", metavar="ID", help="Only for this job.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="All with this label (repeatable).")
@click.option(
    "--from", "start", type=click.Choice(["checkpoint", "end"]), default="checkpoint", show_default=True,
    help="Where to go on reading.",
)  # fmt: skip
@click.pass_obj
def command(
    options: GlobalOptions, watchers: tuple[str, ...], job: str | None, labels: tuple[str, ...], start: str
) -> None:
    """Resume WATCHERS (names or ids) that a person, or their own pause_watcher, held, or that failures disabled."""
    if not (watchers or job or labels):
        raise UsageError("which watchers?", remedy="name them, or give --job or --label")
    with state_of(options) as state:
        meant = chosen(state, watchers, job, labels)
    ask(options, "resume", meant, **{"from": start})
