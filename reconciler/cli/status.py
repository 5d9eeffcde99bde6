"""`reconcile status`: hosts, jobs and watchers as they are now, read beside a running daemon."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import Column, Form, emit, note, output_option
from reconciler.cli.reading import state_of
from reconciler.cli.text import held, lacks
from reconciler.engine.answering import LACKING
from reconciler.engine.turns import ASKED_EVERY
from reconciler.model import Job, Watcher
from reconciler.protocols import StateReading

COLUMNS = (
    Column("id", form=Form.NUMBER),
    Column("watcher"),
    Column("job"),
    Column("job_state", "JOB", Form.STATE),
    Column("state", form=Form.STATE),
    Column("triggers", form=Form.NUMBER),
    Column("last_check", "CHECKED", Form.AGE),
    Column("last_trigger", "TRIGGERED", Form.AGE),
    Column("remark"),
)
_EPILOG = """\
\b
Examples:
  reconcile status                       watchers that have work
  reconcile status --all -o jsonl        ended and stopped ones too
  reconcile status --job 4711 -o json | jq '.watchers[].variables'
"""


@click.command(epilog=_EPILOG)
@click.option("--all", "everything", is_flag=True, help="Also watchers that are completed or stopped.")
@click.option("--job", metavar="ID", help="Only watchers of this job.")
@click.option("--name", metavar="NAME", help="Only watchers of this spec.")
@click.option("--state", "wanted", metavar="STATE", help="Only watchers in this state.")
@output_option()
@click.pass_obj
def command(
    options: GlobalOptions, everything: bool, job: str | None, name: str | None, wanted: str | None, output: str
) -> None:
    """Show the watchers, their jobs and hosts, and whether all is well."""
    with state_of(options) as state:
        jobs = {known.now.key: known for known in state.jobs()}
        unreachable = hosts_down(state, {key.host for key in jobs})
        rows = []
        for watcher in state.watchers(live=not (everything or job or wanted)):
            known = jobs.get(watcher.job)
            if (job and watcher.job.id != job) or (name and watcher.name != name):
                continue
            row = row_of(watcher, said_of(known.now if known else None), unreachable)
            if not wanted or row["state"] == wanted:
                rows.append(row)
        emit(rows, COLUMNS, output, name="watchers", extra={"unreachable": unreachable}, empty="no watcher has work")
        if output == "table":
            _tell(state, unreachable, jobs)


def hosts_down(state: StateReading, hosts: set[Any]) -> dict[str, str]:
    """Return which hosts did not answer when they were last asked, and why."""
    return {str(host): reason for host in hosts if (reason := state.fact(f"unreachable:{host}"))}


def said_of(job: Job | None) -> str:
    """Return the state of a job in its scheduler's words."""
    return job.raw_state.lower() or str(job.state) if job else "unknown"


def row_of(watcher: Watcher, job_state: str, unreachable: Mapping[str, str]) -> dict[str, Any]:
    """Return one watcher as programs get it."""
    down = unreachable.get(watcher.job.host)
    return {
        "id": watcher.id,
        "watcher": watcher.name,
        "job": str(watcher.job),
        "job_id": watcher.job.id,
        "hostname": watcher.job.host,
        "job_name": watcher.job_name,
        "job_state": job_state,
        "state": "unreachable" if down and watcher.phase.live else str(watcher.state),
        "triggers": watcher.trigger_count,
        "failures": watcher.failures,
        "timer_active": watcher.timer_active,
        "last_check": watcher.last_check,
        "last_trigger": watcher.last_trigger,
        "last_error": watcher.last_error,
        "holds": [
            {"kind": str(h.kind), "by": h.by, "reason": h.reason, "since": h.since, "until": h.until}
            for h in watcher.holds
        ],
        "variables": dict(watcher.variables),
        "file": watcher.origin.file,
        "line": watcher.origin.line,
        "commit": watcher.origin.commit,
        "remark": down or _remark(watcher),
    }


def _remark(watcher: Watcher) -> str:
    if watcher.holds:
        lasting = [hold for hold in watcher.holds if hold.lasts(time.time())]
        if not lasting:
            return "its suspension is over; goes on at the next pass"
        return held(lasting[0].by, lasting[0].reason, lasting[0].until)
    return watcher.last_error or ("timer mode" if watcher.timer_active else "")


def _tell_hosts(state: StateReading, unreachable: Mapping[str, str], hosts: Sequence[str]) -> None:
    for host, reason in unreachable.items():
        note(f"{host}: not reachable: {reason}; its watchers stay and will catch up")
    for host in hosts:
        if lacking := state.fact(f"{LACKING}:{host}"):
            note(f"{host}: {lacks(lacking)}")
        if every := state.fact(f"{ASKED_EVERY}:{host}"):
            note(f"{host}: its scheduler is slow or silent, and is asked for its jobs every {every} s")


def _tell(state: StateReading, unreachable: Mapping[str, str], jobs: Mapping[Any, Any]) -> None:
    _tell_hosts(state, unreachable, sorted({key.host for key in jobs}))
    specs = state.specs()
    for source in dict.fromkeys(spec.origin.source for spec in specs):
        if late := state.fact(f"late:{source}"):
            note(f"{source}: {late}; what is known of it stays in force")
    missing = [spec for spec in specs if spec.missing_since is not None]
    for spec in missing:
        note(f"{spec.name}: gone from {spec.origin.file}; it stops when prune_grace is over, unless it comes back")
    if missing:
        note("`reconcile plan` says when, and whether that waits for a yes")
    shared: dict[tuple[str, str], list[str]] = {}
    for known in jobs.values():
        if known.now.stdout and not known.now.state.ended:
            shared.setdefault((known.now.host, known.now.stdout), []).append(known.now.id)
    for (host, path), ids in shared.items():
        if len(ids) > 1:
            note(f"jobs {', '.join(ids)} on {host} write one file, {path}: whose line it is cannot be told")
