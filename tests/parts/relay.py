"""A line between a client and a server that a test can slow down, delay, hold and cut: a TCP relay on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

#: Bytes that are passed on at once.
PIECE = 16 * 1024
#: Bytes of a packet, and seconds beyond a round trip after which TCP sends a lost one again (RFC 6298; Linux: 0.2).
PACKET = 1448
RETRANSMIT = 0.2


class Relay:
    """Passes on what comes. `delay`: seconds each way. `rate`: bytes a second to the client, None: as they come.

    `loss`: share of packets that are lost. TCP brings them later, and holds back all that is behind them, as here.
    """

    def __init__(self, port: int, *, delay: float = 0.0, loss: float = 0.0) -> None:
        self.port = 0
        self.delay = delay
        self.loss = loss
        self.rate: float | None = None
        #: Bytes to the client after which the line is cut; None: never.
        self.cut_after: int | None = None
        #: The same for every line by itself, from its beginning.
        self.cut_each_after: int | None = None
        self.to_client = 0
        #: Lines that the client has ended.
        self.hung_up = 0
        self.through = asyncio.Event()
        self.through.set()
        self._chance = random.Random(1)
        self._target = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def hold(self) -> None:
        """Let nothing through, and close nothing."""
        self.through.clear()

    def cut(self) -> None:
        """End every line now."""
        for writer in self._writers:
            writer.transport.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(far_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, far_writer, to_client=False))
                group.create_task(self._pass(far_reader, writer, to_client=True))
        except (OSError, ExceptionGroup):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def close(self) -> None:
        """End every line and wait for that."""
        self.through.set()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_client: bool) -> None:
        loop, passed = asyncio.get_running_loop(), 0
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=1000)

        async def deliver() -> None:
            nonlocal passed
            while True:
                due, data = await line.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self.through.wait()
                writer.write(data)
                await writer.drain()
                if not data:
                    writer.close()
                    return
                passed += len(data)
                if to_client and self.cut_each_after is not None and passed >= self.cut_each_after:
                    writer.transport.abort()
                    return
                await self._count(len(data), to_client)

        task = asyncio.create_task(deliver())
        try:
            while data := await reader.read(PIECE):
                await line.put((loop.time() + self.delay + self._recovery(len(data)), data))
            self.hung_up += not to_client
            await line.put((loop.time() + self.delay, b""))
            await task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await task

    def _recovery(self, length: int) -> float:
        """Return the seconds that lost packets of these bytes cost."""
        packets = -(-length // PACKET)
        lost = self.loss > 0 and any(self._chance.random() < self.loss for _ in range(packets))
        return RETRANSMIT + 2 * self.delay if lost else 0.0

    async def _count(self, length: int, to_client: bool) -> None:
        if not to_client:
            return
        self.to_client += length
        if self.cut_after is not None and self.to_client >= self.cut_after:
            self.cut_after = None
            self.cut()
        if self.rate is not None:
            await asyncio.sleep(length / self.rate)


@contextlib.asynccontextmanager
async def relay_to(port: int, *, delay: float = 0.0, loss: float = 0.0) -> AsyncIterator[Relay]:
    """A relay to a port of this machine; `relay.port` is where to connect to."""
    relay = Relay(port, delay=delay, loss=loss)
    server = await asyncio.start_server(relay.accept, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
        await server.wait_closed()
