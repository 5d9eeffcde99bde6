"""Endpoints that only look: events, counts, jobs, outputs, metrics, the plan, validation, patterns, health."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from parts.house import House, Jobs, SteppedClock
from parts.served import Served, serving
from parts.waiting import eventually
from prometheus_client.parser import text_string_to_metric_families

from reconciler.engine.retention import purge
from reconciler.errors import SchedulerUnavailableError, StateError
from reconciler.model import LOCALHOST, JobId, JobKey, MetricPoint
from reconciler.protocols import Advance, Batch, Committed, StateWriting
from reconciler.state.write import StateWriter

METRIC = {"type": "store_metric", "params": {"name": "loss", "value": "$1"}}
BAD_METRIC = {"type": "store_metric", "params": {"name": "bad", "value": "x"}}


@pytest.fixture
async def busy(served: Served) -> Served:
    """Job 1 with watchers that acted: three metrics, three failures."""
    served.jobs.add("1").write_text("loss: 3\nloss: 2\nloss: 1.5\n")
    await served.create("Loss", pattern=r"loss: (\S+)", actions=[METRIC])
    await served.create("Bad", pattern="loss", actions=[BAD_METRIC])
    await eventually(lambda: len(served.house.events("action.succeeded", "action.failed")) == 6)
    return served


# --- events and counts -----------------------------------------------------------------------------------------------


async def test_events_are_those_of_actions_unless_others_are_asked_for(busy: Served) -> None:
    found = await busy.get("/api/watchers/events")
    assert found["count"] == 6
    assert {event["action_type"] for event in found["events"]} == {"store_metric"}
    first = found["events"][-1]
    assert first["captured_vars"] == {}
    assert {"watcher_id", "job_id", "hostname", "timestamp", "matched_text", "action_result", "success"} <= first.keys()
    everything = await busy.get("/api/watchers/events", all=True)
    assert "reconciler.watcher.created.v1" in {event["type"] for event in everything["events"]}
    some = await busy.get("/api/watchers/events", type=["reconciler.watcher.triggered.v1"])
    assert some["count"] == 6


async def test_events_narrow_and_page(busy: Served) -> None:
    loss = busy.house.row("Loss")
    assert (await busy.get("/api/watchers/events", watcher_id=loss.id))["count"] == 3
    assert (await busy.get("/api/watchers/events", watcher="Bad"))["count"] == 3
    assert (await busy.get("/api/watchers/events", job_id="1"))["count"] == 6
    assert (await busy.get("/api/watchers/events", job_id="2"))["count"] == 0
    assert (await busy.get("/api/watchers/events", since="2100-01-01T00:00:00Z"))["count"] == 0
    assert (await busy.get("/api/watchers/events", since="1950-01-01"))["count"] == 6
    ids: list[int] = []
    cursor = None
    while True:
        page = await busy.get("/api/watchers/events", limit=4, **({"cursor": cursor} if cursor else {}))
        ids += [event["id"] for event in page["events"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(ids) == 6
    assert ids == sorted(ids, reverse=True)


async def test_counts_tell_states_actions_and_who_is_busiest(busy: Served) -> None:
    stats = await busy.get("/api/watchers/stats")
    assert (stats["total_watchers"], stats["watchers_by_state"]) == (2, {"active": 2})
    assert (stats["total_events"], stats["events_last_hour"]) == (6, 6)
    assert stats["events_by_action"] == {"store_metric": {"total": 6, "success": 3, "failed": 3}}
    assert {(top["name"], top["event_count"]) for top in stats["top_watchers"]} == {("Loss", 3), ("Bad", 3)}
    assert {"watcher_id", "job_id", "name", "event_count"} == stats["top_watchers"][0].keys()


# --- metrics ---------------------------------------------------------------------------------------------------------


async def test_what_is_shown_at_a_moment_is_among_what_is_asked_for_from_then_on(busy: Served) -> None:
    row = busy.house.row("Loss")
    begin = 1_795_000_000.5
    times = [begin + number / 2**22 for number in range(1, 12)]  # finer than what is shown: some are rounded up

    def work(state: StateWriting) -> None:
        fine = tuple(MetricPoint(row.id, row.job, "fine", 1.0, at) for at in times)
        state.commit(Batch(advances=(Advance(row, row, metrics=fine),)))

    await busy.engine.parts.state.run(work)
    shown = [point["at"] for point in (await busy.get("/api/metrics/1/fine"))["points"]]
    assert len(shown) == len(times)
    for at in shown:
        later = (await busy.get("/api/metrics/1/fine", since=at))["points"]
        assert [point["at"] for point in later if point["at"] >= at] == [each for each in shown if each >= at]
    for event in (await busy.get("/api/watchers/events", all=True))["events"]:
        later = (await busy.get("/api/watchers/events", all=True, since=event["timestamp"]))["events"]
        assert event["id"] in {each["id"] for each in later}


async def test_metrics_come_with_their_times(busy: Served) -> None:
    found = await busy.get("/api/metrics/1/loss")
    assert [point["value"] for point in found["points"]] == [3.0, 2.0, 1.5]
    assert found["points"][0]["at"].endswith("Z")
    assert (await busy.get("/api/metrics/1/loss", limit=1))["points"][0]["value"] == 1.5
    assert (await busy.get("/api/metrics/1/loss", since="2100-01-01"))["count"] == 0
    (summary,) = (await busy.get("/api/metrics/1"))["metrics"]
    assert (summary["name"], summary["count"], summary["low"], summary["high"], summary["last"]) == (
        "loss",
        3,
        1.5,
        3,
        1.5,
    )
    assert (await busy.http.get("/api/metrics/1/nothing")).status_code == 404
    assert (await busy.http.get("/api/metrics/9/loss")).status_code == 404


# --- jobs and outputs ------------------------------------------------------------------------------------------------


async def test_jobs_are_listed_with_how_many_watch_them(busy: Served) -> None:
    busy.jobs.add("2", name="evaluate", submitted=1.0)
    busy.jobs.finish("2")
    await busy.look()
    found = await busy.get("/api/jobs")
    assert [(job["job_id"], job["state"], job["watchers"]) for job in found["jobs"]] == [
        ("1", "running", 2),
        ("2", "completed", 0),
    ]
    assert [job["job_id"] for job in (await busy.get("/api/jobs", search="EVAL"))["jobs"]] == ["2"]
    assert [job["job_id"] for job in (await busy.get("/api/jobs", state="running"))["jobs"]] == ["1"]
    page = await busy.get("/api/jobs", limit=1)
    assert [j["job_id"] for j in (await busy.get("/api/jobs", cursor=page["next_cursor"]))["jobs"]] == ["2"]
    assert (await busy.get("/api/jobs/1"))["name"] == "train"
    assert (await busy.http.get("/api/jobs/3")).status_code == 404


async def test_an_output_is_read_by_range_and_from_its_end(busy: Served) -> None:
    whole = await busy.get("/api/jobs/1/output")
    assert (whole["text"], whole["size"], whole["next_offset"]) == ("loss: 3\nloss: 2\nloss: 1.5\n", 26, 26)
    part = await busy.get("/api/jobs/1/output", offset=6, limit=3)
    assert (part["text"], part["offset"], part["next_offset"]) == ("3\nl", 6, 9)
    tail = await busy.get("/api/jobs/1/output", tail=1)
    assert (tail["text"], tail["offset"]) == ("loss: 1.5\n", 16)
    beyond = await busy.get("/api/jobs/1/output", offset=1000)
    assert (beyond["text"], beyond["size"]) == ("", 26)


async def test_pages_of_jobs_lose_and_double_none_while_jobs_come_go_and_are_requeued(served: Served) -> None:
    for number in range(1, 8):
        served.jobs.add(str(number), submitted=1000.25 if number in (3, 4, 5) else 1000.0 + number)
    served.jobs.add("none", submitted=None)
    await served.look()
    pages, cursor = list[list[str]](), ""
    while cursor is not None:
        found = await served.get("/api/jobs", limit=2, **({"cursor": cursor} if cursor else {}))
        pages.append([job["job_id"] for job in found["jobs"]])
        cursor = found["next_cursor"]
        if len(pages) == 1:
            served.jobs.add("8", submitted=1008.0)
            served.engine.controller.discovery.known.pop(JobKey(LOCALHOST, JobId("7")))
            served.jobs.listed.pop(JobId("7"))
            served.jobs.change("1", submitted=2000.0, restarts=1)
            await served.look()
    assert pages == [["7", "6"], ["2", "1"], ["3", "4"], ["5", "none"]]
    assert [job["job_id"] for job in (await served.get("/api/jobs", limit=1))["jobs"]] == ["8"]


@pytest.mark.parametrize(
    "cursor", ["", "100", "x:1@localhost", ":1@localhost", "1:", "-1:1@a", "9" * 30 + ":1@a", "1:a b"]
)
async def test_cursors_of_other_lists_and_made_up_ones_are_refused(served: Served, cursor: str) -> None:
    answer = await served.http.get("/api/jobs", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


async def test_a_cursor_of_jobs_is_none_of_watchers_and_events(served: Served) -> None:
    served.jobs.add("1")
    served.jobs.add("2")
    await served.look()
    cursor = (await served.get("/api/jobs", limit=1))["next_cursor"]
    for path in ("/api/watchers", "/api/watchers/events"):
        assert (await served.http.get(path, params={"cursor": cursor})).status_code == 422


async def test_an_output_that_is_not_there_says_so(busy: Served) -> None:
    busy.jobs.add("2")
    busy.jobs.add("3", stdout=None, stderr=None)
    await busy.look()
    assert (await busy.get("/api/jobs/2/output"))["sight"] == "missing"
    assert (await busy.http.get("/api/jobs/3/output")).status_code == 404
    Path(str(busy.jobs.listed[JobId("2")].stdout)).mkdir()
    assert (await busy.get("/api/jobs/2/output"))["sight"] == "failed"


async def test_bytes_that_are_no_text_are_shown_all_the_same(busy: Served) -> None:
    busy.jobs.add("2").write_bytes(b"\xff\x00\xe2\x82\n")
    await busy.look()
    assert (await busy.get("/api/jobs/2/output"))["text"] == "\ufffd\x00\ufffd\n"


async def test_a_scheduler_that_does_not_answer_is_told_and_nothing_fails(busy: Served) -> None:
    busy.jobs.failing = SchedulerUnavailableError("slurmctld is away")
    await busy.look()
    assert (await busy.get("/api/jobs"))["unreachable"] == {"localhost": "slurmctld is away"}
    assert (await busy.get("/api/jobs/1/output"))["size"] == 26
    assert 'reconciler_host_up{host="localhost"} 0.0' in (await busy.http.get("/metrics")).text
    assert (await busy.http.get("/readyz")).status_code == 200


# --- trying things out -----------------------------------------------------------------------------------------------


async def test_the_plan_tells_what_waits_for_a_yes_and_does_nothing(tmp_path: Path) -> None:
    house = House(tmp_path, policy={"max_new_bindings": 1})
    house.scheduler = Jobs(house.outputs)
    house.scheduler.add("1")
    house.scheduler.add("2")
    house.write("dangerous", actions=[{"type": "cancel_job"}])
    async with serving(house) as served:
        plan = await served.get("/api/plan")
        assert [(c["change"], c["watcher"], c["job_id"]) for c in plan["changes"]] == [
            ("create", "dangerous", "1"),
            ("create", "dangerous", "2"),
        ]
        assert "2 times at once" in plan["changes"][0]["withheld"]
        assert plan["changes"][0]["file"].endswith("dangerous.yaml")
        assert plan == await served.get("/api/plan")
        made = await served.create(
            "mass", jobs={"name": "*"}, job_id=None, hostname=None, actions=[{"type": "cancel_job"}]
        )
        assert (made["id"], "waits for approval" in made["message"]) == (None, True)
        assert house.rows() == ()


async def test_a_file_is_validated_with_everything_that_is_wrong_with_it(busy: Served) -> None:
    good = await busy.post(
        "/api/validate", {"yaml": "name: a\npattern: x\nactions: [{type: log_event, params: {message: $y}}]"}
    )
    assert (good["valid"], good["watchers"], good["errors"]) == (True, ["a"], [])
    assert "$y" in good["warnings"][0]["message"]
    bad = await busy.post("/api/validate", {"yaml": "name: a\npattern: (\ncolour: red\n"})
    assert not bad["valid"]
    assert len(bad["errors"]) >= 3
    assert {problem["line"] for problem in bad["errors"]} >= {2, 3}
    for text in ("", "\x00", "a: b: c", "&a [*a]", "- " * 5000):
        assert not (await busy.post("/api/validate", {"yaml": text}))["valid"], text


async def test_what_the_settings_forbid_is_told_and_not_written(tmp_path: Path) -> None:
    house = House(tmp_path, policy={"actions": {"api": ["log_event"]}})
    house.scheduler = Jobs(house.outputs)
    house.scheduler.add("1")
    async with serving(house) as served:
        body = {"job_id": "1", "name": "w", "pattern": "x", "actions": [{"type": "cancel_job"}]}
        answer = await served.http.post("/api/watchers", json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "actions")
        command = {"type": "run_command", "params": {"command": "rm -rf /"}}
        assert not list((tmp_path / "api.d").glob("*.yaml"))
    house = House(tmp_path / "other")
    house.scheduler = Jobs(house.outputs)
    house.scheduler.add("1")
    async with serving(house) as served:
        answer = await served.http.post("/api/watchers", json={**body, "actions": [command]})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-watcher")
        assert not list((tmp_path / "other" / "api.d").glob("*.yaml"))


async def test_a_pattern_is_tried_with_the_matcher_that_watches(busy: Served) -> None:
    asked: dict[str, Any] = {"pattern": r"loss: ([\d.]+)", "captures": ["loss"], "text": "loss: 5.73\r\nx\nloss: 1\n"}
    found = await busy.post("/api/patterns/test", asked)
    assert [(m["text"], m["line"], m["offset"], m["captures"]) for m in found["matches"]] == [
        ("loss: 5.73", 1, 0, {"loss": "5.73"}),
        ("loss: 1", 3, 14, {"loss": "1"}),
    ]
    assert (await busy.post("/api/patterns/test", {**asked, "condition": "float(loss) > 5"}))["count"] == 1
    for condition in ("float(nothing) > 5", "9**9**9**9 > 1"):
        failing = await busy.post("/api/patterns/test", {**asked, "condition": condition})
        assert failing["count"] == 0
        assert failing["problems"]
    many = await busy.post("/api/patterns/test", {"pattern": "a", "text": "a" * 300, "limit": 5})
    assert (many["count"], len(many["matches"])) == (300, 5)


async def test_a_pattern_is_tried_on_the_output_of_a_job(busy: Served) -> None:
    found = await busy.post("/api/patterns/test", {"pattern": "loss: 1.5", "job_id": "1"})
    assert (found["count"], found["bytes"]) == (1, 26)


@pytest.mark.parametrize(
    "body",
    [
        {"pattern": "(", "text": "x"},
        {"pattern": "x"},
        {"pattern": "x", "text": "x", "job_id": "1"},
        {"pattern": "x", "text": "x", "captures": ["1"]},
        {"pattern": "x" * 1001, "text": "x"},
    ],
    ids=str,
)
async def test_patterns_that_cannot_run_are_refused_with_the_reason(busy: Served, body: dict[str, Any]) -> None:
    answer = await busy.http.post("/api/patterns/test", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]


async def test_a_pattern_that_would_never_end_does(busy: Served) -> None:
    asked = {"pattern": "(a+)+$", "text": "a" * 60 + "!\n" + "aa\n"}
    assert (await busy.post("/api/patterns/test", asked))["count"] == 1


# --- the server itself -----------------------------------------------------------------------------------------------


async def test_probes_need_no_key(busy: Served) -> None:
    async with busy.client() as stranger:
        assert (await stranger.get("/healthz")).json() == {"status": "ok"}
        assert [(await stranger.head(path)).status_code for path in ("/healthz", "/readyz")] == [200, 200]
        ready = await stranger.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (200, True)


async def test_metrics_are_what_prometheus_reads(busy: Served) -> None:
    await busy.get("/api/watchers")
    await busy.http.get("/nothing/with/names")
    answer = await busy.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    samples = {(s.name, *sorted(s.labels.values())): s.value for f in families.values() for s in f.samples}
    assert samples["reconciler_watchers", "active"] == 2
    assert samples["reconciler_jobs", "running"] == 1
    assert samples["reconciler_host_up", "localhost"] == 1
    assert samples["reconciler_action_outcomes_total", "store_metric", "succeeded"] == 3
    assert samples["reconciler_http_requests_total", "/api/watchers", "200", "GET"] == 1
    assert not [key for key in samples if "/nothing" in str(key)]
    assert all(name.startswith(("reconciler_", "process_")) for name in families)
    assert samples["reconciler_pending_actions",] == 0


async def test_what_prometheus_counts_does_not_go_back_where_retention_takes_events(house: House) -> None:
    house.scheduler = Jobs(house.outputs)
    out = house.scheduler.add("1")
    house.write()
    out.write_text("hit\n" * 3)
    counted = 'reconciler_action_outcomes_total{outcome="succeeded",type="log_event"} '
    async with serving(house) as served:
        await eventually(lambda: len(house.done()) == 3)
        assert f"{counted}3.0" in (await served.http.get("/metrics")).text
        later = SteppedClock(time.time() + house.settings.state.retain_events + 1)
        await purge(replace(served.engine.parts, clock=later), served.engine.controller)
        assert f"{counted}3.0" in (await served.http.get("/metrics")).text
    async with serving(house) as served:
        assert f"{counted}3.0" in (await served.http.get("/metrics")).text
        assert (await served.get("/api/watchers/stats"))["total_events"] < 3


async def test_metrics_are_told_where_nothing_can_be_written(busy: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: StateWriter, batch: Batch) -> Committed:
        raise StateError("database or disk is full")

    monkeypatch.setattr(StateWriter, "commit", full)
    answer = await busy.http.get("/metrics")
    assert answer.status_code == 200
    assert 'reconciler_action_outcomes_total{outcome="succeeded",type="store_metric"} 3.0' in answer.text


async def test_the_documentation_is_whole_without_any_other_server(busy: Served) -> None:
    page = await busy.http.get("/docs")
    assert page.status_code == 200
    assert "://" not in page.text
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png", "start.js"):
        assert f'"/docs/{name}"' in page.text
        assert (await busy.http.get(f"/docs/{name}")).status_code == 200
    assert (await busy.http.get("/docs/..%2fcore.py")).status_code == 404
    schema = (await busy.http.get("/openapi.json")).json()
    assert schema["openapi"].startswith("3.1")
    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


async def test_every_answer_has_the_security_headers(busy: Served) -> None:
    async with busy.client() as stranger:
        for client, path in (
            (busy.http, "/api/watchers"),
            (stranger, "/api/watchers"),
            (busy.http, "/docs"),
            (stranger, "/healthz"),
        ):
            headers = (await client.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cache-control"] == "no-store"
            assert "server" not in headers


async def test_counts_stay_true_while_things_happen(busy: Served) -> None:
    before = await busy.get("/api/watchers/stats")
    Path(str(busy.jobs.listed[JobId("1")].stdout)).write_text("loss: 3\nloss: 2\nloss: 1.5\nloss: 7\n")
    await eventually(lambda: len(busy.house.events("action.succeeded", "action.failed")) == 8)
    after = await busy.get("/api/watchers/stats")
    assert after["total_events"] == before["total_events"] + 2
    assert {top["event_count"] for top in after["top_watchers"]} == {4}
    assert after == await busy.get("/api/watchers/stats")


@pytest.mark.parametrize("number", ["+1", "1.0", " 1", "1_0", "-1", "\u0661", "1e0", "0x1", "1" * 20, "1\n"])
async def test_a_watcher_has_one_number_written_in_digits(served: Served, number: str) -> None:
    served.jobs.add("1")
    await served.create()
    path = f"/api/watchers/{quote(number)}"
    for method, where in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/trigger")):
        answer = await served.http.request(method, path + where)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), (method, answer.text)
    drafted = await served.http.post("/api/watchers/preview", params={"watcher_id": number}, json={"name": "x"})
    assert drafted.status_code == 422
    asked = [
        ("/api/watchers", "id"), ("/api/watchers", "limit"), ("/api/watchers/events", "watcher_id"),
        ("/api/watchers/events", "after"), ("/api/jobs", "limit"), ("/api/jobs/1/output", "offset"),
    ]  # fmt: skip
    for path, name in asked:
        answer = await served.http.get(path, params={name: number})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), (path, name, answer.text)
    assert (await served.get("/api/watchers/1"))["name"] == "w"
