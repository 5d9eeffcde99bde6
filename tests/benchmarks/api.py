"""What the HTTP face costs: a page of 10,000 watchers, and 200 WebSockets at 50 events a second.

    python tests/benchmarks/api.py

Prints the time of a list page in the server, the way of an event from its commit to a WebSocket, and how late the
engine's loop is with and without the WebSockets (which are in a process of their own, as browsers are).
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from parts.house import House, Jobs
from parts.served import Served, serving

from reconciler.events import Event, EventType
from reconciler.model import HostName, JobId, JobKey, Origin, Watcher, WatcherId, WatcherName, WatcherState
from reconciler.protocols import Batch, StateWriting

WATCHERS, CLIENTS, RATE, SECONDS = 10_000, 200, 50, 10.0
LISTENERS = """\
import asyncio, json, sys, time
from websockets.asyncio.client import connect

async def listen(url, key, delays, ready):
    async with connect(url, additional_headers={"X-API-Key": key}, proxy=None, compression=None) as socket:
        await socket.recv()
        ready.release()
        async for text in socket:
            now = time.time()
            message = json.loads(text)
            if message["type"] == "refetch":
                print("refetch", flush=True)
            if message["type"] == "watcher_event":
                delays.append(now - message["event"]["data"]["committed"])

async def main(url, key, count):
    delays, ready = [], asyncio.Semaphore(0)
    tasks = [asyncio.create_task(listen(url, key, delays, ready)) for _ in range(count)]
    for _ in range(count):
        await ready.acquire()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for task in tasks:
        task.cancel()
    delays.sort()
    median, slow = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    print(json.dumps({"events": len(delays), "median": median, "p99": slow}))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def watcher(number: int) -> Watcher:
    return Watcher(
        WatcherId(0), WatcherName(f"w{number}"), JobKey(HostName("localhost"), JobId(str(number))), "train", "d",
        Origin("directory:/w", "/w/a.yaml", 1), phase=WatcherState.COMPLETED, created_at=time.time(),
    )  # fmt: skip


async def fill(served: Served, count: int = WATCHERS) -> None:
    def work(state: StateWriting) -> None:
        state.commit(Batch(create=tuple(map(watcher, range(count)))))

    await served.engine.parts.state.run(work)


async def emit(served: Served, seconds: float) -> None:
    """Commit events at RATE a second, as ticks do, each with the time of its commit."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        event = Event(
            EventType.ACTION_SUCCEEDED, time.time(), "w/1@localhost", WatcherId(1), "w1", JobId("1"), "localhost",
            action_type="log_event", data={"committed": time.time()},
        )  # fmt: skip

        def work(state: StateWriting, event: Event = event) -> None:
            state.commit(Batch(events=(event,)))

        await served.engine.parts.state.run(work)
        served.engine.daemon.tell()
        await asyncio.sleep(1 / RATE)


async def lateness(seconds: float) -> list[float]:
    """How late (ms) the loop is, looked at every 5 ms."""
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        await asyncio.sleep(0.005)
        found.append((time.monotonic() - began - 0.005) * 1000)
    return sorted(found)


def say(what: str, late: list[float]) -> None:
    print(f"{what}: loop late median {statistics.median(late):.1f} ms, p99 {late[len(late) * 99 // 100]:.1f} ms, "
          f"max {late[-1]:.1f} ms")  # fmt: skip


async def pages(served: Served) -> None:
    times, worked = [], time.process_time()
    for number in range(50):
        began = time.perf_counter()
        await served.get("/api/watchers", limit=100, cursor=str(WATCHERS - number * 100))
        times.append((time.perf_counter() - began) * 1000)
    print(f"a page of 100 among {WATCHERS}: median {statistics.median(times):.1f} ms, max {max(times):.1f} ms")
    worked = (time.process_time() - worked) / 50 * 1000
    print(f"work of this process for a page, server and client together: {worked:.1f} ms")
    text = (await served.http.get("/metrics")).text
    values = [line for line in text.splitlines() if 'duration_seconds_sum{method="GET",route="/api/watchers"}' in line]
    print(f"in the server: {float(values[0].split()[-1]) / 50 * 1000:.1f} ms")


async def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        house = House(Path(home))
        house.scheduler = Jobs(house.outputs)
        async with serving(house) as served:
            await fill(served)
            await pages(served)
            late, _ = await asyncio.gather(lateness(SECONDS), emit(served, SECONDS))
            say("without clients", late)
            words = (
                sys.executable,
                "-c",
                LISTENERS,
                served.url.replace("http", "ws") + "/ws/watchers",
                served.keys["read"],
            )
            listeners = await asyncio.create_subprocess_exec(
                *words, str(CLIENTS), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            assert listeners.stdout is not None
            await listeners.stdout.readline()
            late, _ = await asyncio.gather(lateness(SECONDS), emit(served, SECONDS))
            say(f"with {CLIENTS} clients", late)
            said, _ = await listeners.communicate(b"\n")
            print(said.decode().strip())


if __name__ == "__main__":
    asyncio.run(main())
