"""The daemon at work: an idle herd of outputs, and the time from an append to its committed event.

    python -m tests.benchmarks.daemon [--jobs 10000] [--appends 500]

Prints the cost of one sweep over all idle outputs, the daemon's share of a core and its memory per watcher while idle,
then the latency of appends. Figures are for people; nothing here fails on a clock.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from parts.listed import ListedJobs
from parts.waiting import eventually

from reconciler import app
from reconciler.engine.parts import Host
from reconciler.model import HostName, Job, JobId, JobState
from reconciler.protocols import Want
from reconciler.settings import Settings

#: Seconds between two appends. Where lines come without pause the daemon paces its reading, see `transports/notices`.
GAP = 0.1
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


async def run(home: Path, jobs: int, appends: int, idle: float) -> None:
    """Measure and print."""
    watchers = home / "watchers.d"
    watchers.mkdir()
    (watchers / "bench.yaml").write_text(WATCHER)
    (home / "outputs").mkdir()  # the state lies elsewhere, as it does: its own writes are no notices
    outputs = [home / "outputs" / f"{number}.out" for number in range(jobs)]
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
        tasks = engine.controller.fleet.tasks
        await eventually(lambda: len(tasks) == jobs and all(task.checked is not None for task in tasks.values()), 120)
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
        await asyncio.sleep(settings.engine.source_interval + 5)  # for the pass that finds all of them taken up
        used = resource.getrusage(resource.RUSAGE_SELF)
        start = time.perf_counter()
        await asyncio.sleep(idle)
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
        print(f"idle for {idle:.0f} s: {100 * cpu / (time.perf_counter() - start):.2f} % of a core")
        await latency(home / "state.db", outputs[0], appends)
        engine.daemon.stop()
        await daemon


def measure(database: Path, output: Path, appends: int) -> list[float]:
    """Append lines one by one and see, through a connection of our own, when each event is committed."""
    took = []
    with sqlite3.connect(database) as connection, output.open("a") as file:
        question = "select max(id) from watcher_events"
        (seen,) = connection.execute(question).fetchone()
        for number in range(appends):
            start = time.perf_counter()
            file.write(f"loss: {number}.5\n")
            file.flush()
            while (newest := connection.execute(question).fetchone()[0]) == seen:
                time.sleep(0.0002)
            took.append(time.perf_counter() - start)
            time.sleep(GAP)
            (seen,) = connection.execute(question).fetchone()
            assert newest
    return sorted(took)


async def latency(database: Path, output: Path, appends: int) -> None:
    """Print how long an append takes to become a committed event."""
    # Another process looks on: what it costs to look is not the daemon's, whose reading paces itself by what it uses.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as onlooker:
        took = await asyncio.get_running_loop().run_in_executor(onlooker, measure, database, output, appends)
    median, slow = took[len(took) // 2] * 1000, took[int(len(took) * 0.99)] * 1000
    print(f"append to committed event: median {median:.2f} ms, p99 {slow:.2f} ms")


def main() -> None:
    """Parse the command line and run in a temporary directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--appends", type=int, default=500)
    parser.add_argument("--idle", type=float, default=120.0, help="seconds to watch the idle daemon for")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(run(Path(home), words.jobs, words.appends, words.idle))


if __name__ == "__main__":
    main()
