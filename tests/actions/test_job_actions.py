"""cancel_job, signal_job and requeue: what they ask the scheduler, and when they do not."""

from __future__ import annotations

from typing import Any

import pytest
from parts.acting import MemoryScheduler, a_context, a_job
from pydantic import ValidationError

from reconciler.actions import cancel_job, requeue, signal_job
from reconciler.errors import PermanentActionError, SchedulerUnavailableError
from reconciler.model import JobId, JobState
from reconciler.protocols import AfterCrash, Limit
from reconciler.transports.local import LocalTransport


async def run(
    module: Any, params: dict[str, Any], scheduler: MemoryScheduler, transport: LocalTransport, **job: Any
) -> str:
    context = a_context(params, {"error": "OOM"}, transport=transport, scheduler=scheduler, job=a_job(**job))
    told = await module.make(None, {}).run(context)
    assert isinstance(told, str)
    return told


async def test_cancel_job_asks_the_scheduler_and_keeps_the_reason(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    told = await run(cancel_job, {"reason": "CUDA $error"}, scheduler, this_machine)
    assert told == "job 123 was cancelled (CUDA OOM)"
    assert scheduler.asked == [("cancel", "123")]


async def test_cancel_job_lets_silence_of_the_scheduler_rise(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler(failing={"cancel": SchedulerUnavailableError("no answer")})
    with pytest.raises(SchedulerUnavailableError):
        await run(cancel_job, {}, scheduler, this_machine)


def test_cancel_job_may_be_done_again_and_waits_where_there_are_too_many() -> None:
    traits = cancel_job.PLUGIN.traits
    assert (traits.after_crash, traits.limit, traits.retry) == (AfterCrash.RERUN, Limit.DEFER, True)


async def test_signal_job_sends_the_signal(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    assert await run(signal_job, {"signal": "USR1"}, scheduler, this_machine) == "sent USR1 to job 123"


async def test_signal_job_sends_nothing_to_a_job_that_has_ended(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    with pytest.raises(PermanentActionError, match="has ended"):
        await run(signal_job, {"signal": "USR1"}, scheduler, this_machine, state=JobState.FAILED)
    assert scheduler.verbs() == []


@pytest.mark.parametrize("signal", ["KILL", "SIGUSR1", "9", "usr1", "$sig", "USR1; rm x", "-9", ""])
def test_signal_job_knows_a_few_signals_only(signal: str) -> None:
    with pytest.raises(ValidationError):
        signal_job.SignalJobParams.model_validate({"signal": signal})


async def test_requeue_is_bounded_by_the_schedulers_own_count(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler(known={JobId("123"): a_job(restarts=2)})
    assert await run(requeue, {"reason": "$error"}, scheduler, this_machine) == "job 123 was requeued (OOM)"
    scheduler.known[JobId("123")] = a_job(restarts=3)
    with pytest.raises(PermanentActionError, match="max_restarts") as caught:
        await run(requeue, {}, scheduler, this_machine)
    assert caught.value.refused
    assert scheduler.verbs() == ["requeue"]


@pytest.mark.parametrize("module", [signal_job, requeue])
def test_what_cannot_be_taken_back_is_never_repeated_by_itself(module: Any) -> None:
    assert module.PLUGIN.traits.after_crash is AfterCrash.REPORT
    assert not module.PLUGIN.traits.retry
