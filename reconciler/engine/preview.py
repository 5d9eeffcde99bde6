"""A state that can be asked and not changed: what `plan` and `drift` run the same pass on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from reconciler.protocols import Batch, Committed, StateReading, StateWriting

T = TypeVar("T")


class ReadOnlyState:
    """`protocols.State` over a reader. What a pass would note down on its way is dropped."""

    def __init__(self, reader: StateReading) -> None:
        self._view = cast(StateWriting, _View(reader))

    async def run(self, work: Callable[[StateWriting], T]) -> T:
        """Return `work(state)`, nothing of it being written."""
        return work(self._view)


class _View:
    def __init__(self, reader: StateReading) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def commit(self, batch: Batch) -> Committed:
        """Write nothing."""
        return Committed()
