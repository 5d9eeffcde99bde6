"""Telling output that means something from a script line that was only echoed.

A job script that holds `grep 'DIR=(.+)' log` prints that line under `set -x`; the pattern `DIR=(.+)` meets it, and
means something else. Called by the patterns for each match; decides from the line alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

# A lone dot does not make a pattern of it: `model.pt saved` may well be meant word for word, and is what the job
# prints then.
_META = re.compile(r"[\\^$*+?{}\[\]|()]")


@lru_cache(maxsize=4096)
def sources(expression: str) -> tuple[str, ...]:
    """Return how the expression may stand in an echoed line: as it is, and escaped as in YAML, JSON or Python strings.

    None at all for a pattern of plain words, whose every match counts.
    """
    if not _META.search(expression):
        return ()
    doubled = expression.replace("\\", "\\\\")
    return tuple(dict.fromkeys((expression, doubled, doubled.replace('"', '\\"'))))


@lru_cache(maxsize=4096)
def mark(expression: str) -> str | None:
    """Return a piece of text that a line has wherever it has one of `sources`; None where there are none."""
    if not sources(expression):
        return None
    return max(re.split(r'[\\"]', expression), key=lambda piece: (bool(_META.search(piece)), len(piece)))


def is_echo(expression: str, text: str, start: int, end: int, matches: Callable[[str], bool]) -> bool:
    """Tell whether the match `text[start:end]` is the pattern's own source, echoed.

    It is where it begins inside the source as it stands in the line (however far a greedy part runs on), or where it
    begins before the source, reaches into it, and there is no match in the line without it (`matches(line)` tells).
    """
    for first, last in _occurrences(expression, text):
        if first <= start < last:
            return True
        if start < first < end and not matches(f"{text[:first]} {text[last:]}"):
            return True
    return False


def _occurrences(expression: str, text: str) -> Iterator[tuple[int, int]]:
    for source in sources(expression):
        at = text.find(source)
        while at >= 0:
            yield at, at + len(source)
            at = text.find(source, at + len(source))
