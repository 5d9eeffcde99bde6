"""The library of templates: every layer's, by category; saved from a watcher or a text, replaced, taken away."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from parts.house import House, Jobs, Sourced
from parts.repository import Repository
from parts.served import Served, serving

from reconciler.api.keys import Scope
from reconciler.api.template_text import put_together, take_apart
from reconciler.api.templates import file_name

TEXT = """\
# ours
name: Spikes
pattern: 'loss: (?P<loss>\\S+)'   # any
actions:
  - type: log_event
    params: {message: $loss}
"""
ACTIONS = "actions: [{type: log_event, params: {message: m}}]"


def shipped(found: dict[str, Any]) -> set[str]:
    return {each["id"] for each in found["templates"] if each["layer"] == "package"}


def by_id(found: dict[str, Any]) -> dict[str, Any]:
    return {each["id"]: each for each in found["templates"]}


async def kept(served: Served, status: int = 201, **body: Any) -> dict[str, Any]:
    answer = await served.http.post("/api/templates", json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


# --- looking ---------------------------------------------------------------------------------------------------------


async def test_what_the_package_brings_is_there_sorted_and_usable(served: Served) -> None:
    found = await served.get("/api/templates")
    assert {"loss-tracker", "gpu-memory", "traceback", "cuda-oom", "nan-guard"} <= shipped(found)
    assert all(each["errors"] == [] for each in found["templates"])
    assert "Other" not in found["categories"]
    assert [each["category"] for each in found["templates"]] == sorted(each["category"] for each in found["templates"])
    assert all(each["tags"] and each["description"] for each in found["templates"])
    one = await served.get("/api/templates/loss-tracker")
    assert one["spec"]["pattern"] == one["pattern"]
    assert (await served.post("/api/validate", {"yaml": one["yaml"]}))["valid"]
    assert "category:" not in one["yaml"]
    assert "yaml-language-server" not in one["yaml"]


async def test_those_of_a_branch_are_as_its_commit_has_them(tmp_path: Path, repository: Repository) -> None:
    source = {"type": "git", "git": str(repository.path), "path": "w"}
    house = Sourced(tmp_path / "house", sources=[source])
    house.scheduler = Jobs(house.outputs)
    text = f"# category: Team\n{TEXT}"
    repository.commit({"w/a.yaml": TEXT, "w/templates/spikes.yaml": text, "w/templates/traceback.yaml": text})
    async with serving(house) as served:
        found = by_id(await served.get("/api/templates"))
        assert {name for name, each in found.items() if each["layer"] == "git"} == {"spikes", "traceback"}
        assert (found["spikes"]["file"], found["spikes"]["writable"]) == ("w/templates/spikes.yaml", False)
        assert (await served.get("/api/templates/traceback"))["yaml"] == TEXT
        assert (await served.http.delete("/api/templates/spikes")).status_code == 409
        repository.commit({"w/templates/spikes.yaml": None})
        (repository.path / "w/templates").mkdir(exist_ok=True)
        (repository.path / "w/templates/loose.yaml").write_text(text)  # that nobody committed
        await served.look()
        found = by_id(await served.get("/api/templates"))
        assert {name for name, each in found.items() if each["layer"] == "git"} == {"traceback"}


async def test_a_later_layers_file_replaces_one_of_that_name_and_a_bad_one_says_why(served: Served) -> None:
    folder = served.house.watchers / "templates"
    folder.mkdir()
    (folder / "loss-tracker.yaml").write_text("# category: Team\n# Tags: a, b, a\n" + TEXT)
    (folder / "bad.yaml").write_text("name: Bad\npattern: (\n")
    (folder / "two.yaml").write_text(f"{TEXT}---\n{TEXT.replace('Spikes', 'More')}")
    (folder / "x.test.yaml").write_text("tests: []\n")
    (folder / ".hidden.yaml").write_text(TEXT)
    os.mkfifo(folder / "pipe.yaml")
    found = by_id(await served.get("/api/templates"))
    team = found["loss-tracker"]
    assert (team["layer"], team["category"], team["tags"], team["name"]) == ("directory", "Team", ["a", "b"], "Spikes")
    assert found["bad"]["errors"][0]["message"]
    assert found["bad"]["category"] == "Other"
    assert found["two"]["errors"][0]["message"] == "it holds several watchers"
    assert not {"x.test", ".hidden", "pipe"} & found.keys()
    assert (await served.get("/api/templates/bad"))["spec"] == {}
    await served.look()
    assert (await served.get("/api/watchers"))["total"] == 0


async def test_what_is_no_template_is_not_found(served: Served) -> None:
    for name, status in (("nothing", 404), ("..%2fx", 404), ("%2e%2e", 422), (".hidden", 422), ("a" * 200, 422)):
        answer = await served.http.get(f"/api/templates/{name}")
        assert answer.status_code == status, name


# --- saving ----------------------------------------------------------------------------------------------------------


async def test_a_text_is_kept_with_its_comments_and_comes_back(served: Served) -> None:
    made = await kept(served, yaml=TEXT, category="Training", tags=["loss", "metric"])
    assert (made["id"], made["layer"], made["writable"]) == ("spikes", "api", True)
    assert (made["category"], made["tags"]) == ("Training", ["loss", "metric"])
    path = Path(made["file"])
    assert path.read_text() == f"# category: Training\n# tags: loss, metric\n{TEXT}"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parts[-3:] == ("api.d", "templates", "spikes.yaml")
    assert made["yaml"] == TEXT
    assert (await served.get("/api/watchers"))["total"] == 0
    await kept(served, 409, yaml=TEXT)
    again = await kept(served, yaml=TEXT.replace("ours", "new"), replace=True)
    assert again["category"] == "Other"
    assert (await served.http.delete("/api/templates/spikes")).status_code == 204
    assert (await served.http.get("/api/templates/spikes")).status_code == 404
    assert (await served.http.delete("/api/templates/loss-tracker")).status_code == 409


async def test_a_watcher_is_kept_without_its_job(served: Served) -> None:
    served.jobs.add("1")
    await served.look()
    made = await served.create("Loss", jobs=None)
    template = await kept(served, watcher_id=made["id"], name="Any loss", category="Training")
    assert template["name"] == "Any loss"
    assert "jobs" not in template["spec"]
    text = f"name: One\npattern: x\njobs: {{name: 'train*', user: ada}}\n{ACTIONS}\n---\n{TEXT}"
    (served.house.watchers / "both.yaml").write_text(text)
    await served.look()
    spikes = await kept(served, watcher_id=served.house.row("Spikes").id)
    assert "name: Spikes\n" in spikes["yaml"]
    assert "One" not in spikes["yaml"]
    one = await kept(served, watcher_id=served.house.row("One").id)
    assert one["spec"]["jobs"] == {"name": ["train*"], "user": ["ada"]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"yaml": TEXT, "watcher_id": 1}, 422),
        ({"watcher_id": 999}, 404),
        ({"yaml": "name: x\n"}, 422),
        ({"yaml": TEXT + "---\n" + TEXT.replace("Spikes", "More")}, 422),
        ({"yaml": TEXT, "category": "a\nname: evil"}, 422),
        ({"yaml": TEXT, "tags": ["a\u2028b"]}, 422),
        ({"yaml": TEXT, "name": "a\nb"}, 422),
    ],
)
async def test_what_is_no_single_valid_watcher_is_not_kept(served: Served, body: dict[str, Any], status: int) -> None:
    await kept(served, status, **body)
    found = await served.get("/api/templates")
    assert {each["layer"] for each in found["templates"]} == {"package"}


async def test_names_make_no_paths(served: Served) -> None:
    for name, file in (("../../etc/x", "etc-x.yaml"), ("a/b\\c:d", "a-b-c-d.yaml"), ("日本", "template.yaml")):
        made = await kept(served, yaml=TEXT, name=name, replace=True)
        assert Path(made["file"]).name == file == file_name(name)
        assert Path(made["file"]).parent.name == "templates"


async def test_the_limits_of_watchers_hold_for_templates(tmp_path: Path) -> None:
    house = House(tmp_path, policy={"actions": {"api": ["log_event"]}})
    house.scheduler = Jobs(house.outputs)
    cancel = TEXT.replace("log_event", "cancel_job").replace("{message: $loss}", "{reason: no}")
    async with serving(house) as served:
        assert (await kept(served, 403, yaml=cancel))["code"] == "actions"
        _, token = served.keyring.create("few", Scope.WRITE, served.engine.parts.clock.now(), actions=("store_metric",))
        async with served.client(token) as few:
            assert (await few.post("/api/templates", json={"yaml": TEXT})).status_code == 403
        async with served.client(served.keys["read"]) as reader:
            assert (await reader.post("/api/templates", json={"yaml": TEXT})).status_code == 403
            assert (await reader.get("/api/templates")).status_code == 200
        await served.post("/api/templates", {"yaml": TEXT})
        told = await served.get("/api/watchers/events", type="reconciler.api.written.v1")
        assert told["events"][0]["data"]["request"] == "saved the template"


# --- the text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["", "# note\n", "\n# a\n\n# b\n"])
def test_category_and_tags_are_comments_that_come_out_as_they_went_in(head: str) -> None:
    body = f"{head}name: x  # tags: none\n# category: not here\npattern: y\n".lstrip("\n")
    found = take_apart(put_together("A: b", ["c", "d e"], body))
    assert (found.category, found.tags, found.body) == ("A: b", ("c", "d e"), body)
    assert take_apart(body).category == ""
    assert put_together("", [], put_together("A", ["b"], body)) == body
