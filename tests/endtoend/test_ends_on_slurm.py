"""How jobs of a real SLURM end, begin again and are called, under passes as from cron: nothing is missed, nothing is
told twice."""

from __future__ import annotations

import json
import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from parts.slurm import SlurmCluster
from parts.slurm_accounting import AccountingCluster
from parts.waiting import eventually

from reconciler import app
from reconciler.engine.parts import Host
from reconciler.events import Event
from reconciler.model import HostName, JobId, Watcher, WatcherState
from reconciler.protocols import EventFilter, Submission
from reconciler.settings import Settings

pytestmark = pytest.mark.slurm

LOG = {"type": "log_event", "params": {"message": "$0"}}


class Cron:
    """`reconcile --once` again and again over one directory of watchers.

    Each test names its jobs by names of its own: those of tests before are remembered by the cluster.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.watchers = home, home / "watchers.d"
        self.watchers.mkdir()
        self.settings = Settings.model_validate(
            {
                "hosts": {"localhost": {"scheduler": {"type": "slurm"}}},
                "state": {"path": home / "state.db"},
                "policy": {"prune_grace": 0},
                "engine": {"end_grace": 0.2},
            }
        )

    def write(self, job: str, /, file: str = "w", **fields: Any) -> None:
        spec = {"name": file, "jobs": {"name": job}, "pattern": "^hit .*", "actions": [LOG], **fields}
        (self.watchers / f"{file}.yaml").write_text(json.dumps(spec))

    async def once(self, approve: str = "") -> None:
        async with app.engine(self.settings, [self.watchers]) as engine:
            await engine.once.run(approve=approve)

    async def told(self) -> tuple[tuple[Watcher, ...], list[Event]]:
        """Return the watchers, and what triggered."""
        async with app.engine(self.settings, [self.watchers]) as engine:
            wanted = EventFilter(types=("reconciler.watcher.triggered.v1",), limit=10_000)
            return await engine.parts.state.run(lambda state: (state.watchers(), list(state.events(wanted))))

    async def texts(self) -> list[str]:
        """Return what triggered, in order; a trigger without a line is told by its kind."""
        return [event.matched_text or str(event.data["trigger"]) for event in (await self.told())[1]]


def holds(file: Path, text: str) -> bool:
    return file.exists() and text in file.read_text()


def _programs_but(name: str, directory: Path) -> Path:
    """Return a directory for the PATH that has all programs of ours but one."""
    directory.mkdir()
    for place in map(Path, reversed(os.environ["PATH"].split(":"))):
        for program in place.iterdir() if place.is_dir() else ():
            if program.name != name:
                (directory / program.name).unlink(missing_ok=True)
                (directory / program.name).symlink_to(program)
    return directory


@pytest.fixture
def cron(tmp_path: Path) -> Cron:
    return Cron(tmp_path)


async def test_a_job_that_began_and_ended_between_two_passes_is_read_and_told_once(
    cron: Cron, slurm: SlurmCluster, tmp_path: Path
) -> None:
    cron.write("between", trigger_on_job_end=True)
    await cron.once()
    job = slurm.submit("echo hit 1; printf 'hit 2'", "--job-name=between", cwd=tmp_path)
    slurm.wait_for(job, "COMPLETED")
    for _ in range(3):
        await cron.once()
    assert await cron.texts() == ["hit 1", "hit 2", "job_end"]
    ((watcher,), _) = await cron.told()
    assert (watcher.job.id, watcher.state) == (job, WatcherState.COMPLETED)


async def test_a_pass_that_does_not_find_slurm_any_more_ends_no_watcher_and_the_next_one_that_does_goes_on(
    cron: Cron, slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under cron, whose PATH is another."""
    cron.settings = cron.settings.model_copy(update={"hosts": Settings().hosts})  # found out, as nobody says it
    cron.write("lost")
    job = slurm.submit("echo hit 1; while [ ! -e go ]; do sleep 0.1; done; echo hit 2", "--job-name=lost", cwd=tmp_path)
    await eventually(partial(holds, tmp_path / f"slurm-{job}.out", "hit 1"))
    await cron.once()
    with monkeypatch.context() as lost:
        lost.setenv("PATH", str(_programs_but("sbatch", tmp_path / "bin")))
        await cron.once()
        ((watcher,), _) = await cron.told()
        assert watcher.state is WatcherState.ACTIVE
        async with app.engine(cron.settings, [cron.watchers]) as engine:
            why = await engine.parts.state.run(lambda state: state.fact("unreachable:localhost"))
        assert "SLURM" in (why or "")
    (tmp_path / "go").touch()
    slurm.wait_for(job, "COMPLETED")
    await cron.once()
    assert await cron.texts() == ["hit 1", "hit 2"]


async def test_an_output_with_a_name_of_its_own_is_read_to_its_end_though_accounting_does_not_keep_it(
    cron: Cron, slurm_with_accounting: AccountingCluster, tmp_path: Path
) -> None:
    slurm = slurm_with_accounting
    cron.write("own-name")
    script = "echo hit 1; while [ ! -e go ]; do sleep 0.1; done; echo hit 2"
    job = slurm.submit(script, "--job-name=own-name", "--output=own.out", cwd=tmp_path)
    await eventually(partial(holds, tmp_path / "own.out", "hit 1"))
    await cron.once()
    (tmp_path / f"slurm-{job}.out").write_text("hit of something else\n")
    (tmp_path / "go").touch()
    await eventually(lambda: not slurm.state(job))

    async def ended() -> bool:
        await cron.once()
        return (await cron.told())[0][0].state is WatcherState.COMPLETED

    await eventually(ended)
    assert await cron.texts() == ["hit 1", "hit 2"]


async def test_a_job_end_is_told_of_the_states_that_are_asked_for(
    cron: Cron, slurm: SlurmCluster, tmp_path: Path
) -> None:
    cron.write("ends", "default", pattern=None, trigger_on_job_end=True)
    cron.write("ends", "cancelled", pattern=None, trigger_on_job_end=True, trigger_job_states=["cancelled"])
    scripts = {"COMPLETED": "exit 0", "FAILED": "exit 3", "CANCELLED": "sleep 600"}
    jobs = {state: slurm.submit(script, "--job-name=ends", cwd=tmp_path) for state, script in scripts.items()}
    slurm.wait_for(jobs["CANCELLED"], "RUNNING")
    await cron.once()
    slurm.command("scancel", jobs["CANCELLED"])
    for state, job in jobs.items():
        slurm.wait_for(job, state)
    for _ in range(2):
        await cron.once()
    watchers, events = await cron.told()
    fired = Counter((event.watcher, event.job_id) for event in events)
    assert fired == {
        ("default", jobs["COMPLETED"]): 1,
        ("default", jobs["FAILED"]): 1,
        ("cancelled", jobs["CANCELLED"]): 1,
    }
    assert {watcher.state for watcher in watchers} == {WatcherState.COMPLETED}


@pytest.mark.parametrize("mode", ["append", "truncate"])
async def test_a_requeued_job_is_the_same_watcher_and_each_run_is_told_once(
    cron: Cron, slurm: SlurmCluster, tmp_path: Path, mode: str
) -> None:
    cron.write(f"again-{mode}")
    script = "echo hit run $SLURM_RESTART_COUNT; touch ran.$SLURM_RESTART_COUNT; sleep 600"
    job = slurm.submit(script, f"--job-name=again-{mode}", f"--open-mode={mode}", "--requeue", cwd=tmp_path)
    await eventually((tmp_path / "ran.").exists)
    await cron.once()
    slurm.command("scontrol", "requeue", job)
    slurm.wait_for(job, "PENDING")
    await cron.once()
    # SLURM would let it wait for two minutes, until nobody can hold its revoked credential for the new one
    slurm.command("scontrol", "update", f"JobId={job}", "StartTime=now+3")
    await eventually((tmp_path / "ran.1").exists)
    for _ in range(2):
        await cron.once()
    assert await cron.texts() == ["hit run", "hit run 1"]
    ((watcher,), _) = await cron.told()
    assert (watcher.trigger_count, watcher.state) == (2, WatcherState.ACTIVE)


async def test_a_watcher_that_was_deleted_and_put_back_goes_on_where_it_was(
    cron: Cron, slurm: SlurmCluster, tmp_path: Path
) -> None:
    cron.write("back")
    job = slurm.submit("n=0; while :; do n=$((n+1)); [ -e $n ] && echo hit $n || n=$((n-1)); sleep 0.1; done",
                       "--job-name=back", cwd=tmp_path)  # fmt: skip
    for number in (1, 2, 3):
        (tmp_path / str(number)).touch()
        await eventually(partial(holds, tmp_path / f"slurm-{job}.out", f"hit {number}\n"))
        if number == 2:
            (cron.watchers / "w.yaml").unlink()
        else:
            cron.write("back")
        await cron.once(approve="yes")
        states = [watcher.phase for watcher in (await cron.told())[0]]
        assert states == [WatcherState.STOPPED if number == 2 else WatcherState.ACTIVE]
    assert await cron.texts() == ["hit 1", "hit 2", "hit 3"]


async def test_local_jobs_are_watched_next_to_those_of_slurm_under_a_host_of_their_own(
    cron: Cron, slurm: SlurmCluster, tmp_path: Path
) -> None:
    own = {"transport": {"type": "local"}, "scheduler": {"type": "local", "directory": str(tmp_path / "jobs")}}
    hosts = {"localhost": {"scheduler": {"type": "slurm"}}, "own": own}
    cron.settings = Settings.model_validate({**cron.settings.model_dump(exclude={"hosts"}), "hosts": hosts})
    cron.write("both")
    job = slurm.submit("echo hit slurm", "--job-name=both", cwd=tmp_path)
    host = app.make_host(HostName("own"), cron.settings)
    options = {"job-name": "both"}
    local = await host.scheduler.submit(Submission(script=b"#!/bin/sh\necho hit local\n", options=options, held=False))
    await eventually(partial(ended, host, local))
    await host.transport.close()
    slurm.wait_for(job, "COMPLETED")
    for _ in range(2):
        await cron.once()
    watchers, events = await cron.told()
    assert {(event.hostname, event.job_id, event.matched_text) for event in events} == {
        ("localhost", job, "hit slurm"),
        ("own", local, "hit local"),
    }
    assert len(events) == 2
    assert [watcher.state for watcher in watchers] == [WatcherState.COMPLETED] * 2


async def ended(host: Host, job_id: JobId) -> bool:
    return (await host.scheduler.lookup([job_id]))[job_id].state.ended


@pytest.mark.parametrize("name", ["a b|c", "100%", 'it\'s "so"', "é日本", "$(touch x)`touch y`", "-rf", "a\nb"])
async def test_a_job_is_found_by_its_name_and_its_output_by_its_pattern_whatever_they_hold(
    cron: Cron, slurm: SlurmCluster, tmp_path: Path, name: str
) -> None:
    cron.write(name.replace("[", "[[]"))
    job = slurm.submit("echo hit $SLURM_JOB_ID", f"--job-name={name}", "--output=%x-%5j.out", cwd=tmp_path)
    other = slurm.submit("echo hit $SLURM_JOB_ID", "--job-name=other", cwd=tmp_path)
    for each in (job, other):
        slurm.wait_for(each, "COMPLETED")
    await cron.once()
    assert await cron.texts() == [f"hit {job}"]
    assert sorted(path.name for path in tmp_path.glob("*.out")) == sorted(
        [f"{name}-{int(job):05}.out", f"slurm-{other}.out"]
    )
    assert not {"x", "y"} & {path.name for path in tmp_path.iterdir()}
