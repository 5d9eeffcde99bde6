"""What 10,000 watchers in 1,000 files cost: a pass without a change, a first load, a start with the cache.

Each figure stands beside what it is measured against, in this process and on these files. It only prints:
`python tests/benchmarks/sources.py [FILES [WATCHERS IN EACH]]`, with the repository on PYTHONPATH.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML

from reconciler import app
from reconciler.protocols import SourceFile
from reconciler.settings import Settings, StateSettings
from reconciler.sources.directory import DirectorySource
from reconciler.sources.files import digest_of

ROUNDS = 7
WATCHER = """\
name: Watcher {number}
description: writes down the loss of every epoch
jobs:
  name: "train-{number}-*"
  partition: [gpu, gpu-long]
pattern: "epoch (\\\\d+) loss: ([0-9.]+)"
captures: [epoch, loss]
condition: "float(loss) > 0.5"
interval_seconds: 60
max_triggers: 100
labels: {{team: vision, number: "{number}"}}
actions:
  - type: store_metric
    params: {{name: loss, value: $loss, step: $epoch}}
  - type: log_event
    params: {{message: "epoch $epoch of ${{JOB_NAME}}: $loss"}}
"""


def write(directory: Path, files: int, each: int) -> list[Path]:
    """Write the files, as they were an hour ago."""
    paths = []
    for file in range(files):
        path = directory / f"watchers-{file:04}.yaml"
        path.write_text("---\n".join(WATCHER.format(number=file * each + number) for number in range(each)))
        paths.append(path)
    for path in (*paths, directory):
        os.utime(path, (time.time() - 3600,) * 2)
    return paths


def timed(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median of seconds that `work` takes."""
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def bare(paths: list[Path]) -> None:
    """What cannot be saved: stat, read and hash every file."""
    for path in paths:
        os.stat(path)
        with open(path, "rb") as file:
            hashlib.blake2b(file.read(), digest_size=20).hexdigest()


def told(what: str, ours: float, theirs: float, against: str, limit: float) -> None:
    """Print one line."""
    ratio = ours / theirs
    verdict = "" if ratio <= limit else "   TOO SLOW"
    print(
        f"{what:<34} {ours * 1000:9.1f} ms   {against:<30} {theirs * 1000:9.1f} ms   {ratio:5.2f} <= {limit}{verdict}"
    )


async def passes(directory: Path, home: Path, paths: list[Path]) -> None:
    """The pass of a running daemon, after a first one; and nothing is parsed in it."""
    source = DirectorySource(directory)
    taken, looks = [], []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        await source.snapshot()
        taken.append(time.perf_counter() - begun)
        looks.append(timed(lambda: bare(paths), 1))
    told("look of the directory source", statistics.median(taken), statistics.median(looks), "stat, read, digest", 2.5)
    settings = Settings(state=StateSettings(path=home / "state.db"))
    begun = time.perf_counter()
    async with app.engine(settings, [directory]) as engine:
        await engine.controller.pass_(list_jobs=False)
        print(f"{'first pass, cold':<34} {(time.perf_counter() - begun) * 1000:9.1f} ms")
        taken, looks = [], []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            await engine.controller.pass_(list_jobs=False)
            taken.append(time.perf_counter() - begun)
            looks.append(timed(lambda: bare(paths), 1))
    told("pass without a change", statistics.median(taken), statistics.median(looks), "stat, read, digest", 3)
    begun = time.perf_counter()
    async with app.engine(settings, [directory]) as engine:
        await engine.controller.pass_(list_jobs=False)
    print(f"{'first pass of the next start':<34} {(time.perf_counter() - begun) * 1000:9.1f} ms")


def loading(paths: list[Path]) -> None:
    """A cold load beside ruamel's own parse, and a load from the cache beside both."""
    files = [SourceFile(p.name, str(p), content := p.read_bytes(), digest_of(content)) for p in paths]
    loader = YAML(typ="safe")
    loader.allow_duplicate_keys = True
    ruamel = timed(lambda: [list(loader.load_all(file.content)) for file in files], 1)
    app.parse(files[0].content, "warm.yaml")
    ours = timed(lambda: [app.parse_source(file) for file in files], 1)
    told("cold load", ours, ruamel, "ruamel's fastest loader", 1.5)
    kept = [app.parse_source(file).cache for file in files]
    cached = timed(lambda: [app.parse_source(file, text) for file, text in zip(files, kept, strict=True)], 3)
    told("load from the cache", cached, ruamel, "ruamel's fastest loader", 0.5)


def main() -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)
    files, each = (*map(int, sys.argv[1:]), 1000, 10)[:2] if len(sys.argv) != 2 else (int(sys.argv[1]), 10)
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "watchers.d"
        directory.mkdir()
        paths = write(directory, files, each)
        print(f"{files} files with {each} watchers each, {sum(p.stat().st_size for p in paths) / 1e6:.1f} MB")
        loading(paths)
        asyncio.run(passes(directory, Path(place), paths))


if __name__ == "__main__":
    main()
