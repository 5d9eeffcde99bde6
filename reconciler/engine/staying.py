"""`--once --wait`: one pass, then the daemon until the jobs that the pass met have ended and were dealt with.

For CI and scripts that submit a job and want its watchers' verdict. Jobs that come later are watched meanwhile, and not
waited for, or it would never end on a busy cluster.
"""

from __future__ import annotations

from collections.abc import Callable

from reconciler.engine.controller import Controller, PassReport
from reconciler.engine.daemon import Daemon
from reconciler.engine.once import Once, failures_since, last_seq
from reconciler.engine.parts import Parts


class Staying:
    """Runs until nothing is left of the first pass, or until `stop` is called. `cut_short`: it was stopped."""

    def __init__(self, parts: Parts, controller: Controller, once: Once, daemon: Daemon) -> None:
        self._parts, self._controller, self._once, self._daemon = parts, controller, once, daemon
        self.cut_short = False

    def stop(self) -> None:
        """Leave in order, with what is not done left to the next pass."""
        self._once.stop()
        self._daemon.stop()

    async def run(self, on_pass: Callable[[PassReport], None], *, approve: str = "") -> PassReport:
        """Return what the last pass came to, with the failed actions of all; `on_pass` is told each."""
        first = await self._parts.state.run(last_seq)
        report = await self._once.run(approve=approve)
        self.cut_short = self._once.cut_short
        on_pass(report)
        awaited = set(self._controller.fleet.tasks)

        def look(each: PassReport) -> None:
            nonlocal report
            report = each
            on_pass(each)
            if not awaited & set(self._controller.fleet.tasks):
                self._daemon.stop()

        if awaited:
            self._daemon.on_pass = look
            await self._daemon.run()
            self.cut_short = self.cut_short or bool(awaited & set(self._controller.fleet.tasks))
            report.events_waiting = not await self._once.flush()
        report.failed_actions = await self._parts.state.run(lambda state: failures_since(state, first))
        return report
