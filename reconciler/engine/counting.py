"""How often actions ended how, for Prometheus, whose counters never go back: retention takes events, their sums stay.

`GET /metrics` and the text file ask; `retention` has the sums kept before it deletes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

import orjson

from reconciler.engine.parts import Parts
from reconciler.protocols import Batch, StateReading, StateWriting, Statistics

T = TypeVar("T")
#: The fact that keeps the sums, and up to which event they go.
COUNTED = "metrics.counted"
#: Events counted in one piece: tenths of a second.
PIECE = 100_000
#: So many events are counted again each time, rather than that somebody who only looks writes.
AGAIN = 10_000


class Asking(Protocol):
    """How the state is read."""

    async def __call__(self, question: Callable[[StateReading], T], /) -> T:
        """Return `question(state)`. Raises StateError."""
        ...


async def counted(parts: Parts, ask: Asking, *, again: int = AGAIN) -> Statistics:
    """Return the counts of now; keep the sums where more than `again` events were counted. Raises StateError."""
    while True:
        kept, actions = await ask(_kept)
        seq, more = kept, True
        while more:  # in pieces, so that others come in between
            fresh, more = await ask(partial(_since, seq, parts.clock.now()))
            actions.update(fresh.actions)
            seq = fresh.seq
        if (await ask(_kept))[0] == kept:  # else events may be gone that were to be counted
            break
    if seq - kept > again:
        await parts.state.run(partial(_keep, seq, actions))
    return replace(fresh, actions=dict(actions))


def _kept(state: StateReading) -> tuple[int, Counter[tuple[str, str]]]:
    kept = orjson.loads(state.fact(COUNTED) or b'{"seq": 0, "actions": []}')
    return kept["seq"], Counter({(type_, kind): count for type_, kind, count in kept["actions"]})


def _since(seq: int, now: float, state: StateReading) -> tuple[Statistics, bool]:
    """Count what came after this event. True: there is more to count."""
    fresh = state.statistics(now, after_seq=seq, most=0, span=PIECE)
    return fresh, state.last_seq() > fresh.seq


def _keep(seq: int, actions: Mapping[tuple[str, str], int], state: StateWriting) -> None:
    sums = [[*key, count] for key, count in sorted(actions.items())]
    state.commit(Batch(facts={COUNTED: orjson.dumps({"seq": seq, "actions": sums}).decode()}))
