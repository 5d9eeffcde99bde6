"""How much somebody may ask: token buckets by name, a bounded number of them. The gate asks before anything is done."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

#: Buckets kept at once; the one that was not asked for longest is forgotten, and would be nearly full again anyway.
_MOST = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Limits:
    """One kind of limit: `burst` at once, `per_minute` lastingly, for each name by itself."""

    def __init__(self, burst: float, per_minute: float) -> None:
        self._burst, self._rate = burst, per_minute / 60.0
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait(self, name: str, now: float) -> float:
        """Take one from the bucket of `name`; return 0, or after how many seconds there will be one.

        `now` is of a clock that never goes back.
        """
        bucket = self._buckets.pop(name, None) or _Bucket(self._burst, now)
        self._buckets[name] = bucket
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.left < 1.0 - 1e-9:  # sums of small shares of a token
            return (1.0 - bucket.left) / self._rate
        bucket.left -= 1.0
        return 0.0


def address_name(address: str) -> str:
    """Return under which name an address is counted: itself, of IPv6 the /64 that one customer has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
