"""`$name` in what users write: one pass, longest name, nothing that was put in is read again."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.logic.substitution import (
    BUILTINS,
    MAX_RENDERED,
    Span,
    Variable,
    builtin_values,
    expand,
    match_values,
    names_in,
    names_in_params,
    pieces,
    render,
    render_params,
)
from reconciler.model import HostName, Job, JobId, JobState, Match

VALUES = {
    "0": "Loss: 5.73",
    "_matched_text": "Loss: 5.73",
    "1": "5.73",
    "12": "twelfth",
    "loss": "5.73",
    "loss_total": "9",
    "none": None,
    "empty": "",
    "other": "$loss ${JOB_ID} $$ ${x:-y}",
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("$loss", "5.73"),
        ("${loss}s", "5.73s"),
        ("$loss_total", "9"),
        ("$loss $loss_total $1 $12 $$5", "5.73 9 5.73 twelfth $5"),
        ("$0|${_matched_text}", "Loss: 5.73|Loss: 5.73"),
        ("$FOO ${FOO} $99", "$FOO ${FOO} $99"),
        ("$1x", "5.73x"),
        ("[$none][${none}]", "[][]"),
        ("${none:-a}${empty:-b}${FOO:-c}${loss:-d}", "abc5.73"),
        ("${loss:+x}${empty:+y}${FOO:+z}", "x"),
        ("${FOO:-${loss}/$1}", "5.73/5.73"),
        ("${FOO:-${BAR:-deep}}", "deep"),
        ("${FOO:-}", ""),
        ("${FOO:-a b}c}", "a bc}"),
        ("$(date +%s) `x` $ $- ${} ${a b} $", "$(date +%s) `x` $ $- ${} ${a b} $"),
        ("${loss:-never closed", "${loss:-never closed"),
        ("${loss:-$1 ${FOO:-", "${loss:-5.73 ${FOO:-"),
        ("$$loss $$$loss", "$loss $5.73"),
        ("$other", "$loss ${JOB_ID} $$ ${x:-y}"),
        ("$lossé", "5.73é"),
        ("no variable", "no variable"),
        ("", ""),
    ],
)
def test_a_template_is_rendered_in_one_pass(template: str, text: str) -> None:
    assert render(template, VALUES) == text


@given(st.text("$ab{}:-+ 1"), st.dictionaries(st.sampled_from(["a", "ab", "1"]), st.text("$ab{}:-+"), max_size=3))
def test_no_template_fails_and_values_stand_in_it_as_they_are(template: str, values: dict[str, str]) -> None:
    spans = expand(template, values)
    assert "".join(span.text for span in spans) == render(template, values)
    assert all(span.text in values.values() for span in spans if span.captured)


@given(st.text())
def test_a_template_without_values_loses_only_doubled_dollars_and_answered_words(template: str) -> None:
    if "${" not in template:
        assert render(template, {}) == template.replace("$$", "$")


@pytest.mark.parametrize("unit", ["${a:-", "${a:+$", "$a", "$$", "${a:-}}", "{${"])
def test_a_long_template_takes_time_in_proportion(unit: str) -> None:
    begun = time.thread_time()
    render(unit * 20_000, {"a": "b"})
    assert time.thread_time() - begun < 1.0


def test_captured_text_is_told_from_trusted_text() -> None:
    assert expand("cp $a ${FOO:-/tmp}", {"a": "x; rm"}) == (
        Span("cp "),
        Span("x; rm", captured=True),
        Span(" "),
        Span("/tmp"),
    )


def test_pieces_name_each_variable_with_its_source() -> None:
    assert pieces("a $b ${c:-d$e}!") == (
        "a ",
        Variable("b", "$b"),
        " ",
        Variable("c", "${c:-d$e}", ":-", ("d", Variable("e", "$e"))),
        "!",
    )


def test_names_are_found_in_nested_params_and_words() -> None:
    assert names_in("$a ${b} ${c:-$d} $$e $1") == {"a", "b", "c", "d", "1"}
    assert names_in_params({"x": ["$a", {"y": ("${b}", 3, None)}]}) == {"a", "b"}
    assert names_in_params(5) == frozenset()


def test_params_are_rendered_inside_lists_and_mappings_and_other_values_stay() -> None:
    params = {"text": "$loss", "more": {"k$loss": ["$1", 2, None, True]}, "pair": ("$0", 1.5)}
    assert render_params(params, VALUES) == {
        "text": "5.73",
        "more": {"k$loss": ["5.73", 2, None, True]},
        "pair": ("Loss: 5.73", 1.5),
    }


def test_what_a_template_makes_of_long_values_is_bounded_over_all_of_its_params() -> None:
    values = {"0": "x" * 65_536}
    assert len(render("$0" * 3000, values)) == MAX_RENDERED
    params = {"a": "$0" * 10, "b": ["$0"] * 2000, "c": "written"}
    rendered = render_params(params, values)
    assert len(rendered["a"]) == 655_360
    assert sum(map(len, rendered["b"])) == MAX_RENDERED - 655_360
    assert rendered["c"] == "written"


def test_a_match_gives_its_text_its_groups_by_number_and_its_names() -> None:
    match = Match("ab", 3, 7, groups=("a", None), captures={"first": "a", "second": None})
    assert match_values(match) == {
        "0": "ab",
        "_matched_text": "ab",
        "1": "a",
        "2": None,
        "first": "a",
        "second": None,
    }


def test_builtin_names_are_those_that_captures_may_not_take() -> None:
    job = Job(HostName("h"), JobId("5_1"), "train", "me", JobState.FAILED)
    values = builtin_values(job, "w")
    assert values == {"JOB_ID": "5_1", "JOB_NAME": "train", "HOSTNAME": "h", "WATCHER": "w", "JOB_STATE": "failed"}
    assert set(values) <= BUILTINS
