"""An output as lines: cut into them as watchers see them, counted, and searched. Pure; `routes_output` reads the bytes.

Lines end at `\\n`, `\\r\\n` or a lone `\\r`, as for patterns. Offsets are bytes of the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.api.output_shapes import FoundShape, LineShape
from reconciler.api.shaping import clean
from reconciler.logic import ansi
from reconciler.logic.hits import LineHit
from reconciler.logic.patterns import Rule, compile_set
from reconciler.logic.scanner import StreamScanner
from reconciler.model import Position

#: Bytes of a line that are shown; the whole of it is had by its range.
LINE_SHOWN = 4096
_END = re.compile(rb"\r\n|\n|\r")


def split(data: bytes, start: int, *, last: bool) -> list[LineShape]:
    """Return the lines of `data`, whose first byte stands at `start` and begins one.

    `last`: nothing follows in the file, so that a carriage return at the end is a line end.
    """
    lines = []
    at = 0
    for end in _END.finditer(data):
        if end.end() == len(data) and end.group() == b"\r" and not last:
            break  # the newline that belongs to it may follow
        lines.append(_line(data[at : end.start()], start + at, end.end() - at, whole=True))
        at = end.end()
    if at < len(data):
        lines.append(_line(data[at:], start + at, len(data) - at, whole=False))
    return lines


def _line(raw: bytes, offset: int, size: int, *, whole: bool) -> LineShape:
    cut = len(raw) > LINE_SHOWN
    return LineShape(offset=offset, bytes=size, text=shown(raw[:LINE_SHOWN]), cut=cut, whole=whole)


def shown(raw: bytes) -> str:
    """Return bytes as text for people, without escape sequences."""
    return clean(ansi.strip(raw.decode("utf-8", "replace")))


def line_start(data: bytes) -> int:
    """Return where the first whole line of `data` begins; 0 where no line ends in it."""
    end = _END.search(data)
    return end.end() if end and end.end() < len(data) else 0


@dataclass(frozen=True, slots=True)
class Counted:
    """How far a count came: the number of the line at `offset`, and whether what was wanted was reached."""

    line: int
    offset: int
    reached: bool


def count(data: bytes, start: int, line: int, *, until_line: int | None, until_offset: int | None) -> Counted:
    """Count lines from `line`, whose first byte stands at `start`.

    Stops at the start of line `until_line`, or of the line that holds the byte `until_offset`.
    """
    most = float("inf") if until_line is None else until_line
    place = float("inf") if until_offset is None else until_offset
    at = 0
    for end in _END.finditer(data):
        if line >= most or start + end.end() > place:
            return Counted(line, start + at, True)
        line, at = line + 1, end.end()
    return Counted(line, start + at, line >= most or start + at >= place)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to, and where to go on."""

    found: Sequence[FoundShape]
    offset: int
    line: int
    inside: bool
    done: bool


def expression(text: str, *, regex: bool, ignore_case: bool) -> str:
    """Return the pattern that stands for what a person looks for."""
    return f"{'(?i)' if ignore_case else ''}{text if regex else re.escape(text)}"


def search(pattern: str, data: bytes, place: Position, *, last: bool, limit: int, budget: float = math.inf) -> Found:
    """Return the lines of `data`, which begins at `place`, in which the production matcher finds `pattern`.

    A last line without an end is looked at, and is where to go on: it may grow. `budget`: seconds of processor time;
    where they are used up, the rest is for the next request.
    """
    scanner = StreamScanner(compile_set([Rule(pattern, ignore_echo=False)]), place, budget=budget)
    hits = scanner.feed(data)
    reached, rest, done = scanner.position, list[LineHit](), False
    if len(hits) > limit:
        hits = hits[:limit]
        reached = scanner.position_after(hits[-1])
    elif last and not scanner.exhausted:
        rest = scanner.finish()
        done = len(hits) + len(rest) <= limit
    found = [_found(hit) for hit in (*hits, *(rest if done else ()))]
    return Found(found, reached.offset, reached.line + 1, reached.cut, done)


def _found(hit: LineHit) -> FoundShape:
    return FoundShape(line=hit.line, offset=hit.offset, text=shown(hit.raw[:LINE_SHOWN]))
