"""The watchers that come with the program load without a word; the described ones as they were described."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler import app
from reconciler.cli import main
from reconciler.logic.lint import warnings
from reconciler.logic.selecting import DANGEROUS
from reconciler.spec.load import LocatedSpec

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "watchers.d"
TOP = sorted(path for path in FOLDER.glob("*.yaml") if ".test." not in path.name)
EXAMPLES = sorted(path for path in (FOLDER / "examples").glob("*.yaml") if ".test." not in path.name)

#: The examples under "Common Use Cases" of the description this program was made from, character for character.
DESCRIBED = {
    "training-loss-tracker.yaml": r'''
name: "Training Loss Tracker"
pattern: "Epoch \\d+, Loss: ([\\d.]+)"
captures: ["loss"]
interval_seconds: 10
actions:
  - type: store_metric
    params:
      name: "train_loss"
      value: "$loss"
  - type: log_event
    params:
      message: "Training loss: $loss"
''',
    "cuda-oom.yaml": r'''
name: "CUDA OOM Error Handler"
pattern: "(CUDA out of memory|OutOfMemoryError)"
captures: ["error"]
max_triggers: 1
actions:
  - type: log_event
    params:
      message: "CUDA OOM detected: $error"
  - type: cancel_job
    params:
      reason: "CUDA out of memory"
  - type: notify_email
    params:
      subject: "Job ${JOB_ID} cancelled - CUDA OOM"
      message: "Error: $error"
''',
    "periodic-checkpoint.yaml": r'''
name: "Periodic Checkpoint"
pattern: "Model initialized"
timer_mode_enabled: true
timer_interval_seconds: 300  # Every 5 minutes
actions:
  - type: run_command
    params:
      command: "cp -r ./checkpoints ./backups/checkpoint_$(date +%s)"
''',
    "gpu-memory-alert.yaml": r'''
name: "GPU Memory Alert"
pattern: "GPU (\\d+): (\\d+)MB / (\\d+)MB"
captures: ["gpu_id", "used", "total"]
condition: "float(used) / float(total) > 0.9"
interval_seconds: 60
actions:
  - type: log_event
    params:
      message: "GPU $gpu_id memory high: $used/$total MB"
  - type: notify_email
    params:
      subject: "High GPU memory usage"
''',
    "accuracy-milestones.yaml": r'''
name: "Accuracy Milestones"
pattern: "Val Accuracy: ([\\d.]+)"
captures: ["accuracy"]
condition: "float(accuracy) >= 0.95"
max_triggers: 1
actions:
  - type: log_event
    params:
      message: "🎉 Reached 95% accuracy: $accuracy"
  - type: run_command
    params:
      command: "cp best_model.pt milestones/model_95pct.pt"
  - type: pause_watcher
''',
}  # fmt: skip


def loaded(content: bytes, path: str) -> LocatedSpec:
    found = app.parse(content, path)
    assert found.problems == ()
    assert warnings(found.specs[0], path) == []
    return found.specs[0]


@pytest.mark.parametrize("name", DESCRIBED)
def test_the_described_examples_load_as_they_stand_and_are_those_in_the_folder(name: str) -> None:
    described = loaded(DESCRIBED[name].encode(), name).spec
    assert described == loaded((FOLDER / "examples" / name).read_bytes(), name).spec


@pytest.mark.parametrize("path", TOP + EXAMPLES, ids=lambda path: path.name)
def test_a_ready_made_watcher_loads_without_a_word(path: Path) -> None:
    loaded(path.read_bytes(), str(path))


@pytest.mark.parametrize("path", TOP, ids=lambda path: path.name)
def test_what_stands_at_the_top_only_records(path: Path) -> None:
    types = {action.type for action in loaded(path.read_bytes(), str(path)).spec.actions}
    assert types <= {"log_event", "store_metric"}


def test_what_can_destroy_stands_in_examples() -> None:
    types = {action.type for path in EXAMPLES for action in loaded(path.read_bytes(), str(path)).spec.actions}
    assert types >= {"cancel_job", "resubmit", "signal_job", "run_command"}
    assert types & DANGEROUS


@pytest.mark.parametrize("path", TOP + EXAMPLES, ids=lambda path: path.name)
def test_an_editor_finds_the_schema_and_the_cookbook_tells_of_the_file(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    schema = lines[0].removeprefix("# yaml-language-server: $schema=")
    assert json.loads((path.parent / schema).resolve().read_text(encoding="utf-8"))["title"] == "Watchers"
    assert lines[1].startswith("# ")
    assert path.name in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_no_two_ready_made_watchers_have_one_name() -> None:
    names = [loaded(path.read_bytes(), str(path)).spec.name for path in TOP + EXAMPLES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "line", "captures"),
    [
        ("loss-tracker.yaml", "Epoch 3: train_loss=1.25e-3", {"loss": "1.25e-3"}),
        ("loss-tracker.yaml", "{'loss': 0.53, 'epoch': 1}", {"loss": "0.53"}),
        ("loss-tracker.yaml", "Loss 2.31 (2.40)", {"loss": "2.31"}),
        ("loss-tracker.yaml", "loss: nan", None),
        ("loss-tracker.yaml", "loss_scale: 1024", None),
        ("loss-tracker.yaml", "a loss of 3 dollars", None),
        ("gpu-memory.yaml", "GPU 0: 71234MiB / 81559MiB", {"gpu": "0", "used": "71234", "total": "81559"}),
        ("gpu-memory.yaml", "GPU 1: 10MB/80MB", {"gpu": "1", "used": "10", "total": "80"}),
        ("gpu-memory.yaml", "GPU 1: 40C", None),
    ],
)
def test_the_recorders_meet_what_frameworks_print(name: str, line: str, captures: dict[str, str] | None) -> None:
    import re

    (text,) = loaded((FOLDER / name).read_bytes(), name).spec.expressions()
    match = re.search(text, line, re.ASCII)
    assert (match.groupdict() if match else None) == captures


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.test.yaml")), ids=lambda path: path.name)
def test_the_tests_beside_them_pass_and_are_valid(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(path)]) == 0, capsys.readouterr().out
    assert main(["validate", str(path), "--strict"]) == 0


def test_every_recorder_has_tests_beside_it() -> None:
    assert [path.name for path in TOP if not path.with_suffix(".test.yaml").exists()] == []
