"""`reconcile clean`: completes watchers whose job is gone, and deletes what is older than its retention, now."""

from __future__ import annotations

import asyncio
import time

import click

from reconciler.cli.options import GlobalOptions

_EPILOG = """\
\b
Examples:
  reconcile clean                complete watchers of vanished jobs; delete what is past retention
"""


@click.command(epilog=_EPILOG)
@click.pass_obj
def command(options: GlobalOptions) -> None:
    """Ask the schedulers what became of every watched job, complete watchers whose job is gone, and apply retention."""
    live, gone = asyncio.run(_clean(options))
    click.echo(f"{live} watchers still have work; {gone} rows were older than their retention and went")


async def _clean(options: GlobalOptions) -> tuple[int, int]:
    from reconciler import app  # saves start-up time: it knows every class

    settings = app.load_settings(options.config)
    kept = settings.state
    async with app.engine(settings, None) as engine:
        await engine.once.run()
        live = await engine.parts.state.run(lambda state: len(state.watchers(live=True)))
        gone = await engine.parts.state.run(
            lambda state: state.purge(
                time.time(), events=kept.retain_events, metrics=kept.retain_metrics, watchers=kept.retain_watchers
            )
        )
    return live, gone
