"""Names and places: what stands at the top level, how modules and classes are called, that each says what it is for."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = {"pyproject.toml", "README.md", "reconciler", "watchers.d", "schemas", "tests"}
EMPTY_WORDS = re.compile(r"(^|_)(utils?|helpers?|managers?|handlers?|services?|data|misc|common)(_|$)")
EMPTY_CLASSES = re.compile(r"(Utils?|Helper|Manager|Handler|Service|Data)$")


def tracked() -> list[str]:
    """Return the files of the repository, those not yet committed included."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listing.stdout.splitlines() if (ROOT / name).exists()]


def modules() -> list[Path]:
    return [ROOT / name for name in tracked() if name.startswith("reconciler/") and name.endswith(".py")]


def test_nothing_else_stands_at_the_top_level() -> None:
    tops = {name.split("/")[0] for name in tracked()}
    assert {top for top in tops if not top.startswith(".")} <= TOP


def test_no_module_has_an_empty_name() -> None:
    assert [str(file) for file in modules() if EMPTY_WORDS.search(file.stem)] == []


def test_no_class_has_an_empty_name() -> None:
    classes = {
        f"{file.relative_to(ROOT)}:{node.name}"
        for file in modules()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef) and EMPTY_CLASSES.search(node.name)
    }
    assert classes == set()


@pytest.mark.parametrize("name", ["utils", "path_helpers", "job_manager", "data"])
def test_empty_names_are_found(name: str) -> None:
    assert EMPTY_WORDS.search(name)
    assert not EMPTY_WORDS.search("database")


def test_every_module_and_test_says_what_it_is_for() -> None:
    files = [ROOT / name for name in tracked() if name.endswith(".py")]
    assert [str(file) for file in files if not ast.get_docstring(ast.parse(file.read_text()))] == []


def test_every_room_has_its_readme() -> None:
    rooms = {Path(name).parent for name in tracked() if re.fullmatch(r"reconciler/([a-z]+/)?[^/]+\.py", name)}
    rooms |= {Path("tests"), Path("watchers.d"), Path("schemas")}
    assert [str(room) for room in sorted(rooms) if not (ROOT / room / "README.md").is_file()] == []


def test_no_file_names_the_machine_it_was_written_on() -> None:
    places = {f"{ROOT}/", f"{Path(os.path.expanduser('~' + _login()))}/"} - {"/"}
    files = [ROOT / name for name in tracked() if not (ROOT / name).is_dir()]  # a link to a folder is one
    leaks = [str(file) for file in files for place in places if place in file.read_text(errors="replace")]
    assert leaks == []


def _login() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def test_what_is_run_can_be_run() -> None:
    for script in ("tests/run", ".ci/run"):
        assert os.access(ROOT / script, os.X_OK), script
        assert "set -euo pipefail" in (ROOT / script).read_text()


def test_ci_runs_the_command_for_everybody() -> None:
    commands = [
        line for line in (ROOT / ".ci/run").read_text().splitlines() if line and not line.startswith(("#", "set"))
    ]
    assert len(commands) == 1
    assert "tests/run" in commands[0]
