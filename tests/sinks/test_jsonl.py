"""The events file: every event once, in order, whatever happens to the process, the file and the disk."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sink_programs import IDENTITY, numbered

from reconciler.errors import StateError
from reconciler.events import Event, EventType
from reconciler.protocols import Sink
from reconciler.registry import discover
from reconciler.sinks import jsonl
from reconciler.sinks.jsonl import JsonLines, JsonlSpec

SMALL = 4096
KILLS = 200 if os.environ.get("RECONCILER_CAMPAIGN") == "long" else 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def a_sink(path: Path, max_bytes: int = 1 << 20, backups: int = 5, identity: str = IDENTITY, **more: Any) -> JsonLines:
    return JsonLines(JsonlSpec(path=path, max_bytes=max_bytes, backups=backups), identity, **more)


async def write(path: Path, *pages: tuple[int, int], **more: Any) -> None:
    """Open a sink, write pages of events, close it."""
    sink = a_sink(path, **more)
    for first, last in pages:
        await sink.write(numbered(first, last))
    await sink.close()


def position(path: Path, **more: Any) -> int:
    sink = a_sink(path, **more)
    try:
        return sink.position()
    finally:
        asyncio.run(sink.close())


def seqs(path: Path) -> list[int]:
    return [json.loads(line)["data"]["seq"] for line in path.read_bytes().splitlines()]


def rotated(path: Path) -> list[Path]:
    """Return all files, the oldest first."""
    numbers = sorted((int(each.suffix[1:]) for each in path.parent.glob("*.jsonl.*")), reverse=True)
    return [path.with_name(f"{path.name}.{number}") for number in numbers] + [path] * path.exists()


def everything(path: Path) -> list[int]:
    return [seq for each in rotated(path) for seq in seqs(each)]


# --- lines -----------------------------------------------------------------------------------------------------------


async def test_a_line_is_a_cloudevent_with_the_state_as_its_source(path: Path) -> None:
    sink: Sink = a_sink(path)
    event = Event(
        EventType.ACTION_SUCCEEDED, 1_800_000_000.5, "w/1@h", watcher="w", job_id="1", hostname="h", matched_text="5",
        captured_vars={"loss": "5"}, action_type="log_event", action_result="said", data={"line": 7}, seq=1,
    )  # fmt: skip
    await sink.write([event])
    await sink.close()
    assert json.loads(path.read_text()) == {
        "specversion": "1.0",
        "id": "1",
        "source": f"/reconciler/{IDENTITY}",
        "type": "reconciler.action.succeeded.v1",
        "subject": "w/1@h",
        "time": "2027-01-15T08:00:00.500000Z",
        "datacontenttype": "application/json",
        "data": {
            "seq": 1, "watcher": "w", "job_id": "1", "hostname": "h", "matched_text": "5",
            "captured_vars": {"loss": "5"}, "action_type": "log_event", "action_result": "said", "success": True,
            "line": 7,
        },
    }  # fmt: skip


async def test_a_line_stays_one_line_whatever_is_in_it(path: Path) -> None:
    texts = ["a\nb", "a\r\n\x85\u2028b", '"\\', "\x00\x1b[31m", "/data/\udcff.out", "🎉"]
    sink = a_sink(path)
    await sink.write([Event(EventType.SOURCE_APPLIED, 1.0, text, seq=n) for n, text in enumerate(texts, start=1)])
    await sink.close()
    lines = path.read_bytes().split(b"\n")
    assert [json.loads(line)["subject"] for line in lines[:-1]] == texts
    assert lines[-1] == b""


async def test_the_file_is_its_owners_alone(path: Path) -> None:
    deep = path.parent / "new" / path.name
    await write(deep, (1, 1))
    assert stat.S_IMODE(deep.stat().st_mode) == 0o600
    assert stat.S_IMODE(deep.parent.stat().st_mode) == 0o700


def test_it_is_found_as_a_plugin() -> None:
    assert discover("reconciler.sinks", "reconciler.sinks.none")["jsonl"] is jsonl.PLUGIN
    assert jsonl.PLUGIN.spec is JsonlSpec


# --- where it goes on ------------------------------------------------------------------------------------------------


def test_without_a_file_it_goes_on_after_what_the_state_knows(path: Path) -> None:
    assert position(path) == 0
    path.unlink()
    assert position(path, resume_after=41) == 41


async def test_the_files_last_line_says_where_to_go_on(path: Path) -> None:
    await write(path, (1, 7))
    sink = a_sink(path, resume_after=3)
    assert sink.position() == 7
    await sink.write(numbered(5, 9))  # what is there already is not written again
    assert sink.position() == 9
    await sink.close()
    assert seqs(path) == list(range(1, 10))


@pytest.mark.parametrize("cut", [1, 2, 30, 150])
async def test_a_torn_last_line_is_cut_and_said(path: Path, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    await write(path, (1, 5))
    os.truncate(path, path.stat().st_size - cut)
    with caplog.at_level(logging.WARNING):
        sink = a_sink(path)
        assert sink.position() == 4
    assert "cut a torn last line" in caplog.text
    await sink.write(numbered(5, 6))
    await sink.close()
    assert seqs(path) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("torn", [b"{", b"\0" * 300_000, b"x" * 200_000, b'{"data":{"seq":9}'])
async def test_a_file_that_is_one_torn_line_becomes_empty(path: Path, torn: bytes) -> None:
    path.write_bytes(torn)
    sink = a_sink(path, resume_after=2)
    assert sink.position() == 2
    await sink.close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "junk", [b"\n", b"\0\0\0\n", b"# a person's note\n", b"[1]\n", b'{"data": 5}\n', b"z" * 150_000 + b"\n"]
)
async def test_a_line_that_is_no_event_is_passed_over(path: Path, junk: bytes) -> None:
    await write(path, (1, 3))
    with path.open("ab") as file:
        file.write(junk)
    sink = a_sink(path)
    assert sink.position() == 3
    await sink.write(numbered(4, 4))
    await sink.close()
    assert junk + b"{" in path.read_bytes()
    assert position_again(path) == 4


def position_again(path: Path) -> int:
    sink = a_sink(path)
    return sink.position()


async def test_lines_of_another_state_do_not_count(path: Path) -> None:
    await write(path, (1, 500), identity="another")
    sink = a_sink(path)
    assert sink.position() == 0
    await sink.write(numbered(1, 2))
    await sink.close()
    assert position_again(path) == 2
    assert seqs(path)[-3:] == [500, 1, 2]


async def test_a_file_ahead_of_its_state_does_not_hide_new_events(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After a power loss (`durability: normal`) the state may lack its newest events; the file has them still."""
    await write(path, (1, 9))
    sink = a_sink(path, newest=6)
    assert sink.position() == 6
    assert "ends with event 9, the state with 6" in caplog.text
    await sink.write(numbered(7, 8))
    await sink.close()
    assert seqs(path) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8]


async def test_a_deleted_file_is_not_written_again_from_the_start(path: Path) -> None:
    await write(path, (1, 60), max_bytes=SMALL)
    path.unlink()
    await write(path, (61, 62), resume_after=60)
    assert seqs(path) == [61, 62]


async def test_a_file_deleted_under_it_is_made_again(path: Path) -> None:
    sink = a_sink(path)
    await sink.write(numbered(1, 3))
    path.unlink()
    await sink.write(numbered(4, 5))
    await sink.close()
    assert seqs(path) == [4, 5]


async def test_a_file_moved_away_under_it_is_left_alone(path: Path) -> None:
    sink = a_sink(path)
    await sink.write(numbered(1, 3))
    path.rename(path.with_name("kept"))
    await sink.write(numbered(4, 5))
    await sink.close()
    assert (seqs(path.with_name("kept")), seqs(path)) == ([1, 2, 3], [4, 5])


async def test_a_file_emptied_under_it_goes_on(path: Path) -> None:
    sink = a_sink(path)
    await sink.write(numbered(1, 3))
    os.truncate(path, 0)
    await sink.write(numbered(4, 5))
    await sink.close()
    assert seqs(path) == [4, 5]


@pytest.mark.parametrize("max_bytes", [SMALL, 1 << 20], ids=["rotated meanwhile", "same file"])
async def test_a_process_that_was_taken_for_dead_doubles_no_line(path: Path, max_bytes: int) -> None:
    stopped, other = a_sink(path, max_bytes), a_sink(path, max_bytes)
    await stopped.write(numbered(1, 10))
    assert other.position() == 10
    await other.write(numbered(11, 60))
    await stopped.write(numbered(11, 50))  # it wakes, with a page in hand that the other has written
    await other.write(numbered(61, 61))
    await stopped.close()
    await other.close()
    assert everything(path) == list(range(1, 62))


# --- rotation --------------------------------------------------------------------------------------------------------


async def test_files_stay_within_their_size_and_the_oldest_go(path: Path) -> None:
    for first in range(1, 600, 3):
        await write(path, (first, first + 2), max_bytes=SMALL, backups=3)
    files = rotated(path)
    assert [each.name for each in files] == ["events.jsonl.3", "events.jsonl.2", "events.jsonl.1", "events.jsonl"]
    assert all(0 < each.stat().st_size <= SMALL for each in files)
    kept = everything(path)
    assert kept == list(range(kept[0], 601))
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}


async def test_a_page_larger_than_a_file_is_spread_over_several(path: Path) -> None:
    await write(path, (1, 300), max_bytes=SMALL, backups=100)
    assert everything(path) == list(range(1, 301))
    assert max(each.stat().st_size for each in rotated(path)) <= SMALL


async def test_an_event_larger_than_a_file_gets_one_of_its_own(path: Path) -> None:
    sink = a_sink(path, SMALL)
    await sink.write([*numbered(1, 1), *numbered(2, 2, "x" * 3 * SMALL), *numbered(3, 3)])
    await sink.close()
    assert [seqs(each) for each in rotated(path)] == [[1], [2], [3]]


async def test_fewer_backups_than_there_were_take_the_surplus_away(path: Path) -> None:
    await write(path, (1, 300), max_bytes=SMALL, backups=10)
    await write(path, (301, 400), max_bytes=SMALL, backups=2)
    assert [each.name for each in rotated(path)] == ["events.jsonl.2", "events.jsonl.1", "events.jsonl"]
    assert everything(path)[-1] == 400


async def test_other_files_beside_it_are_nobodys_business(path: Path) -> None:
    strangers = [
        path.with_name(name) for name in ("events.jsonl.bak", "events.jsonl.1.gz", "events.jsonl.²", "xevents.jsonl.1")
    ]
    for each in strangers:
        each.write_text("mine")
    await write(path, (1, 200), max_bytes=SMALL, backups=2)
    assert [each.read_text() for each in strangers] == ["mine"] * 4


@pytest.mark.parametrize("gap", [0, 1, 2, 3])
async def test_a_rotation_that_was_interrupted_after_any_step_loses_nothing(path: Path, gap: int) -> None:
    """Files 1, 2 and 3 are there; the crash came when `gap` of them had been moved up by one."""
    await write(path, (1, 45), max_bytes=SMALL)
    before = everything(path)
    assert len(before) == 45
    numbers = sorted((int(each.suffix[1:]) for each in rotated(path)[:-1]), reverse=True)
    for number in numbers[:gap]:
        path.with_name(f"{path.name}.{number}").rename(path.with_name(f"{path.name}.{number + 1}"))
    assert everything(path) == before
    await write(path, (46, 70), max_bytes=SMALL)
    assert everything(path) == list(range(1, 71))


async def test_a_rotation_interrupted_before_the_new_file_goes_on_from_the_rotated_one(path: Path) -> None:
    await write(path, (1, 30), max_bytes=1 << 20)
    path.rename(path.with_name("events.jsonl.1"))
    sink = a_sink(path, resume_after=20)
    assert sink.position() == 30
    await sink.write(numbered(25, 31))
    await sink.close()
    assert everything(path) == list(range(1, 32))


async def test_a_link_stays_a_link_and_its_file_rotates(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "disk" / "events.jsonl"
    real.parent.mkdir()
    path.symlink_to(real)
    await write(path, (1, 60), max_bytes=SMALL)
    assert path.is_symlink()
    assert everything(real) == list(range(1, 61))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_row_of_pages_crashes_and_deletions_of_the_torn_end_gives_every_event_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("sink") / "events.jsonl"
    seq = 0
    for length in data.draw(st.lists(st.integers(0, 60), max_size=8)):
        await write(path, (seq + 1, seq + length), max_bytes=SMALL, backups=1000)
        torn = data.draw(st.integers(0, 700))
        if path.exists() and torn < path.stat().st_size:
            os.truncate(path, path.stat().st_size - torn)
        seq = position_again(path)
    assert everything(path) == list(range(1, seq + 1))


def test_killed_at_any_instant_every_event_is_there_once(path: Path) -> None:
    program = Path(__file__).with_name("sink_programs.py")
    for kill in range(KILLS):
        with subprocess.Popen([sys.executable, str(program), str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(1 + kill % 7)]
            process.kill()
            said = int([*lines, *process.stdout.read().splitlines()][-1])
    found = [seq for each in rotated(path) for seq in whole_lines(each)]
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= said > 5 * KILLS


def whole_lines(path: Path) -> list[int]:
    """Only the newest file may end torn: the last kill was not mended yet."""
    raw = path.read_bytes()
    assert raw.endswith(b"\n") or path.suffix == ".jsonl"
    return [json.loads(line)["data"]["seq"] for line in raw[: raw.rfind(b"\n") + 1].splitlines()]


# --- refused writes --------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mounted)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting takes root: {done.stderr.decode().strip()}")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)


async def test_a_full_disk_is_said_leaves_whole_lines_and_passes(small_disk: Path) -> None:
    path = small_disk / "events.jsonl"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(30_000))
    sink = a_sink(path)
    with pytest.raises(StateError, match="No space left") as caught:
        await sink.write(numbered(1, 1000))
    assert "make room" in caught.value.remedy
    assert seqs(path) == list(range(1, sink.position() + 1))
    ballast.unlink()
    for first in range(sink.position() + 1, 150, 10):
        await sink.write(numbered(first, first + 9))
    assert seqs(path) == list(range(1, sink.position() + 1))
    await sink.close()


async def test_a_directory_that_may_not_be_written_is_said_and_passes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    sink = a_sink(path)
    with monkeypatch.context() as refused:
        refused.setattr("reconciler.sinks.jsonl.os.open", refuse)
        with pytest.raises(StateError, match="Permission denied"):
            sink.position()
        with pytest.raises(StateError, match="Permission denied"):
            await sink.write(numbered(1, 2))
    await sink.write(numbered(1, 2))
    await sink.close()
    assert seqs(path) == [1, 2]


async def test_a_write_that_breaks_off_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def break_off(file: int, chunk: memoryview) -> int:
        if len(chunk) < 300:
            raise OSError(5, "Input/output error")
        return real(file, chunk[:-250])

    sink = a_sink(path)
    await sink.write(numbered(1, 2))
    with monkeypatch.context() as broken:
        broken.setattr("reconciler.sinks.jsonl.os.write", break_off)
        with pytest.raises(StateError, match="Input/output error"):
            await sink.write(numbered(3, 9))
    assert seqs(path) == [1, 2]
    await sink.write(numbered(3, 4))
    await sink.close()
    assert seqs(path) == [1, 2, 3, 4]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "fifo"])
def test_what_is_no_regular_file_is_refused_at_once(path: Path, make: Any) -> None:
    make(path)
    with pytest.raises(StateError, match=r"no regular file|Is a directory"):
        a_sink(path).position()


async def test_writing_does_not_hold_up_the_loop(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system may hang (NFS): the write runs in a thread."""
    real, gate = os.write, asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(file: int, chunk: memoryview) -> int:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(10)
        return real(file, chunk)

    monkeypatch.setattr("reconciler.sinks.jsonl.os.write", slow)
    sink = a_sink(path)
    task = asyncio.create_task(sink.write(numbered(1, 1)))
    await asyncio.sleep(0)
    gate.set()
    await task
    await sink.close()
    assert seqs(path) == [1]
