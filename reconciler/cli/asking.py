"""How commands that act on watchers get it done: a request row, carried out by whoever holds the state, or by us.

Shared by `trigger`, `suspend`, `resume` and `attach`.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import note
from reconciler.cli.reading import state_of
from reconciler.errors import RefusedError, StateHeldError, UsageError
from reconciler.events import Event, EventType
from reconciler.model import Watcher
from reconciler.protocols import EventFilter, StateReading

#: How long (seconds) the holder of the state is waited for.
PATIENCE = 10.0


def chosen(
    state: StateReading, names: Sequence[str], job: str | None, labels: Sequence[str], *, stopped: bool = False
) -> list[Watcher]:
    """Return the watchers that are meant: by id or name, narrowed by job and by labels `key=value`.

    Those of ended jobs only where no other is meant, or by their id or job. `stopped`: these and tombstones too.
    Raises UsageError where a name means none.
    """
    wanted = _labels(labels)
    labelled = {s.name for s in state.specs() if wanted and _has_labels(s.body, wanted)}
    found = [
        w
        for w in state.watchers()
        if (not names or w.name in names or str(w.id) in names)
        and (not job or w.job.id == job or str(w.job) == job)
        and (not wanted or w.name in labelled)
        and (stopped or w.phase != "stopped")
    ]
    unknown = [name for name in names if not any(name in (w.name, str(w.id)) for w in found)]
    if unknown or not found:
        raise UsageError(
            f"no watcher is meant by {', '.join(map(repr, unknown)) or 'that'}",
            remedy="`reconcile status --all` lists watchers with ids, names and jobs",
        )
    working = [w for w in found if w.phase.live or job or str(w.id) in names]
    return found if stopped else working or found


def _labels(labels: Sequence[str]) -> dict[str, str]:
    """A label without a value would narrow nothing, and so mean every watcher: it is refused."""
    for label in labels:
        if "=" not in label:
            raise UsageError(f"--label {label!r} has no value", remedy="write --label key=value")
    return dict(label.split("=", 1) for label in labels)


def _has_labels(body: str, wanted: Mapping[str, str]) -> bool:
    import json

    labels = json.loads(body).get("labels", {})
    return all(labels.get(key) == value for key, value in wanted.items())


def ask(options: GlobalOptions, verb: str, watchers: Sequence[Watcher], **body: Any) -> None:
    """Get `verb` done to these watchers and say what came of it. Raises RefusedError where it was refused."""
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.state import add_request

    settings = app.load_settings(options.config)
    if settings.client.url is not None:
        from reconciler.cli import remote  # saves start-up time: httpx

        remote.ask(settings, verb, watchers, body)
        return
    by = _user()
    request = {"watchers": [w.id for w in watchers], **body}
    number = add_request(app.state_path(settings), verb, by, request, now=time.time())
    try:
        asyncio.run(_carry_out(settings))
    except StateHeldError:
        if not _wait(options, number):
            note("the reconciler that holds the state has not taken it up yet; it will")
            return
    _tell(options, number, verb)


def _user() -> str:
    """Return who asks; an account without a name, as containers have them, by its number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the first up to Python 3.12
        return f"uid {os.getuid()}"


async def _carry_out(settings: Any) -> None:
    """Nobody holds the state: take it for a moment and do it here."""
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.engine.requests import Requests

    async with app.engine(settings, None) as engine:
        await engine.controller.pass_(list_jobs=False)
        await Requests(engine.parts, engine.controller).carry_out()
        await engine.once.flush()


def _wait(options: GlobalOptions, number: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with state_of(options) as state:
            if all(request.id != number for request in state.requests()):
                return True
        time.sleep(0.1)
    return False


def _tell(options: GlobalOptions, number: int, verb: str) -> None:
    with state_of(options) as state:
        events = state.events(EventFilter(newest=True, limit=5000))
    ours = [event for event in events if event.data.get("request") == number]
    refused = [event for event in ours if event.type is EventType.ACTION_REFUSED]
    for event in ours:
        if event not in refused:
            click.echo(f"{event.subject}: {verb} done")
    if not ours:
        raise RefusedError(
            "nothing came of it: the watcher is gone", remedy="`reconcile status --all` lists what is here"
        )
    if refused:
        raise RefusedError("; ".join(map(_why, refused)), remedy="`reconcile why` says what holds a watcher")


def _why(event: Event) -> str:
    return f"{event.subject}: refused, {event.action_result}"
