"""Which scheduler a host has, where the settings do not say it.

Asked by `app` once for each host. SLURM's programs decide, not whether it answers just now: an outage must not turn a
cluster into a machine without jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.errors import ConfigurationError
from reconciler.protocols import Transport
from reconciler.schedulers.calls import answer

_WHICH = "if command -v sbatch && command -v squeue; then echo slurm; else echo local; fi"


async def scheduler_type(section: Mapping[str, Any], transport: Transport, timeout: float = 30.0) -> str:
    """Return the plugin's name: the section's `type`, else `slurm` where sbatch and squeue are there, else `local`.

    Raises UnavailableError where the host does not answer, ConfigurationError for a `type` that is no word.
    """
    named = section.get("type")
    if named is not None:
        if not isinstance(named, str):
            raise ConfigurationError(f"{named!r} is no scheduler", remedy="write type: slurm or type: local")
        return named
    printed = await answer(transport, ["sh", "-c", _WHICH], timeout=timeout)
    return printed.decode(errors="replace").split()[-1]
