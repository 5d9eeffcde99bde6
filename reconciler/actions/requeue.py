"""requeue: puts the watched job back into the queue; it stays the same job, with the same watchers.

Never repeated by itself: the second time would throw away what the first one started.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from reconciler.actions._rendered import read
from reconciler.errors import PermanentActionError
from reconciler.protocols import ActionContext, ActionTraits, AfterCrash, Limit
from reconciler.registry import Plugin
from reconciler.spec.watcher import ActionSpec, SpecModel


class RequeueParams(SpecModel):
    """Why, and how often at most."""

    reason: Annotated[str, Field(description="kept in the record; `$name` is replaced")] = ""
    max_restarts: Annotated[
        int, Field(ge=1, le=100, description="refused where the job was restarted so often already")
    ] = 3


class RequeueSpec(ActionSpec):
    """Requeue the watched job."""

    type: Literal["requeue"]
    params: RequeueParams = RequeueParams()


class Requeue:
    """Bounded by the scheduler's own count of restarts, which survives us."""

    async def run(self, context: ActionContext) -> str:
        """Requeue and return what was done. Raises PermanentActionError (refused) at `max_restarts`."""
        wanted = read(RequeueParams, context.params)
        known = await context.scheduler.lookup([context.job.id])
        restarts = known.get(context.job.id, context.job).restarts
        if restarts >= wanted.max_restarts:
            raise PermanentActionError(
                f"job {context.job.id} was restarted {restarts} times, max_restarts is {wanted.max_restarts}",
                refused=True,
                remedy="raise max_restarts, or find out why the job does not get on",
            )
        done = await context.scheduler.requeue(context.job)
        return f"{done} ({wanted.reason})" if wanted.reason else done


def make(section: BaseModel | None, channels: Mapping[str, Any]) -> Requeue:
    """Return the action."""
    return Requeue()


PLUGIN = Plugin("requeue", RequeueSpec, make, traits=ActionTraits(after_crash=AfterCrash.REPORT, limit=Limit.DEFER))
