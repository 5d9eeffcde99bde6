"""Which items of an old list go on in a new one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Lists whose lengths multiply to more are matched item by item.
MOST_PAIRS = 100_000
_SAME, _ALIKE, _KIN = 10_000, 100, 1


def aligned(old: Sequence[Any], new: Sequence[Any], same: Callable[[Any, Any], bool]) -> Mapping[int, int]:
    """Return for indexes of `new` the item of `old` that goes on there, in the order of both: as many that are the
    same as can be, then mappings of one `type`, then any of one kind."""
    if len(old) * len(new) > MOST_PAIRS:
        return {index: index for index in range(min(len(old), len(new)))}
    worth = [[_worth(before, after, same) for after in new] for before in old]
    best = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in range(len(old) - 1, -1, -1):
        for j in range(len(new) - 1, -1, -1):
            paired = worth[i][j] + best[i + 1][j + 1] if worth[i][j] else 0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    return _traced(worth, best)


def _traced(worth: list[list[int]], best: list[list[int]]) -> dict[int, int]:
    pairs: dict[int, int] = {}
    i = j = 0
    while i < len(worth) and j < len(worth[i]):
        if worth[i][j] and best[i][j] == worth[i][j] + best[i + 1][j + 1]:
            pairs[j] = i
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _worth(old: Any, new: Any, same: Callable[[Any, Any], bool]) -> int:
    if same(old, new):
        return _SAME
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return _ALIKE if old.get("type") == new.get("type") else _KIN
    return 0
