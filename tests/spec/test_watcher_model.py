"""The models by themselves: rules hold for who builds them in Python too, unions of plugins are told apart."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import ValidationError
from spec_examples import MODEL

from reconciler.errors import ConfigurationError
from reconciler.model import JobState
from reconciler.spec.presets import PRESETS
from reconciler.spec.rules import MAX_PARAMS_BYTES, broken
from reconciler.spec.texts import END_WORDS
from reconciler.spec.union import type_of, watcher_model
from reconciler.spec.watcher import ActionSpec, AllPatterns, AnyPatterns, Preset, SpecModel, WatcherSpec


class PingParams(SpecModel):
    text: str = "ping"


class Ping(ActionSpec):
    type: Literal["ping"]
    params: PingParams = PingParams()


class Pong(ActionSpec):
    type: Literal["pong"] = "pong"


def build(**fields: Any) -> WatcherSpec:
    return WatcherSpec(**{"name": "x", "pattern": "a", "actions": [{"type": "ping"}], **fields})


# --- rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"pattern": None}, "nothing would ever trigger"),
        ({"preset": "oom"}, "one of pattern, patterns and preset"),
        ({"captures": ["a", "a"]}, "named twice"),
        ({"actions": [{"type": "ping", "needs": [0]}]}, "names itself"),
        ({"actions": [{"type": "ping", "on_failure": [1]}, {"type": "ping"}]}, "a later one"),
        ({"actions": [{"type": "ping"}, {"type": "ping", "needs": [0, 7]}]}, "does not exist"),
        ({"actions": [{"type": "ping", "params": {"text": "x" * MAX_PARAMS_BYTES}}]}, "are allowed"),
    ],
)
def test_a_rule_broken_in_python_is_an_error(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        build(**fields)


def test_rules_over_raw_yaml_trust_no_type() -> None:
    hostile: list[Any] = [
        None,
        0,
        1.5,
        True,
        "x",
        [],
        {},
        [[]],
        [None],
        [{}],
        {"a": []},
        [{"needs": "0"}],
        [{"needs": [None]}],
    ]
    for field in WatcherSpec.model_fields:
        for value in hostile:
            list(broken({field: value, "actions": value}))


def test_all_broken_rules_are_told() -> None:
    raw = {"pattern": "a", "preset": "oom", "captures": ["a", "a"], "actions": [{"needs": [0], "on_failure": [3]}]}
    assert [fault.code for fault in broken(raw)] == ["two-patterns", "capture-twice", "action-order", "action-order"]


def test_a_spec_is_frozen_and_knows_no_other_keys() -> None:
    with pytest.raises(ValidationError):
        build().name = "y"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        build(nope=1)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\x00", " ", "x" * 201, "a\u202eb"])
def test_a_name_that_would_spoil_a_table_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        build(name=name)


@pytest.mark.parametrize("name", ["CUDA OOM handler", "Überwachung", "🎉", "a/b|c%d"])
def test_a_name_may_be_in_any_language(name: str) -> None:
    assert build(name=f" {name} ").name == name


def test_end_words_are_the_ends_of_jobs_and_slurms_finer_words() -> None:
    assert {state.value for state in JobState if state.ended} < END_WORDS
    assert build(trigger_job_states="Out_Of_Memory").trigger_job_states == ("out_of_memory",)
    for word in ("running", "pending", "suspended", "oom", ""):
        with pytest.raises(ValidationError, match="no end state"):
            build(trigger_job_states=[word])


@pytest.mark.parametrize(
    ("fields", "expressions"),
    [
        ({}, ("a",)),
        ({"pattern": None, "patterns": {"any": ["b", "c"]}}, ("b", "c")),
        ({"pattern": None, "patterns": {"all": ["b", "c"], "within": "5m"}}, ("b", "c")),
        ({"pattern": None, "preset": "nan"}, PRESETS["nan"].patterns),
        ({"pattern": None, "silence": "5m"}, ()),
    ],
)
def test_expressions_are_those_of_whatever_way_they_were_given(fields: dict[str, Any], expressions: object) -> None:
    assert build(**fields).expressions() == expressions


def test_instances_are_taken_as_well_as_mappings() -> None:
    assert build(pattern=None, patterns=AnyPatterns(any=("a",))).expressions() == ("a",)
    assert build(pattern=None, patterns=AllPatterns(all=("a", "b"))).expressions() == ("a", "b")
    assert build(actions=[ActionSpec(type="ping")]).actions == (ActionSpec(type="ping"),)


def test_every_field_is_described_for_editors() -> None:
    bare = [name for name, field in WatcherSpec.model_fields.items() if not field.description]
    assert bare == []


def test_the_presets_of_the_type_are_those_there_are() -> None:
    assert set(Preset.__args__) == set(PRESETS)  # type: ignore[attr-defined]


# --- the union -------------------------------------------------------------------------------------------------------


def test_actions_become_the_specs_of_their_types() -> None:
    spec = watcher_model([Ping, Pong])(name="x", pattern="a", actions=[{"type": "pong"}, {"type": "ping"}])
    assert [type(action) for action in spec.actions] == [Pong, Ping]
    assert isinstance(spec, WatcherSpec)


def test_one_plugin_alone_is_a_union_too() -> None:
    model = watcher_model([Ping])
    assert isinstance(model(name="x", pattern="a", actions=[{"type": "ping"}]).actions[0], Ping)
    with pytest.raises(ValidationError):
        model(name="x", pattern="a", actions=[{"type": "pong"}])


def test_the_order_of_plugins_is_of_no_consequence_and_the_model_is_kept() -> None:
    assert watcher_model([Ping, Pong]) is watcher_model(iter([Pong, Ping]))


def test_rules_hold_in_the_joined_model() -> None:
    with pytest.raises(ValidationError, match="nothing would ever trigger"):
        watcher_model([Ping])(name="x", actions=[{"type": "ping"}])


class Untyped(ActionSpec):
    pass


class TwoWords(ActionSpec):
    type: Literal["a", "b"]


class OtherPing(ActionSpec):
    type: Literal["ping"]
    condition: Annotated[str | None, "x"] = None


@pytest.mark.parametrize("specs", [[Untyped], [TwoWords], [Ping, OtherPing], [SpecModel], [int]])
def test_a_spec_that_cannot_be_told_apart_is_refused(specs: list[Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        watcher_model(specs)
    assert caught.value.remedy


def test_the_word_of_a_spec_is_its_literal() -> None:
    assert (type_of(Ping), type_of(Pong)) == ("ping", "pong")


def test_every_built_in_action_has_a_word_and_described_params() -> None:
    for action in MODEL.model_json_schema()["$defs"].values():
        if "type" in action.get("properties", {}):
            assert action.get("description")
