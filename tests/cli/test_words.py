"""How the words of the command line find a command, and what `reconcile` itself answers."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from reconciler import __version__
from reconciler.cli import commands, main
from reconciler.cli.options import GlobalOptions, add_to

Runs = list[tuple[str, GlobalOptions, tuple[str, ...]]]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Stand-ins for `daemon` and `plan` that write down how they were called."""
    seen: Runs = []

    def stand_in(name: str) -> click.Command:
        @click.command(name)
        @click.option("--once", is_flag=True)
        @click.argument("words", nargs=-1)
        @click.pass_obj
        def command(options: GlobalOptions, once: bool, words: tuple[str, ...]) -> None:
            seen.append((name, options, (("--once",) if once else ()) + words))

        return command

    monkeypatch.setattr(commands, "present", lambda: iter(["daemon", "plan", "suspend"]))
    monkeypatch.setattr(commands.Commands, "get_command", lambda self, ctx, name: add_to(stand_in(name)))
    return seen


@pytest.mark.parametrize(
    ("words", "name", "rest"),
    [
        ([], "daemon", ()),
        (["./watchers.d"], "daemon", ("./watchers.d",)),
        (["./watchers.d", "--once"], "daemon", ("--once", "./watchers.d")),
        (["--once", "/srv/watchers.d"], "daemon", ("--once", "/srv/watchers.d")),
        (["-v", "--once"], "daemon", ("--once",)),
        (["--debug", "-vv", "-q"], "daemon", ()),
        (["plan", "x"], "plan", ("x",)),
        (["-q", "plan", "x"], "plan", ("x",)),
        (["daemon", "plan"], "daemon", ("plan",)),
        (["--", "plan"], "daemon", ("plan",)),
    ],
)
def test_the_first_word_chooses(runs: Runs, words: list[str], name: str, rest: tuple[str, ...]) -> None:
    assert main(words) == 0
    assert [(ran, given) for ran, _, given in runs] == [(name, rest)]


def test_an_existing_directory_needs_no_slash(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["mine"]) == 0
    assert runs[0][2] == ("mine",)


def test_a_command_comes_before_a_directory_of_its_name(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plan").mkdir()
    monkeypatch.chdir(tmp_path)
    main(["plan"])
    main(["./plan"])
    assert [(name, words) for name, _, words in runs] == [("plan", ()), ("daemon", ("./plan",))]


@pytest.mark.parametrize(("word", "meant"), [("plna", "plan"), ("supsend", "suspend")])
def test_a_mistyped_command_is_wrong_usage_and_the_right_one_is_named(
    runs: Runs, capsys: pytest.CaptureFixture[str], word: str, meant: str
) -> None:
    assert main([word]) == 64
    told = capsys.readouterr().err
    assert f"did you mean `reconcile {meant}`?" in told
    assert runs == []


def test_beside_once_a_word_is_a_directory_though_it_is_gone(runs: Runs) -> None:
    assert main(["mine", "--once"]) == 0
    assert [(name, words) for name, _, words in runs] == [("daemon", ("--once", "mine"))]


def test_a_directory_that_gave_watchers_and_is_gone_is_no_mistyped_command(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "w.yaml").write_text(
        "name: w\npattern: x\njobs: {name: j}\nactions: [{type: pause_watcher}]\n"
    )
    monkeypatch.chdir(tmp_path)
    once = [sys.executable, "-m", "reconciler", "mine", "--once"]
    assert subprocess.run(once, capture_output=True, timeout=60).returncode == 0
    (tmp_path / "mine").rename(tmp_path / "unmounted")
    assert main(["mine"]) == 0
    assert [(name, words) for name, _, words in runs] == [("daemon", ("mine",))]


@pytest.mark.parametrize("name", ["daemon", "plan", "apply", "serve"])
def test_a_directory_that_may_not_be_read_is_no_wrong_usage_a_pass_tells_of_it_and_the_others_go_on(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    command = commands.reconcile.get_command(click.Context(commands.reconcile), name)
    assert command is not None
    context = command.make_context(name, [str(tmp_path)])
    assert (tmp_path,) in context.params.values()


def test_a_word_like_nothing_points_to_the_help(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zzzzzz"]) == 64
    assert "see `reconcile --help`" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["before", "after", "joined"])
def test_the_settings_file_may_stand_before_or_after_the_command(runs: Runs, tmp_path: Path, place: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("")
    words = {
        "before": ["--config", str(file), "plan"],
        "after": ["plan", "--config", str(file)],
        "joined": [f"--config={file}", "plan"],
    }
    assert main(words[place]) == 0
    assert runs[0][:2] == ("plan", GlobalOptions(config=file))


def test_the_settings_file_of_the_environment_is_used(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("")
    monkeypatch.setenv("RECONCILER_CONFIG", str(file))
    main(["plan"])
    assert runs[0][1].config == file


def test_a_settings_file_that_is_not_there_is_wrong_usage(runs: Runs) -> None:
    assert main(["--config", "/nowhere/config.yaml", "plan"]) == 64


@pytest.mark.parametrize("words", [["--bogus"], ["plan", "--bogus"], ["completion", "tcsh"], ["--config"]])
def test_click_s_status_2_never_shows(runs: Runs, words: list[str]) -> None:
    assert main(words) == (64 if words != ["completion", "tcsh"] else 0)  # the stand-in takes any words


def test_what_a_command_calls_its_own_option_stays_its_own() -> None:
    seen = []
    own = click.Command("own", params=[click.Option(["-v", "--value"])], callback=lambda value: seen.append(value))
    add_to(add_to(own))
    own.main(["-v", "3", "--debug"], standalone_mode=False)
    assert seen == ["3"]


# --- help and version ------------------------------------------------------------------------------------------------


def test_help_lists_exactly_the_commands_whose_file_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    folder = Path(commands.__file__).parent
    for name, entry in commands.COMMANDS.items():
        here = (folder / f"{commands.module_of(name)}.py").exists()
        assert (f"\n  {name} " in told) is here, name
        assert (f"\n{entry.section}:\n" in told) or not here
    assert "reconcile ./watchers.d --once" in told


def test_every_command_of_the_table_is_one_and_says_in_its_help_what_it_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in commands.present():
        assert main([name, "--help"]) == 0, name
        told = capsys.readouterr().out
        assert told.startswith(f"Usage: reconcile {name}"), name
        assert "Examples:\n" in told, name


def test_every_file_of_a_command_stands_in_the_table() -> None:
    folder = Path(commands.__file__).parent
    framework = {"__init__", "chart", "commands", "exits", "options", "output", "text"}
    files = {file.stem for file in folder.glob("*.py") if "command" in _names_of(file)}
    assert files - framework == {commands.module_of(name) for name in commands.present()}


def _names_of(file: Path) -> set[str]:
    import ast

    tree = ast.parse(file.read_text())
    return {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))} | {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def test_a_keyword_has_its_file_with_an_underscore() -> None:
    assert (commands.module_of("import"), commands.module_of("plan")) == ("import_", "plan")


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["-v", "--version"]])
def test_version(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out == f"reconcile {__version__}\n"


def test_version_needs_no_heavy_import_and_less_than_150_ms() -> None:
    code = "import sys; from reconciler.cli import main; main(['--version']); print('click' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20).stdout
    assert told.splitlines()[-1] == "False"
    times = []
    for _ in range(5):
        begun = _used_by_programs()
        subprocess.run([sys.executable, "-m", "reconciler", "--version"], check=True, capture_output=True, timeout=20)
        times.append(_used_by_programs() - begun)
    assert min(times) < 0.15, times


def _used_by_programs() -> float:
    """Return the processor time that ended programs took: what else the machine does is no fault of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_imports_no_command_and_nothing_heavy() -> None:
    code = (
        "import sys; from reconciler.cli import main; main(['--help']); "
        "print([name for name in sys.modules if name.startswith('reconciler.')]); "
        "print([name for name in ('rich', 'pydantic', 'asyncio', 'sqlmodel', 'asyncssh') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20).stdout
    ours, heavy = told.splitlines()[-2:]
    assert {name.rpartition(".")[2] for name in eval(ours)} <= {
        "cli",
        "commands",
        "exits",
        "options",
        "output",
        "text",
        "errors",
    }
    assert heavy == "[]"


# --- completion ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert main(["completion", shell]) == 0
    assert "_RECONCILE_COMPLETE" in capsys.readouterr().out


def _completed(words: str, index: int) -> list[str]:
    environment = {**os.environ, "_RECONCILE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(index)}
    done = subprocess.run(
        [sys.executable, "-m", "reconciler"], capture_output=True, text=True, env=environment, timeout=20, check=True
    )
    return done.stdout.split()


def test_commands_and_directories_are_completed() -> None:
    assert _completed("reconcile comp", 1) == ["plain,completion", "dir,comp"]


def test_values_and_options_of_a_command_are_completed() -> None:
    assert _completed("reconcile completion z", 2) == ["plain,zsh"]
    assert "plain,--config" in _completed("reconcile completion --c", 2)


def test_the_bash_script_completes_in_a_real_bash(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["completion", "bash"])
    script = capsys.readouterr().out
    program = tmp_path / "reconcile"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m reconciler "$@"\n')
    program.chmod(0o755)
    ask = (
        "COMP_WORDS=(reconcile completion fi); COMP_CWORD=2; "
        "_reconcile_completion reconcile fi completion; echo ${COMPREPLY[@]}"
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    done = subprocess.run(["bash", "-c", script + ask], capture_output=True, text=True, timeout=20)
    assert done.stdout.strip() == "fish", done.stderr


# --- logging ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "ours", "theirs"),
    [
        ([], "WARNING", "WARNING"),
        (["-v"], "INFO", "WARNING"),
        (["-vv"], "DEBUG", "WARNING"),
        (["-vvv"], "DEBUG", "DEBUG"),
        (["-q"], "ERROR", "ERROR"),
    ],
)
def test_how_much_is_logged(words: list[str], ours: str, theirs: str) -> None:
    code = (
        "import logging, sys; from reconciler.cli import main; main([*sys.argv[1:], 'completion', 'fish']); "
        "print(*(logging.getLevelName(logging.getLogger(n).getEffectiveLevel()) for n in ('reconciler.x', 'other')))"
    )
    told = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, timeout=20)
    assert told.stdout.splitlines()[-1].split() == [ours, theirs]
