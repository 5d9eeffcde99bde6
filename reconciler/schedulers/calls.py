"""How schedulers call programs on their host: bounded in time, ids checked first, failures translated once.

Used by every scheduler here; nothing in it knows which programs there are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from reconciler.errors import PermanentActionError, SchedulerUnavailableError
from reconciler.protocols import Completed, Transport

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}", re.ASCII)


def checked_id(job_id: str) -> str:
    """Return a job id that is fit to be an argument; PermanentActionError for anything else."""
    if not _ID.fullmatch(job_id):
        raise PermanentActionError(
            f"{job_id[:80]!r} is no job id", refused=True, remedy="an id is letters, digits, _ + and -"
        )
    return job_id


async def call(
    transport: Transport,
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    timeout: float,
    env: Mapping[str, str] | None = None,
    limit: int = 16 * 1024 * 1024,
) -> Completed:
    """Run one program on the host, whatever its exit status; SchedulerUnavailableError if it does not end."""
    try:
        return await transport.run(argv, stdin=stdin, timeout=timeout, env=env, limit=limit)
    except TimeoutError as error:
        raise SchedulerUnavailableError(f"{argv[0]} on {transport.host} did not answer in {timeout:g} s") from error


async def answer(transport: Transport, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> bytes:
    """Return what a program printed; SchedulerUnavailableError where it failed or printed more than is kept."""
    done = await call(transport, argv, stdin=stdin, timeout=timeout)
    if done.status != 0:
        raise SchedulerUnavailableError(f"{argv[0]} on {transport.host} failed: {complaint(done)}")
    if done.cut:
        raise SchedulerUnavailableError(f"{argv[0]} on {transport.host} printed too much")
    return done.stdout


def complaint(done: Completed) -> str:
    """Return what a failed program said, for people: its last words, or its exit status."""
    said = done.stderr.decode(errors="replace").strip() or done.stdout.decode(errors="replace").strip()
    return said[-500:] or f"exit status {done.status}"
