"""`reconcile init` writes what validates at once, and `schema` what an editor reads; neither overwrites or guesses."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli import main
from reconciler.cli.init import _cron_word, _systemd_word
from reconciler.spec.yaml import parse


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_init_writes_a_watcher_that_validates_and_touches_no_job(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init"]) == 0
    assert capsys.readouterr().out == "watchers.d/first.yaml written\n"
    assert main(["validate", "watchers.d", "--strict"]) == 0
    actions = parse((here / "watchers.d/first.yaml").read_bytes()).documents[0].value["actions"]
    assert {action["type"] for action in actions} == {"log_event"}


def test_the_first_watcher_names_a_schema_that_is_there(here: Path) -> None:
    assert main(["init", "w"]) == 0
    name = (here / "w/first.yaml").read_text().splitlines()[0].partition("$schema=")[2]
    assert json.loads((here / "w" / name).read_text())["title"] == "Watchers"


def test_what_is_commented_out_in_the_first_watcher_is_valid_too(here: Path) -> None:
    assert main(["init", "w"]) == 0
    first = here / "w/first.yaml"
    text = first.read_text()
    for line in ("  # - type", "  #   needs", "  #   params", "  #     to", "  #     subject"):
        assert line in text
        text = text.replace(line, line.replace("# ", "", 1))
    for line in ("# mode", "# jobs", "#   name", "#   partition", "#   ids", "# condition"):
        assert f"\n{line}" in text
        text = text.replace(f"\n{line}", f"\n{line[2:]}")
    first.write_text(text)
    assert main(["validate", "w", "--strict"]) == 0


def test_init_overwrites_nothing(here: Path) -> None:
    (here / "w").mkdir()
    (here / "w/first.yaml").write_text("mine")
    assert main(["init", "w"]) == 64
    assert (here / "w/first.yaml").read_text() == "mine"


def test_init_says_where_it_cannot_write(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "file").write_text("")
    assert main(["init", "file/w"]) == 64
    assert "file" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_full_disk_is_told_with_the_file_and_leaves_nothing_in_the_way(here: Path) -> None:
    full = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (0, 0)); from reconciler.cli import program; program()"
    done = subprocess.run([sys.executable, "-c", full, "init", "w"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, "error: w/first.yaml cannot be written: File too large" in done.stderr) == (64, True)
    assert list((here / "w").iterdir()) == []
    assert main(["init", "w"]) == 0


def test_the_unit_and_the_scrontab_line_name_the_program_and_the_directory_in_full(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["init", "--systemd", "a b%c"]) == 0
    unit = capsys.readouterr().out
    start = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    assert start.endswith('/a b%%c"')
    assert start.startswith('ExecStart="/')
    assert main(["init", "--scrontab", "a b%c"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("*/5 * * * * /")
    assert shlex.split(line.replace("\\%", "%"))[-2:] == [f"{Path.cwd()}/a b%c", "--once"]


@pytest.mark.parametrize("how", ["--systemd", "--scrontab", "--post-receive"])
def test_what_is_printed_has_no_placeholder_left(how: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", how]) == 0
    assert "@" not in capsys.readouterr().out
    assert list(here.iterdir()) == []


def test_words_are_quoted_for_systemd_and_for_cron() -> None:
    assert _systemd_word('a"b\\c%d$e') == '"a\\"b\\\\c%%d$$e"'
    assert _cron_word("a%b c") == "'a\\%b c'"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_unit(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--systemd"]) == 0
    unit = here / "reconcile.service"
    unit.write_text(capsys.readouterr().out)
    done = subprocess.run(["systemd-analyze", "verify", "--user", str(unit)], capture_output=True, text=True)
    assert "Unknown" not in done.stderr


def git(*words: str, cwd: Path, **env: str) -> str:
    people = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *words], cwd=cwd, env={**os.environ, **people, **env}, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


def test_the_hook_checks_a_push_and_makes_a_pass(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stand-in program writes down how it is called; git and the hook are real."""
    calls = here / "calls"
    program = here / "bin" / "reconcile"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>{calls}\n[ "$1" != validate ] || cat "$3"/*.yaml >>{calls}\nexit 0\n')
    program.chmod(0o755)
    git("init", "-q", "--bare", "-b", "main", "bare", cwd=here)
    assert main(["init", "--post-receive", "watchers.d"]) == 0
    hook = here / "bare" / "hooks" / "post-receive"
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if line.startswith("reconcile="))
    hook.write_text(text.replace(line, f"reconcile={program}"))
    hook.chmod(0o755)
    git("clone", "-q", "bare", "work", cwd=here)
    work = here / "work"
    (work / "watchers.d").mkdir()
    (work / "watchers.d" / "a.yaml").write_text("name: pushed\n")
    git("add", ".", cwd=work)
    git("commit", "-q", "-m", "first", cwd=work)
    git("push", "-q", "origin", "HEAD:side", cwd=work)
    assert not calls.exists()
    git("push", "-q", "origin", "HEAD:main", cwd=work)
    assert calls.read_text().splitlines() == ["validate -- watchers.d", "name: pushed", "--once"]
    git("rm", "-q", "-r", "watchers.d", cwd=work)
    git("commit", "-q", "-m", "no more of them", cwd=work)
    git("push", "-q", "origin", "HEAD:main", cwd=work)
    assert calls.read_text().splitlines()[3:] == ["--once"]


# --- schema ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "title"),
    [([], "Watchers"), (["watcher"], "Watchers"), (["settings"], "Settings"), (["tests"], "WatcherTests")],
)
def test_a_schema_is_printed_as_json(words: list[str], title: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", *words]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == title


def test_all_schemas_are_written_at_once(here: Path) -> None:
    assert main(["schema", "--write", "new/place"]) == 0
    names = {path.name for path in (here / "new/place").iterdir()}
    kinds = ("watcher", "settings", "tests", "plan")
    assert names == {*(f"{kind}.schema.json" for kind in kinds), "reference.md"}


def test_another_kind_of_schema_is_wrong_usage() -> None:
    assert main(["schema", "jobs"]) == 64


def test_a_place_that_cannot_be_written_is_told(here: Path) -> None:
    (here / "file").write_text("")
    assert main(["schema", "--write", "file/x"]) == 64
