"""What a user writes: one watcher, as frozen pydantic models. The shape is the contract.

Nothing here reads files (see `load`) or knows which action types exist (`union` joins the plugins' specs).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializeAsAny,
    StringConstraints,
    Tag,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from reconciler.model import JobState
from reconciler.settings import Duration, HostNameText
from reconciler.spec.moments import MomentOrDay
from reconciler.spec.presets import PRESETS
from reconciler.spec.rules import broken
from reconciler.spec.texts import compiles, job_state, listed, printable, union_kind, whole_job

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(compiles)]
Condition = Annotated[str, StringConstraints(min_length=1, max_length=500)]
CaptureName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
JobIdText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"), BeforeValidator(whole_job)]
NameText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(printable)
]
JobStateText = Annotated[str, AfterValidator(job_state)]
Preset = Literal["oom", "nan", "nccl", "time_limit", "node_fail", "traceback", "disk_full", "segfault"]

Globs = Annotated[tuple[str, ...], BeforeValidator(listed, json_schema_input_type=str | list[str])]


class SpecModel(BaseModel):
    """The base of everything users write: frozen, unknown keys are errors. From files, no text becomes a number."""

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

    hosts: Annotated[
        tuple[HostNameText, ...], BeforeValidator(listed, json_schema_input_type=HostNameText | list[HostNameText])
    ] = Field((), description="hosts; narrows what the settings allow, never widens it")
    name: Globs = Field((), description='globs over the job name: "train-*"')
    user: Globs = Field((), description="globs over the user; narrows what the settings allow")
    partition: Globs = Field((), description="globs over the partition")
    account: Globs = Field((), description="globs over the account")
    qos: Globs = Field((), description="globs over the quality of service")
    ids: Annotated[
        tuple[JobIdText, ...], BeforeValidator(listed, json_schema_input_type=JobIdText | list[JobIdText])
    ] = Field(
        (),
        description='job ids, always in quotes: "124_7" is one task of an array, "124" all of them, '
        "or all parts of a heterogeneous job",
    )


class AnyPatterns(SpecModel):
    """Each of these patterns triggers by itself."""

    any: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=100)] = Field(
        description="patterns; one is enough"
    )


class AllPatterns(SpecModel):
    """Triggers when every one of these has been seen, within `within` of each other where that is given.

    Named captures of all of them are there; `$0` and numbered ones are those of the match that completes the set.
    """

    all: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=100)] = Field(
        description="patterns; all are needed"
    )
    within: Annotated[Duration, Field(gt=0)] | None = Field(
        None, description="only if all are seen within so long of each other"
    )


class Suspend(SpecModel):
    """A declared suspension: who reads the file sees why, and until when."""

    reason: str = Field("", description="shown by status")
    until: MomentOrDay | None = Field(
        None, description="2026-12-01 or 2026-12-01T18:00:00Z; left out: until the key goes"
    )


class ActionSpec(SpecModel):
    """What every action has; a plugin's spec adds `type: Literal[...]` and `params`."""

    type: str = Field(description="what to do")
    condition: Condition | None = Field(None, description="false: this action alone is skipped")
    needs: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), description="only after these (0 is the first) succeeded"
    )
    on_failure: tuple[Annotated[int, Field(ge=0)], ...] = Field((), description="only after one of these failed")
    params: SpecModel | Mapping[str, Any] = Field(default_factory=dict, description="what the action needs to know")


_Patterns = Annotated[
    Annotated[AnyPatterns, Tag("AnyPatterns")] | Annotated[AllPatterns, Tag("AllPatterns")],
    Discriminator(union_kind("AnyPatterns", "AnyPatterns", all="AllPatterns")),
]
_Suspend = Annotated[
    Annotated[Suspend, Tag("Suspend")] | Annotated[bool, Tag("bool")],
    Discriminator(union_kind("bool", "Suspend", reason="Suspend")),
]


class WatcherSpec(SpecModel):
    """One watcher: when a line like this appears in the output of a job like that, do this."""

    name: NameText = Field(description="unique over the directory")
    description: str = Field("", description="for people")
    mode: Mode = Field(
        Mode.ACT, description="observe: everything but the outside effects, which are recorded as would_run"
    )
    jobs: JobSelector = Field(
        JobSelector(), description="which jobs; left out: every job of the configured users on every configured host"
    )
    pattern: Pattern | None = Field(
        None, description="regular expression in the syntax of Python's re, searched in each line"
    )
    patterns: _Patterns | None = Field(None, description="several patterns: {any: [...]} or {all: [...], within: 5m}")
    preset: Preset | None = Field(None, description="a ready-made pack of patterns")
    captures: tuple[CaptureName, ...] = Field((), description="names for groups 1..N; (?P<name>...) works too")
    condition: Condition | None = Field(
        None, description="expression over the captures; false: the match does not trigger"
    )
    output_type: OutputType = Field(OutputType.STDOUT, description="which output is read")
    interval_seconds: Annotated[float, Field(ge=1, le=86400)] = Field(
        60, description="regular wait between two looks; up to 5x while nothing matches"
    )
    max_triggers: Annotated[int, Field(ge=1)] | None = Field(None, description="stop acting after so many triggers")
    max_failures: Annotated[int, Field(ge=1)] | None = Field(
        None, description="disabled after so many failed actions in a row"
    )
    timer_mode_enabled: bool = Field(
        False, description="after the first match: act every timer_interval_seconds with its captures, and read no more"
    )
    timer_interval_seconds: Annotated[float, Field(ge=1, le=30 * 86400)] = Field(
        30, description="interval of timer mode"
    )
    trigger_on_job_end: bool = Field(False, description="act once when the job has ended in one of trigger_job_states")
    trigger_job_states: Annotated[
        tuple[JobStateText, ...],
        BeforeValidator(listed, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)]),
        Field(min_length=1),
    ] = Field(
        (JobState.COMPLETED.value, JobState.FAILED.value, JobState.TIMEOUT.value),
        description="end states that count for trigger_on_job_end; SLURM's finer words too: out_of_memory, ...",
    )
    silence: Annotated[Duration, Field(gt=0)] | None = Field(
        None, description="act once when a running job's output has not grown for so long; armed again by growth"
    )
    time_left: Annotated[Duration, Field(gt=0)] | None = Field(
        None, description="act once when so little of the job's time limit is left"
    )
    start_at: StartAt = Field(StartAt.BEGINNING, description="where to start on a job that runs already")
    ignore_pattern_echo: bool = Field(
        True, description="a script line that shows the pattern itself, echoed by the shell, is no match"
    )
    renamed_from: NameText | None = Field(None, description="the name it had before: position and counters are kept")
    every_nth_line: Annotated[int, Field(ge=1, le=1_000_000)] = Field(1, description="look at every Nth line only")
    multiline: Annotated[int, Field(ge=1, le=50)] = Field(1, description="window of lines that the pattern may span")
    cooldown: Duration = Field(0, description="after a trigger, what matches for so long does not trigger")
    labels: Mapping[str, str] = Field(default_factory=dict, description="for people and for selecting: {team: vision}")
    suspend: _Suspend = Field(False, description="hold it still: true, or {reason: ..., until: 2026-12-01}")
    prune: Literal["auto", "disabled"] = Field("auto", description="disabled: keep it running when its file vanishes")
    actions: Annotated[tuple[SerializeAsAny[ActionSpec], ...], Field(min_length=1, max_length=50)] = Field(
        description="what to do, in this order"
    )

    @model_validator(mode="after")
    def _rules(self, info: ValidationInfo) -> WatcherSpec:
        """Hold the rules over several fields, unless the caller reports them itself, with their places (see `load`)."""
        fault = None if info.context else next(broken(vars(self)), None)
        if fault is not None:
            raise PydanticCustomError(
                "broken-rule", "{why}; {remedy}", {"why": fault.message, "code": fault.code, "remedy": fault.remedy}
            )
        return self

    def expressions(self) -> tuple[str, ...]:
        """Return the pattern texts in the order of their index."""
        if self.pattern is not None:
            return (self.pattern,)
        if isinstance(self.patterns, AnyPatterns):
            return self.patterns.any
        if isinstance(self.patterns, AllPatterns):
            return self.patterns.all
        return PRESETS[self.preset].patterns if self.preset is not None else ()
