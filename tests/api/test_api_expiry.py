"""Files that were for one job go when their job is forgotten, and no others do."""

from __future__ import annotations

import os
import time
from pathlib import Path

from parts.house import House, Jobs
from parts.served import serving
from parts.waiting import eventually

OLD = time.time() - 3600


def age(path: str) -> None:
    os.utime(path, (OLD, OLD))


async def test_the_file_of_a_job_that_is_forgotten_goes(tmp_path: Path) -> None:
    house = House(tmp_path, state={"retain_watchers": 1}, engine={"retention_interval": 1})
    house.scheduler = Jobs(house.outputs)
    for number in ("1", "2"):
        house.scheduler.add(number).write_text("")
    async with serving(house) as served:
        over = await served.create("over", "1")
        lives = await served.create("lives", "2")
        broad = await served.create("broad", job_id=None, hostname=None, jobs={"name": "nobody"})
        kept = await served.create("kept", "1", prune="disabled")
        for made in (over, lives, broad, kept):
            age(made["file"])
        served.jobs.finish("1")
        await served.look()
        served.jobs.forget("1")
        await eventually(lambda: not Path(over["file"]).exists())
        for path in (lives["file"], broad["file"], kept["file"]):
            assert Path(path).exists()
        assert {w["name"] for w in (await served.get("/api/watchers"))["watchers"]} <= {"lives", "kept"}


async def test_a_file_for_a_job_that_is_still_to_be_seen_stays(tmp_path: Path) -> None:
    house = House(tmp_path, engine={"retention_interval": 1})
    house.scheduler = Jobs(house.outputs)
    async with serving(house) as served:
        text = "name: early\njobs: {ids: ['99']}\npattern: x\nactions: [{type: log_event, params: {message: x}}]\n"
        early = (await served.post("/api/watchers", {"yaml": text}))["file"]
        for _ in range(3):
            await served.look()
        served.jobs.add("99")
        await served.look()
        assert (await served.get("/api/jobs/99/watchers"))["count"] == 1
        assert Path(early).exists()
