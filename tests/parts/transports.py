"""The fixture `transport`: every way to reach a host in turn, for the conformance suite in tests/transports.

A new transport is one more line in `MAKERS`: its name, and an async context manager that yields it, to this machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from parts.sshd import Sshd
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


def _ssh(*lookouts: str) -> Maker:
    @asynccontextmanager
    async def make(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
        sshd: Sshd = request.getfixturevalue("sshd")
        async with sshd.transport(lookouts=lookouts) as made:
            yield made

    return make


MAKERS: Mapping[str, Maker] = {
    "local": _local,
    "ssh": _ssh("python3"),
    "ssh-perl": _ssh("perl"),
    "ssh-sftp": _ssh("sftp"),
}


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.ssh] if name.startswith("ssh") else ()) for name in MAKERS]
)
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    """A transport to this machine."""
    async with MAKERS[request.param](request) as made:
        yield made


@pytest.fixture
def grain(request: pytest.FixtureRequest) -> int:
    """The least difference in nanoseconds that the transport of this test sees between two modification times."""
    return {"ssh-perl": 1_000, "ssh-sftp": 1_000_000_000}.get(request.node.callspec.params["transport"], 1)


@pytest.fixture
async def here() -> AsyncIterator[LocalTransport]:
    """The local transport alone, for tests of what uses one."""
    made = LocalTransport(LOCALHOST)
    yield made
    await made.close()
