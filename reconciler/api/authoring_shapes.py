"""What answers for people who write watchers look like: action types, drafts, counts of jobs, templates."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from reconciler.api.refusals import Flaw
from reconciler.api.shapes import Answer, IdNumber
from reconciler.model import JobState
from reconciler.spec.watcher import JobSelector

#: A template's file name without its suffix.
TemplateId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,119}$")]
Category = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,40}$", strip_whitespace=True)
]
Tag = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029,]{1,40}$", strip_whitespace=True)]


class ActionTypeShape(Answer):
    """One action type that is installed."""

    type: str
    description: str
    category: str
    outside: bool = Field(description="it acts on jobs, programs or people; false: on the state alone")
    allowed: bool = Field(description="a watcher that this key writes may have it")
    why: str = Field(description="who does not allow it")
    params: dict[str, Any] = Field(description="JSON Schema of its params")


class NamedShape(Answer):
    """A word, and what it stands for."""

    name: str
    description: str


class PresetShape(Answer):
    """A ready-made pack of patterns."""

    name: str
    description: str
    groups: list[str]


class Vocabulary(Answer):
    """What a watcher can be made of, here and with this key."""

    actions: list[ActionTypeShape]
    variables: list[NamedShape] = Field(description="names that every text of an action may use")
    presets: list[PresetShape]
    max_new_bindings: int = Field(description="a dangerous action on more jobs than this waits for approval")


class SelectorBody(BaseModel):
    """Which jobs, as `jobs` of a watcher says it."""

    model_config = ConfigDict(extra="forbid")

    jobs: JobSelector = JobSelector()


class FittingJob(Answer):
    """A job that the selector meets."""

    job_id: str
    hostname: str
    name: str
    state: JobState


class SelectorTested(Answer):
    """Which of the known jobs a selector meets; no scheduler is asked."""

    count: int = Field(description="jobs that have not ended")
    ended: int = Field(description="jobs that have ended; they are watched where `ids` names them")
    known: int = Field(description="jobs that are known and have not ended")
    jobs: list[FittingJob] = Field(description="the newest of them, those that have not ended first; 20 at most")


class Draft(Answer):
    """The file that a request would write, and what is wrong with it. Nothing was written."""

    yaml: str = Field(description="exactly what would stand in the file")
    file: str = Field(description="its path")
    name: str = Field(description="of the watcher; other than asked for where that is another job's")
    spec: dict[str, Any] = Field(description="the watcher as plain values; empty where it is not valid")
    valid: bool
    errors: list[Flaw]
    warnings: list[Flaw]
    writable: bool = Field(description="the API may write that file; false: another layer owns it")
    patch: str = Field(description="what would change, for `git apply`; empty: nothing, or no old text is at hand")


class TemplateShape(Answer):
    """A ready-made watcher to begin with: one file of a folder `templates`."""

    id: str
    name: str
    description: str
    category: str
    tags: list[str]
    pattern: str = Field(description="what it looks for, in one text")
    actions: list[str] = Field(description="types of its actions")
    layer: Literal["package", "directory", "git", "api"]
    file: str
    writable: bool = Field(description="DELETE may take it away")
    errors: list[Flaw] = Field(description="why it cannot be used; empty: it can")


class TemplateDetail(TemplateShape):
    """One template with its text."""

    yaml: str = Field(description="without the lines that say category and tags")
    spec: dict[str, Any] = Field(description="as plain values; empty where it cannot be used")


class TemplateList(Answer):
    """All templates, by category and name."""

    templates: list[TemplateShape]
    count: int
    categories: list[str]
    tags: list[str]


class NewTemplate(BaseModel):
    """A watcher to be kept as a template: its text, or the watcher that has it."""

    model_config = ConfigDict(extra="forbid")

    yaml: Annotated[str, StringConstraints(max_length=1_000_000)] | None = Field(None, description="one watcher")
    watcher_id: IdNumber | None = Field(None, description="in place of `yaml`")
    name: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None, description="what watchers made of it are called at first; left out: as the watcher is called"
    )
    category: Category = ""
    tags: Annotated[list[Tag], Field(max_length=10)] = []
    replace: bool = Field(False, description="one of this name, saved before, is replaced")
