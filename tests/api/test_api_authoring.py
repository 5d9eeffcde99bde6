"""What people ask before they save: what a watcher can be made of, the file it would be, which jobs it would meet."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from parts.house import House, Jobs, Sourced
from parts.repository import Repository
from parts.served import LOG, Served, serving
from parts.waiting import eventually
from ruamel.yaml import YAML

from reconciler import app
from reconciler.api.keys import Scope
from reconciler.logic.simulate import Simulation, simulate
from reconciler.model import JobState

LOSS = {"name": "Loss", "pattern": r"loss: (\S+)", "captures": ["loss"], "actions": [LOG]}


async def drafted(served: Served, body: dict[str, Any], **query: Any) -> dict[str, Any]:
    answer = await served.http.post("/api/watchers/preview", json=body, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def fields(draft: dict[str, Any]) -> set[str]:
    return {flaw["field"] for flaw in draft["errors"]}


# --- drafts ----------------------------------------------------------------------------------------------------------


async def test_a_draft_is_exactly_the_file_that_is_written_then(served: Served) -> None:
    served.jobs.add("1")
    served.jobs.add("2")
    await served.look()
    bodies: list[dict[str, Any]] = [
        {**LOSS, "job_id": "1", "hostname": "localhost"},
        {**LOSS, "job_id": "2"},
        {**LOSS, "name": "Über «1»: yes", "jobs": {"name": "train-*"}, "labels": {"n": "1", "on": "off"}},
        {"yaml": "# mine\nname: Text\npattern: x   # why\nactions: [{type: log_event, params: {message: hi}}]\n"},
    ]
    for body in bodies:
        draft = await drafted(served, body)
        assert (draft["valid"], draft["errors"], draft["writable"], draft["patch"]) == (True, [], True, "")
        assert not Path(draft["file"]).exists()
        made = await served.post("/api/watchers", body)
        assert (made["file"], made["name"]) == (draft["file"], draft["name"])
        assert Path(made["file"]).read_text(encoding="utf-8") == draft["yaml"]
    assert served.house.row("Loss (2)").job.id == "2"


async def test_everything_that_is_wrong_names_its_field_and_place(served: Served) -> None:
    body = {"pattern": "(", "condition": "x ><", "cooldown": "soon", "actions": [{"type": "log_event", "params": {}}]}
    draft = await drafted(served, body)
    assert not draft["valid"]
    assert fields(draft) == {"name", "pattern", "cooldown", "actions[0].params.message"}
    lines = draft["yaml"].splitlines()
    for flaw in draft["errors"]:
        if flaw["field"] == "cooldown":
            assert lines[flaw["line"] - 1][flaw["column"] - 1 :] == "soon"
    assert fields(await drafted(served, {**LOSS, "condition": "x ><"})) == {"condition"}
    assert fields(await drafted(served, {"name": "w", "actions": [LOG]})) == {""}


async def test_a_draft_tells_a_taken_name_and_what_the_key_may_not(served: Served) -> None:
    served.jobs.add("1")
    await served.look()
    await served.create("Loss")
    assert fields(await drafted(served, {**LOSS, "jobs": {"name": "x"}})) == {"name"}
    now = served.engine.parts.clock.now()
    _, token = served.keyring.create("few", Scope.WRITE, now, actions=("store_metric",))
    async with served.client(token) as few:
        answer = (await few.post("/api/watchers/preview", json={**LOSS, "name": "Other"})).json()
        assert "the key does not allow log_event" in answer["errors"][0]["message"]
        assert not answer["valid"]
        types = {each["type"]: each for each in (await few.get("/api/vocabulary")).json()["actions"]}
        assert types["store_metric"]["allowed"]
        assert (types["log_event"]["allowed"], types["log_event"]["why"]) == (False, "this key does not allow it")


async def test_the_draft_of_an_edit_keeps_comments_and_shows_the_difference(served: Served) -> None:
    served.jobs.add("1")
    await served.look()
    text = (
        "# kept\nname: Mine\njobs: {ids: ['1']}\npattern: x   # beside\nactions:\n"
        "  - type: log_event   # loud\n    params: {message: hi}\n"
    )
    made = await served.post("/api/watchers", {"yaml": text})
    draft = await drafted(served, {"pattern": "y", "cooldown": "10s"}, watcher_id=made["id"])
    assert draft["yaml"] == text.replace("pattern: x ", "pattern: y ") + "cooldown: 10s\n"
    assert "-pattern: x   # beside\n+pattern: y   # beside\n" in draft["patch"]
    assert Path(made["file"]).read_text() == text
    assert fields(await drafted(served, {"interval_seconds": 0}, watcher_id=made["id"])) == {"interval_seconds"}
    await served.http.put(f"/api/watchers/{made['id']}", json={"pattern": "y", "cooldown": "10s"})
    assert Path(made["file"]).read_text() == draft["yaml"]
    missing = await served.http.post("/api/watchers/preview", json=LOSS, params={"watcher_id": 999})
    assert missing.status_code == 404


async def test_what_git_owns_is_answered_with_a_patch_that_applies(served: Served) -> None:
    folder = served.house.watchers

    async def git(*words: str, sent: str = "") -> None:
        program = ["git", "-C", str(folder.parent), "-c", "user.name=a", "-c", "user.email=a@b", *words]
        await asyncio.to_thread(subprocess.run, program, input=sent, text=True, check=True)

    text = "# team\nname: Theirs\npattern: x   # beside\nactions: [{type: log_event, params: {message: hi}}]"
    (folder / "theirs.yaml").write_text(text)
    await git("init", "-q")
    await git("add", "watchers.d/theirs.yaml")
    await git("commit", "-qm", "theirs")
    served.jobs.add("1")
    await eventually(lambda: served.house.rows("Theirs"))
    row = served.house.row("Theirs")
    draft = await drafted(served, {"pattern": "y"}, watcher_id=row.id)
    assert (draft["valid"], draft["writable"]) == (True, False)
    refused = await served.http.put(f"/api/watchers/{row.id}", json={"pattern": "y"})
    assert refused.status_code == 409
    assert refused.json()["patch"] == draft["patch"]
    await git("apply", "-", sent=draft["patch"])
    assert (folder / "theirs.yaml").read_text() == draft["yaml"]


async def test_what_a_git_source_read_keeps_its_comments_and_comes_as_a_patch(
    tmp_path: Path, repository: Repository
) -> None:
    text = "# team\nname: Theirs\npattern: x   # beside\nactions: [{type: log_event, params: {message: hi}}]\n"
    repository.commit({"w/theirs.yaml": text})
    house = Sourced(tmp_path / "house", sources=[{"type": "git", "git": str(repository.path), "path": "w"}])
    house.scheduler = Jobs(house.outputs)
    house.scheduler.add("1")
    async with serving(house) as served:
        await eventually(lambda: house.rows("Theirs"))
        row = house.row("Theirs")
        assert (await served.get(f"/api/watchers/{row.id}"))["yaml"] == text
        draft = await drafted(served, {"pattern": "y"}, watcher_id=row.id)
        assert (draft["writable"], draft["yaml"]) == (False, text.replace("pattern: x", "pattern: y"))
        assert "--- a/w/theirs.yaml\n+++ b/w/theirs.yaml\n" in draft["patch"]
        apply = ["git", "-C", str(repository.path), "apply", "--check", "-"]
        await asyncio.to_thread(subprocess.run, apply, input=draft["patch"], text=True, check=True)


# --- selectors -------------------------------------------------------------------------------------------------------


async def test_a_selector_is_counted_over_the_known_jobs(served: Served) -> None:
    for number in range(30):
        served.jobs.add(str(number), name="train-a" if number % 2 else "eval", partition="gpu")
    served.jobs.finish("1", JobState.FAILED)
    await served.look()
    everything = await served.post("/api/selectors/test", {})
    assert (everything["count"], everything["ended"], everything["known"]) == (29, 1, 29)
    assert len(everything["jobs"]) == 20
    some = await served.post("/api/selectors/test", {"jobs": {"name": "train-*", "partition": ["gpu", "cpu"]}})
    assert (some["count"], some["ended"]) == (14, 1)
    one = await served.post("/api/selectors/test", {"jobs": {"ids": ["1"], "hosts": "localhost"}})
    assert (one["count"], one["ended"]) == (0, 1)
    assert one["jobs"] == [{"job_id": "1", "hostname": "localhost", "name": "train-a", "state": "failed"}]
    none = await served.http.post("/api/selectors/test", json={"jobs": {"nmae": "x"}})
    assert (none.status_code, none.json()["problems"][0]["where"]) == (422, "body.jobs.nmae")


# --- vocabulary and patterns -----------------------------------------------------------------------------------------


async def test_the_vocabulary_tells_types_their_params_and_what_the_settings_allow(tmp_path: Path) -> None:
    house = House(tmp_path, policy={"actions": {"api": ["log_event", "run_command"]}, "max_new_bindings": 7})
    house.scheduler = Jobs(house.outputs)
    async with serving(house) as served:
        found = await served.get("/api/vocabulary")
    types = {each["type"]: each for each in found["actions"]}
    assert [each["category"] for each in found["actions"]][:2] == ["Record", "Record"]
    assert types["log_event"]["allowed"]
    assert types["log_event"]["params"]["required"] == ["message"]
    assert (types["cancel_job"]["outside"], types["cancel_job"]["allowed"]) == (True, False)
    assert "Other" not in {each["category"] for each in found["actions"]}
    assert {"0", "JOB_ID", "WATCHER"} <= {each["name"] for each in found["variables"]}
    assert {"oom", "nan"} <= {each["name"] for each in found["presets"]}
    assert found["max_new_bindings"] == 7


async def test_a_tried_pattern_tells_its_engine_and_its_groups(served: Served) -> None:
    text = "step 3 loss: 0.5\n"
    tried = await served.post("/api/patterns/test", {"pattern": r"step (\d+) loss: (?P<loss>\S+)", "text": text})
    assert tried["groups"] == [None, "loss"]
    assert tried["tier"] in ("hyperscan", "re2")
    assert (tried["slow"], tried["matches_empty"]) == (False, False)
    slower = await served.post("/api/patterns/test", {"pattern": r"(\w)\1", "text": text})
    assert (slower["tier"], slower["count"]) == ("fallback", 1)
    assert slower["reason"]
    everywhere = await served.post("/api/patterns/test", {"pattern": "x*", "text": text})
    assert everywhere["matches_empty"]
    several = await served.post("/api/patterns/test", {"any": ["step", "loss"], "text": text})
    assert (several["count"], several["groups"]) == (2, [])
    pack = await served.post("/api/patterns/test", {"preset": "nan", "text": "loss: nan\n"})
    assert pack["count"] == 1
    wrong = await served.http.post("/api/patterns/test", json={"any": ["ok", "("], "text": text})
    assert (wrong.status_code, wrong.json()["problems"][0]["field"]) == (422, "patterns.any[1]")
    both = await served.http.post("/api/patterns/test", json={"pattern": "x", "preset": "oom", "text": text})
    assert (both.status_code, both.json()["problems"][0]["field"]) == (422, "preset")


@pytest.mark.parametrize("depth", [40, 500, 900])
@pytest.mark.parametrize("inner", [("[", "]"), ('{"a":', "}")], ids=["lists", "mappings"])
async def test_what_is_nested_deeply_is_refused_before_anything_is_done(
    served: Served, depth: int, inner: tuple[str, str]
) -> None:
    served.jobs.add("1")
    made = await served.create("w")
    before = Path(made["file"]).read_text()
    nested = inner[0] * depth + "1" + inner[1] * depth
    body = f'{{"name": "d", "job_id": "1", "pattern": "x", "actions": [], "labels": {nested}}}'
    path = f"/api/watchers/{made['id']}"
    for verb, place in (("POST", "/api/watchers"), ("PUT", path)):
        answer = await served.http.request(verb, place, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422, answer.text
        told = [problem["message"] for problem in answer.json()["problems"]]
        assert any("nested more than 40 levels" in each for each in told), told
    draft = await served.http.post("/api/watchers/preview", content=body, headers={"Content-Type": "application/json"})
    assert draft.status_code == 422
    assert [path.read_text() for path in Path(made["file"]).parent.glob("*.yaml")] == [before]


async def test_a_pattern_that_takes_too_long_is_tried_on_a_part_and_that_is_told(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.api.routes_trying.TRYING", 0.05)
    text = ("a" * 17 + "!\n") * 2000
    tried = await served.post("/api/patterns/test", {"pattern": r"^(a|aa){1,17}(?=b)", "text": text})
    assert 0 < tried["bytes"] < len(text)
    assert any("takes too long" in problem for problem in tried["problems"])


async def test_very_many_tries_leave_threads_for_everything_else(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, running = threading.Event(), list[int]()

    def slow(*words: Any, **more: Any) -> Simulation:
        running.append(len(running))
        released.wait(20)
        return simulate(*words, **more)

    monkeypatch.setattr("reconciler.api.routes_trying.simulate", slow)
    asked = {"pattern": "hit", "text": "hit"}
    tries = [asyncio.create_task(served.post("/api/patterns/test", asked)) for _ in range(40)]
    try:
        await eventually(lambda: len(running) >= 2)
        served.jobs.add("1")
        assert (await served.create("w"))["message"] == "the watcher is created"
        assert len(running) == 2
    finally:
        released.set()
    assert [tried["count"] for tried in await asyncio.gather(*tries)] == [1] * 40


async def test_yaml_is_never_worked_on_where_everything_else_waits_for_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, threads = threading.current_thread(), list[threading.Thread]()

    def noted(work: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*words: Any) -> Any:
            threads.append(threading.current_thread())
            return work(*words)

        return noting

    parse, ours = app.parse, noted(app.parse)
    monkeypatch.setattr(app, "parse", lambda content, name: (parse if "/" in name else ours)(content, name))  # engine's
    for name in ("load_all", "dump_all"):
        monkeypatch.setattr(YAML, name, noted(getattr(YAML, name)))
    house.scheduler = Jobs(house.outputs)
    async with serving(house) as served:
        served.jobs.add("1")
        number = (await served.create("w"))["id"]
        await served.get(f"/api/watchers/{number}")
        await drafted(served, {"interval_seconds": 5}, watcher_id=number)
        await served.http.put(f"/api/watchers/{number}", json={"interval_seconds": 5})
        await served.post("/api/templates", {"watcher_id": number})
        assert (await served.http.delete(f"/api/watchers/{number}")).status_code == 200
    assert len(threads) > 10
    assert here not in threads
