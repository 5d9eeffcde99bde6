"""The checks that hold for every test can themselves fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LEAKS = """
import asyncio, os, subprocess

async def test_leaves_a_task():
    asyncio.get_running_loop().shelf = asyncio.create_task(asyncio.sleep(60))

def test_leaves_a_process(request):
    request.config.shelf = subprocess.Popen(["sleep", "4"])

async def test_is_clean():
    await asyncio.create_task(asyncio.sleep(0))

def test_has_a_home_of_its_own(home):
    assert os.environ["HOME"] == str(home)
    assert "RECONCILER_STRAY" not in os.environ
"""

CONFTEST = Path(__file__).parents[1] / "conftest.py"


def test_a_leaked_task_and_a_leaked_process_fail_their_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_leaks.py").write_text(LEAKS)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    monkeypatch.setenv("RECONCILER_STRAY", "1")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    ).stdout
    assert "4 passed, 2 errors" in told, told
    assert "ERROR at teardown of test_leaves_a_task" in told
    assert "tasks left behind" in told
    assert "ERROR at teardown of test_leaves_a_process" in told
    assert "child processes left behind" in told
