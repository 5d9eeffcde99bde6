"""Curves in a terminal show what the numbers do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.chart import chart


def area(lines: list[str]) -> list[str]:
    """Return what stands right of the axis."""
    return [line.partition("┤")[2] for line in lines if "┤" in line]


def inked(line: str) -> list[int]:
    return [place for place, character in enumerate(line) if character != " "]


def test_a_falling_curve_falls_from_upper_left_to_lower_right() -> None:
    rows = area(chart([(x, -x) for x in range(100)], width=20, height=5))
    assert [min(inked(row)) for row in rows] == sorted(min(inked(row)) for row in rows)
    assert inked(rows[0])[0] == 0
    assert inked(rows[-1])[-1] == 19


def test_a_straight_line_is_drawn_without_gaps_between_two_points() -> None:
    rows = area(chart([(0, 0), (9, 9)], width=10, height=4))
    assert {place for row in rows for place in inked(row)} == set(range(10))


def test_labels_tell_the_range_of_both_axes() -> None:
    lines = chart([(10, 0.5), (250, 2.5)], width=20, height=5, unit="s")
    assert lines[0].startswith("2.5 ┤")
    assert lines[4].startswith("0.5 ┤")
    assert lines[-1].split() == ["10s", "250s"]
    assert len(lines) == 7


def test_one_spike_among_ten_thousand_points_is_seen() -> None:
    points = [(float(x), 100.0 if x == 5000 else 1.0) for x in range(10_000)]
    top = area(chart(points, width=30, height=6))[0]
    assert inked(top) in ([14], [15], [14, 15])


def test_a_flat_curve_runs_through_the_middle() -> None:
    rows = area(chart([(0, 3), (5, 3)], width=10, height=5))
    assert [bool(inked(row)) for row in rows] == [False, False, True, False, False]


def test_a_single_point_is_one_dot() -> None:
    rows = area(chart([(7, 1)], width=10, height=5))
    assert sum(len(inked(row)) for row in rows) == 1


@pytest.mark.parametrize("points", [[], [(0.0, math.nan)], [(math.inf, 1.0)]])
def test_without_a_finite_point_there_is_no_chart(points: list[tuple[float, float]]) -> None:
    assert chart(points) == []


def test_what_is_not_finite_is_left_out() -> None:
    good = [(0.0, 1.0), (1.0, 2.0), (2.0, 1.5)]
    assert chart([*good, (3.0, math.nan), (1.5, -math.inf)]) == chart(good)


FINITE = st.floats(min_value=-1e9, max_value=1e9)


@given(
    st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=50),
    st.integers(1, 40),
    st.integers(1, 12),
)
def test_any_points_fit_into_the_area(points: list[tuple[float, float]], width: int, height: int) -> None:
    rows = area(chart(points, width=width, height=height))
    assert len(rows) == height
    assert all(len(row) <= width for row in rows)
    assert any(inked(row) for row in rows)
