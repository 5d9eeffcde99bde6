"""Cached files: what they say is known without making specs, and what is made of them is what was parsed."""

from __future__ import annotations

import pytest
from parts.core import LOG

from reconciler import app
from reconciler.engine.parsing import parsed, remembered
from reconciler.errors import ConfigurationError
from reconciler.logic.desired import Desired
from reconciler.model import Origin
from reconciler.registry import Made, installed
from reconciler.spec.cached import outline
from reconciler.spec.canonical import digest_of, from_json
from reconciler.spec.watcher import WatcherSpec

TEXT = b"""\
name: first
renamed_from: older
pattern: hit
jobs: {ids: ["7"]}
actions: [{type: log_event, params: {message: seen}}]
---
name: second
silence: 5m
suspend: {reason: later}
actions: [{type: cancel_job, params: {reason: quiet}}, {type: log_event, params: {message: quiet}}]
"""


class Maker:
    """Makes specs and counts them."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def __call__(self, body: str) -> WatcherSpec:
        self.bodies.append(body)
        return from_json(body, app.watcher_model())


def desired_of(given: object, body: str) -> Desired:
    return Desired(given, digest_of(body), body, Origin("directory:/w", "/w/a.yaml", 1))  # type: ignore[arg-type]


@pytest.fixture
def cached() -> str:
    return parsed(app.parse(TEXT, "a.yaml"), "key").cache


def test_what_the_cache_says_is_what_was_parsed(cached: str) -> None:
    fresh = parsed(app.parse(TEXT, "a.yaml"), "key")
    again = remembered(cached, "key", ["log_event", "cancel_job"], Maker())
    assert [(s.line, s.body, s.digest) for s in again.specs] == [(s.line, s.body, s.digest) for s in fresh.specs]
    assert [desired_of(s.given, s.body).spec for s in again.specs] == [s.given for s in fresh.specs]
    assert again.cache == ""


def test_a_spec_is_made_once_and_only_when_it_is_asked_for(cached: str) -> None:
    maker = Maker()
    first, _ = remembered(cached, "key", ["log_event", "cancel_job"], maker).specs
    wanted = desired_of(first.given, first.body)
    assert (wanted.name, wanted.renamed_from, wanted.named_jobs) == ("first", "older", True)
    assert maker.bodies == []
    assert wanted.spec is wanted.spec
    assert maker.bodies == [first.body]


def test_specs_with_actions_of_other_packages_are_made_at_once(cached: str) -> None:
    maker = Maker()
    remembered(cached, "key", ["log_event"], maker)
    assert [from_json(body, app.watcher_model()).name for body in maker.bodies] == ["second"]


def test_one_that_cannot_be_made_any_more_makes_the_file_be_read_again(cached: str) -> None:
    def refuse(body: str) -> WatcherSpec:
        raise ConfigurationError("another version")

    with pytest.raises(ConfigurationError):
        remembered(cached, "key", ["log_event"], refuse)


def test_problems_of_a_bad_file_are_cached_with_it() -> None:
    bad = parsed(app.parse(b"name: w\nnope: 1\n", "a.yaml"), "key")
    specs, problems = outline(bad.cache)
    assert specs == ()
    assert problems == bad.problems != ()


def test_what_the_outline_says_agrees_with_the_spec(cached: str) -> None:
    for each in remembered(cached, "key", [], Maker()).specs:
        assert isinstance(each.given, WatcherSpec)
        wanted = desired_of(each.given, each.body)
        assert wanted.name == each.given.name
        assert wanted.renamed_from == each.given.renamed_from
        assert wanted.named_jobs == bool(each.given.jobs.ids)


def test_actions_are_made_when_they_are_asked_for() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name.upper()

    lazy = Made(make, lambda: ["a", "b"])
    assert lazy["b"] == lazy["b"] == "B"
    assert made == ["b"]
    assert dict(lazy) == {"a": "A", "b": "B"}
    assert len(lazy) == 2


def test_every_action_type_is_there_by_its_name() -> None:
    kinds, actions = app.make_actions(app.default_settings())
    assert set(kinds) == set(app.action_plugins())
    assert set(actions) == {name for name, kind in kinds.items() if kind.traits.outside}
    assert LOG["type"] in kinds
    assert LOG["type"] not in actions
    assert "no_such_action" not in kinds
    assert all((kind.state is None) is kind.traits.outside for kind in kinds.values())


def test_the_words_for_what_is_installed_name_every_action_type() -> None:
    assert set(app.action_plugins()) <= set(installed("reconciler.actions", "reconciler.actions"))
