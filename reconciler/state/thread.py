"""protocols.State: all work on the state runs in one thread of its own, one piece after the other.

Made by `app` around what `open_state` returned; the event loop never waits for a disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from reconciler.protocols import StateWriting
from reconciler.state.write import StateWriter

T = TypeVar("T")


class StateThread:
    """The state as the engine uses it."""

    def __init__(self, state: StateWriter) -> None:
        self._state = state
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")

    async def run(self, work: Callable[[StateWriting], T]) -> T:
        """Return `work(state)`.

        Work that has begun is finished though its caller be cancelled; what has not begun is dropped.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, self._state)

    async def close(self) -> None:
        """Finish what was begun, give the lease up and close the database."""
        try:
            await self.run(lambda state: state.release())
        finally:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._state.close)
            self._executor.shutdown()
