"""Settings are found in four places, say where they are wrong, and are overridden by the environment."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from reconciler.errors import ConfigurationError, ExitCode, Problem, SpecError
from reconciler.settings import Durability, Settings
from reconciler.spec.settings_file import RESERVED, find_settings, load_settings


def file(directory: Path, text: str, name: str = "reconciler.yaml") -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def wrong(path: Path | None, env: dict[str, str] | None = None) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        load_settings(path, env or {})
    assert caught.value.exit_code is ExitCode.INVALID
    for problem in caught.value.problems:
        assert problem.message
        assert problem.remedy
    return list(caught.value.problems)


# --- which file ------------------------------------------------------------------------------------------------------


def test_without_a_file_the_defaults_hold() -> None:
    assert load_settings(None, {}) == Settings()


def test_the_named_file_comes_before_the_variable_and_that_before_the_usual_places(tmp_path: Path) -> None:
    named, variable = file(tmp_path, "", "named.yaml"), file(tmp_path, "", "variable.yaml")
    usual = file(tmp_path / "config" / "reconciler", "")
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path / "elsewhere")}
    assert find_settings(None, env) == usual
    assert find_settings(None, {**env, "RECONCILER_CONFIG": str(variable)}) == variable
    assert find_settings(named, {**env, "RECONCILER_CONFIG": str(variable)}) == named


def test_the_usual_place_is_below_the_home_where_xdg_says_nothing(tmp_path: Path) -> None:
    usual = file(tmp_path / ".config" / "reconciler", "")
    assert find_settings(None, {"HOME": str(tmp_path)}) == usual
    assert find_settings(None, {"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}) == usual


def test_without_a_home_in_the_environment_it_is_the_account_s_as_for_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    usual = file(tmp_path / ".config" / "reconciler", "")
    assert find_settings(None, {}) == usual
    assert find_settings(None, {"XDG_CONFIG_HOME": "relative"}) == usual


@pytest.mark.parametrize("kind", ["a dangling link", "a loop", "a directory", "a pipe"])
@pytest.mark.parametrize("named", [False, True], ids=["usual", "named"])
def test_a_file_that_is_there_and_cannot_be_read_is_no_missing_one(named: bool, kind: str, tmp_path: Path) -> None:
    """Going on with the defaults would forget the policy, and perhaps where the state is."""
    path = tmp_path / ".config" / "reconciler" / "reconciler.yaml"
    path.parent.mkdir(parents=True)
    match kind:
        case "a dangling link":
            path.symlink_to("/nowhere/reconciler.yaml")
        case "a loop":
            path.symlink_to(path.name)
        case "a directory":
            path.mkdir()
        case _:
            os.mkfifo(path)
    with pytest.raises(ConfigurationError, match=re.escape(f"the settings file {path} cannot be read: ")) as caught:
        find_settings(path if named else None, {"HOME": str(tmp_path)})
    assert caught.value.remedy


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for config, env in ((tmp_path / "x", {}), (None, {"RECONCILER_CONFIG": str(tmp_path / "x")})):
        with pytest.raises(ConfigurationError) as caught:
            find_settings(config, env)
        assert caught.value.remedy


# --- what it says ----------------------------------------------------------------------------------------------------


def test_a_file_is_read(tmp_path: Path) -> None:
    path = file(tmp_path, "policy: {users: [a, b], prune_grace: 1m}\nhosts: {hpc1: {}}\nstate: {durability: full}\n")
    settings = load_settings(path, {})
    assert settings.policy.users == ("a", "b")
    assert settings.policy.prune_grace == 60
    assert set(settings.hosts) == {"hpc1"}
    assert settings.state.durability is Durability.FULL


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_says_nothing(text: str, tmp_path: Path) -> None:
    assert load_settings(file(tmp_path, text), {}) == Settings()


def test_everything_wrong_is_told_at_its_place(tmp_path: Path) -> None:
    path = file(
        tmp_path, "limits:\n  line_bytes: many\npolcy: {}\nstate:\n  durability: ful\nengine: {max_backoff: 0}\n"
    )
    assert [(p.file, p.line, p.column, p.code) for p in wrong(path)] == [
        (str(path), 2, 15, "wrong-type"),
        (str(path), 3, 1, "unknown-key"),
        (str(path), 5, 15, "not-allowed"),
        (str(path), 6, 23, "out-of-range"),
    ]
    assert "`policy`" in wrong(path)[1].remedy


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [", "syntax"),
        ("a: 1\na: 2", "duplicate-key"),
        ("- a", "wrong-type"),
        ("{}\n---\n{}", "wrong-type"),
        ("\ta: 1", "tab"),
    ],
)
def test_what_is_no_mapping_in_yaml_is_told(text: str, code: str, tmp_path: Path) -> None:
    assert [problem.code for problem in wrong(file(tmp_path, text))] == [code]


def test_a_file_that_is_a_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        load_settings(tmp_path, {})


@pytest.mark.parametrize(
    "text",
    [
        "channels: https://hooks.example.org/s3cret",
        "channels: {a: s3cret}",
        "channels: {a: 'b s3cret\n",
        'channels: {a: "\\d s3cret"}',
        "actions: {notify: [s3cret]}",
        "hosts: {h: {transport: s3cret}}",
        "sources: [s3cret]",
        "client: s3cret",
        "client: {key: [s3cret]}",
        "client: {key: {s3: s3cret}}",
        "client: {url: 'hxxp://ada:s3cret@host'}",
        "client: {url: [https://ada:s3cret@host]}",
        "client: {key_file: [s3cret]}",
        "client: {key: *s3cret}",
        "client: {key: !s3cret x}",
        "channels: {p: {type: apprise, urls: [!s3cret]}}",
    ],
)
def test_what_may_be_a_secret_is_not_shown(text: str, tmp_path: Path) -> None:
    assert all("s3cret" not in str(problem) + problem.value for problem in wrong(file(tmp_path, text)))


@pytest.mark.parametrize(
    "text", ["client: {key: 8237462873}", "client: {key: 82_3746_2873}", "client: {url: 8237462873}"]
)
def test_a_secret_of_digits_alone_is_to_stand_in_quotes_and_is_not_shown(text: str, tmp_path: Path) -> None:
    (problem,) = wrong(file(tmp_path, text))
    assert (problem.code, problem.remedy, problem.value) == ("wrong-type", "put it in quotes", "")
    assert "3746" not in problem.message


def test_what_is_no_secret_is_shown(tmp_path: Path) -> None:
    env = {"RECONCILER_POLICY__MAX_STOPS": "3"}
    (problem,) = wrong(file(tmp_path, "policy: {users: 82_37, max_stops: 2}"), env)
    assert problem.value == "82_37"


# --- the environment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "found"),
    [
        ("RECONCILER_STATE__PATH", "/x/state.db", lambda s: str(s.state.path) == "/x/state.db"),
        ("RECONCILER_STATE__PATH", "123", lambda s: str(s.state.path) == "123"),
        ("RECONCILER_POLICY__USERS", '["a", "b"]', lambda s: s.policy.users == ("a", "b")),
        ("RECONCILER_POLICY__USERS", "a", lambda s: s.policy.users == ("a",)),
        ("RECONCILER_CLIENT__KEY", "8237462873", lambda s: s.client.key.get_secret_value() == "8237462873"),
        ("RECONCILER_CLIENT__KEY", '"in quotes"', lambda s: s.client.key.get_secret_value() == "in quotes"),
        ("RECONCILER_POLICY__MAX_STOPS", "5", lambda s: s.policy.max_stops == 5),
        ("RECONCILER_POLICY", '{"max_stops": 5}', lambda s: s.policy.max_stops == 5),
        ("RECONCILER_ENGINE__SOURCE_INTERVAL", "1m", lambda s: s.engine.source_interval == 60),
        ("RECONCILER_STATE__DURABILITY", "full", lambda s: s.state.durability is Durability.FULL),
        ("RECONCILER_DIRECTORIES", "/a", lambda s: s.directories == (Path("/a"),)),
        ("RECONCILER_HOSTS", '{"hpc1": {}}', lambda s: set(s.hosts) == {"hpc1"}),
        ("RECONCILER_HOSTS__HPC1__USERS", '["x"]', lambda s: s.hosts["hpc1"].users == ("x",)),
    ],
)
def test_a_variable_overrides_a_setting(variable: str, value: str, found: object) -> None:
    assert callable(found)
    assert found(load_settings(None, {variable: value, "HOME": "/", "OTHER": "x"}))


def test_a_variable_changes_its_own_key_only(tmp_path: Path) -> None:
    path = file(tmp_path, "policy: {users: [a], max_stops: 3}\nhosts: {HPC1: {users: [b]}}\n")
    settings = load_settings(path, {"RECONCILER_POLICY__MAX_STOPS": "4", "RECONCILER_HOSTS__HPC1__USERS": '["c"]'})
    assert (settings.policy.users, settings.policy.max_stops) == (("a",), 4)
    assert settings.hosts["HPC1"].users == ("c",)


def test_a_variable_that_is_no_setting_is_an_error_with_the_nearest_one() -> None:
    (problem,) = wrong(None, {"RECONCILER_POLCY__USERS": "a"})
    assert problem.code == "unknown-key"
    assert "RECONCILER_POLICY" in problem.remedy
    for variable in ("RECONCILER_", "RECONCILER___X", "RECONCILER_POLICY__", "RECONCILER_STATE_PATH"):
        assert [problem.code for problem in wrong(None, {variable: "a"})] == ["unknown-key"], variable


def test_variables_with_our_prefix_that_are_no_settings_are_left_alone() -> None:
    assert load_settings(None, dict.fromkeys(RESERVED, "x")) == Settings()


def test_a_wrong_value_is_blamed_on_its_variable_and_not_shown(tmp_path: Path) -> None:
    path = file(tmp_path, "policy: {max_stops: 3}\nlimits: {line_bytes: x}\n")
    problems = wrong(path, {"RECONCILER_POLICY__MAX_STOPS": "s3cret", "RECONCILER_POLICY__NOPE": "1"})
    by_file = {(problem.file, problem.code) for problem in problems}
    assert by_file == {(str(path), "wrong-type"), ("the environment", "wrong-type"), ("the environment", "unknown-key")}
    assert any("RECONCILER_POLICY__MAX_STOPS" in problem.message for problem in problems)
    assert all("s3cret" not in str(problem) + problem.value for problem in problems)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RECONCILER_CLIENT", '{"key": 8237462873}'),
        ("RECONCILER_CLIENT", "8237462873"),
        ("RECONCILER_CLIENT__KEY__X", "8237462873"),
        ("RECONCILER_STATE__DURABILITY", "8237462873"),
        ("RECONCILER_CHANNELS__TEAM", "8237462873"),
        ("RECONCILER_DIRECTORIES__X", "8237462873"),
    ],
)
def test_a_number_that_a_variable_brought_is_not_shown(variable: str, value: str, tmp_path: Path) -> None:
    for problem in wrong(file(tmp_path, "{}"), {variable: value}):
        assert "8237" not in str(problem) + problem.value


def test_wrong_variables_and_a_wrong_file_are_told_together(tmp_path: Path) -> None:
    path = file(tmp_path, "nope: 1\n")
    assert len(wrong(path, {"RECONCILER_NOPE": "1"})) == 2
