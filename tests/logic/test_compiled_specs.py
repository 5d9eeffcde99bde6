"""A spec made ready to run: its rules, its conditions, what keeps it from running."""

from __future__ import annotations

from typing import Any

import pytest
from parts.core import CANCEL, LOG, NOTIFY, PAUSE, STORE, a_spec, action_kinds, compiled

from reconciler.errors import ConditionError, ConfigurationError
from reconciler.logic.compiled import ActionKind, CompiledAction, bare, compile_spec
from reconciler.logic.patterns import Rule
from reconciler.protocols import ActionTraits, AfterCrash
from reconciler.spec.presets import PRESETS


def test_a_rule_has_what_the_spec_says_of_its_pattern() -> None:
    spec = a_spec(
        pattern=r"v=(\d+)", captures=["v"], multiline=3, every_nth_line=5, ignore_pattern_echo=False, condition="v"
    )
    ready = compiled(spec)
    assert ready.rules == (Rule(r"v=(\d+)", 3, 5, ignore_echo=False, captures=("v",)),)
    assert ready.condition is not None
    assert ready.condition.names == {"v"}
    assert (ready.spec, ready.obstacle, ready.late_pause) == (spec, "", False)


@pytest.mark.parametrize(
    ("fields", "expressions", "members", "within"),
    [
        ({"pattern": "a"}, ["a"], 0, None),
        ({"pattern": None, "patterns": {"any": ["a", "b"]}}, ["a", "b"], 0, None),
        ({"pattern": None, "patterns": {"all": ["a", "b", "c"]}}, ["a", "b", "c"], 3, None),
        ({"pattern": None, "patterns": {"all": ["a", "b"], "within": "5m"}}, ["a", "b"], 2, 300.0),
        ({"pattern": None, "preset": "oom"}, list(PRESETS["oom"].patterns), 0, None),
        ({"pattern": None, "trigger_on_job_end": True}, [], 0, None),
    ],
)
def test_patterns_become_rules_in_their_order(
    fields: dict[str, Any], expressions: list[str], members: int, within: float | None
) -> None:
    ready = compiled(a_spec(**fields))
    assert [rule.expression for rule in ready.rules] == expressions
    assert (ready.members, ready.within) == (members, within)


@pytest.mark.parametrize(
    ("actions", "late"),
    [([PAUSE], False), ([LOG, PAUSE], False), ([CANCEL, PAUSE], True), ([CANCEL, LOG], False), ([LOG, CANCEL], False)],
)
def test_a_pause_behind_an_outside_action_is_a_late_one(actions: list[dict[str, Any]], late: bool) -> None:
    assert compiled(a_spec(actions=actions)).late_pause is late


def test_an_action_knows_its_place_its_params_and_whom_it_waits_for() -> None:
    ready = compiled(
        a_spec(
            pattern=r"(?P<loss>\d+)",
            actions=[STORE, CANCEL | {"needs": [0], "condition": "int(loss) > 5"}, NOTIFY | {"on_failure": [1]}],
        )
    )
    assert [(a.index, a.type, a.needs, a.on_failure) for a in ready.actions] == [
        (0, "store_metric", (), ()),
        (1, "cancel_job", (0,), ()),
        (2, "notify_slack", (), (1,)),
    ]
    assert ready.actions[0].params == {"name": "loss", "value": "$loss"}
    assert [a.condition is None for a in ready.actions] == [True, False, True]


def test_an_action_that_cannot_run_here_is_an_obstacle_named_once() -> None:
    gone = ActionKind(ActionTraits(), missing="no such thing here")
    ready = compile_spec(a_spec(actions=[CANCEL, CANCEL, LOG]), "d", {**action_kinds(), "cancel_job": gone})
    assert ready.obstacle == "no such thing here"
    unknown = compile_spec(a_spec(actions=[CANCEL, LOG]), "d", {})
    assert "'cancel_job'" in unknown.obstacle
    assert "'log_event'" in unknown.obstacle


@pytest.mark.parametrize(
    ("after", "params", "again"),
    [
        (AfterCrash.REPORT, {"idempotent": True}, False),
        (AfterCrash.ASK_SPEC, {}, False),
        (AfterCrash.ASK_SPEC, {"idempotent": False}, False),
        (AfterCrash.ASK_SPEC, {"idempotent": True}, True),
    ]
    + [(after, {}, True) for after in AfterCrash if after not in (AfterCrash.REPORT, AfterCrash.ASK_SPEC)],
)
def test_what_was_interrupted_runs_again_only_where_that_is_right(
    after: AfterCrash, params: dict[str, Any], again: bool
) -> None:
    kind = ActionKind(ActionTraits(after_crash=after))
    assert CompiledAction(0, "x", params, kind, None, (), (), leading=False).repeatable is again


def test_a_part_that_cannot_be_compiled_is_refused_with_the_spec() -> None:
    spec = a_spec()
    with pytest.raises(ConfigurationError, match="possessive"):
        compiled(spec.model_copy(update={"pattern": "(a|(b))*+c"}))
    with pytest.raises(ConditionError, match="an attribute"):
        compiled(spec.model_copy(update={"condition": "a.b"}))


def test_a_bare_spec_keeps_its_name_and_can_always_be_compiled() -> None:
    spec = a_spec(pattern=r"(?P<v>\d)", condition="int(v) > 1", actions=[CANCEL | {"condition": "int(v) > 2"}])
    broken = spec.model_copy(update={"pattern": "(", "condition": "a.b"})
    ready = compiled(bare(broken))
    assert (ready.spec.name, ready.rules, ready.condition) == ("w", (), None)
    assert [(a.type, a.condition) for a in ready.actions] == [("cancel_job", None)]
