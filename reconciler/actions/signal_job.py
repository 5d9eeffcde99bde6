"""signal_job: sends one of a fixed set of signals to the watched job, mostly to ask a program for a checkpoint.

Never repeated by itself: a program may count signals. KILL is not among them; that is what cancel_job is for.
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


class SignalJobParams(SpecModel):
    """Which signal."""

    signal: Annotated[
        Literal["HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "CONT", "STOP", "TSTP", "WINCH"],
        Field(description="name without SIG"),
    ]


class SignalJobSpec(ActionSpec):
    """Send a signal to the watched job."""

    type: Literal["signal_job"]
    params: SignalJobParams


class SignalJob:
    """Signals through the scheduler, which knows where the job's processes are."""

    async def run(self, context: ActionContext) -> str:
        """Signal and return what was done. Raises PermanentActionError where the job has ended."""
        wanted = read(SignalJobParams, context.params)
        if context.job.state.ended:
            raise PermanentActionError(f"job {context.job.id} has ended ({context.job.state}): no signal was sent")
        return await context.scheduler.signal(context.job, wanted.signal)


def make(section: BaseModel | None, channels: Mapping[str, Any]) -> SignalJob:
    """Return the action."""
    return SignalJob()


PLUGIN = Plugin(
    "signal_job", SignalJobSpec, make, traits=ActionTraits(after_crash=AfterCrash.REPORT, limit=Limit.DEFER)
)
