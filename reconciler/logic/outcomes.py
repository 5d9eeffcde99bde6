"""What comes of an action for its watcher: the effect of one that touches the state alone, and rows of failures.

`advance` uses it for the actions that lead, the engine for those that ran later. Pure.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from reconciler.errors import PermanentActionError
from reconciler.events import Event, EventType
from reconciler.logic.compiled import CompiledAction, CompiledSpec
from reconciler.logic.substitution import render_params
from reconciler.logic.telling import watcher_event
from reconciler.model import MetricPoint, Trigger, Watcher, WatcherState

log = logging.getLogger(__name__)


def apply_state_action(
    action: CompiledAction, watcher: Watcher, trigger: Trigger, values: Mapping[str, str | None]
) -> tuple[Watcher, tuple[MetricPoint, ...], str]:
    """Return the watcher after a state-only action, the metric points it made, and its result for people.

    The last value of a metric is left among the variables, unless a capture has its name. Raises PermanentActionError.
    """
    assert action.kind.state is not None  # noqa: S101 - the caller chose a state-only action
    try:
        effect = action.kind.state.effect(render_params(action.params, values), watcher, trigger)
    except PermanentActionError:
        raise
    except Exception as error:  # logged with its stack: a plugin's bug must not stop the other watchers
        log.exception("action %s of %s", action.type, watcher.name)
        raise PermanentActionError(f"{type(error).__name__}: {error}") from error
    variables = dict(watcher.variables)
    for point in effect.metrics:
        if trigger.match is None or point.name not in trigger.match.captures:
            variables[point.name] = repr(point.value)
    holds = watcher.holds
    if effect.hold is not None:
        holds = (*(hold for hold in holds if hold.kind is not effect.hold.kind), effect.hold)
    return replace(watcher, variables=variables, holds=holds), effect.metrics, effect.result


def count_failure(
    compiled: CompiledSpec, watcher: Watcher, message: str, now: float
) -> tuple[Watcher, tuple[Event, ...]]:
    """Return the watcher after one more failed attempt in a row, disabled where that was the last allowed."""
    watcher = replace(watcher, failures=watcher.failures + 1, last_error=message)
    limit = compiled.spec.max_failures
    if limit is None or watcher.failures < limit or watcher.phase is WatcherState.DISABLED:
        return watcher, ()
    watcher = replace(watcher, phase=WatcherState.DISABLED, timer_active=False)
    event = watcher_event(
        watcher,
        EventType.WATCHER_DISABLED,
        now,
        result=f"{watcher.failures} failures in a row: {message}",
        success=False,
    )
    return watcher, (event,)


def count_success(compiled: CompiledSpec, watcher: Watcher, *, outside: bool) -> Watcher:
    """Return the watcher after an action that succeeded: the row of failures is over. `outside`: it reached outside.

    What touches the state alone nearly always succeeds; it ends no row of failures of what reaches outside.
    """
    if not outside and any(action.kind.state is None for action in compiled.actions):
        return watcher
    return replace(watcher, failures=0)
