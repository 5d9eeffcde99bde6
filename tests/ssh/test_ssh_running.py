"""Programs over a real sshd: no word is read by any shell on the way, no noise of a shell gets into outputs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from parts.hostile import words
from parts.sshd import Sshd
from parts.waiting import eventually, soon

from reconciler.transports.over_ssh.commands import LONGEST
from reconciler.transports.ssh import SshTransport

pytestmark = pytest.mark.ssh

PRINT = ["python3", "-c", "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"]


def raw(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")


async def test_every_hostile_word_arrives_as_one_argument_and_runs_nothing(far: SshTransport, tmp_path: Path) -> None:
    hostile = words(str(tmp_path / "canary"))
    done = await far.run([*PRINT, *hostile])
    assert (done.status, done.stderr) == (0, b"")
    assert done.stdout.split(b"\0") == [raw(word) for word in hostile]
    for word in hostile:  # each alone, since one might hide another
        assert (await far.run(["printf", "%s", word])).stdout == raw(word)
    assert list(tmp_path.iterdir()) == []


async def test_every_hostile_word_as_input_value_and_directory_runs_nothing(far: SshTransport, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hostile = words(str(canary))
    text = b"\0".join(map(raw, hostile))
    assert (await far.run(["cat"], stdin=text)).stdout == text
    env = {f"V{number}": word for number, word in enumerate(hostile)}
    seen = (await far.run(["/usr/bin/env", "-0"], env=env)).stdout.split(b"\0")
    assert sorted(seen) == sorted([b"", *(f"V{n}=".encode() + raw(word) for n, word in enumerate(hostile))])
    for word in hostile:
        await far.run(["true"], cwd=word)
    assert not canary.exists()


async def test_every_hostile_word_as_a_program_is_only_not_there(far: SshTransport, tmp_path: Path) -> None:
    for word in words(str(tmp_path / "canary")):
        if word in ("eval", "exec", "~", "[a-z]"):
            continue
        assert (await far.run([word])).status in (126, 127), word
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "env"), [(["a\0b"], None), ([""], None), ([], None), (["a"], {"A=": ""}), (["a", "x" * LONGEST], None)]
)
async def test_what_cannot_be_sent_is_a_status_and_costs_no_connection(
    far: SshTransport, argv: list[str], env: dict[str, str] | None
) -> None:
    done = await far.run(argv, env=env)
    assert done.status == 126
    assert done.stderr
    assert far.connections == 0


async def test_what_start_up_files_print_is_in_no_output(sshd: Sshd, tmp_path: Path) -> None:
    noise = tmp_path / "noise.sh"
    noise.write_text("echo 'module loaded: cuda/12'; echo 'no quota left' >&2; printf 'no newline'\n")
    sshd.restart(BASH_ENV=str(noise))
    (sshd.home / ".bashrc").write_text(noise.read_text())
    async with sshd.transport() as transport:
        done = await transport.run(["sh", "-c", "echo out; echo err >&2"])
        assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
        done = await transport.run(["true"])
        assert (done.stdout, done.stderr) == (b"", b"")


async def test_a_background_child_does_not_hold_its_caller(far: SshTransport, sshd: Sshd) -> None:
    began = time.monotonic()
    done = await far.run(["sh", "-c", "sleep 60 & echo $!; exit 3"])
    os.kill(int(done.stdout), signal.SIGKILL)
    assert done.status == 3
    assert time.monotonic() - began < 5


async def test_a_program_that_ignores_signals_is_gone_after_its_time(far: SshTransport, sshd: Sshd) -> None:
    stubborn = "trap '' TERM HUP INT; while :; do sleep 1; done"
    with pytest.raises(TimeoutError):
        await far.run(["sh", "-c", stubborn], timeout=0.3)
    assert await eventually(
        lambda: not [each for each in sshd.programs if "sleep" in each.name() or "sh" in each.name()]
    )
    assert (await far.run(["true"])).status == 0
    assert far.connections == 1


async def test_a_run_that_is_cancelled_while_it_starts_leaves_no_program(sshd: Sshd, tmp_path: Path) -> None:
    go, told = tmp_path / "go", tmp_path / "told"
    (sshd.home / ".bashrc").write_text(f"while [ ! -e {go} ]; do sleep 0.02; done\n")  # a login shell takes its time
    async with sshd.transport() as transport:
        script = f"echo $$ > {told}.new; mv {told}.new {told}; exec sleep 60"
        running = asyncio.create_task(transport.run(["sh", "-c", script]))
        await eventually(lambda: sshd.programs)
        go.touch()
        soon(told.exists)  # it runs, and the loop has not yet heard of it
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await eventually(lambda: not psutil.pid_exists(int(told.read_text())))
        assert (await transport.run(["true"])).status == 0
        assert transport.connections == 1


async def test_no_more_programs_run_at_once_than_allowed(sshd: Sshd, tmp_path: Path) -> None:
    count = "touch $$; ls | wc -l; sleep 0.1; rm $$"
    async with sshd.transport(max_sessions=4) as transport:
        done = await asyncio.gather(
            *(transport.run(["sh", "-c", count], cwd=str(tmp_path), timeout=30) for _ in range(6))
        )
    assert all(int(each.stdout) <= 2 for each in done)  # four, less the lookout's and one to end programs with


async def test_large_input_and_output_pass_whole(far: SshTransport) -> None:
    blob = bytes(range(256)) * 20_000
    assert (await far.run(["cat"], stdin=blob)).stdout == blob


async def test_output_without_end_is_kept_to_its_limit_and_ended_by_the_time_limit(far: SshTransport) -> None:
    with pytest.raises(TimeoutError):
        await far.run(["yes"], timeout=0.5, limit=1000)
    done = await far.run(["sh", "-c", "yes | head -c 5000000; echo done >&2"], limit=1000)
    assert (len(done.stdout), done.stderr, done.cut, done.status) == (1000, b"done\n", True, 0)


async def test_the_time_limit_begins_with_the_program_and_not_with_the_connection(sshd: Sshd) -> None:
    (sshd.home / ".bashrc").write_text("sleep 2.2\n")
    async with sshd.transport() as transport:
        assert (await transport.run(["echo", "x"], timeout=2.0)).stdout == b"x\n"


@pytest.mark.parametrize(("name", "number"), [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("BUS", None)])
async def test_a_signal_that_ends_a_program_is_told(far: SshTransport, name: str, number: int | None) -> None:
    status = (await far.run(["sh", "-c", f"kill -{name} $$"])).status
    assert status == -number if number else status < 0  # servers do not name every signal
