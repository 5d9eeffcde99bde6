"""What a trigger can do, and how the engine treats each kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from reconciler.errors import ActionError
from reconciler.model import Hold, Job, MetricPoint, Trigger, Watcher
from reconciler.protocols.schedulers import Scheduler
from reconciler.protocols.transports import Transport


class Limit(StrEnum):
    """How the limit of actions a minute meets an action."""

    NONE = "none"  # touches the state alone, not counted
    DROP = "drop"  # what is over the limit is dropped and reported as rate_limited
    DEFER = "defer"  # what is over the limit waits


class AfterCrash(StrEnum):
    """What happens to an action that was begun and has no outcome, after it was reported as interrupted."""

    RERUN = "rerun"  # doing it twice is doing it once (cancel_job)
    RERUN_MARKED = "rerun_marked"  # sent again, saying that it may be a repeat (notifications)
    LOOK_FIRST = "look_first"  # the action looks for its own mark before it acts (resubmit)
    ASK_SPEC = "ask_spec"  # only where its params declare `idempotent: true` (run_command)
    REPORT = "report"  # never


@dataclass(frozen=True, slots=True)
class ActionTraits:
    """How the engine treats an action type.

    `outside`: it has an effect outside the state. `digest`: what goes to one address at once may go as one message; the
    action is a `Digested`.
    """

    outside: bool = True
    limit: Limit = Limit.DEFER
    after_crash: AfterCrash = AfterCrash.REPORT
    retry: bool = False
    digest: bool = False


@dataclass(frozen=True, slots=True)
class StateEffect:
    """What a state-only action does; written in the transaction of its tick. `result` is text for people."""

    result: str
    metrics: tuple[MetricPoint, ...] = ()
    hold: Hold | None = None


class StateAction(Protocol):
    """An action that touches the state alone: pure."""

    def effect(self, params: Mapping[str, Any], watcher: Watcher, trigger: Trigger) -> StateEffect:
        """Return what to write; `params` are rendered. Raises PermanentActionError (value is no number, ...)."""
        ...


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What an action with an outside effect gets.

    `params` are rendered (every `$name` replaced), `template` the params as written, `values` what there was to
    replace with: an action that must keep captured text apart from trusted text (run_command) renders for itself.
    `mark` is unique to this action of this trigger, over crashes and retries. `repeat`: an earlier attempt was
    interrupted, so this may be a repeat. `progress`: what the last TemporaryActionError of this action that told of any
    said to be done already.
    """

    watcher: Watcher
    job: Job
    trigger: Trigger
    params: Mapping[str, Any]
    template: Mapping[str, Any]
    values: Mapping[str, str | None]
    transport: Transport
    scheduler: Scheduler
    mark: str
    repeat: bool = False
    progress: Mapping[str, Any] | None = None
    tail: Callable[[int], Awaitable[str]] | None = None  # the last N lines of the watched output


class OutsideAction(Protocol):
    """An action with an effect outside the state."""

    async def run(self, context: ActionContext) -> str:
        """Do it and return what was done, for people. Raises TemporaryActionError, PermanentActionError,
        UnavailableError."""
        ...


@dataclass(frozen=True, slots=True)
class Together:
    """What one message came to: it stands for the first `taken` of those offered. `result` is text for people.

    `error`: it went out, and not to everybody: what `run` would raise, for those taken; the rest has its turn.
    """

    taken: int
    result: str
    error: ActionError | None = None


@runtime_checkable
class Digested(OutsideAction, Protocol):
    """An action whose messages to one address can go as one."""

    def address(self, context: ActionContext) -> str:
        """Return where it goes to, in a word that is the same for all that may share a message, and no secret.

        Raises PermanentActionError.
        """
        ...

    async def run_together(self, contexts: Sequence[ActionContext]) -> Together:
        """Send one message of bounded length that lists these, at least the first. Raises as `run`."""
        ...
