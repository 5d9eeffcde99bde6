"""`reconcile replay`: watchers over outputs that exist already; nothing is done, everything is shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import orjson

from reconciler.cli.output import Column, Form, emit, output_option
from reconciler.errors import ExitCode, SpecError, UsageError

if TYPE_CHECKING:
    from reconciler.logic.compiled import CompiledSpec
    from reconciler.logic.replay import Replayed

COLUMNS = (
    Column("watcher"),
    Column("matches", form=Form.NUMBER),
    Column("fires", "WOULD FIRE", Form.NUMBER),
    Column("errors", "CONDITION ERRORS", Form.NUMBER),
    Column("outputs", form=Form.NUMBER),
    Column("last", "LAST MATCH"),
)
_EPILOG = """\
\b
Examples:
  reconcile replay --watchers ./watchers.d slurm-4711.out
  reconcile replay --watchers loss.yaml --only "Loss tracker" *.out -o jsonl | jq .captures
  zcat old.out.gz | reconcile replay --watchers ./watchers.d -
"""
#: Bytes read at a time.
BLOCK = 1024 * 1024
#: A file of so many bytes gets a progress bar, on a terminal.
LONG = 64 * 1024 * 1024


@click.command(epilog=_EPILOG)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--watchers", required=True, type=click.Path(exists=True, path_type=Path), help="A file or directory of watchers."
)
@click.option("--only", multiple=True, metavar="NAME", help="Only this watcher (repeatable).")
@output_option()
def command(files: tuple[str, ...], watchers: Path, only: tuple[str, ...], output: str) -> None:
    """Run watchers over finished outputs (`-`: standard input): what matches, what would be done. Nothing is done."""
    specs = _specs(watchers, only)
    if output == "jsonl":
        for file, found in _all(specs, files, render=True):
            sys.stdout.buffer.write(orjson.dumps(row_of(file, found)) + b"\n")
    elif output == "table":
        rows = _summary(specs, _all(specs, files, render=False))
        emit(rows, COLUMNS, output, empty="no watcher has a pattern")
        fired = sum(row["fires"] for row in rows)
        click.echo(f"would have fired {fired} times on {len(files)} output{'s' if len(files) != 1 else ''}")
    else:
        emit([row_of(f, r) for f, r in _all(specs, files, render=True)], (), output, name="matches")
    raise SystemExit(ExitCode.OK)


def row_of(file: str, found: Replayed) -> dict[str, Any]:
    """Return one match as programs get it."""
    match = found.match
    return {
        "watcher": found.watcher,
        "file": file,
        "line": match.line,
        "offset": match.offset,
        "matched_text": match.text,
        "captures": {**{str(n): value for n, value in enumerate(match.groups, 1)}, **match.captures},
        "condition": found.condition,
        "actions": found.actions,
    }


def _specs(watchers: Path, only: Sequence[str]) -> list[CompiledSpec]:
    """Return the watchers of a file or directory, ready to run. Raises SpecError, UsageError."""
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.logic.compiled import compile_spec
    from reconciler.sources.directory import accepted

    paths = [p for p in sorted(watchers.iterdir()) if accepted(p.name)] if watchers.is_dir() else [watchers]
    kinds, _ = app.make_actions(app.default_settings())
    problems, found = [], []
    for path in paths:
        loaded = app.parse(path.read_bytes(), str(path))
        problems += [problem for problem in loaded.problems if problem.severity == "error"]
        found += [located.spec for located in loaded.specs if not only or located.spec.name in only]
    if problems:
        raise SpecError(problems)
    missing = set(only) - {spec.name for spec in found}
    if missing or not found:
        raise UsageError(f"there is no watcher {', '.join(sorted(missing)) or 'here'}", remedy=f"look into {watchers}")
    return [compile_spec(spec, "replay", kinds) for spec in found if spec.expressions()]


def _all(specs: Sequence[CompiledSpec], files: Sequence[str], *, render: bool) -> Iterator[tuple[str, Replayed]]:
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.logic.replay import Replay
    from reconciler.spec.testfile import SampleJob

    for file in files:
        replay = Replay(specs, app.job_of(SampleJob(name=Path(file).stem)), render=render)
        with _open(file) as stream, _bar(file) as bar:
            while block := stream.read(BLOCK):
                for found in replay.feed(block):
                    yield file, found
                if bar is not None:
                    bar.update(len(block))
            for found in replay.finish():
                yield file, found


def _open(file: str) -> Any:
    """Return the output as a context manager; pipes are read as they come."""
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        opened: BinaryIO = open(file, "rb")  # noqa: SIM115 - the caller closes it
    except OSError as error:
        raise UsageError(
            f"{file}: {error.strerror}", remedy="name an output that exists and that you may read"
        ) from error
    return opened


def _bar(file: str) -> Any:
    size = 0 if file == "-" else Path(file).stat().st_size
    if size < LONG or not sys.stderr.isatty():
        return nullcontext()
    return click.progressbar(length=size, label=Path(file).name, file=sys.stderr)


def _summary(specs: Sequence[CompiledSpec], found: Iterator[tuple[str, Replayed]]) -> list[dict[str, Any]]:
    rows = {s.spec.name: {"watcher": s.spec.name, "matches": 0, "fires": 0, "errors": 0, "last": ""} for s in specs}
    outputs: dict[str, set[str]] = {name: set() for name in rows}
    for file, each in found:
        row = rows[each.watcher]
        row["matches"] += 1  # type: ignore[operator]
        row["fires"] += each.fires  # type: ignore[operator]
        row["errors"] += isinstance(each.condition, str)  # type: ignore[operator]
        row["last"] = each.match.text[:80]
        outputs[each.watcher].add(file)
    return [{**row, "outputs": len(outputs[name])} for name, row in rows.items()]
