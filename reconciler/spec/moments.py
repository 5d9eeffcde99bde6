"""Moments and days that people write: times without a zone are UTC, a day begins at midnight UTC.

A moment beyond the year 9000 is refused: what is added to it, in whatever zone it is shown, must be a date still.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, TypeVar

from pydantic import AfterValidator

#: The year 9000, in seconds since the epoch.
FAR = 221_845_392_000.0
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)

M = TypeVar("M", bound=date)


def epoch(written: date) -> float:
    """Return a moment or a day in seconds since the epoch."""
    at = written if isinstance(written, datetime) else datetime(written.year, written.month, written.day)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def sayable(written: M) -> M:
    """Return the moment; ValueError where no calendar can be trusted with it."""
    if not 0.0 <= epoch(written) < FAR:
        raise ValueError("it lies before 1970 or beyond the year 9000")
    return written


def _not_beyond(written: datetime) -> datetime:
    """Return the moment; one before 1970 is the beginning of 1970."""
    return sayable(max(written if written.tzinfo else written.replace(tzinfo=UTC), _BEGIN))


def as_moment(at: float) -> datetime:
    """Return seconds since the epoch as a moment; one that is out of all reason as the nearest that is not."""
    return datetime.fromtimestamp(min(max(at, 0.0), FAR), UTC)


#: What is asked for from then on.
Since = Annotated[datetime, AfterValidator(_not_beyond)]
Moment = Annotated[datetime, AfterValidator(sayable)]
MomentOrDay = Annotated[datetime | date, AfterValidator(sayable)]
