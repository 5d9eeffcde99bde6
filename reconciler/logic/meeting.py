"""Which version of a spec has met the jobs of which host: jobs that come later are no widening of that spec.

The controller keeps what `after` returns in the state, as one small JSON text; `plan` asks with what `pairs` returns. A
circle is a host together with the users whose jobs are listed there: where an operator widens it, specs meet it anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import orjson

from reconciler.logic.desired import Desired
from reconciler.model import HostName, WatcherName

#: Name of a spec -> its digest, and the circles that it has met.
Met = Mapping[str, tuple[str, tuple[str, ...]]]
#: A spec's name and digest, and a host.
Pair = tuple[WatcherName, str, HostName]

#: The name of the fact in the state.
FACT = "specs:met"


def circle(host: str, users: Iterable[str]) -> str:
    """Return the word for the jobs of these users on a host."""
    return f"{host} {','.join(sorted(users))}"


def read(text: str | None) -> Met:
    """Return what the state holds."""
    found = orjson.loads(text) if text else {}
    return {name: (digest, tuple(circles)) for name, (digest, circles) in found.items()}


def written(met: Met) -> str:
    """Return the text for the state."""
    return orjson.dumps(met).decode()


def after(met: Met, desired: Iterable[Desired], withheld: Collection[WatcherName], circles: Iterable[str]) -> Met:
    """Return what holds after a pass that applied these specs to the jobs of these circles.

    A spec of which something waits for approval has not met anybody anew.
    """
    there = tuple(circles)
    result: dict[str, tuple[str, tuple[str, ...]]] = {}
    for spec in desired:
        digest, known = met.get(spec.name, ("", ()))
        if spec.name in withheld:
            if digest:
                result[spec.name] = (digest, known)
            continue
        before = known if digest == spec.digest else ()
        result[spec.name] = (spec.digest, tuple(sorted({*before, *there})))
    return result


def pairs(met: Met, circles: Mapping[HostName, str]) -> frozenset[Pair]:
    """Return which spec, in which version, has met which host as it is listed now."""
    return frozenset(
        (WatcherName(name), digest, host)
        for name, (digest, known) in met.items()
        for host, word in circles.items()
        if word in known
    )
