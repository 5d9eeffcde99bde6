"""What can never run is an error; names that nothing gives and fields without effect are doubts."""

from __future__ import annotations

import pytest

from reconciler import app
from reconciler.logic.lint import check, given_names, warnings
from reconciler.spec.load import LocatedSpec, load_file

GOOD = "name: x\npattern: 'a(b)?(?P<c>d)'\nactions: [{type: log_event, params: {message: m}}]\n"


def located(text: str) -> LocatedSpec:
    loaded = load_file(text.encode(), "w.yaml", app.watcher_model(), [check])
    assert loaded.problems == ()
    return loaded.specs[0]


def doubts(text: str) -> list[tuple[str, int, int]]:
    found = warnings(located(text), "w.yaml")
    for problem in found:
        assert (problem.severity, problem.file, problem.watcher) == ("warning", "w.yaml", "x")
        assert problem.message
        assert problem.remedy
    return [(problem.code, problem.line, problem.column) for problem in found]


def errors(text: str) -> list[tuple[str, int, int]]:
    loaded = load_file(text.encode(), "w.yaml", app.watcher_model(), [check])
    assert loaded.specs == ()
    return [(problem.code, problem.line, problem.column) for problem in loaded.problems]


def message(text: str) -> str:
    return GOOD.replace("message: m", f'message: "{text}"')


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        "c >",
        "c.upper()",
        "[x for x in c]",
        "__import__('os')",
        "lambda: c",
        "open(c)",
        "(c := 1)",
        "c.__class__",
        "f'{c}'",
    ],
)
def test_a_condition_that_can_never_run_is_an_error_at_its_place(condition: str) -> None:
    assert errors(GOOD + f'condition: "{condition}"\n') == [("bad-condition", 4, 12)]


def test_the_condition_of_an_action_is_checked_where_it_stands() -> None:
    assert errors(GOOD.replace("{type", "{condition: 'c >', type")) == [("bad-condition", 3, 23)]


@pytest.mark.parametrize("condition", ["float(c) > 5", "c != '0' and int(c) % 10 == 0", "len(c) in (1, 2)", "not c"])
def test_a_condition_that_can_run_is_taken(condition: str) -> None:
    assert doubts(GOOD + f'condition: "{condition}"\n') == []


@pytest.mark.parametrize("pattern", [r"(?(1)a|b)(x)", "(a)(?(1)b|c)"])
def test_a_pattern_that_no_engine_runs_within_bounds_is_an_error_or_slow(pattern: str) -> None:
    loaded = load_file(GOOD.replace("a(b)?(?P<c>d)", pattern).encode(), "w", app.watcher_model(), [check])
    codes = [problem.code for problem in loaded.problems]
    codes += [problem.code for each in loaded.specs for problem in warnings(each, "w")]
    assert set(codes) & {"pattern-refused", "slow-pattern", "bad-pattern"}


@pytest.mark.parametrize("pattern", [r"(a)\1", "(?=a)b", r"(?<!no )error"])
def test_a_pattern_without_a_fast_engine_is_a_doubt_and_runs(pattern: str) -> None:
    assert ("slow-pattern", 2, 10) in doubts(GOOD.replace("a(b)?(?P<c>d)", pattern))


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["$0 $1 $2 $c ${c}", "${_matched_text}", "${JOB_ID} $JOB_NAME ${HOSTNAME} $WATCHER ${JOB_STATE}", "$$x $ 5$ $-"],
)
def test_names_that_are_given_raise_no_doubt(text: str) -> None:
    assert doubts(message(text)) == []


@pytest.mark.parametrize("text", ["$3", "$HOME", "${nope}", "$cc", "${c:-$nope}"])
def test_a_name_that_nothing_gives_is_told_where_it_is_used(text: str) -> None:
    assert doubts(message(text)) == [("unknown-variable", 3, 47)]


def test_the_nearest_name_is_offered() -> None:
    (problem,) = warnings(located(message("$JOBID")), "w.yaml")
    assert "did you mean JOB_ID?" in problem.remedy


def test_names_of_captures_count_up_to_the_groups_there_are() -> None:
    spec = located(GOOD + "captures: [one, two]\n").spec
    assert given_names(spec) >= {"0", "1", "2", "one", "two", "c", "JOB_ID"}
    assert "3" not in given_names(spec)


def test_nested_params_are_looked_through() -> None:
    text = "name: x\npattern: a\nactions: [{type: resubmit, params: {modifications: {time: $t}, arguments: [$u]}}]\n"
    assert [code for code, _, _ in doubts(text)] == ["unknown-variable", "unknown-variable"]
    line = text.splitlines()[2]
    assert [column for _, _, column in doubts(text)] == [line.index("$t") + 1, line.index("$u") + 1]


def test_the_substitution_of_a_command_is_no_variable() -> None:
    text = "name: x\npattern: a\nactions: [{type: run_command, params: {command: 'cp a b_$(date +%s)'}}]\n"
    assert doubts(text) == []


def test_what_a_plugin_gives_by_default_is_not_the_persons_text() -> None:
    assert doubts("name: x\nsilence: 5m\nactions: [{type: notify_email}]\n") == []


def test_without_a_pattern_there_are_no_groups() -> None:
    text = "name: x\nsilence: 5m\nactions: [{type: log_event, params: {message: $1}}]\n"
    assert doubts(text) == [("unknown-variable", 3, 47)]


def test_a_condition_that_asks_for_what_no_capture_gives_is_told() -> None:
    assert doubts(GOOD + "condition: float(los) > 1\n") == [("unknown-name", 4, 12)]
    assert doubts(GOOD.replace("{type", "{condition: 'd > 1', type")) == [("unknown-name", 3, 23)]


def test_names_of_a_preset_are_given() -> None:
    text = "name: x\npreset: oom\nactions: [{type: log_event, params: {message: $wanted $step}}]\n"
    assert doubts(text) == []


# --- without effect --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["a*", "(a|)", "^", "a?b?"])
def test_a_pattern_that_matches_every_line_is_told(pattern: str) -> None:
    assert ("empty-match", 2, 10) in doubts(GOOD.replace("a(b)?(?P<c>d)", pattern))


def test_each_of_several_patterns_is_looked_at() -> None:
    text = "name: x\npatterns: {any: [a, 'b*', c]}\nactions: [{type: cancel_job}]\n"
    assert doubts(text) == [("empty-match", 2, 21)]


def test_more_names_than_groups_are_told_at_the_first_that_is_too_much() -> None:
    assert doubts(GOOD + "captures: [a, b, e, f]\n") == [("capture-count", 4, 18)]


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("timer_interval_seconds: 5", (4, 1)),
        ("trigger_job_states: [failed]", (4, 1)),
        ("renamed_from: x", (4, 1)),
        ("max_triggers: 1\ncooldown: 5m", (5, 1)),
    ],
)
def test_a_field_without_effect_is_told(line: str, place: tuple[int, int]) -> None:
    assert doubts(GOOD + line + "\n") == [("no-effect", *place)]


@pytest.mark.parametrize(
    "line", ["captures: [a]", "multiline: 2", "every_nth_line: 2", "timer_mode_enabled: true", "cooldown: 5m"]
)
def test_what_needs_a_pattern_is_told_where_there_is_none(line: str) -> None:
    assert doubts(f"name: x\nsilence: 5m\nactions: [{{type: cancel_job}}]\n{line}\n") == [("no-effect", 4, 1)]


@pytest.mark.parametrize(
    "lines",
    [
        "timer_mode_enabled: true\ntimer_interval_seconds: 5",
        "trigger_on_job_end: true\ntrigger_job_states: [failed]",
        "cooldown: 5m",
        "captures: [a]",
        "silence: 5m",
    ],
)
def test_fields_with_an_effect_raise_no_doubt(lines: str) -> None:
    assert doubts(GOOD + lines + "\n") == []


def test_a_requeued_job_has_not_ended() -> None:
    assert doubts(GOOD + "trigger_on_job_end: true\ntrigger_job_states: [failed, requeued]\n") == [("no-effect", 5, 30)]


def test_an_action_after_success_and_failure_of_one_other_never_runs() -> None:
    text = "name: x\npattern: a\nactions: [{type: cancel_job}, {type: cancel_job, needs: [0], on_failure: [0]}]\n"
    assert [code for code, _, _ in doubts(text)] == ["never-runs"]


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("pattern: '(a)'\ncaptures: [JOB_ID]", (3, 12)),
        ("pattern: '(a)'\ncaptures: [job_id]", None),
        ("patterns: {any: ['(?P<HOSTNAME>a)']}", (2, 18)),
    ],
)
def test_a_capture_with_a_built_in_name_is_never_seen(line: str, place: tuple[int, int] | None) -> None:
    text = f"name: x\n{line}\nactions: [{{type: log_event, params: {{message: m}}}}]\n"
    assert doubts(text) == ([("no-effect", *place)] if place else [])
