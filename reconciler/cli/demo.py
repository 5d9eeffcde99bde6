"""`reconcile demo`: a small training job on this machine, watchers on its output, and what they do, as it happens.

The real thing in a temporary directory: the job runs through the local scheduler, the engine is the daemon's. Nothing
of the user's own state or settings is read or written, and nothing is left running.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing, suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from reconciler.cli.metrics import draw
from reconciler.cli.text import paint, safe
from reconciler.errors import ExitCode, ReconcilerError, UsageError
from reconciler.events import Event, EventType
from reconciler.model import LOCALHOST, JobId, JobKey
from reconciler.protocols import Scheduler, Submission

if TYPE_CHECKING:
    from reconciler.app import Engine
    from reconciler.settings import Settings

#: Name of the job; the watchers of the demo look for it.
JOB_NAME = "demo-training"
#: After so many seconds something is wrong with this machine.
PATIENCE = 60.0
_NEXT = """
What you saw: five watchers, bound to the job by its name. Each line counted once, also the last, which has no end.

What next:
  reconcile init ./watchers.d        a first directory of your own
  reconcile validate ./watchers.d    check it
  reconcile plan ./watchers.d        see what it would do to your jobs
  reconcile ./watchers.d             run it
"""
_EPILOG = """\
\b
Examples:
  reconcile demo
  reconcile demo --keep ./demo     look at its files and its state afterwards
"""
_COLOURS = {
    EventType.WATCHER_CREATED: "dim",
    EventType.WATCHER_COMPLETED: "dim",
    EventType.ACTION_SUCCEEDED: "green",
    EventType.ACTION_FAILED: "red",
    EventType.ACTION_REFUSED: "red",
}


@click.command(epilog=_EPILOG)
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Work in this directory, and leave it.")
def command(keep: Path | None) -> ExitCode:
    """See it work: a small training job with watchers, here and now, in about 10 seconds."""
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise UsageError(f"{keep} is not empty", remedy="name a directory that is still to come")
        keep.mkdir(parents=True, exist_ok=True)
        return asyncio.run(run(keep.absolute(), sys.stdout))
    with tempfile.TemporaryDirectory(prefix="reconcile-demo-") as directory:
        return asyncio.run(run(Path(directory), sys.stdout))


class Screen:
    """A sink that shows events to a person, and knows when the last watcher has completed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start: float | None = None
        self._open = 0
        self.done = asyncio.Event()

    def position(self) -> int:
        """Return 0: every event of this state, which is a new one."""
        return 0

    async def write(self, events: Sequence[Event]) -> None:
        """Show these."""
        for event in events:
            self._count(event.type)
            if event.type in _COLOURS:
                self._start = self._start or event.at
                self._show(event, event.at - self._start)

    async def close(self) -> None:
        """Nothing is held."""

    def _count(self, kind: EventType) -> None:
        self._open += (kind is EventType.WATCHER_CREATED) - (kind is EventType.WATCHER_COMPLETED)
        if kind is EventType.WATCHER_COMPLETED and self._open == 0:
            self.done.set()

    def _show(self, event: Event, after: float) -> None:
        what = event.action_type or str(event.type).split(".")[2]
        text = f"{after:5.1f}s  {safe(event.watcher):<17} {what:<13} {safe(event.action_result)}"
        print(paint(text.rstrip(), _COLOURS[event.type], self._stream), file=self._stream, flush=True)


def settings_in(directory: Path) -> Settings:
    """Return settings that keep everything in `directory` and look often enough for a job of a few seconds."""
    from reconciler.settings import Settings  # saves start-up time, as below: --help needs none of it

    return Settings.model_validate(
        {
            "hosts": {
                LOCALHOST: {"scheduler": {"type": "local", "directory": str(directory / "jobs"), "kill_grace": 1}}
            },
            "state": {"path": directory / "state.db"},
            "events": {"path": directory / "events.jsonl"},
            "engine": {"discovery_interval": 1, "end_grace": 0.5, "end_grace_network": 2},
        }
    )


async def run(directory: Path, stream: TextIO) -> ExitCode:
    """Run the demo in `directory`. Raises ReconcilerError where it has not ended within `PATIENCE` seconds."""
    from reconciler import app

    settings, screen = settings_in(directory), Screen(stream)
    bundled = files("reconciler.cli").joinpath("demo_files")
    watchers = directory / "watchers.d"
    watchers.mkdir(exist_ok=True)
    (watchers / "watchers.yaml").write_bytes(bundled.joinpath("watchers.yaml").read_bytes())
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(app.engine(settings, (watchers,), sinks=(screen,)))
        scheduler = engine.parts.hosts[LOCALHOST].scheduler
        job_id = await _submit(scheduler, directory, bundled.joinpath("train.sh").read_bytes())
        stack.push_async_callback(_cancel, scheduler, job_id)
        print(f"Job {job_id} ({JOB_NAME}) runs; these are the events of its watchers.\n", file=stream, flush=True)
        await _until_done(engine, screen)
    _conclude(settings, job_id, stream)
    return ExitCode.OK


async def _submit(scheduler: Scheduler, directory: Path, script: bytes) -> JobId:
    options = {"job-name": JOB_NAME, "output": str(directory / "train.out")}
    return await scheduler.submit(Submission(script, options=options, workdir=str(directory), held=False))


async def _cancel(scheduler: Scheduler, job_id: JobId) -> None:
    """Leave nothing running, also where the demo was interrupted."""
    with suppress(ReconcilerError):
        known = await scheduler.lookup([job_id])
        if job_id in known and not known[job_id].state.ended:
            await scheduler.cancel(known[job_id], "the demo is over")


async def _until_done(engine: Engine, screen: Screen) -> None:
    """Run the daemon until the last watcher has completed, or somebody sends SIGTERM."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, screen.done.set)
    running = asyncio.create_task(engine.daemon.run())
    done = asyncio.create_task(screen.done.wait())
    try:
        await asyncio.wait((running, done), timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    finally:
        done.cancel()
        engine.daemon.stop()
        await running
    if not screen.done.is_set():
        raise ReconcilerError(f"the demo has not ended after {PATIENCE:g} s", remedy="see what `reconcile doctor` says")


def _conclude(settings: Settings, job_id: JobId, stream: TextIO) -> None:
    """Draw what was measured and say what to do next."""
    from reconciler.app import state_path
    from reconciler.state import open_readonly

    print(file=stream)
    with closing(open_readonly(state_path(settings))) as state:
        draw(state.metrics(JobKey(LOCALHOST, job_id)), stream, height=8)
    print(_NEXT.strip(), file=stream)
