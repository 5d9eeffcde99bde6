"""The operator's settings: which file, what it says, and what the environment overrides.

The same loader as for watchers, so that every error names file, line, column and remedy. Only `app` calls it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from reconciler.errors import ConfigurationError, Problem, SpecError
from reconciler.settings import Settings
from reconciler.spec.faults import Places
from reconciler.spec.known import nearest
from reconciler.spec.load import validated
from reconciler.spec.yaml import parse

PREFIX = "RECONCILER_"
#: Variables with our prefix that are no settings.
RESERVED = frozenset(
    {
        "RECONCILER_CONFIG",
        "RECONCILER_DEBUG",
        "RECONCILER_CAMPAIGN",
        "RECONCILER_JOB_ID",  # in the environment of local jobs and of run_command
        "RECONCILER_JOB_NAME",
    }
)
FILE = "reconciler.yaml"


def find_settings(config: Path | None, env: Mapping[str, str]) -> Path | None:
    """Return the settings file: the one named, else $RECONCILER_CONFIG, XDG's, /etc's; None where there is none.

    Raises ConfigurationError where one was named that is not there.
    """
    named = config or (Path(env["RECONCILER_CONFIG"]) if env.get("RECONCILER_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise ConfigurationError(f"there is no settings file {named}", remedy="name one that exists, or name none")
        return named
    home = env.get("XDG_CONFIG_HOME") or os.path.join(env.get("HOME", "~"), ".config")
    usual = (Path(home) / "reconciler" / FILE, Path("/etc/reconciler") / FILE)
    return next((path for path in usual if path.is_file()), None)


def load_settings(path: Path | None, env: Mapping[str, str]) -> Settings:
    """Return the settings of a file (None: the defaults), overridden by `RECONCILER_*`. Raises SpecError."""
    value, places, written = _read(path) if path is not None else ({}, Places([1, 1, 1, 1, None]), {})
    problems = _override(value, env)
    if problems:
        raise SpecError(problems)
    settings, faults = validated(value, places, Settings, written)
    if faults:
        raise SpecError([places.problem(fault, file=str(path or "the environment")) for fault in faults])
    assert isinstance(settings, Settings)  # noqa: S101 - validated without faults
    return settings


def _read(path: Path) -> tuple[dict[str, Any], Places, Mapping[tuple[int, int], str]]:
    try:
        parsed = parse(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", remedy="make it readable for this account") from error
    if parsed.flaws:
        raise SpecError(
            [Problem(str(path), f.line, f.column, f.code, f.message, f.remedy, f.value) for f in parsed.flaws]
        )
    if not parsed.documents or parsed.documents[0].value is None:
        return {}, Places([1, 1, 1, 1, None]), {}
    first = parsed.documents[0]
    if len(parsed.documents) > 1 or not isinstance(first.value, dict):
        problem = Problem(str(path), 1, 1, "wrong-type", "settings are one mapping", "write `key: value` lines")
        raise SpecError([problem])
    return first.value, Places(first.place), first.written


def _override(value: dict[str, Any], env: Mapping[str, str]) -> list[Problem]:
    """Put what the environment says into `value`; `__` separates levels, values are JSON or plain text."""
    problems = []
    known = {name.upper(): name for name in Settings.model_fields}
    for variable in sorted(env):
        if not variable.startswith(PREFIX) or variable in RESERVED:
            continue
        first, *rest = variable.removeprefix(PREFIX).split("__")
        if first not in known:
            guess = nearest(first.lower(), Settings.model_fields)
            remedy = f"did you mean {PREFIX}{guess.upper()}?" if guess else f"use {', '.join(sorted(known.values()))}"
            problems.append(
                Problem("the environment", 0, 0, "unknown-key", f"{variable} is no setting", remedy, variable)
            )
            continue
        _put(value, [known[first], *(step.lower() for step in rest)], _plain(env[variable], known[first], rest))
    return problems


def _put(value: dict[str, Any], path: list[str], new: Any) -> None:
    for step in path[:-1]:
        inner = value.get(step)
        value[step] = dict(inner) if isinstance(inner, dict) else {}
        value = value[step]
    value[path[-1]] = new


def _plain(text: str, first: str, rest: list[str]) -> Any:
    """Read JSON where it is JSON and the setting is no text; a list of one may be written as plain text."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = text
    return [value] if isinstance(value, str) and _is_list([first, *(step.lower() for step in rest)]) else value


def _is_list(path: list[str]) -> bool:
    model: Any = Settings
    annotation: Any = None
    for step in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel)) or step not in model.model_fields:
            return False
        annotation = model.model_fields[step].annotation
        model = annotation
    return str(annotation).startswith("tuple")
