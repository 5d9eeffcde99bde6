"""`reconcile apply [PLAN]`: one pass that carries out a plan a person has looked at, and nothing else.

A saved plan names by its digest what it would do; where the plan made now has another digest, it is refused as stale.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from reconciler.cli.daemon import cut_short, signals, stopped_by
from reconciler.cli.first_run import refuse_replay
from reconciler.cli.options import GlobalOptions
from reconciler.cli.reading import gave_watchers
from reconciler.errors import ConfigurationError, ExitCode, RefusedError, UsageError, worst

_EPILOG = """\
\b
Examples:
  reconcile plan ./watchers.d --out plan.json && reconcile apply plan.json
  reconcile apply ./watchers.d --yes             plan, and carry out what the plan says, withheld changes too
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, type=click.Path(readable=False, path_type=Path), metavar="[PLAN | DIR...]")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--new-state", is_flag=True, help="In CI: begin with an empty state though hosts are remote.")
@click.pass_obj
def command(options: GlobalOptions, paths: tuple[Path, ...], yes: bool, new_state: bool) -> None:
    """Carry out PLAN, as `reconcile plan --out` saved it; or plan over DIR, show it, ask, and carry it out."""
    from reconciler import app  # saves start-up time: it knows every class

    refuse_replay(app.load_settings(options.config), new_state=new_state)
    if len(paths) == 1 and paths[0].is_file():
        saved = _read(paths[0])
        directories, digest = tuple(Path(each) for each in saved["directories"]), str(saved["digest"])
    else:
        from reconciler.cli.plan import show_plan

        directories = paths
        _check(options, directories)
        shown = show_plan(options, directories, "table")
        digest = shown.digest
        if shown.asks and not (yes or _confirmed()):
            raise RefusedError("nothing was carried out", remedy="without anybody to ask, say --yes")
    raise SystemExit(asyncio.run(_apply(options, directories, digest)))


def _check(options: GlobalOptions, directories: Sequence[Path]) -> None:
    """A directory may be gone for a moment; one that gave nothing so far is mistyped, or a plan is."""
    for path in directories:
        if not path.exists() and not gave_watchers(options, path):
            raise UsageError(f"there is no {path}", remedy="name a saved plan, or directories of watchers")


def _confirmed() -> bool:
    try:
        return click.confirm("Carry this plan out?", err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        return False  # nobody is there to answer


def _read(path: Path) -> dict[str, Any]:
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved["format_version"] == 1 and saved["digest"] and isinstance(saved["directories"], list):
            return dict(saved)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no saved plan", remedy="make one with `reconcile plan --out`") from error
    raise ConfigurationError(f"{path} is a plan of another version", remedy="make it again with `reconcile plan --out`")


async def _apply(options: GlobalOptions, directories: tuple[Path, ...], digest: str) -> ExitCode:
    from reconciler import app  # saves start-up time: it knows every class

    settings = app.load_settings(options.config)
    async with app.engine(settings, directories) as engine:
        told = signals()  # not before: until here, Ctrl-C leaves at once
        async with stopped_by(told, engine.once.stop):
            report = await engine.once.run(approve=digest, exactly=True)
    return worst([*report.codes(), *cut_short(engine.once, told)])
