"""Several hosts, thousands of jobs, tens of thousands of watchers, for minutes: what it costs and how late it is.

    python tests/benchmarks/soak.py [--hosts 5] [--jobs 5000] [--watchers 20000] [--rate 2000] [--seconds 120] [--long]
                                    [--delay 50 --loss 1]

Real transports (sshd on loopback), the real parser of squeue's answers, the real state and events file; all in a
directory that goes afterwards. `--long` is 30 minutes; `--delay` and `--loss` put relays in between, as slow as a link
of so many milliseconds each way that loses so many of a hundred packets. It fails where a match was lost or doubled;
the rest is figures.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from parts.sshd import make_keys
from parts.waiting import eventually
from soak_site import FarHost, Writer, far_hosts

from reconciler import app
from reconciler.app import Engine
from reconciler.events import Event
from reconciler.settings import Settings

#: See `engine.max_backoff`: idle outputs are looked at after so many intervals.
MAX_BACKOFF = 5
HIT = """\
name: hits
interval_seconds: INTERVAL
pattern: '^hit=(\\d+) at=([\\d.]+)$'
captures: [hit, at]
actions:
  - type: log_event
    params: {message: "$hit $at"}
"""
OTHER = """\
name: other NUMBER
interval_seconds: INTERVAL
pattern: '(CUDA out of memory|OutOfMemoryError|loss: nan NUMBER)'
actions:
  - type: log_event
    params: {message: $0}
"""


@dataclass
class Lags:
    """A sink that notes how long each hit was on the way, from the append to its event in here (seconds).

    The hits go to a file, `told`: in memory they would soon be more than all that is measured.
    """

    told: Path
    seconds: array[float] = field(default_factory=lambda: array("d"))

    def position(self) -> int | None:
        return None

    async def write(self, events: Sequence[Event]) -> None:
        now = time.time()
        with self.told.open("a") as told:
            for event in events:
                if event.action_type == "log_event" and event.type.endswith("succeeded.v1"):
                    hit, _, at = event.action_result.partition(" ")
                    self.seconds.append(now - float(at))
                    told.write(f"{event.hostname} {event.job_id} {hit}\n")

    def hits(self) -> Counter[str]:
        """Return how often each hit was told, as `host job number`."""
        return Counter(self.told.read_text().splitlines())

    async def close(self) -> None:
        pass


@dataclass
class Meter:
    """What this process used over time."""

    process: psutil.Process = field(default_factory=psutil.Process)
    memory: list[int] = field(default_factory=list)

    async def run(self) -> None:
        """Note the memory every second."""
        while True:
            self.memory.append(self.process.memory_info().rss)
            await asyncio.sleep(1)

    def cpu(self) -> float:
        """Return the seconds of CPU so far."""
        used = self.process.cpu_times()
        return float(used.user + used.system)


def transport_to(host: FarHost) -> dict[str, object]:
    """Settings of the way to a host."""
    made = host.sshd.settings(port=host.port, retry_after=1.0, answer_timeout=30.0)
    return made.model_dump(exclude_none=True)


def settings_for(home: Path, hosts: Sequence[FarHost], listed: float) -> Settings:
    """Settings as a user has them, with all hosts."""
    sections = {
        host.name: {
            "transport": transport_to(host),
            "scheduler": {"type": "slurm"},
        }
        for host in hosts
    }
    return Settings.model_validate(
        {
            "hosts": sections,
            "state": {"path": home / "state" / "state.db"},
            "engine": {"discovery_interval": listed},
            "limits": {"actions_per_minute": 10_000},
        }
    )


@dataclass(frozen=True)
class Reading:
    """What everything had used at one moment."""

    at: float
    cpu: float
    looks: int
    asked: int
    far: tuple[float, ...]

    @classmethod
    def now(cls, meter: Meter, engine: Engine, hosts: Sequence[FarHost]) -> Reading:
        """Read all of it."""
        looks = sum(host.transport.traffic.requests for host in engine.parts.hosts.values())  # type: ignore[attr-defined]
        far = tuple(host.cpu() for host in hosts)
        return cls(time.monotonic(), meter.cpu(), looks, sum(host.asked() for host in hosts), far)


async def load(options: argparse.Namespace, engine: Engine, hosts: Sequence[FarHost], lags: Lags) -> None:
    """Take all jobs up, write for so long, let all jobs end; tell what it cost."""
    meter = Meter()
    metering = asyncio.create_task(meter.run())
    daemon = asyncio.create_task(engine.daemon.run())
    await taken_up(options, engine, meter)
    files = [(host.name, job, output) for host in hosts for job, output in host.outputs.items()]
    before = Reading.now(meter, engine, hosts)
    meter.memory.clear()
    writer = Writer([output for *_, output in files], options.rate, options.hits)
    await asyncio.sleep(min(options.seconds / 2, MAX_BACKOFF * options.interval))
    del lags.seconds[:]  # what had been idle is looked at less often; the load begins when all of it is not
    await asyncio.sleep(options.seconds - min(options.seconds / 2, MAX_BACKOFF * options.interval))
    after, memory = Reading.now(meter, engine, hosts), list(meter.memory)
    helpers = max(host.lookout_memory() for host in hosts)
    hits, lines = await asyncio.to_thread(writer.end)
    tell(options, before, after, lines)
    tell_memory(memory, helpers)
    tell_lags(options, lags)
    began = time.monotonic()
    for host in hosts:
        host.list_jobs("COMPLETED")
    await eventually(lambda: not engine.controller.fleet.tasks, 600)
    most = max(meter.memory) / 1e6
    print(f"all jobs ended: dealt with in {time.monotonic() - began:.1f} s, most memory {most:.0f} MB")
    engine.daemon.stop()
    await daemon
    metering.cancel()
    await asyncio.gather(metering, return_exceptions=True)
    judge(lags, {(str(host), job): count for (host, job, _), count in zip(files, hits, strict=True)})


async def taken_up(options: argparse.Namespace, engine: Engine, meter: Meter) -> None:
    """Return when every job has its watchers and was looked at once."""
    began, fleet = time.monotonic(), engine.controller.fleet
    await eventually(lambda: fleet.live() == options.jobs * options.each, 600)
    await eventually(lambda: all(task.checked is not None for task in fleet.tasks.values()), 600)
    wall = time.monotonic() - began
    print(f"{options.jobs} jobs, {fleet.live()} watchers on {options.hosts} hosts: taken up in {wall:.1f} s,"
          f" {meter.cpu():.1f} s of CPU, {meter.memory[-1] / 1e6:.0f} MB")  # fmt: skip


def tell(options: argparse.Namespace, before: Reading, after: Reading, lines: int) -> None:
    """Print what the load has used."""
    wall = after.at - before.at
    cpu = after.cpu - before.cpu
    far = max(b - a for a, b in zip(before.far, after.far, strict=True))
    looks, asked = (after.looks - before.looks) / options.hosts, (after.asked - before.asked) / options.hosts
    print(f"{lines} lines in {wall:.0f} s: {lines / wall:.0f}/s")
    print(f"our CPU: {cpu / wall:.1%} of a core, {cpu / lines * 1e6:.0f} us a line; a host's: {far / wall:.1%} at most")
    print(f"looks: {looks / wall:.2f} a second and host; squeue: {asked / wall * 60:.1f} a minute and host")


def tell_memory(memory: Sequence[int], helpers: int) -> None:
    """Print what was in use at the quarters of the load."""
    quarters = [memory[(len(memory) - 1) * n // 4] / 1e6 for n in range(5)]
    print(
        "our memory over time: " + " ".join(f"{each:.0f}" for each in quarters) + f" MB, most {max(memory) / 1e6:.0f}"
    )
    print(f"a lookout's memory: {helpers / 1e6:.0f} MB")


def tell_lags(options: argparse.Namespace, lags: Lags) -> None:
    """Print how late events were."""
    if len(lags.seconds) > 100:
        cuts = statistics.quantiles(lags.seconds, n=100)
        print(f"{len(lags.seconds)} hits told: append to event p50 {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s,"
              f" most {max(lags.seconds):.2f} s; interval {options.interval:g} s")  # fmt: skip


def judge(lags: Lags, expected: dict[tuple[str, str], int]) -> None:
    """Fail where a hit was lost or told twice."""
    wanted = {f"{host} {job} {n}" for (host, job), count in expected.items() for n in range(1, count + 1)}
    hits = lags.hits()
    lost, doubled = wanted - hits.keys(), [hit for hit, count in hits.items() if count != 1]
    strange = hits.keys() - wanted
    print(f"{len(wanted)} hits expected: {len(lost)} lost, {len(doubled)} doubled, {len(strange)} strange")
    if lost or doubled or strange:
        sys.exit(f"lost {sorted(lost)[:5]}, doubled {doubled[:5]}, strange {sorted(strange)[:5]}")


async def soak(options: argparse.Namespace, home: Path) -> None:
    """Make the hosts, the watchers and an engine, and load it."""
    watchers = home / "watchers.d"
    watchers.mkdir()
    (watchers / "0.yaml").write_text(HIT.replace("INTERVAL", str(options.interval)))
    for number in range(1, options.each):
        text = OTHER.replace("INTERVAL", str(options.interval)).replace("NUMBER", str(number))
        (watchers / f"{number}.yaml").write_text(text)
    (home / "state").mkdir()
    make_keys(home / "keys")
    link = {"delay": options.delay / 1000, "loss": options.loss / 100}
    with far_hosts(home, home / "keys", options.hosts, options.jobs, **link) as hosts:
        lags = Lags(home / "told")
        async with app.engine(settings_for(home, hosts, options.listed), [watchers], sinks=[lags]) as engine:
            await load(options, engine, hosts, lags)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"hosts": 5, "jobs": 5000, "watchers": 20_000}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, seconds in {"rate": 2000.0, "seconds": 120.0, "interval": 5.0, "listed": 30.0, "hits": 0.1}.items():
        parser.add_argument(f"--{name}", type=float, default=seconds)
    parser.add_argument("--delay", type=float, default=0.0, help="ms each way to every host")
    parser.add_argument("--loss", type=float, default=0.0, help="percent of packets that are lost on the way")
    parser.add_argument("--long", action="store_true", help="30 minutes")
    options = parser.parse_args()
    options.seconds = 1800.0 if options.long else options.seconds
    options.each = max(1, options.watchers // options.jobs)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory(prefix="soak-") as home:
        (Path(home) / "keys").mkdir()
        asyncio.run(soak(options, Path(home)))


if __name__ == "__main__":
    main()
