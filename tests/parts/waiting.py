"""Waiting for something to become true, with a deadline. No test sleeps for a fixed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

#: Seconds between two looks at a condition.
PAUSE = 0.01
#: Seconds after which it will not become true: it costs a test that fails, and no other.
PATIENCE = 60.0


@overload
async def eventually(predicate: Callable[[], Awaitable[T]], timeout: float = PATIENCE) -> T: ...
@overload
async def eventually(predicate: Callable[[], T], timeout: float = PATIENCE) -> T: ...
async def eventually(predicate: Callable[[], object], timeout: float = PATIENCE) -> object:
    """Return the first true answer of `predicate` (plain or async); AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout:g} s, the last answer was {value!r}")
        await asyncio.sleep(PAUSE)


def soon(predicate: Callable[[], T], timeout: float = PATIENCE) -> T:
    """The same for tests without an event loop: it blocks."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout:g} s, the last answer was {value!r}")
        time.sleep(PAUSE)
    return value
