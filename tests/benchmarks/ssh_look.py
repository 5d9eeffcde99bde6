"""What a look at idle outputs costs over a real sshd, by what looks. `python tests/benchmarks/ssh_look.py [FILES]`.

It prints the time of a look and our own CPU, the best of several, and the CPU as so many times that of python3.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from parts.sshd import Sshd, make_keys, serving

from reconciler.protocols import Sight, Want
from reconciler.transports.ssh import SshTransport

ROUNDS = 7


async def costs(transport: SshTransport, wants: list[Want]) -> tuple[float, float]:
    """Return the least wall time and the least CPU of a look at these files, none of which changes, in seconds."""
    first = await transport.look(wants)
    idle = [
        replace(want, offset=glimpse.start + len(glimpse.data), known=glimpse.stat)
        for want, glimpse in zip(wants, first, strict=True)
    ]
    await transport.look(idle)
    wall, cpu = [], []
    for _ in range(ROUNDS):
        began, used = time.perf_counter(), time.process_time()
        seen = await transport.look(idle)
        cpu.append(time.process_time() - used)
        wall.append(time.perf_counter() - began)
        assert all(glimpse.sight is Sight.UNCHANGED for glimpse in seen)
    return min(wall), min(cpu)


async def compare(sshd: Sshd, place: Path, files: int) -> dict[str, tuple[float, float]]:
    """Return (wall, CPU) by what looks."""
    wants = []
    for number in range(files):
        (place / f"slurm-{number}.out").write_text(f"job {number}\n")
        wants.append(Want(str(place / f"slurm-{number}.out"), context=64))
    found = {}
    for kind in ("python3", "perl", "sftp"):
        async with sshd.transport(lookouts=(kind,), answer_timeout=60.0) as transport:
            found[kind] = await costs(transport, wants)
    return found


def main(files: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as keys, tempfile.TemporaryDirectory() as outputs:
        make_keys(Path(keys))
        with serving(Path(keys)) as sshd:
            found = asyncio.run(compare(sshd, Path(outputs), files))
    print(f"{files} idle files      a look   our CPU   CPU, times that of python3")
    for kind, (wall, cpu) in found.items():
        print(f"{kind:16} {wall * 1000:8.1f} ms {cpu * 1000:6.2f} ms {cpu / found['python3'][1]:8.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
