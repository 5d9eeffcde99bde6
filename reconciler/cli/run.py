"""`reconcile run -- COMMAND...`: a job without SLURM, as a process of its own that outlives this command.

It is kept by the local scheduler, so that watchers find it as they find a batch job. What it cannot do: wait for
resources, or run on another machine.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

import click

from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import note, safe
from reconciler.errors import ExitCode, StateError
from reconciler.model import LIST_JOBS, LOCALHOST, HostName, Job, JobId, JobState
from reconciler.protocols import Scheduler, Submission, Transport
from reconciler.settings import HostSettings, Settings

log = logging.getLogger(__name__)

#: Seconds between two looks at a job that is waited for.
_LOOK = 0.2
_EPILOG = """\
\b
Examples:
  reconcile run -- python train.py --epochs 10      start it, print its id and output file
  reconcile run --name train --time 2h -- ./train   with a name and a time limit
  reconcile run --wait -- make test                 stay, and end with its exit status
"""


@click.command(epilog=_EPILOG, context_settings={"allow_interspersed_args": False})
@click.option("--name", "-J", help="Name of the job (default: that of the program).")
@click.option("--time", "-t", "limit", help="Time limit: minutes, 1:30:00, 1-12:00:00, or 90s, 2h.")
@click.option("--output", "-o", "stdout", help="Output file; %j is the id, %x the name (default: kept with the job).")
@click.option("--error", "-e", "stderr", help="A file of its own for standard error (default: the output file).")
@click.option("--wait", is_flag=True, help="Stay until it has ended, and end with its exit status.")
@click.option("--parsable", is_flag=True, help="Print the id alone.")
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def command(
    options: GlobalOptions,
    name: str | None,
    limit: str | None,
    stdout: str | None,
    stderr: str | None,
    wait: bool,
    parsable: bool,
    words: tuple[str, ...],
) -> int:
    """Run COMMAND as a local job; watchers see it as they see a batch job."""
    from reconciler.app import load_settings  # the rooms below cost start-up time that --help need not pay

    wanted = {"job-name": name or Path(words[0]).name, "time": _minutes(limit), "output": stdout, "error": stderr}
    submission = Submission(
        script=as_script(words),
        options={key: value for key, value in wanted.items() if value},
        workdir=os.getcwd(),
        held=False,
    )
    return asyncio.run(_run(load_settings(options.config), submission, wait=wait, parsable=parsable))


def as_script(words: Sequence[str]) -> bytes:
    """Return a script that runs exactly these words: submitting it again runs them again."""
    return os.fsencode(f"#!/bin/sh\nexec {shlex.join(words)}\n")


def _minutes(limit: str | None) -> str | None:
    """Return a limit as the scheduler reads it; `90s` and `2h` are ours. UsageError (click's) for anything else."""
    from pydantic import TypeAdapter, ValidationError

    from reconciler.schedulers.slurm_times import limit_seconds
    from reconciler.settings import Duration

    if limit is None or limit_seconds(limit) is not None:
        return limit
    try:
        seconds = round(TypeAdapter(Duration).validate_python(limit))
    except ValidationError as error:
        raise click.BadParameter(
            f"{limit!r} is no duration; write 30 (minutes), 90s, 2h", param_hint="--time"
        ) from error
    return f"{seconds // 60}:{seconds % 60:02}"


async def _run(settings: Settings, submission: Submission, *, wait: bool, parsable: bool) -> int:
    from reconciler.app import make_host

    name = host_of_local_jobs(settings)
    host = make_host(name, _with_local_jobs(settings, name))
    try:
        if not await _watched(settings, name, host.transport):
            note("no watcher will see this job: localhost has others; for both, add to the settings a host of any name")
            note("  hosts: {localhost: {}, local-jobs: {transport: {type: local}, scheduler: {type: local}}}")
        job_id = await host.scheduler.submit(submission)
        job = await _look(host.scheduler, job_id)
        click.echo(job_id if parsable else f"Submitted local job {job_id}\nOutput: {safe(job.stdout or '')}")
        _tell_daemon(settings, name)
        return await _ended(host.scheduler, job) if wait else ExitCode.OK
    finally:
        await host.transport.close()


def _tell_daemon(settings: Settings, host: HostName) -> None:
    """Have the jobs listed now by a daemon that keeps this state; where that cannot be, it lists them at its time."""
    from reconciler import app  # both save start-up time: they know the database
    from reconciler.state import add_request

    path = app.state_path(settings)
    if not path.exists():
        return
    try:
        add_request(path, LIST_JOBS, "reconcile run", {"host": host}, now=time.time(), busy_timeout=1.0)
    except StateError as error:
        log.info("%s: nobody was told of the job: %s", path, error.message)


def host_of_local_jobs(settings: Settings) -> HostName:
    """Return the host that stands for the local jobs of this machine, which may have SLURM's under another name."""
    for name, host in settings.hosts.items():
        reached = host.transport.get("type", "local" if name == LOCALHOST else "ssh")
        if reached == "local" and host.scheduler.get("type") == "local":
            return HostName(name)
    return LOCALHOST


def _with_local_jobs(settings: Settings, name: HostName) -> Settings:
    """Return the settings with local jobs on this host, which is this machine."""
    own = settings.hosts.get(name)
    section = dict(own.scheduler) if own is not None and own.scheduler.get("type") == "local" else {}
    host = HostSettings(transport={"type": "local"}, scheduler={**section, "type": "local"})
    return settings.model_copy(update={"hosts": {**settings.hosts, name: host}})


async def _watched(settings: Settings, name: HostName, transport: Transport) -> bool:
    """Tell whether the reconciler would list local jobs here."""
    from reconciler.schedulers.detect import detect  # saves start-up time

    own = settings.hosts.get(name)
    if own is None:
        return False
    kind = own.scheduler.get("type", "auto")
    return kind == "local" or (kind == "auto" and await detect(transport) == "local")


async def _look(scheduler: Scheduler, job_id: JobId) -> Job:
    return (await scheduler.lookup([job_id]))[job_id]


async def _ended(scheduler: Scheduler, job: Job) -> int:
    """Wait for the job's end and return its exit status."""
    while not job.state.ended:
        await asyncio.sleep(_LOOK)
        job = await _look(scheduler, job.id)
    if job.state is not JobState.COMPLETED:
        note(f"job {job.id}: {job.state.value}")
    return ExitCode.ERROR if job.exit_code is None else job.exit_code
