"""`reconcile doctor`: whether this machine and the hosts are fit for it, and what to do where they are not."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import Column, Form, emit, output_option
from reconciler.errors import ExitCode, StateError, UsageError
from reconciler.model import HostName

if TYPE_CHECKING:
    from reconciler.engine.checkup import Finding
    from reconciler.settings import Settings

COLUMNS = (
    Column("where"),
    Column("check"),
    Column("verdict", form=Form.STATE),
    Column("detail"),
    Column("remedy", "WHAT TO DO"),
)
_EPILOG = """\
\b
Exit status: 0 nothing fails, 1 something here fails, 7 a host does not answer.

\b
Examples:
  reconcile doctor
  reconcile doctor --host hpc1
  reconcile doctor -o json | jq '.findings[] | select(.verdict != "ok")'
"""


@click.command(epilog=_EPILOG)
@click.option("--host", "hosts", multiple=True, help="This host alone; repeatable (default: all of the settings).")
@output_option()
@click.pass_obj
def command(options: GlobalOptions, hosts: tuple[str, ...], output: str) -> ExitCode:
    """Check this machine and its hosts: state, permissions, limits, reachable, scheduler, clock. Changes nothing."""
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.engine.checkup import exit_code

    settings = app.load_settings(options.config)
    findings = asyncio.run(_findings(settings, hosts))
    rows = [{key: value for key, value in asdict(finding).items() if key != "code"} for finding in findings]
    emit(rows, COLUMNS, output, name="findings")
    return exit_code(findings)


async def _findings(settings: Settings, names: tuple[str, ...]) -> list[Finding]:
    """Look at everything; the hosts are let go of whatever happens."""
    from reconciler import app
    from reconciler.engine.checkup import check_hosts, check_machine
    from reconciler.engine.discovery import recall_schedulers
    from reconciler.state import open_readonly
    from reconciler.transports.local import LocalTransport

    if strangers := [name for name in names if name not in settings.hosts]:
        raise UsageError(f"no host is called {strangers[0]!r}", remedy=f"one of: {', '.join(settings.hosts)}")
    app.make_actions(settings)  # raises where a channel or an action's settings cannot be used
    findings = list(check_machine(app.state_path(settings), app.events_path(settings), tuple(settings.channels)))
    hosts = {name: app.make_host(HostName(name), settings) for name in names or settings.hosts}
    with suppress(StateError), closing(open_readonly(app.state_path(settings))) as state:  # `check_machine` tells of it
        recall_schedulers(hosts.values(), state)
    far = [name for name, host in hosts.items() if not isinstance(host.transport, LocalTransport)]
    try:
        return findings + await check_hosts(hosts, far, engine=settings.engine)
    finally:
        for host in hosts.values():
            await host.transport.close()
