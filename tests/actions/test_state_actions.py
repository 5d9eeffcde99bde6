"""log_event, store_metric and pause_watcher: what they write into the state."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from parts.acting import a_trigger, a_watcher
from pydantic import ValidationError

from reconciler.actions import log_event, pause_watcher, store_metric
from reconciler.errors import PermanentActionError
from reconciler.model import Hold, HoldKind, MetricPoint
from reconciler.protocols import Limit, StateEffect


def effect_of(module: Any, params: dict[str, Any]) -> StateEffect:
    found = module.make(None, {}).effect(params, a_watcher(), a_trigger())
    assert isinstance(found, StateEffect)
    return found


def test_log_event_says_its_message() -> None:
    assert effect_of(log_event, {"message": "Epoch 3: loss=0.5"}).result == "Epoch 3: loss=0.5"


def test_log_event_puts_a_level_other_than_info_in_front() -> None:
    assert effect_of(log_event, {"message": "hot", "level": "warning"}).result == "warning: hot"
    with pytest.raises(ValidationError):
        log_event.LogEventParams(message="x", level="loud")


def test_log_event_cuts_what_a_capture_made_too_long() -> None:
    assert len(effect_of(log_event, {"message": "x" * 50_000}).result) == log_event.MESSAGE_CHARACTERS


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5.73", 5.73),
        (" 1e-3 ", 0.001),
        ("-.5", -0.5),
        ("+7.", 7.0),
        ("007", 7.0),
        (3, 3.0),
        (0.25, 0.25),
        ("1E+2", 100.0),
    ],
)
def test_store_metric_stores_a_number_with_the_time_it_was_observed(written: str | float, value: float) -> None:
    effect = effect_of(store_metric, {"name": "loss", "value": written})
    watcher = a_watcher()
    assert effect.metrics == (MetricPoint(watcher.id, watcher.job, "loss", value, 2000.0),)
    assert effect.result == f"loss = {value:g}"


def test_store_metric_keeps_the_step() -> None:
    effect = effect_of(store_metric, {"name": "loss", "value": "0.5", "step": "1200"})
    assert effect.metrics[0].step == 1200.0
    assert effect.result == "loss = 0.5 at step 1200"


@pytest.mark.parametrize(
    "written",
    ["nan", "inf", "-Infinity", "1e999", "", "abc", "$loss", "1_000", "1,5", "0x10", "٣", "5 MB", "1e", float("inf")],
)
def test_store_metric_refuses_what_is_no_finite_number(written: str | float) -> None:
    with pytest.raises(PermanentActionError, match="not a finite number"):
        effect_of(store_metric, {"name": "loss", "value": written})
    if written != "":
        with pytest.raises(PermanentActionError, match="step"):
            effect_of(store_metric, {"name": "loss", "value": 1, "step": written})


def test_a_step_of_a_group_that_took_no_part_is_no_step() -> None:
    effect = effect_of(store_metric, {"name": "loss", "value": "0.5", "step": ""})
    assert effect.metrics[0].step is None


def test_store_metric_needs_a_name_after_rendering_too() -> None:
    with pytest.raises(PermanentActionError, match="name"):
        effect_of(store_metric, {"name": "", "value": 1})


def test_pause_watcher_holds_until_somebody_lifts_it() -> None:
    effect = effect_of(pause_watcher, {"reason": "95% reached"})
    assert effect.hold == Hold(HoldKind.SELF, "watcher Watch", "95% reached", 2000.0, None)
    assert effect.result == "paused: 95% reached"


@pytest.mark.parametrize(
    ("params", "until"),
    [
        ({"for": "30m"}, 3800.0),
        ({"for": 60}, 2060.0),
        ({"for_": 60.0}, 2060.0),  # as the spec is dumped by field name
        ({"until": "2026-12-01"}, 1_796_083_200.0),
        ({"until": date(2026, 12, 1)}, 1_796_083_200.0),
        ({"until": "2026-12-01T01:00:00+01:00"}, 1_796_083_200.0),
        ({"until": "2026-12-01T00:00:00"}, 1_796_083_200.0),
    ],
)
def test_pause_watcher_ends_when_it_says(params: dict[str, Any], until: float) -> None:
    hold = effect_of(pause_watcher, params).hold
    assert hold is not None
    assert hold.until == until


def test_pause_watcher_takes_one_end() -> None:
    with pytest.raises(ValidationError, match="not both"):
        pause_watcher.PauseWatcherParams.model_validate({"for": "1h", "until": "2026-12-01"})


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "9500-01-01"])
def test_pause_watcher_takes_no_end_that_no_calendar_has(until: str) -> None:
    with pytest.raises(ValidationError, match="beyond the year 9000"):
        pause_watcher.PauseWatcherParams.model_validate({"until": until})


def test_pause_watcher_needs_no_params() -> None:
    assert pause_watcher.PauseWatcherSpec(type="pause_watcher").params == pause_watcher.PauseWatcherParams()
    assert effect_of(pause_watcher, {}).result == "paused"


@pytest.mark.parametrize("module", [log_event, store_metric, pause_watcher])
def test_what_touches_the_state_alone_is_not_limited(module: Any) -> None:
    assert not module.PLUGIN.traits.outside
    assert module.PLUGIN.traits.limit is Limit.NONE
