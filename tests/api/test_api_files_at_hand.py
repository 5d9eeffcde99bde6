"""Files of the writable layer that people write too: what the API did not write or read it neither loses nor undoes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from parts.served import LOG, Served
from parts.waiting import eventually

from reconciler.engine.dropins import Dropins
from reconciler.errors import Problem, StateError
from reconciler.protocols import Batch, Committed
from reconciler.state.write import StateWriter


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
        spoilt = replace(report.plan.resolution, problems=tuple(problems))
        return replace(report, plan=replace(report.plan, resolution=spoilt))

    monkeypatch.setattr(daemon, "look_again", found_bad)
    body = {"job_id": "1", "name": "w", "pattern": "hit", "actions": [LOG]}
    assert (await job.http.post("/api/watchers", json=body)).status_code == 422
    assert list(folder(job).glob("*.yaml")) == []
    edits.append("# by hand\n")
    assert (await job.http.post("/api/watchers", json=body)).status_code == 422
    assert [path.read_text() for path in folder(job).glob("*.yaml")] == edits


async def test_what_the_engine_could_not_take_up_is_taken_back_so_that_it_can_be_tried_again(
    job: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await job.create("w")
    before = contents(job)
    body = {"job_id": "1", "hostname": "localhost", "name": "new", "pattern": "hit", "actions": [LOG]}

    def full(self: StateWriter, batch: Batch) -> Committed:
        raise StateError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(StateWriter, "commit", full)
        for _ in range(2):
            answer = await job.http.post("/api/watchers", json=body)
            assert (answer.status_code, answer.json()["code"]) == (503, "state-unavailable")
        answer = await job.http.put(f"/api/watchers/{made['id']}", json={"interval_seconds": 5})
        assert (answer.status_code, answer.json()["code"]) == (503, "state-unavailable")
        assert contents(job) == before
    assert (await job.post("/api/watchers", body))["id"]
    assert (await job.get("/api/plan"))["problems"] == []
    assert (await job.get(f"/api/watchers/{made['id']}"))["interval_seconds"] == 60


# --- files edited by hand meanwhile ----------------------------------------------------------------------------------

TWO = """\
# about A
name: A
jobs: {ids: ["1"]}
pattern: hit
actions: [{type: log_event, params: {message: a}}]
---
# about B
name: B
jobs: {ids: ["2"]}
pattern: hit
actions: [{type: log_event, params: {message: b}}]
"""


async def two(job: Served, text: str = TWO) -> tuple[Path, str]:
    """A file with the watchers A and B in force; the path of A's requests, too."""
    path = folder(job) / "two.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    await eventually(lambda: job.house.rows("A") and job.house.rows("B"))
    return path, f"/api/watchers/{job.house.row('A').id}"


def contents(job: Served) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder(job).glob("*.yaml")}


SPOILT = TWO + "typo here: [\n"
WITHOUT_A = TWO.split("---\n")[1]


@pytest.mark.parametrize(
    ("text", "line", "what"), [(SPOILT, 13, "is not valid"), (WITHOUT_A, 2, "holds no watcher 'A'")], ids=["bad", "out"]
)
async def test_a_file_that_was_changed_by_hand_is_not_written(job: Served, text: str, line: int, what: str) -> None:
    path, watcher = await two(job)
    path.write_text(text)
    for answer in (await job.http.put(watcher, json={"interval_seconds": 5}), await job.http.delete(watcher)):
        refusal = answer.json()
        assert (answer.status_code, refusal["code"]) == (409, "file-changed"), answer.text
        assert (refusal["file"], refusal["line"]) == (str(path), line)
        assert what in refusal["detail"]
        assert refusal["remedy"]
    number = watcher.rsplit("/", 1)[1]
    draft = await job.post(f"/api/watchers/preview?watcher_id={number}", {"interval_seconds": 5})
    assert not draft["valid"]
    assert any(what in error["message"] for error in draft["errors"])
    assert contents(job) == {"two.yaml": text}
    assert job.house.row("B").phase == "active"


async def test_a_file_that_was_moved_is_not_written_anew(job: Served) -> None:
    path, watcher = await two(job)
    moved = path.rename(path.with_name("three.yaml"))
    answer = await job.http.put(watcher, json={"interval_seconds": 5})
    if answer.status_code != 200:  # else the engine has read it there already
        assert (answer.json()["code"], answer.json()["file"], answer.json()["line"]) == ("file-changed", str(moved), 2)
    assert list(contents(job)) == ["three.yaml"]


async def test_a_file_that_is_gone_is_written_anew_only_where_nothing_else_was_in_it(job: Served) -> None:
    path, watcher = await two(job)
    path.unlink()
    answer = await job.http.put(watcher, json={"interval_seconds": 5})
    assert (answer.status_code, answer.json()["code"]) == (409, "file-changed")
    assert "A, B" in answer.json()["detail"]
    assert contents(job) == {}
    alone = await job.create("alone")
    Path(alone["file"]).unlink()
    assert (await job.http.put(f"/api/watchers/{alone['id']}", json={"interval_seconds": 5})).status_code == 200
    assert "interval_seconds: 5" in Path(alone["file"]).read_text()


async def test_what_is_changed_by_hand_at_the_last_moment_stays(job: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    path, watcher = await two(job)
    exchange = Dropins.exchange

    def late(self: Dropins, place: Path, old: str | None, new: str | None) -> bool:
        if place == path:
            path.write_text(path.read_text() + "# late\n")
        return exchange(self, place, old, new)

    monkeypatch.setattr(Dropins, "exchange", late)
    for answer in (await job.http.put(watcher, json={"interval_seconds": 5}), await job.http.delete(watcher)):
        assert (answer.status_code, answer.json()["code"]) == (409, "file-changed")
    assert contents(job) == {"two.yaml": TWO + "# late\n" * 2}


async def test_a_hand_edit_that_the_engine_has_not_seen_yet_is_kept(job: Served) -> None:
    path, watcher = await two(job)
    path.write_text(TWO.replace("# about B", "# more about B"))
    assert (await job.http.put(watcher, json={"interval_seconds": 5})).status_code == 200
    assert "# more about B" in path.read_text()


# --- watchers of ended jobs ------------------------------------------------------------------------------------------


async def test_watchers_of_ended_jobs_go_together_only_where_all_are_meant(job: Served) -> None:
    made = await job.post("/api/watchers", {"name": "all", "pattern": "hit", "actions": [LOG]})
    for job_id in ("1", "2", "3"):
        job.jobs.finish(job_id)
    await job.look()
    await eventually(lambda: [row.phase for row in job.house.rows("all")] == ["completed"] * 3)
    first, *others = made["ids"]
    answer = await job.http.delete(f"/api/watchers/{first}")
    assert (answer.status_code, answer.json()["code"]) == (409, "several-jobs")
    assert "3 watchers" in answer.json()["detail"]
    some = await job.post("/api/watchers/bulk", {"action": "delete", "ids": [first, others[0]]})
    assert (some["succeeded"], some["failed"]) == (0, 2)
    assert (await job.get("/api/watchers"))["total"] == 3
    every = await job.post("/api/watchers/bulk", {"action": "delete", "ids": made["ids"]})
    assert (every["succeeded"], every["failed"]) == (3, 0)
    assert (await job.get("/api/watchers"))["total"] == 0


# --- other watchers in the file --------------------------------------------------------------------------------------

WIDE = TWO.replace('ids: ["2"]', 'ids: ["2", "3"]')


@pytest.mark.parametrize(
    "text", [WIDE.replace("message: b", "message: other"), WIDE.split("---\n")[0]], ids=["changed", "removed"]
)
async def test_other_specs_of_several_jobs_in_the_file_must_be_meant_too(job: Served, text: str) -> None:
    path, watcher = await two(job, WIDE)
    answer = await job.http.put(watcher, json={"yaml": text})
    assert (answer.status_code, answer.json()["code"]) == (409, "several-jobs")
    assert "'B'" in answer.json()["detail"]
    assert path.read_text() == WIDE
    assert (await job.http.put(watcher, json={"interval_seconds": 5})).status_code == 200
    assert (await job.http.put(watcher, json={"yaml": text}, params={"scope": "spec"})).status_code == 200
    assert path.read_text() == text


async def test_every_watcher_that_a_change_of_the_file_concerns_is_told(job: Served) -> None:
    _, watcher = await two(job)
    b = job.house.row("B").id
    added = f"{TWO.replace('message: b', 'message: other')}---\n{TWO.split('---')[0].replace('A', 'C')}"
    for text in (added, TWO.split("---\n")[0]):
        assert (await job.http.put(watcher, json={"yaml": text})).status_code == 200
    found = await job.get("/api/watchers/events", type="reconciler.api.written.v1")
    told = [(e["subject"], e["action_result"], e["data"]["ids"]) for e in reversed(found["events"])]
    c = job.house.row("C").id
    a = int(watcher.rsplit("/", 1)[1])
    assert told == [
        ("A", "updated", [a]), ("B", "updated", [b]), ("C", "created", [c]),
        ("A", "updated", [a]), ("B", "deleted", [b]), ("C", "deleted", [c]),
    ]  # fmt: skip


async def test_a_name_that_is_taken_elsewhere_is_refused_for_other_watchers_of_the_file_too(job: Served) -> None:
    path, watcher = await two(job)
    await job.create("C")
    answer = await job.http.put(watcher, json={"yaml": TWO.replace("name: B", "name: C")})
    assert (answer.status_code, answer.json()["code"]) == (409, "name-taken")
    assert path.read_text() == TWO


async def test_the_second_watcher_of_a_file_can_be_renamed(job: Served) -> None:
    await two(job)
    b = job.house.row("B").id
    answer = await job.http.put(f"/api/watchers/{b}", json={"name": "C"})
    assert (answer.status_code, answer.json().get("name"), answer.json().get("id")) == (200, "C", b)


async def test_what_two_watchers_share_by_an_alias_changes_for_one_alone(job: Served) -> None:
    shared = TWO.replace("---\n", "").replace("# about B\n", "").replace("name:", "- name:").replace("\n", "\n  ")
    shared = shared.replace("\n  - name", "\n- name").replace("actions: [", "actions: &acts [", 1)
    shared = shared.replace("actions: [{type: log_event, params: {message: b}}]\n  ", "actions: *acts\n")
    _, watcher = await two(job, shared)
    assert (await job.http.put(watcher, json={"actions": [LOG]})).status_code == 200
    shown = await job.get(f"/api/watchers/{job.house.row('B').id}")
    assert [action["params"]["message"] for action in shown["actions"]] == ["a"]


async def test_a_file_that_is_not_the_one_that_was_read_is_not_replaced(job: Served) -> None:
    made = await job.create("w")
    place = f"/api/watchers/{made['id']}"
    read = await job.http.get(place)
    tag = read.headers["etag"]
    assert read.json()["tag"] == tag
    path = Path(made["file"])
    path.write_text(f"# by hand\n{path.read_text()}")
    mine = {"yaml": read.json()["yaml"] + "labels: {mine: yes it is}\n"}
    late = await job.http.put(place, json=mine, headers={"If-Match": tag})
    assert (late.status_code, late.json()["code"]) == (412, "changed-meanwhile")
    assert path.read_text().startswith("# by hand\n")
    for match in (f'"other", {(await job.http.get(place)).headers["etag"]}', "*"):
        assert (await job.http.put(place, json=mine, headers={"If-Match": match})).status_code == 200


async def test_an_empty_if_match_means_no_file_and_not_any(job: Served) -> None:
    made = await job.create("w")
    for method, body in (("PUT", {"interval_seconds": 5}), ("DELETE", None)):
        answer = await job.http.request(method, f"/api/watchers/{made['id']}", json=body, headers={"If-Match": ""})
        assert (answer.status_code, answer.json()["code"]) == (412, "changed-meanwhile")


async def test_what_was_read_while_another_edit_was_on_its_way_is_not_what_the_next_one_means(
    job: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await job.create("w")
    place = f"/api/watchers/{made['id']}"
    look, written, go_on = job.engine.daemon.look_again, asyncio.Event(), asyncio.Event()

    async def late() -> object:
        written.set()
        await go_on.wait()
        return await look()

    await job.look()  # no pass is on its way now
    monkeypatch.setattr(job.engine.daemon, "look_again", late)
    monkeypatch.setattr(job.engine.controller, "pass_", partial(held, job.engine.controller.pass_, go_on))
    first = asyncio.create_task(job.http.put(place, json={"labels": {"first": "x"}}))
    await written.wait()
    read = await job.http.get(place)  # the new file, and the spec that is still in force
    go_on.set()
    assert (await first).status_code == 200
    mine = {"labels": {**read.json()["labels"], "second": "x"}}
    second = await job.http.put(place, json=mine, headers={"If-Match": read.headers["etag"]})
    assert (read.json()["labels"], second.status_code) == ({}, 412)
    assert (await job.get(place))["labels"] == {"first": "x"}


async def held(pass_: Callable[..., Awaitable[object]], until: asyncio.Event, **how: object) -> object:
    """A pass that waits: the notice of the new file would make one, too."""
    await until.wait()
    return await pass_(**how)


async def test_a_file_that_is_not_the_one_that_was_read_is_not_deleted(job: Served) -> None:
    made = await job.create("w")
    place = f"/api/watchers/{made['id']}"
    tag = (await job.http.get(place)).headers["etag"]
    path = Path(made["file"])
    path.write_text(f"# by hand\n{path.read_text()}")
    late = await job.http.delete(place, headers={"If-Match": tag})
    assert (late.status_code, late.json()["code"]) == (412, "changed-meanwhile")
    assert job.house.row("w").phase == "active"
    now = (await job.http.get(place)).headers["etag"]
    assert (await job.http.delete(place, headers={"If-Match": f'"other", {now}'})).status_code == 200
    again = await job.create("w")
    assert (await job.http.delete(f"/api/watchers/{again['id']}", headers={"If-Match": "*"})).status_code == 200
