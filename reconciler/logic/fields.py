"""Which fields of a spec an edit changed, old and new, as dotted paths. Pure; `plan` asks for edited specs only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field: `actions[0].params.message`. None: not written before, or not any more (then the default holds)."""

    path: str
    old: Any
    new: Any


def field_changes(old: str, new: str) -> tuple[FieldChange, ...]:
    """Return what differs between two specs given as canonical JSON, in the order of their paths."""
    return tuple(_compare("", json.loads(old), json.loads(new)))


def _compare(path: str, old: Any, new: Any) -> Iterator[FieldChange]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _compare(f"{path}.{key}" if path else key, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _compare(f"{path}[{index}]", _at(old, index), _at(new, index))
    elif old != new:
        yield FieldChange(path, old, new)


def _at(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None
