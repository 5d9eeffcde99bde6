"""slurmctld sees the same few calls however many jobs and watchers there are; `sdiag` counts them."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts.slurm import SlurmCluster

from reconciler import app
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
