"""The fixture `transport`: every way to reach a host in turn, for the conformance suite in tests/transports.

A new transport is one more line in `MAKERS`: its name, and an async context manager that yields it, to this machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from reconciler.model import LOCALHOST
from reconciler.protocols import Transport
from reconciler.transports.local import LocalTransport

Maker = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Transport]]


@asynccontextmanager
async def _local(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    transport = LocalTransport(LOCALHOST)
    try:
        yield transport
    finally:
        await transport.close()


MAKERS: Mapping[str, Maker] = {"local": _local}
_MARKS = {"ssh": [pytest.mark.ssh]}


@pytest.fixture(params=[pytest.param(name, marks=_MARKS.get(name, ())) for name in MAKERS])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    """A transport to this machine."""
    async with MAKERS[request.param](request) as made:
        yield made


@pytest.fixture
async def here() -> AsyncIterator[LocalTransport]:
    """The local transport alone, for tests of what uses one."""
    made = LocalTransport(LOCALHOST)
    yield made
    await made.close()
