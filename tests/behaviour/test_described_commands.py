"""The commands of the description really run: in a local job's directory, by the program as a user starts it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from parts.house import House

FOLDER = Path(__file__).parents[2] / "watchers.d" / "examples"
SAVE_BEST: dict[str, Any] = {
    "pattern": r"Epoch \d+, Loss: ([\d.]+)",
    "captures": ["loss"],
    "condition": "float(loss) < 0.1",
    "actions": [{"type": "run_command", "params": {"command": "cp model.pt checkpoints/model_loss_$loss.pt"}}],
}


@pytest.fixture
def workdir(house: House) -> Path:
    """The directory in which `reconcile run` starts its job."""
    for folder in ("checkpoints", "backups", "milestones"):
        (house.home / folder).mkdir()
    for model in ("model.pt", "best_model.pt", "checkpoints/step_1.pt"):
        (house.home / model).write_text(f"weights of {model}")
    return house.home


def watched(house: House, *lines: str) -> list[str]:
    """Let a job print these lines, make one pass, and return what the commands came to."""
    ran = house.run("run", "--wait", "--", "printf", "%s\\n", *lines)
    assert ran.returncode == 0, ran.stderr
    passed = house.run("--once", str(house.watchers))
    assert passed.returncode == 0, passed.stderr
    told = house.events("action.succeeded", "action.failed", "action.refused")
    return [event.type.split(".")[2] for event in told if event.action_type == "run_command"]


def test_a_model_is_copied_under_the_name_of_its_loss(house: House, workdir: Path) -> None:
    house.write("Save best", **SAVE_BEST)
    assert watched(house, "Epoch 1, Loss: 0.5", "Epoch 2, Loss: 0.05", "Epoch 3, Loss: 0.04") == ["succeeded"] * 2
    made = sorted(path.name for path in (workdir / "checkpoints").iterdir())
    assert made == ["model_loss_0.04.pt", "model_loss_0.05.pt", "step_1.pt"]
    assert (workdir / "checkpoints" / "model_loss_0.05.pt").read_text() == "weights of model.pt"


def test_checkpoints_are_copied_under_the_time(house: House, workdir: Path) -> None:
    (house.watchers / "periodic.yaml").write_bytes((FOLDER / "periodic-checkpoint.yaml").read_bytes())
    assert watched(house, "Model initialized") == ["succeeded"]
    (made,) = (workdir / "backups").iterdir()
    assert re.fullmatch(r"checkpoint_\d{10}", made.name)
    assert (made / "step_1.pt").read_text() == "weights of checkpoints/step_1.pt"


def test_the_first_model_above_the_bar_is_kept(house: House, workdir: Path) -> None:
    (house.watchers / "milestones.yaml").write_bytes((FOLDER / "accuracy-milestones.yaml").read_bytes())
    assert watched(house, "Val Accuracy: 0.91", "Val Accuracy: 0.951", "Val Accuracy: 0.96") == ["succeeded"]
    assert (workdir / "milestones" / "model_95pct.pt").read_text() == "weights of best_model.pt"
    assert house.row("Accuracy Milestones").trigger_count == 1


def test_a_captured_value_that_leads_out_of_the_directory_copies_nothing(house: House, workdir: Path) -> None:
    house.write("Save best", **{**SAVE_BEST, "pattern": r"Loss: (\S+)", "condition": None})
    ran = house.run("run", "--wait", "--", "echo", "Loss: /../../../x")
    assert ran.returncode == 0
    assert house.run("--once", str(house.watchers)).returncode == 7
    (event,) = house.events("action.refused")
    assert event.action_type == "run_command"
    assert sorted(path.name for path in (workdir / "checkpoints").iterdir()) == ["step_1.pt"]
