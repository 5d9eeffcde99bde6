"""What `reconcile doctor` looks at: this machine, and every host with its scheduler. It changes nothing.

`cli/doctor.py` calls it with what `app` made. A finding is never an exception: what cannot be told is said.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reconciler.engine.parts import Host
from reconciler.errors import (
    AccountingUnavailableError,
    ExitCode,
    HostUnreachableError,
    ReconcilerError,
    StateError,
    UnavailableError,
    worst,
)
from reconciler.logic.pacing import Pace
from reconciler.protocols import Sight, Want
from reconciler.schedulers.detect import detect
from reconciler.settings import EngineSettings
from reconciler.state import open_readonly
from reconciler.state.mounts import on_network

#: Seconds between two clocks from which the age of a file against its job's start may be judged wrongly.
SKEW = 2.0
#: Seconds ago that accounting is asked for: slurmctld has forgotten jobs that ended then, where it does so in minutes.
_PAST = 3600.0
#: Bytes free on a disk, below which the state may soon be unable to grow.
ROOM = 200 * 1024 * 1024
#: Fewer files open at once are too few for some hundred jobs.
OPEN_FILES = 1024
#: inotify: a directory of outputs needs a watch, a daemon an instance or two.
WATCHES, INSTANCES = 8192, 64
INOTIFY = Path("/proc/sys/fs/inotify")

# One round trip for everything that a host can say of itself. Perl's and Python's own words, since versions differ.
_ASK = """
date +%s.%N
id -un
python3 -c 'import sys; print("python3", sys.version.split()[0], sys.version_info >= (3, 6))' 2>/dev/null || echo
perl -e 'print "perl $^V True\\n"' 2>/dev/null || echo
"""


class Verdict(StrEnum):
    """What a check came to."""

    OK = "ok"
    WARN = "warn"  # works, and may not always
    FAIL = "fail"  # does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, where, what came of it, and what to do (empty where nothing is)."""

    where: str
    check: str
    verdict: Verdict
    detail: str
    remedy: str = ""
    #: What a FAIL means for the command's exit status.
    code: ExitCode = ExitCode.ERROR


def exit_code(findings: Sequence[Finding]) -> ExitCode:
    """Return 0, 1 (something here does not work) or 7 (only hosts do not answer)."""
    return worst([finding.code for finding in findings if finding.verdict is Verdict.FAIL])


# --- this machine ----------------------------------------------------------------------------------------------------

HERE = "this machine"


def check_machine(
    state: Path, events: Path, channels: Sequence[str], *, inotify: Path = INOTIFY, open_files: int | None = None
) -> Iterator[Finding]:
    """Yield what stands with the files, limits and channels of this machine. `open_files` None: asked of the system."""
    yield _directory(state.parent, "state directory")
    if events.parent != state.parent:
        yield _directory(events.parent, "events directory")
    yield from (_private(file) for file in (state, events) if file.exists())
    if state.exists() and state.stat().st_size:
        yield _readable(state)
    yield _file_system(state)
    yield _limit("open files", resource.getrlimit(resource.RLIMIT_NOFILE)[0] if open_files is None else open_files)
    yield from _inotify(inotify)
    yield _channels(channels)


def _directory(path: Path, check: str) -> Finding:
    """A directory that is not there yet is judged by the one in which it will be made."""
    there = next(each for each in (path, *path.parents) if os.path.exists(each))  # unlike Path.exists, never raises
    remedy = f"give it to the account that runs reconcile: `chown {os.geteuid()} {there}`, or set `state.path`"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding(HERE, check, Verdict.FAIL, f"{there} cannot be written", remedy)
    if there == path and path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return Finding(
            HERE, check, Verdict.WARN, f"others may write {path}: they could replace the state", f"`chmod go-w {path}`"
        )
    return _disk(path, there, check)


def _disk(path: Path, there: Path, check: str) -> Finding:
    free = shutil.disk_usage(there).free
    detail = f"{path}{'' if there == path else ' (made when first used)'}, {free // 1024**2} MiB free"
    if free < ROOM:
        return Finding(HERE, check, Verdict.WARN, detail, "make room, or set `state.path` and `events.path` elsewhere")
    return Finding(HERE, check, Verdict.OK, detail)


def _private(file: Path) -> Finding:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        return Finding(
            HERE, "file mode", Verdict.WARN, f"{file} has mode {mode:o}: others can read it", f"`chmod 600 {file}`"
        )
    return Finding(HERE, "file mode", Verdict.OK, f"{file} is its owner's alone")


def _readable(state: Path) -> Finding:
    try:
        with closing(open_readonly(state)) as reading:
            return Finding(HERE, "state", Verdict.OK, f"{state} can be read: {len(reading.watchers())} watchers")
    except StateError as error:
        return Finding(HERE, "state", Verdict.FAIL, error.message, error.remedy)


def _file_system(state: Path) -> Finding:
    if on_network(state):
        return Finding(
            HERE,
            "file system of the state",
            Verdict.WARN,
            f"{state} is on a network file system: slower, and safe only as far as its locks are",
            "set `state.path` to a local disk",
        )
    return Finding(HERE, "file system of the state", Verdict.OK, "local")


def _limit(check: str, limit: int) -> Finding:
    if 0 <= limit < OPEN_FILES:  # -1: no limit
        return Finding(HERE, check, Verdict.WARN, f"{limit} at once", f"`ulimit -n {OPEN_FILES * 4}` before starting")
    return Finding(HERE, check, Verdict.OK, f"{limit} at once" if limit >= 0 else "no limit")


def _inotify(directory: Path) -> Iterator[Finding]:
    for name, enough in (("max_user_watches", WATCHES), ("max_user_instances", INSTANCES)):
        check = f"inotify {name}"
        try:
            limit = int((directory / name).read_text())
        except (OSError, ValueError):
            yield Finding(
                HERE, check, Verdict.WARN, "there is no inotify here: growth is seen at the regular looks alone"
            )
            continue
        remedy = (
            f"ask for `sysctl fs.inotify.{name}={enough * 8}`; until then some growth is seen at regular looks alone"
        )
        low = limit < enough
        yield Finding(HERE, check, Verdict.WARN if low else Verdict.OK, str(limit), remedy if low else "")


def _channels(names: Sequence[str]) -> Finding:
    if not names:
        return Finding(
            HERE, "channels", Verdict.OK, "none: notify_slack, notify_email and notify have nowhere to send to"
        )
    return Finding(HERE, "channels", Verdict.OK, ", ".join(sorted(names)))


# --- hosts -----------------------------------------------------------------------------------------------------------


async def check_hosts(
    hosts: Mapping[str, Host],
    far: Sequence[str],
    *,
    now: Callable[[], float] = time.time,
    engine: EngineSettings | None = None,
) -> list[Finding]:
    """Return what stands with every host, all of them at once; `far`: those that are reached over a network."""
    engine = engine or EngineSettings()
    found = await asyncio.gather(*(_check_host(host, name in far, now, engine) for name, host in hosts.items()))
    return [finding for findings in found for finding in findings]


async def _check_host(host: Host, far: bool, now: Callable[[], float], engine: EngineSettings) -> list[Finding]:
    try:
        asked = now()
        done = await host.transport.run(["sh", "-c", _ASK], timeout=30)
        answered = now()
    except (UnavailableError, TimeoutError) as error:
        return [_unreachable(host, error)]
    findings = [Finding(host.name, "reachable", Verdict.OK, f"answered in {(answered - asked) * 1000:.0f} ms")]
    lines = done.stdout.decode(errors="replace").split("\n")
    if len(lines) < 4:
        return [*findings, Finding(host.name, "shell", Verdict.FAIL, "sh does not run", "see its start-up files")]
    findings.append(_clock(host, lines[0], asked, answered))
    if far:
        findings.append(_interpreters(host, lines[2:4]))
        findings.append(await _looking(host))
    findings.append(await _scheduler(host, now, engine))
    if findings[-1].verdict is not Verdict.FAIL:
        findings += await _accounting(host, now)
    return findings


def _unreachable(host: Host, error: UnavailableError | TimeoutError) -> Finding:
    message = error.message if isinstance(error, UnavailableError) else "no answer in time"
    remedy = error.remedy if isinstance(error, UnavailableError) else "see whether its start-up files hang"
    message = message.removeprefix(f"{host.name}: ")
    return Finding(host.name, "reachable", Verdict.FAIL, message, remedy, ExitCode.PARTIAL)


def _clock(host: Host, text: str, asked: float, answered: float) -> Finding:
    """Compare clocks; half of the time that the answer took is not known."""
    try:
        there = float(text.removesuffix(".%N").removesuffix(".N"))  # not every date knows nanoseconds
    except ValueError:
        return Finding(host.name, "clock", Verdict.WARN, f"`date` says {text!r}", "is its `date` the usual one?")
    skew = max(0.0, there - answered, asked - there - 1.0)
    detail = f"{'ahead' if there > answered else 'behind'} by {skew:.1f} s" if skew else "agrees with ours"
    if skew > SKEW:
        return Finding(
            host.name, "clock", Verdict.WARN, detail, "let both machines follow the same time server (chrony)"
        )
    return Finding(host.name, "clock", Verdict.OK, detail)


def _interpreters(host: Host, lines: Sequence[str]) -> Finding:
    there = [f"{words[0]} {words[1]}" for words in map(str.split, lines) if len(words) == 3 and words[2] == "True"]
    if there:
        return Finding(host.name, "lookout", Verdict.OK, f"{there[0]} looks at files")
    return Finding(
        host.name,
        "lookout",
        Verdict.WARN,
        "neither python3 nor Perl: files are looked at over SFTP, which costs a hundred times as much",
        "install python3 (3.6 or newer) or Perl there, or load it in the account's start-up files",
    )


async def _looking(host: Host) -> Finding:
    try:
        (seen,) = await host.transport.look([Want("/etc/passwd", limit=0)])
    except UnavailableError as error:
        return Finding(host.name, "looks", Verdict.FAIL, error.message, error.remedy, ExitCode.PARTIAL)
    if seen.sight is Sight.READ:
        return Finding(host.name, "looks", Verdict.OK, "files can be looked at")
    return Finding(host.name, "looks", Verdict.WARN, f"/etc/passwd: {seen.sight} {seen.reason}".strip())


async def _scheduler(host: Host, now: Callable[[], float], engine: EngineSettings) -> Finding:
    try:
        account = await host.scheduler.account()
        asked = now()
        jobs = await host.scheduler.jobs(None)
        took = now() - asked
        kind = await _kind(host)
    except HostUnreachableError as error:
        return _unreachable(host, error)
    except ReconcilerError as error:
        remedy = error.remedy or "see what `squeue` says there, and set the host's `scheduler`"
        return Finding(host.name, "scheduler", Verdict.FAIL, error.message, remedy, ExitCode.PARTIAL)
    detail = f"{kind} answers {account} in {took:.1f} s: {len(jobs)} jobs that can be watched"
    every = Pace().answered(took).interval(engine.discovery_interval, engine.max_stretch)
    if every > engine.discovery_interval:
        detail += f"; slow, so it is asked every {every:.0f} s"
        remedy = "ask for a list of jobs that the site keeps, and name it as the scheduler's `listing`"
        return Finding(host.name, "scheduler", Verdict.WARN, detail, remedy)
    return Finding(host.name, "scheduler", Verdict.OK, detail)


async def _accounting(host: Host, now: Callable[[], float]) -> Sequence[Finding]:
    """Tell where the record of jobs that the scheduler has forgotten cannot be asked."""
    try:
        await host.scheduler.jobs(now() - _PAST)
    except AccountingUnavailableError as error:
        remedy = error.remedy or "see what `sacct` says there; until then jobs that slurmctld has forgotten wait"
        return [Finding(host.name, "accounting", Verdict.WARN, error.message, remedy)]
    except UnavailableError as error:
        return [_unreachable(host, error)]
    return []


async def _kind(host: Host) -> str:
    """Return what the scheduler is called in settings; `auto` says what it found."""
    kind = type(host.scheduler).__name__.removesuffix("Scheduler").lower()
    return await detect(host.transport) if kind == "auto" else kind
