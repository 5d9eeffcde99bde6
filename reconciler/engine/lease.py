"""Keeps the lease of the state for as long as a pass or a daemon runs. `once` and `daemon` wrap their work in it.

It decides nothing about a lease that was lost: every later commit is refused by the state itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from reconciler.engine.parts import Parts
from reconciler.errors import LeaseLostError, StateError
from reconciler.protocols import StateWriting

log = logging.getLogger(__name__)


@asynccontextmanager
async def kept(parts: Parts, lost: Callable[[BaseException], None]) -> AsyncIterator[None]:
    """Renew the lease three times in its term while the block runs; `lost(error)` where another process has it."""
    renewing = asyncio.create_task(_renew(parts, lost), name="lease")
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def _renew(parts: Parts, lost: Callable[[BaseException], None]) -> None:
    def work(state: StateWriting) -> None:
        state.renew(parts.clock.now())

    while True:
        await parts.clock.sleep(parts.settings.state.lease / 3)
        try:
            await parts.state.run(work)
        except LeaseLostError as error:
            lost(error)
            return
        except StateError as error:
            log.error("the lease: %s; tried again", error.message)
