"""How commands reach another machine's daemon: where the settings name one in `client.url`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from reconciler.client import Client, following
from reconciler.errors import ConfigurationError, RefusedError
from reconciler.model import Watcher
from reconciler.settings import Settings

_VERBS = {"suspend": "pause", "resume": "resume", "trigger": "trigger"}


def client_of(settings: Settings) -> Client:
    """Return a client of the server that the settings name. Raises ConfigurationError."""
    return Client(*_server(settings), certificate=_certificate(settings))


def follow(settings: Settings, job_id: str | None, since: int) -> AsyncIterator[dict[str, Any]]:
    """Yield what the server says from now on. Raises ConfigurationError; see `client.follow`."""
    return following.follow(*_server(settings), certificate=_certificate(settings), job_id=job_id, since=since)


def _certificate(settings: Settings) -> Path | None:
    return settings.client.certificate.expanduser() if settings.client.certificate else None


def _server(settings: Settings) -> tuple[str, str]:
    """Return URL and key."""
    told = settings.client
    if told.url is None:
        raise ConfigurationError("no server is named", remedy="set `client.url`")
    key = told.key.get_secret_value() if told.key else ""
    if told.key_file is not None:
        try:
            key = told.key_file.expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{told.key_file} cannot be read: {error}", remedy="see `client.key_file`"
            ) from error
    return told.url, key


def ask(settings: Settings, verb: str, watchers: Sequence[Watcher], body: Mapping[str, Any]) -> None:
    """Get `verb` done there and say what came of it. Raises RefusedError where it was refused."""
    until = body.get("until")
    more: dict[str, Any] = {
        "reason": body.get("reason", ""),
        "until": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until)) if until else None,
        "from": body.get("from", "checkpoint"),
    }
    names = {watcher.id: f"{watcher.name}/{watcher.job}" for watcher in watchers}
    with client_of(settings) as client:
        results = client.bulk(_VERBS[verb], [int(watcher.id) for watcher in watchers], **more)
    for result in results:
        if result["success"]:
            click.echo(f"{names[result['id']]}: {verb} done")
    refused = [f"{names[r['id']]}: refused, {r['message']}" for r in results if not r["success"]]
    if refused:
        raise RefusedError("; ".join(refused), remedy="`reconcile why` says what holds a watcher")
