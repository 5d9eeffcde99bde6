"""The `regex` module under a time limit, for what needs backtracking: look-around, back-references, empty matches.

Called by `patterns` for the lines that a simpler form of the pattern lets through. Text goes in, spans of characters
come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from reconciler.logic.syntax import Unsupported
from reconciler.logic.tier_re2 import LIMIT, MAX_MATCHES, OverTime, Spans


class TextFinder:
    """One pattern over one line of text, as `re.finditer` would."""

    def __init__(self, pattern: str) -> None:
        import regex  # only where a pattern needs it: it takes 10 ms of every start otherwise

        try:
            self._compiled = regex.compile(pattern, regex.ASCII | regex.VERSION0, cache_pattern=False)
        except (regex.error, OverflowError, RecursionError, MemoryError) as error:
            raise Unsupported(f"the fallback engine says: {error}") from error

    def find(self, text: str, *, start: int = 0, limit: float = LIMIT) -> Sequence[Spans]:
        """Return the spans of every match from `start` on, in characters, MAX_MATCHES at most.

        Raises OverTime after `limit` seconds of processor time.
        """
        try:
            found = self._compiled.finditer(text, start, timeout=limit)
            return [match.regs for match in islice(found, MAX_MATCHES)]
        except TimeoutError as error:
            raise OverTime from error

    def matches(self, text: str, limit: float = LIMIT) -> bool:
        """Tell whether there is a match."""
        try:
            return self._compiled.search(text, timeout=limit) is not None
        except TimeoutError as error:
            raise OverTime from error
