"""The state as the API reads it: a connection and a thread of its own, so that a long answer holds up no commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from reconciler.protocols import StateReading
from reconciler.state import open_readonly

T = TypeVar("T")


class Reading:
    """Questions to the state at `path`, one after the other. Opened by the first one."""

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="api state")
        self._reader = open_readonly(path, busy_timeout=busy_timeout)

    async def ask(self, question: Callable[[StateReading], T]) -> T:
        """Return `question(state)`. Raises StateError."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, question, self._reader)

    async def close(self) -> None:
        """Finish what was begun and close."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._reader.close)
        self._executor.shutdown()
