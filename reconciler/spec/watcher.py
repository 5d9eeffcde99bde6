"""What a user writes: one watcher, as frozen pydantic models. The shape is the contract; every field is documented by it.

Nothing here reads files (see `load`) or knows which action types exist (`app` joins the plugins' specs; see `actions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, StringConstraints

from reconciler.model import JobState
from reconciler.settings import Duration, HostNameText

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Condition = Annotated[str, StringConstraints(min_length=1, max_length=500)]
CaptureName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
JobIdText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
NameText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Preset = Literal["oom", "nan", "nccl", "time_limit", "node_fail", "traceback", "disk_full", "segfault"]


def _listed(value: object) -> object:
    """Let one value stand for a list of one."""
    return (value,) if isinstance(value, (str, int)) else value


Globs = Annotated[tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str])]


class SpecModel(BaseModel):
    """The base of everything users write: frozen, unknown keys are errors, no conversion of numbers to strings or back."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)


class Mode(StrEnum):
    """Whether actions with an outside effect run."""

    ACT = "act"
    OBSERVE = "observe"


class OutputType(StrEnum):
    """Which streams are read. Where both are one file, each line counts once."""

    STDOUT = "stdout"
    STDERR = "stderr"
    BOTH = "both"


class StartAt(StrEnum):
    """Where a watcher starts on a stream that has content already."""

    BEGINNING = "beginning"
    END = "end"


class JobSelector(SpecModel):
    """Which jobs. All given fields must hold; within a list, one must. Globs as in `fnmatch`, case-sensitive."""

    hosts: Annotated[tuple[HostNameText, ...], BeforeValidator(_listed)] = ()
    name: Globs = ()
    user: Globs = ()
    partition: Globs = ()
    account: Globs = ()
    qos: Globs = ()
    ids: Annotated[tuple[JobIdText, ...], BeforeValidator(_listed)] = ()


class AnyPatterns(SpecModel):
    """Each of these patterns triggers by itself."""

    any: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=100)]


class AllPatterns(SpecModel):
    """Triggers when every one of these has been seen, within `within` of each other where that is given."""

    all: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=100)]
    within: Duration | None = None


class Suspend(SpecModel):
    """A declared suspension: who reads the file sees why, and until when."""

    reason: str = ""
    until: datetime | date | None = None


class ActionSpec(SpecModel):
    """What every action has; a plugin's spec adds `type: Literal[...]` and `params`."""

    type: str
    condition: Condition | None = Field(None, description="false: this action alone is skipped")
    needs: tuple[Annotated[int, Field(ge=0)], ...] = Field((), description="only after these (0 is the first) succeeded")
    on_failure: tuple[Annotated[int, Field(ge=0)], ...] = Field((), description="only after one of these failed")
    params: SpecModel | Mapping[str, Any] = Field(default_factory=dict)


class WatcherSpec(SpecModel):
    """One watcher: when a line like this appears in the output of a job like that, do this."""

    name: NameText
    description: str = ""
    mode: Mode = Mode.ACT
    jobs: JobSelector = JobSelector()
    pattern: Pattern | None = None
    patterns: AnyPatterns | AllPatterns | None = None
    preset: Preset | None = None
    captures: tuple[CaptureName, ...] = ()
    condition: Condition | None = None
    output_type: OutputType = OutputType.STDOUT
    interval_seconds: Annotated[float, Field(ge=1, le=86400)] = 60
    max_triggers: Annotated[int, Field(ge=1)] | None = None
    max_failures: Annotated[int, Field(ge=1)] | None = None
    timer_mode_enabled: bool = False
    timer_interval_seconds: Annotated[float, Field(ge=1, le=30 * 86400)] = 30
    trigger_on_job_end: bool = False
    trigger_job_states: Annotated[tuple[str, ...], BeforeValidator(_listed)] = (
        JobState.COMPLETED.value,
        JobState.FAILED.value,
        JobState.TIMEOUT.value,
    )
    silence: Duration | None = None
    time_left: Duration | None = None
    start_at: StartAt = StartAt.BEGINNING
    ignore_pattern_echo: bool = True
    renamed_from: NameText | None = None
    every_nth_line: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    multiline: Annotated[int, Field(ge=1, le=50)] = 1
    cooldown: Duration = 0
    labels: Mapping[str, str] = Field(default_factory=dict)
    suspend: Suspend | bool = False
    prune: Literal["auto", "disabled"] = "auto"
    actions: Annotated[tuple[SerializeAsAny[ActionSpec], ...], Field(min_length=1, max_length=50)]

    def expressions(self) -> tuple[str, ...]:
        """Return the pattern texts in the order of their index (a preset's are filled in by `spec.presets`)."""
        if self.pattern is not None:
            return (self.pattern,)
        if isinstance(self.patterns, AnyPatterns):
            return self.patterns.any
        if isinstance(self.patterns, AllPatterns):
            return self.patterns.all
        return ()
