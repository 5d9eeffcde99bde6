"""The main job on real SLURM behind a real sshd: watched, acted on, recorded, as on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts.far_slurm import FarSlurm, values_of, watchers_of
from parts.running import running
from parts.sshd import HOST
from parts.waiting import eventually

from reconciler import app
from reconciler.app import Engine
from reconciler.errors import ExitCode
from reconciler.events import EventType
from reconciler.model import HostName
from reconciler.protocols import EventFilter
from reconciler.settings import Settings

pytestmark = [pytest.mark.slurm, pytest.mark.ssh]

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
MORE_MEMORY = """\
name: More memory
jobs: {name: hungry}
pattern: 'needs (\\d+) MB'
captures: [size]
max_triggers: 1
actions:
  - type: resubmit
    params:
      modifications: {mem: "${size}M", time: "02:15:00", job-name: fed}
      cancel_previous: true
"""
HOSTILE = "a name | with % 'every' \"thing\" $(touch x) é"


@pytest.fixture
def watchers(tmp_path: Path) -> Path:
    directory = tmp_path / "watchers.d"
    directory.mkdir()
    return directory


async def one_pass(settings: Settings, watchers: Path) -> list[ExitCode]:
    """What `reconcile --once` does; return the exit codes that hold."""
    async with app.engine(settings, [watchers]) as engine:
        return (await engine.once.run()).codes()


async def values(settings: Settings, watchers: Path, job: str, host: HostName = HOST) -> list[float]:
    async with app.engine(settings, [watchers]) as engine:
        return await values_of(engine, job, host=host)


async def completed(engine: Engine, job: str) -> bool:
    """Tell whether the watchers of a job are completed: those of jobs that the cluster remembers from before may be."""
    found = [watcher for watcher in await watchers_of(engine) if watcher.job.id == job]
    return bool(found) and all(watcher.state == "completed" for watcher in found)


async def test_a_far_job_that_runs_out_of_memory_is_cancelled_by_its_watcher(
    far_slurm: FarSlurm, watchers: Path, tmp_path: Path
) -> None:
    slurm = far_slurm.slurm
    (watchers / "oom.yaml").write_text(OOM)
    async with running(far_slurm.settings(tmp_path), watchers) as engine:
        doomed = slurm.submit("echo step 1; echo RuntimeError: CUDA out of memory; sleep 600", "--job-name=train-1")
        other = slurm.submit("echo CUDA out of memory; sleep 600", "--job-name=eval")
        await eventually(lambda: slurm.state(doomed) == "CANCELLED")
        await eventually(lambda: completed(engine, doomed))
        assert slurm.state(other) == "RUNNING"
        events = await engine.parts.state.run(lambda state: state.events(EventFilter(job_id=doomed)))
    kinds = [(event.type.split(".")[2], event.action_type) for event in events if event.hostname == HOST]
    assert ("succeeded", "log_event") in kinds
    assert kinds.index(("succeeded", "log_event")) < kinds.index(("succeeded", "cancel_job"))
    assert doomed not in slurm.command("squeue", "-h", "-o", "%i").split()
    assert other in slurm.command("squeue", "-h", "-o", "%i").split()


async def test_metrics_of_a_far_job_hold_every_value_the_last_line_without_a_newline_included(
    far_slurm: FarSlurm, watchers: Path, tmp_path: Path
) -> None:
    (watchers / "loss.yaml").write_text(LOSS)
    async with running(far_slurm.settings(tmp_path / "daemon"), watchers) as engine:
        job = far_slurm.slurm.submit("for i in $(seq 40); do echo loss: $i; sleep 0.05; done; printf 'loss: 99.25'")
        await eventually(lambda: completed(engine, job))
        expected = [*map(float, range(1, 41)), 99.25]
        assert await values_of(engine, job) == expected
    once = far_slurm.settings(tmp_path / "once")  # it began and ended before anybody looked: all is read all the same
    assert await one_pass(once, watchers) == [ExitCode.OK]
    assert await values(once, watchers, job) == expected


async def test_a_far_job_that_ended_while_nothing_ran_is_read_to_its_end_and_completed_once(
    far_slurm: FarSlurm, watchers: Path, tmp_path: Path
) -> None:
    (watchers / "loss.yaml").write_text(LOSS + "trigger_on_job_end: true\n")
    settings = far_slurm.settings(tmp_path)
    job = far_slurm.slurm.submit(
        "echo loss: 1; while [ ! -e go ]; do sleep 0.1; done; echo loss: 2; printf 'loss: 3'; exit 1", cwd=tmp_path
    )
    await eventually(lambda: far_slurm.slurm.state(job) == "RUNNING")
    await eventually((tmp_path / f"slurm-{job}.out").exists)
    await one_pass(settings, watchers)
    (tmp_path / "go").touch()
    await eventually(lambda: far_slurm.slurm.state(job) == "FAILED")
    for _ in range(2):
        assert await one_pass(settings, watchers) == [ExitCode.OK]
    async with app.engine(settings, [watchers]) as engine:
        told = await engine.parts.state.run(lambda state: state.events(EventFilter(job_id=job, limit=1000)))
    triggers = [event.data["trigger"] for event in told if event.type.endswith("watcher.triggered.v1")]
    assert triggers == ["match", "match", "match", "job_end"]
    assert [event.type for event in told].count(EventType.WATCHER_COMPLETED) == 1


async def test_each_running_task_of_a_far_array_has_a_watcher_and_the_waiting_rest_none(
    far_slurm: FarSlurm, watchers: Path, tmp_path: Path
) -> None:
    (watchers / "loss.yaml").write_text(LOSS)
    slurm = far_slurm.slurm
    job = slurm.submit("echo loss: $SLURM_ARRAY_TASK_ID; sleep 600", "--array=1-2,7-9%3", cwd=tmp_path)
    await eventually(lambda: len(slurm.command("squeue", "-h", "-r", "-t", "R", "-o", "%i").split()) == 3)
    await eventually(lambda: len([f for f in tmp_path.glob("slurm-*_?.out") if f.stat().st_size]) == 3)
    settings = far_slurm.settings(tmp_path)
    await one_pass(settings, watchers)
    async with app.engine(settings, [watchers]) as engine:
        found = {w.job.id: w.trigger_count for w in await watchers_of(engine) if w.job.id.startswith(f"{job}_")}
    assert found == {f"{job}_1": 1, f"{job}_2": 1, f"{job}_7": 1}


async def test_a_far_job_is_submitted_again_with_what_its_watcher_changes(
    far_slurm: FarSlurm, watchers: Path, tmp_path: Path
) -> None:
    (watchers / "more.yaml").write_text(MORE_MEMORY)
    slurm = far_slurm.slurm
    old = slurm.submit("echo needs 123 MB; sleep 600", "--job-name=hungry", "--mem=50M", "--time=20", cwd=tmp_path)
    await eventually(lambda: "needs" in output(tmp_path, old))
    assert await one_pass(far_slurm.settings(tmp_path), watchers) == [ExitCode.OK]
    await eventually(lambda: slurm.state(old) == "CANCELLED")
    (new,) = slurm.command("squeue", "-h", "-n", "fed", "-o", "%i").split()
    await eventually(lambda: slurm.state(new) == "RUNNING")
    shown = dict(
        word.split("=", 1) for word in slurm.command("scontrol", "-o", "show", "job", new).split() if "=" in word
    )
    assert (shown["JobName"], shown["WorkDir"]) == ("fed", str(tmp_path))
    assert (shown["MinMemoryNode"], shown["TimeLimit"]) == ("123M", "02:15:00")


async def test_a_name_that_looks_like_commands_is_the_name_of_the_right_far_job(
    far_slurm: FarSlurm, watchers: Path, tmp_path: Path
) -> None:
    (watchers / "loss.yaml").write_text(LOSS)
    options = [f"--job-name={HOSTILE}", "--output=%x-%j-%u.log"]
    job = far_slurm.slurm.submit("echo loss: 4.5", *options, cwd=tmp_path)
    await eventually(lambda: far_slurm.slurm.state(job) == "COMPLETED")
    settings = far_slurm.settings(tmp_path)
    assert await one_pass(settings, watchers) == [ExitCode.OK]
    assert await values(settings, watchers, job) == [4.5]
    assert not (tmp_path / "x").exists()
    assert not (far_slurm.sshd.home / "x").exists()


async def test_the_same_job_id_on_two_hosts_is_two_jobs(far_slurm: FarSlurm, watchers: Path, tmp_path: Path) -> None:
    (watchers / "loss.yaml").write_text(LOSS)
    job = far_slurm.slurm.submit("echo loss: 4.5", cwd=tmp_path)
    await eventually(lambda: far_slurm.slurm.state(job) == "COMPLETED")
    settings = far_slurm.settings(tmp_path, "one", "two")
    assert await one_pass(settings, watchers) == [ExitCode.OK]
    for host in ("one", "two"):
        assert await values(settings, watchers, job, HostName(host)) == [4.5]


def output(place: Path, job: str) -> str:
    file = place / f"slurm-{job}.out"
    return file.read_text() if file.exists() else ""
