"""From what an action raised to an Outcome, and whether and when it is tried again: the one place where that is told.

The dispatcher and the courier call it. What may have been done all the same (its type is not `retry`) is never tried
again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TypeVar

from reconciler.errors import PermanentActionError, TemporaryActionError, UnavailableError
from reconciler.model import Outcome, OutcomeKind, PendingAction
from reconciler.protocols import ActionTraits

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Attempts at an action that fails, and the wait (seconds) after the first, doubled each time.
MAX_ATTEMPTS, FIRST_RETRY = 6, 5.0
#: The longest wait (seconds) while nobody answers, and the attempts (a day of them) after which an outage is a failure.
LONGEST_RETRY, MOST_UNANSWERED = 300.0, 300


def failed(action: PendingAction, traits: ActionTraits, message: str, delay: float | None = None) -> Outcome:
    """Return the outcome of an attempt that failed. `delay`: the wait (seconds) that the action itself asks for."""
    if not traits.retry or action.attempts >= MAX_ATTEMPTS:
        return Outcome(OutcomeKind.FAILED, message)
    wait = delay if delay is not None else FIRST_RETRY * 2 ** (action.attempts - 1)
    return Outcome(OutcomeKind.FAILED, message, retry_after=wait)


def unanswered(action: PendingAction, traits: ActionTraits, message: str) -> Outcome:
    """Return the outcome of an attempt that met an outage, which is waited for and counts for no failure."""
    if not traits.retry or action.attempts >= MOST_UNANSWERED:
        return Outcome(OutcomeKind.FAILED, message)
    wait = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(action.attempts - 1, 10))
    return Outcome(OutcomeKind.FAILED, message, retry_after=wait, unanswered=True)


async def attempted(
    work: Awaitable[T], actions: Sequence[PendingAction], traits: ActionTraits
) -> T | tuple[Outcome, ...]:
    """Return what the work returns, or one Outcome for each of the actions that it was done for."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - a plugin's bug must not stop the other watchers
        return tuple(outcome_of(error, action, traits) for action in actions)


def outcome_of(error: Exception, action: PendingAction, traits: ActionTraits) -> Outcome:
    """Return what became of an attempt that ended with this error."""
    match error:
        case TemporaryActionError():
            return replace(failed(action, traits, error.message, error.delay), progress=error.progress)
        case UnavailableError():
            return unanswered(action, traits, error.message)
        case TimeoutError():
            return failed(action, traits, str(error) or "timed out")
        case PermanentActionError():
            return Outcome(OutcomeKind.REFUSED if error.refused else OutcomeKind.FAILED, error.message)
        case _:
            log.error("action %s of watcher %s", action.type, action.watcher_id, exc_info=error)
            return Outcome(OutcomeKind.FAILED, f"{type(error).__name__}: {error}")
