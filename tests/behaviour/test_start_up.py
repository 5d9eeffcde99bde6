"""What a pass under cron costs where nothing is to do: little more than importing the libraries that it needs."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from parts.house import House

#: Imported for a pass where there is nothing to do.
NEEDED = (
    "pydantic, sqlmodel, sqlalchemy.dialects.sqlite, re2, orjson, click, asyncio, simpleeval, durationpy, asyncinotify"
)
#: Only for what is asked of them.
NEVER = {
    "hyperscan",
    "rich",
    "apscheduler",
    "asyncssh",
    "httpx",
    "starlette",
    "fastapi",
    "uvicorn",
    "tree_sitter",
    "regex",
    "ruamel",
    "aiosmtplib",
}
#: Of our own: what reads, judges and matches, acts, and reaches other hosts.
NEVER_OURS = (
    "reconciler.actions.",
    "reconciler.api",
    "reconciler.engine.daemon",
    "reconciler.engine.jobtask",
    "reconciler.logic.command",
    "reconciler.logic.patterns",
    "reconciler.spec.load",
    "reconciler.spec.watcher",
    "reconciler.spec.yaml",
    "reconciler.transports.ssh",
)
#: Times the libraries, the scheduler's programs counted too; about 1.1 is usual.
MOST = 1.3


@pytest.fixture
def warm(house: House, tmp_path: Path) -> tuple[House, Mapping[str, str]]:
    """A reconciler whose hundred files did not change, and an environment in which bytecode is kept."""
    for number in range(100):
        house.write(f"w{number}", pattern=f"hit {number}")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(tmp_path / "bytecode")
    for _ in range(2):
        subprocess.run(house.argv(str(house.watchers), "--once"), env=env, check=True, timeout=60)
    return house, env


def seconds(words: Sequence[str], env: Mapping[str, str]) -> float:
    """Return the processor time of a program and its children: what others do on the machine does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, env=env, check=True, capture_output=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
def test_an_idle_pass_costs_little_more_than_its_libraries(warm: tuple[House, Mapping[str, str]]) -> None:
    house, env = warm
    once = house.argv(str(house.watchers), "--once")
    libraries = [sys.executable, "-c", f"import {NEEDED}"]
    seconds(libraries, env)
    pairs = [(seconds(once, env), seconds(libraries, env)) for _ in range(8)]
    ours, theirs = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
    print(f"a pass {ours * 1000:.0f} ms, its libraries {theirs * 1000:.0f} ms: {ours / theirs:.2f}")
    assert ours <= MOST * theirs, pairs


@pytest.fixture
def bare(house: House, tmp_path: Path) -> Mapping[str, str]:
    """An environment without settings, and without the cluster that this machine may belong to."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in [*Path("/usr/bin").iterdir(), *Path("/bin").iterdir()]:
        if program.name != "sbatch" and not (programs / program.name).is_symlink():
            (programs / program.name).symlink_to(program)
    ours = {"PATH": str(programs), "XDG_STATE_HOME": f"{house.home}/xdg", "XDG_CONFIG_HOME": f"{house.home}/config"}
    return {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")} | ours


def test_an_idle_pass_imports_nothing_that_it_does_not_use(house: House, bare: Mapping[str, str]) -> None:
    for number in range(3):
        house.write(f"w{number}", pattern=f"hit {number}")
    words = [sys.executable, "-X", "importtime", "-m", "reconciler", str(house.watchers), "--once"]
    first, told = (
        subprocess.run(words, env=bare, check=True, capture_output=True, text=True, timeout=60).stderr for _ in range(2)
    )
    modules = set(re.findall(r"\|\s+([a-zA-Z_0-9.]+)$", told, re.MULTILINE))
    assert "reconciler.spec.load" in first
    assert "reconciler.engine.once" in modules
    assert {module.partition(".")[0] for module in modules} & NEVER == set()
    assert sorted(module for module in modules if module.startswith(NEVER_OURS)) == []
