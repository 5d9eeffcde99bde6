"""Many patterns over a big log, side by side: this matcher, Python's `re`, mtail, SEC and ripgrep; counts compared.

    python tests/benchmarks/matching.py [--megabytes 200] [--patterns 1 10 100] [--rounds 5] [--keep LOG]

It writes its own seeded log and patterns. Throughput is bytes by processor time, the best of the rounds: what others do
on the machine counts least there. Slow programs get the first megabytes only, and are compared over those. Nothing here
fails on a clock; it fails where counts differ.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from matching_material import PATTERNS, write_log
from matching_rivals import Ran, replay, replay_json, rivals

from reconciler.logic.patterns import PatternSet, Rule
from reconciler.logic.scanner import StreamScanner
from reconciler.model import Position

BLOCK = 60 * 1024
MB = 1_000_000
#: Megabytes that Python's loop gets at 1, 10, 100 patterns: it takes about as long for each.
LOOP = {1: 40, 10: 10, 100: 2}


def blocks(log: Path) -> Iterator[bytes]:
    """Read the log as `replay` does."""
    with log.open("rb", buffering=0) as opened:
        while data := opened.read(BLOCK):
            yield data


def scan(patterns: PatternSet, data: Iterable[bytes]) -> int:
    """Run the production matcher, take every capture, return how many matches there are."""
    scanner = StreamScanner(patterns, Position())
    met = 0
    for block in data:
        for hit in scanner.feed(block):
            for index in hit.patterns:
                met += len(patterns.matches(index, hit))
    for hit in scanner.finish():
        for index in hit.patterns:
            met += len(patterns.matches(index, hit))
    return met


def fresh(count: int, *, hyperscan: bool) -> PatternSet:
    """Return a set that scans by Hyperscan from the first byte, or by RE2 throughout."""
    patterns = PatternSet([Rule(pattern) for pattern in PATTERNS[:count]])
    if hyperscan:
        patterns.prepare()
    else:
        patterns._until_hyperscan = float("inf")
    return patterns


def loop(count: int, data: bytes) -> int:
    """Python's `re`, line by line, pattern by pattern, with captures."""
    compiled = [re.compile(pattern.encode()) for pattern in PATTERNS[:count]]
    met = 0
    for line in data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        for pattern in compiled:
            for found in pattern.finditer(line):
                found.groupdict()
                met += 1
    return met


def least(rounds: int, work: Callable[[], int]) -> tuple[float, int]:
    """Return the least processor time of so many rounds, and what the work answered."""
    answers, times = set(), []
    for _ in range(rounds):
        gc.collect()
        begun = time.process_time()
        answers.add(work())
        times.append(time.process_time() - begun)
    (answer,) = answers
    return min(times), answer


def in_process(log: Path, count: int, rounds: int, size: int) -> tuple[list[Ran], int]:
    """Measure what runs inside this process; return it with the number of matches in the whole log."""
    rows = []
    for name, hyperscan in (("matcher (Hyperscan)", True), ("matcher (RE2 alone)", False)):
        patterns = fresh(count, hyperscan=hyperscan)
        seconds, met = least(rounds, lambda patterns=patterns: scan(patterns, blocks(log)))  # type: ignore[misc]
        rows.append(Ran(name, size, seconds, met))
    part = log.read_bytes()[: LOOP.get(count, 1) * MB]
    part = part[: part.rfind(b"\n") + 1]
    seconds, met = least(1, lambda: loop(count, part))
    rows.append(Ran("Python re, a loop", len(part), seconds, met, scan(fresh(count, hyperscan=True), [part])))
    return rows, rows[0].matches


def one_line(rounds: int) -> None:
    """Print what one new line costs at 100 patterns, with no match and with one."""
    patterns = fresh(100, hyperscan=True)
    quiet = b"[2026-02-03 00:00:01,001] data.py:7 shard 35047 of 8192 opened, 35047 samples, prefetch depth 7\n"
    for name, line in (("no match", quiet), ("one match", b"[rank 0] decoder loss: 0.731, step: 1200\n")):
        scanner = StreamScanner(patterns, Position())
        times = []
        for _ in range(rounds * 20):
            begun = time.process_time()
            for _ in range(1000):
                for hit in scanner.feed(line):
                    for index in hit.patterns:
                        patterns.matches(index, hit)
            times.append((time.process_time() - begun) / 1000)
        print(f"one new line at K=100, {name}: {min(times) * 1e6:.1f} us")


def show(count: int, rows: Sequence[Ran], whole: int) -> bool:
    """Print a table; tell whether all counts agree."""
    print(f"\nK={count}: {whole} matches")
    print(f"{'':28}{'MB':>6}{'MB/s':>9}{'cpu s':>8}{'peak MB':>9}{'to re':>8}{'matches':>9}  same?")
    base = next((row.speed for row in rows if row.name.startswith("Python re")), 0)
    agree = True
    for row in rows:
        same = row.matches == (whole if row.wanted is None else row.wanted)
        agree = agree and same
        memory = f"{row.memory / MB:9.0f}" if row.memory else f"{'':9}"
        print(
            f"{row.name:28}{row.size / MB:6.0f}{row.speed / MB:9.1f}{row.seconds:8.2f}{memory}"
            f"{row.speed / base:8.1f}{row.matches:9}  {'yes' if same else 'NO'}"
        )
    return agree


def main() -> None:
    """Parse the words and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--patterns", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="where the log stays; used again if it is there")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        log = chosen.keep or Path(home) / "train.out"
        if not log.exists():
            write_log(log, chosen.megabytes * MB)
        gc.freeze()
        agree = [run(log, Path(home), count, chosen.rounds) for count in chosen.patterns]
    one_line(chosen.rounds)
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    if not all(agree):
        sys.exit("counts differ")


def run(log: Path, home: Path, count: int, rounds: int) -> bool:
    """Measure all at one number of patterns."""
    size = log.stat().st_size
    rows, whole = in_process(log, count, rounds, size)
    watchers = home / f"watchers-{count}.yaml"
    rows.append(replay(log, watchers, PATTERNS[:count], rounds))
    first = log.read_bytes()[: 64 * MB]

    def wanted(data: bytes) -> int:
        return scan(fresh(count, hyperscan=True), [data])

    rows += rivals(log, first, home, PATTERNS[:count], wanted)
    agree = show(count, rows, whole)
    print(f"each match as JSON, more than in the summary: {replay_json(log, watchers, rows, rounds) * 1e6:.1f} us")
    mtail = next((row for row in rows if row.name == "mtail"), None)
    ours = next(row for row in rows if row.name == "reconcile replay")
    if mtail is not None:
        print(f"mtail's processor time for the same bytes is {ours.speed / mtail.speed:.0f} times that of `replay`")
    return agree


if __name__ == "__main__":
    main()
