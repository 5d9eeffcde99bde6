"""Hyperscan: scans blocks of whole lines for all patterns at once. It says which lines may match, RE2 what did.

Called by `patterns`. The library is imported when first wanted and may be missing; compiling (a hundred patterns take
an eighth of a second) is done by whoever calls `build`, which `patterns` does away from the loop.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

MAX_PATTERN = 20_000  # characters of one expression as written for Hyperscan; compile time grows with it


@lru_cache(maxsize=1)
def available() -> bool:
    """Tell whether the library is installed, without loading it."""
    return importlib.util.find_spec("hyperscan") is not None


class Database:
    """Compiled expressions. `left` are the pairs that Hyperscan would not take, for the RE2 gate to look after."""

    def __init__(self, compiled: Any, left: Sequence[tuple[int, str]]) -> None:
        import hyperscan  # see above

        self._scan = compiled.scan
        self._busy = hyperscan.ScratchInUseError
        self.left = tuple(left)

    def scan(self, block: bytes) -> list[tuple[int, int]] | None:
        """Return (end, index) of every match, ascending; None where another thread is scanning with this."""
        events: list[tuple[int, int]] = []

        def note(index: int, _start: int, end: int, _flags: int, _context: object, add: Any = events.append) -> None:
            add((end, index))

        try:
            self._scan(block, note)
        except self._busy:
            return None
        events.sort()
        return events


def build(patterns: Sequence[tuple[int, str]]) -> Database | None:
    """Compile (index, expression) pairs; None where the library is missing, is not sound, or takes none of them."""
    if not available() or not sound():
        return None
    taken = [pair for pair in patterns if len(pair[1]) <= MAX_PATTERN]
    left = [pair for pair in patterns if len(pair[1]) > MAX_PATTERN]
    compiled = _compile(taken)
    if compiled is None:
        taken, refused = _separate(taken)
        left += refused
        compiled = _compile(taken)
    return None if compiled is None else Database(compiled, left)


def accepts(pattern: str) -> bool:
    """Tell whether Hyperscan takes this expression."""
    return available() and sound() and len(pattern) <= MAX_PATTERN and _compile([(0, pattern)]) is not None


@lru_cache(maxsize=1)
def sound() -> bool:
    """Tell whether the library finds what it must.

    Vectorscan 5.4.12 (hyperscan 0.7.23 to 0.9.1 on PyPI) passes over a pair of characters that stands at certain
    places of its vectors (https://github.com/VectorCamp/vectorscan/issues/358). A line missed is worse than a slow
    scan, so it is tried first.
    """
    blocks = [lead * length + b".\nab\n" for lead in (b"a", b".") for length in range(130)]
    for expression in ("a[ ]*b", "[a-c]x*b", "ab"):
        compiled = _compile([(0, expression)])
        if compiled is None or not all(map(Database(compiled, ()).scan, blocks)):
            return False
    return True


def _separate(patterns: Sequence[tuple[int, str]]) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    good: list[tuple[int, str]] = []
    bad: list[tuple[int, str]] = []
    for pair in patterns:
        (good if _compile([pair]) is not None else bad).append(pair)
    return good, bad


def _compile(patterns: Sequence[tuple[int, str]]) -> Any:
    if not patterns:
        return None
    import hyperscan  # see the module's opening

    database = hyperscan.Database()
    with contextlib.suppress(hyperscan.HyperscanError):
        database.compile(
            expressions=[text.encode("ascii") for _, text in patterns],
            ids=[index for index, _ in patterns],
            flags=[hyperscan.HS_FLAG_MULTILINE] * len(patterns),
        )
        return database
    return None
