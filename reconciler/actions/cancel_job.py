"""cancel_job: ends the watched job through its scheduler.

A job that has ended already is success, so doing it twice is doing it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from reconciler.actions._rendered import read
from reconciler.protocols import ActionContext, ActionTraits, AfterCrash, Limit
from reconciler.registry import Plugin
from reconciler.spec.watcher import ActionSpec, SpecModel


class CancelJobParams(SpecModel):
    """Why the job is ended."""

    reason: Annotated[str, Field(description="kept in the record; `$name` is replaced")] = ""


class CancelJobSpec(ActionSpec):
    """Cancel the watched job."""

    type: Literal["cancel_job"]
    params: CancelJobParams = CancelJobParams()


class CancelJob:
    """Leaves everything to the scheduler, which asks nobody twice about a job that has ended."""

    async def run(self, context: ActionContext) -> str:
        """Cancel and return what the scheduler says was done. Raises UnavailableError where it did not answer."""
        wanted = read(CancelJobParams, context.params)
        done = await context.scheduler.cancel(context.job, wanted.reason)
        return f"{done} ({wanted.reason})" if wanted.reason else done


def make(section: BaseModel | None, channels: Mapping[str, Any]) -> CancelJob:
    """Return the action."""
    return CancelJob()


PLUGIN = Plugin(
    "cancel_job", CancelJobSpec, make, traits=ActionTraits(after_crash=AfterCrash.RERUN, limit=Limit.DEFER, retry=True)
)
