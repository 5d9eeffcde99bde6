"""Whole programs over the same log: `reconcile replay`, and mtail, SEC and ripgrep where they are installed.

Called by `matching`. Each is given the patterns in its own language and asked how many matches there are; processor
time and peak memory are those of the process (Linux gives memory in kilobytes).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MB = 1_000_000
#: Megabytes that slow programs get, by the number of patterns.
MTAIL = {1: 60, 10: 20, 100: 6}
SEC = {1: 60, 10: 20, 100: 6}


@dataclass(frozen=True)
class Ran:
    """One program over `size` bytes.

    `memory`: bytes at most, 0 where not measured; `wanted`: matches there are in those bytes, None: in the whole log.
    """

    name: str
    size: int
    seconds: float
    matches: int
    wanted: int | None = None
    memory: int = 0

    @property
    def speed(self) -> float:
        """Bytes for each second of processor time."""
        return self.size / self.seconds


#: Starts a program from a small process: peak memory counts what the starting one had before.
LAUNCHER = """
import os, resource, sys
status = os.waitstatus_to_exitcode(os.waitpid(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ), 0)[1])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(status, used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)
"""


def spent(words: Sequence[str], to: Path) -> tuple[float, int]:
    """Run a program with its output in a file; return its processor time and its peak memory in bytes."""
    launched = [sys.executable, "-S", "-E", "-c", LAUNCHER, *words]
    with to.open("wb") as output:
        ran = subprocess.run(launched, stdout=output, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True)
    status, seconds, kilobytes = ran.stderr.decode().splitlines()[-1].split()
    if status not in ("0", "1"):
        raise RuntimeError(f"{words[0]} ended with {status}: {ran.stderr.decode()}")
    return float(seconds), int(kilobytes) * 1024


def replay(log: Path, watchers: Path, patterns: Sequence[str], rounds: int) -> Ran:
    """Run `reconcile replay` with its default summary."""
    watchers.write_text(
        "".join(
            f"---\nname: watcher {number}\npattern: {json.dumps(pattern)}\nactions:\n"
            '  - type: log_event\n    params: {message: "seen $0"}\n'
            for number, pattern in enumerate(patterns)
        )
    )
    output = watchers.with_suffix(".txt")
    words = [sys.executable, "-m", "reconciler", "replay", "--watchers", str(watchers), str(log)]
    spent(words, output)  # compiles what Python has not compiled yet
    runs = [spent(words, output) for _ in range(rounds)]
    fired = int(output.read_text().split("would have fired ")[1].split()[0])
    memory = max(memory for _, memory in runs)
    return Ran("reconcile replay", log.stat().st_size, min(seconds for seconds, _ in runs), fired, memory=memory)


def replay_json(log: Path, watchers: Path, rows: Sequence[Ran], rounds: int) -> float:
    """Return what each match costs more as a line of JSON than in the summary, in seconds of processor time."""
    summary = next(row for row in rows if row.name == "reconcile replay")
    output = watchers.with_suffix(".jsonl")
    words = [sys.executable, "-m", "reconciler", "replay", "--watchers", str(watchers), str(log), "-o", "jsonl"]
    least = min(spent(words, output)[0] for _ in range(rounds))
    written = output.read_bytes().count(b"\n")
    if written != summary.matches:
        raise RuntimeError(f"{written} matches as JSON, {summary.matches} in the summary")
    return (least - summary.seconds) / written


def rivals(log: Path, first: bytes, home: Path, patterns: Sequence[str], wanted: Callable[[bytes], int]) -> list[Ran]:
    """Run those that are installed. `wanted` counts the matches in the part that a slow program gets."""
    ran = []
    if shutil.which("rg"):
        unnamed = [re.sub(r"\?P<\w+>", "", pattern) for pattern in patterns]  # a name may stand once over all of them
        words = ["rg", "--text", "--count", "--threads", "1", *(f"--regexp={text}" for text in unnamed), str(log)]
        seconds, memory = spent(words, home / "rg.txt")
        found = int((home / "rg.txt").read_text())
        ran.append(Ran("ripgrep (lines, no captures)", log.stat().st_size, seconds, found, memory=memory))
    for name, program, sizes, words_of in (("mtail", "mtail", MTAIL, _mtail), ("SEC", "sec", SEC, _sec)):
        if not shutil.which(program):
            print(f"{name} is not installed (Debian: {program})")
            continue
        part = first[: sizes.get(len(patterns), 5) * MB]
        part = part[: part.rfind(b"\n") + 1]
        given = home / f"{program}.log"
        given.write_bytes(part)
        words, count = words_of(home, given, patterns)
        seconds, memory = spent(words, home / f"{program}.txt")
        ran.append(Ran(name, len(part), seconds, count(home / f"{program}.txt"), wanted(part), memory))
    return ran


def _mtail(home: Path, log: Path, patterns: Sequence[str]) -> tuple[list[str], Callable[[Path], int]]:
    """One counter for all rules."""
    escaped = [pattern.replace("/", r"\/") for pattern in patterns]
    rules = "".join(f"/{pattern}/ {{\n  met++\n}}\n" for pattern in escaped)
    program = home / "count.mtail"
    program.write_text(f"counter met\n{rules}")
    words = ["mtail", "-one_shot", "-one_shot_format", "prometheus", "-progs", str(program), "-logs", str(log)]

    def count(output: Path) -> int:
        return sum(int(float(line.split()[-1])) for line in output.read_text().splitlines() if line.startswith("met{"))

    return [*words, "-address", "127.0.0.1", "-port", "0", "-logtostderr"], count


def _sec(home: Path, log: Path, patterns: Sequence[str]) -> tuple[list[str], Callable[[Path], int]]:
    """Every rule lets the line go on to the next one, as patterns of watchers do."""
    rules = "".join(
        f"type=Single\ncontinue=TakeNext\nptype=RegExp\npattern={pattern}\ndesc=met\n"
        "action=lcall %o -> ( sub { ++$met } )\n\n"
        for pattern in patterns
    )
    ending = (
        "type=Single\nptype=RegExp\npattern=^(?:SEC_SHUTDOWN)$\ncontext=SEC_INTERNAL_EVENT\ndesc=end\n"
        "action=lcall %o -> ( sub { $met // 0 } ); write - met %o\n"
    )
    config = home / "count.sec"
    config.write_text(rules + ending)
    words = ["sec", f"--conf={config}", f"--input={log}", "--notail", "--intevents", "--nodetach", "--bufsize=1"]

    def count(output: Path) -> int:
        return int(output.read_text().split("met ")[-1].split()[0])

    return words, count
