"""A state of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from parts.state_values import SteppedClock, opened
from reconciler.state.write import StateWriter


@pytest.fixture
def clock() -> SteppedClock:
    """A clock that stands still."""
    return SteppedClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state is; nothing is there yet."""
    return tmp_path / "state.db"


@pytest.fixture
def state(path: Path, clock: SteppedClock) -> Iterator[StateWriter]:
    """An empty state, open for writing."""
    writer = opened(path, clock)
    yield writer
    writer.close()
