"""`reconcile init`: writes a first directory of watchers, or prints a systemd unit, a scrontab line, a git hook."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import click

from reconciler.cli.output import note
from reconciler.cli.text import safe
from reconciler.cli.yaml_files import write_atomically
from reconciler.errors import UsageError

_EPILOG = """\
\b
Examples:
  reconcile init                                 a first watcher in ./watchers.d
  reconcile init --systemd ./watchers.d > ~/.config/systemd/user/reconcile.service
  reconcile init --scrontab ./watchers.d         a line for `scrontab -e` or `crontab -e`
  reconcile init --post-receive > hooks/post-receive && chmod +x hooks/post-receive
"""
FIRST = "first.yaml"
SCHEMA = ".watcher.schema.json"  # hidden: a source passes over it without a word


@click.command(epilog=_EPILOG)
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default="watchers.d", metavar="[DIR]")
@click.option("--systemd", "how", flag_value="systemd", help="Print a systemd user unit that runs DIR.")
@click.option(
    "--scrontab", "how", flag_value="scrontab", help="Print a scrontab or crontab entry that passes over DIR."
)
@click.option(
    "--post-receive", "how", flag_value="post-receive", help="Print a git hook that checks a push and passes over it."
)
def command(directory: Path, how: str | None) -> None:
    """Write a first watcher, explained line by line, into DIR (default: ./watchers.d); it touches no job."""
    if how is None:
        _write(directory)
        return
    template = (Path(__file__).parent / "init_files" / how).read_text(encoding="utf-8")
    program, place = _program(), str(directory.absolute())
    quote = _systemd_word if how == "systemd" else _cron_word if how == "scrontab" else shlex.quote
    words = {"@RECONCILE@": quote(program), "@DIR@": quote(place), "@NAME@": shlex.quote(directory.name)}
    for word, value in words.items():
        template = template.replace(word, value)
    click.echo(template, nl=False)


def _write(directory: Path) -> None:
    from reconciler.cli.schema import makers

    first = directory / FIRST
    template = (Path(__file__).parent / "init_files" / FIRST).read_text(encoding="utf-8")
    if os.path.lexists(first):
        raise UsageError(f"{first} is there already", remedy="name another directory, or edit that file")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(first, template)
        write_atomically(directory / SCHEMA, makers()["watcher"]())
    except OSError as error:
        where = error.filename or first
        raise UsageError(f"{where} cannot be written: {error.strerror}", remedy="name another directory") from error
    shown = shlex.quote(str(directory))
    click.echo(f"{safe(str(first))} written")
    note(safe(f"now: reconcile validate {shown}, then: reconcile plan {shown}, then: reconcile {shown}"))


def _program() -> str:
    """Return the path of the installed program, for files that run without our PATH."""
    started = Path(sys.argv[0])
    if started.name == "reconcile" and os.access(started, os.X_OK):
        return str(started.absolute())
    beside = Path(sys.executable).with_name("reconcile")
    return str(beside) if beside.exists() else shutil.which("reconcile") or "reconcile"


def _systemd_word(word: str) -> str:
    """Quote for ExecStart= (systemd.service(5), COMMAND LINES): specifiers and variables are doubled."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _cron_word(word: str) -> str:
    r"""Quote for a line of cron, where % is a line break (crontab(5)) even inside quotes."""
    return shlex.quote(word).replace("%", "\\%")
