"""The far side of the soak: sshd servers, a `squeue` that answers in the real format, and a writer of jobs' outputs.

`soak.py` starts it. What runs here costs nothing that is measured: it is other processes.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from parts.sshd import PATH, Sshd, serving

from reconciler.model import HostName
from reconciler.schedulers.slurm_parse import SQUEUE_FIELDS

#: Answers from a file in which U+001F stands for the separator that it is asked to use, and counts how often it was.
SQUEUE = """\
#!/bin/sh
[ "$1" = --version ] && exec echo slurm 24.05.1
echo "$*" >> {place}/asked
for word; do case $word in --Format=*) format=${{word#--Format=}};; esac; done
exec sed "s/\x1f/${{format##*:0}}/g" {place}/jobs
"""
SCONTROL = "#!/bin/sh\necho 'AccountingStorageType = accounting_storage/none'; echo 'MinJobAge = 300 sec'\n"

#: Appends to the outputs it is told of, at a steady rate, until its input ends; then says how many hits each job had.
WRITER = r"""
import json, random, select, sys, time
told = json.loads(sys.stdin.readline())
files, rate, share = told["files"], told["rate"], told["hits"]
chance, hits, written = random.Random(1), [0] * len(files), 0
began = time.monotonic()
noise = "epoch 3 step %d | lr 1.2e-04 | throughput 812.4 samples/s | mem 61.3 GB\n"
while not select.select([sys.stdin], [], [], 0.02)[0]:
    while written < (time.monotonic() - began) * rate:
        job = chance.randrange(len(files))
        line = noise % written
        if chance.random() < share:
            hits[job] += 1
            line = "hit=%d at=%.6f\n" % (hits[job], time.time())
        with open(files[job], "ab", 0) as out:
            out.write(line.encode())
        written += 1
for job, file in enumerate(files):
    hits[job] += 1
    with open(file, "ab", 0) as out:  # the last line of a job has no end
        out.write(b"hit=%d at=%.6f" % (hits[job], time.time()))
print(json.dumps({"hits": hits, "lines": written}))
"""


#: Passes on to the port of its first argument, slowly (seconds each way) and with losses, until it is killed.
LINK = """\
import asyncio, sys
from parts.relay import relay_to
async def main():
    port, delay, loss = sys.argv[1:]
    async with relay_to(int(port), delay=float(delay), loss=float(loss)) as relay:
        print(relay.port, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@dataclass(frozen=True)
class FarHost:
    """One host: its server, the port at which it is reached, and the ids and outputs of its jobs."""

    name: HostName
    sshd: Sshd
    port: int
    place: Path
    outputs: dict[str, Path]
    began: float

    def list_jobs(self, state: str) -> None:
        """Let squeue say so of every job."""
        ended = time.time() if state != "RUNNING" else self.began + 86_400
        times = {"SubmitTime": self.began - 20, "StartTime": self.began - 10, "EndTime": ended}
        facts = {"Name": "train", "UserName": "root", "State": state, "WorkDir": str(self.place)}
        facts |= {"TimeLimit": "1-00:00:00", "Partition": "gpu", "Account": "a", "QOS": "q", "exit_code": "0"}
        facts |= {"RestartCnt": "0", "BatchHost": "n1"}
        facts |= {name: str(int(at)) for name, at in times.items()}
        lines = []
        for job, output in self.outputs.items():
            own = {**facts, "JobArrayID": job, "JobID": job, "StdOut": str(output), "StdErr": str(output)}
            lines.append("".join(f"{own.get(field, '')}\x1f" for field in SQUEUE_FIELDS))
        draft = self.place / "draft"
        draft.write_text("\n".join(lines) + "\n")
        draft.rename(self.place / "jobs")

    def asked(self) -> int:
        """Return how often squeue was asked for jobs."""
        file = self.place / "asked"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def cpu(self) -> float:
        """Return the seconds of CPU that its servers and lookouts have used so far."""
        used = 0.0
        for process in (*self.sshd.connections, *self.sshd.programs):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += times.user + times.system
        return used

    def lookout_memory(self) -> int:
        """Return the bytes of memory of what looks at files there."""
        found = 0
        for process in self.sshd.programs:
            with contextlib.suppress(psutil.NoSuchProcess):
                found += process.memory_info().rss if process.name().startswith("python3") else 0
        return found


@contextlib.contextmanager
def far_hosts(home: Path, keys: Path, hosts: int, jobs: int, *, delay: float, loss: float) -> Iterator[list[FarHost]]:
    """So many servers, with so many jobs of theirs altogether, behind links of so many seconds each way."""
    with contextlib.ExitStack() as stack:
        made = []
        for number in range(hosts):
            place = home / f"h{number}"
            (place / "bin").mkdir(parents=True)
            ids = [str(1000 + n) for n in range(number, jobs, hosts)]
            outputs = {job: place / f"slurm-{job}.out" for job in ids}
            for output in outputs.values():
                output.write_text("started\n")
            for name, text in {"squeue": SQUEUE.format(place=place), "scontrol": SCONTROL}.items():
                (place / "bin" / name).write_text(text)
                (place / "bin" / name).chmod(0o755)
            sshd = stack.enter_context(serving(keys))
            sshd.restart(PATH=f"{place}/bin:{PATH}")
            sshd.known_hosts.write_text(f"127.0.0.1 {(sshd.home / 'host_key.pub').read_text()}")  # behind any port
            port = stack.enter_context(_linked(sshd.port, delay, loss)) if delay or loss else sshd.port
            made.append(FarHost(HostName(f"h{number}"), sshd, port, place, outputs, time.time()))
            made[-1].list_jobs("RUNNING")
        yield made


@contextlib.contextmanager
def _linked(port: int, delay: float, loss: float) -> Iterator[int]:
    """The port of a relay, in a process of its own."""
    argv = [sys.executable, "-c", LINK, str(port), str(delay), str(loss)]
    where = Path(__file__).parents[1]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=where) as link:
        assert link.stdout is not None
        try:
            yield int(link.stdout.readline())
        finally:
            link.kill()


class Writer:
    """The process that appends."""

    def __init__(self, files: Sequence[Path], rate: float, hits: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"files": list(map(str, files)), "rate": rate, "hits": hits}) + "\n")
        self._process.stdin.flush()

    def end(self) -> tuple[list[int], int]:
        """Let it end; return how many hits each file had, and how many lines there were altogether."""
        told = json.loads(self._process.communicate()[0])
        return told["hits"], told["lines"]
