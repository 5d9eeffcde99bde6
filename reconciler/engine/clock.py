"""The system's clock; tests inject another one that they step."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """`protocols.Clock` on this machine's clocks."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)
