"""Which scheduler a host has, where the settings do not say it.

Asked by `app` once for each host. SLURM's programs decide, not whether it answers just now: an outage must not turn a
cluster into a machine without jobs.
"""

from __future__ import annotations

from reconciler.protocols import Transport
from reconciler.schedulers.calls import answer

# SLURM's commands may be installed where no cluster is configured; only asking tells. The words are those of SLURM
# 20.11 and newer, and of older ones.
_WHICH = """
command -v sbatch >/dev/null && command -v squeue >/dev/null || { echo local; exit 0; }
case $(scontrol ping 2>&1) in
  *"configuration source"*|*"unable to status file"*) echo local;;
  *) echo slurm;;
esac
"""


async def detect(transport: Transport, timeout: float = 30.0) -> str:
    """Return the name of a plugin: `slurm` where its commands are on the host's PATH and know a cluster, else `local`.

    Raises UnavailableError where the host does not answer within `timeout` seconds.
    """
    printed = await answer(transport, ["sh", "-c", _WHICH], timeout=timeout)
    return printed.decode(errors="replace").split()[-1]
