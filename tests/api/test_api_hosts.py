"""What the daemon knows of its hosts: whether they answer and since when, jobs, watchers, how long a look takes."""

from __future__ import annotations

import pytest
from parts.house import House
from parts.served import Served, serving
from parts.waiting import eventually

from reconciler.errors import HostUnreachableError, ReconcilerError, SchedulerUnavailableError


async def test_a_host_is_told_with_its_jobs_watchers_and_the_last_look(served: Served) -> None:
    served.jobs.add("1").write_text("x\n")
    served.jobs.add("2")
    served.jobs.add("3")
    served.jobs.finish("3")
    await served.look()
    await served.create("w", "1")
    await eventually(lambda: served.engine.daemon.looks())
    found = await served.get("/api/hosts")
    (host,) = found["hosts"]
    assert (host["hostname"], host["transport"], host["reachable"]) == ("localhost", "local", True)
    assert (host["jobs"], host["ended_jobs"], host["watched_jobs"], host["watchers"]) == (2, 1, 1, 1)
    assert host["since"] <= host["listed"] <= found["now"]
    assert (host["layer"], host["reason"], host["outputs"]) == ("", "", 1)
    assert min(host["listing_seconds"], host["look_seconds"], host["late_seconds"]) >= 0
    assert host["listing_every"] >= 1


async def test_a_host_without_accounting_answers_and_says_what_is_lacking(served: Served) -> None:
    served.jobs.add("1")
    await served.look()
    served.jobs.forgetful = "sacct failed"
    served.jobs.add("2")
    await served.look()
    (host,) = (await served.get("/api/hosts"))["hosts"]
    assert (host["reachable"], host["layer"], host["reason"], host["jobs"]) == (True, "accounting", "sacct failed", 2)
    served.jobs.forgetful = ""
    await served.look()
    (host,) = (await served.get("/api/hosts"))["hosts"]
    assert (host["reachable"], host["layer"], host["reason"]) == (True, "", "")


@pytest.mark.parametrize(
    ("error", "layer"),
    [(SchedulerUnavailableError("slurmctld is away"), "scheduler"), (HostUnreachableError("no route"), "host")],
)
async def test_a_host_that_does_not_answer_says_why_and_since_when(
    served: Served, error: ReconcilerError, layer: str
) -> None:
    (before,) = (await served.get("/api/hosts"))["hosts"]
    served.jobs.failing = error
    await served.look()
    (host,) = (await served.get("/api/hosts"))["hosts"]
    assert (host["reachable"], host["layer"], host["reason"]) == (False, layer, error.message)
    assert host["since"] > before["since"]
    await served.look()
    (later,) = (await served.get("/api/hosts"))["hosts"]
    assert (later["since"], later["listed"]) == (host["since"], host["listed"])
    served.jobs.failing = None
    await served.look()
    (again,) = (await served.get("/api/hosts"))["hosts"]
    assert again["reachable"]
    assert again["since"] > host["since"]


async def test_since_when_a_host_answers_is_known_after_a_restart(house: House) -> None:
    async with serving(house) as served:
        (before,) = (await served.get("/api/hosts"))["hosts"]
        assert before["scheduler"] == "local"
    async with serving(house) as served:
        (after,) = (await served.get("/api/hosts"))["hosts"]
    assert after["since"] == before["since"]
    assert after["listed"] > before["listed"]
