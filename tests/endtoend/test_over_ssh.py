"""The main job over a real sshd: jobs on a far host are followed to the byte, whatever the line to it does."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psutil
import pytest
from parts.running import running
from parts.sshd import HOST, Sshd
from parts.waiting import eventually

from reconciler import app
from reconciler.app import Engine
from reconciler.errors import ExitCode
from reconciler.model import JobId, JobKey, Watcher
from reconciler.protocols import Submission
from reconciler.schedulers.local import LocalScheduler, LocalSchedulerSpec
from reconciler.settings import Settings

pytestmark = pytest.mark.ssh

LOSS = """\
name: Loss
jobs: {hosts: [far]}
interval_seconds: 1
pattern: '^loss: (\\d+)$'
captures: [loss]
actions:
  - type: store_metric
    params: {name: loss, value: $loss}
"""
LINES, HALF = 400, 200
#: Prints half of its lines, waits for a file, and prints the others: it cannot end before the test lets it.
JOB = f"""#!/bin/sh
for i in $(seq {LINES}); do
    echo loss: $i; sleep 0.01
    [ $i -ne {HALF} ] || while [ ! -e GO ]; do sleep 0.05; done
done
"""


def settings_of(sshd: Sshd, place: Path, **transport: Any) -> Settings:
    section = sshd.settings(retry_at_most=0.2, **transport).model_dump(exclude_none=True)
    scheduler = {"type": "local", "directory": str(place / "jobs")}
    return Settings.model_validate(
        {
            "hosts": {HOST: {"transport": section, "scheduler": scheduler}},
            "state": {"path": place / "state" / "state.db"},
            "engine": {"discovery_interval": 1, "source_interval": 1, "end_grace": 0.5},
        }
    )


async def submitted(sshd: Sshd, place: Path, script: str) -> JobId:
    async with sshd.transport() as transport:
        scheduler = LocalScheduler(HOST, transport, LocalSchedulerSpec(directory=str(place / "jobs")))
        return await scheduler.submit(Submission(script.encode(), held=False))


@pytest.fixture
def watchers(tmp_path: Path) -> Path:
    directory = tmp_path / "watchers.d"
    directory.mkdir()
    (directory / "loss.yaml").write_text(LOSS)
    return directory


async def watched(engine: Engine) -> tuple[Watcher, ...]:
    return await engine.parts.state.run(lambda state: state.watchers())


async def values(engine: Engine, job: JobId) -> list[float]:
    points = await engine.parts.state.run(lambda state: state.metrics(JobKey(HOST, job), "loss"))
    return [point.value for point in points]


async def completed(engine: Engine) -> bool:
    found = await watched(engine)
    return bool(found) and all(watcher.state == "completed" for watcher in found)


@pytest.mark.parametrize("lookout", ["python3", "perl", "sftp"])
async def test_every_line_is_dealt_with_once_over_lines_that_drop(
    sshd: Sshd, tmp_path: Path, watchers: Path, lookout: str
) -> None:
    go = tmp_path / "go"
    job = await submitted(sshd, tmp_path, JOB.replace("GO", str(go)))
    async with running(settings_of(sshd, tmp_path, lookouts=(lookout,)), watchers) as engine:
        for wanted, outage in ((10, sshd.drop), (60, kill_programs), (120, sshd.restart), (HALF, sshd.drop)):
            await eventually(lambda wanted=wanted: reached(engine, job, wanted))  # type: ignore[misc]
            outage(sshd) if outage is kill_programs else outage()  # type: ignore[call-arg]
            assert [watcher.phase for watcher in await watched(engine)] == ["active"]
        go.touch()
        await eventually(lambda: completed(engine))
        assert await values(engine, job) == [float(number) for number in range(1, LINES + 1)]


def kill_programs(sshd: Sshd) -> None:
    """Kill the lookouts, and nothing of the job: it is a session of its own."""
    for process in sshd.programs:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() in ("python3", "python3.11", "perl"):
                process.kill()


async def reached(engine: Engine, job: JobId, count: int) -> bool:
    return len(await values(engine, job)) >= count


async def test_a_host_that_is_away_ends_no_watcher_and_is_caught_up_with(
    sshd: Sshd, tmp_path: Path, watchers: Path
) -> None:
    settings, go = settings_of(sshd, tmp_path), tmp_path / "go"
    job = await submitted(sshd, tmp_path, JOB.replace("GO", str(go)))
    async with running(settings, watchers) as engine:
        await eventually(lambda: reached(engine, job, 20))
        sshd.stop()
        go.touch()
        await eventually(
            lambda: f"loss: {LINES}\n" in (tmp_path / "jobs" / job / "output").read_text()
        )  # it ends while we cannot see it
        assert len(await values(engine, job)) < LINES
        assert [watcher.phase for watcher in await watched(engine)] == ["active"]
        sshd.start()
        await eventually(lambda: completed(engine))
        assert await values(engine, job) == [float(number) for number in range(1, LINES + 1)]


async def test_a_single_pass_over_a_host_that_is_down_is_done_in_part_and_the_next_one_whole(
    sshd: Sshd, tmp_path: Path, watchers: Path
) -> None:
    settings = settings_of(sshd, tmp_path)
    job = await submitted(sshd, tmp_path, "#!/bin/sh\necho loss: 1\necho loss: 2\n")
    async with app.engine(settings, [watchers]) as engine:
        sshd.stop()
        report = await engine.once.run()
        assert ExitCode.PARTIAL in report.codes()
    sshd.start()
    for _ in range(2):
        async with app.engine(settings, [watchers]) as engine:
            report = await engine.once.run()
            assert ExitCode.PARTIAL not in report.codes()
            got = await values(engine, job)
    assert got == [1.0, 2.0]
