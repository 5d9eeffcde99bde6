"""In CI, a state that was not kept from an earlier run: a pass would deal with every old line of every job.

Whatever makes one pass asks here first: `--once` and `apply`. Nobody runs a daemon in CI by mistake.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

from reconciler.errors import RefusedError

if TYPE_CHECKING:
    from reconciler.settings import Settings


def refuse_replay(settings: Settings, *, new_state: bool) -> None:
    """Raise RefusedError in CI against remote hosts where the state has no watcher; `new_state`: that is meant."""
    from reconciler.model import LOCALHOST

    remote = sorted(set(settings.hosts) - {LOCALHOST})
    if new_state or not remote or not _in_ci() or not _new(settings):
        return
    from reconciler import app  # saves start-up time: it knows every class

    raise RefusedError(
        f"the state {app.state_path(settings)} is empty, so this pass would deal with every old line of every job on "
        f"{', '.join(remote)}",
        remedy="keep the state between runs (cache its directory), or pass --new-state if that is meant",
    )


def _in_ci() -> bool:
    return os.environ.get("CI", "").strip().lower() in ("1", "true", "yes", "on")


def _new(settings: Settings) -> bool:
    """Tell whether the state knows no watcher: commands that are no passes note down jobs, too."""
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.state import open_readonly

    with closing(open_readonly(app.state_path(settings), busy_timeout=settings.state.busy_timeout)) as state:
        return not state.specs() and not state.watchers()
