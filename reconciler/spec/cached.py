"""The cache of parsed files, as far as it is read without making specs: all that a pass over unchanged files needs.

`engine` and `app` call it; `load` writes the entries and reads them whole. It imports neither models of specs nor YAML.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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


def outline(text: str) -> tuple[tuple[Outline, ...], tuple[Problem, ...]]:
    """Return what `load.dump_loaded` wrote, the specs as they would be stored."""
    entry = orjson.loads(text)
    specs = tuple(
        Outline(
            orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode(),
            line,
            frozenset(action["type"] for action in plain["actions"]),
        )
        for plain, line, *_ in entry["specs"]  # entries that are older hold more
    )
    return specs, tuple(Problem(**problem) for problem in entry["problems"])
