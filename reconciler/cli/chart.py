"""Curves in a terminal: numbers over time as braille dots, two by four in a character; `metrics` and `demo` draw them.

Nothing but text comes out, so it works over any connection and in a log of CI. Source of the dots:
https://www.unicode.org/charts/PDF/U2800.pdf
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]

# The bit of each dot in a braille character, by [row][column] from its upper left.
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_EMPTY = 0x2800


def chart(points: Sequence[Point], *, width: int = 60, height: int = 10, unit: str = "") -> list[str]:
    """Return the lines of a chart of (x, y) points, `width` by `height` characters beside its labels.

    Points that are not finite are left out; of many points in one column the lowest and the highest stay visible.
    `unit` stands behind the numbers of the x axis. Without a finite point there is no line.
    """
    finite = sorted((x, y) for x, y in points if math.isfinite(x) and math.isfinite(y))
    if not finite:
        return []
    low, high = min(y for _, y in finite), max(y for _, y in finite)
    spans = _spans(finite, width * 2)
    dots = [_scaled(span, low, high, height * 4) for span in _joined(spans)]
    labels = _labels(low, high, height)
    margin = max(map(len, labels))
    rows = [f"{label:>{margin}} ┤{line}" for label, line in zip(labels, _braille(dots, width, height), strict=True)]
    first, last = f"{finite[0][0]:.6g}{unit}", f"{finite[-1][0]:.6g}{unit}"
    axis = f"{first}{last:>{max(0, width - len(first))}}"
    return [*rows, f"{'':>{margin}} └{'─' * width}", f"{'':>{margin}}  {axis}"]


def _spans(points: Sequence[Point], columns: int) -> list[tuple[float, float] | None]:
    """Return lowest and highest value in each column, None where no point falls."""
    first, last = points[0][0], points[-1][0]
    scale = (columns - 1) / (last - first) if last > first else 0.0
    spans: list[tuple[float, float] | None] = [None] * columns
    for x, y in points:
        column = round((x - first) * scale)
        known = spans[column]
        spans[column] = (y, y) if known is None else (min(known[0], y), max(known[1], y))
    return spans


def _joined(spans: Sequence[tuple[float, float] | None]) -> list[tuple[float, float] | None]:
    """Fill the gaps between columns with a straight line, and let each column reach the middle of the next."""
    filled = list(spans)
    known = [index for index, span in enumerate(spans) if span is not None]
    for left, right in pairwise(known):
        begin, end = _middle(spans[left]), _middle(spans[right])
        for index in range(left + 1, right):
            at = begin + (end - begin) * (index - left) / (right - left)
            filled[index] = (at, at)
    steps = zip(filled, [*filled[1:], None], strict=True)
    return [span if span is None or after is None else _reaching(span, _middle(after)) for span, after in steps]


def _middle(span: tuple[float, float] | None) -> float:
    return 0.0 if span is None else (span[0] + span[1]) / 2


def _reaching(span: tuple[float, float], target: float) -> tuple[float, float]:
    half = (_middle(span) + target) / 2
    return min(span[0], half), max(span[1], half)


def _scaled(span: tuple[float, float] | None, low: float, high: float, rows: int) -> tuple[int, int] | None:
    """Return the dots from top to bottom that a column lights; a flat curve runs through the middle."""
    if span is None:
        return None
    if high == low:
        return rows // 2, rows // 2
    return tuple(round((high - value) / (high - low) * (rows - 1)) for value in reversed(span))  # type: ignore[return-value]


def _braille(dots: Sequence[tuple[int, int] | None], width: int, height: int) -> list[str]:
    cells = [[_EMPTY] * width for _ in range(height)]
    for column, span in enumerate(dots):
        for row in range(span[0], span[1] + 1) if span else ():
            cells[row // 4][column // 2] |= _BITS[row % 4][column % 2]
    return ["".join(map(chr, line)).replace(chr(_EMPTY), " ").rstrip() for line in cells]


def _labels(low: float, high: float, height: int) -> list[str]:
    """Return one label a line: the highest, the middle and the lowest value have one."""
    labels = [""] * height
    for row in {0, height // 2, height - 1}:
        labels[row] = f"{high - (high - low) * row / max(1, height - 1):.4g}"
    return labels
