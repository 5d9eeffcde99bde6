"""store_metric: one number of one metric of the job, with the time it was observed. Touches the state alone.

Only finite decimal numbers are stored: JSON and SQL have no word for NaN or infinity, and a chart no place for them.
Text that is no such number fails for good, because the same line would say the same again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from reconciler.actions._rendered import read
from reconciler.errors import PermanentActionError
from reconciler.model import MetricPoint, Trigger, Watcher
from reconciler.protocols import ActionTraits, Limit, StateEffect
from reconciler.registry import Plugin
from reconciler.spec.watcher import ActionSpec, SpecModel

#: Narrower than `float()`, which also takes `1_0`, `infinity` and digits of other scripts.
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class StoreMetricParams(SpecModel):
    """Which metric, and its value."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="name of the metric; `$name` is replaced")]
    value: Annotated[str | float, Field(description="a number, or text that `$name` makes one: `$loss`")]
    step: Annotated[
        str | float | None, Field(description="position on the x axis, `$step`; without it the time serves")
    ] = None


class StoreMetricSpec(ActionSpec):
    """Store a number that was found in the output."""

    type: Literal["store_metric"]
    params: StoreMetricParams


class StoreMetric:
    """Makes the point; the engine writes it in the transaction of the tick."""

    def effect(self, params: Mapping[str, Any], watcher: Watcher, trigger: Trigger) -> StateEffect:
        """Return one MetricPoint, observed at `trigger.at`; PermanentActionError where value or step is no number."""
        wanted = read(StoreMetricParams, params)
        step = None if wanted.step in (None, "") else _number("step", wanted.step)  # a group that took no part is empty
        value = _number("value", wanted.value)
        point = MetricPoint(watcher.id, watcher.job, wanted.name, value, trigger.at, step)
        at = "" if step is None else f" at step {step:g}"
        return StateEffect(f"{wanted.name} = {value:g}{at}", metrics=(point,))


def _number(field: str, written: str | float) -> float:
    text = written.strip() if isinstance(written, str) else repr(written)
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise PermanentActionError(
            f"{field} is not a finite number: {text[:80]!r}",
            remedy="capture the digits alone, or add a condition that is false for such a line",
        )
    return number


def make(section: BaseModel | None, channels: Mapping[str, Any]) -> StoreMetric:
    """Return the action."""
    return StoreMetric()


PLUGIN = Plugin("store_metric", StoreMetricSpec, make, traits=ActionTraits(outside=False, limit=Limit.NONE))
