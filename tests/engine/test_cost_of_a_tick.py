"""What a tick reads and writes: one transaction for all watchers of an output, nothing where nothing came."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from parts.core import LOG, STORE
from parts.house import House

from reconciler import app
from reconciler.engine.committing import Commits
from reconciler.engine.jobtask import JobTask
from reconciler.engine.once import look
from reconciler.model import LOCALHOST
from reconciler.protocols import Batch, Committed, StateWriting


class Ticking:
    """One job with its watchers; `tick` looks at its output once and returns what SQLite was told meanwhile."""

    def __init__(self, engine: app.Engine, out: Path) -> None:
        self._engine, self._out = engine, out
        self._said: list[str] = []

    async def trace(self, on: bool) -> None:
        """Note each statement, each row of a bulk statement by itself."""
        said = self._said.append if on else None

        def work(state: StateWriting) -> None:
            raw = state._connection.connection.driver_connection  # type: ignore[attr-defined]
            assert isinstance(raw, sqlite3.Connection)
            raw.set_trace_callback(said)

        await self._engine.parts.state.run(work)

    @property
    def task(self) -> JobTask:
        (task,) = self._engine.controller.fleet.tasks.values()
        return task

    async def tick(self, text: str = "") -> Mapping[str, int]:
        """Let the output grow; return statements and rows by kind: `SELECT`, `COMMIT`, `INSERT watcher_events`, ..."""
        append(self._out, text)
        self._said.clear()
        await self.trace(on=True)
        (seen,) = await look(self._engine.parts.hosts[LOCALHOST], [self.task])
        await self.task.tick(seen)
        await self.trace(on=False)
        return Counter(kind for statement in self._said if (kind := kind_of(statement)))


def append(file: Path, text: str) -> None:
    with file.open("a") as opened:
        opened.write(text)


def kind_of(statement: str) -> str:
    """Return what a statement does, and to which table."""
    found = re.match(r"\s*(?:(INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)|(SELECT|COMMIT))", statement)
    if not found:
        return ""
    return found[3] or f"{found[1].split()[0]} {found[2]}"


@asynccontextmanager
async def ticking(house: House, watchers: int, **fields: Any) -> AsyncIterator[Ticking]:
    out = house.with_jobs().add("1")
    out.write_text("the first line\n")
    for number in range(watchers):
        house.write(f"w{number}", pattern=rf"loss: (\S+)|{number}$", captures=["loss"], **fields)
    async with house.engine() as engine:
        await engine.controller.pass_(approve="yes")
        found = Ticking(engine, out)
        await found.tick()
        await found.tick()
        yield found


@pytest.mark.parametrize("watchers", [1, 40])
async def test_a_look_that_saw_nothing_new_writes_nothing_and_asks_nothing(house: House, watchers: int) -> None:
    async with ticking(house, watchers) as job:
        for _ in range(3):
            assert await job.tick() == {}


@pytest.mark.parametrize("watchers", [1, 40])
async def test_all_watchers_of_an_output_share_one_transaction(house: House, watchers: int) -> None:
    async with ticking(house, watchers, actions=[LOG, STORE]) as job:
        told = await job.tick("loss: 0.5\n")
    assert told["COMMIT"] == 1
    assert told["INSERT watcher_events"] == 3 * watchers  # it triggered, and what became of two actions
    assert told["INSERT metric_points"] == watchers
    assert told["INSERT checkpoints"] == watchers
    assert told["UPDATE job_watchers"] == watchers
    assert told["INSERT pending_actions"] == 0  # what touches the state alone is done within


async def test_what_is_asked_does_not_grow_with_watchers_nor_with_lines(house: House, tmp_path: Path) -> None:
    counts = []
    for watchers, lines in ((1, 1), (40, 1), (40, 50)):
        async with ticking(House(tmp_path / f"{watchers}-{lines}"), watchers) as job:
            told = await job.tick("loss: 0.5\n" * lines)
        assert told["COMMIT"] == 1
        assert told["UPDATE job_watchers"] == watchers  # once each, however many lines matched
        counts.append(told["SELECT"])
    assert len(set(counts)) == 1
    assert counts[0] <= 5


async def test_of_very_many_outputs_that_grew_only_so_many_wait_for_their_commit_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = house.with_jobs()
    outs = [jobs.add(str(number)) for number in range(12)]
    house.write(pattern="hit")
    waiting: list[int] = []
    now = 0

    async def commit(commits: Commits, batch: Batch) -> Committed:
        nonlocal now
        now += 1
        waiting.append(now)
        try:
            return await real(commits, batch)
        finally:
            now -= 1

    real = Commits.commit
    async with house.engine() as engine:
        await engine.controller.pass_(approve="yes")
        tasks = list(engine.controller.fleet.tasks.values())
        for out in outs:
            append(out, "hit\n")
        seen = await look(engine.parts.hosts[LOCALHOST], tasks)
        monkeypatch.setattr(Commits, "commit", commit)
        engine.parts.commits.room = asyncio.Semaphore(3)
        await asyncio.gather(*(task.tick(each) for task, each in zip(tasks, seen, strict=True)))
    assert max(waiting) == 3
    assert house.matched() == ["hit"] * 12


async def test_lines_without_a_match_move_the_positions_and_write_nothing_else(house: House) -> None:
    async with ticking(house, 10) as job:
        told = await job.tick("nothing here\n" * 100)
    assert told["COMMIT"] == 1
    written = {kind: count for kind, count in told.items() if kind.split()[0] in ("INSERT", "UPDATE", "DELETE")}
    assert set(written) <= {"INSERT checkpoints", "UPDATE lease"}
    assert written["INSERT checkpoints"] == 10
