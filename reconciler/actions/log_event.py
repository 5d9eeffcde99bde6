"""log_event: writes a message into the record of events. Touches the state alone; anything text can say is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from reconciler.actions._rendered import read
from reconciler.model import Trigger, Watcher
from reconciler.protocols import ActionTraits, Limit, StateEffect
from reconciler.registry import Plugin
from reconciler.spec.watcher import ActionSpec, SpecModel

MESSAGE_CHARACTERS = 10_000


class LogEventParams(SpecModel):
    """What is said, and how loud."""

    message: Annotated[str, Field(description="text; `$name` is replaced")]
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="any but `info` stands before the message, as in `warning: ...`"
    )


class LogEventSpec(ActionSpec):
    """Write a message into the events."""

    type: Literal["log_event"]
    params: LogEventParams


class LogEvent:
    """The event of its success carries the message as `action_result`."""

    def effect(self, params: Mapping[str, Any], watcher: Watcher, trigger: Trigger) -> StateEffect:
        """Return the message, cut at `MESSAGE_CHARACTERS`, as the result."""
        wanted = read(LogEventParams, params)
        message = wanted.message if wanted.level == "info" else f"{wanted.level}: {wanted.message}"
        return StateEffect(message[:MESSAGE_CHARACTERS])


def make(section: BaseModel | None, channels: Mapping[str, Any]) -> LogEvent:
    """Return the action."""
    return LogEvent()


PLUGIN = Plugin("log_event", LogEventSpec, make, traits=ActionTraits(outside=False, limit=Limit.NONE))
