"""The endpoints of watchers, on a real server: list, create, look, edit, delete, pause, resume, trigger."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from parts.served import LOG, Served
from parts.waiting import eventually

from reconciler.api.keys import Scope
from reconciler.engine.dropins import DELETED
from reconciler.model import JobId

CANCEL = {"type": "cancel_job", "params": {"reason": "by test"}}


@pytest.fixture
async def job(served: Served) -> Served:
    """A served house with one running job, 1."""
    served.jobs.add("1")
    await served.look()
    return served


def output(served: Served) -> Path:
    """The output of job 1."""
    return Path(str(served.jobs.listed[JobId("1")].stdout))


def files(served: Served) -> list[Path]:
    return sorted((served.house.home / "api.d").glob("*.yaml"))


async def events(served: Served, kind: str) -> list[dict[str, Any]]:
    found = await served.get("/api/watchers/events", type=f"reconciler.{kind}.v1")
    shown: list[dict[str, Any]] = found["events"]
    return shown


# --- create ----------------------------------------------------------------------------------------------------------


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


async def test_what_is_created_is_a_file_of_the_writable_layer_for_its_owner_alone(job: Served) -> None:
    made = await job.create("Odd: name #1", interval_seconds=5, captures=["x"], pattern="(hit)", output_type="stderr")
    (file,) = files(job)
    assert str(file) == made["file"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert 'ids:\n    - "1"' in file.read_text()
    shown = await job.get(f"/api/watchers/{made['id']}")
    assert shown["yaml"] == file.read_text()
    assert shown["spec"]["output_type"] == "stderr"
    assert (shown["source"], shown["writable"], shown["jobs"]) == ("api", True, 1)


async def test_texts_that_yaml_would_read_as_something_else_stay_texts(job: Served) -> None:
    labels = {"a": "1e3", "b": "true", "c": "~", "d": "0x10", "e": "2026-01-01", "f": "x: #y", "g": "", "h": "é\ttab"}
    made = await job.create("12", labels=labels, description="line one\nline two: #3")
    shown = await job.get(f"/api/watchers/{made['id']}")
    assert shown["name"] == "12"
    assert shown["labels"] == labels
    assert shown["description"] == "line one\nline two: #3"


async def test_a_file_as_text_is_kept_as_it_was_written(job: Served) -> None:
    text = (
        "# why this is here\nname: mine   # a name\npattern: hit\nactions: [{type: log_event, params: {message: x}}]\n"
    )
    answer = await job.http.post("/api/watchers", json={"yaml": text})
    assert answer.status_code == 201, answer.text
    assert Path(answer.json()["file"]).read_text() == text


async def test_a_spec_for_several_jobs_answers_with_all_its_watchers(job: Served) -> None:
    job.jobs.add("2")
    await job.look()
    body = {"name": "all", "pattern": "hit", "actions": [LOG], "jobs": {"name": "train*"}}
    made = await job.post("/api/watchers", body)
    assert len(made["ids"]) == 2
    assert made["id"] == max(made["ids"])


async def test_the_same_name_on_another_job_gets_the_job_into_it_and_on_the_same_job_is_refused(job: Served) -> None:
    job.jobs.add("2")
    await job.create("Loss", "1")
    assert (await job.create("Loss", "2"))["name"] == "Loss (2)"
    again = await job.http.post("/api/watchers", json={"job_id": "1", "name": "Loss", "pattern": "x", "actions": [LOG]})
    assert (again.status_code, again.json()["code"]) == (409, "name-taken")
    assert len(files(job)) == 2


async def test_a_name_that_a_directory_has_is_refused(job: Served) -> None:
    job.house.write("taken")
    await job.engine.daemon.look_again()
    body = {"name": "taken", "pattern": "x", "actions": [LOG], "jobs": {"ids": ["1"]}}
    answer = await job.http.post("/api/watchers", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "name-taken")
    assert "taken.yaml:1" in answer.json()["detail"]


async def test_a_job_that_nobody_knows_is_refused_and_nothing_is_written(job: Served) -> None:
    body = {"job_id": "99", "hostname": "localhost", "name": "w", "pattern": "x", "actions": [LOG]}
    answer = await job.http.post("/api/watchers", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    other = await job.http.post("/api/watchers", json={**body, "hostname": "elsewhere"})
    assert (other.status_code, other.json()["code"]) == (422, "unknown-host")
    assert files(job) == []


async def test_a_job_submitted_a_moment_ago_is_looked_for(job: Served) -> None:
    job.jobs.add("77")
    assert (await job.create("w", "77"))["watcher"]["job_id"] == "77"


async def test_jobs_that_nobody_knows_do_not_flood_the_scheduler(job: Served) -> None:
    calls = 0
    listing = job.jobs.jobs

    async def counted(since: float | None) -> Any:
        nonlocal calls
        calls += 1
        return await listing(since)

    job.jobs.jobs = counted  # type: ignore[method-assign]
    body = {"name": "w", "pattern": "x", "actions": [LOG]}
    for number in range(15):
        answer = await job.http.post("/api/watchers", json={**body, "job_id": f"no{number}"})
        assert answer.status_code == 404
    assert calls <= 5 + 5  # five for requests; the engine's own go on beside


async def test_a_job_that_has_ended_gets_a_watcher_that_fires_on_request_only(job: Served) -> None:
    job.jobs.add("5").write_text("hit\n")
    job.jobs.finish("5")
    await job.look()
    await eventually(lambda: all(known.finished for known in job.engine.controller.discovery.known.values()
                                 if known.now.id == "5"))  # fmt: skip
    assert (await job.create("late", "5"))["watcher"]["state"] == "static"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"pattern": "("}, 422, "invalid-watcher"),
        ({"pattern": "x" * 1001}, 422, "invalid-request"),
        ({"condition": "x" * 501}, 422, "invalid-request"),
        ({"condition": "__import__('os')"}, 422, "invalid-watcher"),
        ({"actions": []}, 422, "invalid-watcher"),
        ({"actions": [{"type": "rm"}]}, 422, "invalid-watcher"),
        ({"no_such_field": 1}, 422, "invalid-watcher"),
        ({"interval_seconds": 0.5}, 422, "invalid-watcher"),
        ({"name": None}, 422, "invalid-watcher"),
        ({"name": "a\x00b"}, 422, "invalid-watcher"),
        ({"description": "\ud800"}, 422, "no-text"),
        ({"labels": {"\udc80": "x"}}, 422, "no-text"),
        ({"jobs": {"ids": ["1"]}}, 422, "two-selectors"),
        ({"job_id": "../../etc"}, 422, "invalid-request"),
        ({"job_id": "1;reboot"}, 422, "invalid-request"),
        ({"hostname": "-oProxyCommand=x"}, 422, "invalid-request"),
        ({"yaml": "name: x"}, 422, "yaml-alone"),
        ({"actions": [{"type": "log_event", "params": {"message": "x" * 20_000}}]}, 422, "invalid-watcher"),
    ],
    ids=str,
)
async def test_what_is_no_watcher_is_refused_with_its_reasons_and_nothing_is_written(
    job: Served, change: dict[str, Any], status: int, code: str
) -> None:
    body = {"job_id": "1", "hostname": "localhost", "name": "w", "pattern": "hit", "actions": [LOG], **change}
    answer = await job.http.post(
        "/api/watchers", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert files(job) == []


async def test_everything_that_is_wrong_is_told_at_once(job: Served) -> None:
    body = {"job_id": "1", "name": "w", "pattern": "(", "conditon": "x", "actions": [{"type": "log_event"}]}
    problems = (await job.http.post("/api/watchers", json=body)).json()["problems"]
    assert len(problems) >= 3
    assert all(problem["message"] and problem["line"] for problem in problems)


async def test_two_requests_for_one_name_at_once_make_one_watcher(job: Served) -> None:
    body = {"job_id": "1", "name": "once", "pattern": "hit", "actions": [LOG]}
    answers = await asyncio.gather(*(job.http.post("/api/watchers", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert len(files(job)) == 1


# --- list and look ---------------------------------------------------------------------------------------------------


async def test_an_outline_shows_what_a_watcher_shows_in_fewer_words(job: Served) -> None:
    output(job).write_text("hit\n")
    made = await job.create("a", labels={"x": "y"}, captures=["z"], condition="z != '1'", pattern="hi(t)")
    await job.create("b", timer_mode_enabled=True)
    await eventually(lambda: job.house.done("b"))
    found = await job.get("/api/watchers/outline")
    assert (found["count"], found["total"]) == (2, 2)
    assert 0 < found["seq"] <= (await job.get("/api/watchers/events", all=True))["events"][0]["id"]
    for row in found["rows"]:
        shown = dict(zip(found["columns"], row, strict=True))
        whole = await job.get(f"/api/watchers/{shown['id']}")
        spec = found["specs"][shown["name"]]
        assert {name: whole[name] for name in spec} == spec
        for name in ("last_check", "last_trigger"):
            assert _moment(shown.pop(name)) == pytest.approx(_moment(whole[name]), abs=0.001)
        assert {name: whole[name] for name in shown} == shown
    fewer = await job.get("/api/watchers/outline", limit=1)
    assert (fewer["count"], fewer["total"], list(fewer["specs"])) == (1, 2, ["b"])
    assert made["id"] == found["rows"][1][0]


def _moment(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


async def test_lists_are_paged_the_newest_first(job: Served) -> None:
    for number in range(5):
        await job.create(f"w{number}", labels={"parity": "even" if number % 2 == 0 else "odd"})
    first = await job.get("/api/watchers", limit=3)
    assert [w["name"] for w in first["watchers"]] == ["w4", "w3", "w2"]
    assert (first["count"], first["total"]) == (3, 5)
    second = await job.get("/api/watchers", limit=3, cursor=first["next_cursor"])
    assert [w["name"] for w in second["watchers"]] == ["w1", "w0"]
    assert second["next_cursor"] is None
    assert [w["name"] for w in (await job.get("/api/watchers", label="parity=odd"))["watchers"]] == ["w3", "w1"]
    assert [w["name"] for w in (await job.get("/api/watchers", search="W2"))["watchers"]] == ["w2"]
    assert (await job.get("/api/watchers", host="localhost"))["count"] == 5
    assert (await job.get("/api/watchers", host="elsewhere"))["count"] == 0
    assert (await job.get("/api/watchers", state="paused"))["count"] == 0


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"state": "odd"}, {"label": "x"}, {"cursor": "9" * 30}]
)
async def test_queries_that_mean_nothing_are_refused(job: Served, query: dict[str, Any]) -> None:
    answer = await job.http.get("/api/watchers", params=query)
    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize("number", ["0", "-1", str(2**63), str(2**64 + 1), "1e400", "abc", "9" * 5000])
async def test_numbers_that_no_watcher_can_have_are_refused(job: Served, number: str) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/trigger")):
        answer = await job.http.request(method, f"/api/watchers/{number}{path}", json={} if method != "GET" else None)
        assert answer.status_code == 422, (method, answer.text)
    assert (await job.http.get("/api/watchers/events", params={"watcher_id": number})).status_code == 422


async def test_numbers_that_no_watcher_has_are_not_found(job: Served) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        answer = await job.http.request(
            method, f"/api/watchers/{2**63 - 1}{path}", json={} if method != "GET" else None
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), method


@pytest.mark.parametrize(
    "path",
    ["/api/jobs/..%2f..%2fetc/watchers", "/api/jobs/1%3breboot/watchers", "/api/jobs/%00/watchers",
     "/api/jobs/a%20b/output", "/api/jobs/$(x)/output", "/api/jobs/-rf/output", "/api/metrics/..%2fx/loss"],
)  # fmt: skip
async def test_job_ids_that_are_none_are_refused(job: Served, path: str) -> None:
    assert (await job.http.get(path)).status_code in (404, 422)


# --- edit ------------------------------------------------------------------------------------------------------------


async def test_an_edit_keeps_the_comments_and_the_position(job: Served) -> None:
    out = output(job)
    text = (
        "# kept: head\nname: mine  # kept: name\njobs: {ids: ['1']}\npattern: hit  # kept: pattern\n"
        "interval_seconds: 60\nactions:\n  # kept: action\n  - type: log_event\n    params: {message: one}  # kept: p\n"
    )
    made = await job.post("/api/watchers", {"yaml": text})
    out.write_text("hit\n")
    await eventually(lambda: job.house.done("mine") == ["one"])
    change = {"interval_seconds": 5, "actions": [{"type": "log_event", "params": {"message": "two"}}]}
    answer = await job.http.put(f"/api/watchers/{made['id']}", json=change)
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == made["id"]
    after = Path(made["file"]).read_text()
    assert after.count("# kept") == 5
    assert "interval_seconds: 5\n" in after
    assert "message: two" in after
    assert (await job.get(f"/api/watchers/{made['id']}"))["trigger_count"] == 1
    with out.open("a") as file:
        file.write("hit\n")
    await eventually(lambda: job.house.done("mine") == ["one", "two"])


async def test_null_takes_a_field_out_and_what_is_left_out_stays(job: Served) -> None:
    made = await job.create("w", condition="True", captures=[], max_triggers=3)
    await job.http.put(f"/api/watchers/{made['id']}", json={"condition": None})
    shown = await job.get(f"/api/watchers/{made['id']}")
    assert shown["condition"] is None
    assert shown["spec"]["max_triggers"] == 3


async def test_a_new_name_keeps_what_the_watcher_knows(job: Served) -> None:
    out = output(job)
    out.write_text("hit\n")
    made = await job.create("old")
    await eventually(lambda: job.house.done("old"))
    answer = await job.http.put(f"/api/watchers/{made['id']}", json={"name": "new"})
    assert (answer.status_code, answer.json()["name"]) == (200, "new")
    shown = await job.get("/api/watchers")
    assert [(w["id"], w["name"], w["trigger_count"]) for w in shown["watchers"]] == [(made["id"], "new", 1)]


async def test_a_bad_edit_changes_nothing(job: Served) -> None:
    made = await job.create("w")
    before = Path(made["file"]).read_text()
    for change in ({"pattern": "("}, {"actions": [{"type": "nothing"}]}, {"job_id": "2"}, {"yaml": "- 1"}, {"x": 1}):
        answer = await job.http.put(f"/api/watchers/{made['id']}", json=change)
        assert answer.status_code == 422, change
    assert Path(made["file"]).read_text() == before


async def test_a_spec_of_several_jobs_is_changed_only_where_all_are_meant(job: Served) -> None:
    job.jobs.add("2")
    await job.look()
    made = await job.post("/api/watchers", {"name": "all", "pattern": "hit", "actions": [LOG]})
    path = f"/api/watchers/{made['id']}"
    for answer in (await job.http.put(path, json={"pattern": "x"}), await job.http.delete(path)):
        assert (answer.status_code, answer.json()["code"]) == (409, "several-jobs")
    answer = await job.http.put(path, json={"pattern": "x"}, params={"scope": "spec"})
    assert (answer.status_code, len(answer.json()["ids"])) == (200, 2)
    gone = (await job.http.delete(path, params={"scope": "spec"})).json()
    assert (gone["success"], sorted(gone["ids"])) == (True, sorted(made["ids"]))
    assert (await job.get("/api/watchers"))["total"] == 0


async def test_what_a_directory_owns_is_answered_with_the_yaml_to_commit(job: Served) -> None:
    file = job.house.watchers / "theirs.yaml"
    text = "# theirs\nname: theirs\npattern: hit  # why\nactions: [{type: log_event, params: {message: x}}]\n"
    file.write_text(text)
    await eventually(lambda: job.house.rows("theirs"))
    path = f"/api/watchers/{job.house.row('theirs').id}"
    answer = await job.http.put(path, json={"interval_seconds": 7})
    refusal = answer.json()
    assert (answer.status_code, refusal["code"], refusal["file"], refusal["line"]) == (409, "not-ours", str(file), 2)
    assert refusal["yaml"].startswith("# theirs")
    assert "interval_seconds: 7" in refusal["yaml"]
    gone = await job.http.delete(path)
    assert (gone.status_code, gone.json()["code"], gone.json().get("yaml", "")) == (409, "not-ours", "")
    assert file.read_text() == text
    assert not (await job.get(path))["writable"]


# --- delete ----------------------------------------------------------------------------------------------------------


async def test_a_deleted_watcher_stops_at_once_and_leaves_nobody_waiting_for_a_grace(job: Served) -> None:
    made = await job.create("w")
    other = await job.create("other")
    gone = await job.http.delete(f"/api/watchers/{made['id']}")
    assert (gone.status_code, gone.json()["success"]) == (200, True)
    assert job.house.row("w").phase == "stopped"
    assert (await job.http.get(f"/api/watchers/{made['id']}")).status_code == 404
    tombstone = await job.get(f"/api/watchers/{made['id']}", stopped=True)
    assert (tombstone["state"], tombstone["yaml"]) == ("stopped", "")
    assert [w["id"] for w in (await job.get("/api/watchers"))["watchers"]] == [other["id"]]
    assert [file.name for file in files(job)] == [Path(other["file"]).name]
    assert (job.house.home / "api.d" / DELETED / Path(made["file"]).name).is_file()


async def test_the_last_watcher_of_the_layer_is_deleted_like_any_other(job: Served) -> None:
    made = await job.create("w")
    assert (await job.http.delete(f"/api/watchers/{made['id']}")).json()["success"]
    report = await job.engine.daemon.look_again()
    assert report is not None
    assert report.plan is not None
    assert report.plan.alarms == ()


async def test_what_was_deleted_and_is_made_again_goes_on_from_its_position(job: Served) -> None:
    out = output(job)
    out.write_text("hit\n")
    made = await job.create("w")
    await eventually(lambda: len(job.house.done("w")) == 1)
    await job.http.delete(f"/api/watchers/{made['id']}")
    assert (await job.create("w"))["id"] == made["id"]
    with out.open("a") as file:
        file.write("hit\n")
    await eventually(lambda: len(job.house.done("w")) == 2)


async def test_other_watchers_in_the_file_of_a_deleted_one_go_on(job: Served) -> None:
    several = "name: a\npattern: x\nactions: [{type: log_event, params: {message: x}}]\n---\n# kept\nname: b\npattern: y\nactions: [{type: log_event, params: {message: x}}]\n"  # noqa: E501
    (job.house.home / "api.d" / "hand.yaml").write_text(several)
    await eventually(lambda: job.house.rows("b"))
    gone = await job.http.delete(f"/api/watchers/{job.house.row('a').id}")
    assert gone.json()["success"], gone.text
    assert (job.house.row("a").phase, job.house.row("b").phase) == ("stopped", "active")
    (left,) = files(job)
    assert "# kept" in left.read_text()


async def test_the_watcher_of_an_ended_job_can_be_deleted(job: Served) -> None:
    made = await job.create("w")
    job.jobs.finish("1")
    await job.look()
    await eventually(lambda: job.house.row("w").phase == "completed")
    assert (await job.http.delete(f"/api/watchers/{made['id']}")).json()["success"]
    assert (await job.get("/api/watchers"))["total"] == 0


async def test_a_watcher_that_its_file_protects_is_not_deleted(job: Served) -> None:
    made = await job.create("w", prune="disabled")
    answer = await job.http.delete(f"/api/watchers/{made['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "prune-disabled")
    assert job.house.row("w").phase == "active"


# --- by hand ---------------------------------------------------------------------------------------------------------


async def test_a_paused_watcher_waits_and_a_resumed_one_goes_on(job: Served) -> None:
    out = output(job)
    made = await job.create("w")
    path = f"/api/watchers/{made['id']}"
    paused = await job.post(f"{path}/pause", {"reason": "looking into it"})
    assert (paused["success"], paused["state"]) == (True, "paused")
    hold = paused["watcher"]["holds"][0]
    assert (hold["kind"], hold["by"], hold["reason"]) == ("manual", "write (API)", "looking into it")
    out.write_text("hit\n")
    resumed = await job.post(f"{path}/resume")
    assert (resumed["success"], resumed["state"]) == (True, "active")
    await eventually(lambda: job.house.done("w"))


async def test_a_pause_has_an_end_where_one_is_given(job: Served) -> None:
    made = await job.create("w")
    paused = await job.post(f"/api/watchers/{made['id']}/pause", {"until": "2100-01-01T00:00:00Z"})
    assert paused["watcher"]["holds"][0]["until"] == "2100-01-01T00:00:00Z"


async def test_a_pause_that_is_over_already_is_refused(job: Served) -> None:
    made = await job.create("w")
    past = "2000-01-01T00:00:00Z"
    one = await job.http.post(f"/api/watchers/{made['id']}/pause", json={"until": past})
    bulk = {"action": "pause", "ids": [made["id"]], "until": past}
    for answer in (one, await job.http.post("/api/watchers/bulk", json=bulk)):
        assert (answer.status_code, answer.json()["code"]) == (422, "over-already")
        assert "in the past" in answer.json()["detail"]
    assert [event["action_result"] for event in await events(job, "api.written")] == ["created"]


async def test_what_the_file_suspends_is_not_resumed_by_hand(job: Served) -> None:
    made = await job.create("w", suspend={"reason": "not now"})
    answer = await job.http.post(f"/api/watchers/{made['id']}/resume")
    assert (answer.status_code, answer.json()["code"]) == (409, "declared")


async def test_a_trigger_acts_once_on_the_newest_match(job: Served) -> None:
    out = output(job)
    made = await job.create("w", pattern="hit \\d")
    path = f"/api/watchers/{made['id']}/trigger"
    bare = await job.post(path)
    assert bare == {"timer_mode": False, "success": True, "message": bare["message"], "matches": 0}
    out.write_text("hit 1\nhit 2\n")
    await eventually(lambda: "saw hit 2" in job.house.done("w"))
    assert (await job.post(path))["matches"] == 1
    await eventually(lambda: job.house.done("w")[-2:] == ["saw hit 2", "saw hit 2"])


async def test_a_trigger_says_timer_mode_and_refuses_a_paused_watcher(job: Served) -> None:
    out = output(job)
    out.write_text("hit\n")
    made = await job.create("w", timer_mode_enabled=True, timer_interval_seconds=1000)
    await eventually(lambda: job.house.row("w").timer_active)
    assert (await job.post(f"/api/watchers/{made['id']}/trigger"))["timer_mode"] is True
    await job.post(f"/api/watchers/{made['id']}/pause")
    refused = await job.post(f"/api/watchers/{made['id']}/trigger")
    assert (refused["success"], refused["matches"]) == (False, 0)
    assert "suspended by write (API)" in refused["message"]


async def test_many_are_acted_on_at_once_and_each_says_what_became_of_it(job: Served) -> None:
    ids = [(await job.create(f"w{number}"))["id"] for number in range(3)]
    done = await job.post("/api/watchers/bulk", {"action": "pause", "ids": [*ids, 999, ids[0]], "reason": "all"})
    assert (done["succeeded"], done["failed"]) == (3, 1)
    assert {w["state"] for w in (await job.get("/api/watchers"))["watchers"]} == {"paused"}
    refused = await job.post("/api/watchers/bulk", {"action": "trigger", "ids": ids[:1]})
    assert (refused["succeeded"], refused["failed"]) == (0, 1)
    assert (await job.post("/api/watchers/bulk", {"action": "resume", "ids": ids}))["succeeded"] == 3
    assert (await job.post("/api/watchers/bulk", {"action": "delete", "ids": ids}))["succeeded"] == 3
    assert (await job.get("/api/watchers"))["total"] == 0


# --- who did it, and who may -----------------------------------------------------------------------------------------


async def test_what_is_written_is_told_with_who_did_it(job: Served) -> None:
    made = await job.create("w")
    await job.http.put(f"/api/watchers/{made['id']}", json={"pattern": "x"})
    await job.post(f"/api/watchers/{made['id']}/pause")
    await job.http.delete(f"/api/watchers/{made['id']}")
    told = await events(job, "api.written")
    assert [event["action_result"] for event in told] == ["deleted", "paused", "updated", "created"]
    assert {event["data"]["by"] for event in told} == {"write (API)"}
    assert all(event["data"]["address"] == "127.0.0.1" for event in told)


async def test_a_key_may_be_limited_to_action_types(job: Served) -> None:
    _, token = job.keyring.create("bot", Scope.WRITE, 0.0, actions=("log_event",))
    async with job.client(token) as bot:
        body = {"job_id": "1", "name": "w", "pattern": "hit", "actions": [LOG, CANCEL]}
        refused = await bot.post("/api/watchers", json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "actions")
        made = await bot.post("/api/watchers", json={**body, "actions": [LOG]})
        assert made.status_code == 201
        edit = await bot.put(f"/api/watchers/{made.json()['id']}", json={"actions": [CANCEL]})
        assert (edit.status_code, edit.json()["code"]) == (403, "actions")
        strong = await job.create("strong", actions=[CANCEL])
        trigger = await bot.post(f"/api/watchers/{strong['id']}/trigger")
        assert (trigger.status_code, trigger.json()["code"]) == (409, "actions")
    assert job.jobs.cancelled == []


async def test_no_secret_of_the_settings_shows_in_any_answer(job: Served) -> None:
    made = await job.create("w")
    paths = ["/api/watchers", f"/api/watchers/{made['id']}", "/api/session", "/api/jobs", "/metrics", "/api/plan"]
    answers: list[httpx.Response] = [await job.http.get(path) for path in paths]
    secret = job.keys["write"]
    assert not [answer.url for answer in answers if secret in answer.text or secret[-20:] in answer.text]
    assert secret not in (job.house.home / "apikeys.json").read_text()


FAR = "9999-12-31T23:59:59-23:00"


@pytest.mark.parametrize("until", [FAR, "0001-01-01T00:00:00", "1969-01-01"])
async def test_a_time_out_of_all_reason_is_refused_and_harms_no_list(served: Served, until: str) -> None:
    served.jobs.add("1")
    await served.look()
    made = await served.create()
    for path, body in {
        f"/api/watchers/{made['id']}/pause": {"until": until},
        "/api/watchers/bulk": {"action": "pause", "ids": [made["id"]], "until": until},
    }.items():
        assert (await served.http.post(path, json=body)).status_code == 422
    for path, status in {"/api/watchers/events": 200, "/api/metrics/1/x": 404}.items():
        assert (await served.http.get(path, params={"since": until})).status_code == (422 if until == FAR else status)
    body = {"name": "v", "job_id": "1", "hostname": "localhost", "pattern": "x", "actions": [LOG]}
    answer = await served.http.post("/api/watchers", json={**body, "suspend": {"until": until}})
    assert answer.status_code == 422
    assert [each["state"] for each in (await served.get("/api/watchers"))["watchers"]] == ["active"]
