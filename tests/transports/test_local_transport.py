"""What the local transport does beyond the conformance suite: notices, bounds, an end that lets go of everything."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncinotify  # noqa: F401 - imported here, since its import needs descriptors
import pytest
from parts.waiting import eventually

from reconciler.errors import HostUnreachableError
from reconciler.model import LOCALHOST
from reconciler.protocols import Sight, Want
from reconciler.transports import local, notices
from reconciler.transports.local import LocalTransport, LocalTransportSpec
from reconciler.transports.threads import in_daemon_thread


@pytest.fixture
def woken() -> list[str]:
    """The paths that were woken for, in order; `watch` with `woken.append`."""
    return []


@contextmanager
def no_descriptor_free() -> Iterator[None]:
    """Let this process open nothing more."""
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def most_queued() -> int:
    return int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


async def watched(here: LocalTransport, paths: list[Path], woken: list[str]) -> None:
    """Watch, and return when the kernel does (a directory is added in a thread) and what was woken for that is gone."""
    here.watch([str(path) for path in paths], woken.append)
    await eventually(lambda: not any(thread.name == "notices" for thread in threading.enumerate()))
    await asyncio.sleep(0)  # the thread's result is taken over by the loop
    woken.clear()


async def test_growth_of_a_watched_file_wakes(here: LocalTransport, woken: list[str], tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.touch()
    await watched(here, [file], woken)
    file.write_text("more")
    await eventually(lambda: woken == [str(file)])


async def test_a_file_that_comes_later_wakes(here: LocalTransport, woken: list[str], tmp_path: Path) -> None:
    await watched(here, [tmp_path / "made", tmp_path / "moved"], woken)
    (tmp_path / "made").touch()
    (tmp_path / "else").touch()
    (tmp_path / "else").rename(tmp_path / "moved")
    await eventually(lambda: set(woken) == {str(tmp_path / "made"), str(tmp_path / "moved")})


async def test_what_grew_while_its_directory_was_still_being_added_wakes(
    here: LocalTransport, woken: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look may have been before it, and the next regular one is far."""
    gate, add = threading.Event(), notices._add_watches
    monkeypatch.setattr(notices, "_add_watches", lambda *args: add(*args) if gate.wait(30) else ([], None))
    here.watch([str(tmp_path / "out")], woken.append)
    (tmp_path / "out").write_text("x")
    gate.set()
    await eventually(lambda: woken == [str(tmp_path / "out")])


async def test_other_files_of_the_directory_do_not_wake(here: LocalTransport, woken: list[str], tmp_path: Path) -> None:
    await watched(here, [tmp_path / "out"], woken)
    (tmp_path / "other").write_text("x")
    (tmp_path / "out").write_text("x")
    await eventually(lambda: woken)
    assert set(woken) == {str(tmp_path / "out")}


async def test_a_later_set_replaces_the_earlier_one(here: LocalTransport, woken: list[str], tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    await watched(here, [tmp_path / "one" / "out"], woken)
    await watched(here, [tmp_path / "two" / "out"], woken)
    (tmp_path / "one" / "out").write_text("x")
    (tmp_path / "two" / "out").write_text("x")
    await eventually(lambda: woken)
    assert set(woken) == {str(tmp_path / "two" / "out")}
    await watched(here, [tmp_path / "one" / "out"], woken)
    (tmp_path / "one" / "out").write_text("y")
    await eventually(lambda: str(tmp_path / "one" / "out") in woken)


async def test_a_directory_that_is_not_there_is_tried_again(
    here: LocalTransport, woken: list[str], tmp_path: Path
) -> None:
    late = tmp_path / "late" / "out"
    await watched(here, [late, tmp_path / "out"], woken)
    (tmp_path / "out").write_text("x")
    await eventually(lambda: str(tmp_path / "out") in woken)
    late.parent.mkdir()
    await watched(here, [late], woken)
    late.write_text("x")
    await eventually(lambda: str(late) in woken)


async def test_two_names_of_one_directory_both_wake(here: LocalTransport, woken: list[str], tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    both = [tmp_path / "real" / "out", tmp_path / "link" / "out"]
    await watched(here, both, woken)
    both[0].write_text("x")
    await eventually(lambda: set(woken) == set(map(str, both)))


async def test_a_burst_wakes_a_few_times_only(here: LocalTransport, woken: list[str], tmp_path: Path) -> None:
    await watched(here, [tmp_path / "out"], woken)
    begun = time.monotonic()
    with (tmp_path / "out").open("w", buffering=1) as out:
        for number in range(20_000):
            out.write(f"{number}\n")
            if number % 1000 == 0:
                await asyncio.sleep(0)
    await eventually(lambda: woken)
    assert len(woken) <= 2 + (time.monotonic() - begun) / notices.PAUSE


async def test_a_queue_that_ran_over_wakes_for_everything(
    here: LocalTransport, woken: list[str], tmp_path: Path
) -> None:
    names = [tmp_path / "one", tmp_path / "two"]
    await watched(here, names, woken)
    others = [(tmp_path / name).open("w", buffering=1) for name in ("x", "y")]
    for _ in range(most_queued() // 2 + 10):  # in turns, so that the kernel merges nothing; neither file is one of ours
        for other in others:
            other.write("\n")
    for other in others:
        other.close()
    await eventually(lambda: set(woken) == set(map(str, names)))


async def test_without_inotify_it_is_said_once_and_files_are_still_looked_at(
    here: LocalTransport, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "out").write_text("x")
    with caplog.at_level(logging.WARNING), no_descriptor_free():
        here.watch([str(tmp_path / "out")], lambda path: None)
        here.watch([str(tmp_path / "other")], lambda path: None)
    assert [record.message for record in caplog.records] == [
        "no notices of growing files (Too many open files): they are looked at at their regular times"
    ]
    assert (await here.look([Want(str(tmp_path / "out"))]))[0].sight is Sight.READ


async def test_closing_lets_go_of_everything(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    transport = LocalTransport(LOCALHOST)
    woken: list[str] = []
    await watched(transport, [tmp_path / "out"], woken)
    running = asyncio.create_task(transport.run(["sleep", "60"]))
    await eventually(lambda: len(os.listdir("/proc/self/fd")) > len(before) + 1)
    await transport.close()
    with pytest.raises(HostUnreachableError, match="closed"):
        await running
    (tmp_path / "out").write_text("x")
    await eventually(lambda: set(os.listdir("/proc/self/fd")) <= before)
    assert woken == []
    for later in (transport.run(["true"]), transport.look([])):
        with pytest.raises(HostUnreachableError, match="closed"):
            await later
    transport.watch([str(tmp_path / "out")], woken.append)
    await transport.close()


async def test_a_program_that_leaves_a_child_behind_does_not_hold_its_caller(
    here: LocalTransport, tmp_path: Path
) -> None:
    begun = time.monotonic()
    done = await here.run(["sh", "-c", f"sleep 60 & echo $! >{tmp_path}/child; echo done"])
    os.kill(int((tmp_path / "child").read_text()), 9)
    assert (done.status, done.stdout) == (0, b"done\n")
    assert time.monotonic() - begun < 10


async def test_text_that_no_program_can_be_given_is_a_status(here: LocalTransport) -> None:
    for argv in (["true", "a\0b"], ["true", "\ud800"], ["true", "x" * 3_000_000]):
        assert (await here.run(argv)).status == 126


async def test_no_process_to_be_had_is_an_unreachable_host(here: LocalTransport) -> None:
    with no_descriptor_free(), pytest.raises(HostUnreachableError, match="cannot start true"):
        await here.run(["true"])


async def test_ten_thousand_idle_files_cost_a_stat_each(here: LocalTransport, tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(10_000)]
    for path in paths:
        path.touch()
    seen = await here.look([Want(str(path)) for path in paths])
    wants = [Want(str(path), known=glimpse.stat) for path, glimpse in zip(paths, seen, strict=True)]
    took = []
    for _ in range(5):
        begun = time.process_time()
        again = await here.look(wants)
        took.append(time.process_time() - begun)
        assert {glimpse.sight for glimpse in again} == {Sight.UNCHANGED}
    assert min(took) < 0.2  # of processor time: 25 ms, and a read of each would be four times as much


async def test_a_file_system_that_hangs_is_an_unreachable_host_and_holds_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    monkeypatch.setattr(local, "look_at", lambda wants: release.wait(30) and [])
    transport = LocalTransport(LOCALHOST, LocalTransportSpec(look_timeout=0.01))
    try:
        for _ in range(4):
            with pytest.raises(HostUnreachableError, match="does not answer"):
                await transport.look([Want("/x")])
        with pytest.raises(HostUnreachableError, match="earlier looks hang"):
            await transport.look([Want("/x")])
    finally:
        release.set()
    monkeypatch.undo()
    await eventually(lambda: not any(thread.name.startswith("look-") for thread in threading.enumerate()))
    assert (await transport.look([Want("/nowhere")]))[0].sight is Sight.MISSING
    await transport.close()


async def test_work_in_a_thread_hands_its_errors_on() -> None:
    def fail() -> None:
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        await in_daemon_thread(fail, "test")


def test_work_that_ends_at_the_very_moment_when_its_loop_is_closed_is_no_defect() -> None:
    class Closing(asyncio.SelectorEventLoop):
        """It is closed as soon as a thread has asked whether it is."""

        def is_closed(self) -> bool:
            return threading.current_thread() is threading.main_thread() and super().is_closed()

    async def begin() -> None:
        asyncio.create_task(in_daemon_thread(gate.wait, "late"))  # noqa: RUF006 - the runner ends it
        await asyncio.sleep(0)

    gate = threading.Event()
    with asyncio.Runner(loop_factory=Closing) as runner:
        loop = runner.get_loop()
        runner.run(begin())
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "late":
            thread.join(20)  # what it raises fails the test
    assert loop.is_closed()
