"""The one place where commands show what they found: tables for people, JSON, JSON lines and YAML for programs.

How a command uses it:

    from reconciler.cli.output import Column, Form, emit, output_option

    COLUMNS = (Column("name"), Column("state", form=Form.STATE), Column("last_check", "CHECKED", Form.AGE))

    @click.command()
    @output_option()                       # -o/--output table|json|jsonl|yaml; more: output_option("csv")
    def command(output: str) -> None:
        emit(rows, COLUMNS, output, name="watchers", extra={"hosts": 2}, empty="no watcher runs")

`rows` are mappings of plain values: text, numbers, booleans, None, lists, mappings; times are seconds since the epoch
and durations seconds, humanised in tables alone, by the column's `form`. Programs get every key of a row, people the
columns. JSON and YAML are one object `{"format_version": 1, <name>: [...], **extra}`; JSON lines are the rows, each
written as it comes. `report` tells an error on standard error, `note` something worth knowing. Nothing reaches a
terminal raw (see `text.safe`).
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TextIO, TypeVar

import click

from reconciler.cli.text import HOSTILE, age, coloured, duration, moment, paint, safe
from reconciler.errors import Problem, ReconcilerError, SpecError

__all__ = [
    "Column",
    "Form",
    "Output",
    "age",
    "document",
    "duration",
    "emit",
    "moment",
    "note",
    "output_option",
    "paint",
    "report",
    "safe",
    "shown",
]

#: The shape of JSON and YAML; grows only when something that programs read changes or goes.
FORMAT_VERSION = 1

Row = Mapping[str, Any]
Command = TypeVar("Command", bound=Callable[..., Any])


class Output(StrEnum):
    """What `-o` takes everywhere."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    YAML = "yaml"


class Form(StrEnum):
    """How a column of a table shows its value."""

    TEXT = "text"
    AGE = "age"  # seconds since the epoch -> `5m`
    TIME = "time"  # seconds since the epoch -> local time
    DURATION = "duration"  # seconds -> `1h30m`
    NUMBER = "number"  # to the right
    STATE = "state"  # one word, coloured by what it means


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the key of the row, its title (None: the key), the form of its values."""

    key: str
    title: str | None = None
    form: Form = Form.TEXT


_STATE_COLOURS = {
    **dict.fromkeys(
        ("active", "running", "succeeded", "created", "reachable", "resumed", "ok", "create", "resume"), "green"
    ),
    **dict.fromkeys(
        ("paused", "suspended", "pending", "skipped", "rate_limited", "warning", "warn", "update", "replace"), "yellow"
    ),
    **dict.fromkeys(
        ("disabled", "failed", "refused", "unreachable", "interrupted", "error", "fail", "timeout", "stop"), "red"
    ),
    **dict.fromkeys(("triggered", "would_run", "updated", "replaced", "suspend"), "cyan"),
    **dict.fromkeys(("completed", "stopped", "static", "cancelled", "unknown", "no-op"), "dim"),
}


def output_option(*more: str, default: str = Output.TABLE.value) -> Callable[[Command], Command]:
    """Return the decorator that gives a command `-o/--output`; what `more` names, the command renders itself."""
    choices = click.Choice([*(word.value for word in Output), *more])  # click takes an enum's names, not its values
    return click.option("-o", "--output", type=choices, default=default, show_default=True, help="How to show it.")


def emit(
    rows: Iterable[Row],
    columns: Sequence[Column],
    output: str,
    *,
    name: str = "rows",
    extra: Row | None = None,
    empty: str = "nothing to show",
    stream: TextIO | None = None,
    now: float | None = None,
) -> None:
    """Write `rows` to `stream` (default: standard output) as `output` says; `now` is what ages are counted from."""
    stream = stream or sys.stdout
    if output == Output.JSONL:
        for row in rows:
            stream.write(_json(row) + "\n")
            stream.flush()
    elif output == Output.TABLE:
        _table(list(rows), columns, empty, stream, now)
    else:
        document({name: list(rows), **(extra or {})}, output, stream=stream)


def document(body: Row, output: str, *, stream: TextIO | None = None) -> None:
    """Write one object as JSON (as JSON lines: on one line) or YAML, `format_version` first."""
    stream, whole = stream or sys.stdout, {"format_version": FORMAT_VERSION, **body}
    if output == Output.YAML:
        _yaml(whole, stream)
    else:
        stream.write(_json(whole, indent=None if output == Output.JSONL else 2) + "\n")


def report(error: ReconcilerError, *, stream: TextIO | None = None) -> None:
    """Tell an error: every problem with file, line and column, else its message; then the remedy."""
    stream = stream or sys.stderr
    if isinstance(error, SpecError):
        for problem in error.problems:
            _report_problem(problem, stream)
        return
    stream.write(f"{paint('error:', 'red', stream)} {safe(error.message, keep=chr(10))}\n")
    if error.remedy:
        stream.write(f"  {paint('remedy:', 'green', stream)} {safe(error.remedy, keep=chr(10))}\n")


def note(text: str, *, stream: TextIO | None = None) -> None:
    """Say something worth knowing beside the output, on standard error."""
    stream = stream or sys.stderr
    stream.write(f"{paint('note:', 'yellow', stream)} {safe(text, keep=chr(10))}\n")


def _report_problem(problem: Problem, stream: TextIO) -> None:
    place = ":".join(str(part) for part in (problem.file, problem.line, problem.column) if part)
    kind = paint(f"{problem.severity}[{problem.code}]", "red" if problem.severity == "error" else "yellow", stream)
    stream.write(f"{safe(place)}: {kind} {safe(problem.message)}\n")
    if problem.value:
        stream.write(f"  {paint('found:', 'dim', stream)} {safe(problem.value)}\n")
    if problem.remedy:
        stream.write(f"  {paint('remedy:', 'green', stream)} {safe(problem.remedy)}\n")


def _json(value: object, indent: int | None = None) -> str:
    """Return JSON in which characters that a terminal would obey stand as escapes; it reads back as the same value."""
    text = json.dumps(_plain(value), ensure_ascii=False, indent=indent, allow_nan=False)
    return harmless(text)


def harmless(text: str) -> str:
    """Return a JSON text with the characters that a terminal would obey written as escapes."""
    return HOSTILE.sub(lambda found: found[0] if found[0] == "\n" else json.dumps(found[0])[1:-1], text)


def _plain(value: object) -> object:
    """Return what JSON can hold; it knows no NaN and no infinity, which become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int)) else str(value)


def _yaml(value: Row, stream: TextIO) -> None:
    from ruamel.yaml import YAML  # saves start-up time: few ask for YAML

    plain = _plain(value)
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    # ruamel writes marks of direction as they are, unless every character beyond ASCII is escaped.
    writer.allow_unicode = not HOSTILE.search(json.dumps(plain, ensure_ascii=False))
    writer.width = 4096
    writer.dump(plain, stream)


def _table(rows: Sequence[Row], columns: Sequence[Column], empty: str, stream: TextIO, now: float | None) -> None:
    if not rows:
        print(safe(empty), file=stream)
        return
    titles = [c.key.replace("_", " ").upper() if c.title is None else c.title for c in columns]
    cells = [[shown(row.get(column.key), column.form, now) for column in columns] for row in rows]
    if not stream.isatty() and not coloured(stream):
        stream.writelines(_plain_table([titles, *cells], [column.form is Form.NUMBER for column in columns]))
        return
    from rich.console import Console  # saves start-up time: only tables on a terminal need it
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title, column in zip(titles, columns, strict=True):
        table.add_column(title, justify="right" if column.form is Form.NUMBER else "left", overflow="fold")
    for line in cells:
        styles = [
            _STATE_COLOURS.get(text, "") if c.form is Form.STATE else "" for text, c in zip(line, columns, strict=True)
        ]
        table.add_row(*map(Text, line, styles))
    # Colours that were asked for in a pipe, which has no width: lines are not broken there either.
    width = None if stream.isatty() else 10_000
    console = Console(file=stream, width=width, no_color=not coloured(stream), highlight=False, soft_wrap=False)
    with console.capture() as shot:
        console.print(table)
    stream.writelines(line.rstrip() + "\n" for line in shot.get().splitlines())


def _plain_table(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> Iterator[str]:
    """Yield rows in columns. A pipe has no width: nothing is broken there, so that grep and awk see whole rows."""
    widths = [max(map(_cells, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        gaps = [" " * (width - _cells(text)) for text, width in zip(line, widths, strict=True)]
        padded = [gap + text if r else text + gap for text, gap, r in zip(line, gaps, right, strict=True)]
        yield "  ".join(padded).rstrip() + "\n"


def _cells(text: str) -> int:
    """Count the places that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # saves start-up time: few tables have wide characters

    return cell_len(text)


def shown(value: object, form: Form = Form.TEXT, now: float | None = None) -> str:
    """Return a value as a table shows it."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return _number(value, form, now)
    if isinstance(value, Mapping):
        return " ".join(f"{safe(str(key))}={shown(item)}" for key, item in value.items()) or "-"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(map(shown, value)) or "-"
    return safe(str(value))


def _number(value: float, form: Form, now: float | None) -> str:
    if form is Form.AGE:
        return age(value, now)
    if form is Form.TIME:
        return moment(value)
    if form is Form.DURATION:
        return duration(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
