"""`reconcile export [NAME...]`: the watchers in force as YAML that loads again; the state is opened read-only."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import click
import orjson

from reconciler.cli.options import GlobalOptions
from reconciler.cli.reading import state_of
from reconciler.cli.yaml_files import as_yaml, write_out
from reconciler.errors import UsageError

_EPILOG = """\
\b
Examples:
  reconcile export > all.yaml
  reconcile export "Loss tracker" 'GPU *'
  reconcile export --out ./watchers.d            one file for each
"""


@click.command(epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write one file for each into this directory."
)
@click.pass_obj
def command(options: GlobalOptions, names: tuple[str, ...], out: Path | None) -> None:
    """Write the watchers in force (or those called NAME; globs allowed) as YAML, with the place each came from."""
    with state_of(options) as state:
        specs = sorted(state.specs(), key=lambda spec: spec.name)
    for name in names:
        if not any(_is(name, spec.name) for spec in specs):
            raise UsageError(
                f"there is no watcher {name!r} in force", remedy="`reconcile status --all` lists the names"
            )
    chosen = [spec for spec in specs if not names or any(_is(name, spec.name) for name in names)]
    documents = []
    for spec in chosen:
        commit = f" at {spec.origin.commit[:12]}" if spec.origin.commit else ""
        comment = f"from {spec.origin.file}:{spec.origin.line}{commit}"
        documents.append((str(spec.name), as_yaml(orjson.loads(spec.body), [comment])))
    write_out(documents, out)


def _is(wanted: str, name: str) -> bool:
    return wanted == name or fnmatchcase(name, wanted)
