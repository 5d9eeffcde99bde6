"""The endpoints of watchers, on a real server: list, create, look, edit, delete, pause, resume, trigger."""

from __future__ import annotations

from parts.served import Served
from parts.waiting import eventually


async def test_a_watcher_is_created_for_a_job_and_watches_it(served: Served) -> None:
    out = served.jobs.add("4711")
    out.write_text("one hit\n")
    made = await served.create("Loss", "4711")
    assert made["name"] == "Loss"
    assert made["watcher"]["state"] == "active"
    await eventually(lambda: served.house.done("Loss"))
    shown = await served.get("/api/jobs/4711/watchers")
    assert (shown["job_id"], shown["count"]) == ("4711", 1)
    assert shown["watchers"][0]["id"] == made["id"]
    assert shown["watchers"][0]["trigger_count"] == 1
