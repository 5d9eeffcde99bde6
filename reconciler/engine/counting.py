"""How often actions ended how, for Prometheus, whose counters never go back: retention takes events, these counts stay.

`GET /metrics` and the text file ask.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import orjson

from reconciler.engine.parts import Parts
from reconciler.errors import StateError
from reconciler.protocols import Batch, StateWriting, Statistics

#: The fact that keeps the counts, so that only what came since is counted.
COUNTED = "metrics.counted"
#: Events counted in one piece: tenths of a second.
PIECE = 100_000


async def counted(parts: Parts) -> Statistics:
    """Return the counts of now. Raises StateError."""
    while (found := await parts.state.run(partial(_count, now=parts.clock.now())))[1]:
        continue  # in pieces, so that ticks come in between
    return found[0]


def _count(state: StateWriting, now: float) -> tuple[Statistics, bool]:
    """Count what came since the last time, and keep the sum. True: there is more to count."""
    kept = orjson.loads(state.fact(COUNTED) or b'{"seq": 0, "actions": []}')
    actions: Counter[tuple[str, str]] = Counter({(type_, kind): count for type_, kind, count in kept["actions"]})
    fresh = state.statistics(now, after_seq=kept["seq"], most=0, span=PIECE)
    actions.update(fresh.actions)
    more = state.last_seq() > fresh.seq
    if fresh.actions or more:
        sums = [[*key, count] for key, count in sorted(actions.items())]
        body = orjson.dumps({"seq": fresh.seq, "actions": sums}).decode()
        try:
            state.commit(Batch(facts={COUNTED: body}))
        except StateError:  # a full disk: what is measured is wanted most now, and is counted again next time
            if more:
                raise
    return replace(fresh, actions=dict(actions)), more
