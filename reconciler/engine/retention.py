"""Deletes what is older than its retention: the daemon by the clock, `--once` where the last time is long ago."""

from __future__ import annotations

import logging

from reconciler.engine.controller import Controller
from reconciler.engine.counting import counted
from reconciler.engine.expiry import expire
from reconciler.engine.parts import Parts
from reconciler.protocols import Batch, KnownJob, StateReading, StateWriting

log = logging.getLogger(__name__)

#: The fact that says when it was last done (seconds since the epoch).
PURGED_AT = "purged_at"


async def purge(parts: Parts, controller: Controller) -> int:
    """Delete everything that is past its retention, piece by piece; return how many rows and files went."""
    kept, now = parts.settings.state, parts.clock.now()

    def work(state: StateWriting) -> int:
        return state.purge(now, events=kept.retain_events, metrics=kept.retain_metrics, watchers=kept.retain_watchers)

    def finish(state: StateWriting) -> tuple[KnownJob, ...]:
        state.commit(Batch(facts={PURGED_AT: repr(now)}))
        return state.jobs()

    await counted(parts, parts.state.run, again=0)
    total = 0
    while gone := await parts.state.run(work):  # each piece is short, so that ticks come in between
        total += gone
    controller.discovery.forget({job.now.key: job for job in await parts.state.run(finish)})
    if total:
        log.info("%d rows were older than their retention", total)
    return total + len(await expire(parts, controller))


async def purge_when_due(parts: Parts, controller: Controller) -> None:
    """Do it where the last time is `retention_interval` ago."""

    def look_up(state: StateReading) -> str | None:
        return state.fact(PURGED_AT)

    last = await parts.state.run(look_up)
    if last is None or parts.clock.now() - float(last) >= parts.settings.engine.retention_interval:
        await purge(parts, controller)
