"""The options that every command takes: `--config`, `-v`, `-q`, `--debug`; and what they were set to.

A command that needs them is written `@click.pass_obj def command(options: GlobalOptions, ...)`. They stand before the
command's name or after it, unless the command itself has an option of that name.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from reconciler import __version__
from reconciler.cli.text import safe


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """What was said for all commands. `config`: the settings file (None: the usual places)."""

    config: Path | None = None
    debug: bool = False


def global_options() -> list[click.Option]:
    """Return fresh options; their callbacks put what they got into the context's `obj`."""
    return [
        click.Option(
            ["--config", "-c"],
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            envvar="RECONCILER_CONFIG",
            help="Settings file (default: reconciler.yaml in $XDG_CONFIG_HOME/reconciler, then in /etc/reconciler).",
            expose_value=False,
            callback=_remember("config"),
        ),
        click.Option(
            ["-v", "--verbose"],
            count=True,
            help="Say more (-vv: all of ours, -vvv: the libraries' too).",
            expose_value=False,
            callback=_louder,
        ),
        click.Option(
            ["-q", "--quiet"], count=True, help="Say only what is wrong.", expose_value=False, callback=_quieter
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            help="Show where an internal error came from.",
            expose_value=False,
            callback=_remember("debug"),
        ),
    ]


def version_option() -> click.Option:
    """Return `--version` for where `main` has not answered it already, among other words."""
    return click.Option(
        ["--version", "-V"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_version,
        help="Show the version.",
    )


def add_to(command: click.Command) -> click.Command:
    """Give `command` the global options that do not clash with its own; doing it twice changes nothing."""
    taken = {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}
    command.params.extend(option for option in global_options() if not taken.intersection(option.opts))
    return command


def _remember(name: str) -> Any:
    def callback(context: click.Context, _: click.Parameter, value: object) -> None:
        known = context.obj or GlobalOptions(debug=bool(os.environ.get("RECONCILER_DEBUG")))
        context.obj = replace(known, **{name: value}) if value else known

    return callback


def _version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"reconcile {__version__}")
        context.exit()


def _louder(_: click.Context, __: click.Parameter, value: int) -> None:
    """Our own loggers first; the libraries' chatter only at the third `v`."""
    if value:
        logging.getLogger("reconciler").setLevel(logging.INFO if value == 1 else logging.DEBUG)
    if value > 2:
        logging.getLogger().setLevel(logging.DEBUG)


def _quieter(_: click.Context, __: click.Parameter, value: int) -> None:
    if value:
        logging.getLogger().setLevel(logging.ERROR)


class SafeFormatter(logging.Formatter):
    """One line a record: what a job's output carries never reaches the terminal raw; tracebacks keep their lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return safe(super().format(record), keep="\n" if record.exc_info else "")


def start_logging() -> None:
    """Send warnings and worse to standard error; `-v` and `-q` change how much."""
    target = logging.StreamHandler()
    target.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[target])
