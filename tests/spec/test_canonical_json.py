"""Canonical JSON says the same for the same watcher, and its digest tells whether one has changed."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spec_examples import GOOD, MODEL, load
from test_loading_watchers import EVERYTHING

from reconciler.errors import ConfigurationError
from reconciler.spec.canonical import digest, digest_of, from_json, to_json
from reconciler.spec.watcher import WatcherSpec


def spec(text: str) -> WatcherSpec:
    loaded = load(text)
    assert loaded.problems == ()
    return loaded.specs[0].spec


@pytest.mark.parametrize(
    "text", [GOOD, EVERYTHING, "name: x\nactions: [{type: pause_watcher, params: {for: 5m}}]\nsilence: 1h"]
)
def test_a_spec_comes_back_from_its_json(text: str) -> None:
    original = spec(text)
    again = from_json(to_json(original), MODEL)
    assert again == original
    assert to_json(again) == to_json(original)


def test_what_equals_its_default_is_left_out_so_a_new_field_changes_no_digest() -> None:
    bare = spec(GOOD)
    assert set(json.loads(to_json(bare))) == {"name", "pattern", "actions"}
    assert digest(bare) == digest(spec(GOOD + "interval_seconds: 60\ncooldown: 0s\nmode: act\njobs: {}\n"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("silence: 5m", "silence: 300"),
        ("jobs: {name: a}", "jobs: {name: [a]}"),
        ("labels: {a: x, b: y}", "labels: {b: y, a: x}"),
    ],
)
def test_two_ways_to_write_the_same_have_one_digest(one: str, other: str) -> None:
    assert digest(spec(GOOD + one)) == digest(spec(GOOD + other))


def test_the_order_of_keys_and_comments_are_of_no_consequence() -> None:
    turned = "# a comment\nactions:\n- params: {message: m}\n  type: log_event\npattern: a\nname: x\n"
    assert digest(spec(GOOD)) == digest(spec(turned))


@pytest.mark.parametrize(
    "change",
    ["description: d", "interval_seconds: 61", "jobs: {name: a}", "max_triggers: 1", "labels: {a: b}", "suspend: true"],
)
def test_every_change_changes_the_digest(change: str) -> None:
    assert digest(spec(GOOD)) != digest(spec(GOOD + change))


def test_the_order_of_actions_and_of_patterns_counts() -> None:
    def of(patterns: str) -> str:
        return digest(spec(f"name: x\npatterns: {{any: [{patterns}]}}\nactions: [{{type: cancel_job}}]"))

    assert of("a, b") != of("b, a")


def test_an_action_keeps_its_type_where_the_plugin_gives_it_a_default() -> None:
    assert json.loads(to_json(spec("name: x\npattern: a\nactions: [{type: pause_watcher}]")))["actions"] == [
        {"type": "pause_watcher"}
    ]


def test_keys_are_sorted_and_text_is_not_escaped() -> None:
    text = to_json(spec(GOOD.replace("name: x", "name: 🎉 é")))
    assert text.index('"actions"') < text.index('"name"') < text.index('"pattern"')
    assert "🎉 é" in text


def test_a_digest_is_forty_hex_digits_of_the_json() -> None:
    one = spec(GOOD)
    assert re.fullmatch("[0-9a-f]{40}", digest(one))
    assert digest(one) == digest_of(to_json(one))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"name": "x"}', '{"name":"x","pattern":"a","actions":[{"type":"gone"}]}']
)
def test_json_that_is_no_spec_any_more_is_an_error_with_a_remedy(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        from_json(text, MODEL)
    assert caught.value.remedy


@given(st.text(max_size=50), st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3))
def test_any_text_survives(description: str, labels: dict[str, str]) -> None:
    one = spec(GOOD).model_copy(update={"description": description, "labels": labels})
    assert from_json(to_json(one), MODEL) == one
