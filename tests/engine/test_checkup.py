"""The checks of `reconcile doctor`: each finding says what stands, and what to do where it does not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from parts.acting import MemoryScheduler
from parts.house import Jobs
from parts.sshd import HOST, Sshd

from reconciler.engine.checkup import Finding, Verdict, check_hosts, check_machine, exit_code
from reconciler.engine.clock import SystemClock
from reconciler.engine.parts import Host
from reconciler.errors import ExitCode, SchedulerUnavailableError
from reconciler.model import LOCALHOST, HostName
from reconciler.protocols import Transport
from reconciler.settings import StateSettings
from reconciler.state import open_state
from reconciler.transports.local import LocalTransport


def limits(place: Path, watches: str = "100000", instances: str = "128") -> Path:
    place.mkdir(exist_ok=True)
    (place / "max_user_watches").write_text(watches)
    (place / "max_user_instances").write_text(instances)
    return place


def machine(place: Path, channels: Sequence[str] = (), **more: int) -> dict[str, Finding]:
    home = place / "state"
    found = check_machine(home / "state.db", home / "events.jsonl", channels, inotify=limits(place / "proc"), **more)
    return {finding.check: finding for finding in found}


def test_a_machine_that_is_fit_has_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "state.db").touch(mode=0o600)
    found = machine(tmp_path, ["ops"])
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}
    assert not [finding.remedy for finding in found.values() if finding.remedy]
    assert found["channels"].detail == "ops"
    assert exit_code(list(found.values())) is ExitCode.OK


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"x" * 8000], ids=["text", "damaged"])
def test_a_state_that_cannot_be_read_fails_with_what_reading_commands_say(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "state.db").write_bytes(content)
    finding = machine(tmp_path)["state"]
    assert (finding.verdict, exit_code([finding])) == (Verdict.FAIL, ExitCode.ERROR)
    assert str(tmp_path / "state" / "state.db") in finding.detail
    assert finding.remedy


def test_a_state_that_can_be_read_is_fine(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    assert "state" not in machine(tmp_path)
    open_state(tmp_path / "state" / "state.db", StateSettings(), clock=SystemClock()).close()
    finding = machine(tmp_path)["state"]
    assert (finding.verdict, finding.detail) == (Verdict.OK, f"{tmp_path}/state/state.db can be read: 0 watchers")


def test_a_directory_that_is_not_there_yet_is_judged_by_the_one_above_it(tmp_path: Path) -> None:
    assert "made when first used" in machine(tmp_path)["state directory"].detail
    assert not (tmp_path / "state").exists()


def test_a_state_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file stands in the way")
    finding = machine(tmp_path)["state directory"]
    assert (finding.verdict, exit_code([finding])) == (Verdict.FAIL, ExitCode.ERROR)
    assert "state.path" in finding.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_of_somebody_else_fails(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o500)
    assert machine(tmp_path)["state directory"].verdict is Verdict.FAIL


def test_a_directory_that_others_may_write_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    finding = machine(tmp_path)["state directory"]
    assert (finding.verdict, finding.remedy) == (Verdict.WARN, f"`chmod go-w {tmp_path}/state`")


def test_a_state_that_others_may_read_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "state.db").touch()
    (tmp_path / "state" / "state.db").chmod(0o644)
    finding = machine(tmp_path)["file mode"]
    assert (finding.verdict, finding.detail) == (
        Verdict.WARN,
        f"{tmp_path}/state/state.db has mode 644: others can read it",
    )


def test_few_open_files_and_watches_are_warnings(tmp_path: Path) -> None:
    limits(tmp_path / "proc", watches="100", instances="8")
    found = {
        finding.check: finding
        for finding in check_machine(tmp_path / "s", tmp_path / "e", (), inotify=tmp_path / "proc", open_files=256)
    }
    low = ("open files", "inotify max_user_watches", "inotify max_user_instances")
    assert [found[name].verdict for name in low] == [Verdict.WARN] * 3
    assert "ulimit -n" in found["open files"].remedy
    assert "sysctl fs.inotify.max_user_watches" in found["inotify max_user_watches"].remedy
    assert exit_code(list(found.values())) is ExitCode.OK


def test_a_machine_without_inotify_is_a_warning(tmp_path: Path) -> None:
    found = check_machine(tmp_path / "s", tmp_path / "e", (), inotify=tmp_path / "none")
    assert [each.verdict for each in found if each.check.startswith("inotify")] == [Verdict.WARN] * 2


def test_no_limit_of_open_files_is_fine(tmp_path: Path) -> None:
    assert machine(tmp_path, open_files=-1)["open files"].detail == "no limit"


def test_what_fails_here_weighs_more_than_a_host_that_does_not_answer() -> None:
    here = Finding("x", "y", Verdict.FAIL, "")
    there = Finding("x", "y", Verdict.FAIL, "", code=ExitCode.PARTIAL)
    warned = Finding("x", "y", Verdict.WARN, "")
    assert exit_code([there, warned]) is ExitCode.PARTIAL
    assert exit_code([there, here, warned]) is ExitCode.ERROR
    assert exit_code([warned]) is ExitCode.OK


# --- hosts -----------------------------------------------------------------------------------------------------------


async def host_findings(name: HostName, transport: Transport, scheduler: MemoryScheduler) -> dict[str, Finding]:
    host = Host(name, transport, scheduler)
    far = [] if isinstance(transport, LocalTransport) else [name]
    return {finding.check: finding for finding in await check_hosts({name: host}, far)}


async def test_this_machine_as_a_host(here: LocalTransport) -> None:
    found = await host_findings(LOCALHOST, here, MemoryScheduler(me="ada"))
    assert list(found) == ["reachable", "clock", "scheduler"]
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}
    assert found["scheduler"].detail.startswith("memory answers ada in 0.")
    assert found["scheduler"].detail.endswith("s: 0 jobs that can be watched")


async def test_a_scheduler_that_answers_slowly_is_a_warning_that_says_how_often_it_will_be_asked(
    here: LocalTransport,
) -> None:
    times = iter(range(0, 1000, 6))  # every look at the clock is six seconds after the one before
    found = await check_hosts(
        {LOCALHOST: Host(LOCALHOST, here, MemoryScheduler(me="ada"))}, [], now=lambda: next(times)
    )
    (slow,) = [finding for finding in found if finding.check == "scheduler"]
    assert slow.verdict is Verdict.WARN
    assert "in 6.0 s" in slow.detail
    assert slow.detail.endswith("asked every 120 s")
    assert "listing" in slow.remedy


async def test_a_scheduler_that_does_not_answer_fails_and_says_what_to_do(here: LocalTransport) -> None:
    down = SchedulerUnavailableError("slurmctld does not answer", remedy="`scontrol ping` tells")
    found = await host_findings(LOCALHOST, here, MemoryScheduler(failing={"jobs": down}))
    assert (found["scheduler"].verdict, found["scheduler"].remedy) == (Verdict.FAIL, "`scontrol ping` tells")
    assert exit_code(list(found.values())) is ExitCode.PARTIAL


async def test_an_accounting_that_does_not_answer_is_a_warning_beside_a_scheduler_that_does(
    here: LocalTransport, tmp_path: Path
) -> None:
    jobs = Jobs(tmp_path)
    jobs.add("1")
    jobs.forgetful = "sacct on localhost failed: Connection refused"
    found = {finding.check: finding for finding in await check_hosts({LOCALHOST: Host(LOCALHOST, here, jobs)}, [])}
    assert found["scheduler"].verdict is Verdict.OK
    assert (found["accounting"].verdict, found["accounting"].detail) == (Verdict.WARN, jobs.forgetful)
    assert "sacct" in found["accounting"].remedy
    assert exit_code(list(found.values())) is ExitCode.OK


async def test_a_clock_that_differs_is_a_warning(here: LocalTransport) -> None:
    host = Host(LOCALHOST, here, MemoryScheduler())
    for wrong, word in ((1e9, "ahead"), (9e9, "behind")):
        found = await check_hosts({LOCALHOST: host}, [], now=lambda wrong=wrong: wrong)  # type: ignore[misc]
        (clock,) = [finding for finding in found if finding.check == "clock"]
        assert clock.verdict is Verdict.WARN
        assert word in clock.detail
        assert "time server" in clock.remedy


@pytest.mark.ssh
async def test_a_host_over_ssh(sshd: Sshd) -> None:
    async with sshd.transport() as far:
        found = await host_findings(HOST, far, MemoryScheduler())
    assert list(found) == ["reachable", "clock", "lookout", "looks", "scheduler"]
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}
    assert found["lookout"].detail.startswith("python3 3.")


@pytest.mark.ssh
async def test_a_host_without_an_interpreter_is_a_warning(sshd: Sshd, tmp_path: Path) -> None:
    for name in ("date", "id", "sh"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    sshd.restart(PATH=str(tmp_path))
    async with sshd.transport() as far:
        found = await host_findings(HOST, far, MemoryScheduler())
    assert (found["lookout"].verdict, found["looks"].verdict) == (Verdict.WARN, Verdict.OK)
    assert "python3" in found["lookout"].remedy


@pytest.mark.ssh
async def test_a_host_that_is_down_is_one_finding_and_holds_up_no_other(sshd: Sshd, here: LocalTransport) -> None:
    sshd.stop()
    async with sshd.transport() as far:
        hosts: dict[str, Host] = {
            HOST: Host(HOST, far, MemoryScheduler()),
            LOCALHOST: Host(LOCALHOST, here, MemoryScheduler()),
        }
        found = await check_hosts(hosts, [HOST])
    (down,) = [finding for finding in found if finding.where == HOST]
    assert (down.check, down.verdict) == ("reachable", Verdict.FAIL)
    assert "refused" in down.detail
    assert "ssh -p" in down.remedy
    assert [finding.check for finding in found if finding.where == LOCALHOST] == ["reachable", "clock", "scheduler"]
    assert exit_code(found) is ExitCode.PARTIAL
