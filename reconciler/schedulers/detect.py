"""Which scheduler a host has, where the settings do not say it.

Asked by `app` once for each host. SLURM's programs decide, not whether it answers just now: an outage must not turn a
cluster into a machine without jobs.
"""

from __future__ import annotations

from reconciler.protocols import Transport
from reconciler.schedulers.calls import answer

_WHICH = "if command -v sbatch && command -v squeue; then echo slurm; else echo local; fi"


async def detect(transport: Transport, timeout: float = 30.0) -> str:
    """Return the name of a plugin: `slurm` where sbatch and squeue are on the host's PATH, else `local`.

    Raises UnavailableError where the host does not answer within `timeout` seconds.
    """
    printed = await answer(transport, ["sh", "-c", _WHICH], timeout=timeout)
    return printed.decode(errors="replace").split()[-1]
