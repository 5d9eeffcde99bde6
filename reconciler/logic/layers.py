"""Which files of a source are hidden by sources listed after it: they replace files of the same name, or mask them.

The engine asks once a pass, `plan --from` for two commits. What a source hid when it could last be read it hides
while it cannot: a directory that is not mounted lets nothing loose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.protocols import Snapshot


@dataclass(frozen=True, slots=True)
class Hider:
    """What hides a file; `deliberate`: by a commit."""

    source: str
    deliberate: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """One source as it was looked at: `snapshot` is None where it could not be read, `hides` are the names it hides."""

    source: str
    snapshot: Snapshot | None
    hides: frozenset[str]


@dataclass(frozen=True, slots=True)
class Uncovered:
    """What is left of a source's snapshot, and which of its files (by path) are hidden by what."""

    snapshot: Snapshot
    hidden: Mapping[str, Hider]


def uncovered(layers: Sequence[Layer]) -> list[Uncovered | None]:
    """Return what of each layer is not hidden by a later one; None for those that could not be read."""
    found: list[Uncovered | None] = []
    above: dict[str, Hider] = {}
    for layer in reversed(layers):
        found.insert(0, _left(layer.snapshot, above) if layer.snapshot is not None else None)
        deliberate = layer.snapshot is not None and layer.snapshot.deliberate
        above = {**dict.fromkeys(layer.hides, Hider(layer.source, deliberate)), **above}
    return found


def _left(snapshot: Snapshot, above: Mapping[str, Hider]) -> Uncovered:
    hidden = {file.path: above[file.name] for file in snapshot.files if file.name in above} if above else {}
    if not above:
        return Uncovered(snapshot, hidden)
    files = tuple(file for file in snapshot.files if file.path not in hidden)
    problems = tuple(p for p in snapshot.problems if p.file.rpartition("/")[2] not in above)
    return Uncovered(replace(snapshot, files=files, problems=problems), hidden)


def worth_keeping(layers: Sequence[Layer]) -> Mapping[str, frozenset[str]]:
    """Return by source which names a restart must know to be hidden: masks, and what is really replaced below."""
    kept: dict[str, frozenset[str]] = {}
    below: set[str] = set()
    for layer in layers:
        if layer.snapshot is not None:
            own = {file.name for file in layer.snapshot.files}
            kept[layer.source] = frozenset(name for name in layer.hides if name in below or name not in own)
            below |= own
    return kept
