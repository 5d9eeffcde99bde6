"""Outages that end nothing: connections drop, hosts hang, lookouts die. Afterwards everything is caught up."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from pathlib import Path

import psutil
import pytest
from parts.relay import relay_to
from parts.sshd import HOST, Sshd
from parts.waiting import eventually, soon

from reconciler.errors import HostUnreachableError
from reconciler.protocols import Sight, Want
from reconciler.transports.ssh import SshTransport

pytestmark = pytest.mark.ssh


class Hand:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def big(place: Path, size: int = 8_000_000) -> Want:
    (place / "big").write_bytes(bytes(range(256)) * (size // 256))
    return Want(str(place / "big"), limit=size)


def end(programs: list[psutil.Process]) -> None:
    """Kill what no connection ends any more."""
    for process in programs:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


async def read(transport: SshTransport, want: Want) -> bytes:
    (seen,) = await transport.look([want])
    assert seen.sight is Sight.READ
    return seen.data


async def test_a_connection_that_drops_in_the_middle_of_an_answer_loses_nothing(sshd: Sshd, tmp_path: Path) -> None:
    want = big(tmp_path)
    async with relay_to(sshd.port) as relay, sshd.transport(port=relay.port, known_hosts=any_port(sshd)) as transport:
        assert len(await read(transport, Want(want.path, limit=1))) == 1
        relay.cut_after = relay.to_client + 1_000_000
        with pytest.raises(HostUnreachableError) as caught:
            await read(transport, want)
        assert caught.value.remedy
        assert await eventually(lambda: caught_up(transport, want)) == Path(want.path).read_bytes()
        assert transport.connections == 2


async def test_a_server_process_that_is_killed_in_the_middle_of_an_answer_loses_nothing(
    sshd: Sshd, tmp_path: Path
) -> None:
    want = big(tmp_path)
    async with relay_to(sshd.port) as relay, sshd.transport(port=relay.port, known_hosts=any_port(sshd)) as transport:
        await read(transport, Want(want.path, limit=1))
        relay.hold()
        look = asyncio.create_task(read(transport, want))
        await eventually(lambda: transport.traffic.requests == 2)
        sshd.drop()
        relay.through.set()
        with pytest.raises(HostUnreachableError):
            await look
        assert await eventually(lambda: caught_up(transport, want)) == Path(want.path).read_bytes()


def any_port(sshd: Sshd) -> Path:
    """Return a known_hosts file that vouches for the server behind any port."""
    file = sshd.home / "known_anywhere"
    file.write_text(f"127.0.0.1 {(sshd.home / 'host_key.pub').read_text()}")
    return file


async def caught_up(transport: SshTransport, want: Want) -> bytes | None:
    """Return what is read, None while the pause lasts."""
    try:
        return await read(transport, want)
    except HostUnreachableError:
        return None


async def test_a_host_that_hangs_is_unreachable_and_is_caught_up_with_later(sshd: Sshd, tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("before")
    async with sshd.transport(answer_timeout=2.0, connect_timeout=2.0) as transport:
        seen = (await transport.look([Want(str(file))]))[0]
        with sshd.paused():
            with pytest.raises(HostUnreachableError, match="no answer in time"):
                await transport.look([Want(str(file), 6, seen.stat)])
            file.write_text("before and after")
        assert await eventually(lambda: caught_up(transport, Want(str(file), 6, seen.stat))) == b" and after"


async def test_a_program_on_a_host_that_hangs_is_not_said_to_be_too_slow(sshd: Sshd) -> None:
    async with sshd.transport(answer_timeout=2.0, connect_timeout=2.0) as transport:
        await transport.run(["true"])
        run = asyncio.create_task(transport.run(["sleep", "60"], timeout=2.0))
        await eventually(lambda: sshd.programs)
        with sshd.paused(), pytest.raises(HostUnreachableError):
            await run
        end(sshd.programs)


@pytest.mark.parametrize("begun", [True, False])
async def test_a_program_on_a_host_that_hangs_holds_nobody_up_who_gives_it_up(sshd: Sshd, begun: bool) -> None:
    """A daemon that is told to stop has ten seconds for everything."""
    async with sshd.transport(answer_timeout=600.0) as transport:
        await transport.run(["true"])
        if not begun:
            (sshd.home / ".bashrc").write_text("sleep 60\n")
        run = asyncio.create_task(transport.run(["sleep", "60"]))
        programs = await eventually(lambda: sshd.programs)
        with sshd.paused():
            run.cancel()
            await asyncio.wait([run], timeout=60)
            assert run.cancelled()
        end(programs)


async def test_a_slow_line_is_not_a_dead_one(sshd: Sshd, tmp_path: Path) -> None:
    want = big(tmp_path, 512 * 1024)
    async with (
        relay_to(sshd.port) as relay,
        sshd.transport(port=relay.port, known_hosts=any_port(sshd), answer_timeout=3.0) as transport,
    ):
        await read(transport, Want(want.path, limit=1))
        relay.rate = 128 * 1024
        began = time.monotonic()
        assert await read(transport, want) == Path(want.path).read_bytes()
        assert time.monotonic() - began > 3.0


async def test_a_lookout_that_was_killed_is_started_again_on_the_same_connection(
    far: SshTransport, sshd: Sshd, tmp_path: Path
) -> None:
    file = tmp_path / "out"
    file.write_text("one")
    seen = (await far.look([Want(str(file))]))[0]
    for number in range(3):
        (lookout,) = sshd.programs
        lookout.kill()
        if number:
            soon(lambda: not lookout.is_running())  # noqa: B023 - called before the next round
        assert (await far.look([Want(str(file), 3, seen.stat)]))[0].sight is Sight.UNCHANGED
    assert far.connections == 1


async def test_a_lookout_that_is_killed_while_it_looks_costs_nothing(
    far: SshTransport, sshd: Sshd, tmp_path: Path
) -> None:
    file = tmp_path / "out"
    file.write_text("one")
    await far.look([Want(str(file))])
    (lookout,) = sshd.programs
    lookout.send_signal(signal.SIGSTOP)
    look = asyncio.create_task(read(far, Want(str(file), 1)))
    await eventually(lambda: far.traffic.requests == 2)
    lookout.kill()
    assert await look == b"ne"
    assert far.connections == 1


async def test_a_file_system_that_hangs_ends_no_program_and_is_not_looked_at_twice(sshd: Sshd, tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("one")
    async with sshd.transport(answer_timeout=2.0) as transport:
        await read(transport, Want(str(file)))
        (lookout,) = sshd.programs
        run = asyncio.create_task(transport.run(["sh", "-c", "sleep 5; echo done"]))
        lookout.send_signal(signal.SIGSTOP)  # as one that waits for a dead mount: it can be neither asked nor killed
        for _ in range(3):
            with pytest.raises(HostUnreachableError, match="file system there hangs"):
                await transport.look([Want(str(file), 1)])
        assert (await run).stdout == b"done\n"
        assert sshd.programs == [lookout]
        lookout.send_signal(signal.SIGCONT)
        assert await eventually(lambda: caught_up(transport, Want(str(file), 1))) == b"ne"
        await eventually(lambda: len(sshd.programs) == 1)
        assert transport.connections == 1


async def test_without_keepalives_silence_is_the_end_of_the_connection(sshd: Sshd, tmp_path: Path) -> None:
    async with sshd.transport(answer_timeout=2.0, keepalive_interval=0) as transport:
        await transport.look([Want("/etc/passwd")])
        (lookout,) = sshd.programs
        lookout.send_signal(signal.SIGSTOP)
        with pytest.raises(HostUnreachableError):
            await transport.look([Want("/etc/passwd")])
        assert (await transport.look([Want("/etc/passwd")]))[0].sight is Sight.READ
        assert transport.connections == 2
        end([lookout])


async def test_keepalives_end_a_connection_that_is_dead(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    async with (
        relay_to(sshd.port) as relay,
        sshd.transport(
            port=relay.port, known_hosts=any_port(sshd), answer_timeout=2.0, keepalive_interval=1.0
        ) as transport,
    ):
        await read(transport, Want(str(tmp_path / "out")))
        relay.hold()
        with pytest.raises(HostUnreachableError):
            await transport.look([Want(str(tmp_path / "out"))])
        await eventually(lambda: relay.hung_up == 1)
        relay.through.set()
        assert await eventually(lambda: caught_up(transport, Want(str(tmp_path / "out")))) == b"x"
        assert transport.connections == 2


async def test_a_lookout_that_never_lives_long_is_an_error_and_no_endless_loop(sshd: Sshd, tmp_path: Path) -> None:
    fake = tmp_path / "python3"
    fake.write_text(
        f"#!/bin/sh\necho started >> {tmp_path}/log\nread length\necho h python3\ncat > /dev/null & sleep 0.2\n"
    )
    fake.chmod(0o755)
    sshd.restart(PATH=f"{tmp_path}:/usr/bin:/bin")
    async with sshd.transport(lookouts=("python3",)) as transport:
        with pytest.raises(HostUnreachableError, match="ends at once") as caught:
            await transport.look([Want("/etc/passwd")])
        assert "lookouts" in caught.value.remedy
    assert (tmp_path / "log").read_text() == "started\n" * 2


async def test_a_host_that_is_down_is_refused_at_once_until_its_pause_is_over(sshd: Sshd) -> None:
    clock = Hand()
    transport = SshTransport(HOST, sshd.settings(retry_after=10.0), monotonic=clock, jitter=lambda: 0.0)
    sshd.stop()
    with pytest.raises(HostUnreachableError, match="refused"):
        await transport.run(["true"])
    sshd.start()
    for work in (transport.run(["true"]), transport.look([Want("/a")])):
        with pytest.raises(HostUnreachableError, match=r"refused.*tried again in 10 s") as caught:
            await work
        assert caught.value.remedy
    assert sshd.connections == []
    clock.time += 10.0
    assert (await transport.run(["true"])).status == 0
    await transport.close()


async def test_pauses_grow_while_a_host_stays_down(sshd: Sshd) -> None:
    clock = Hand()
    transport = SshTransport(
        HOST, sshd.settings(retry_after=10.0, retry_at_most=30.0), monotonic=clock, jitter=lambda: 0
    )
    sshd.stop()
    for pause in (10.0, 20.0, 30.0, 30.0):
        with pytest.raises(HostUnreachableError):
            await transport.run(["true"])
        clock.time += pause - 0.5
        with pytest.raises(HostUnreachableError, match="tried again"):
            await transport.run(["true"])
        clock.time += 0.5
    await transport.close()


async def test_many_programs_that_break_with_one_connection_are_one_failure(sshd: Sshd) -> None:
    clock = Hand()
    transport = SshTransport(HOST, sshd.settings(retry_after=10.0), monotonic=clock, jitter=lambda: 0.0)
    runs = [asyncio.create_task(transport.run(["sleep", "60"])) for _ in range(5)]
    await eventually(lambda: len(sshd.programs) == 5)
    sleeping = sshd.programs
    sshd.drop()
    results = await asyncio.gather(*runs, return_exceptions=True)
    assert all(isinstance(result, HostUnreachableError) for result in results)
    clock.time += 10.0
    assert (await transport.run(["true"])).status == 0
    await transport.close()
    end(sleeping)


async def test_a_host_that_hangs_holds_up_no_other(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    async with relay_to(sshd.port) as relay, sshd.transport() as good:
        relay.hold()
        async with sshd.transport(port=relay.port, known_hosts=any_port(sshd), connect_timeout=60.0) as hanging:
            stuck = asyncio.create_task(hanging.look([Want(str(tmp_path / "out"))]))
            began = time.monotonic()
            assert await read(good, Want(str(tmp_path / "out"))) == b"x"
            assert time.monotonic() - began < 40.0
            assert not stuck.done()
            stuck.cancel()
            await asyncio.gather(stuck, return_exceptions=True)


async def test_a_program_whose_connection_drops_is_not_run_again(sshd: Sshd, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with sshd.transport() as transport:
        run = asyncio.create_task(transport.run(["sh", "-c", 'echo ran >> "$1"; exec sleep 60', "sh", str(log)]))
        await eventually(log.exists)
        left = sshd.programs
        sshd.drop()
        with pytest.raises(HostUnreachableError):
            await run
        assert await eventually(lambda: answers(transport))
    assert log.read_text() == "ran\n"
    end(left)


async def answers(transport: SshTransport) -> bool:
    try:
        done = await transport.run(["true"])
    except HostUnreachableError:
        return False
    return done.status == 0


async def test_a_server_that_was_started_anew_is_connected_to_at_once(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    async with sshd.transport(retry_after=60.0) as transport:
        await read(transport, Want(str(tmp_path / "out")))
        sshd.restart()
        await eventually(lambda: answers(transport))
        assert await read(transport, Want(str(tmp_path / "out"))) == b"x"


async def test_more_sessions_than_the_server_allows_take_turns(sshd: Sshd) -> None:
    sshd.restart("MaxSessions 3")
    async with sshd.transport(max_sessions=10) as transport:
        done = await asyncio.gather(*(transport.run(["sleep", "0.1"]) for _ in range(8)))
        assert {each.status for each in done} == {0}
        assert transport.connections == 1


async def test_a_server_without_a_free_session_says_what_to_set(sshd: Sshd) -> None:
    sshd.restart("MaxSessions 1")
    async with sshd.transport() as transport:
        await transport.look([Want("/etc/passwd")])  # the lookout has the only one
        with pytest.raises(HostUnreachableError) as caught:
            await transport.run(["true"])
        assert "max_sessions" in caught.value.remedy
        assert (await transport.look([Want("/etc/passwd")]))[0].sight is Sight.READ  # no worse for it
        assert transport.connections == 1


async def test_closing_ends_the_programs_and_everything_on_the_host(sshd: Sshd) -> None:
    async with sshd.transport() as transport:
        await transport.look([Want("/etc/passwd")])
        run = asyncio.create_task(transport.run(["sh", "-c", "sleep 60 & sleep 60"]))
        await eventually(lambda: len(sshd.programs) >= 4)
        programs = sshd.programs
        await transport.close()
        with pytest.raises(HostUnreachableError):
            await run
        await eventually(lambda: not any(map(running, programs)))
        await eventually(lambda: not sshd.connections)


async def test_closing_while_a_program_starts_leaves_it_not_running(sshd: Sshd, tmp_path: Path) -> None:
    (sshd.home / ".bashrc").write_text("sleep 0.5\n")  # a login shell that takes its time
    async with sshd.transport() as transport:
        await transport.run(["true"])
        run = asyncio.create_task(transport.run(["sh", "-c", 'echo $$ > "$1"; exec sleep 60', "sh", f"{tmp_path}/id"]))
        await eventually(lambda: sshd.programs)
        await transport.close()
        with pytest.raises(HostUnreachableError, match="closed"):
            await run
        started = (tmp_path / "id").exists()
        assert not started or not psutil.pid_exists(int((tmp_path / "id").read_text()))


def running(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def test_nothing_works_after_closing(far: SshTransport) -> None:
    await far.run(["true"])
    await far.close()
    for work in (far.run(["true"]), far.look([Want("/a")])):
        with pytest.raises(HostUnreachableError, match="closed"):
            await work
    await far.close()


async def test_closing_in_the_middle_of_a_look_is_said(sshd: Sshd, tmp_path: Path) -> None:
    async with sshd.transport() as transport:
        await transport.look([Want("/etc/passwd")])
        (lookout,) = sshd.programs
        lookout.send_signal(signal.SIGSTOP)
        look = asyncio.create_task(transport.look([Want("/etc/passwd")]))
        await eventually(lambda: transport.traffic.requests == 2)
        await transport.close()
        with pytest.raises(HostUnreachableError, match="closed"):
            await look
        lookout.send_signal(signal.SIGCONT)


async def test_closing_in_the_middle_of_connecting_leaves_nothing(sshd: Sshd) -> None:
    async with sshd.transport() as transport:
        with sshd.paused():
            run = asyncio.create_task(transport.run(["true"]))
            await asyncio.sleep(0)
            await transport.close()
        with pytest.raises(HostUnreachableError, match="closed"):
            await run
    await eventually(lambda: not sshd.connections)


async def test_a_look_that_was_given_up_does_not_spoil_the_next(far: SshTransport, sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    await read(far, Want(str(tmp_path / "out")))
    (lookout,) = sshd.programs
    lookout.send_signal(signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await far.look([Want("/etc/passwd")])
    lookout.send_signal(signal.SIGCONT)
    assert await read(far, Want(str(tmp_path / "out"))) == b"x"
    assert far.connections == 1
