"""Files of the writable layer that people write too: what the API did not write or read it neither loses nor undoes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from parts.served import LOG, Served

from reconciler.errors import Problem


@pytest.fixture
async def job(served: Served) -> Served:
    """A served house with the jobs 1, 2 and 3."""
    for job_id in ("1", "2", "3"):
        served.jobs.add(job_id)
    await served.look()
    return served


def folder(served: Served) -> Path:
    """The writable layer."""
    return served.house.home / "api.d"


# --- new files -------------------------------------------------------------------------------------------------------


async def test_a_new_watcher_does_not_take_the_file_of_one_that_was_renamed(job: Served) -> None:
    first = await job.create("A")
    assert (await job.http.put(f"/api/watchers/{first['id']}", json={"name": "B"})).status_code == 200
    body = {"job_id": "1", "name": "A", "pattern": "hit", "actions": [LOG]}
    shown = await job.post("/api/watchers/preview", body)
    second = await job.create("A")
    assert first["file"] != second["file"] == shown["file"]
    assert "name: B" in Path(first["file"]).read_text()
    assert {w["name"] for w in (await job.get("/api/watchers"))["watchers"]} == {"A", "B"}


async def test_a_new_watcher_does_not_take_a_file_written_by_hand(job: Served) -> None:
    path = Path((await job.create("A"))["file"])
    await job.http.delete("/api/watchers/1")
    path.write_text("# half-written\nname: (")
    assert (await job.create("A"))["file"] != str(path)
    assert path.read_text() == "# half-written\nname: ("


async def test_what_the_engine_finds_bad_is_taken_back_unless_somebody_wrote_there(
    job: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = job.engine.daemon
    look = daemon.look_again
    edits: list[str] = []

    async def found_bad() -> object:
        for path in folder(job).glob("*.yaml"):
            path.write_text(edits[0]) if edits else None
        report = await look()
        assert report is not None
        assert report.plan is not None
        problems = [Problem(str(path), 1, 1, "bad", "it is bad", "mend it") for path in folder(job).glob("*.yaml")]
        return replace(report, plan=replace(report.plan, problems=tuple(problems)))

    monkeypatch.setattr(daemon, "look_again", found_bad)
    body = {"job_id": "1", "name": "w", "pattern": "hit", "actions": [LOG]}
    assert (await job.http.post("/api/watchers", json=body)).status_code == 422
    assert list(folder(job).glob("*.yaml")) == []
    edits.append("# by hand\n")
    assert (await job.http.post("/api/watchers", json=body)).status_code == 422
    assert [path.read_text() for path in folder(job).glob("*.yaml")] == edits
