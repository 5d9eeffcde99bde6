"""`reconcile why WATCHER`: why a watcher does not run, or does not trigger, step by step."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import click

from reconciler.cli.asking import chosen
from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import Column, emit, output_option
from reconciler.cli.reading import state_of
from reconciler.cli.text import duration
from reconciler.model import Hold, Watcher, WatcherState
from reconciler.protocols import EventFilter, KnownJob, StateReading

COLUMNS = (Column("watcher"), Column("job"), Column("state"), Column("why"))
_EPILOG = """\
\b
Examples:
  reconcile why "GPU alert"
  reconcile why 12 -o json
"""
_PHASES = {
    WatcherState.TRIGGERED: "it reached max_triggers; raise it, or edit the spec",
    WatcherState.DISABLED: "it failed too often or cannot run; mend its spec, or `reconcile resume`",
    WatcherState.COMPLETED: "its job has ended and its output was read to the end",
    WatcherState.STATIC: "its job had ended before the spec existed; it fires on request only: `reconcile trigger`",
    WatcherState.STOPPED: "no spec wants it any more; it goes on from here if one does again",
}


@click.command(epilog=_EPILOG)
@click.argument("watcher")
@click.option("--job", metavar="ID", help="Only for this job.")
@output_option()
@click.pass_obj
def command(options: GlobalOptions, watcher: str, job: str | None, output: str) -> None:
    """Say why WATCHER (a name or an id) is not running, or has not triggered."""
    with state_of(options) as state:
        jobs = {known.now.key: known for known in state.jobs()}
        spec = next((json.loads(s.body) for s in state.specs() if s.name == watcher), None)
        if spec is not None and not state.watchers(name=watcher):
            rows = [_unbound(watcher, spec, sum(not known.now.state.ended for known in jobs.values()), len(jobs))]
        else:
            rows = [_row(state, w, jobs.get(w.job)) for w in chosen(state, (watcher,), job, (), stopped=True)]
    emit(rows, COLUMNS, output, name="watchers")


def _unbound(name: str, spec: Mapping[str, Any], running: int, known: int) -> dict[str, Any]:
    """Return the row of a spec that is in force and has no watcher."""
    selector = spec.get("jobs") or {}
    asks = ", ".join(f"{key}: {' or '.join(globs)}" for key, globs in selector.items() if globs) or "any job"
    reason = "it is bound to no job: "
    if running:
        reason += f"none of the {running} jobs that wait or run fits its selector ({asks})"
    else:
        reason += "no job waits or runs" + (f"; all {known} known ones have ended" if known else "")
    return {"id": None, "watcher": name, "job": "", "state": "unbound", "why": reason, "reasons": [reason]}


def _row(state: StateReading, watcher: Watcher, known: KnownJob | None) -> dict[str, Any]:
    reasons = list(_reasons(state, watcher, known))
    return {
        "id": watcher.id,
        "watcher": watcher.name,
        "job": str(watcher.job),
        "state": str(watcher.state),
        "why": "; ".join(reasons),
        "reasons": reasons,
    }


def _reasons(state: StateReading, watcher: Watcher, known: KnownJob | None) -> list[str]:
    found = []
    down = state.fact(f"unreachable:{watcher.job.host}")
    if down:
        found.append(f"its host does not answer: {down}")
    found += [_held(hold, time.time()) for hold in watcher.holds]
    if watcher.phase in _PHASES:
        found.append(_PHASES[watcher.phase])
    if watcher.last_error:
        found.append(f"last error: {watcher.last_error}")
    if watcher.phase is WatcherState.ACTIVE and not watcher.holds:
        found += _active(state, watcher, known)
    return found


def _held(hold: Hold, now: float) -> str:
    if not hold.lasts(now):
        return f"its suspension ({hold.kind}) by {hold.by} is over; it goes on at the next pass"
    until = f", for another {duration(hold.until - now)}" if hold.until is not None else ""
    return f"suspended ({hold.kind}) by {hold.by}{until}: {hold.reason or 'no reason given'}"


def _active(state: StateReading, watcher: Watcher, known: KnownJob | None) -> list[str]:
    """Say what an active watcher waits for."""
    if known is None or known.now.state == "pending":
        return ["its job has not started"]
    if watcher.timer_active:
        return ["it is in timer mode: the pattern is no longer read, its actions run at each interval"]
    now, until = time.time(), watcher.memory.cooldown_until
    place = ", ".join(f"{stream}: {p.line} lines, {p.offset} bytes" for stream, p in watcher.checkpoints.items())
    found = [f"it has read {place}" if place else f"there is no output yet ({known.now.stdout or 'path unknown'})"]
    if watcher.memory.condition_failures:
        found.append(f"its condition or pattern could not be told {watcher.memory.condition_failures} times")
    if until is not None and until > now:
        found.append(f"it triggered and is in its cooldown for another {duration(until - now)}")
    if not watcher.trigger_count:
        found.append("no line has matched, or its condition was false each time; try `reconcile replay`")
    limited = state.events(EventFilter(watcher_id=watcher.id, types=("reconciler.action.rate_limited.v1",), limit=1))
    if limited:
        found.append("some of its actions were over the limit a minute")
    return found
