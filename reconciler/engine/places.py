"""Where things are on this machine: the state, the events file, keys, directories of watchers; `app` hands them on.

As the settings say, else as the XDG base directory specification does. Nothing is made here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from reconciler.errors import UsageError
from reconciler.settings import Settings


def _xdg(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / default


def state_path(settings: Settings) -> Path:
    """Return where the state is kept."""
    return settings.state.path or _xdg("XDG_STATE_HOME", ".local/state") / "reconciler" / "state.db"


def events_path(settings: Settings) -> Path:
    """Return where the events file is."""
    return settings.events.path or state_path(settings).parent / "events.jsonl"


def api_directory(settings: Settings) -> Path:
    """Return the writable layer, for watchers that commands and the API write."""
    return state_path(settings).parent / "api.d"


def keys_path(settings: Settings) -> Path:
    """Return the file of the API's keys."""
    return settings.api.keys or state_path(settings).parent / "apikeys.json"


def directories(settings: Settings, named: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Return the directories that are read: those named, else the settings', else the usual ones that exist.

    One that is named twice is read in its last place: as a layer over itself it would hide all of its files.
    """
    if given := named or settings.directories:
        last = {os.path.abspath(path): path for path in reversed(given)}
        return tuple(reversed(last.values()))
    usual = (Path("/etc/reconciler/watchers.d"), _xdg("XDG_CONFIG_HOME", ".config") / "reconciler" / "watchers.d")
    found = tuple(path for path in usual if path.is_dir())
    if not found and not settings.sources:
        raise UsageError(
            "no directory of watchers was named, and none of the usual ones exists",
            remedy=f"name one (`reconcile ./watchers.d`), or create {usual[1]}",
        )
    return found
