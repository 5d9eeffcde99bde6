"""resubmit: submits the job's script once more, with changed options, at most `max_resubmits` times in a chain of jobs.

The new job is submitted held, then the old one is cancelled where that was asked for, then the new one released: a
submission that fails costs nothing. The new job's comment carries the action's mark, so a crash between any two steps
is picked up where it happened. Refuses jobs of other users, and options that hold a capture which is not there, or
that a capture left empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, field_validator

from reconciler.actions._arguments import known_arguments
from reconciler.actions._lineage import Lineage, digest, lineage_of, parent_of, resubmissions, root_of
from reconciler.actions._ours import refuse_foreign_job
from reconciler.actions._rendered import missing, read
from reconciler.actions._runs import Resubmitted, Runs
from reconciler.errors import ActionError, PermanentActionError
from reconciler.logic.command_tools import names
from reconciler.model import Job, JobId, JobState
from reconciler.protocols import ActionContext, ActionTraits, AfterCrash, Limit, OptionValue, Submission
from reconciler.registry import Plugin
from reconciler.settings import Section
from reconciler.spec.watcher import ActionSpec, SpecModel

OptionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{1,40}$")]

#: Options about resources and queueing. Not among them: what runs code (wrap, export, prolog), writes elsewhere
#: (output, error, chdir), carries our mark (comment) or would keep sbatch waiting (wait).
OPTIONS = tuple(
    sorted(
        names(
            "account array begin constraint contiguous core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task"
            " deadline dependency distribution exclude exclusive gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket"
            " gpus-per-task gres gres-flags hint job-name licenses mail-type mem mem-bind mem-per-cpu mem-per-gpu"
            " mincpus network nice no-kill no-requeue nodelist nodes ntasks ntasks-per-core ntasks-per-gpu"
            " ntasks-per-node ntasks-per-socket open-mode overcommit oversubscribe partition priority qos requeue"
            " reservation signal sockets-per-node spread-job switches"
            " thread-spec threads-per-core time time-min tmp use-min-nodes"
        )
    )
)
#: Those of them that sbatch takes without a value. The others would take the next word of its command line.
SWITCHES = names(
    "contiguous exclusive nice no-kill no-requeue overcommit oversubscribe requeue spread-job use-min-nodes"
)
_VALUE = re.compile(r"[^\x00-\x1f\x7f]{0,500}")
_ARRAY_TASK = re.compile(r"\d+_(\d+)")


class ResubmitSettings(Section):
    """`actions.resubmit` in the settings."""

    options: Annotated[tuple[OptionName, ...], Field(description="sbatch options that `modifications` may name")] = (
        OPTIONS
    )
    max_resubmits: Annotated[int, Field(ge=0, le=1000, description="no watcher may go beyond this")] = 10


class ResubmitParams(SpecModel):
    """What the new job has that the old one had not."""

    modifications: Annotated[
        Mapping[OptionName, str | int | bool],
        Field(description="sbatch options by long name, over the script's; `true` for a switch; `$name` is replaced"),
    ] = Field(default_factory=dict)
    cancel_previous: Annotated[bool, Field(description="cancel the watched job once the new one is submitted")] = False
    max_resubmits: Annotated[int, Field(ge=0, le=1000, description="over the whole chain of jobs")] = 3
    arguments: Annotated[
        tuple[str, ...] | None,
        Field(description="of the script; left out: those of the watched job, where they can be told"),
    ] = None

    @field_validator("modifications")
    @classmethod
    def _plain_values(cls, given: Mapping[str, str | int | bool]) -> Mapping[str, str | int | bool]:
        for name, value in given.items():
            if isinstance(value, str) and not _VALUE.fullmatch(value):
                raise ValueError(f"{name}: a control character, or longer than 500 characters")
            if value == "":
                raise ValueError(f"{name}: an empty value; write one, or leave the option out")
            if value is True and name in OPTIONS and name not in SWITCHES:
                raise ValueError(f"{name}: no switch; write a value in place of `true`")
        return given

    def options(self) -> dict[str, OptionValue]:
        """Return the modifications as the scheduler takes them: a switch is True; `false` leaves it out."""
        return {
            name: True if value is True else str(value)
            for name, value in self.modifications.items()
            if value is not False
        }


class ResubmitSpec(ActionSpec):
    """Submit the watched job's script again."""

    type: Literal["resubmit"]
    params: ResubmitParams = ResubmitParams()


@dataclass(frozen=True, slots=True)
class _Found:
    """The job that this action has submitted: now, or before a crash."""

    id: JobId
    waiting: bool


class Resubmit:
    """One job run is resubmitted once, however many lines of however many watchers ask for it."""

    def __init__(self, settings: ResubmitSettings) -> None:
        self._settings = settings
        self._runs = Runs()

    async def run(self, context: ActionContext) -> str:
        """Return the new job's id in words. Raises PermanentActionError (refused) at a bound."""
        params = self._params(context)
        await refuse_foreign_job(context)
        async with self._runs.turn(context.job):
            others = [job for job in await context.scheduler.jobs(context.job.submitted) if job.id != context.job.id]
            found = self._mine(context, others)
            if found is None:
                if (child := self._child(context.job, others)) is not None:
                    return f"job {context.job.id} was resubmitted already, as {child}: nothing done"
                found = await self._submit(context, params, others)
        if params.cancel_previous:
            await self._cancel(context, found)
        if found.waiting:
            await context.scheduler.release(found.id)
        return f"job {context.job.id} resubmitted as {found.id}" + _changes(params)

    def _params(self, context: ActionContext) -> ResubmitParams:
        if absent := sorted(missing(context.template, context.values)):
            raise PermanentActionError(
                f"no value for {', '.join('$' + name for name in absent)}: nothing was submitted",
                refused=True,
                remedy="capture it, or give a default: ${name:-value}",
            )
        if empty := sorted(name for name, value in context.params.get("modifications", {}).items() if value == ""):
            raise PermanentActionError(
                f"{', '.join(empty)} would be empty: nothing was submitted; write a default, as ${{name:-value}}",
                refused=True,
                remedy="give a default in modifications: ${name:-value}",
            )
        params = read(ResubmitParams, context.params)
        if unknown := sorted(set(params.modifications) - set(self._settings.options)):
            raise PermanentActionError(
                f"options that may not be changed: {', '.join(unknown)}",
                refused=True,
                remedy="an operator may add them to actions.resubmit.options",
            )
        return params

    def _mine(self, context: ActionContext, others: list[Job]) -> _Found | None:
        mark = digest(context.mark)
        for job in others:
            if (line := lineage_of(job)) is not None and line.mark == mark:
                return _Found(job.id, job.state is JobState.PENDING)
        known = self._runs.known(context.job)
        return _Found(known.id, waiting=True) if known is not None and known.mark == mark else None

    def _child(self, job: Job, others: list[Job]) -> JobId | None:
        parent = parent_of(job)
        for other in others:
            if (line := lineage_of(other)) is not None and line.parent == parent:
                return other.id
        known = self._runs.known(job)
        return known.id if known is not None else None

    async def _submit(self, context: ActionContext, params: ResubmitParams, others: list[Job]) -> _Found:
        job = context.job
        done = resubmissions(job, others)
        limit = min(params.max_resubmits, self._settings.max_resubmits)
        if done >= limit:
            raise PermanentActionError(
                f"the chain that job {root_of(job)} began was resubmitted {done} times, the limit is {limit}",
                refused=True,
                remedy="raise max_resubmits, or find out why the job does not get on",
            )
        options: dict[str, OptionValue] = {**_told_of(job), **params.options()}
        script = await context.scheduler.script(job)
        arguments = await known_arguments(context) if params.arguments is None else params.arguments
        lineage = Lineage(root_of(job), done + 1, parent_of(job), digest(context.mark), arguments)
        new = await context.scheduler.submit(
            Submission(script, arguments, options, job.workdir, lineage.comment(job.comment), held=True)
        )
        self._runs.note(job, Resubmitted(new, lineage.mark))
        return _Found(new, waiting=True)

    async def _cancel(self, context: ActionContext, found: _Found) -> None:
        try:
            await context.scheduler.cancel(context.job, f"resubmitted as {found.id}")
        except ActionError:
            # The scheduler said no: a held job that nobody would release must not stay behind.
            held = (await context.scheduler.lookup([found.id])).get(found.id)
            if held is not None and found.waiting:
                await context.scheduler.cancel(held, f"job {context.job.id} could not be cancelled")
                self._runs.forget(context.job)
            raise


def _told_of(job: Job) -> dict[str, str]:
    """Return options for what the script alone does not say: the job's name, and of an array this one task.

    A script on standard input would be called `sbatch`, and the watchers of `jobs.name` would lose the chain.
    """
    task = _ARRAY_TASK.fullmatch(job.id)
    return {**({"job-name": job.name} if job.name else {}), **({"array": task[1]} if task else {})}


def _changes(params: ResubmitParams) -> str:
    changes = ", ".join(name if value is True else f"{name}={value}" for name, value in params.options().items())
    return f" with {changes}" if changes else ""


def make(section: BaseModel | None, channels: Mapping[str, Any]) -> Resubmit:
    """Return the action under these settings."""
    return Resubmit(section if isinstance(section, ResubmitSettings) else ResubmitSettings())


def check(params: BaseModel, section: BaseModel | None, channels: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """Return which modifications the settings do not allow."""
    settings = section if isinstance(section, ResubmitSettings) else ResubmitSettings()
    if not isinstance(params, ResubmitParams):
        return ()
    unknown = sorted(set(params.modifications) - set(settings.options))
    return tuple(f"the option {name!r} may not be changed by a watcher" for name in unknown)


PLUGIN = Plugin(
    "resubmit",
    ResubmitSpec,
    make,
    settings=ResubmitSettings,
    traits=ActionTraits(limit=Limit.DEFER, after_crash=AfterCrash.LOOK_FIRST, retry=True),
    check=check,
)
