"""Time, as everything that waits or stamps sees it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time, injected, so that tests step it."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock."""
        ...
