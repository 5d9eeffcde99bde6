"""What one tick of a job's task came to, for whoever asked for it: the worker, the reader, the daemon, one pass."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TickResult:
    """What one tick came to.

    `more`: look again at once. `grew`: there was something new. `finished`: the job's work is done.
    """

    more: bool = False
    grew: bool = False
    finished: bool = False
