"""The schemas in the repository are those of the models, and say of a watcher what the loader says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from spec_examples import GOOD, load
from test_loading_watchers import BAD_ACTIONS, EVERYTHING, ONE_FAULT

from reconciler import app
from reconciler.cli.schema import file_of, makers
from reconciler.settings import Settings
from reconciler.spec.watcher import WatcherSpec
from reconciler.spec.yaml import parse

FOLDER = Path(__file__).parents[2] / "schemas"
#: Faults that a JSON Schema cannot see: over several fields, or in what a text means.
BEYOND = {"action-order", "capture-twice", "two-patterns", "duplicate-key", "alias", "tag", "bad-value", "bad-date",
          "control-character"}  # fmt: skip
#: Durations are numbers or text there; their bounds and our words for states are checked by the loader alone.
OUR_WORDS = ("silence:", "cooldown:", "trigger_job_states: [r")


@pytest.mark.parametrize("name", makers())
def test_a_schema_in_the_repository_is_current(name: str) -> None:
    text = (FOLDER / file_of(name)).read_text(encoding="utf-8")
    assert text == makers()[name](), "run `reconcile schema --write schemas`"


@pytest.mark.parametrize("name", sorted(makers().keys() - {"reference"}))
def test_a_schema_is_one(name: str) -> None:
    assert jsonschema_rs.meta.is_valid(json.loads(makers()[name]()))


def valid(text: str) -> bool:
    """Tell whether the schema takes every document of a YAML text."""
    validator = jsonschema_rs.validator_for(json.loads(makers()["watcher"]()))
    return all(validator.is_valid(document.value) for document in parse(text.encode()).documents)


@pytest.mark.parametrize("text", [GOOD, EVERYTHING, f"- {json.dumps(parse(GOOD.encode()).documents[0].value)}"])
def test_what_loads_is_valid(text: str) -> None:
    assert load(text).good
    assert valid(text)


@pytest.mark.parametrize("path", sorted((FOLDER.parent / "watchers.d").rglob("*.yaml")), ids=lambda path: path.name)
def test_the_ready_made_watchers_are_valid(path: Path) -> None:
    assert ".test." in path.name or valid(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "line", [case[0] for case in ONE_FAULT if case[1] not in BEYOND and not case[0].startswith(OUR_WORDS)]
)
def test_what_does_not_load_is_not_valid(line: str) -> None:
    assert not valid(GOOD + line)


@pytest.mark.parametrize("actions", [case[0] for case in BAD_ACTIONS if case[1] not in BEYOND])
def test_an_action_that_does_not_load_is_not_valid(actions: str) -> None:
    assert not valid(f"name: x\npattern: a\nactions: {actions.replace('§', '')}")


@pytest.mark.parametrize("text", ["name: x\nactions: [{type: cancel_job}]", "[]", GOOD.replace("name: x", "")])
def test_a_watcher_without_what_it_needs_is_not_valid(text: str) -> None:
    assert not valid(text)


def test_the_reference_has_a_row_for_every_field_and_a_section_for_every_action() -> None:
    text = makers()["reference"]()
    for name in WatcherSpec.model_fields:
        assert f"\n| `{name}` | " in text
    for name in app.action_plugins():
        assert f"## `type: {name}`" in text
    assert "| anything |" not in text.partition("## `type:")[0]


def properties(schema: Any) -> set[str]:
    return set(schema["properties"])


def test_the_settings_schema_knows_every_setting_and_those_of_actions() -> None:
    schema = json.loads(makers()["settings"]())
    assert properties(schema) == set(Settings.model_fields)
    assert "run_command" in properties(schema["$defs"]["ActionsSettings"])
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid({"policy": {"users": ["a"]}, "state": {"busy_timeout": "5s"}})
    assert not validator.is_valid({"polcy": {}})
    assert not validator.is_valid({"actions": {"run_command": {"nope": 1}}})
