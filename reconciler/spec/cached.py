"""The cache of parsed files, as far as it is read without making specs: all that a pass over unchanged files needs.

`engine` and `app` call it; `load` writes the entries and reads them whole. It imports neither models of specs nor YAML.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from reconciler import __version__
from reconciler.errors import Problem
from reconciler.spec.canonical import SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Outline:
    """A spec of a cached file: its canonical JSON, the line it begins on, the types of its actions."""

    body: str
    line: int
    actions: frozenset[str]


def cache_key(content_digest: str, readers: Iterable[str] = ()) -> str:
    """Return the key under which the parse of a file may be kept: its bytes, our version, and who else reads it."""
    return f"{SCHEMA_VERSION}:{__version__}:{','.join(readers)}:{content_digest}"


def to_entry(body: Mapping[str, Any]) -> str:
    """Return an entry's JSON; a path's bytes that are not UTF-8 (surrogates) become `\\udcXX`, which orjson refuses."""
    try:
        return orjson.dumps(body).decode()
    except TypeError:
        return json.dumps(body)


def from_entry(text: str) -> Mapping[str, Any]:
    """Return what `to_entry` wrote."""
    entry: Mapping[str, Any]
    try:
        entry = orjson.loads(text)
    except orjson.JSONDecodeError:
        entry = json.loads(text)
    return entry


def outline(text: str) -> tuple[tuple[Outline, ...], tuple[Problem, ...]]:
    """Return what `load.dump_loaded` wrote, the specs as they would be stored."""
    entry = from_entry(text)
    specs = tuple(
        Outline(
            orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode(),
            line,
            frozenset(action["type"] for action in plain["actions"]),
        )
        for plain, line, _ in entry["specs"]
    )
    return specs, tuple(Problem(**problem) for problem in entry["problems"])
