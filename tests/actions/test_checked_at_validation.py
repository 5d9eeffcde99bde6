"""What the settings forbid is told when a file is checked, with its place, and what nobody could allow is an error."""

from __future__ import annotations

import pytest

from reconciler import app
from reconciler.settings import Settings

HEAD = b"name: a\npattern: 'loss: (.+)'\ncaptures: [loss]\nactions:\n"


def warnings(
    yaml: bytes, settings: Settings, source: str = "directory:", pattern: str = "loss: (.+)"
) -> list[tuple[int, str]]:
    loaded = app.parse(HEAD.replace(b"loss: (.+)", pattern.encode()) + yaml, "a.yaml")
    assert loaded.problems == ()
    (located,) = loaded.specs
    return [(problem.line, problem.message) for problem in app.policy_warnings(settings, located, "a.yaml", source)]


def test_a_line_that_no_settings_could_allow_is_an_error_with_its_place() -> None:
    loaded = app.parse(HEAD + b"  - type: run_command\n    params: {command: 'ls & rm x'}\n", "a.yaml")
    assert loaded.specs == ()
    (problem,) = loaded.problems
    assert (problem.line, problem.severity) == (6, "error")
    assert "'&'" in problem.message


def test_what_these_settings_forbid_is_a_warning_with_its_place() -> None:
    yaml = b"  - type: log_event\n    params: {message: x}\n  - type: run_command\n    params: {command: lsof}\n"
    assert warnings(yaml, Settings()) == [(7, "'lsof' is not among the allowed commands")]
    wider = Settings(actions={"run_command": {"commands": ["lsof"]}})
    assert warnings(yaml, wider) == []
    assert "runs code" in warnings(yaml, wider, "git:x")[0][1]


@pytest.mark.parametrize(
    ("pattern", "word", "told"),
    [
        (r"loss: (\S+)", "$loss", True),
        (r"loss: (\S+)", "${1}", True),
        (r"loss: (\S+)", "$0", True),
        (r"loss: (\S+)", "--loss=$loss", False),
        (r"loss: ([\d.]+)", "$loss", False),
        (r"loss: (-?\d+(?:\.\d+)?(?:e-?\d+)?)", "$1", False),
        (r"loss: (\d+|none)", "$loss", True),
        (r"loss: (\S+)", "$JOB_ID", False),
    ],
)
def test_a_value_that_an_unknown_module_may_not_get_is_a_warning(pattern: str, word: str, told: bool) -> None:
    yaml = f"  - type: run_command\n    params: {{command: 'python -m launcher {word}'}}\n".encode()
    found = warnings(yaml, Settings(), pattern=pattern)
    assert [line for line, _ in found] == ([5] if told else [])
    assert all("where a value is no number" in message and "write --NAME=VALUE" in message for _, message in found)
    assert warnings(yaml.replace(b"-m launcher", b"launcher.py"), Settings(), pattern=pattern) == []


def test_of_several_patterns_each_must_give_a_number() -> None:
    head = b"name: a\npatterns: {any: ['loss: (\\d+)', 'loss: (.+)']}\ncaptures: [loss]\nactions:\n"
    action = b"  - type: run_command\n    params: {command: 'python -m launcher $loss'}\n"
    (located,) = app.parse(head + action, "a.yaml").specs
    assert len(app.policy_warnings(Settings(), located, "a.yaml")) == 1


def test_a_directory_that_no_settings_could_allow_is_a_warning() -> None:
    def told(cwd: str) -> list[str]:
        yaml = f"  - type: run_command\n    params: {{command: ls, cwd: '{cwd}'}}\n".encode()
        return [message for _, message in warnings(yaml, Settings())]

    assert told("runs/$loss") == told("/scratch/x") == told("$loss") == []
    assert all("`..`" in told(cwd)[0] for cwd in ("../x", "a/../../b", "..", "$loss/.."))


def test_a_channel_that_is_not_there_is_told() -> None:
    yaml = b"  - type: notify_slack\n    params: {channel: team, message: x}\n"
    assert warnings(yaml, Settings()) == [(5, "there is no slack channel 'team' (known: none)")]
    named = Settings(channels={"team": {"type": "slack", "webhook": {"env": "HOOK"}}})
    assert warnings(yaml, named) == []


def test_the_examples_of_the_description_are_allowed_as_they_stand() -> None:
    yaml = b"""\
  - type: run_command
    params:
      command: "cp -r ./checkpoints ./backups/checkpoint_$(date +%s)"
  - type: run_command
    params:
      command: "cp model.pt checkpoints/model_loss_$loss.pt"
  - type: run_command
    params:
      command: "cp best_model.pt milestones/model_95pct.pt"
  - type: cancel_job
    params:
      reason: "CUDA out of memory"
  - type: notify_email
    params:
      subject: "High GPU memory usage"
  - type: pause_watcher
"""
    assert warnings(yaml, Settings(), "git:https://example.org/x") == []
