"""pause_watcher: the watcher holds itself still, for good or for a while. Touches the state alone.

The hold is the watcher's own (`HoldKind.SELF`), which is no drift; `reconcile resume` lifts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reconciler.actions._rendered import read
from reconciler.model import Hold, HoldKind, Trigger, Watcher
from reconciler.protocols import ActionTraits, Limit, StateEffect
from reconciler.registry import Plugin
from reconciler.settings import Duration
from reconciler.spec.moments import MomentOrDay, as_moment, epoch
from reconciler.spec.watcher import ActionSpec, SpecModel


class PauseWatcherParams(SpecModel):
    """Why, and how long; with neither `for` nor `until`: until somebody resumes it."""

    model_config = ConfigDict(populate_by_name=True)

    reason: Annotated[str, Field(description="shown by status; `$name` is replaced")] = ""
    for_: Annotated[Duration | None, Field(alias="for", description="duration from the match on: `30m`")] = None
    until: Annotated[MomentOrDay | None, Field(description="moment (UTC where it names no zone) or day")] = None

    @model_validator(mode="after")
    def _one_end(self) -> PauseWatcherParams:
        if self.for_ is not None and self.until is not None:
            raise ValueError("give `for` or `until`, not both")
        return self

    def end(self, start: float) -> float | None:
        """Return when the pause ends, in seconds since the epoch; None: when somebody lifts it."""
        if self.for_ is not None:
            return start + self.for_
        return None if self.until is None else epoch(self.until)


class PauseWatcherSpec(ActionSpec):
    """Hold this watcher still."""

    type: Literal["pause_watcher"]
    params: PauseWatcherParams = PauseWatcherParams()


class PauseWatcher:
    """Makes the hold; nothing behind the line that paused the watcher triggers."""

    def effect(self, params: Mapping[str, Any], watcher: Watcher, trigger: Trigger) -> StateEffect:
        """Return a Hold of kind SELF that begins at `trigger.at`."""
        wanted = read(PauseWatcherParams, params)
        end = wanted.end(trigger.at)
        until = "" if end is None else f" until {as_moment(end).isoformat()}"
        hold = Hold(HoldKind.SELF, f"watcher {watcher.name}", wanted.reason, trigger.at, end)
        return StateEffect(f"paused{until}" + (f": {wanted.reason}" if wanted.reason else ""), hold=hold)


def make(section: BaseModel | None, channels: Mapping[str, Any]) -> PauseWatcher:
    """Return the action."""
    return PauseWatcher()


PLUGIN = Plugin("pause_watcher", PauseWatcherSpec, make, traits=ActionTraits(outside=False, limit=Limit.NONE))
