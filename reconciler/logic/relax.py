"""Making, from a pattern's tree, a simpler one that is only asked whether a line may match.

Called by `patterns` for what scans whole blocks. The result never misses a line that the pattern matches; whether it
also never says yes in vain is returned with it. Repeats at the edges drop out: they change where a match ends, not
whether there is one.
"""

from __future__ import annotations

from reconciler.logic.syntax import (
    ANY,
    EMPTY,
    NEVER,
    NEWLINE,
    UNBOUNDED,
    Alt,
    At,
    Atomic,
    Back,
    Chars,
    Cond,
    Greed,
    Group,
    Look,
    Node,
    Rep,
    Seq,
    Where,
    nodes,
)

_CARRIAGE_RETURN = 0x0D
_LINE = ANY.without(NEWLINE, _CARRIAGE_RETURN)
_STARTS = (Where.TEXT_START, Where.LINE_START)
_ENDS = (Where.TEXT_END, Where.LINE_END, Where.TEXT_END_OR_NEWLINE)
MAX_COUNT = 100  # a counted repeat above this is cut: automata grow with it


def relax(tree: Node, *, lines: int) -> tuple[Node, bool]:
    """Return the simpler tree, and whether it is true of exactly the lines that the pattern matches.

    `lines` is 1 where a match lies within one line: then no part of the result can take a line end.
    """
    exact = not any(isinstance(node, (Look, Back, Cond, Atomic)) or _cut_short(node) for node in nodes(tree))
    loose = _loosen(tree, one_line=lines == 1)
    if lines > 1:
        return loose, False
    return _trim(_trim(loose, front=True), front=False), exact


def _cut_short(node: Node) -> bool:
    if not isinstance(node, Rep):
        return False
    return node.greed is Greed.POSSESSIVE or node.low > MAX_COUNT or MAX_COUNT < node.high < UNBOUNDED


def _loosen(node: Node, *, one_line: bool) -> Node:
    match node:
        case Chars():
            return node.without(NEWLINE, _CARRIAGE_RETURN) if one_line else node
        case Seq(items):
            return _sequence([_loosen(item, one_line=one_line) for item in items])
        case Alt(items):
            return _choice([_loosen(item, one_line=one_line) for item in items])
        case Rep(item, low, high):
            return _repeat(_loosen(item, one_line=one_line), low, high)
        case Group(_, item) | Atomic(item):
            return _loosen(item, one_line=one_line)
        case Cond(_, yes, no):
            return _choice([_loosen(yes, one_line=one_line), _loosen(no, one_line=one_line)])
        case Back():
            return Rep(_LINE if one_line else ANY, 0, UNBOUNDED)
        case Look():
            return EMPTY
        case At():
            return node


def _sequence(items: list[Node]) -> Node:
    flat: list[Node] = []
    for item in items:
        flat.extend(item.items if isinstance(item, Seq) else [item])
    if NEVER in flat:
        return NEVER
    return flat[0] if len(flat) == 1 else Seq(tuple(flat))


def _choice(items: list[Node]) -> Node:
    possible = tuple(item for item in items if item != NEVER)
    if not possible:
        return NEVER
    return possible[0] if len(possible) == 1 else Alt(possible)


def _repeat(item: Node, low: int, high: int) -> Node:
    if item == NEVER:
        return NEVER if low else EMPTY
    if item == EMPTY or high == 0:
        return EMPTY
    if (low, high) == (1, 1):
        return item
    cut = high > MAX_COUNT
    return Rep(item, min(low, MAX_COUNT), UNBOUNDED if cut else high)


def _trim(node: Node, *, front: bool) -> Node:
    """Drop what may be absent at one edge, and leave one of what must be there at least once."""
    match node:
        case Rep(item, low, _):
            if low == 0:
                return EMPTY
            rest = Rep(item, low - 1, low - 1) if low > 2 else item
            edge = _trim(item, front=front)
            return edge if low == 1 else _sequence([edge, rest] if front else [rest, edge])
        case Alt(items):
            trimmed = [_trim(item, front=front) for item in items]
            return EMPTY if EMPTY in trimmed else _choice(trimmed)
        case Seq(items) if items:
            return _trim_sequence(list(items), front=front)
        case _:
            return node


def _trim_sequence(items: list[Node], *, front: bool) -> Node:
    edge, place = (0, _STARTS) if front else (-1, _ENDS)
    while items:
        outer = items[edge]
        if isinstance(outer, At) and outer.where in place and len(items) > 1 and _whole_line(items[1 if front else -2]):
            del items[edge]  # `^.*` and `.*$` hold everywhere in a line
            continue
        items[edge] = _trim(items[edge], front=front)
        if items[edge] != EMPTY:
            break
        del items[edge]
    return _sequence(items) if items else EMPTY


def _whole_line(node: Node) -> bool:
    return isinstance(node, Rep) and node.low == 0 and node.high == UNBOUNDED and node.item == _LINE
