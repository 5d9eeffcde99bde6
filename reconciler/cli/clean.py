"""`reconcile clean`: completes watchers whose job is gone, and deletes what is older than its retention, now."""

from __future__ import annotations

import asyncio

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
    click.echo(f"{live} watchers still have work; {gone} rows and files were older than their retention and went")


async def _clean(options: GlobalOptions) -> tuple[int, int]:
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.engine.retention import purge

    settings = app.load_settings(options.config)
    async with app.engine(settings, None) as engine:
        await engine.once.run()
        live = await engine.parts.state.run(lambda state: len(state.watchers(live=True)))
        gone = await purge(engine.parts, engine.controller)
    return live, gone
