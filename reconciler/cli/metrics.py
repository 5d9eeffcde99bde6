"""`reconcile metrics JOB [NAME]`: the numbers that store_metric kept: a table, for programs, or drawn in the terminal.

Reads the state beside a running daemon. Without NAME a table has one line for each metric; programs always get every
point.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

import click

from reconciler.cli.chart import chart
from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import Column, Form, Output, emit, note, output_option, paint, safe
from reconciler.cli.reading import state_of
from reconciler.errors import UsageError
from reconciler.model import LOCALHOST, HostName, JobId, JobKey, MetricPoint
from reconciler.protocols import StateReading

#: Keys of a point as programs get it; `at` in seconds since the epoch.
POINT = ("job", "hostname", "metric", "step", "value", "at", "watcher_id")
_POINT_COLUMNS = (
    Column("metric"),
    Column("step", form=Form.NUMBER),
    Column("value", form=Form.NUMBER),
    Column("at", "TIME", Form.TIME),
)
_SUMMARY_COLUMNS = (
    Column("metric"),
    Column("points", form=Form.NUMBER),
    Column("last", form=Form.NUMBER),
    Column("low", form=Form.NUMBER),
    Column("high", form=Form.NUMBER),
    Column("at", "LAST AT", Form.TIME),
)
#: Characters beside a chart, at most: a number such as `-1.234e-05`, and the axis.
_LABEL = 12
_EPILOG = """\
\b
Examples:
  reconcile metrics 4711                        one line for each metric of job 4711
  reconcile metrics 4711@hpc1 train_loss        every point of one metric
  reconcile metrics 4711 train_loss --plot      drawn in the terminal
  reconcile metrics 4711 -o csv > metrics.csv   for a spreadsheet
  reconcile metrics 4711 -o columns > m.json    then pyarrow.table(json.load(open("m.json"))), or polars, pandas
"""


@click.command(epilog=_EPILOG)
@click.argument("job")
@click.argument("name", required=False)
@click.option("--plot", is_flag=True, help="Draw each metric over its steps, or over time where it has none.")
@output_option("csv", "columns")
@click.pass_obj
def command(options: GlobalOptions, job: str, name: str | None, plot: bool, output: str) -> None:
    """Show the stored metrics of JOB (an id, or id@host); with NAME of one metric."""
    with state_of(options) as state:
        keys = jobs_called(state, job)
        points = [point for key in keys for point in state.metrics(key, name)]
        others = sorted({point.name for key in keys for point in state.metrics(key)}) if name and not points else []
    if not points:
        there = f"; there are {', '.join(map(safe, others))}" if others else ""
        note(f"nothing is stored for {name or 'any metric'} of job {job}{there}")
    if plot:
        draw(points, sys.stdout)
    elif output == "csv":
        write_csv(points, sys.stdout)
    elif output == "columns":
        print(json.dumps(columns_of(points)))
    elif output == Output.TABLE and name is None:
        emit(summary(points), _SUMMARY_COLUMNS, output, empty="no metrics")
    else:
        emit(map(point_row, points), _POINT_COLUMNS, output, name="metrics", empty="no points")


def jobs_called(state: StateReading, words: str) -> Sequence[JobKey]:
    """Return the jobs that `words` mean: `id@host` is one, an id alone must be on one host only."""
    job_id, at, host = words.partition("@")
    if at:
        return [JobKey(HostName(host), JobId(job_id))]
    found = sorted({job.now.key for job in state.jobs() if job.now.id == job_id}, key=str)
    if len(found) > 1:
        raise UsageError(f"{len(found)} hosts have a job {job_id}", remedy=f"write one of {', '.join(map(str, found))}")
    return found or [JobKey(LOCALHOST, JobId(job_id))]


def point_row(point: MetricPoint) -> Mapping[str, Any]:
    """Return a point under the names of `POINT`."""
    values = (point.job.id, point.job.host, point.name, point.step, point.value, point.at, point.watcher_id)
    return dict(zip(POINT, values, strict=True))


def by_metric(points: Sequence[MetricPoint]) -> Mapping[str, list[MetricPoint]]:
    """Return the points of each metric, metrics in the order of their names."""
    grouped: dict[str, list[MetricPoint]] = {name: [] for name in sorted({point.name for point in points})}
    for point in points:
        grouped[point.name].append(point)
    return grouped


def summary(points: Sequence[MetricPoint]) -> Iterator[Mapping[str, Any]]:
    """Yield one row for each metric."""
    for name, those in by_metric(points).items():
        values = [point.value for point in those]
        last = those[-1]
        yield {
            "metric": name,
            "points": len(those),
            "last": last.value,
            "low": min(values),
            "high": max(values),
            "at": last.at,
        }


def draw(points: Sequence[MetricPoint], stream: TextIO, *, width: int = 60, height: int = 10) -> None:
    """Draw each metric: over its steps where every point has one, else over the seconds since its first point."""
    if stream.isatty():
        width = max(10, min(width, shutil.get_terminal_size().columns - _LABEL))
    for name, those in by_metric(points).items():
        stepped = all(point.step is not None for point in those)
        places = [(point.step or 0.0) if stepped else point.at - those[0].at for point in those]
        curve = [(place, point.value) for place, point in zip(places, those, strict=True)]
        title = paint(f"{safe(name)}  {safe(str(those[0].job))}", "bold", stream)
        print(f"{title}  last {those[-1].value:.6g}, {len(those)} points", file=stream)
        print(*chart(curve, width=width, height=height, unit="" if stepped else "s"), "", sep="\n", file=stream)


def columns_of(points: Sequence[MetricPoint]) -> Mapping[str, list[Any]]:
    """Return a list for each key of `POINT`, all of one length and one type (step: or None), as Parquet wants them."""
    rows = [point_row(point) for point in points]
    return {key: [row[key] for row in rows] for key in POINT}


def write_csv(points: Sequence[MetricPoint], stream: TextIO) -> None:
    """Write the points with a header line; a spreadsheet takes no text for a formula."""
    writer = csv.DictWriter(stream, POINT, lineterminator="\n")
    writer.writeheader()
    for row in map(point_row, points):
        writer.writerow({key: _as_text(value) if isinstance(value, str) else value for key, value in row.items()})


def _as_text(value: str) -> str:
    return f"'{safe(value)}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else safe(value)
