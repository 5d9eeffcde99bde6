"""`reconcile [DIR...]`: runs the watchers until it is told to stop; with `--once` one pass, then it leaves."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.first_run import refuse_replay
from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import note, report
from reconciler.cli.text import lacks
from reconciler.errors import ExitCode, RefusedError, SpecError, UsageError, worst

if TYPE_CHECKING:
    from reconciler.engine.once import Once
    from reconciler.engine.staying import Staying

log = logging.getLogger(__name__)

_EPILOG = """\
\b
Examples:
  reconcile ./watchers.d                    watch until stopped
  reconcile ./watchers.d --once             one pass, for cron, scrontab or CI
  reconcile ./watchers.d --once --wait      the same, and stay until the jobs have ended
  reconcile ./watchers.d --once --dry-run   show what a pass would change
  reconcile ./watchers.d --once --approve   stop or bind as much as the plan says
"""


@click.command(epilog=_EPILOG)
@click.argument("directories", nargs=-1, type=click.Path(readable=False, path_type=Path), metavar="[DIR]...")
@click.option("--once", is_flag=True, help="One pass of everything, then leave with an exit status.")
@click.option("--wait", is_flag=True, help="With --once: stay until the jobs that it watches have ended.")
@click.option("--dry-run", is_flag=True, help="With --once: only show the plan, as `reconcile plan` does.")
@click.option(
    "--approve", is_flag=False, flag_value="yes", default="", metavar="[DIGEST]",
    help="Say yes to what waits for approval: to all of it, or only to the plan of this digest.",
)  # fmt: skip
@click.option("--new-state", is_flag=True, help="In CI: begin with an empty state though hosts are remote.")
@click.option(
    "--detailed-exitcode", is_flag=True, help="With --dry-run: 2 where changes, 3 where only drift is pending."
)
@click.pass_obj
def command(
    options: GlobalOptions,
    directories: tuple[Path, ...],
    once: bool,
    wait: bool,
    dry_run: bool,
    approve: str,
    new_state: bool,
    detailed_exitcode: bool,
) -> None:
    """Keep watchers on batch jobs as the files in DIR say: when a line like this appears, do that.

    Without DIR: the settings' directories, else $XDG_CONFIG_HOME/reconciler/watchers.d over /etc/reconciler/watchers.d.
    """
    if detailed_exitcode and not dry_run:
        raise UsageError("--detailed-exitcode belongs to --dry-run", remedy="write --dry-run, or leave it out")
    if dry_run:
        from reconciler.cli.plan import show_plan

        raise SystemExit(show_plan(options, directories, "table", detailed=detailed_exitcode).code)
    if wait and not once:
        raise UsageError("--wait belongs to --once", remedy="write --once --wait; a daemon stays by itself")
    if once:
        run = (_staying if wait else _once)(options, directories, approve, new_state)
    else:
        run = _daemon(options, directories, approve)
    raise SystemExit(asyncio.run(run))


async def _once(options: GlobalOptions, directories: tuple[Path, ...], approve: str, new_state: bool) -> ExitCode:
    from reconciler import app  # saves start-up time: it knows every class

    settings = app.load_settings(options.config)
    refuse_replay(settings, new_state=new_state)
    told_to_stop = signals()
    async with app.engine(settings, directories) as engine, stopped_by(told_to_stop, engine.once.stop):
        report_ = await engine.once.run(approve=approve)
    _tell(report_)
    return worst([*report_.codes(), *cut_short(engine.once, told_to_stop)])


def cut_short(run: Once | Staying, told: Told, end: str = "the pass was over") -> list[ExitCode]:
    """Say that a pass was told to stop before its end; return what that adds to its exit status."""
    if not run.cut_short:
        return []
    note(f"stopped before {end}; the next pass goes on from here")
    if told.number == signal.SIGINT:
        raise click.Abort
    return [ExitCode.PARTIAL]


async def _staying(options: GlobalOptions, directories: tuple[Path, ...], approve: str, new_state: bool) -> ExitCode:
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.engine.staying import Staying

    settings = app.load_settings(options.config)
    refuse_replay(settings, new_state=new_state)
    told_to_stop = signals()
    async with app.engine(settings, directories) as engine:
        staying = Staying(engine.parts, engine.controller, engine.once, engine.daemon)
        async with stopped_by(told_to_stop, staying.stop):
            report_ = await staying.run(tell_pass(), approve=approve)
    return worst([*report_.codes(), *cut_short(staying, told_to_stop, "the jobs have ended")])


class Told(asyncio.Event):
    """Set once we are told to stop; `number`: by which signal."""

    number = 0

    def by(self, number: int) -> None:
        """Take a signal; the first one counts."""
        self.number = self.number or number
        self.set()


def signals() -> Told:
    """Return what is set once we are told to stop; a terminal that closes tells so, too, but for `nohup`."""
    told = Told()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, told.by, number)
    return told


async def _daemon(options: GlobalOptions, directories: tuple[Path, ...], approve: str) -> ExitCode:
    from reconciler import app  # saves start-up time: it knows every class

    told_to_stop = signals()
    settings = app.load_settings(options.config)
    async with app.engine(settings, directories) as engine, stopped_by(told_to_stop, engine.daemon.stop):
        engine.daemon.on_pass = tell_pass()
        await engine.daemon.run(approve=approve)
    return ExitCode.OK


@asynccontextmanager
async def stopped_by(told: asyncio.Event, stop: Callable[[], None]) -> AsyncIterator[None]:
    """Call `stop` once a signal came, also where it came before there was anything to stop."""

    async def wait() -> None:
        await told.wait()
        stop()

    waiting = asyncio.create_task(wait())
    try:
        yield
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


def tell_pass() -> Callable[[object], None]:
    """Return what a daemon calls after each pass: it says on standard error what a person should know, once."""
    told: set[str] = set()

    def tell(report_: object) -> None:
        _tell(report_, told)

    return tell


def _tell(report_: object, told: set[str] | None = None) -> None:
    """Say on standard error what a person should know of a pass; a daemon says each thing once."""
    from reconciler.engine.controller import PassReport

    assert isinstance(report_, PassReport)  # noqa: S101 - the engine's own value
    told = set() if told is None else told
    problems = [p for p in report_.problems if str(p) not in told]
    if problems:
        report(SpecError(problems))
    lines = [f"{host}: not reachable: {reason}" for host, reason in report_.seen.unreachable.items()]
    lines += [f"{host}: {lacks(reason)}" for host, reason in report_.seen.lacking.items()]
    if report_.plan is not None and (report_.plan.alarms or report_.plan.withheld):
        try:
            report_.plan.raise_if_unsafe()
        except RefusedError as error:
            if str(error) not in told:
                report(error)
            told.add(str(error))
    for line in lines:
        if line not in told:
            note(line)
    told.update(map(str, problems), lines)
