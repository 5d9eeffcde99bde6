"""SLURM's words for the state of a job and for how it ended, and what they mean here. Pure.

The words are those of squeue(1) and sacct(1), "JOB STATE CODES", up to 25.11.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reconciler.model import JobState

_STATES = {
    JobState.PENDING: (
        "PENDING CONFIGURING POWER_UP_NODE REQUEUED REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT EXPEDITING"
    ),
    JobState.RUNNING: "RUNNING COMPLETING RESIZING SIGNALING STAGE_OUT STOPPED UPDATE_DB",
    JobState.SUSPENDED: "SUSPENDED",
    JobState.COMPLETED: "COMPLETED",
    JobState.FAILED: "FAILED OUT_OF_MEMORY NODE_FAIL BOOT_FAIL LAUNCH_FAILED RECONFIG_FAIL",
    JobState.TIMEOUT: "TIMEOUT DEADLINE",
    JobState.CANCELLED: "CANCELLED PREEMPTED REVOKED",
}
_MEANING = {word: state for state, words in _STATES.items() for word in words.split()}
#: Flags that say more than the base state they stand beside: the first of these that is there decides.
_FLAGS = (
    *("REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "EXPEDITING", "CONFIGURING", "POWER_UP_NODE"),
    *("COMPLETING", "STAGE_OUT", "REVOKED"),
)


def job_state(words: str | Sequence[str]) -> JobState:
    """Return what a state means: `RUNNING`, `CANCELLED by 1001`, or base state and flags as a list.

    A word that nobody knows yet is RUNNING: a job is never taken for ended by a guess.
    """
    listed = words.split()[:1] if isinstance(words, str) else list(words)
    known = [word.upper().rstrip("+") for word in listed]
    for flag in _FLAGS:
        if flag in known:
            return _MEANING[flag]
    return next((_MEANING[word] for word in known if word in _MEANING), JobState.RUNNING)


_EXIT = re.compile(r"(?P<status>\d+)(?::(?P<signal>\d+))?", re.ASCII)


def wait_status(text: str) -> int | None:
    """Read what squeue shows: the status that wait(2) gave, or `status:signal`."""
    if not text.isdigit():
        return exit_code(text)
    number = int(text)
    return number >> 8 or ((128 + (number & 127)) if number & 127 else 0)


def exit_code(text: str) -> int | None:
    """Read `status:signal`; a signal is 128 and its number, as in a shell."""
    found = _EXIT.fullmatch(text)
    return ended_with(int(found["status"]), int(found["signal"] or 0)) if found else None


def ended_with(status: int, signal: int) -> int:
    """Return the exit status as a shell gives it."""
    return status or (128 + signal if signal else 0)
