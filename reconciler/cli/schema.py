"""`reconcile schema`: prints the JSON Schemas of watchers, settings, tests and plans, or writes all to a directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from reconciler.cli.output import note
from reconciler.cli.text import safe
from reconciler.errors import UsageError

_EPILOG = """\
\b
Examples:
  reconcile schema > watcher.schema.json
  reconcile schema settings
  reconcile schema --write ./schemas
  reconcile schema reference > reference.md
\b
An editor with the YAML language server reads it from the first line of a file:
  # yaml-language-server: $schema=./watcher.schema.json
"""
KINDS = ("watcher", "settings", "tests", "plan", "reference")


@click.command(epilog=_EPILOG)
@click.argument("kind", type=click.Choice(KINDS), default="watcher")
@click.option(
    "--write",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write all of them into DIR instead.",
)
def command(kind: str, write: Path | None) -> None:
    """Print the JSON Schema of a watcher, of the settings, of tests, of a plan; or the reference of all fields."""
    if write is None:
        click.echo(makers()[kind](), nl=False)
        return
    for name, make in makers().items():
        path = write / file_of(name)
        try:
            write.mkdir(parents=True, exist_ok=True)
            path.write_text(make(), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}", remedy="name another directory") from error
        note(f"{safe(str(path))} written")


def file_of(kind: str) -> str:
    """Return the name of the file of a kind."""
    return "reference.md" if kind == "reference" else f"{kind}.schema.json"


def makers() -> Mapping[str, Callable[[], str]]:
    """Return what makes the text of each schema."""
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.cli.plan_rows import PlanDocument
    from reconciler.spec.reference import reference
    from reconciler.spec.schema import DIALECT, as_text, settings_schema, watcher_schema
    from reconciler.spec.testfile import WatcherTests

    own = {name: plugin.settings for name, plugin in app.action_plugins().items() if plugin.settings is not None}
    return {
        "watcher": lambda: as_text(watcher_schema(app.watcher_model())),
        "settings": lambda: as_text(settings_schema(own)),
        "reference": lambda: reference(app.watcher_model()),
        "tests": lambda: as_text({"$schema": DIALECT, **WatcherTests.model_json_schema()}),
        "plan": lambda: as_text({"$schema": DIALECT, **PlanDocument.model_json_schema()}),
    }
