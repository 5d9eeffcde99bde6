"""What holds for every action that acts as ourselves on a host: only for jobs of our own account there."""

from __future__ import annotations

from reconciler.errors import PermanentActionError
from reconciler.protocols import ActionContext


async def refuse_foreign_job(context: ActionContext) -> None:
    """Raise PermanentActionError (refused) where the job is another user's: its output would steer what runs as us."""
    account = await context.scheduler.account()
    if context.job.user != account:
        raise PermanentActionError(
            f"job {context.job.id} belongs to {context.job.user!r}, not to our account {account!r}",
            refused=True,
            remedy="let the owner of the job run a reconciler with this watcher",
        )
