"""Outages of every layer between us and a real SLURM behind a real sshd: shown, ended by nothing, caught up with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parts.far_slurm import FarSlurm, values_of, watchers_of
from parts.outages import OUTAGES
from parts.relay import Relay, relay_to
from parts.running import running
from parts.sshd import HOST
from parts.waiting import eventually

from reconciler.app import Engine
from reconciler.cli.status import hosts_down, row_of
from reconciler.events import EventType
from reconciler.protocols import EventFilter

pytestmark = [pytest.mark.slurm, pytest.mark.ssh]

LOSS = """\
name: Loss
jobs: {name: NAME}
interval_seconds: 1
pattern: '^loss: (\\d+)$'
captures: [loss]
actions:
  - type: store_metric
    params: {name: loss, value: $loss}
---
name: End
jobs: {name: NAME}
trigger_on_job_end: true
actions:
  - type: log_event
    params: {message: "it ended as ${JOB_STATE}"}
"""
#: Prints a line, waits for a file of the same number, prints the next: the test says when.
JOB = """\
for n in 1 2 3; do echo loss: $n; while [ ! -e go$n ]; do sleep 0.05; done; done
printf 'loss: 4'
"""


@pytest.fixture
def watchers(tmp_path: Path) -> Path:
    directory = tmp_path / "watchers.d"
    directory.mkdir()
    (directory / "loss.yaml").write_text(LOSS.replace("NAME", tmp_path.name))
    return directory


@pytest.fixture
async def line(far_slurm: FarSlurm) -> AsyncIterator[Relay]:
    """The line to the server, and a known_hosts that vouches for its other end."""
    sshd = far_slurm.sshd
    async with relay_to(sshd.port) as relay:
        sshd.known_hosts.write_text(f"127.0.0.1 {(sshd.home / 'host_key.pub').read_text()}")
        yield relay


async def shown(engine: Engine) -> set[str]:
    """The states that `status` shows."""

    def look_up(state: object) -> set[str]:
        down = hosts_down(state, {HOST})  # type: ignore[arg-type]
        return {row_of(watcher, "running", down)["state"] for watcher in state.watchers()}  # type: ignore[attr-defined]

    return await engine.parts.state.run(look_up)


async def got(engine: Engine, job: str, *numbers: int) -> bool:
    return await values_of(engine, job) == [float(number) for number in numbers]


@pytest.mark.parametrize("name", OUTAGES)
async def test_an_outage_is_shown_ends_nothing_and_is_caught_up_with(
    far_slurm: FarSlurm, line: Relay, watchers: Path, tmp_path: Path, name: str
) -> None:
    slow = {"timeout": 2.0, "answer_timeout": 2.0, "connect_timeout": 2.0}
    settings = far_slurm.settings(tmp_path, port=line.port, **slow)  # type: ignore[arg-type]
    job = far_slurm.slurm.submit(JOB, f"--job-name={tmp_path.name}", cwd=tmp_path)
    async with running(settings, watchers) as engine:
        await eventually(lambda: got(engine, job, 1))
        async with OUTAGES[name](far_slurm, line):
            await eventually(lambda: is_shown(engine))
            for number in (1, 2, 3):  # it goes on, and ends, while nobody can ask SLURM
                (tmp_path / f"go{number}").touch()
            await eventually(lambda: (tmp_path / f"slurm-{job}.out").read_text().endswith("loss: 4"))
            assert [watcher.state for watcher in await watchers_of(engine)] == ["active"] * 2
        await eventually(lambda: completed(engine))
        assert await got(engine, job, 1, 2, 3, 4)
        events = await engine.parts.state.run(lambda state: state.events(EventFilter(limit=1000)))
    triggers = [event.data["trigger"] for event in events if event.type is EventType.WATCHER_TRIGGERED]
    assert triggers == ["match"] * 4 + ["job_end"]
    assert "it ended as completed" in {event.action_result for event in events}
    marks = [e.type for e in events if e.type in (EventType.HOST_UNREACHABLE, EventType.HOST_REACHABLE)]
    assert marks[0] is EventType.HOST_UNREACHABLE
    assert marks[-1] is EventType.HOST_REACHABLE


async def is_shown(engine: Engine) -> bool:
    return await shown(engine) == {"unreachable"}


async def completed(engine: Engine) -> bool:
    return [watcher.state for watcher in await watchers_of(engine)] == ["completed"] * 2
