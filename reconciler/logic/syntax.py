"""What a pattern means: Python's own reading of it, turned into a small tree in which nothing is left to flags.

Called by `patterns`, which has the tree written out anew for each engine (`render`). The standard library's parser
decides what is valid; what it accepts and no engine here can run exactly is refused with the reason.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

# The parser is not public, but stable since 3.11 (`sre_parse` before), and asking it is the only way to read patterns
# as `re` does.
from re import _constants as sre  # type: ignore[attr-defined, unused-ignore]  # isort: skip
from re import _parser as parser  # type: ignore[attr-defined, unused-ignore]  # isort: skip

from reconciler.errors import ConfigurationError

MAX_CHAR = 0x10FFFF
UNBOUNDED = int(sre.MAXREPEAT)
NEWLINE = 0x0A

T = TypeVar("T")


class Unsupported(Exception):
    """Valid for Python, but not to be run exactly here; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of these ranges of code points (inclusive, ascending, apart). None at all: never matches."""

    ranges: tuple[tuple[int, int], ...]

    def without(self, *points: int) -> Chars:
        """Return the set less these code points."""
        return Chars(_minus(self.ranges, points))

    @property
    def single(self) -> int | None:
        """The only member, where there is one."""
        (low, high) = self.ranges[0] if len(self.ranges) == 1 else (0, 1)
        return low if low == high else None


@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other; empty: the empty text."""

    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Alt:
    """The first of these that leads to a match."""

    items: tuple[Node, ...]


class Greed(Enum):
    """How a repeat chooses."""

    GREEDY = ""
    LAZY = "?"
    POSSESSIVE = "+"


@dataclass(frozen=True, slots=True)
class Rep:
    """`low` to `high` times (`UNBOUNDED`: any number)."""

    item: Node
    low: int
    high: int
    greed: Greed = Greed.GREEDY


@dataclass(frozen=True, slots=True)
class Group:
    """A capturing group."""

    number: int
    item: Node


class Where(Enum):
    """A place between characters."""

    TEXT_START = "start of the text"
    LINE_START = "start of the text, or behind a newline"
    TEXT_END = "end of the text"
    TEXT_END_OR_NEWLINE = "end of the text, or before its last newline"
    LINE_END = "end of the text, or before a newline"
    WORD = "edge of a word"
    NOT_WORD = "no edge of a word, in a text that is not empty"


@dataclass(frozen=True, slots=True)
class At:
    """Matches a place."""

    where: Where


@dataclass(frozen=True, slots=True)
class Look:
    """Look-ahead or look-behind."""

    item: Node
    behind: bool
    negated: bool


@dataclass(frozen=True, slots=True)
class Back:
    """The text of an earlier group again."""

    number: int
    ignore_case: bool


@dataclass(frozen=True, slots=True)
class Cond:
    """`yes` where the group took part, else `no`."""

    number: int
    yes: Node
    no: Node


@dataclass(frozen=True, slots=True)
class Atomic:
    """No way back into it."""

    item: Node


Node = Chars | Seq | Alt | Rep | Group | At | Look | Back | Cond | Atomic

NEVER = Chars(())
EMPTY = Seq()
ANY = Chars(((0, MAX_CHAR),))


@dataclass(frozen=True, slots=True)
class Parsed:
    """A pattern as a tree, with its number of groups and their names."""

    expression: str
    tree: Node
    groups: int
    names: Mapping[str, int]


def parse(expression: str) -> Parsed:
    """Return what the pattern means under `re.ASCII`.

    Raises ConfigurationError, with the column where it is known, for what Python does not accept; Unsupported for
    what cannot be run here.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "possible nested set": valid, and what it means is well defined
            compiled = re.compile(expression, re.ASCII)
            parsed = parser.parse(expression, int(re.ASCII))
            tree = _Reader(expression).sequence(parsed, parsed.state.flags)
    except re.error as error:
        where = "" if error.colno is None else f" at column {error.colno}"
        raise ConfigurationError(f"pattern {expression!r:.120}{where}: {error.msg}", remedy=_REMEDY) from error
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(f"pattern {expression!r:.120}: {error}", remedy=_REMEDY) from error
    except (RecursionError, MemoryError) as error:
        raise ConfigurationError(f"pattern {expression!r:.120}: nested too deep", remedy=_REMEDY) from error
    return Parsed(expression, tree, compiled.groups, dict(compiled.groupindex))


_REMEDY = "patterns are Python regular expressions, see https://docs.python.org/3/library/re.html"

_PLACES = {
    sre.AT_BEGINNING_STRING: Where.TEXT_START,
    sre.AT_END_STRING: Where.TEXT_END,
    sre.AT_BOUNDARY: Where.WORD,
    sre.AT_NON_BOUNDARY: Where.NOT_WORD,
}
_GREED = {
    sre.MAX_REPEAT: Greed.GREEDY,
    sre.MIN_REPEAT: Greed.LAZY,
    sre.POSSESSIVE_REPEAT: Greed.POSSESSIVE,
}
_DIGIT = ((0x30, 0x39),)
_SPACE = ((0x09, 0x0D), (0x20, 0x20))
_WORD = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))


class _Reader:
    """Walks the parser's tree; every method takes the flags that hold where it stands."""

    def __init__(self, expression: str) -> None:
        self.expression = expression

    def sequence(self, parsed: Iterable[tuple[Any, Any]], flags: int) -> Node:
        items = tuple(self.item(op, value, flags) for op, value in parsed)
        return items[0] if len(items) == 1 else Seq(items)

    def item(self, op: Any, value: Any, flags: int) -> Node:
        if op in _GREED:
            low, high, body = value
            return Rep(self.sequence(body, flags), int(low), int(high), _GREED[op])
        if op in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN):
            return self.chars(op, value, flags)
        if op is sre.SUBPATTERN:
            return self.subpattern(value, flags)
        if op is sre.BRANCH:
            return Alt(tuple(self.sequence(branch, flags) for branch in value[1]))
        if op is sre.AT:
            return self.place(value, flags)
        return self.special(op, value, flags)

    def special(self, op: Any, value: Any, flags: int) -> Node:
        if op in (sre.ASSERT, sre.ASSERT_NOT):
            direction, body = value
            return Look(self.sequence(body, flags), direction < 0, op is sre.ASSERT_NOT)
        if op is sre.GROUPREF:
            return Back(int(value), bool(flags & sre.SRE_FLAG_IGNORECASE))
        if op is sre.GROUPREF_EXISTS:
            number, yes, no = value
            return Cond(int(number), self.sequence(yes, flags), self.sequence(no, flags) if no else EMPTY)
        if op is sre.ATOMIC_GROUP:
            return Atomic(self.sequence(value, flags))
        if op is sre.FAILURE:
            return NEVER
        raise Unsupported(f"this version of Python reads {op} into it, which is not known here")

    def subpattern(self, value: Any, flags: int) -> Node:
        number, added, removed, body = value
        if added & parser.TYPE_FLAGS:
            flags &= ~parser.TYPE_FLAGS
        inner = self.sequence(body, (flags | added) & ~removed)
        return inner if number is None else Group(int(number), inner)

    def place(self, value: Any, flags: int) -> Node:
        multiline = flags & sre.SRE_FLAG_MULTILINE
        if value is sre.AT_BEGINNING:
            return At(Where.LINE_START if multiline else Where.TEXT_START)
        if value is sre.AT_END:
            return At(Where.LINE_END if multiline else Where.TEXT_END_OR_NEWLINE)
        if value in (sre.AT_BOUNDARY, sre.AT_NON_BOUNDARY):
            _ascii_only(flags)
        return At(_PLACES[value])

    def chars(self, op: Any, value: Any, flags: int) -> Node:
        if op is sre.ANY:
            return ANY if flags & sre.SRE_FLAG_DOTALL else ANY.without(NEWLINE)
        items = list(value) if op is sre.IN else [(sre.LITERAL, value)]
        negated = op is sre.NOT_LITERAL
        if items and items[0][0] is sre.NEGATE:
            negated = True
            del items[0]
        members = merged(pair for kind, member in items for pair in _members(kind, member, flags))
        if flags & sre.SRE_FLAG_IGNORECASE:
            members = _both_cases(members, flags)
        return Chars(complement(members) if negated else members)


def _members(kind: Any, value: Any, flags: int) -> tuple[tuple[int, int], ...]:
    if kind is sre.LITERAL:
        return ((int(value), int(value)),)
    if kind is sre.RANGE:
        low, high = int(value[0]), int(value[1])
        if high > 0xFFFF and flags & sre.SRE_FLAG_IGNORECASE:
            # Here `re` folds more than ASCII, whatever the flags: (?i)[\u0178-\U0001f600] matches \xff.
            raise Unsupported("a range that ends beyond U+FFFF in a class that ignores case")
        return ((low, high),)
    _ascii_only(flags)
    ranges = {"DIGIT": _DIGIT, "SPACE": _SPACE, "WORD": _WORD}[str(value).rsplit("_", 1)[-1]]
    return complement(ranges) if "_NOT_" in str(value) else ranges


def _ascii_only(flags: int) -> None:
    if not flags & sre.SRE_FLAG_ASCII:
        raise Unsupported("(?u:...) asks for Unicode classes, and patterns are ASCII here")


def _both_cases(members: tuple[tuple[int, int], ...], flags: int) -> tuple[tuple[int, int], ...]:
    """Add the other case of ASCII letters, which are all that `re.ASCII` folds."""
    _ascii_only(flags)
    extra: list[tuple[int, int]] = []
    for low, high in members:
        for first, last, shift in ((0x41, 0x5A, 32), (0x61, 0x7A, -32)):
            if low <= last and high >= first:
                extra.append((max(low, first) + shift, min(high, last) + shift))
    return merged([*members, *extra])


def merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the ranges in order, those that overlap or touch made one."""
    result: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return tuple(result)


def complement(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return every code point that is not in the ranges."""
    result: list[tuple[int, int]] = []
    at = 0
    for low, high in ranges:
        if low > at:
            result.append((at, low - 1))
        at = high + 1
    if at <= MAX_CHAR:
        result.append((at, MAX_CHAR))
    return tuple(result)


def _minus(ranges: tuple[tuple[int, int], ...], points: Iterable[int]) -> tuple[tuple[int, int], ...]:
    return complement(merged([*complement(ranges), *((point, point) for point in points)]))


def nullable(node: Node) -> bool:
    """Tell whether the node may match without taking a character (places count as such; a back-reference may too)."""
    match node:
        case Chars():
            return False
        case Seq(items):
            return all(map(nullable, items))
        case Alt(items):
            return any(map(nullable, items))
        case Rep(item, low, _):
            return low == 0 or nullable(item)
        case Group(_, item) | Atomic(item):
            return nullable(item)
        case Cond(_, yes, no):
            return nullable(yes) or nullable(no)
        case _:
            return True


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes right inside this one."""
    match node:
        case Seq(items) | Alt(items):
            return items
        case Rep(item) | Group(_, item) | Look(item) | Atomic(item):
            return (item,)
        case Cond(_, yes, no):
            return (yes, no)
        case _:
            return ()


def nodes(node: Node) -> list[Node]:
    """Return the node and all that is inside it."""
    found = [node]
    for inner in found:
        found.extend(children(inner))
    return found
