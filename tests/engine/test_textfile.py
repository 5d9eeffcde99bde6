"""What is measured is written to a file for node_exporter's textfile collector, whole at every moment."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from parts.core import LOG
from parts.house import House, SteppedClock
from parts.waiting import eventually
from prometheus_client.parser import text_string_to_metric_families

from reconciler import app
from reconciler.engine import counting
from reconciler.engine.retention import purge
from reconciler.errors import ConfigurationError, ExitCode, SpecError
from reconciler.model import JobState

Labels = frozenset[tuple[str, str]]


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A reconciler with a text file, and a job that printed three hits and runs."""
    house = House(tmp_path, metrics={"textfile": str(tmp_path / "collector" / "reconciler.prom"), "interval": 1})
    path(house).parent.mkdir()
    house.with_jobs().add("1").write_text("hit\nhit\nhit\n")
    house.write("w", actions=[LOG, {"type": "cancel_job", "condition": "1 > 2"}])
    return house


def path(house: House) -> Path:
    return Path(house.written["metrics"]["textfile"])


def append(file: Path, text: str) -> None:
    with file.open("a") as opened:
        opened.write(text)


def measured(house: House) -> Mapping[tuple[str, Labels], float]:
    """Return the samples, as Prometheus reads them."""
    families = text_string_to_metric_families(path(house).read_text())
    samples = [sample for family in families for sample in family.samples]
    assert all(sample.timestamp is None for sample in samples)  # node_exporter refuses a file with timestamps
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples)  # and one that says a thing twice
    return found


def value(house: House, name: str, **labels: str) -> float:
    return measured(house)[name, frozenset(labels.items())]


async def test_a_pass_writes_what_it_came_to(house: House) -> None:
    await house.once()
    assert value(house, "reconciler_watchers", state="active") == 1
    assert value(house, "reconciler_jobs", state="running") == 1
    assert value(house, "reconciler_host_up", host="localhost") == 1
    assert value(house, "reconciler_job_tasks") == 1
    assert value(house, "reconciler_listing_interval_seconds", host="localhost") == 1
    assert value(house, "reconciler_action_outcomes_total", type="log_event", outcome="succeeded") == 3
    assert value(house, "reconciler_action_outcomes_total", type="cancel_job", outcome="skipped") == 3
    assert value(house, "reconciler_events_total") == len(house.events())


async def test_names_that_node_exporter_has_for_itself_are_left_out(house: House) -> None:
    await house.once()
    assert {name.split("_")[0] for name, _ in measured(house)} == {"reconciler"}


async def test_counts_go_on_over_processes_and_do_not_go_back_where_retention_takes_events(house: House) -> None:
    await house.once()
    async with house.engine() as engine:
        later = SteppedClock(engine.parts.clock.now() + house.settings.state.retain_events + 1)
        await purge(replace(engine.parts, clock=later), engine.controller)
    assert len(house.events("action.succeeded")) < 3
    assert house.scheduler is not None
    out = Path(str(house.scheduler.listed[next(iter(house.scheduler.listed))].stdout))
    append(out, "hit\nhit\n")
    await house.once()
    assert value(house, "reconciler_action_outcomes_total", type="log_event", outcome="succeeded") == 5
    await house.once()
    assert value(house, "reconciler_action_outcomes_total", type="log_event", outcome="succeeded") == 5


async def test_a_long_history_is_counted_in_pieces(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    path(house).parent.rmdir()
    await house.once()
    with closing(sqlite3.connect(app.state_path(house.settings))) as raw:
        raw.execute("DELETE FROM facts WHERE name = 'metrics.counted'")
        raw.commit()
    path(house).parent.mkdir()
    monkeypatch.setattr(counting, "PIECE", 2)
    await house.once()
    assert value(house, "reconciler_action_outcomes_total", type="log_event", outcome="succeeded") == 3
    assert value(house, "reconciler_events_total") == len(house.events())


async def test_the_file_is_replaced_as_a_whole_and_nothing_else_stays(house: House) -> None:
    await house.once()
    before = path(house).read_text()
    with path(house).open() as reader:
        assert house.scheduler is not None
        house.scheduler.finish("1", JobState.FAILED)
        await house.once()
        assert reader.read() == before
    assert path(house).read_text() != before
    assert os.listdir(path(house).parent) == [path(house).name]


async def test_a_file_that_cannot_be_written_is_said_and_stops_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    path(house).parent.rmdir()
    with caplog.at_level(logging.ERROR):
        report = await house.once()
    assert [int(code) for code in report.codes()] == [0]
    assert house.matched() == ["hit"] * 3
    assert [str(path(house)) in record.getMessage() for record in caplog.records] == [True]


async def test_a_daemon_writes_it_again_and_again(house: House) -> None:
    house.clock = None  # the chore runs by the real one
    async with house.daemon():
        await eventually(lambda: path(house).exists())
        first = path(house).stat().st_ino, path(house).stat().st_mtime_ns
        await eventually(lambda: (path(house).stat().st_ino, path(house).stat().st_mtime_ns) != first)
        await eventually(lambda: value(house, "reconciler_watchers", state="active") == 1)


async def test_without_the_setting_no_file_is_written(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.write()
    await house.submit("echo hit")
    await house.once()
    assert not list(tmp_path.rglob("*.prom"))


async def test_without_the_library_nothing_starts_and_the_remedy_is_said(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError) as caught:
        await house.once()
    assert "reconciler[metrics]" in caught.value.remedy


def test_a_name_that_the_collector_does_not_read_is_refused_at_its_place(tmp_path: Path) -> None:
    file = tmp_path / "reconciler.yaml"
    file.write_text("metrics:\n  textfile: /var/lib/x/reconciler.txt\n")
    with pytest.raises(SpecError) as caught:
        app.load_settings(file, {})
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, caught.value.exit_code) == (2, 13, ExitCode.INVALID)
    assert ".prom" in problem.message


def test_the_command_writes_it_too(tmp_path: Path) -> None:
    written: dict[str, Any] = {"textfile": str(tmp_path / "reconciler.prom")}
    house = House(tmp_path, metrics=written)
    house.write()
    done = house.run(str(house.watchers), "--once")
    assert done.returncode == 0, done.stderr
    assert value(house, "reconciler_events_total") >= 0
