"""`reconcile explain NAME`: one watcher in full: where it is written, what it is bound to, in which state and why."""

from __future__ import annotations

import json
from typing import Any

import click

from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import Column, Form, document, emit, output_option
from reconciler.cli.reading import state_of
from reconciler.cli.status import hosts_down, row_of, said_of
from reconciler.cli.text import safe
from reconciler.errors import UsageError
from reconciler.model import Job, Watcher
from reconciler.protocols import EventFilter, StateReading

_EPILOG = """\
\b
Examples:
  reconcile explain "Loss tracker"
  reconcile explain "Loss tracker" -o json | jq .patterns
"""
_BOUND = (
    Column("id", form=Form.NUMBER),
    Column("job"),
    Column("job_state", "JOB", Form.STATE),
    Column("state", form=Form.STATE),
    Column("triggers", form=Form.NUMBER),
    Column("last_match"),
    Column("last_outcome"),
    Column("remark"),
)


@click.command(epilog=_EPILOG)
@click.argument("name")
@output_option()
@click.pass_obj
def command(options: GlobalOptions, name: str, output: str) -> None:
    """Explain watcher NAME: the file, line and commit in force, its patterns and how fast each is, its jobs."""
    with state_of(options) as state:
        spec = next((s for s in state.specs() if s.name == name), None)
        jobs = {known.now.key: known.now for known in state.jobs()}
        bound = [_bound(state, w, jobs.get(w.job)) for w in state.watchers(name=name)]
    if spec is None and not bound:
        raise UsageError(f"there is no watcher {name!r} in force", remedy="`reconcile status --all` lists the names")
    body = json.loads(spec.body) if spec else {}
    facts = {
        "name": name,
        "file": spec.origin.file if spec else "",
        "line": spec.origin.line if spec else 0,
        "commit": spec.origin.commit if spec else "",
        "source": spec.origin.source if spec else "",
        "layer": spec.origin.layer if spec else "",
        "patterns": _patterns(body),
        "actions": [action["type"] for action in body.get("actions", ())],
        "bound": bound,
    }
    if output != "table":
        document(facts, output)
        return
    _print(facts)
    emit(bound, _BOUND, "table", empty="bound to no job")


def _patterns(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each pattern with the engine that runs it and why."""
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.errors import ConfigurationError
    from reconciler.logic.patterns import check

    if not body:
        return []
    found = []
    for expression in app.watcher_model().model_validate_json(json.dumps(body)).expressions():
        try:
            info = check(expression)
            found.append({"pattern": expression, "tier": str(info.tier), "slow": info.slow, "reason": info.reason})
        except ConfigurationError as error:
            found.append({"pattern": expression, "tier": "refused", "slow": False, "reason": error.message})
    return found


def _bound(state: StateReading, watcher: Watcher, job: Job | None) -> dict[str, Any]:
    row = row_of(watcher, said_of(job), hosts_down(state, {watcher.job.host}))
    events = state.events(EventFilter(watcher_id=watcher.id, newest=True, limit=200))
    outcomes = [e for e in events if e.type.startswith("reconciler.action.")]
    matches = [e.matched_text for e in events if e.matched_text]
    last = outcomes[-1] if outcomes else None
    return {
        **row,
        "last_match": matches[-1] if matches else "",
        "last_outcome": f"{last.action_type}: {last.type.split('.')[2]}, {last.action_result}" if last else "",
    }


def _print(facts: dict[str, Any]) -> None:
    where = f"{facts['file']}:{facts['line']}" if facts["file"] else "no file gives it any more"
    commit = f" at {facts['commit'][:12]}" if facts["commit"] else ""
    click.echo(safe(f"{facts['name']}\n  written in  {where}{commit}\n  source      {facts['source']}", keep="\n"))
    for pattern in facts["patterns"]:
        slow = ", slow" if pattern["slow"] else ""
        reason = f" ({pattern['reason']})" if pattern["reason"] else ""
        click.echo(safe(f"  pattern     {pattern['pattern']}   {pattern['tier']}{slow}{reason}"))
    click.echo(f"  actions     {', '.join(facts['actions'])}")
