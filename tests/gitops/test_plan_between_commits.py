"""`plan --from --to`: what differs between commits, without a state, a host or settings; and the shape of a plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from parts.house import House
from parts.repository import Repository, a_file

from reconciler.cli import main
from reconciler.cli.schema import makers
from reconciler.settings import Settings


@pytest.fixture
def there(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    repository.commit(
        {"w/a.yaml": a_file("a"), "w/b.yaml": a_file("b"), "w/c.yaml": a_file("c"), "other/x.yaml": a_file("x")}
    )
    repository.git("tag", "first")
    monkeypatch.chdir(repository.path)
    return repository


def planned(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    assert main(["plan", *words, "-o", "json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    check(found)
    return found


def check(document: Any) -> None:
    jsonschema_rs.validator_for(json.loads(makers()["plan"]())).validate(document)


def changes(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(row["change"], row["watcher"], row["where"]) for row in document["changes"]]


def test_each_difference_is_one_change_with_its_place_and_reason(
    there: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = a_file("c, renamed").replace("pattern", "renamed_from: c\npattern")
    there.commit(
        {"w/a.yaml": a_file("a", "other"), "w/b.yaml": None, "w/c.yaml": renamed, "w/d.yaml": "\n" + a_file("d"),
         "other/x.yaml": None}
    )  # fmt: skip
    commit = there.git("rev-parse", "HEAD")
    found = planned(capsys, "--from", "first", "--to", "HEAD", "w")
    assert changes(found) == [
        ("update", "a", "w/a.yaml:1"),
        ("stop", "b", "w/b.yaml:1"),
        ("replace", "c, renamed", "w/c.yaml:1"),
        ("create", "d", "w/d.yaml:2"),
    ]
    by_name = {row["watcher"]: row for row in found["changes"]}
    assert by_name["a"]["fields"] == [{"path": "pattern", "old": "hit", "new": "other"}]
    assert {row["commit"] for row in found["changes"] if row["change"] != "stop"} == {commit}
    assert by_name["b"]["reason"] == f"deleted in {commit[:12]}"
    assert found["summary"] == {"create": 1, "replace": 1, "stop": 1, "update": 1}


def test_without_an_end_it_is_the_files_as_they_are(there: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    (there.path / "w/a.yaml").unlink()
    (there.path / "w/e.yaml").write_text(a_file("e"))
    found = planned(capsys, "--from", "HEAD", "w")
    assert changes(found) == [("stop", "a", "w/a.yaml:1"), ("create", "e", "w/e.yaml:1")]


def test_nothing_differs_between_a_commit_and_itself(there: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    assert planned(capsys, "--from", "first", "--to", "HEAD", "w")["changes"] == []
    assert planned(capsys, "--from", "first", "--to", "HEAD", "w", "--detailed-exitcode")["changes"] == []


def test_pending_changes_have_their_exit_status(there: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    there.commit({"w/a.yaml": None})
    assert len(planned(capsys, "--from", "first", "w", "--detailed-exitcode", code=2)["changes"]) == 1


def test_a_file_that_became_bad_is_told_and_its_watchers_are_no_change(
    there: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    there.commit({"w/a.yaml": "name: a\npatern: x\n", "w/b.yaml": None})
    found = planned(capsys, "--from", "first", "--to", "main", "w", code=4)
    assert changes(found) == [("stop", "b", "w/b.yaml:1")]
    assert {(p["file"], p["line"]) for p in found["problems"]} >= {("w/a.yaml", 2)}


def test_a_folder_that_came_or_went_is_all_new_or_all_gone(
    there: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    there.commit({"other/x.yaml": None, "new/y.yaml": a_file("y")})
    assert changes(planned(capsys, "--from", "first", "--to", "main", "other")) == [("stop", "x", "other/x.yaml:1")]
    assert changes(planned(capsys, "--from", "first", "--to", "main", "new")) == [("create", "y", "new/y.yaml:1")]


def test_of_two_folders_the_later_replaces_files(there: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    there.commit({"other/a.yaml": a_file("a", "above")})
    found = planned(capsys, "--from", "first", "--to", "main", "w", "other")
    assert changes(found) == [("update", "a", "other/a.yaml:1")]


def test_a_watcher_that_moved_to_another_file_is_no_change(
    there: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    there.git("mv", "w/a.yaml", "w/z.yaml")
    there.commit({})
    assert planned(capsys, "--from", "first", "--to", "main", "w")["changes"] == []


def test_a_bare_repository_is_read_by_its_path(
    there: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there.commit({"w/a.yaml": None})
    bare = there.bare(tmp_path / "bare.git")
    found = planned(capsys, "--from", "main~1", "--to", "main", "--repo", str(bare), "w")
    assert changes(found) == [("stop", "a", "w/a.yaml:1")]


def test_a_comment_on_a_pull_request_can_be_made_of_it(there: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    there.commit({"w/a.yaml": a_file("a", "o | <b>@all"), "w/d.yaml": a_file("d`*|")})
    assert main(["plan", "--from", "first", "--to", "main", "w", "-o", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "|---|---|---|---|---|---|"
    assert "| ~ | update | a |  | w/a.yaml:1 | its spec was edited |" in lines
    assert r"| + | create | d\`\*\| |  | w/d.yaml:1 | new |" in lines
    assert main(["plan", "--from", "first", "--to", "main", "w", "-o", "github"]) == 0
    assert "::notice file=w/a.yaml,line=1,title=plan::update a: its spec was edited" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--to", "main"], 64),
        (["--from", "--output=/tmp/x"], 64),
        (["--from", "nowhere"], 4),
        (["--from", "first", "--to", "nowhere"], 4),
        (["--from", "first", "--repo", "."], 64),
        (["--from", "first", "--out", "plan.json"], 64),
        (["--from", "first", "/"], 64),
    ],
)
def test_what_cannot_be_compared_is_refused(words: list[str], code: int, there: Repository) -> None:
    assert main(["plan", *words]) == code


# --- the shape of a plan ---------------------------------------------------------------------------------------------


async def test_a_plan_over_jobs_has_the_shape_that_the_schema_says(house: House) -> None:
    house.write("a")
    await house.submit("sleep 60", wait=False)
    assert house.run(str(house.watchers), "--once").returncode == 0
    house.run("suspend", "a", "--reason", "why", "--for", "1h")
    house.write("a", pattern="edited", max_triggers=3)
    (house.watchers / "bad.yaml").write_text("name: x\npatern: y\n")
    told = house.run("plan", str(house.watchers), "-o", "json", "--out", "saved.json")
    assert told.returncode == 4
    document = json.loads(told.stdout)
    check(document)
    fields = {field["path"]: (field["old"], field["new"]) for field in document["changes"][0]["fields"]}
    assert fields == {"pattern": ("hit", "edited"), "max_triggers": (None, 3)}
    assert (document["drift"][0]["reason"], len(document["problems"]) > 0) == ("why", True)
    saved = json.loads((house.home / "saved.json").read_text())
    check(saved)
    assert saved == {**document, "directories": [str(house.watchers)]}
    await house.cancel_all()


def test_a_plan_cannot_be_saved_where_nothing_can_be_written(house: House) -> None:
    house.write("a")
    assert isinstance(house.settings, Settings)
    told = house.run("plan", str(house.watchers), "--out", "/proc/nowhere/plan.json")
    assert told.returncode == 64
    assert "cannot be written" in told.stderr


@pytest.mark.parametrize("words", [["--to", "HEAD"], []], ids=["two commits", "the files as they are"])
def test_a_folder_that_is_at_neither_revision_is_mistyped(
    words: list[str], there: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--from", "first", *words, "watchres.d"]) == 64
    assert "there is no folder 'watchres.d', then or now" in capsys.readouterr().err
    there.commit({f"w/{name}.yaml": None for name in "abc"})
    assert [change for change, *_ in changes(planned(capsys, "--from", "first", *words, "w"))] == ["stop"] * 3


def test_a_folder_that_is_named_twice_hides_nothing_of_itself(
    there: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    there.commit({"w/a.yaml": None})
    assert changes(planned(capsys, "--from", "first", "w", "./w")) == [("stop", "a", "w/a.yaml:1")]
