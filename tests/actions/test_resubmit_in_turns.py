"""resubmit by several watchers at once: they take turns, and what one has submitted the next one knows of."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass, field
from typing import Any

import pytest
from parts.acting import MemoryScheduler, a_context, a_job

from reconciler.actions._runs import MOST, Resubmitted, Runs
from reconciler.actions.resubmit import Resubmit, make
from reconciler.errors import PermanentActionError, SchedulerUnavailableError
from reconciler.model import HostName, Job, JobId, JobState
from reconciler.protocols import Submission
from reconciler.transports.local import LocalTransport


@dataclass
class SlowScheduler(MemoryScheduler):
    """Each submission waits until the test lets it go; the list of jobs shows it only where `lags` is not set."""

    entered: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    lags: bool = False

    async def submit(self, submission: Submission) -> JobId:
        self.entered.set()
        await self.go.wait()
        return await super().submit(submission)

    async def jobs(self, since: float | None) -> tuple[Job, ...]:
        return () if self.lags else await super().jobs(since)


class Watchers:
    """Watchers of one process: they share the action."""

    def __init__(self, transport: LocalTransport, *, slow: bool = False, lags: bool = False) -> None:
        self.scheduler = SlowScheduler(lags=lags)
        self.action: Resubmit = make(None, {})
        self._transport = transport
        if not slow:
            self.scheduler.go.set()

    async def resubmit(self, mark: str, job: Job | None = None, /, **params: Any) -> str:
        """Let a watcher, named by its mark, ask for a resubmission."""
        job = job or a_job()
        self.scheduler.known.setdefault(job.id, job)
        return await self.action.run(
            a_context(params, transport=self._transport, scheduler=self.scheduler, job=job, mark=mark)
        )

    async def at_once(self, *asked: tuple[str, Job]) -> list[str | BaseException]:
        """Let them ask while the submission of the first is under way."""
        tasks = [asyncio.create_task(self.resubmit(*asked[0]))]
        await self.scheduler.entered.wait()
        tasks += [asyncio.create_task(self.resubmit(*each)) for each in asked[1:]]
        self.scheduler.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    def submitted(self) -> int:
        """Return how many jobs came of it."""
        return len(self.scheduler.submissions)


@pytest.mark.parametrize("lags", [False, True])
async def test_watchers_that_ask_at_once_resubmit_a_run_once(this_machine: LocalTransport, lags: bool) -> None:
    watchers = Watchers(this_machine, slow=True, lags=lags)
    told = await watchers.at_once(*((f"m.{number}", a_job()) for number in range(4)))
    assert told == ["job 123 resubmitted as 1001", *["job 123 was resubmitted already, as 1001: nothing done"] * 3]
    assert watchers.scheduler.verbs() == ["submit", "release"]


async def test_jobs_of_one_chain_that_are_resubmitted_at_once_are_counted_one_by_one(
    this_machine: LocalTransport,
) -> None:
    watchers = Watchers(this_machine)
    await watchers.resubmit("m.1")
    second = watchers.scheduler.known[JobId("1001")]
    watchers.scheduler.go.clear()
    watchers.scheduler.entered.clear()
    told = await watchers.at_once(*[("m.2", a_job(restarts=1)), ("m.3", second), ("m.4", a_job(restarts=2))])
    assert [isinstance(each, PermanentActionError) for each in told] == [False, False, True]
    assert "the limit is 3" in str(told[2])


async def test_other_jobs_do_not_wait(this_machine: LocalTransport) -> None:
    watchers = Watchers(this_machine, slow=True)
    first = asyncio.create_task(watchers.resubmit("m.1"))
    await watchers.scheduler.entered.wait()
    watchers.scheduler.entered.clear()
    other = asyncio.create_task(watchers.resubmit("m.2", a_job(id=JobId("124"))))
    far = asyncio.create_task(watchers.resubmit("m.3", a_job(host=HostName("hpc1"))))
    await watchers.scheduler.entered.wait()
    watchers.scheduler.go.set()
    assert len(await asyncio.gather(first, other, far)) == 3
    assert watchers.submitted() == 3


async def test_a_list_that_lags_costs_no_second_job(this_machine: LocalTransport) -> None:
    watchers = Watchers(this_machine, lags=True)
    await watchers.resubmit("m.1")
    assert await watchers.resubmit("m.1") == "job 123 resubmitted as 1001"
    assert await watchers.resubmit("m.2") == "job 123 was resubmitted already, as 1001: nothing done"
    assert watchers.submitted() == 1


async def test_a_retry_behind_a_list_that_lags_goes_on_where_it_failed(this_machine: LocalTransport) -> None:
    watchers = Watchers(this_machine, lags=True)
    watchers.scheduler.failing["cancel"] = SchedulerUnavailableError("lost")
    with pytest.raises(SchedulerUnavailableError):
        await watchers.resubmit("m.1", cancel_previous=True)
    await watchers.resubmit("m.1", cancel_previous=True)
    assert watchers.scheduler.verbs() == ["submit", "cancel", "cancel", "release"]
    assert watchers.scheduler.known[JobId("1001")].state is JobState.RUNNING


@pytest.mark.parametrize("later", [{"restarts": 1}, {"submitted": 2000.0}])
async def test_another_run_and_another_job_of_the_same_id_are_resubmitted(
    this_machine: LocalTransport, later: dict[str, Any]
) -> None:
    watchers = Watchers(this_machine, lags=True)
    await watchers.resubmit("m.1")
    assert await watchers.resubmit("m.2", a_job(**later)) == "job 123 resubmitted as 1002"


async def test_a_new_job_that_was_taken_back_is_remembered_no_longer(this_machine: LocalTransport) -> None:
    watchers = Watchers(this_machine, lags=True)
    watchers.scheduler.failing["cancel"] = PermanentActionError("not yours")
    with pytest.raises(PermanentActionError, match="not yours"):
        await watchers.resubmit("m.1", cancel_previous=True)
    assert watchers.scheduler.known[JobId("1001")].state is JobState.CANCELLED
    assert await watchers.resubmit("m.2", cancel_previous=True) == "job 123 resubmitted as 1002"


async def test_who_fails_or_is_broken_off_gives_the_turn_to_the_next(this_machine: LocalTransport) -> None:
    watchers = Watchers(this_machine, slow=True)
    first = asyncio.create_task(watchers.resubmit("m.1"))
    await watchers.scheduler.entered.wait()
    others = [asyncio.create_task(watchers.resubmit(f"m.{number}")) for number in (2, 3)]
    watchers.scheduler.failing["submit"] = SchedulerUnavailableError("no answer")
    first.cancel()
    watchers.scheduler.go.set()
    told = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(each) for each in told[:2]] == [asyncio.CancelledError, SchedulerUnavailableError]
    assert told[2] == "job 123 resubmitted as 1001"


async def test_nothing_is_kept_of_turns_that_are_over(this_machine: LocalTransport) -> None:
    def locks() -> int:
        gc.collect()
        return sum(isinstance(each, asyncio.Lock) for each in gc.get_objects())

    watchers = Watchers(this_machine)
    before = locks()
    for number in range(50):
        await watchers.resubmit(f"m.{number}", a_job(id=JobId(str(number))))
    assert locks() == before


def test_only_the_newest_runs_are_remembered() -> None:
    runs = Runs()
    jobs = [a_job(id=JobId(str(number))) for number in range(MOST + 10)]
    for job in jobs:
        runs.note(job, Resubmitted(JobId("9"), "m"))
    assert [runs.known(job) is not None for job in jobs] == [False] * 10 + [True] * MOST
