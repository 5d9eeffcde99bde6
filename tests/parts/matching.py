"""What matching means, written as plainly as possible with the standard library: what every engine is compared with.

Lines end at `\\n`, `\\r\\n` or a lone `\\r`; each is decoded with replacement, escape sequences are taken out, and
`re.finditer` runs on it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence

from reconciler.logic.hits import LineHit
from reconciler.logic.patterns import PatternSet, Rule
from reconciler.logic.scanner import StreamScanner
from reconciler.model import Position

LINE = re.compile(rb"([^\r\n]*)(\r\n|\r|\n|\Z)")
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\r\n]*(?:\x07|\x1b\\)|[()*+][0-9A-B]|[=>78cDEHM])")

#: (line number, offset of the line, pattern, text, groups)
Row = tuple[int, int, int, str, tuple[str | None, ...]]


def compiled(expression: str) -> re.Pattern[str]:
    """Return the pattern as users mean it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(expression, re.ASCII)


def lines(data: bytes) -> list[tuple[int, bytes]]:
    """Return (offset, line without its end) of every line, an unterminated last one too."""
    return [(hit.start(), hit[1]) for hit in LINE.finditer(data) if hit.end() > hit.start()]


def seen(raw: bytes, *, keep_escapes: bool = False) -> str:
    """Return the text of a line as a pattern sees it."""
    text = raw.decode("utf-8", "replace")
    return text if keep_escapes else ESCAPES.sub("", text)


def expected(rules: Sequence[Rule], data: bytes, line_bytes: int = 65536) -> list[Row]:
    """Return every match of every single-line rule, by line, then pattern, then place; echoes are not considered."""
    rows: list[Row] = []
    patterns = [compiled(rule.expression) for rule in rules]
    for number, (offset, raw) in enumerate(lines(data), 1):
        for index, (rule, pattern) in enumerate(zip(rules, patterns, strict=True)):
            if number % rule.every_nth_line:
                continue
            text = seen(raw[:line_bytes], keep_escapes="\\x1b" in rule.expression or "\x1b" in rule.expression)
            rows += [(number, offset, index, found.group(), found.groups()) for found in pattern.finditer(text)]
    return rows


def found(hits: Sequence[LineHit], patterns: PatternSet) -> list[Row]:
    """Return the matches of hits in the same form."""
    return [
        (hit.line, hit.offset, index, match.text, match.groups)
        for hit in hits
        for index in hit.patterns
        for match in patterns.matches(index, hit)
    ]


def scanned(rules: Sequence[Rule], data: bytes, *, hyperscan: bool = False, line_bytes: int = 65536) -> list[Row]:
    """Return what the scanner finds in the whole of `data`, by Hyperscan or without it."""
    patterns = fresh(rules, hyperscan=hyperscan)
    scanner = StreamScanner(patterns, Position(), line_bytes)
    return found([*scanner.feed(data), *scanner.finish()], patterns)


def fresh(rules: Sequence[Rule], *, hyperscan: bool) -> PatternSet:
    """Return a set of its own that scans by Hyperscan from the first byte, or by RE2."""
    patterns = PatternSet(rules)
    if hyperscan:
        patterns.prepare()
    return patterns


def pieces_of(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Cut `data` into pieces of these sizes, again and again."""
    at, number = 0, 0
    while at < len(data):
        size = max(1, sizes[number % len(sizes)]) if sizes else len(data)
        yield data[at : at + size]
        at, number = at + size, number + 1
