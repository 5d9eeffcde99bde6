"""The daemon at work: an idle herd of outputs, and the time from an append to its committed event.

    python -m tests.benchmarks.daemon [--jobs 10000] [--appends 500]

Prints the cost of one sweep over all idle outputs, the daemon's share of a core and its memory per watcher while idle, then
the latency of appends. Figures are for people; nothing here fails on a clock.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from parts.listed import ListedJobs

from reconciler import app
from reconciler.engine.parts import Host
from reconciler.model import HostName, Job, JobId, JobState
from reconciler.protocols import EventFilter, Want
from reconciler.settings import Settings

LOCAL = HostName("localhost")
WATCHER = """\
name: bench
pattern: 'loss: ([\\d.]+)'
captures: [loss]
actions:
  - type: log_event
    params: {message: $loss}
"""


def rss() -> int:
    """Bytes of memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def run(home: Path, jobs: int, appends: int) -> None:
    """Measure and print."""
    watchers = home / "watchers.d"
    watchers.mkdir()
    (watchers / "bench.yaml").write_text(WATCHER)
    outputs = [home / f"{number}.out" for number in range(jobs)]
    for output in outputs:
        output.write_text("an idle line\n")
    now = time.time()
    listed = [
        Job(
            LOCAL, JobId(str(n)), "bench", "user", JobState.RUNNING, stdout=str(o), started=now - 10, submitted=now - 10
        )
        for n, o in enumerate(outputs)
    ]
    settings = Settings.model_validate({"state": {"path": home / "state.db"}})
    async with app.engine(settings, [watchers]) as engine:
        host = engine.parts.hosts[LOCAL]
        scheduler = ListedJobs(LOCAL, listed)
        engine.parts.hosts[LOCAL] = Host(LOCAL, host.transport, scheduler)  # type: ignore[index]
        before = rss()
        daemon = asyncio.create_task(engine.daemon.run())
        while len(engine.controller.fleet.tasks) < jobs or any(
            t.checked is None for t in engine.controller.fleet.tasks.values()
        ):
            await asyncio.sleep(0.2)
        print(f"{jobs} jobs taken up; memory per watcher: {(rss() - before) / jobs / 1024:.1f} kB")
        stats = [os.stat(o) for o in outputs]
        from reconciler.model import FileStat

        wants = [
            Want(str(o), s.st_size, FileStat(s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns), 64)
            for o, s in zip(outputs, stats, strict=True)
        ]
        sweeps = []
        for _ in range(7):
            start = time.perf_counter()
            await host.transport.look(wants)
            sweeps.append(time.perf_counter() - start)
        print(f"one look at {jobs} idle outputs: {statistics.median(sweeps) * 1000:.1f} ms")
        used = resource.getrusage(resource.RUSAGE_SELF)
        start = time.perf_counter()
        await asyncio.sleep(60)
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
        print(f"idle for a minute: {100 * cpu / (time.perf_counter() - start):.2f} % of a core")
        await latency(engine, outputs[0], appends)
        engine.daemon.stop()
        await daemon


async def latency(engine: app.Engine, output: Path, appends: int) -> None:
    """Append lines one by one and see when each event is committed."""
    seq = await engine.parts.state.run(lambda state: state.last_seq())
    took = []
    with output.open("a") as file:
        for number in range(appends):
            start = time.perf_counter()
            file.write(f"loss: {number}.5\n")
            file.flush()
            while True:
                found = await engine.parts.state.run(lambda state: state.events(EventFilter(after_seq=seq, limit=10)))
                if found:
                    break
                await asyncio.sleep(0.0002)
            took.append(time.perf_counter() - start)
            seq = found[-1].seq
            await asyncio.sleep(0.02)
    took.sort()
    print(
        f"append to committed event: median {took[len(took) // 2] * 1000:.2f} ms, p99 {took[int(len(took) * 0.99)] * 1000:.2f} ms"
    )


def main() -> None:
    """Parse the command line and run in a temporary directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--appends", type=int, default=500)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(run(Path(home), words.jobs, words.appends))


if __name__ == "__main__":
    main()
