"""A daemon in this process, for as long as a test wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from reconciler import app
from reconciler.app import Engine
from reconciler.settings import Settings


@asynccontextmanager
async def running(settings: Settings, watchers: Path) -> AsyncIterator[Engine]:
    """Yield the engine of a daemon over these watchers; afterwards it ends in order."""
    async with app.engine(settings, [watchers]) as engine:
        task = asyncio.create_task(engine.daemon.run())
        try:
            yield engine
        finally:
            engine.daemon.stop()
            await asyncio.wait_for(task, 10)
