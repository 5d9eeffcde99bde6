"""Where events go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reconciler.events import Event

#: The fact that says how far the events file has the events (their seq, decimal); retention keeps what is beyond it.
EXPORTED_SEQ = "exported_seq"


class Sink(Protocol):
    """Where events go, in the order of their seq."""

    def position(self) -> int | None:
        """Return the seq of the last event this sink has safely, None where it keeps none (then it gets new ones
        only)."""
        ...

    async def write(self, events: Sequence[Event]) -> None:
        """Take these; on an exception the same events are offered again later."""
        ...

    async def close(self) -> None:
        """Let go of the file or the subscribers."""
        ...
