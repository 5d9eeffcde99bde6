"""Whether, and when, an action that did not succeed is tried again. The dispatcher asks; nothing here waits.

What may have been done all the same (its type is not `retry`) is never tried again.
"""

from __future__ import annotations

from reconciler.model import Outcome, OutcomeKind, PendingAction
from reconciler.protocols import ActionTraits

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
