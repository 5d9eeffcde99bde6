"""slurmctld sees the same few calls however many jobs and watchers there are; `sdiag` counts them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from parts.far_slurm import FarSlurm, values_of
from parts.running import running
from parts.slurm import SlurmCluster
from parts.waiting import eventually

from reconciler import app
from reconciler.app import Engine
from reconciler.settings import Settings

pytestmark = pytest.mark.slurm

WATCHER = """\
name: Loss {number}
pattern: 'loss: ([\\d.]+) {number}'
actions:
  - type: log_event
    params: {{message: $1}}
"""
PASSES = 5


async def calls_of_passes(slurm: SlurmCluster, watchers: Path, home: Path) -> tuple[int, int]:
    """Return how many calls slurmctld answered during some passes, and how many watchers there were."""
    settings = Settings.model_validate(
        {"hosts": {"localhost": {"scheduler": {"type": "slurm"}}}, "state": {"path": home / "state.db"}}
    )
    async with app.engine(settings, [watchers]) as engine:
        await engine.controller.pass_(approve="yes")  # what is asked once per job is asked now
        before = slurm.rpcs()
        for _ in range(PASSES):
            await engine.controller.pass_()
        after = slurm.rpcs()
        total = engine.controller.fleet.live()
    kinds = ("REQUEST_JOB_INFO", "REQUEST_JOB_INFO_SINGLE", "REQUEST_JOB_USER_INFO", "REQUEST_PARTITION_INFO")
    return sum(after.get(kind, 0) - before.get(kind, 0) for kind in kinds), total


async def test_a_thousand_watchers_on_two_hundred_jobs_cost_as_many_calls_as_one_on_one(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    few, many = tmp_path / "few.d", tmp_path / "many.d"
    few.mkdir()
    many.mkdir()
    (few / "one.yaml").write_text(WATCHER.format(number=1))
    for number in range(5):
        (many / f"{number}.yaml").write_text(WATCHER.format(number=number))
    slurm.submit("sleep 600", cwd=tmp_path)
    one, _ = await calls_of_passes(slurm, few, tmp_path / "few")
    for _ in range(199):
        slurm.submit("sleep 600", cwd=tmp_path)
    thousand, watchers = await calls_of_passes(slurm, many, tmp_path / "many")
    assert watchers >= 1000
    assert thousand == one
    assert one <= 2 * PASSES


# --- over SSH, in a daemon, while a job prints -----------------------------------------------------------------------

METRIC = """\
name: Step {number}
jobs: {{name: load}}
interval_seconds: 1
pattern: '^step (\\d+)$'
actions:
  - type: store_metric
    params: {{name: step{number}, value: $1}}
"""
#: slurmd's own calls, and the counting.
NOT_OURS = ("MESSAGE_", "REQUEST_COMPLETE_", "REQUEST_STEP_COMPLETE", "REQUEST_STATS_INFO", "REQUEST_PING")


async def calls_of_intervals(far: FarSlurm, engine: Engine, job: str) -> Mapping[str, int]:
    """Return the calls of `PASSES` intervals by type; meanwhile the job's output goes on."""
    await engine.daemon.look_again(list_jobs=True)  # what is asked once is asked now
    seen, before = len(await values_of(engine, job, "step0")), far.slurm.rpcs()
    for _ in range(PASSES):
        assert await engine.daemon.look_again(list_jobs=True) is not None
    await eventually(lambda: printed(engine, job, seen))
    after = far.slurm.rpcs()
    changed = {kind: count - before.get(kind, 0) for kind, count in after.items() if not kind.startswith(NOT_OURS)}
    return {kind: count for kind, count in changed.items() if count}


async def printed(engine: Engine, job: str, seen: int) -> bool:
    return len(await values_of(engine, job, "step0")) > seen


async def counted(far: FarSlurm, home: Path, jobs: int, watchers: int, job: str) -> Mapping[str, int]:
    """Run a daemon whose only listings are those that are asked for, until all watchers are there; then count."""
    directory = home / "watchers.d"
    directory.mkdir(parents=True)
    for number in range(watchers):
        (directory / f"{number}.yaml").write_text(METRIC.format(number=number))
    settings = far.settings(home, engine={"discovery_interval": 3600, "source_interval": 3600})
    async with running(settings, directory) as engine:
        await eventually(lambda: engine.controller.fleet.live() == jobs * watchers)
        await eventually(lambda: printed(engine, job, 0))
        return await calls_of_intervals(far, engine, job)


def submit_many(slurm: SlurmCluster, number: int) -> None:
    many = f"seq {number} | xargs -P 8 -I{{}} sbatch --hold --wrap 'sleep 600' --output=/dev/null --job-name=load"
    subprocess.run(["sh", "-c", many], env=slurm.env, check=True, stdout=subprocess.DEVNULL)


async def test_over_ssh_a_thousand_watchers_on_two_hundred_jobs_cost_as_many_calls_as_one_on_one(
    far_slurm: FarSlurm, tmp_path: Path
) -> None:
    slurm = far_slurm.slurm
    job = slurm.submit("n=0; while :; do n=$((n+1)); echo step $n; sleep 0.2; done", "--job-name=load", cwd=tmp_path)
    slurm.wait_for(job, "RUNNING")
    one = await counted(far_slurm, tmp_path / "few", 1, 1, job)
    submit_many(slurm, 199)
    thousand = await counted(far_slurm, tmp_path / "many", 200, 5, job)
    print(f"{PASSES} intervals: {one} for one watcher, {thousand} for a thousand")
    assert one["REQUEST_JOB_INFO"] == PASSES
    assert thousand == one
