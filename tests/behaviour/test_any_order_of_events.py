"""Whatever order things happen in - flushes, passes, crashes, suspensions, edits, outages - every line counts once."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from parts.core import LOG, STORE
from parts.house import House, Jobs

from reconciler.errors import SchedulerUnavailableError, StateError
from reconciler.model import WatcherState
from reconciler.protocols import Batch, StateWriting

CAMPAIGN = 60 if os.environ.get("RECONCILER_CAMPAIGN") == "long" else 6
FIELDS: dict[str, Any] = {"pattern": r"loss=(\d+)", "captures": ["loss"], "actions": [STORE, LOG]}


class Crash(BaseException):
    """The process is gone at this instant."""


class Chaos:
    """One job, a few watchers, and everything that may happen to them; `lines` is what the job has printed."""

    def __init__(self, home: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.house = House(home, limits={"look_bytes": 65_536, "matches_per_tick": self.chance.choice([3, 50, 10_000])})
        self.jobs: Jobs = self.house.with_jobs()
        self.out = self.jobs.add()
        self.out.write_bytes(b"")
        self.pending = b""
        self.count = 0
        self.edits = 0
        self.house.write("plain", **FIELDS)
        self.house.write("edited", **FIELDS)
        self.house.write("held", **FIELDS)

    def print_line(self) -> None:
        """The job prints a line, with noise around it now and then."""
        self.count += 1
        before = self.chance.choice([b"", b"caf\xc3\xa9 ", b"\x1b[31m", b"\xff\xfe ", b"x" * 200, b"at 1%\rat 2%\r"])
        after = self.chance.choice([b"", b" .", b"\x1b[0m"])
        self.pending += before + b"loss=%d" % self.count + after + self.chance.choice([b"\n", b"\n", b"\r\n"])

    def flush(self) -> None:
        """Some of what was printed arrives in the file, cut anywhere."""
        cut = self.chance.randint(0, len(self.pending))
        with self.out.open("ab") as file:
            file.write(self.pending[:cut])
        self.pending = self.pending[cut:]

    def burst(self) -> None:
        for _ in range(self.chance.randint(1, 200)):
            self.print_line()
        self.flush()

    async def a_pass(self) -> None:
        await self.house.once()

    async def crashed_pass(self) -> None:
        """A pass that ends at one of its commits: before it, or behind it."""
        left, before = self.chance.randint(0, 6), self.chance.random() < 0.5
        async with self.house.engine() as engine:
            run = engine.parts.state.run

            async def dying(work: Any) -> Any:
                def guarded(state: StateWriting) -> Any:
                    return work(_Dying(state, lambda: count(), before))

                return await run(guarded)

            def count() -> bool:
                nonlocal left
                left -= 1
                return left < 0

            engine.parts.state.run = dying  # type: ignore[method-assign]
            try:
                await engine.once.run()
            except Crash:
                return

    async def full_disk(self) -> None:
        async with self.house.engine() as engine:
            run = engine.parts.state.run

            async def refusing(work: Any) -> Any:
                def guarded(state: StateWriting) -> Any:
                    return work(_Full(state, self.chance))

                return await run(guarded)

            engine.parts.state.run = refusing  # type: ignore[method-assign]
            try:
                await engine.once.run()
            except StateError:
                return

    async def edit(self) -> None:
        """The text of a spec changes, not what it looks for."""
        self.edits += 1
        self.house.write("edited", **FIELDS, description=f"edit {self.edits}")

    async def hold(self) -> None:
        self.house.write("held", **FIELDS, suspend=self.chance.random() < 0.5)

    async def outage(self) -> None:
        self.jobs.failing = SchedulerUnavailableError("no answer")
        await self.house.once()
        self.jobs.failing = None

    async def hide_output(self) -> None:
        away = self.out.with_suffix(".away")
        self.out.rename(away)
        await self.house.once()
        away.rename(self.out)

    async def vanish(self) -> None:
        """A file is gone for a pass, and comes back."""
        (self.house.watchers / "edited.yaml").unlink()
        await self.house.once()
        await self.edit()

    async def time_passes(self) -> None:
        assert self.house.clock is not None
        self.house.clock.at += self.chance.randint(1, 500)

    async def end(self) -> None:
        """The job prints a last line without an end, and is over."""
        self.print_line()
        self.pending = self.pending.rstrip(b"\r\n")
        with self.out.open("ab") as file:
            file.write(self.pending)
        self.house.write("held", **FIELDS)
        self.jobs.finish()
        for _ in range(3):
            await self.house.once()


class _Dying:
    def __init__(self, state: StateWriting, dies: Callable[[], bool], before: bool) -> None:
        self._state, self._dies, self._before = state, dies, before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def commit(self, batch: Batch) -> Any:
        if not self._dies():
            return self._state.commit(batch)
        if not self._before:
            self._state.commit(batch)
        raise Crash


class _Full:
    def __init__(self, state: StateWriting, chance: random.Random) -> None:
        self._state, self._chance = state, chance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def commit(self, batch: Batch) -> Any:
        if self._chance.random() < 0.4:
            raise StateError("disk is full")
        return self._state.commit(batch)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(CAMPAIGN))
async def test_every_line_counts_once_for_every_watcher(tmp_path: Path, seed: int) -> None:
    chaos = Chaos(tmp_path, seed)
    steps: list[Callable[[], Awaitable[None]]] = [
        chaos.a_pass, chaos.a_pass, chaos.crashed_pass, chaos.crashed_pass, chaos.full_disk, chaos.edit, chaos.hold,
        chaos.outage, chaos.hide_output, chaos.vanish, chaos.time_passes,
    ]  # fmt: skip
    await chaos.a_pass()
    for _ in range(40):
        chaos.chance.choice([chaos.print_line, chaos.flush, chaos.flush, chaos.burst])()
        await chaos.chance.choice(steps)()
    await chaos.end()
    expected = [float(n) for n in range(1, chaos.count + 1)]
    assert chaos.count > 50
    for name in ("plain", "edited", "held"):
        row = chaos.house.row(name)
        values = [point.value for point in chaos.house.metrics() if point.watcher_id == row.id]
        assert values == expected, name
        assert (row.trigger_count, row.state) == (chaos.count, WatcherState.COMPLETED)
        assert row.last_error == ""
    seqs = [line["data"]["seq"] for line in chaos.house.lines()]
    assert seqs == list(range(1, len(chaos.house.events()) + 1))
