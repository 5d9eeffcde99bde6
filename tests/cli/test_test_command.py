"""`reconcile test`: what passes, what is said of what does not, its reports, and first tests from an output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import pytest

from reconciler.cli import main

WATCHER = """\
name: Loss
pattern: 'loss: (?P<loss>\\S+)'
output_type: both
actions:
  - type: store_metric
    params: {name: loss, value: $loss}
  - type: log_event
    needs: [0]
    params: {message: "${JOB_NAME}: $loss"}
  - type: notify
    on_failure: [0]
    params: {message: "no number: $loss"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with one watcher and no test."""
    (tmp_path / "loss.yaml").write_text(WATCHER)
    return tmp_path


def add(folder: Path, *tests: dict[str, Any], name: str = "loss.test.yaml", **more: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps({"tests": list(tests), **more}))
    return path


def a_test(output: str = "loss: 0.5\n", **expect: Any) -> dict[str, Any]:
    return {"name": "a test", "output": output, "expect": expect}


def difference(folder: Path, capsys: pytest.CaptureFixture[str], test: dict[str, Any]) -> str:
    """What is said of a test that fails, empty where it passes."""
    add(folder, test)
    status = main(["test", str(folder), "-o", "json"])
    (row,) = json.loads(capsys.readouterr().out)["tests"]
    assert (status, row["result"]) == ((1, "failed") if row["difference"] else (0, "ok"))
    return str(row["difference"])


# --- differences -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({}, ""),
        ({"triggers": 1}, ""),
        ({"triggers": 2}, "triggers: expected 2, got 1"),
        ({"state": "paused"}, "state: expected paused, got active"),
        ({"variables": {"loss": "0.5", "1": "0.5"}}, ""),
        ({"variables": {"los": "0.5"}}, "variable los: expected '0.5', got None"),
        ({"matches": [{"line": 1, "text": "loss: 0.5", "captures": {"loss": "0.5", "1": "0.5"}}]}, ""),
        ({"matches": [{"line": 2}]}, "match 1: line: expected 2, got 1"),
        (
            {"matches": []},
            "match list: expected 0, got 1; match not expected: text 'loss: 0.5', line 1, loss '0.5'",
        ),
        (
            {"matches": [{"line": 1}, {"line": 7}]},
            "match list: expected 2, got 1; match missing: line 7",
        ),
        (
            {"actions": [{"type": "log_event"}]},
            "action list: expected 1, got 2; action not expected: type 'store_metric', name 'loss', value '0.5'",
        ),
        ({"actions": [{"type": "store_metric"}, {"type": "log_event"}]}, ""),
        (
            {"actions": [{"type": "log_event"}, {"type": "log_event", "params": {"message": "test: 0.6"}}]},
            "action 1: type: expected 'log_event', got 'store_metric'; "
            "action 2: message: expected 'test: 0.6', got 'test: 0.5'",
        ),
    ],
)
def test_what_differs_is_said_and_what_is_not_asked_is_not_compared(
    folder: Path, capsys: pytest.CaptureFixture[str], expect: dict[str, Any], said: str
) -> None:
    assert difference(folder, capsys, a_test(**expect)) == said


def test_needs_and_on_failure_follow_what_became_of_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = [{"type": "store_metric"}, {"type": "notify", "params": {"message": "no number: nothing"}}]
    assert difference(folder, capsys, a_test("loss: nothing\n", actions=wanted)) == ""


def test_output_errors_job_and_file_are_what_the_watcher_sees(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "slurm-1.out").write_bytes(b"\xff\nloss: 1\rloss: 2")
    test = {
        "name": "both outputs",
        "file": "slurm-1.out",
        "errors": "loss: 3\n",
        "job": {"name": "train", "state": "failed"},
        "expect": {
            "matches": [{"line": 2}, {"line": 3, "captures": {"loss": "2"}}, {"line": 1, "captures": {"loss": "3"}}],
            "state": "completed",
        },
    }
    assert difference(folder, capsys, test) == ""


def test_a_timer_of_a_second_over_a_week_ends(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "loss.yaml").write_text(WATCHER + "timer_mode_enabled: true\ntimer_interval_seconds: 1\n")
    assert difference(folder, capsys, {**a_test(triggers=1001), "after": "7d"}) == ""


def test_people_are_told_each_difference_and_the_count(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(folder, a_test(triggers=2, state="paused"), {**a_test(triggers=1), "name": "another"})
    assert main(["test", str(folder)]) == 1
    said = capsys.readouterr()
    assert "triggers: expected 2, got 1 (and 1 more)" in said.out
    assert said.out.endswith("1 passed, 1 failed; 1 of 1 watchers\n")
    assert said.err == "  a test: triggers: expected 2, got 1\n  a test: state: expected paused, got active\n"


# --- which watcher ---------------------------------------------------------------------------------------------------


def test_of_several_watchers_the_test_says_which(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "loss.yaml").write_text(f"{WATCHER}---\n{WATCHER.replace('name: Loss', 'name: Other')}")
    assert difference(folder, capsys, {**a_test(triggers=1), "watcher": "Other"}) == ""
    assert difference(folder, capsys, a_test(triggers=1)) == "which watcher? name it with `watcher:`"
    assert difference(folder, capsys, {**a_test(), "watcher": "Nobody"}) == "there is no watcher 'Nobody'"


def test_watchers_without_a_test_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(folder, a_test(triggers=1))
    (folder / "b.yaml").write_text(WATCHER.replace("name: Loss", "name: B"))
    assert main(["test", str(folder)]) == 0
    said = capsys.readouterr()
    assert said.out.endswith("1 passed, 0 failed; 1 of 2 watchers\n")
    assert said.err == "without a test: B\n"
    assert main(["test", str(folder / "loss.yaml"), str(folder / "b.yaml"), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["untested"] == ["B"]


def test_a_test_file_may_name_the_watchers_it_tests(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = add(folder, a_test(triggers=1), name="more.test.yaml", watchers="loss.yaml")
    assert main(["test", str(path)]) == 0
    assert "1 passed" in capsys.readouterr().out


# --- wrong files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ("tests: []\n", "loss.test.yaml:1:"),
        ("tests:\n  - name: a\n    expect: {}\n    outptu: x\n", "loss.test.yaml:4:"),
        ("tests:\n  - name: a\n    expect: {triggers: -1}\n", "loss.test.yaml:3:"),
        ("tests:\n  - name: a\n    after: soon\n    expect: {}\n", "loss.test.yaml:3:"),
        ("tests: [\n", "loss.test.yaml:"),
        ("- \xe9\tx: {", "loss.test.yaml:"),
    ],
)
def test_a_wrong_test_file_is_said_with_its_place(
    folder: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    (folder / "loss.test.yaml").write_bytes(content.encode("latin-1"))
    assert main(["test", str(folder)]) == 4
    assert said in capsys.readouterr().err


def test_a_watcher_that_does_not_load_is_said_with_its_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(folder, a_test())
    (folder / "loss.yaml").write_text(WATCHER.replace("pattern", "patern"))
    assert main(["test", str(folder)]) == 4
    assert "loss.yaml:2:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tests", "more", "said"),
    [
        ({"name": "a", "file": "gone.out", "expect": {}}, {}, "there is no gone.out"),
        ({"name": "a", "file": "../outside.out", "expect": {}}, {}, "outside of its directory"),
        ({"name": "a", "file": "/etc/hostname", "expect": {}}, {}, "outside of its directory"),
        ({"name": "a", "expect": {}}, {"watchers": "gone.yaml"}, "gone.yaml to test"),
    ],
)
def test_what_is_not_there_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], tests: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    add(folder, tests, **more)
    assert main(["test", str(folder)]) == 64
    assert said in capsys.readouterr().err


def test_a_directory_without_tests_is_told_and_no_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(folder)]) == 0
    shown = capsys.readouterr()
    assert "there is no *.test.yaml here" in shown.err
    assert "0 passed, 0 failed; 0 of 1 watchers" in shown.out
    assert main(["test", str(folder / "loss.yaml")]) == 64  # named, and nothing stands beside it


def test_a_file_that_cannot_be_used_stops_no_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(folder, a_test())
    (folder / "a.test.yaml").write_text("tests: [\n")
    (folder / "b.test.yaml").write_text(json.dumps({"watchers": "gone.yaml", "tests": [a_test()]}))
    (folder / "bad.yaml").write_text("name: bad\npatern: x\n")
    report = folder / "report.xml"
    assert main(["test", str(folder), "--junit", str(report)]) == 64
    shown = capsys.readouterr()
    assert "1 passed, 3 failed; 1 of 1 watchers" in shown.out
    for said in ("a.test.yaml:2:", "gone.yaml to test", "bad.yaml:2:1: error[unknown-key]"):
        assert said in shown.err
    (suite,) = xml.fromstring(report.read_bytes())
    assert (suite.get("tests"), suite.get("failures")) == ("4", "3")
    (folder / "b.test.yaml").unlink()
    assert main(["test", str(folder), "-o", "json"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert [(Path(row["file"]).name, row["result"]) for row in told["tests"]] == [
        ("a.test.yaml", "failed"), ("loss.test.yaml", "ok"), ("bad.yaml", "failed"),
    ]  # fmt: skip


# --- reports ---------------------------------------------------------------------------------------------------------


def test_a_report_that_cannot_be_written_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(folder, a_test())
    report = folder / "nowhere" / "report.xml"
    assert main(["test", str(folder), "--junit", str(report)]) == 64
    assert f"error: {report} cannot be written: No such file or directory" in capsys.readouterr().err


def test_a_junit_report_says_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = {**a_test("loss: \x07\n", variables={"loss": "\x1b<&>"}), "name": "odd \x1b ]]>"}
    add(folder, a_test(triggers=1), odd)
    report = folder / "report.xml"
    assert main(["test", str(folder), "--junit", str(report)]) == 1
    root = xml.fromstring(report.read_bytes())
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    good, bad = suite
    assert (good.get("name"), good.get("classname"), len(good)) == ("a test", str(folder / "loss.test.yaml"), 0)
    assert bad.get("name") == "odd \\x1b ]]>"
    assert "variable loss: expected '\\x1b<&>'" in (bad[0].text or "")


def test_a_first_test_of_an_output_passes_as_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = folder / "slurm-7.out"
    log.write_text("".join(f"epoch {n}\nloss: 0.{n}\n" for n in range(1, 4)))
    assert main(["test", str(folder / "loss.yaml"), "--from-log", str(log)]) == 0
    text = capsys.readouterr().out
    (folder / "loss.test.yaml").write_text(text)
    assert text.startswith("# Copy slurm-7.out beside this file")
    assert "message: 'test: 0.3'" in text  # what its actions would say
    assert main(["test", str(folder)]) == 0
    assert "1 passed, 0 failed" in capsys.readouterr().out
    log.write_text("loss: 0.1\n")
    assert main(["test", str(folder)]) == 1


def test_a_first_test_wants_one_file_of_watchers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = folder / "slurm-7.out"
    log.write_text("loss: 0.5\n")
    assert main(["test", str(folder), "--from-log", str(log)]) == 64
    assert "is no file of watchers" in capsys.readouterr().err


def test_a_first_test_of_a_long_output_stays_short(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = folder / "slurm-7.out"
    log.write_text("loss: 0.5\n" * 5000)
    assert main(["test", str(folder / "loss.yaml"), "--from-log", str(log)]) == 0
    text = capsys.readouterr().out
    assert len(text) < 1000
    (folder / "loss.test.yaml").write_text(text)
    assert main(["test", str(folder)]) == 0
