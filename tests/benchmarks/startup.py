"""What an idle pass over a hundred unchanged files costs, beside the import of the libraries that it uses.

    python tests/benchmarks/startup.py [files] [rounds]

Processor time (user and system) of whole processes, the two in turn, the least of each: what others do on the machine
counts least there. The programs that the pass starts, the scheduler's, are not counted. The aim is a ratio of 1.3.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

LIBRARIES = "asyncio, click, pydantic, sqlmodel, orjson, durationpy, asyncinotify, re2, simpleeval"

#: Runs the command as it is installed; before it leaves, it says what the programs that it started have cost.
PROGRAM = """
import os, resource, sys
from reconciler import cli
leave = os._exit
def tell(status):
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(used.ru_utime + used.ru_stime, flush=True)
    leave(status)
os._exit = tell
cli.program()
"""

WATCHER = """\
name: watcher {number}
jobs: {{name: "train-{number}-*"}}
pattern: "loss (?P<loss>[0-9.]+) of run {number}"
condition: "float(loss) > 10"
actions:
  - type: log_event
    params: {{message: "loss $loss"}}
  - type: cancel_job
    params: {{reason: diverged}}
"""


def seconds(words: Sequence[str], env: Mapping[str, str]) -> tuple[float, str]:
    """Return the processor time of one process with all that it waited for, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    printed = subprocess.run(words, env=env, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, printed


def a_pass(directory: Path, env: Mapping[str, str]) -> float:
    """Return what one pass costs without the scheduler's programs."""
    used, printed = seconds([sys.executable, "-c", PROGRAM, str(directory), "--once"], env)
    return used - float(printed.split()[-1])


def main(files: int = 100, rounds: int = 11) -> None:
    """Print both sides and their ratio."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place, "watchers.d")
        directory.mkdir()
        for number in range(files):
            (directory / f"w{number}.yaml").write_text(WATCHER.format(number=number))
        env = {**os.environ, "XDG_STATE_HOME": f"{place}/state", "XDG_CONFIG_HOME": f"{place}/config"}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        libraries = [sys.executable, "-c", f"import {LIBRARIES}"]
        first = a_pass(directory, env)
        a_pass(directory, env)
        pairs = [(a_pass(directory, env), seconds(libraries, env)[0]) for _ in range(rounds)]
    print(f"first pass, {files} files      {first * 1000:6.0f} ms")
    print("                           least  median")
    for name, values in (("idle pass", [p[0] for p in pairs]), ("its libraries", [p[1] for p in pairs])):
        print(f"{name:25} {min(values) * 1000:6.0f} {statistics.median(values) * 1000:7.0f} ms")
    least = min(p[0] for p in pairs) / min(p[1] for p in pairs)
    median = statistics.median(p[0] for p in pairs) / statistics.median(p[1] for p in pairs)
    print(f"{'ratio':25} {least:6.2f} {median:7.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
