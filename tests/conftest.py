"""What holds for every test: an environment of its own, no task or child process left behind, real parts as fixtures.

Warnings are errors (see pyproject.toml). A module's tests with SLURM or a browser run in one worker: they share it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

_parts = sorted((Path(__file__).parent / "parts").glob("[!_]*.py"))
pytest_plugins = [f"parts.{file.stem}" for file in _parts if "@pytest.fixture" in file.read_text(encoding="utf-8")]
# Before the first of them is imported, since some import others.
pytest.register_assert_rewrite(*pytest_plugins)

# A shared machine stalls now and then; that is no finding of a property test. The rest stays as it is, here and in CI.
hypothesis.settings.register_profile("house", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("house")

#: A task or process may take so many seconds to end by itself after its test, not more.
GRACE = 1.0

_FOREIGN = ("RECONCILER_", "XDG_", "SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_", "GIT_", "_RECONCILE")
_ROOMS = {"XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache", "XDG_DATA_HOME": "data"}
_PARTS_WITH_SERVERS = ("slurm", "ssh")


def pytest_configure() -> None:
    """Heed SIGINT where whoever started us ignores it, as a shell does behind `&`: programs inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the leak check around every coroutine test; a module's tests with SLURM or a browser go into one worker."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(inspect.unwrap(item.obj)):
            item.fixturenames.insert(0, "no_leaked_tasks")  # set up first, so torn down after all others
        if item.get_closest_marker("slurm") or (isinstance(item, pytest.Function) and "chromium" in item.fixturenames):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run twice as many workers as there are cores: most tests wait for SLURM, sshd or a browser."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment of the test's own: HOME and XDG_* in a fresh directory, none of our variables, no colours.

    RECONCILER_CAMPAIGN stays: it says how long the campaigns are to be.
    """
    directory = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_FOREIGN) and name != "RECONCILER_CAMPAIGN"]:
            patch.delenv(name)
        patch.setenv("HOME", str(directory))
        for name, room in _ROOMS.items():
            patch.setenv(name, str(directory / room))
        patch.setenv("NO_COLOR", "1")
        patch.delenv("FORCE_COLOR", raising=False)
        yield directory


@pytest.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Fail a test that leaves asyncio tasks behind, its fixtures included."""
    before = asyncio.all_tasks()
    yield
    own = asyncio.current_task()
    deadline = time.monotonic() + GRACE
    while left := {task for task in asyncio.all_tasks() - before if task is not own and not task.done()}:
        if time.monotonic() > deadline:
            pytest.fail(f"tasks left behind: {sorted(map(repr, left))}", pytrace=False)
        await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def no_leaked_processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves child processes behind; tests whose servers outlive them (SLURM, SSH) are left out."""
    if any(request.node.get_closest_marker(part) for part in _PARTS_WITH_SERVERS):
        yield
        return
    before = _children()
    yield
    deadline = time.monotonic() + GRACE
    while left := _children() - before:
        if time.monotonic() > deadline:
            pytest.fail(f"child processes left behind: {sorted(map(_describe, left))}", pytrace=False)
        time.sleep(0.005)


def _children() -> set[int]:
    """Return the ids of our child processes: microseconds, where psutil looks at every process of the machine."""
    found: set[int] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(map(int, file.read_text().split()))
        except OSError:
            continue  # the thread has ended meanwhile
    return found


def _describe(pid: int) -> str:
    try:
        return f"{pid} {Path(f'/proc/{pid}/cmdline').read_bytes().replace(bytes(1), b' ').decode(errors='replace')}"
    except OSError:
        return str(pid)
