"""Whatever people and machines do to files, jobs and passes: in the end all is as declared, and no watcher is missing.

A state machine over the real engine, state and directory source; the clock is stepped, jobs are lines in a list.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from parts.house import House, Jobs

from reconciler.engine.controller import PassReport
from reconciler.errors import SchedulerUnavailableError, StateError
from reconciler.model import HoldKind, Watcher
from reconciler.protocols import Batch, StateWriting
from reconciler.state import add_request

NAMES = st.sampled_from(["a", "b", "c", "d"])
JOBS = st.sampled_from(["1", "2", "3"])
LONG = os.environ.get("RECONCILER_CAMPAIGN") == "long"


class Crash(BaseException):
    """The process is gone at this instant."""


class Failing:
    """A state whose commit number `at` (from 0) raises `error`, before or behind the commit; later ones too."""

    def __init__(self, at: int, error: BaseException, behind: bool) -> None:
        self._left, self._error, self._behind = at, error, behind

    def over(self, state: StateWriting) -> Any:
        return _Wrapped(state, self.commit)

    def commit(self, state: StateWriting, batch: Batch) -> Any:
        self._left -= 1
        if self._left >= 0:
            return state.commit(batch)
        if self._behind and self._left == -1:
            state.commit(batch)
        raise self._error


class _Wrapped:
    def __init__(self, state: StateWriting, commit: Callable[[StateWriting, Batch], Any]) -> None:
        self._state, self._commit = state, commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def commit(self, batch: Batch) -> Any:
        return self._commit(self._state, batch)


class World(RuleBasedStateMachine):
    """`files`: file name -> watcher in it. `let_go`: names that somebody deleted; these alone may be stopped.

    `unseen`: files that no pass has read under their name. What is bad there is nobody's last good version, and what
    stood elsewhere before was deleted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="world-"))
        self.house = House(self.home, policy={"prune_grace": "2m"})
        self.jobs: Jobs = self.house.with_jobs()
        self.files: dict[str, str] = {}
        self.bad: set[str] = set()
        self.unseen: set[str] = set()
        self.let_go: set[str] = set()
        self.held: set[int] = set()
        self.number = 0
        self.write("a")
        self.start("1")

    # --- people ---

    @rule(name=NAMES)
    def write(self, name: str) -> None:
        """A new file, or an edit of the one there is (which mends it)."""
        self.number += 1
        file = next((file for file, held in self.files.items() if held == name), f"{name}-{self.number}")
        self._put(file, name, pattern=f"hit {self.number}")

    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        """Another text for a watcher there is, which mends its file, and a pass that sees it."""
        self.write(self.files[data.draw(st.sampled_from(sorted(self.files)))])
        self._pass()

    @precondition(lambda self: len(self.files) > 1)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        file = data.draw(st.sampled_from(sorted(self.files)))
        self.house.remove(file)
        self.let_go.add(self.files.pop(file))
        self.bad.discard(file)

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """Another file name, the same watcher."""
        file = data.draw(st.sampled_from(sorted(self.files)))
        self.number += 1
        fresh = f"moved-{self.number}"
        (self.house.watchers / f"{file}.yaml").rename(self.house.watchers / f"{fresh}.yaml")
        self.house._settle(self.house.watchers)
        self.unseen.add(fresh)
        if file in self.bad:
            self.let_go.add(self.files[file])
            self.bad.add(fresh)
        self.files[fresh] = self.files.pop(file)
        self.bad.discard(file)

    @rule(data=st.data())
    def rename(self, data: st.DataObject) -> None:
        """The watcher gets another name and says so: its rows go on."""
        file = data.draw(st.sampled_from(sorted(self.files)))
        old, new = self.files[file], f"r{self.number}"
        self.number += 1
        if file in self.bad or self.jobs.failing is not None:
            return
        self._pass()
        before = {row.job: row.id for row in self._live() if row.name == old}
        self._put(file, new, renamed_from=old)
        self._pass()
        after = {row.job: row.id for row in self._live() if row.name == new}
        assert {job: after.get(job) for job in before} == before
        assert not [row for row in self._live() if row.name == old]

    @rule(
        data=st.data(),
        text=st.sampled_from(["", "name: [", "name: x\n", "\t", "- 1\n", "\xff"]),
        passes=st.integers(0, 2),
    )
    def spoil(self, data: st.DataObject, text: str, passes: int) -> None:
        """A file that somebody is in the middle of: its last good version stays."""
        file = data.draw(st.sampled_from(sorted(self.files)))
        path = self.house.watchers / f"{file}.yaml"
        path.write_text(text, encoding="latin-1")
        self.house._settle(path)
        self.bad.add(file)
        if file in self.unseen:
            self.let_go.add(self.files[file])
        for _ in range(passes):
            self._clock().at += 200
            self._pass()

    @rule(hold=st.booleans())
    def by_hand(self, hold: bool) -> None:
        """Somebody suspends a watcher, or lets all go on."""
        rows = self._live() if hold else [row for row in self._live() if row.id in self.held]
        if not rows:
            return
        ids = [row.id for row in rows]
        body = {"watchers": ids, "reason": "a person"}
        add_request(self.home / "state.db", "suspend" if hold else "resume", "ada", body, now=self._clock().at)
        self._pass()
        self.held = self.held | set(ids) if hold else self.held - set(ids)

    # --- machines ---

    @rule(job=JOBS)
    def start(self, job: str) -> None:
        if job not in self.jobs.listed:
            self.jobs.add(job)

    @rule(job=JOBS)
    def end(self, job: str) -> None:
        if job in self.jobs.listed and not self.jobs.listed[job].state.ended:  # type: ignore[index]
            self.jobs.finish(job)

    @rule(seconds=st.sampled_from([-3600, -1, 1, 60, 121, 86400]))
    def clock_jumps(self, seconds: int) -> None:
        self._clock().at += seconds

    @rule(lost=st.booleans())
    def host(self, lost: bool) -> None:
        self.jobs.failing = SchedulerUnavailableError("no answer") if lost else None

    @rule(passes=st.integers(1, 2))
    def directory_is_away(self, passes: int) -> None:
        """Unmounted, and mounted again."""
        away = self.home / "away"
        self.house.watchers.rename(away)
        for _ in range(passes):
            self._clock().at += 300
            report = self._pass()
            assert report.plan is not None
            assert not [change for change in report.plan.applicable if change.kind == "stop"]
        away.rename(self.house.watchers)

    # --- passes ---

    @rule()
    def a_pass(self) -> None:
        self._pass()

    def _pass(self) -> PassReport:
        """One pass as under cron."""
        report = asyncio.run(self.house.once())
        if self.house.watchers.exists():
            self.unseen &= self.bad
        return report

    @rule(at=st.integers(0, 5), behind=st.booleans())
    def crash(self, at: int, behind: bool) -> None:
        asyncio.run(self._broken_pass(Failing(at, Crash(), behind)))

    @rule(at=st.integers(0, 5))
    def disk_full(self, at: int) -> None:
        asyncio.run(self._broken_pass(Failing(at, StateError("database or disk is full"), behind=False)))

    async def _broken_pass(self, failing: Failing) -> None:
        async with self.house.engine() as engine:
            run = engine.parts.state.run

            async def broken(work: Callable[[Any], Any]) -> Any:
                return await run(lambda state: work(failing.over(state)))

            engine.parts.state.run = broken  # type: ignore[method-assign]
            try:
                await engine.once.run()
            except (Crash, StateError):
                return

    # --- what must hold ---

    @invariant()
    def nothing_stopped_that_nobody_deleted(self) -> None:
        if (self.home / "state.db").exists():
            stopped = {str(event.watcher) for event in self.house.events("watcher.stopped")}
            assert stopped <= self.let_go, (stopped, self.let_go)

    def teardown(self) -> None:
        """Everything is mended and time passes: then all is as declared, and a further plan is empty."""
        try:
            self._converge()
        finally:
            shutil.rmtree(self.home)

    def _converge(self) -> None:
        self.jobs.failing = None
        for file in sorted(self.bad):
            self._put(file, self.files[file])
        for _ in range(3):
            self._clock().at += 200
            self._pass()
        if self._pending():  # a mass stop of what was deleted waits for a yes
            asyncio.run(self.house.once(approve="yes"))
            self._clock().at += 200
            self._pass()
        assert self._pending() == []
        running = [job.key for job in self.jobs.listed.values() if not job.state.ended]
        wanted = {(name, key) for name in self.files.values() for key in running}
        assert {(str(row.name), row.job) for row in self._live() if row.job in running} == wanted
        for row in self._live():
            manual = any(hold.kind is HoldKind.MANUAL for hold in row.holds)
            assert manual == (row.id in self.held), row
        self.nothing_stopped_that_nobody_deleted()

    # --- by the way ---

    def _put(self, file: str, name: str, **fields: Any) -> None:
        if file not in self.files:
            self.unseen.add(file)
        self.house.write(name, file=f"{file}.yaml", **{"pattern": "hit", **fields})
        self.files[file] = name
        self.bad.discard(file)

    def _clock(self) -> Any:
        assert self.house.clock is not None
        return self.house.clock

    def _live(self) -> list[Watcher]:
        if not (self.home / "state.db").exists():
            return []
        return [row for row in self.house.rows() if row.phase.live]

    def _pending(self) -> list[str]:
        async def plan() -> list[str]:
            async with self.house.engine() as engine:
                found = await engine.controller.preview()
                return [f"{change.kind} {change.name} {change.job}" for change in found.pending] + list(found.alarms)

        return asyncio.run(plan())


def test_it_always_converges_and_stops_nothing_that_nobody_deleted() -> None:
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=300 if LONG else 5,
            stateful_step_count=60 if LONG else 18,
            derandomize=not LONG,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
