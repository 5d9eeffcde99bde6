"""Faults of every layer at random, one after the other, while jobs print numbered lines: every line counts once.

Bounded to seconds; RECONCILER_CAMPAIGN=long makes it ten minutes. A run is repeated with RECONCILER_CAMPAIGN_SEED.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from parts.far_slurm import FarSlurm, values_of, watchers_of
from parts.outages import MISHAPS, OUTAGES
from parts.relay import Relay, relay_to
from parts.running import running
from parts.waiting import eventually

from reconciler.app import Engine
from reconciler.events import EventType
from reconciler.model import JobId
from reconciler.protocols import EventFilter
from reconciler.settings import Settings

pytestmark = [pytest.mark.slurm, pytest.mark.ssh, pytest.mark.slow]

LONG = os.environ.get("RECONCILER_CAMPAIGN") == "long"
#: Seconds of faults, and jobs at a time.
SECONDS, JOBS = (600.0, 6) if LONG else (18.0, 3)
#: Lines that jobs print while an outage lasts, at most; and between two.
LASTS, CALM = 150, 60

LINE = """\
name: Line
jobs: {name: "NAME-*"}
interval_seconds: 1
pattern: '^line (\\d+) of \\d+$'
actions:
  - type: store_metric
    params: {name: line, value: $1}
"""
#: Prints its lines, the last without an end, at fifty a second, in pieces that break anywhere.
JOB = """\
#!/usr/bin/env python3
import os, random, time
chance = random.Random(SEED)
text = "".join(f"line {n} of LINES\\n" for n in range(1, LINES + 1))[:-1].encode()
while text:
    size = min(len(text), chance.randrange(1, 40))
    os.write(1, text[:size])
    text = text[size:]
    time.sleep(0.02)
"""


class Campaign:
    """The jobs there were, and how many lines each prints; `far` runs `JOBS` of them at a time."""

    def __init__(self, far: FarSlurm, home: Path, chance: random.Random) -> None:
        self.far, self.home, self.chance = far, home, chance
        self.jobs: dict[JobId, int] = {}

    def keep_running(self) -> None:
        """See that there are always so many that print."""
        while sum(not self._over(job) for job in self.jobs) < JOBS:
            lines = self.chance.randrange(50, 400)
            script = JOB.replace("LINES", str(lines)).replace("SEED", str(lines))
            name = f"--job-name={self.home.name}-{len(self.jobs)}"
            self.jobs[JobId(self.far.slurm.submit(script, name, cwd=self.home))] = lines

    def _file(self, job: JobId) -> Path:
        return self.home / f"slurm-{job}.out"

    def _over(self, job: JobId) -> bool:
        last = f"line {self.jobs[job]} of {self.jobs[job]}".encode()
        return self._file(job).exists() and self._file(job).read_bytes().endswith(last)

    def printed(self) -> int:
        """Return how many bytes the jobs have printed: what the campaign takes for a clock."""
        return sum(file.stat().st_size for file in self.home.glob("slurm-*.out"))

    async def lines(self, count: int) -> None:
        """Wait until about so many lines more were printed, or nobody prints: jobs may wait for a slurmctld."""
        wanted = self.printed() + 16 * count

        def enough() -> bool:
            printing = any(self._file(job).exists() and not self._over(job) for job in self.jobs)
            return self.printed() >= wanted or not printing

        await eventually(enough)

    def all_printed(self) -> bool:
        """Tell whether every job has printed all it has."""
        return all(map(self._over, self.jobs))


async def faults(campaign: Campaign, line: Relay, seconds: float) -> Counter[str]:
    """Let things go wrong for so long; return what did how often."""
    known, done = {**OUTAGES, **MISHAPS}, Counter[str]()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        name = campaign.chance.choice(list(known))
        done[name] += 1
        async with known[name](campaign.far, line):
            await campaign.lines(campaign.chance.randrange(LASTS))
        await asyncio.to_thread(campaign.keep_running)
        await campaign.lines(campaign.chance.randrange(CALM))
    return done


async def completed(engine: Engine, jobs: int) -> bool:
    found = await watchers_of(engine)
    return len(found) == jobs and all(watcher.state == "completed" for watcher in found)


def settings_for(far: FarSlurm, home: Path, line: Relay) -> Settings:
    short: dict[str, Any] = {"answer_timeout": 2.0, "connect_timeout": 2.0, "keepalive_interval": 1}
    return far.settings(home / "state", timeout=3.0, port=line.port, **short)


@pytest.mark.timeout(1500)
async def test_every_line_counts_once_whatever_goes_wrong_meanwhile(far_slurm: FarSlurm, tmp_path: Path) -> None:
    seed = int(os.environ.get("RECONCILER_CAMPAIGN_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"RECONCILER_CAMPAIGN_SEED={seed}")
    watchers = tmp_path / "watchers.d"
    watchers.mkdir()
    (watchers / "line.yaml").write_text(LINE.replace("NAME", tmp_path.name))
    (tmp_path / "state").mkdir()
    campaign = Campaign(far_slurm, tmp_path, random.Random(seed))
    sshd = far_slurm.sshd
    sshd.known_hosts.write_text(f"127.0.0.1 {(sshd.home / 'host_key.pub').read_text()}")
    async with relay_to(sshd.port) as line, running(settings_for(far_slurm, tmp_path, line), watchers) as engine:
        campaign.keep_running()
        done = await faults(campaign, line, SECONDS)
        await eventually(campaign.all_printed, timeout=120)
        await eventually(lambda: completed(engine, len(campaign.jobs)), timeout=120)
        for job, lines in campaign.jobs.items():
            assert await values_of(engine, job, "line") == [float(n) for n in range(1, lines + 1)], job
        ends = await engine.parts.state.run(lambda state: state.events(EventFilter(types=(COMPLETED,), limit=10_000)))
    print(f"{sum(campaign.jobs.values())} lines of {len(campaign.jobs)} jobs, {done.total()} faults: {dict(done)}")
    assert [event.data["job_state"] for event in ends] == ["COMPLETED"] * len(campaign.jobs)


COMPLETED = str(EventType.WATCHER_COMPLETED)
