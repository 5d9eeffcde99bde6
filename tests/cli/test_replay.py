"""`reconcile replay`: finished outputs, the production matcher, no effect."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler import app
from reconciler.cli import main
from reconciler.spec.canonical import to_json

LOSS = """\
name: Loss
pattern: 'loss: ([\\d.]+)'
captures: [loss]
condition: "float(loss) > 1"
actions:
  - type: log_event
    params: {message: "$loss of ${JOB_NAME}"}
  - type: cancel_job
    condition: "float(loss) > 2"
---
name: Both
patterns: {all: [loss, end]}
actions:
  - type: log_event
    params: {message: both}
"""


@pytest.fixture
def watchers(tmp_path: Path) -> Path:
    """A file with two watchers."""
    path = tmp_path / "w.yaml"
    path.write_text(LOSS)
    return path


def test_watchers_that_cannot_be_read_are_problems_with_their_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "w"
    folder.mkdir()
    (folder / "gone.yaml").symlink_to("nowhere")
    assert main(["replay", "--watchers", str(folder), "-"]) == 4
    assert f"{folder}/gone.yaml: error[unreadable] the file cannot be read: No such file" in capsys.readouterr().err
    assert main(["replay", "--watchers", "/dev/zero", "-"]) == 4
    assert "/dev/zero: error[file-too-large]" in capsys.readouterr().err


def replayed(capfdbinary: pytest.CaptureFixture[bytes], *words: str) -> list[dict[str, Any]]:
    """Return the objects that a replay prints."""
    assert main(["replay", *words, "-o", "jsonl"]) == 0
    return [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]


def test_each_match_is_one_object_with_its_place_its_condition_and_what_would_be_done(
    watchers: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    output = tmp_path / "job.out"
    output.write_bytes(b"loss: 0.5\nx\xff\nloss: 1.5\rloss: 3")
    found = replayed(capfdbinary, "--watchers", str(watchers), "--only", "Loss", str(output))
    assert [(f["line"], f["offset"], f["matched_text"]) for f in found] == [
        (1, 0, "loss: 0.5"),
        (3, 13, "loss: 1.5"),
        (4, 23, "loss: 3"),
    ]
    assert [f["condition"] for f in found] == [False, True, True]
    assert found[1]["captures"] == {"1": "1.5", "loss": "1.5"}
    assert found[1]["actions"] == [{"type": "log_event", "params": {"message": "1.5 of job"}}]
    assert [action["type"] for action in found[2]["actions"]] == ["log_event", "cancel_job"]
    assert {f["file"] for f in found} == {str(output)}


def test_of_all_patterns_the_match_that_completes_the_set_counts(
    watchers: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    output = tmp_path / "job.out"
    output.write_text("loss\nloss\nend\nloss\nend\n")
    found = replayed(capfdbinary, "--watchers", str(watchers), "--only", "Both", str(output))
    assert [f["line"] for f in found] == [3, 5]


def test_a_summary_says_how_often_each_watcher_would_have_fired(
    watchers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.out", "b.out"):
        (tmp_path / name).write_text("loss: 0.5\nloss: 1.5\n")
    assert main(["replay", "--watchers", str(tmp_path), str(tmp_path / "a.out"), str(tmp_path / "b.out")]) == 0
    told = capsys.readouterr().out
    assert "would have fired 2 times on 2 outputs" in told


def test_standard_input_is_an_output_too(
    watchers: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"loss: 7\n")))
    found = replayed(capfdbinary, "--watchers", str(watchers), "--only", "Loss", "-")
    assert [f["matched_text"] for f in found] == ["loss: 7"]


def test_a_value_that_is_no_number_is_told_and_fires_nothing(
    watchers: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    output = tmp_path / "job.out"
    output.write_text("loss: 1.2.3\n")
    (found,) = replayed(capfdbinary, "--watchers", str(watchers), "--only", "Loss", str(output))
    assert found["condition"].startswith("error: ")


@pytest.mark.parametrize(
    ("words", "status"),
    [(["--only", "Nobody", "job.out"], 64), (["nowhere.out"], 64), (["--watchers", "bad.yaml", "job.out"], 4)],
)
def test_what_cannot_be_replayed_is_said(
    words: list[str], status: int, watchers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("job.out").touch()
    Path("bad.yaml").write_text("name: x\n")
    assert main(["replay", "--watchers", str(watchers), *words]) == status


def test_a_replay_imports_what_its_watchers_need_and_no_more(watchers: Path, tmp_path: Path) -> None:
    (tmp_path / "job.out").write_text("loss: 3\n")
    program = (
        "import sys\n"
        "from reconciler.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "names = ('asyncio', 'asyncssh', 'sqlmodel', 'sqlalchemy', 'sqlite3', 'reconciler.engine.committing')\n"
        "actions = [m.rpartition('.')[2] for m in sys.modules if m.startswith('reconciler.actions.')]\n"
        "print(code, [m for m in names if m in sys.modules], sorted(m for m in actions if m[0] != '_'))\n"
    )
    words = [sys.executable, "-c", program, "replay", "--watchers", str(watchers), str(tmp_path / "job.out")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "0 [] ['cancel_job', 'log_event']"


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "watchers.d").rglob("[!.]*.yaml")), ids=str)
def test_what_is_read_leanly_is_what_is_read(path: Path) -> None:
    lean, full = (app.parse(path.read_bytes(), path.name, lean=each) for each in (True, False))
    assert [to_json(each.spec) for each in lean.specs] == [to_json(each.spec) for each in full.specs]
    assert lean.problems == full.problems


@pytest.mark.parametrize("kind", ["log_evnt", "touch_flag", 'log_event", "x'])
def test_what_is_wrong_is_told_as_ever_where_it_is_read_leanly(kind: str) -> None:
    text = LOSS.replace("type: cancel_job", f'type: "{kind}"').encode()
    assert app.parse(text, "w.yaml", lean=True).problems == app.parse(text, "w.yaml").problems != ()
