"""Moments that people write: zones, days, and those that no calendar can be trusted with."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from reconciler.spec.moments import FAR, Moment, MomentOrDay, as_moment, epoch

FIRST = 1_796_083_200.0  # of December 2026


@pytest.mark.parametrize("text", ["2026-12-01", "2026-12-01T00:00:00", "2026-12-01T00:00Z", "2026-12-01T01:00+01:00"])
def test_a_time_without_a_zone_is_utc_and_a_day_its_first_moment(text: str) -> None:
    assert epoch(TypeAdapter(MomentOrDay).validate_python(text)) == FIRST


def test_a_day_is_its_first_moment_as_a_value_too() -> None:
    assert epoch(date(2026, 12, 1)) == FIRST == epoch(datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59-23:00", "9999-12-31", "0001-01-01T00:00:00", "0001-01-01T00:00+12:00", "1969-12-31"]
)
@pytest.mark.parametrize("kind", [Moment, MomentOrDay])
def test_what_lies_out_of_all_reason_is_refused(kind: Any, text: str) -> None:
    with pytest.raises(ValidationError, match="beyond the year 9000"):
        TypeAdapter(kind).validate_python(text)


@pytest.mark.parametrize("at", [-1e15, 1e15, FAR * 2])
def test_a_time_out_of_all_reason_that_is_kept_already_can_be_shown(at: float) -> None:
    assert as_moment(at).isoformat() in ("1970-01-01T00:00:00+00:00", "9000-01-01T00:00:00+00:00")
