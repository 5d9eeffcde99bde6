"""What is wrong, and where in the document: the value that rules, checks and the YAML reader hand to `load`.

A Fault knows the path (`("actions", 0, "params")`), `Places` turns it into line and column. Neither knows files or
pydantic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from reconciler.errors import Problem

#: The way from the top of a watcher (or of the settings) to one of its values.
Path: TypeAlias = tuple[str | int, ...]

#: `[key line, key column, line, column, children]`, lines and columns from 1; children are a dict for a mapping, a
#: list for a sequence, None for a scalar. Plain lists, so that the cache of parsed files stores them as they are.
RawPlace: TypeAlias = list[Any]

#: How much of an offending value is shown.
VALUE_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong at `path`. `key`: the key itself is meant, not its value. `value`: what was written there.

    `guess`: the key that an unknown one was probably meant to be; `missing`: the key that is not there.
    """

    path: Path
    code: str
    message: str
    remedy: str
    value: str = ""
    key: bool = False
    severity: str = "error"
    guess: str = ""
    missing: str = ""


class Places:
    """Where each value of one document stands."""

    __slots__ = ("raw",)

    def __init__(self, raw: RawPlace) -> None:
        self.raw = raw

    @property
    def line(self) -> int:
        """The line where the document's first key stands."""
        return int(self.raw[2])

    def find(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Return line and column of the value at `path`, or of the nearest value around it that exists."""
        place = self._walk(path)
        return place[2], place[3]

    def find_key(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Return line and column of the key at `path` (of the item, in a list)."""
        place = self._walk(path)
        return place[0], place[1]

    def real(self, path: Sequence[str | int]) -> Path:
        """Return `path` without the steps that the document does not have (pydantic adds the members of unions)."""
        place, steps = self.raw, []
        for step in path:
            child = _child(place, step)
            if child is not None:
                place = child
                steps.append(step)
        return tuple(steps)

    def below(self, path: Sequence[str | int]) -> RawPlace:
        """Return the places below `path`, or those of the nearest value around it that exists, without children."""
        place = self._walk(path)
        return place if self.real(path) == tuple(path) else [*place[:4], {}]

    def _walk(self, path: Sequence[str | int]) -> RawPlace:
        place = self.raw
        for step in path:
            child = _child(place, step)
            if child is None:
                break
            place = child
        return place

    def problem(self, fault: Fault, *, file: str, watcher: str = "") -> Problem:
        """Return the fault as a Problem of `file`."""
        line, column = self.find_key(fault.path) if fault.key else self.find(fault.path)
        return Problem(
            file,
            line,
            column,
            fault.code,
            fault.message,
            fault.remedy,
            cut(fault.value),
            watcher,
            severity=fault.severity,
            field=dotted((*fault.path, fault.missing) if fault.missing else fault.path),
        )


def _child(place: RawPlace, step: str | int) -> RawPlace | None:
    children = place[4]
    if isinstance(children, dict):
        found: RawPlace | None = children.get(step)
        return found
    if isinstance(children, list) and isinstance(step, int) and 0 <= step < len(children):
        return children[step]  # type: ignore[no-any-return]
    return None


def cut(value: str, limit: int = VALUE_CHARACTERS) -> str:
    """Return `value` on one line and not longer than `limit` characters."""
    line = value.replace("\n", "\\n").replace("\r", "\\r")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def dotted(path: Sequence[str | int]) -> str:
    """Return `actions[0].params.message`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
