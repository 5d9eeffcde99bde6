"""Which patterns the standard library's `re` may run on a short line: those that never search one place twice.

Called by `patterns`, for taking captures: on a line of a hundred characters `re` answers in half the time that a call
of RE2 takes. It refuses whatever could backtrack far, so that the time is bounded by the square of a short line.
"""

from __future__ import annotations

import re

from reconciler.logic.syntax import Alt, At, Chars, Greed, Group, Node, Rep, Seq, merged, nullable

#: Bytes of a line up to which `re` may run.
SHORT = 256
#: Ways to read a text that a pattern may have at one place.
MAX_WAYS = 8

Ranges = tuple[tuple[int, int], ...]


class _Backtracks(Exception):
    """It might search one place again and again."""


def prompt(expression: str, tree: Node) -> re.Pattern[str] | None:
    """Return the pattern compiled by `re` (it is valid), None where `re` may take long for it."""
    try:
        if _ways(tree, ()) > MAX_WAYS:
            return None
    except _Backtracks:
        return None
    return re.compile(expression, re.ASCII)


def _ways(node: Node, follow: Ranges) -> int:
    """Count the ways to read a text at one place; `follow`: what may come behind it, nothing where all is read."""
    match node:
        case Chars() | At():
            return 1
        case Group(_, item):
            return _ways(item, follow)
        case Alt(items):
            return sum(_ways(item, follow) for item in items)
        case Seq(items):
            ways = 1
            for item in reversed(items):
                ways *= _ways(item, follow)
                follow = _first(item, follow)
            return ways
        case Rep():
            return _ways_of_repeat(node, follow)
        case _:
            raise _Backtracks


def _ways_of_repeat(node: Rep, follow: Ranges) -> int:
    """Where no character of a repeat may come behind it, it ends at one place only, and fails at once elsewhere."""
    item = node.item.item if isinstance(node.item, Group) else node.item
    if node.greed is Greed.POSSESSIVE:
        raise _Backtracks  # a way to lose, and no way to gain: rare
    if (node.low, node.high) == (0, 1):
        return 1 + _ways(item, follow)
    if not isinstance(item, Chars):
        raise _Backtracks
    if node.low == node.high or not _meet(item.ranges, follow):
        return 1
    if node.high - node.low >= MAX_WAYS:
        raise _Backtracks
    return node.high - node.low + 1


def _first(node: Node, follow: Ranges) -> Ranges:
    """Return the characters that the node, or where it takes none what follows it, may begin with."""
    match node:
        case Chars(ranges):
            return ranges
        case Group(_, item):
            return _first(item, follow)
        case Alt(items):
            return merged(pair for item in items for pair in _first(item, follow))
        case Seq(items):
            for item in reversed(items):
                follow = _first(item, follow)
            return follow
        case Rep(item, low, _):
            own = _first(item, follow)
            return merged([*own, *follow]) if low == 0 or nullable(item) else own
        case _:
            return follow


def _meet(one: Ranges, other: Ranges) -> bool:
    return any(low <= last and first <= high for low, high in one for first, last in other)
