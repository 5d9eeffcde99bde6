"""A list of jobs that a site keeps in a file, for programs to read in place of asking slurmctld. Pure.

`slurm` reads the file where `listing` names one. What it holds tells what it is: JSON, or `scontrol show job`.
"""

from __future__ import annotations

from datetime import tzinfo

from reconciler.errors import SchedulerUnavailableError
from reconciler.model import HostName, Job
from reconciler.schedulers.slurm_json import json_jobs
from reconciler.schedulers.slurm_show import shown_jobs

#: Prints the age of a file in seconds, by its host's own clock, and that host's zone, then what it holds.
READ = 'age=$(($(date +%s) - $(stat -L -c %Y -- "$1"))) && echo "$age $(date +%z)" && cat -- "$1"'


def kept_jobs(text: bytes, host: HostName, zone: tzinfo | None = None) -> tuple[Job, ...]:
    """Return the jobs of a kept list. SchedulerUnavailableError, with the reason, where it is none, or not whole.

    `zone`: that of the times that scontrol prints; None: this machine's.
    """
    start = text.lstrip()
    if not start:
        raise SchedulerUnavailableError('the list of jobs is empty; that of no jobs is {"jobs": []}')
    if start.startswith((b"{", b"[")):
        return tuple(json_jobs(start, host))
    if start.startswith(b"JobId="):
        return tuple(shown_jobs(start, host, zone))
    first = start.split(b"\n", 1)[0][:60].decode(errors="replace")
    raise SchedulerUnavailableError(
        f"neither the JSON of squeue or sacct nor what `scontrol show job` prints; it begins with {first!r}",
        remedy="let the site keep what `squeue --json` prints",
    )
