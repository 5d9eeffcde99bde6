"""Every transport runs programs as `protocols.Transport.run` says."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from parts.waiting import eventually, soon

from reconciler.protocols import Transport
from reconciler.transports.local import LocalTransport

HOSTILE = [
    "$(touch x)",
    "`touch x`",
    "a b  c",
    "'",
    '"',
    "\\",
    "a;b|c&d",
    "a\nb",
    "-rf",
    "--",
    "*?[a]",
    "~",
    "$HOME ${HOME}",
    "%s",
    "!x",
    "",
    "é日本",
    "\udcff",
    "\t",
    "#",
]


def shown(*arguments: str) -> list[str]:
    """A program that prints its arguments as they came, each ended by a NUL."""
    return [
        sys.executable,
        "-c",
        "import os,sys;os.write(1,b''.join(os.fsencode(a)+b'\\0' for a in sys.argv[1:]))",
        *arguments,
    ]


async def test_arguments_arrive_as_they_are(transport: Transport, tmp_path: Path) -> None:
    done = await transport.run(shown(*HOSTILE), cwd=str(tmp_path))
    assert done.status == 0, done
    assert [os.fsdecode(part) for part in done.stdout.split(b"\0")[:-1]] == HOSTILE
    assert os.listdir(tmp_path) == []


async def test_output_and_errors_are_kept_apart_and_the_status_is_the_programs(transport: Transport) -> None:
    done = await transport.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.status, done.stdout, done.stderr, done.cut) == (3, b"out\n", b"err\n", False)


async def test_a_signal_is_a_negative_status(transport: Transport) -> None:
    assert (await transport.run(["sh", "-c", "kill -9 $$"])).status == -9


async def test_a_program_that_is_not_there_is_127(transport: Transport) -> None:
    done = await transport.run(["no-such-program-here", "x"])
    assert (done.status, done.stdout) == (127, b"")
    assert b"no-such-program-here" in done.stderr


async def test_a_file_that_is_no_program_is_126(transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    assert (await transport.run([str(tmp_path / "text")])).status == 126


async def test_a_working_directory_that_is_not_there_runs_nothing(transport: Transport, tmp_path: Path) -> None:
    done = await transport.run(["touch", str(tmp_path / "made")], cwd=str(tmp_path / "nowhere"))
    assert done.status not in (0, 127)
    assert not (tmp_path / "made").exists()


async def test_it_runs_where_it_is_told(transport: Transport, tmp_path: Path) -> None:
    place = tmp_path / "a b'c"
    place.mkdir()
    assert (await transport.run(["pwd"], cwd=str(place))).stdout == os.fsencode(place) + b"\n"


async def test_the_environment_is_exactly_what_was_given(transport: Transport) -> None:
    given = {"PATH": os.environ["PATH"], "X": "a b\n$(y)'\"", "É": "ü"}
    done = await transport.run(["env", "-0"], env=given)
    assert set(done.stdout.rstrip(b"\0").split(b"\0")) == {
        os.fsencode(f"{key}={value}") for key, value in given.items()
    }


async def test_standard_input_arrives_byte_for_byte(transport: Transport) -> None:
    everything = bytes(range(256)) * 8192  # far more than a pipe holds, so both directions must move at once
    assert (await transport.run(["cat"], stdin=everything)).stdout == everything


async def test_standard_input_is_empty_by_default(transport: Transport) -> None:
    assert (await transport.run(["cat"], timeout=10)).stdout == b""


async def test_a_program_that_does_not_read_its_input_is_no_error(transport: Transport) -> None:
    assert (await transport.run(["true"], stdin=b"x" * 1_000_000)).status == 0


async def test_output_beyond_the_limit_is_cut_and_the_program_goes_on(transport: Transport) -> None:
    script = "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 5"
    done = await transport.run(["sh", "-c", script], limit=1000)
    assert (done.status, len(done.stdout), len(done.stderr), done.cut) == (5, 1000, 1000, True)


async def test_output_of_exactly_the_limit_is_not_cut(transport: Transport) -> None:
    done = await transport.run(["printf", "12345"], limit=5)
    assert (done.stdout, done.cut) == (b"12345", False)


async def test_after_the_timeout_the_program_and_its_children_are_gone(transport: Transport, tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/self; wait"
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        await transport.run(["sh", "-c", script], timeout=0.5)
    assert time.monotonic() - begun < 5
    pids = [number_in(tmp_path / name) for name in ("child", "self")]
    await eventually(lambda: not alive(*pids))


async def test_a_cancelled_run_leaves_no_program(transport: Transport, tmp_path: Path) -> None:
    running = asyncio.create_task(transport.run(["sh", "-c", f"echo $$ > {tmp_path}/self; sleep 60"]))
    pid = await eventually(lambda: number_in(tmp_path / "self"))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await eventually(lambda: not alive(pid))


async def test_a_run_that_is_cancelled_while_it_starts_leaves_no_program(here: LocalTransport, tmp_path: Path) -> None:
    told = tmp_path / "child"
    running = asyncio.create_task(
        here.run(["sh", "-c", f"sleep 60 & echo $! > {told}.new; mv {told}.new {told}; wait"])
    )
    for _ in range(3):
        await asyncio.sleep(0)  # it is started, and the loop has not yet heard of it
    soon(told.exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 10)
    await eventually(lambda: not alive(int(told.read_text())))


async def test_many_run_at_once(transport: Transport) -> None:
    answers = await asyncio.gather(*(transport.run(["echo", str(number)]) for number in range(20)))
    assert [int(done.stdout) for done in answers] == list(range(20))


def number_in(path: Path) -> int:
    """Return the number that stands in a file, 0 while it is not there."""
    text = path.read_text().strip() if path.exists() else ""
    return int(text or 0)


def alive(*pids: int) -> bool:
    """Tell whether one of these processes is there and no zombie."""
    return any(_state(pid) not in ("", "Z", "X") for pid in pids)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""
