"""Writing a pattern's tree out for an engine, so that it means the same there, or Unsupported is raised.

Three dialects: RE2 over UTF-8 and the `regex` module over text, which must find and capture exactly what `re` does;
and bytes (Hyperscan, RE2 over Latin-1), which only look for candidate lines in blocks of many lines, from a tree made
by `relax`.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod

from reconciler.logic.syntax import (
    MAX_CHAR,
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
    Unsupported,
    Where,
    nodes,
    nullable,
)

_RE2_MAX_REPEAT = 1000


class Dialect(ABC):
    """Writes what all engines write alike; a dialect says the rest."""

    places: dict[Where, str]
    never: str

    def write(self, node: Node) -> str:
        """Return the node as one unit that may be repeated or stand beside others."""
        match node:
            case Chars(()):
                return self.never
            case Chars():
                return self._chars(node)
            case Seq(items):
                return "".join(map(self.write, items)) if items else "(?:)"
            case Alt(items):
                return f"(?:{'|'.join(map(self.write, items))})"
            case Rep():
                return f"(?:{self._unit(node.item)}{quantifier(node)})"
            case Group(_, item):
                return f"({self.write(item)})"
            case At(where):
                return self._place(where)
            case _:
                return self._special(node)

    def _unit(self, node: Node) -> str:
        """Return the node in a form that a quantifier can follow."""
        text = self.write(node)
        return text if isinstance(node, (Chars, Group)) else f"(?:{text})"

    def _place(self, where: Where) -> str:
        if where not in self.places:
            raise Unsupported(f"{where.value}: not there in this engine")
        return self.places[where]

    def _chars(self, node: Chars) -> str:
        if node.single is not None:
            return self._escape(node.single)
        return "[" + "".join(self._span(low, high) for low, high in node.ranges) + "]"

    def _span(self, low: int, high: int) -> str:
        return self._escape(low) if low == high else f"{self._escape(low)}-{self._escape(high)}"

    @abstractmethod
    def _escape(self, point: int) -> str: ...

    def _special(self, node: Node) -> str:
        raise Unsupported(f"{type(node).__name__}: not there in this engine")


def quantifier(node: Rep) -> str:
    """Return `*`, `+`, `?` or the counted form, with the mark of its greed."""
    short = {(0, UNBOUNDED): "*", (1, UNBOUNDED): "+", (0, 1): "?"}.get((node.low, node.high))
    high = "" if node.high == UNBOUNDED else f",{node.high}"
    counted = f"{{{node.low}}}" if node.low == node.high else f"{{{node.low}{high or ','}}}"
    return (short or counted) + node.greed.value


class Re2(Dialect):
    """RE2 over UTF-8. `lines` is 1 where the text never holds a newline, so that `$` has one meaning."""

    never = "[^\\x00-\\x{10FFFF}]"

    def __init__(self, lines: int) -> None:
        self.places = {
            Where.TEXT_START: "\\A",
            Where.LINE_START: "(?m:^)",
            Where.TEXT_END: "\\z",
            Where.LINE_END: "(?m:$)",
            Where.WORD: "\\b",
            Where.NOT_WORD: "\\B",
        }
        if lines == 1:
            self.places[Where.TEXT_END_OR_NEWLINE] = "\\z"

    def _escape(self, point: int) -> str:
        char = chr(point)
        return char if char.isascii() and char.isalnum() else f"\\x{{{point:X}}}"

    def _special(self, node: Node) -> str:
        names = {Look: "look-around", Back: "a back-reference", Cond: "a conditional group", Atomic: "an atomic group"}
        raise Unsupported(names.get(type(node), type(node).__name__))


def exact_re2(tree: Node, lines: int) -> str:
    """Return the pattern for RE2 where RE2 finds and captures what `re` does; raise Unsupported where not."""
    if nullable(tree):
        raise Unsupported("it can match the empty text")
    for node in nodes(tree):
        if isinstance(node, Rep):
            _check_repeat(node)
    return Re2(lines).write(tree)


def _check_repeat(node: Rep) -> None:
    if node.greed is Greed.POSSESSIVE:
        raise Unsupported("a possessive repeat")
    if node.high > 1 and nullable(node.item):
        raise Unsupported("a repeat of something that can be empty")  # the engines differ in when they stop
    if max(node.low, node.high if node.high != UNBOUNDED else 0) > _RE2_MAX_REPEAT:
        raise Unsupported(f"more than {_RE2_MAX_REPEAT} repeats")


class Regex(Dialect):
    """The `regex` module, its version 0 behaviour, with the ASCII flag."""

    never = "(?!)"
    places = {
        Where.TEXT_START: "\\A",
        Where.LINE_START: "(?m:^)",
        Where.TEXT_END: "\\Z",
        Where.TEXT_END_OR_NEWLINE: "$",
        Where.LINE_END: "(?m:$)",
        Where.WORD: "\\b",
        # Until 3.14 `re` finds no \B in the empty text.
        Where.NOT_WORD: "\\B" if sys.version_info >= (3, 14) else "(?:\\B(?!\\A\\Z))",
    }

    def _chars(self, node: Chars) -> str:
        return "(?s:.)" if node.ranges == ((0, MAX_CHAR),) else super()._chars(node)

    def _escape(self, point: int) -> str:
        char = chr(point)
        if char.isascii() and char.isalnum():
            return char
        return f"\\U{point:08X}"

    def _special(self, node: Node) -> str:
        match node:
            case Look(item, behind, negated):
                return f"(?{'<' if behind else ''}{'!' if negated else '='}{self.write(item)})"
            case Back(number, ignore_case):
                return f"(?{'i' if ignore_case else ''}:\\{number})"
            case Cond(number, yes, no):
                return f"(?({number}){self._unit(yes)}|{self._unit(no)})"
            case Atomic(item):
                return f"(?>{self.write(item)})"
        raise Unsupported(f"{type(node).__name__}: not known")


def exact_regex(tree: Node) -> str:
    """Return the pattern for the `regex` module; raise Unsupported where it, or `re` itself, is not to be relied on."""
    possessive = [node for node in nodes(tree) if isinstance(node, Rep) and node.greed is Greed.POSSESSIVE]
    if any(isinstance(inner, Group) for node in possessive for inner in nodes(node.item)):
        # Python's own answers are wrong here, up to a SystemError (3.11 to 3.13).
        raise Unsupported("a capturing group inside a possessive repeat")
    if any(isinstance(node, (Back, Cond)) for node in nodes(tree)) and any(map(_repeats_more, nodes(tree))):
        # `regex` passes over places where a repeat failed before, though the group may hold something else by now.
        raise Unsupported("a back-reference or conditional group in a pattern that repeats more than single characters")
    return Regex().write(tree)


def _repeats_more(node: Node) -> bool:
    return isinstance(node, Rep) and node.high > 1 and not isinstance(node.item, Chars)


class Block(Dialect):
    """Bytes of many lines, each ended by one newline. A character beyond ASCII is one to four bytes from 0x80 on.

    That takes in more than the pattern means (never less): invalid UTF-8 is replaced only later, on the lines that
    are looked at.
    """

    _HIGH = "[\\x80-\\xff]{1,4}"

    def __init__(self, start: str, end: str, never: str) -> None:
        self.never = never
        self.places = {
            Where.TEXT_START: start,
            Where.LINE_START: start,
            Where.TEXT_END: end,
            Where.TEXT_END_OR_NEWLINE: end,
            Where.LINE_END: end,
            Where.WORD: "\\b",
            Where.NOT_WORD: "\\B",
        }

    def _chars(self, node: Chars) -> str:
        low = Chars(tuple((first, min(last, 0x7F)) for first, last in node.ranges if first <= 0x7F))
        if low.ranges == node.ranges:
            return super()._chars(low)
        if node.single is not None and node.single != 0xFFFD and not 0xD800 <= node.single <= 0xDFFF:
            return f"(?:{''.join(f'{chr(92)}x{byte:02x}' for byte in chr(node.single).encode())})"
        return f"(?:{super()._chars(low)}|{self._HIGH})" if low.ranges else f"(?:{self._HIGH})"

    def write(self, node: Node) -> str:
        """Return the node; a class within a loop as one class of bytes: the same language, and far cheaper to run."""
        match node:
            case Rep(Chars(ranges), low, high) if low <= 1 and high == UNBOUNDED and _wide(ranges):
                low_part = tuple((first, min(last, 0x7F)) for first, last in ranges if first <= 0x7F)
                return f"[{''.join(self._span(*pair) for pair in low_part)}\\x80-\\xff]{quantifier(node)}"
        return super().write(node)

    def _escape(self, point: int) -> str:
        char = chr(point)
        return char if char.isascii() and char.isalnum() else f"\\x{point:02x}"


def _wide(ranges: tuple[tuple[int, int], ...]) -> bool:
    return bool(ranges) and ranges[-1][1] > 0x7F


def is_wide(tree: Node) -> bool:
    """Tell whether `Block` takes in more than the tree means on lines that are not ASCII."""
    return any(
        isinstance(node, Chars) and _wide(node.ranges) and (node.single is None or node.single == 0xFFFD)
        for node in nodes(tree)
    )


HYPERSCAN = Block("^", "$", "[^\\x00-\\xff]")
LATIN1 = Block("(?m:^)", "(?m:$)", "[^\\x00-\\xff]")
