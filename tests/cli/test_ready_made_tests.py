"""Every watcher that comes with the program has tests beside it, with lines that trigger it and lines that do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from reconciler.cli import main
from reconciler.sources.files import accepted

FOLDER = Path(__file__).parents[2] / "watchers.d"
FOLDERS = (FOLDER, FOLDER / "examples")
WATCHERS = [path for folder in FOLDERS for path in sorted(folder.iterdir()) if accepted(path.name)]


def test_all_tests_pass_and_no_watcher_is_without(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["test", *map(str, FOLDERS), "-o", "json"])
    told = json.loads(capsys.readouterr().out)
    assert [test for test in told["tests"] if test["result"] != "ok"] == []
    assert (status, told["failed"], told["untested"]) == (0, 0, [])
    assert len({test["watcher"] for test in told["tests"]}) == len(WATCHERS)


@pytest.mark.parametrize("path", WATCHERS, ids=lambda path: path.name)
def test_a_watcher_is_shown_what_triggers_it_and_what_does_not(path: Path) -> None:
    tests = YAML(typ="safe").load(path.with_suffix(".test.yaml"))["tests"]
    expected = [test["expect"] for test in tests]
    assert any(each.get("triggers", 0) > 0 or each.get("matches") or each.get("actions") for each in expected)
    assert any(each.get("triggers") == 0 for each in expected) or path.name == "gpu-memory.yaml"  # that one records all


def test_tests_are_no_watchers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("nan-guard.yaml", "nan-guard.test.yaml"):
        (tmp_path / name).write_bytes((FOLDER / "examples" / name).read_bytes())
    assert main(["validate", str(tmp_path), "-o", "json"]) == 0
    capsys.readouterr()
    (tmp_path / "nan-guard.yaml").unlink()
    assert main(["plan", str(tmp_path), "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["changes"], told["problems"]) == ([], [])
