"""When a host that failed may be tried again: pauses that double, with jitter. Pure; `link.py` asks it.

While a pause lasts nobody waits for the host: its callers are refused at once, so a dead host costs the others nothing.
"""

from __future__ import annotations

from collections.abc import Callable

#: A pause is between half of its nominal length and all of it, so that many clients do not come back together.
JITTER = 0.5


class Backoff:
    """The breaker of one host. `monotonic` and `random` (0..1) are injected; pauses are seconds."""

    def __init__(
        self, first: float, longest: float, monotonic: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self._first, self._longest = first, longest
        self._monotonic, self._random = monotonic, random
        self._until = 0.0
        self.failures = 0

    @property
    def remaining(self) -> float:
        """Seconds until the host may be tried again; 0: now."""
        return max(0.0, self._until - self._monotonic()) if self.failures else 0.0

    def failed(self) -> float:
        """Begin the next pause and return its length."""
        nominal = min(self._longest, self._first * 2.0 ** min(self.failures, 32))
        self.failures += 1
        pause = nominal * (1.0 - JITTER * self._random())
        self._until = self._monotonic() + pause
        return pause

    def succeeded(self) -> None:
        """The host answered: the next failure begins with the first pause again."""
        self.failures = 0
