"""A scheduler that is slow or silent is asked less and less often, within bounds, and soon again as often as before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.logic.pacing import JITTER, QUICK, SHARE, Pace

REGULAR, STRETCH = 30.0, 10.0


def after(*answers: float | None) -> Pace:
    """Return the pace after these answers; None: there was none."""
    pace = Pace()
    for seconds in answers:
        pace = pace.silent() if seconds is None else pace.answered(seconds)
    return pace


def every(*answers: float | None) -> float:
    return after(*answers).interval(REGULAR, STRETCH)


def test_a_scheduler_that_was_never_asked_or_answers_at_once_is_asked_regularly() -> None:
    assert every() == REGULAR
    assert every(0.1, 0.2, QUICK) == REGULAR


@pytest.mark.parametrize(("took", "wait"), [(2.5, 50), (3, 60), (6, 120), (14.9, 298), (15, 300), (60, 300)])
def test_a_slow_one_is_busy_with_us_for_a_twentieth_of_the_time_and_waited_for_within_bounds(
    took: float, wait: float
) -> None:
    assert every(took) == wait


def test_one_slow_answer_among_quick_ones_is_soon_forgotten() -> None:
    assert [every(0.1, 8, *[0.1] * quick) for quick in range(3)] == pytest.approx([81, 41.5, REGULAR])


def test_each_failure_but_the_first_doubles_the_wait_up_to_the_bound() -> None:
    assert [every(*[None] * failures) for failures in range(7)] == [30, 30, 60, 120, 240, 300, 300]
    assert every(*[None] * 100_000) == 300


def test_an_answer_ends_the_failures() -> None:
    assert every(None, None, None, 0.1) == REGULAR


def test_a_slow_one_that_falls_silent_is_not_asked_sooner() -> None:
    assert every(6, None) == 120
    assert every(6, None, None, None, None) == 240


def test_a_short_interval_of_an_operator_has_bounds_of_its_own() -> None:
    assert after(60.0).interval(1.0, STRETCH) == 10
    assert after(60.0).interval(3600.0, STRETCH) == 3600
    assert after(60.0, None, None).interval(REGULAR, 1.0) == REGULAR


@given(
    st.lists(st.none() | st.floats(0, 1e6), max_size=30),
    st.floats(1, 86_400),
    st.floats(1, 1000),
    st.floats(0, 1),
)
def test_the_wait_is_never_shorter_than_the_interval_nor_longer_than_its_bound(
    answers: list[float | None], regular: float, stretch: float, dice: float
) -> None:
    wait = after(*answers).wait(regular, stretch, dice)
    assert regular <= wait <= regular * stretch * (1 + JITTER) * 1.000001


def test_those_who_began_together_do_not_ask_in_step() -> None:
    waits = {Pace().wait(REGULAR, STRETCH, dice / 100) for dice in range(101)}
    assert len(waits) == 101
    assert min(waits) == REGULAR
    assert max(waits) == pytest.approx(33)
    assert SHARE * QUICK >= REGULAR  # where slowness begins to count, it counts at once
