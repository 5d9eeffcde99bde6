"""`reconcile replay`: watchers over outputs that exist already; nothing is done, everything is shown."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import orjson

from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import FORMAT_VERSION, Column, Form, emit, harmless, note, output_option, safe
from reconciler.cli.yaml_files import content_of
from reconciler.errors import SpecError, UsageError

if TYPE_CHECKING:
    from reconciler.logic.compiled import CompiledSpec
    from reconciler.logic.replay import Replay, Replayed

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
  reconcile replay --watchers ./watchers.d --last 30 -o markdown    over the jobs that ended last, for a pull request
"""
#: Bytes read at a time: as many as the scanner likes best, see `logic.blocks`.
BLOCK = 60 * 1024
#: A file of so many bytes is worth compiling all patterns for the fastest engine from the start.
LONG = 8 * 1024 * 1024
#: A file of so many bytes gets a progress bar, on a terminal.
VERY_LONG = 64 * 1024 * 1024


@click.command(epilog=_EPILOG)
@click.argument("files", nargs=-1, metavar="[FILE...]")
@click.option(
    "--watchers", required=True, type=click.Path(exists=True, path_type=Path), help="A file or directory of watchers."
)
@click.option("--only", multiple=True, metavar="NAME", help="Only this watcher (repeatable).")
@click.option(
    "--last",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="Over the outputs of the N jobs that ended last and that the watchers are for, in place of files.",
)
@output_option("markdown", "github")
@click.pass_obj
def command(
    options: GlobalOptions, files: tuple[str, ...], watchers: Path, only: tuple[str, ...], last: int | None, output: str
) -> None:
    """Run watchers over finished outputs (`-`: standard input): what matches, what would be done. Nothing is done."""
    if bool(files) == bool(last):
        raise UsageError("name either outputs or --last N", remedy="`reconcile replay --help` has examples")
    specs = _specs(watchers, only, every=bool(last))
    with _undisturbed():
        if last:
            from reconciler.cli.replay_jobs import show, survey  # saves start-up time

            show(survey(specs, options.config, last), output)
        else:
            _show(specs, files, output)


def _show(specs: Sequence[CompiledSpec], files: Sequence[str], output: str) -> None:
    if output == "table":
        rows = _summary(specs, files)
        emit(rows, COLUMNS, output, empty="no watcher has a pattern")
        fired = sum(row["fires"] for row in rows)
        click.echo(f"would have fired {fired} times on {len(files)} output{'s' if len(files) != 1 else ''}")
    elif output in ("markdown", "github"):
        _show_survey(specs, files, output)
    elif output == "yaml":
        emit([row_of(f, r) for f, r in _all(specs, files, render=True)], (), output, name="matches")
    else:
        write = sys.stdout.buffer.write
        opening, between, closing = _FRAMES[output]
        write(opening)
        for number, (file, found) in enumerate(_all(specs, files, render=True)):
            write(between if number else b"")
            write(_line(row_of(file, found)))
        write(closing)


def _show_survey(specs: Sequence[CompiledSpec], files: Sequence[str], output: str) -> None:
    from reconciler.cli.replay_jobs import Survey, show  # saves start-up time

    actions = {each.spec.name: [action.type for action in each.spec.actions] for each in specs}
    rows = [
        {**row, "matched": row["outputs"], "outputs": len(files), "actions": actions[row["watcher"]]}
        for row in _summary(specs, files)
    ]
    show(Survey(rows, len(files)), output)


#: What stands before, between and behind the objects: an array is written as it comes too, so memory stays bounded.
_FRAMES = {
    "jsonl": (b"", b"", b""),
    "json": (b'{"format_version": %d, "matches": [\n' % FORMAT_VERSION, b",", b"]}\n"),
}


def _line(row: dict[str, Any]) -> bytes:
    """Return a match as one line of JSON; what a terminal would obey is escaped."""
    line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    return line if line.isascii() and b"\x7f" not in line else harmless(line.decode()).encode()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the collector of cycles from looking at millions of matches, which have none."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


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


def _specs(watchers: Path, only: Sequence[str], *, every: bool = False) -> list[CompiledSpec]:
    """Return the watchers of a file or directory, ready to run; without `every`, those that have a pattern.

    Raises SpecError, UsageError.
    """
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.logic.compiled import compile_spec
    from reconciler.sources.files import accepted

    paths = [p for p in sorted(watchers.iterdir()) if accepted(p.name)] if watchers.is_dir() else [watchers]
    kinds, _ = app.make_actions(app.default_settings())
    problems, found = [], []
    for path in paths:
        loaded = app.parse(content_of(path), str(path), lean=True)
        problems += [problem for problem in loaded.problems if problem.severity == "error"]
        found += [located.spec for located in loaded.specs if not only or located.spec.name in only]
    if problems:
        raise SpecError(problems)
    missing = set(only) - {spec.name for spec in found}
    if missing or not found:
        raise UsageError(f"there is no watcher {', '.join(sorted(missing)) or 'here'}", remedy=f"look into {watchers}")
    return [compile_spec(spec, "replay", kinds) for spec in found if every or spec.expressions()]


def _all(specs: Sequence[CompiledSpec], files: Sequence[str], *, render: bool) -> Iterator[tuple[str, Replayed]]:
    for file in files:
        with _replaying(specs, file, render=render) as (shown, replay, blocks):
            for block in blocks:
                for found in replay.feed(block):
                    yield shown, found
            for found in replay.finish():
                yield shown, found


@contextmanager
def _replaying(
    specs: Sequence[CompiledSpec], file: str, *, render: bool
) -> Iterator[tuple[str, Replay, Iterator[bytes]]]:
    """Give an output's name, what replays it, and its blocks; what is to be remarked is said at the end."""
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.logic.replay import Replay
    from reconciler.spec.testfile import SampleJob

    shown = os.fsencode(file).decode("utf-8", "replace")
    with _open(file) as stream:
        size = _size(stream)
        job = app.job_of(SampleJob(name=Path(file).stem))
        replay = Replay(specs, job, render=render, long=size >= LONG)
        with _bar(shown, size) as bar:
            yield shown, replay, _blocks(stream, bar)
    for remark in replay.remarks():
        note(f"{shown}: {remark}")


def _blocks(stream: BinaryIO, bar: Any) -> Iterator[bytes]:
    """Yield what is there; of a pipe as it comes, since somebody may be looking at what it brings."""
    read = getattr(stream, "read1", stream.read)
    while block := read(BLOCK):
        yield block
        if bar is not None:
            bar.update(len(block))


def _size(stream: BinaryIO) -> int:
    """Return how many bytes there are, 0 where it cannot be told."""
    try:
        return os.fstat(stream.fileno()).st_size
    except OSError:
        return 0


def _open(file: str) -> Any:
    """Return the output as a context manager; pipes are read as they come."""
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        opened = open(file, "rb", buffering=0)  # noqa: SIM115 - the caller closes it
    except OSError as error:
        raise UsageError(
            f"{file}: {error.strerror}", remedy="name an output that exists and that you may read"
        ) from error
    return opened


def _bar(name: str, size: int) -> Any:
    if size < VERY_LONG or not sys.stderr.isatty():
        return nullcontext()
    return click.progressbar(length=size, label=safe(name), file=sys.stderr, update_min_steps=4 * 1024 * 1024)


def _summary(specs: Sequence[CompiledSpec], files: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row for each watcher, in the order of the files."""
    from reconciler.logic.replay import Tally

    tallies = {spec.spec.name: Tally() for spec in specs}
    for file in files:
        with _replaying(specs, file, render=False) as (_, replay, blocks):
            replay.count(blocks, tallies)
    return [
        {
            "watcher": name,
            "matches": tally.matches,
            "fires": tally.fires,
            "errors": tally.errors,
            "outputs": tally.outputs,
            "last": tally.last[:80],
        }
        for name, tally in tallies.items()
    ]
