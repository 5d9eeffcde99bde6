"""Every error of the house, and the policy each one carries by its type.

Nothing anywhere decides by a message's text. Foreign exceptions are translated at the edge where they arise, `raise
... from`.

    ReconcilerError
    ├── ConfigurationError      what a person wrote is wrong: settings or watchers   (exit 4)
    │   └── SpecError           carries Problems, each with file, line, column and remedy
    ├── ConditionError          a condition is not allowed, or its values do not fit it
    ├── UsageError              a command was called wrongly                        (exit 64)
    ├── RefusedError            a safety rule or a policy says no                   (exit 5)
    │   ├── UnsafePlanError     the plan would stop or bind too much
    │   └── StalePlanError      the plan is no longer true
    ├── StateHeldError          another reconciler holds the state                  (exit 6)
    │   └── LeaseLostError      it took the state over while this one was working
    ├── StateError              the state cannot be read or written                 (exit 1)
    ├── UnavailableError        not knowing: a host, scheduler or file system does not answer (exit 7)
    │   ├── HostUnreachableError
    │   ├── SchedulerUnavailableError
    │   │   └── AccountingUnavailableError   its record of the past does not; carries what is known without it
    │   └── InMotionError           a source is being changed at this moment; look again
    └── ActionError             an action did not do what it should
        ├── TemporaryActionError    try again, after `delay` seconds
        └── PermanentActionError    trying again would not help
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What a command's exit status says; the table of the README."""

    OK = 0
    ERROR = 1
    CHANGES_PENDING = 2
    DRIFT_PENDING = 3
    INVALID = 4
    REFUSED = 5
    STATE_HELD = 6
    PARTIAL = 7
    USAGE = 64


#: Where several exit codes hold, the first of these is given.
EXIT_PRECEDENCE = (
    ExitCode.USAGE,
    ExitCode.STATE_HELD,
    ExitCode.REFUSED,
    ExitCode.INVALID,
    ExitCode.ERROR,
    ExitCode.PARTIAL,
    ExitCode.DRIFT_PENDING,
    ExitCode.CHANGES_PENDING,
    ExitCode.OK,
)


def worst(codes: Sequence[ExitCode]) -> ExitCode:
    """Return the exit code that stands first in `EXIT_PRECEDENCE` among `codes` (none: OK)."""
    return min(codes, key=EXIT_PRECEDENCE.index, default=ExitCode.OK)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file that a person wrote.

    `line` and `column` start at 1; 0 means that the whole file is meant. `code` is stable and documented. `value` is
    the offending value as written, cut short. `remedy` says what to do. `field` is what is meant, as dotted path
    (`actions[0].params.message`), empty where it is no one field.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    remedy: str
    value: str = ""
    watcher: str = ""
    severity: str = "error"
    field: str = dataclasses.field(default="", compare=False)

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return f"{place}: {self.severity}[{self.code}] {self.message} ({self.remedy})"


class ReconcilerError(Exception):
    """The root: `exit_code` is what a command ends with when this reaches its top; `remedy` says what to do."""

    exit_code = ExitCode.ERROR

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class ConfigurationError(ReconcilerError):
    """Settings or watchers that cannot be used as they are written."""

    exit_code = ExitCode.INVALID


class SpecError(ConfigurationError):
    """One or more `Problem`s in a file, all of them at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class ConditionError(ReconcilerError):
    """A condition that is not allowed as written, or that the values of a match do not fit."""

    exit_code = ExitCode.INVALID


class UsageError(ReconcilerError):
    """A command was called with words that do not fit."""

    exit_code = ExitCode.USAGE


class RefusedError(ReconcilerError):
    """A safety rule or a policy forbids what was asked."""

    exit_code = ExitCode.REFUSED


class UnsafePlanError(RefusedError):
    """A plan that would stop, or bind, more than may happen without an explicit yes."""


class StalePlanError(RefusedError):
    """A saved plan whose premises no longer hold."""


class StateHeldError(ReconcilerError):
    """Another reconciler holds the lease of the state."""

    exit_code = ExitCode.STATE_HELD


class LeaseLostError(StateHeldError):
    """Another reconciler took the lease over: nothing more may be written."""


class StateError(ReconcilerError):
    """The state database cannot be opened, read or written (disk full, permission, locked for too long)."""


class UnavailableError(ReconcilerError):
    """Nobody answered. Not knowing is not the same as gone: desired state and watchers stay as they are."""

    exit_code = ExitCode.PARTIAL


class HostUnreachableError(UnavailableError):
    """A host cannot be reached, or the connection to it broke."""


class SchedulerUnavailableError(UnavailableError):
    """The host answers, its scheduler does not."""


class AccountingUnavailableError(SchedulerUnavailableError):
    """The scheduler answers, its record of jobs that it has forgotten does not.

    `listed`: the jobs that the scheduler itself told, of those that were asked for.
    """

    listed: tuple[Any, ...] = ()


class InMotionError(UnavailableError):
    """A source is being written at this moment (a git operation, an editor): look again soon."""


class ActionError(ReconcilerError):
    """An action did not do what it should; use one of the two below."""


class TemporaryActionError(ActionError):
    """Worth trying again after `delay` seconds (None: the dispatcher's own backoff).

    `progress`: what was done all the same, as JSON, for the next try to go on from (None: nothing new).
    """

    def __init__(
        self,
        message: str,
        *,
        delay: float | None = None,
        remedy: str = "",
        progress: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.delay = delay
        self.progress = progress


class PermanentActionError(ActionError):
    """Trying again would not help; `refused` where a policy, not the world, said no."""

    def __init__(self, message: str, *, refused: bool = False, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.refused = refused
