"""Whether notifications to one address go out one by one, as one message, or later: the arithmetic, and nothing else.

In any `window` (seconds) an address gets at most `threshold` messages one by one and one digest. `engine.courier` asks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Traffic:
    """When an address got messages one by one, and when its last digest."""

    alone: tuple[float, ...] = ()
    together: float | None = None

    def within(self, window: float, now: float) -> Traffic:
        """Return what went out less than `window` seconds ago."""
        last = self.together if self.together is not None and self.together + window > now else None
        return Traffic(tuple(at for at in self.alone if at + window > now), last)

    def sent(self, count: int, now: float) -> Traffic:
        """Return the traffic with `count` more messages, each by itself."""
        return replace(self, alone=(*self.alone, *[now] * count))


@dataclass(frozen=True, slots=True)
class Sending:
    """How they go out. `wait_until`: not now; None: now, as one message where `together`, else one by one."""

    together: bool = False
    wait_until: float | None = None


def decide(traffic: Traffic, count: int, now: float, *, threshold: int, window: float) -> Sending:
    """Return how `count` notifications that are due at once go out to an address with this traffic."""
    recent = traffic.within(window, now)
    if len(recent.alone) + count <= threshold:
        return Sending()
    if recent.together is None and count > 1:
        return Sending(together=True)
    oldest = recent.together if recent.together is not None else min(recent.alone, default=now)
    return Sending(wait_until=oldest + window)
