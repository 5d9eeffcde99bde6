"""`reconcile metrics` shows what store_metric kept: as a table, for programs, as a chart."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.cli import main
from reconciler.cli.metrics import POINT, by_metric, columns_of, draw, jobs_called, point_row, summary, write_csv
from reconciler.engine.clock import SystemClock
from reconciler.errors import UsageError
from reconciler.model import (
    HostName,
    Job,
    JobId,
    JobKey,
    JobState,
    MetricPoint,
    Origin,
    Watcher,
    WatcherId,
    WatcherName,
)
from reconciler.protocols import Advance, Batch
from reconciler.settings import StateSettings
from reconciler.state import open_readonly, open_state

Shown = Callable[[Sequence[str]], str]
KEY = JobKey(HostName("hpc1"), JobId("4711"))


def point(name: str, value: float, at: float, step: float | None = None, key: JobKey = KEY) -> MetricPoint:
    return MetricPoint(WatcherId(1), key, name, value, at, step)


LOSS = [point("train_loss", 3.0 / step, 1000.0 + step, float(step)) for step in range(1, 6)]
MEMORY = [point("gpu", 7000.0, 1002.0), point("gpu", 7900.0, 1062.0)]


def job(host: str, job_id: str) -> Job:
    return Job(HostName(host), JobId(job_id), "train", "alice", JobState.RUNNING, submitted=900.0)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state with two metrics of job 4711 on hpc1, and a job 8 on two hosts."""
    path = tmp_path / "state.db"
    with closing(open_state(path, StateSettings(), clock=SystemClock())) as writer:
        watcher = Watcher(WatcherId(0), WatcherName("loss"), KEY, "train", "d", Origin("s", "f", 1))
        made = writer.commit(Batch(create=(watcher,), jobs=(job("hpc1", "4711"), job("hpc1", "8"), job("hpc2", "8"))))
        metrics = tuple(sorted([*LOSS, *MEMORY], key=lambda point: point.at))
        writer.commit(Batch(advances=(Advance(made.created[0], made.created[0], metrics=metrics),)))
    return path


@pytest.fixture
def config(state: Path, tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(f"state: {{path: {state}}}\n")
    return file


# --- which job -------------------------------------------------------------------------------------------------------


def test_an_id_on_one_host_is_enough(state: Path) -> None:
    with closing(open_readonly(state)) as reader:
        assert jobs_called(reader, "4711") == [KEY]


def test_an_id_on_two_hosts_is_asked_back(state: Path) -> None:
    with closing(open_readonly(state)) as reader:
        with pytest.raises(UsageError, match="2 hosts have a job 8") as raised:
            jobs_called(reader, "8")
        assert jobs_called(reader, "8@hpc2") == [JobKey(HostName("hpc2"), JobId("8"))]
    assert raised.value.remedy == "write one of 8@hpc1, 8@hpc2"


# --- forms -----------------------------------------------------------------------------------------------------------


def test_a_summary_has_one_row_for_each_metric() -> None:
    rows = list(summary([*LOSS, *MEMORY]))
    assert [(row["metric"], row["points"], row["last"], row["low"], row["high"]) for row in rows] == [
        ("gpu", 2, 7900.0, 7000.0, 7900.0),
        ("train_loss", 5, 0.6, 0.6, 3.0),
    ]


def test_points_keep_their_order_within_a_metric() -> None:
    assert by_metric([LOSS[0], MEMORY[0], LOSS[1]]) == {"gpu": [MEMORY[0]], "train_loss": LOSS[:2]}


def test_a_chart_runs_over_steps_where_all_points_have_one_else_over_seconds() -> None:
    stream = io.StringIO()
    draw([*LOSS, *MEMORY], stream)
    gpu, _, loss = stream.getvalue().partition("\n\n")
    assert gpu.startswith("gpu  4711@hpc1  last 7900, 2 points\n")
    assert gpu.splitlines()[-1].split() == ["0s", "60s"]
    assert loss.startswith("train_loss  4711@hpc1  last 0.6, 5 points\n")
    assert loss.rstrip("\n").splitlines()[-1].split() == ["1", "5"]


def test_a_chart_is_no_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    out, piped = Terminal(), io.StringIO()
    for stream in (out, piped):
        draw([point("loss", -value / 34567, 0, value) for value in range(100)], stream)
    drawn, whole = ([len(line) for line in each.getvalue().splitlines()[1:]] for each in (out, piped))
    assert 30 < max(drawn) <= 40
    assert max(whole) > 60


def test_csv_reads_back() -> None:
    stream = io.StringIO()
    write_csv(LOSS, stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert [float(row["value"]) for row in rows] == [point.value for point in LOSS]
    assert rows[0] == {
        "job": "4711", "hostname": "hpc1", "metric": "train_loss", "step": "1.0", "value": "3.0", "at": "1001.0",
        "watcher_id": "1",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@x", "a\x1b[2J\nb"])
def test_csv_holds_no_formula_and_nothing_a_terminal_obeys(name: str) -> None:
    stream = io.StringIO()
    write_csv([point(name, 1.0, 2.0)], stream)
    (row,) = csv.DictReader(io.StringIO(stream.getvalue()))
    assert row["metric"][0] in "'a"
    assert "\x1b" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 2


def test_columns_are_of_one_length_and_type_each() -> None:
    columns = columns_of([*LOSS, *MEMORY])
    assert tuple(columns) == POINT
    assert {len(values) for values in columns.values()} == {7}
    kinds = {key: {type(value) for value in values if value is not None} for key, values in columns.items()}
    assert kinds == {
        "job": {str}, "hostname": {str}, "metric": {str}, "step": {float}, "value": {float}, "at": {float},
        "watcher_id": {int},
    }  # fmt: skip
    assert columns["step"][-2:] == [None, None]


def test_a_point_is_a_row_with_stable_names() -> None:
    assert point_row(LOSS[0]) == {
        "job": "4711", "hostname": "hpc1", "metric": "train_loss", "step": 1.0, "value": 3.0, "at": 1001.0,
        "watcher_id": 1,
    }  # fmt: skip


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def shown(config: Path, capsys: pytest.CaptureFixture[str]) -> Shown:
    def run(words: Sequence[str]) -> str:
        assert main(["--config", str(config), "metrics", *words]) == 0
        return capsys.readouterr().out

    return run


def test_the_command_shows_a_summary(shown: Shown) -> None:
    told = shown(["4711"])
    assert [line.split()[:3] for line in told.splitlines()] == [
        ["METRIC", "POINTS", "LAST"],
        ["gpu", "2", "7900"],
        ["train_loss", "5", "0.6"],
    ]


def test_the_command_shows_points_of_one_metric(shown: Shown) -> None:
    assert len(shown(["4711", "train_loss"]).splitlines()) == 6


def test_programs_get_every_point(shown: Shown) -> None:
    told = json.loads(shown(["4711", "-o", "json"]))
    assert told["format_version"] == 1
    assert len(told["metrics"]) == 7
    assert {row["metric"] for row in told["metrics"]} == {"gpu", "train_loss"}


def test_columns_and_a_name_that_is_not_there(shown: Shown, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = json.loads(shown(["4711@hpc1", "train_loss", "-o", "columns"]))
    assert columns["value"] == [point.value for point in LOSS]
    assert main(["--config", str(config), "metrics", "4711@hpc1", "trainloss", "-o", "columns"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {key: [] for key in POINT}
    assert "there are gpu, train_loss" in said.err
