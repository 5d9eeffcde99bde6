"""What is wrong in a plugin's own section of the settings is told at its line and column, like the rest of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import app
from reconciler.errors import ExitCode, Problem, SpecError
from reconciler.model import HostName
from reconciler.settings import Settings

SECRET = "hunter2"


def make_all(settings: Settings) -> None:
    """Make all that has a section of its own."""
    for name in settings.hosts:
        app.make_host(HostName(name), settings)
    app.make_actions(settings)
    app.make_sources(settings)


def told(text: str, tmp_path: Path, env: dict[str, str] | None = None) -> list[Problem]:
    """Return what is wrong with settings of which every section is made."""
    path = tmp_path / "reconciler.yaml"
    path.write_text(text, encoding="utf-8")
    settings = app.load_settings(path, env or {})
    with pytest.raises(SpecError) as caught:
        make_all(settings)
    assert caught.value.exit_code is ExitCode.INVALID
    assert all(problem.remedy for problem in caught.value.problems)
    assert SECRET not in str(caught.value)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("hosts:\n  hpc1:\n    scheduler:\n      type: slurm\n      timeout: soon\n", 5, 16, "duration"),
        ("hosts:\n  hpc1:\n    scheduler: {type: slurm, progams: /opt}\n", 3, 30, "progams"),
        ("hosts:\n  hpc1: {scheduler: {type: pbs}}\n", 2, 28, "there is no type 'pbs'"),
        ("hosts:\n  hpc1:\n    transport:\n      type: pigeon\n", 4, 13, "there is no type 'pigeon'"),
        ("hosts: {hpc1: {transport: {type: ssh, password: hunter2}}}\n", 1, 39, "password"),
        ("actions:\n  run_command:\n    allow: hunter2\n", 3, 5, "allow"),
        ("sources:\n  - {type: git, git: 'https://example.org/w.git', every: hunter2}\n", 2, 51, "every"),
    ],
)
def test_a_fault_of_a_section_names_its_place(text: str, line: int, column: int, words: str, tmp_path: Path) -> None:
    (problem,) = told(text, tmp_path)
    assert problem.file == str(tmp_path / "reconciler.yaml")
    assert (problem.line, problem.column) == (line, column)
    assert words in problem.message


def test_a_source_that_names_a_repository_or_a_path_needs_no_type(tmp_path: Path) -> None:
    sources: list[dict[str, str]] = [{"git": "https://example.org/w.git"}, {"path": str(tmp_path)}]
    made = app.make_sources(Settings.model_validate({"sources": sources}))
    typed = [{"type": "git", **sources[0]}, {"type": "directory", **sources[1]}]
    wanted = app.make_sources(Settings.model_validate({"sources": typed}))
    assert [source.name for source in made] == [source.name for source in wanted]
    assert [type(source) for source in made] == [type(source) for source in wanted]
    assert len(made) == 2


def test_all_that_is_wrong_with_a_section_is_told_at_once(tmp_path: Path) -> None:
    found = told("hosts:\n  a:\n    scheduler:\n      type: slurm\n      timeout: x\n      programs: [1]\n", tmp_path)
    assert [problem.line for problem in found] == [5, 6]


def test_a_key_that_is_not_there_is_told_where_its_section_stands(tmp_path: Path) -> None:
    (problem,) = told("sources:\n  - type: git\n", tmp_path)
    assert problem.line == 2


def test_what_a_variable_brought_is_told_at_the_variable(tmp_path: Path) -> None:
    env = {"RECONCILER_HOSTS__HPC1__SCHEDULER__TIMEOUT": "soon"}
    (problem,) = told("hosts: {hpc1: {scheduler: {type: slurm}}}\n", tmp_path, env)
    assert (problem.file, problem.line) == ("the environment", 0)
    assert "RECONCILER_HOSTS__HPC1__SCHEDULER__TIMEOUT" in problem.message


def test_a_password_of_digits_alone_is_not_shown(tmp_path: Path) -> None:
    text = "actions: {notify_email: {smtp: {host: h, password: 8237462873}}}\n"
    env = {"RECONCILER_ACTIONS__NOTIFY_EMAIL__SMTP__PASSWORD": "8237462873"}
    for problems in (told(text, tmp_path), told(text, tmp_path, env)):
        assert problems
        assert all("8237" not in str(problem) + problem.value for problem in problems)
        assert any("quotes" in problem.remedy for problem in problems)


def test_where_settings_stand_makes_them_no_others(tmp_path: Path) -> None:
    path = tmp_path / "reconciler.yaml"
    path.write_text("engine: {discovery_interval: 30s}\n", encoding="utf-8")
    assert app.load_settings(path, {}) == Settings()
    assert app.load_settings(path, {}).written.file == str(path)
