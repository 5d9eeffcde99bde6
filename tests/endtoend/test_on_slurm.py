"""The main job on real SLURM: YAML in, real jobs watched, acted on, recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from parts.running import running
from parts.slurm import SlurmCluster
from parts.waiting import eventually

from reconciler import app
from reconciler.app import Engine
from reconciler.engine.controller import PassReport
from reconciler.errors import ExitCode
from reconciler.model import HostName, JobId, JobKey, Watcher
from reconciler.protocols import EventFilter
from reconciler.settings import Settings

pytestmark = pytest.mark.slurm

OOM = """\
name: CUDA OOM handler
jobs: {name: "train-*"}
pattern: "(CUDA out of memory|OutOfMemoryError)"
captures: [error]
max_triggers: 1
actions:
  - type: log_event
    params: {message: "CUDA OOM detected: $error"}
  - type: cancel_job
    params: {reason: CUDA out of memory}
"""
LOSS = """\
name: Loss
pattern: 'loss: ([\\d.]+)'
captures: [loss]
actions:
  - type: store_metric
    params: {name: loss, value: $loss}
"""


def settings_in(home: Path, **more: Any) -> Settings:
    """Settings for SLURM on this machine, looking often."""
    engine = {"discovery_interval": 1, "max_stretch": 2, "source_interval": 1, "end_grace": 0.5, **more}
    return Settings.model_validate(
        {
            "hosts": {"localhost": {"scheduler": {"type": "slurm"}}},
            "state": {"path": home / "state.db"},
            "engine": engine,
        }
    )


@pytest.fixture
def watchers(tmp_path: Path) -> Path:
    """An empty watchers.d."""
    directory = tmp_path / "watchers.d"
    directory.mkdir()
    return directory


async def one_pass(settings: Settings, watchers: Path) -> PassReport:
    """What `reconcile --once` does."""
    async with app.engine(settings, [watchers]) as engine:
        return await engine.once.run()


async def all_watchers(engine: Engine) -> tuple[Watcher, ...]:
    """Every watcher there is."""
    return await engine.parts.state.run(lambda state: state.watchers())


async def values(settings: Settings, watchers: Path, job: str, name: str = "loss") -> list[float]:
    """The values of a metric of a job, in their order."""
    async with app.engine(settings, [watchers]) as engine:
        key = JobKey(HostName("localhost"), JobId(job))
        points = await engine.parts.state.run(lambda state: state.metrics(key, name))
        return [point.value for point in points]


async def completed(engine: Engine, job: str) -> bool:
    """Tell whether the watcher of a job is completed: those of jobs that the cluster remembers from before may be."""
    return any(w.state == "completed" and w.job.id == job for w in await all_watchers(engine))


async def test_a_job_that_runs_out_of_memory_is_cancelled_by_its_watcher(
    slurm: SlurmCluster, watchers: Path, tmp_path: Path
) -> None:
    (watchers / "oom.yaml").write_text(OOM)
    async with running(settings_in(tmp_path), watchers) as engine:
        doomed = slurm.submit("echo step 1; echo RuntimeError: CUDA out of memory; sleep 600", "--job-name=train-1")
        other = slurm.submit("echo CUDA out of memory; sleep 600", "--job-name=eval")
        await eventually(lambda: slurm.state(doomed) == "CANCELLED")
        await eventually(lambda: completed(engine, doomed))
        assert slurm.state(other) == "RUNNING"
        events = await engine.parts.state.run(lambda state: state.events(EventFilter(job_id=doomed)))
    kinds = [(event.type.split(".")[2], event.action_type) for event in events]
    assert ("succeeded", "log_event") in kinds
    assert ("succeeded", "cancel_job") in kinds
    assert kinds.index(("succeeded", "log_event")) < kinds.index(("succeeded", "cancel_job"))
    assert doomed not in slurm.command("squeue", "-h", "-o", "%i").split()


async def test_metrics_hold_every_value_printed_the_last_line_without_a_newline_included(
    slurm: SlurmCluster, watchers: Path, tmp_path: Path
) -> None:
    (watchers / "loss.yaml").write_text(LOSS)
    settings = settings_in(tmp_path)
    job = slurm.submit("for i in 1 2 3; do echo loss: $i.5; done; printf 'loss: 9.25'")
    slurm.wait_for(job, "COMPLETED")
    report = await one_pass(settings, watchers)
    assert report.codes() == [ExitCode.OK]
    assert await values(settings, watchers, job) == [1.5, 2.5, 3.5, 9.25]


async def test_a_daemon_and_a_series_of_single_passes_come_to_the_same(
    slurm: SlurmCluster, watchers: Path, tmp_path: Path
) -> None:
    (watchers / "loss.yaml").write_text(LOSS)
    ours, theirs = tmp_path / "daemon", tmp_path / "once"
    async with running(settings_in(ours), watchers) as engine:
        job = slurm.submit("for i in $(seq 40); do echo loss: $i; sleep 0.05; done")
        while slurm.state(job) not in ("COMPLETED", "FAILED"):
            await one_pass(settings_in(theirs), watchers)
        await eventually(lambda: completed(engine, job))
    await one_pass(settings_in(theirs), watchers)
    expected = [float(number) for number in range(1, 41)]
    assert await values(settings_in(ours), watchers, job) == expected
    assert await values(settings_in(theirs), watchers, job) == expected


async def test_a_slurmctld_that_is_away_for_a_while_ends_no_watcher(
    slurm: SlurmCluster, watchers: Path, tmp_path: Path
) -> None:
    (watchers / "loss.yaml").write_text(LOSS)
    settings = settings_in(tmp_path)
    job = slurm.submit("echo loss: 1; while [ ! -e go ]; do sleep 0.1; done; echo loss: 2; sleep 600", cwd=tmp_path)
    slurm.wait_for(job, "RUNNING")
    await one_pass(settings, watchers)
    with slurm.without_controller():
        report = await one_pass(settings, watchers)
        assert ExitCode.PARTIAL in report.codes()
        (tmp_path / "go").touch()
    report = await one_pass(settings, watchers)
    assert report.codes() == [ExitCode.OK]
    await eventually(lambda: "loss: 2" in (tmp_path / f"slurm-{job}.out").read_text())
    await one_pass(settings, watchers)
    assert await values(settings, watchers, job) == [1.0, 2.0]


async def test_each_running_task_of_an_array_has_a_watcher_of_its_own(
    slurm: SlurmCluster, watchers: Path, tmp_path: Path
) -> None:
    (watchers / "loss.yaml").write_text(LOSS)
    settings = settings_in(tmp_path)
    job = slurm.submit("echo loss: $SLURM_ARRAY_TASK_ID; sleep 600", "--array=0-5%3", cwd=tmp_path)
    await eventually(lambda: slurm.command("squeue", "-h", "-r", "-t", "R", "-o", "%i").split().__len__() == 3)
    await eventually(lambda: len([f for f in tmp_path.glob("slurm-*_?.out") if f.stat().st_size]) == 3)
    await one_pass(settings, watchers)
    async with app.engine(settings, [watchers]) as engine:
        found = {w.job.id: w.trigger_count for w in await all_watchers(engine) if w.job.id.startswith(f"{job}_")}
    assert found == {f"{job}_0": 1, f"{job}_1": 1, f"{job}_2": 1}


async def test_the_events_file_tells_all_of_it_line_by_line(
    slurm: SlurmCluster, watchers: Path, tmp_path: Path
) -> None:
    (watchers / "loss.yaml").write_text(LOSS)
    job = slurm.submit("echo loss: 4.5", "--job-name=a name | with % everything")
    slurm.wait_for(job, "COMPLETED")
    await one_pass(settings_in(tmp_path), watchers)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["data"]["seq"] for event in events] == list(range(1, len(events) + 1))
    ours = [e["data"] for e in events if e["type"].endswith("watcher.triggered.v1") and e["data"]["job_id"] == job]
    assert [data["matched_text"] for data in ours] == ["loss: 4.5"]
