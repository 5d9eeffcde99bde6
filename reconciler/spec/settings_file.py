"""The operator's settings: which file, what it says, and what the environment overrides.

The same loader as for watchers, so that every error names file, line, column and remedy. Only `app` calls it. What
stands in sections that may hold secrets (channels, client, hosts, ...), and what a variable brought, is never shown in
an error.
"""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import orjson
from pydantic import BaseModel, SecretStr

from reconciler.errors import ConfigurationError, Problem, SpecError
from reconciler.settings import Settings, Written

if TYPE_CHECKING:
    from pydantic import ValidationError

    from reconciler.spec.faults import Fault, Places, RawPlace
    from reconciler.spec.faults import Path as Steps

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
ENVIRONMENT = "the environment"
#: Sections whose values may be, or hold, secrets.
_SECRET = frozenset({"actions", "channels", "client", "hosts", "sinks", "sources"})
#: Flaws of the text that quote what a person meant as a value: a password may begin with such a character.
_QUOTING: Mapping[str, tuple[str, str]] = {
    "alias": (
        "`*` means an alias here, and it names no anchor above it",
        "put the value in quotes if no alias is meant",
    ),
    "tag": (
        "`!` means a tag here, and it does not fit",
        "put the value in quotes if no tag is meant, else delete the tag",
    ),
}


def find_settings(config: Path | None, env: Mapping[str, str]) -> Path | None:
    """Return the settings file: the one named, else $RECONCILER_CONFIG, XDG's, /etc's; None where there is none.

    Raises ConfigurationError where one was named that is not there, or one is there that cannot be read: its policy
    would be forgotten.
    """
    named = config or (Path(env["RECONCILER_CONFIG"]) if env.get("RECONCILER_CONFIG") else None)
    if named is not None:
        return _regular(named, "name one that exists, or name none")
    xdg, home = env.get("XDG_CONFIG_HOME", ""), env.get("HOME")
    config_home = Path(xdg) if xdg.startswith("/") else (Path(home) if home else Path.home()) / ".config"
    usual = (config_home / "reconciler" / FILE, Path("/etc/reconciler") / FILE)
    there = next((path for path in usual if not _is_missing(path)), None)
    return there and _regular(there, "make it readable for this account, or take it away")


def _is_missing(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, (FileNotFoundError, NotADirectoryError))
    return False


def _regular(path: Path, remedy: str) -> Path:
    """Return `path` where it is a regular file: others, such as a pipe, cannot be read again and again."""
    try:
        why = "" if stat.S_ISREG(path.stat().st_mode) else "it is no regular file"
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise ConfigurationError(f"the settings file {path} cannot be read: {why}", remedy=remedy)
    return path


def load_settings(path: Path | None, env: Mapping[str, str]) -> Settings:
    """Return the settings of a file (None: the defaults), overridden by `RECONCILER_*`. Raises SpecError."""
    if path is None and not any(variable.startswith(PREFIX) and variable not in RESERVED for variable in env):
        return Settings()
    from reconciler.spec.faults import Places  # both save start-up time where nobody wrote any settings
    from reconciler.spec.load import validated

    value, places, written = _read(path) if path is not None else ({}, Places([0, 0, 0, 0, {}]), {})
    overridden, problems = _override(value, env)
    for steps in overridden:
        _place(places.raw, steps)
    settings, faults = validated(value, places, Settings, written, lambda path: _hidden(path, overridden))
    known = Written(str(path or ENVIRONMENT), places.raw, written, overridden)
    problems += [_problem(fault, known) for fault in faults]
    if problems or settings is None:
        raise SpecError(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    return settings.read_from(known)


def section_error(settings: Settings, section: Steps, error: ValidationError, model: type[BaseModel]) -> SpecError:
    """Return what is wrong with a plugin's section of these settings, at its place, without what was written there."""
    from reconciler.spec.explain import explain  # all save start-up time where nothing is wrong
    from reconciler.spec.faults import Places

    places = Places(Places(settings.written.places).below(section))
    details = error.errors(include_url=False)
    faults = list(explain(details, places, model, settings.written.scalars, hidden=lambda path: True))
    faults = [dataclasses.replace(fault, path=(*section, *fault.path)) for fault in faults]
    problems = [_problem(fault, settings.written) for fault in faults]
    return SpecError(sorted(problems, key=lambda problem: (problem.line, problem.column)))


def unknown_type(settings: Settings, section: Steps, name: str, known: Iterable[str]) -> SpecError:
    """Return that a section names a type that is not installed."""
    from reconciler.spec.faults import Fault

    message = f"{'.'.join(map(str, section))}: there is no type {name!r}"
    fault = Fault((*section, "type"), "unknown-type", message, f"use one of: {', '.join(sorted(known))}")
    return SpecError([_problem(fault, settings.written)])


def _hidden(path: Steps, overridden: Iterable[Steps]) -> bool:
    """Tell whether what stands at `path` may hold a secret, or what a variable brought."""
    return not path or path[0] in _SECRET or any(path[: len(s)] == s[: len(path)] for s in overridden)


def _place(raw: RawPlace, steps: tuple[str, ...]) -> None:
    """Give what a variable brought a place, at line 0, so that faults find it."""
    for step in steps[:-1]:
        raw[4] = raw[4] if isinstance(raw[4], dict) else {}
        raw = raw[4].setdefault(step, [0, 0, 0, 0, {}])
    raw[4] = {**(raw[4] if isinstance(raw[4], dict) else {}), steps[-1]: [0, 0, 0, 0, None]}


def _read(path: Path) -> tuple[dict[str, Any], Places, Mapping[tuple[int, int], str]]:
    from reconciler.spec.faults import Places  # both save start-up time where there is no file
    from reconciler.spec.yaml import parse

    try:
        parsed = parse(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", remedy="make it readable for this account") from error
    if parsed.flaws:  # without the line itself, which may hold a secret
        told = [(flaw, *_QUOTING.get(flaw.code, (flaw.message, flaw.remedy))) for flaw in parsed.flaws]
        raise SpecError([Problem(str(path), f.line, f.column, f.code, message, do) for f, message, do in told])
    if not parsed.documents or (len(parsed.documents) == 1 and parsed.documents[0].value is None):
        return {}, Places([1, 1, 1, 1, {}]), {}
    first = parsed.documents[0]
    if len(parsed.documents) > 1 or not isinstance(first.value, dict):
        problem = Problem(str(path), 1, 1, "wrong-type", "settings are one mapping", "write `key: value` lines")
        raise SpecError([problem])
    return first.value, Places(first.place), first.written


def _problem(fault: Fault, written: Written) -> Problem:
    """Place a fault: in the file, or at the variable that brought the value."""
    from reconciler.spec.faults import Places

    if fault.path and fault.path[0] in _SECRET:
        fault = dataclasses.replace(fault, value="")
    steps = tuple(str(step) for step in fault.path)
    for path, variable in written.overridden.items():
        if steps[: len(path)] == path:
            return Problem(ENVIRONMENT, 0, 0, fault.code, f"{variable}: {fault.message}", fault.remedy)
    return Places(written.places).problem(fault, file=written.file)


# --- the environment -------------------------------------------------------------------------------------------------


def _override(value: dict[str, Any], env: Mapping[str, str]) -> tuple[dict[tuple[str, ...], str], list[Problem]]:
    """Put what the environment says into `value`: `__` divides levels.

    Return which path came from which variable, and a problem for each variable that is no setting.
    """
    came_from: dict[tuple[str, ...], str] = {}
    problems = []
    for variable in sorted(env):
        if not variable.startswith(PREFIX) or variable in RESERVED:
            continue
        steps = [step.lower() for step in variable.removeprefix(PREFIX).split("__")]
        if steps[0] in Settings.model_fields and all(steps):
            came_from[_put(value, steps, _plain(env[variable], _annotation(steps)))] = variable
        else:
            problems.append(_no_setting(variable, steps[0]))
    return came_from, problems


def _no_setting(variable: str, first: str) -> Problem:
    from reconciler.spec.known import nearest  # saves start-up time

    guess = nearest(first, Settings.model_fields)
    known = ", ".join(sorted(PREFIX + name.upper() for name in Settings.model_fields))
    remedy = f"did you mean {PREFIX}{guess.upper()}? Levels are divided by __" if guess else f"known: {known}"
    return Problem(ENVIRONMENT, 0, 0, "unknown-key", f"{variable} is no setting", remedy, variable)


def _put(value: dict[str, Any], steps: list[str], new: Any) -> tuple[str, ...]:
    """Set `new` at `steps`; a key of the file in another case (a host) is the same. Return the path in `value`."""
    path = []
    for number, step in enumerate(steps):
        key = next((name for name in value if name.lower() == step), step)
        path.append(key)
        if number == len(steps) - 1:
            value[key] = new
            break
        inner = value.get(key)
        value[key] = dict(inner) if isinstance(inner, dict) else {}
        value = value[key]
    return tuple(path)


def _annotation(steps: list[str]) -> Any:
    """Return what the models say of the setting at `steps`; None below raw sections."""
    annotation: Any = Settings
    for step in steps:
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
        if model is None or step not in model.model_fields:
            return None
        annotation = model.model_fields[step].annotation
    return annotation


def _plain(text: str, annotation: Any) -> Any:
    """Read JSON where it is JSON; else it is text, or a list of one where a list is wanted."""
    listed = get_origin(annotation) is tuple
    members = {annotation, *get_args(annotation)}
    if not listed and members & {str, Path, SecretStr} and not text.startswith('"'):
        return text
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = text
    return [value] if listed and isinstance(value, str) else value
