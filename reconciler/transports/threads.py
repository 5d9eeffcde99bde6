"""Blocking work in a thread that nobody has to wait for.

Used for file systems, which may hang for hours: the threads of asyncio's own pool are joined at exit, so that one dead
mount would keep the process from ending; these are not.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(work: Callable[[], T], name: str, timeout: float | None = None) -> T:
    """Return `work()`, or raise its OSError; TimeoutError after `timeout` seconds (the thread then ends when it can).

    Any other exception is a defect: it goes to `threading.excepthook`, and the caller gets a RuntimeError.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(answer: list[T], error: Exception) -> None:
        if done.done():
            return
        if answer:
            done.set_result(answer[0])
        else:
            done.set_exception(error)

    def body() -> None:
        answer: list[T] = []
        failure: Exception = RuntimeError(f"the thread {name} failed")
        try:
            answer.append(work())
        except OSError as error:
            failure = error
        finally:
            with contextlib.suppress(RuntimeError):  # the loop may have been closed while the file system hung
                loop.call_soon_threadsafe(settle, answer, failure)

    threading.Thread(target=body, name=name, daemon=True).start()
    async with asyncio.timeout(timeout):
        return await done
