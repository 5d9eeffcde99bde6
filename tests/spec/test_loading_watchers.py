"""A watcher file gives specs with their places, or every one of its problems at once, each with a way out."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Annotated, Literal

import pytest
from pydantic import BeforeValidator, Field
from spec_examples import GOOD, MODEL, load, only, problems

from reconciler.errors import ConfigurationError
from reconciler.spec import cached as caching
from reconciler.spec import load as loading
from reconciler.spec.cached import cache_key
from reconciler.spec.canonical import SCHEMA_VERSION, from_json
from reconciler.spec.faults import Fault
from reconciler.spec.load import dump_loaded, load_document, load_file, name_clashes
from reconciler.spec.union import watcher_model
from reconciler.spec.watcher import ActionSpec, AllPatterns, Mode, OutputType, SpecModel, Suspend, WatcherSpec

EVERYTHING = """\
# yaml-language-server: $schema=../schemas/watcher.schema.json
name: CUDA OOM handler
description: cancels what can only crash
mode: act
jobs:
  hosts: [hpc1]
  name: "train-*"
  ids: ["123", "124_7"]
patterns: {all: ["a(?P<x>b)", c], within: 5m}
captures: [error]
condition: "float(used) / float(total) > 0.9"
output_type: both
interval_seconds: 60
max_triggers: 1
max_failures: 5
timer_mode_enabled: true
timer_interval_seconds: 300
trigger_on_job_end: true
trigger_job_states: [failed, TIMEOUT, OUT_OF_MEMORY]
silence: 30m
time_left: 10m
start_at: beginning
ignore_pattern_echo: true
renamed_from: Old name
every_nth_line: 1
multiline: 1
cooldown: 0s
labels: {team: vision, 2026: "1"}
suspend: {reason: "...", until: 2026-12-01}
prune: auto
actions:
  - type: log_event
    params: {message: "CUDA OOM detected: $error"}
  - type: cancel_job
    condition: "x == 'b'"
    needs: [0]
    params: {reason: CUDA out of memory}
"""


def test_the_whole_yaml_of_the_design_loads() -> None:
    loaded = load(EVERYTHING)
    assert loaded.problems == ()
    spec = loaded.specs[0].spec
    assert spec.mode is Mode.ACT
    assert spec.jobs.name == ("train-*",)
    assert spec.jobs.ids == ("123", "124_7")
    assert spec.patterns == AllPatterns(all=("a(?P<x>b)", "c"), within=300)
    assert spec.output_type is OutputType.BOTH
    assert spec.trigger_job_states == ("failed", "timeout", "out_of_memory")
    assert (spec.silence, spec.time_left, spec.cooldown) == (1800, 600, 0)
    assert spec.labels == {"team": "vision", "2026": "1"}
    assert isinstance(spec.suspend, Suspend)
    assert spec.suspend.until is not None
    assert spec.suspend.until.isoformat().startswith("2026-12-01")
    assert [action.type for action in spec.actions] == ["log_event", "cancel_job"]
    assert spec.actions[1].needs == (0,)
    assert spec.expressions() == ("a(?P<x>b)", "c")


def test_a_spec_knows_where_it_and_its_values_stand() -> None:
    located = load(EVERYTHING).specs[0]
    assert located.line == 2
    assert located.places.find(("actions", 1, "params", "reason")) == (37, 22)


DOCUMENTS = GOOD + "---\n" + GOOD.replace("x", "y", 1)
A_LIST = """\
- {name: x, pattern: a, actions: [{type: cancel_job}]}
- {name: y, pattern: a, actions: [{type: cancel_job}]}
"""


@pytest.mark.parametrize("text", [DOCUMENTS, A_LIST])
def test_a_file_holds_several_watchers_as_documents_or_as_a_list(text: str) -> None:
    loaded = load(text)
    assert [located.spec.name for located in loaded.specs] == ["x", "y"]
    assert loaded.specs[0].line < loaded.specs[1].line


@pytest.mark.parametrize(
    "trigger",
    ["pattern: a", "patterns: {any: [a]}", "preset: oom", "silence: 30m", "time_left: 600", "trigger_on_job_end: true"],
)
def test_each_way_to_trigger_is_enough(trigger: str) -> None:
    assert load(f"name: x\n{trigger}\nactions: [{{type: cancel_job}}]").good


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("suspend: true", True),
        ("suspend: false", False),
        ("suspend: {}", Suspend()),
        ("suspend: {reason: r}", Suspend(reason="r")),
    ],
)
def test_a_suspension_is_a_word_or_a_mapping(written: str, meant: object) -> None:
    assert load(GOOD + written).specs[0].spec.suspend == meant


# --- one fault, one problem ------------------------------------------------------------------------------------------

ONE_FAULT = [
    # what stands behind GOOD (5 lines), code, line, column
    ("nmae: x", "unknown-key", 6, 1),
    ("interval_seconds: '60'", "wrong-type", 6, 19),
    ("interval_seconds: 0", "out-of-range", 6, 19),
    ("interval_seconds: .inf", "wrong-type", 6, 19),
    ("interval_seconds:", "wrong-type", 6, 18),
    ("max_triggers: 0", "out-of-range", 6, 15),
    ("max_triggers: 1.5", "wrong-type", 6, 15),
    ("max_triggers: 99999999999999999999", "wrong-type", 6, 15),
    ("max_triggers: true", "wrong-type", 6, 15),
    ("mode: watch", "not-allowed", 6, 7),
    ("prune: never", "not-allowed", 6, 8),
    ("output_type: [stdout]", "not-allowed", 6, 14),
    ("silence: soon", "bad-value", 6, 10),
    ("silence: 0s", "out-of-range", 6, 10),
    ("silence: -5", "out-of-range", 6, 10),
    ("silence: [1]", "wrong-type", 6, 10),
    ("cooldown: 99999d", "out-of-range", 6, 11),
    ("timer_mode_enabled: yes", "wrong-type", 6, 21),
    ("timer_mode_enabled: 1", "wrong-type", 6, 21),
    ("jobs: [a]", "wrong-type", 6, 7),
    ("jobs: {nme: a}", "unknown-key", 6, 8),
    ("jobs: {name: 3}", "wrong-type", 6, 14),
    ("jobs: {name: [a, 3]}", "wrong-type", 6, 18),
    ("jobs: {ids: 124_7}", "wrong-type", 6, 13),
    ("jobs: {ids: ['1', '2;rm']}", "bad-format", 6, 19),
    ("jobs: {ids: '25+0'}", "bad-format", 6, 13),
    ("jobs: {ids: ['25', '25+1']}", "bad-format", 6, 20),
    ("jobs: {hosts: ['-x']}", "bad-format", 6, 16),
    ("captures: a", "wrong-type", 6, 11),
    ("captures: [1a]", "bad-format", 6, 12),
    ("captures: [a, b, a]", "capture-twice", 6, 18),
    ("condition: ''", "out-of-range", 6, 12),
    ("trigger_job_states: [running]", "not-allowed", 6, 22),
    ("trigger_job_states: []", "out-of-range", 6, 21),
    ("labels: {a: 1}", "wrong-type", 6, 13),
    ("labels: [a]", "wrong-type", 6, 9),
    ("suspend: 3", "wrong-type", 6, 10),
    ("suspend: {until: soon}", "bad-date", 6, 18),
    ("suspend: {util: 2026-01-01}", "unknown-key", 6, 11),
    ("preset: oom", "two-patterns", 6, 1),
    ("patterns: {any: [b]}", "two-patterns", 6, 1),
    ("renamed_from: ''", "out-of-range", 6, 15),
    ("renamed_from: \"a\\nb\"", "control-character", 6, 15),
    ("multiline: 51", "out-of-range", 6, 12),
    ("name: y", "duplicate-key", 6, 1),
    ("labels: &a {b: *a}", "alias", 6, 16),
    ("description: !!binary aGVsbG8=", "tag", 6, 14),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "row", "column"), ONE_FAULT, ids=[case[0] for case in ONE_FAULT])
def test_one_fault_is_one_problem_at_its_place_with_a_remedy(line: str, code: str, row: int, column: int) -> None:
    problem = only(GOOD + line + "\n")
    assert (problem.code, problem.line, problem.column) == (code, row, column)
    assert problem.file == "w.yaml"
    assert problem.severity == "error"
    assert problem.message
    assert problem.remedy


def test_a_date_without_its_hyphens_is_told_how_dates_are_written() -> None:
    problem = only(GOOD + "suspend: {until: 20261201}\n")
    assert (problem.code, problem.remedy) == ("wrong-type", "write 2026-12-01 or 2026-12-01T18:00:00Z")


def test_who_names_a_part_of_a_heterogeneous_job_is_told_what_selects_it() -> None:
    problem = only(GOOD + "jobs: {ids: ['25+1']}\n")
    assert "part of a heterogeneous job" in problem.message
    assert 'write "25"' in problem.remedy
    assert "must fit" in only(GOOD + "jobs: {ids: ['25+x']}\n").remedy


#: § stands before the place of the fault.
BAD_ACTIONS = [
    ("§[]", "out-of-range"),
    ("§{type: cancel_job}", "wrong-type"),
    ("[§cancel_job]", "wrong-type"),
    ("[{type: §cancel}]", "unknown-type"),
    ("[{type: §[a]}]", "unknown-type"),
    ("[§{params: {reason: x}}]", "missing-key"),
    ("[§{type: log_event}]", "missing-key"),
    ("[{type: log_event, params: §{}}]", "missing-key"),
    ("[{type: log_event, params: {§mesage: x}}]", "unknown-key"),
    ("[{type: log_event, §message: x}]", "unknown-key"),
    ("[{type: log_event, params: {message: §3}}]", "wrong-type"),
    ("[{type: cancel_job, needs: [§0]}]", "action-order"),
    ("[{type: cancel_job, on_failure: [§1]}, {type: cancel_job}]", "action-order"),
    ("[{type: cancel_job}, {type: cancel_job, needs: [§5]}]", "action-order"),
    ("[{type: cancel_job}, {type: cancel_job, needs: [§-1]}]", "out-of-range"),
    ("[{type: cancel_job}, {type: cancel_job, needs: §0}]", "wrong-type"),
    ("[{type: cancel_job}, {type: cancel_job, needs: [§'0']}]", "wrong-type"),
    ("[{type: store_metric, params: {name: a, value: §[1]}}]", "wrong-type"),
    ("[{type: pause_watcher, params: §{for: 1m, until: 2026-01-01}}]", "bad-value"),
    ("[{type: notify_email, params: {to: [a@example.org, §5]}}]", "wrong-type"),
    ("[{type: signal_job, params: {signal: §SIGUSR1}}]", "not-allowed"),
    ("[{type: run_command, params: {command: §'$(rm -rf x'}}]", "bad-value"),
]


@pytest.mark.parametrize(("actions", "code"), BAD_ACTIONS, ids=[case[0] for case in BAD_ACTIONS])
def test_one_fault_in_an_action_is_one_problem(actions: str, code: str) -> None:
    line = f"actions: {actions}"
    problem = only(f"name: x\npattern: a\n{line.replace('§', '')}\n")
    assert (problem.code, problem.line, problem.column) == (code, 3, line.index("§") + 1)
    assert problem.watcher == "x"
    assert problem.remedy


WHOLE = [
    ("", "empty", 0), ("# nothing\n", "empty", 0), ("---\n", "empty", 1), ("[]", "empty", 1), ("{}", "empty", 1),
    ("hello", "wrong-type", 1), ("3", "wrong-type", 1), ("- [a]\n", "wrong-type", 1),
    (GOOD + "---\n", "empty", 7), (GOOD + "---\n# gone\n", "empty", 8), ("---\n---\n" + GOOD, "empty", 2),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "line"), WHOLE)
def test_a_document_without_a_watcher_is_a_problem(text: str, code: str, line: int) -> None:
    problem = only(text)
    assert problem.code == code
    assert abs(problem.line - line) <= 1


def test_everything_wrong_is_told_at_once_in_the_order_of_the_lines() -> None:
    text = """\
name: x
interval_seconds: no
actions:
  - type: log_evnt
  - type: cancel_job
    needs: [4]
foo: 1
jobs: {ids: [1]}
"""
    assert problems(text) == [
        ("no-trigger", 1, 1),
        ("wrong-type", 2, 19),
        ("unknown-type", 4, 11),
        ("action-order", 6, 13),
        ("unknown-key", 7, 1),
        ("wrong-type", 8, 14),
    ]


def test_problems_of_all_documents_are_told_and_none_of_them_runs() -> None:
    text = GOOD + "---\nname: y\n---\n" + GOOD.replace("name: x", "name: z\nmax_triggers: 0")
    assert [code for code, _, _ in problems(text)] == ["missing-key", "no-trigger", "out-of-range"]


def test_a_misspelt_key_is_one_fault_though_the_right_one_is_missing() -> None:
    assert only(GOOD.replace("actions:", "action:")).remedy == "did you mean `actions`?"
    assert only(GOOD.replace("pattern:", "patern:")).remedy == "did you mean `pattern`?"


def test_an_action_written_flat_is_told_where_its_params_go() -> None:
    problem = only("name: x\npattern: a\nactions: [{type: log_event, message: x}]")
    assert "params: {message: ...}" in problem.remedy


def test_a_job_id_that_yaml_reads_as_a_number_is_shown_as_written_and_explained() -> None:
    problem = only(GOOD + "jobs: {ids: [124_7]}")
    assert problem.value == "124_7"
    assert '"124_7"' in problem.remedy
    assert "1247" in problem.remedy


def test_an_unknown_type_is_answered_with_the_nearest_one() -> None:
    assert only("name: x\npattern: a\nactions: [{type: cancle_job}]").remedy == "did you mean `cancel_job`?"


def test_a_list_named_watchers_is_answered_with_how_to_write_several() -> None:
    problem = next(p for p in load("watchers:\n  - name: x\n").problems if p.code == "unknown-key")
    assert "---" in problem.remedy


def test_a_value_is_cut_and_stands_on_one_line() -> None:
    problem = only(GOOD + "mode: |\n" + "".join(f"  line {number}\n" for number in range(500)))
    assert len(problem.value) <= 80
    assert "\n" not in problem.value


def test_params_beyond_ten_kilobytes_are_refused() -> None:
    def file(size: int) -> str:
        return f"name: x\npattern: a\nactions: [{{type: log_event, params: {{message: {'m' * size}}}}}]"

    assert load(file(10_000)).good
    assert only(file(10_241)).code == "params-too-large"


@pytest.mark.parametrize(
    "pattern", ["([", "(?P<a>x)(?P<a>y)", "*a", "a{3,2}", r"\1", "(?P=a)", "(?i", "a(?i)b", "x" * 1001, ""]
)
def test_what_is_no_pattern_is_refused_where_it_stands(pattern: str) -> None:
    problem = only(GOOD.replace('"a"', f"'{pattern}'"))
    assert (problem.line, problem.column) == (2, 10)
    assert problem.code in ("bad-pattern", "out-of-range")


@pytest.mark.parametrize("pattern", ["[[a]", "[^[a]", "[+--]", "a&&b|~~", "[a||b]", "(?i:x)", r"(?<=a)\bb\b", "é+"])
def test_what_is_a_pattern_is_taken_without_a_word(pattern: str) -> None:
    assert load(GOOD.replace('"a"', f"'{pattern}'")).good


def test_a_pattern_nested_beyond_the_compiler_is_refused() -> None:
    text = GOOD.replace('"a"', f"'{'(' * 480 + 'a' + ')' * 480}'")
    assert [p.code for p in load(text).problems] in ([], ["bad-pattern"])


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "".join(f"key{number}: 1\n" for number in range(20_000)),
        GOOD + f"captures: [{', '.join(['a'] * 30_000)}]",
        GOOD + f"jobs: {{ids: [{', '.join(['1'] * 30_000)}]}}",
        GOOD + "name: y\n" * 20_000,
        "- 1\n" * 20_000,
    ],
    ids=["unknown keys", "captures", "numbers", "duplicates", "items"],
)
def test_a_file_of_nothing_but_faults_is_told_of_in_bounds(text: str) -> None:
    began = time.process_time()
    loaded = load(text)
    assert 1 <= len(loaded.problems) <= loading.MAX_PROBLEMS
    assert loaded.specs == ()
    assert time.process_time() - began < 5


def test_a_check_from_above_speaks_with_the_place_and_makes_the_file_bad() -> None:
    def check(spec: WatcherSpec) -> list[Fault]:
        return [Fault(("actions", 0, "params", "message"), "too-rude", f"{spec.name} is rude", "be kind", "m")]

    loaded = load_file(GOOD.encode(), "w.yaml", MODEL, [check])
    assert loaded.specs == ()
    assert [(p.code, p.line, p.column, p.watcher) for p in loaded.problems] == [("too-rude", 5, 23, "x")]


def test_a_warning_of_a_check_stands_beside_the_spec() -> None:
    def check(_: WatcherSpec) -> list[Fault]:
        return [Fault(("name",), "odd-name", "odd", "find a better one", severity="warning")]

    loaded = load_file(GOOD.encode(), "w.yaml", MODEL, [check])
    assert loaded.good
    assert [located.spec.name for located in loaded.specs] == ["x"]
    assert [problem.code for problem in loaded.problems] == ["odd-name"]


# --- names -----------------------------------------------------------------------------------------------------------


def test_one_name_twice_in_a_file_names_both_places() -> None:
    problem = only(GOOD + "---\n" + GOOD)
    assert (problem.code, problem.line) == ("name-twice", 7)
    assert "w.yaml:1" in problem.message


def test_one_name_in_two_files_is_told_at_the_later_one() -> None:
    first, second = load(GOOD, "a.yaml"), load(GOOD, "b.yaml")
    found = list(name_clashes([("a.yaml", first.specs), ("b.yaml", second.specs)]))
    assert [(problem.file, problem.line) for problem in found] == [("b.yaml", 1)]
    assert "a.yaml:1" in found[0].message
    assert list(name_clashes([("a.yaml", first.specs)])) == []


# --- the cache -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [EVERYTHING, GOOD + "---\n" + GOOD.replace("x", "y", 1), GOOD + "nope: 1", ""])
def test_a_cached_parse_is_the_parse(text: str) -> None:
    loaded = load(text)
    specs, told = caching.outline(dump_loaded(loaded))
    assert [(from_json(each.body, MODEL), each.line) for each in specs] == [(e.spec, e.line) for e in loaded.specs]
    assert told == loaded.problems


def test_a_cached_parse_of_actions_that_are_gone_is_an_error_and_no_surprise() -> None:
    ((cached,), _) = caching.outline(dump_loaded(load(GOOD)))
    lonely = watcher_model([next(s for s in _specs() if "cancel_job" in str(s.model_fields["type"].annotation))])
    with pytest.raises(ConfigurationError):
        from_json(cached.body, lonely)


def _specs() -> list[type[ActionSpec]]:
    from reconciler.registry import discover

    return [plugin.spec for plugin in discover("reconciler.actions", "reconciler.actions").values()]


def test_the_key_of_the_cache_knows_content_version_and_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {cache_key("d"), cache_key("e"), cache_key("d", ["log_event"])}
    monkeypatch.setattr(caching, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    assert len(keys | {cache_key("d")}) == 4


def test_a_warm_start_never_imports_ruamel() -> None:
    program = (
        "import sys\nfrom spec_examples import MODEL\nfrom reconciler.spec.cached import outline\n"
        "from reconciler.spec.canonical import from_json\n"
        "assert from_json(outline(sys.stdin.read())[0][0].body, MODEL)\n"
        "sys.exit(any(name.startswith(('ruamel', '_ruamel')) for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], input=dump_loaded(load(EVERYTHING)), text=True, env=_env())
    assert done.returncode == 0


def _env() -> dict[str, str]:
    from pathlib import Path

    return {"PYTHONPATH": f"{Path(__file__).parents[2]}:{Path(__file__).parent}"}


def test_a_thousand_files_load_in_the_time_of_their_parse() -> None:
    """0.13 s here; the bound is wide, and still far below what ruamel's own safe loader takes (0.3 s C, 1.4 s pure)."""
    files = [EVERYTHING.replace("CUDA OOM handler", f"watcher {number}").encode() for number in range(1000)]
    began = time.process_time()
    assert all(load_file(content, "w.yaml", MODEL).good for content in files)
    assert time.process_time() - began < 2


# --- plugins and other documents -------------------------------------------------------------------------------------


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


class OddParams(SpecModel):
    words: Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(max_length=2)] = ()
    count: int = 1


class OddSpec(ActionSpec):
    type: Literal["odd"]
    params: OddParams = OddParams()


ODD = watcher_model([OddSpec])


def odd(params: str) -> list[tuple[str, int]]:
    """Return code and place (from the beginning of `params`) of what is wrong with the params of an odd action."""
    text = f"name: x\npattern: a\nactions: [{{type: odd, params: {params}}}]"
    before = text.splitlines()[2].index(params)
    return [(problem.code, problem.column - before - 1) for problem in load_file(text.encode(), "w", ODD).problems]


def test_a_plugin_whose_validator_makes_lists_is_not_blamed_on_the_person() -> None:
    assert odd("{words: [a, b]}") == odd("{words: a}") == []


def test_what_is_wrong_beside_such_a_validator_is_told_all_the_same() -> None:
    assert odd("{words: [a, 5]}") == [("wrong-type", 12)]
    assert odd("{words: [a, b, c]}") == [("out-of-range", 8)]
    assert odd("{words: [a], count: '3'}") == [("wrong-type", 20)]


def test_another_document_is_read_by_the_same_rules() -> None:
    assert load_document(b"words: [a]\ncount: 2\n", "f", OddParams) == (
        OddParams.model_validate({"words": ["a"], "count": 2}),
        [],
    )
    assert [p.code for p in load_document(b"cuont: 2\n", "f", OddParams)[1]] == ["unknown-key"]
    for text in (b"", b"- a\n", b"count: 1\n---\ncount: 1\n", b"a: [\n"):
        value, found = load_document(text, "f", OddParams)
        assert value is None
        assert len(found) == 1
