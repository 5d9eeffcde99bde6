"""Charts of numbers that nobody hopes for, and of days on which clocks are set."""

from __future__ import annotations

from typing import Any

import pytest
from parts.served import Served
from parts.window import Window, window_on
from playwright.async_api import Browser

LARGEST = 1.7976931348623157e308
#: Draws a chart, goes through it by keyboard; says which attributes have no number, and the labels.
DRAWN = """
async ([points, axis, log]) => {
  const { Chart } = await import("/parts/chart.js");
  const chart = new Chart({ label: "x", axis, log, zoomed: () => {} });
  document.querySelector("main").append(chart.element);
  const wrong = () => [...chart.element.querySelectorAll("*")].flatMap(each =>
    [...each.attributes].filter(({ value }) => /NaN|Infinity|undefined/.test(value)).map(({ name }) => name));
  chart.set([{ name: "n", color: 0, points: points.map(([x, y]) => ({ x, y })) }]);
  const told = wrong();
  for (const key of ["+", "+", "ArrowRight", "-", "End", "0"]) {
    chart.frame.dispatchEvent(new KeyboardEvent("keydown", { key }));
    told.push(...wrong());
  }
  const ticks = chart.element.querySelectorAll("text").length;
  chart.stop();
  chart.element.remove();
  return [told, ticks];
}
"""
#: Draws to zoom while another value comes; says how many ranges are marked then.
GROWN = """
async () => {
  const { Chart } = await import("/parts/chart.js");
  const chart = new Chart({ label: "x", axis: "step", zoomed: () => {} });
  document.querySelector("main").append(chart.element);
  const points = [{ x: 1, y: 1 }, { x: 2, y: 2 }];
  chart.set([{ name: "n", color: 0, points }]);
  chart.frame.setPointerCapture = () => {};
  for (const [kind, clientX] of [["pointerdown", 150], ["pointermove", 300]]) {
    chart.frame.dispatchEvent(new PointerEvent(kind, { clientX, clientY: 50, button: 0 }));
  }
  chart.set([{ name: "n", color: 0, points: [...points, { x: 3, y: 3 }] }]);
  return chart.element.querySelectorAll(".chosen").length;
}
"""
DAYS = """
async ([low, high]) => {
  const { timeTicks, timeLabel } = await import("/parts/scale.js");
  const found = timeTicks([low, high], 10);
  return found.map(at => `${timeLabel(at, 86_400_000)} ${new Date(at).getHours()}`);
}
"""


@pytest.mark.parametrize(
    ("points", "axis", "log"),
    [
        ([[5, 1]], "step", False),
        ([[1.7e18, 1]], "step", False),
        ([[1e16, 1], [1e16 + 2, 2]], "step", False),
        ([[1, LARGEST], [2, 0.5]], "step", False),
        ([[1, LARGEST], [2, -LARGEST]], "step", False),
        ([[1, LARGEST], [2, LARGEST]], "step", False),
        ([[1, 5e-324], [2, LARGEST]], "step", True),
        ([[1, -1], [2, 0]], "step", True),
        ([[1, None], [2, None]], "step", False),
        ([[1.79e12, 2]], "time", False),
        ([], "step", False),
    ],
)
async def test_whatever_the_numbers_are_a_chart_is_drawn(window: Window, points: Any, axis: str, log: bool) -> None:
    await window.go("/hosts")
    wrong, ticks = await window.page.evaluate(DRAWN, [points, axis, log])
    assert wrong == []
    assert 2 <= ticks <= 30


@pytest.mark.parametrize("change", [1792893600_000, 1774738800_000], ids=["to winter", "to summer"])
async def test_days_are_told_at_their_beginning_where_clocks_are_set_between_them(
    served: Served, chromium: Browser, change: int
) -> None:
    async with window_on(served, chromium, timezone_id="Europe/Berlin") as window:
        await window.sign_in(to="/hosts")
        day = 86_400_000
        found = await window.page.evaluate(DAYS, [change - 5 * day, change + 5 * day])
        assert len(set(found)) == len(found) >= 9
        assert {each.split()[-1] for each in found} == {"0"}


async def test_the_range_that_is_being_drawn_stays_marked_when_numbers_come(window: Window) -> None:
    await window.go("/hosts")
    assert await window.page.evaluate(GROWN) == 1
