"""What goes wrong between us and a SLURM behind SSH: `OUTAGES`, by name, each as a context in which it lasts.

Used by the tests of single outages, and by the campaign that takes them at random. An outage may end by itself.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager

import psutil

from parts.far_slurm import FarSlurm
from parts.relay import Relay

Outage = Callable[[FarSlurm, Relay], AbstractAsyncContextManager[None]]

#: Bytes of an answer that come through: enough to be let in, and for a part of what was asked.
PART = 6_000


@contextlib.asynccontextmanager
async def _slurmctld_stopped(far: FarSlurm, line: Relay) -> AsyncIterator[None]:
    with far.slurm.without_controller():
        yield


@contextlib.asynccontextmanager
async def _slurmctld_cut_off(far: FarSlurm, line: Relay) -> AsyncIterator[None]:
    with far.slurm.paused():
        yield


def _squeue_that(does: str) -> Outage:
    @contextlib.asynccontextmanager
    async def outage(far: FarSlurm, line: Relay) -> AsyncIterator[None]:
        far.program("squeue", f"#!/bin/sh\n{does}\n")
        try:
            yield
        finally:
            far.own("squeue")

    return outage


@contextlib.asynccontextmanager
async def _sshd_refuses(far: FarSlurm, line: Relay) -> AsyncIterator[None]:
    far.sshd.stop()
    try:
        yield
    finally:
        far.sshd.start()


@contextlib.asynccontextmanager
async def _sshd_hangs(far: FarSlurm, line: Relay) -> AsyncIterator[None]:
    with far.sshd.paused():
        yield


@contextlib.asynccontextmanager
async def _line_hangs(far: FarSlurm, line: Relay) -> AsyncIterator[None]:
    line.hold()
    try:
        yield
    finally:
        line.through.set()


@contextlib.asynccontextmanager
async def _line_breaks(far: FarSlurm, line: Relay) -> AsyncIterator[None]:
    line.cut_each_after = PART
    line.cut()
    try:
        yield
    finally:
        line.cut_each_after = None


def lookouts(far: FarSlurm) -> list[psutil.Process]:
    """Return what looks at files at the far end."""
    found = []
    for process in far.sshd.programs:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name().startswith(("python3", "perl")):
                found.append(process)
    return found


def _tell(processes: list[psutil.Process], what: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(what)


@contextlib.asynccontextmanager
async def _file_system_hangs(far: FarSlurm, line: Relay) -> AsyncIterator[None]:
    held = lookouts(far)
    _tell(held, signal.SIGSTOP)  # what looks at files stands still, as over a dead mount
    try:
        yield
    finally:
        _tell(held, signal.SIGCONT)


#: Each lasts, and is shown while it does.
OUTAGES: Mapping[str, Outage] = {
    "slurmctld is stopped": _slurmctld_stopped,
    "slurmctld is cut off": _slurmctld_cut_off,
    "squeue fails": _squeue_that("echo 'slurm_load_jobs error: Socket timed out' >&2; exit 1"),
    "squeue answers nothing": _squeue_that("exit 0"),
    "squeue prints something else": _squeue_that("echo Sorry, maintenance until Monday"),
    "squeue prints half of it": _squeue_that(
        'PATH=/usr/bin:/bin; n=$(squeue "$@" | wc -c); squeue "$@" | head -c $((n / 2))'
    ),
    "sshd refuses": _sshd_refuses,
    "sshd hangs": _sshd_hangs,
    "the line hangs": _line_hangs,
    "the file system hangs": _file_system_hangs,
    "the line breaks within every answer": _line_breaks,
}


@contextlib.asynccontextmanager
async def _connections_drop(far: FarSlurm, line: Relay) -> AsyncIterator[None]:
    far.sshd.drop()
    yield


@contextlib.asynccontextmanager
async def _line_is_cut_soon(far: FarSlurm, line: Relay) -> AsyncIterator[None]:
    line.cut_after = line.to_client + PART
    yield


@contextlib.asynccontextmanager
async def _lookout_is_killed(far: FarSlurm, line: Relay) -> AsyncIterator[None]:
    _tell(lookouts(far), signal.SIGKILL)
    yield


@contextlib.asynccontextmanager
async def _line_is_slow(far: FarSlurm, line: Relay) -> AsyncIterator[None]:
    line.rate, line.delay = 50_000, 0.1
    try:
        yield
    finally:
        line.rate, line.delay = None, 0.0


#: Each is over in a moment, or does no more than slow things down.
MISHAPS: Mapping[str, Outage] = {
    "connections drop": _connections_drop,
    "the line is cut in an answer": _line_is_cut_soon,
    "the lookout is killed": _lookout_is_killed,
    "the line is slow": _line_is_slow,
}
