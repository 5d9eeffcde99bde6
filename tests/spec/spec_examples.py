"""The joined model of the built-in actions, and small texts, for the tests of this folder."""

from __future__ import annotations

from reconciler.errors import Problem
from reconciler.registry import discover
from reconciler.spec.load import Loaded, load_file
from reconciler.spec.union import watcher_model

MODEL = watcher_model(plugin.spec for plugin in discover("reconciler.actions", "reconciler.actions").values())
GOOD = 'name: x\npattern: "a"\nactions:\n  - type: log_event\n    params: {message: m}\n'


def load(text: str | bytes, path: str = "w.yaml") -> Loaded:
    """Return what a file with this text gives."""
    return load_file(text if isinstance(text, bytes) else text.encode(), path, MODEL)


def problems(text: str | bytes) -> list[tuple[str, int, int]]:
    """Return code, line and column of every problem of a bad file."""
    loaded = load(text)
    assert loaded.specs == ()
    assert loaded.problems
    return [(problem.code, problem.line, problem.column) for problem in loaded.problems]


def only(text: str | bytes) -> Problem:
    """Return the only problem of a file."""
    loaded = load(text)
    assert len(loaded.problems) == 1, loaded.problems
    assert loaded.specs == ()
    return loaded.problems[0]
