"""The `regex` module under a time limit, for what needs backtracking: look-around, back-references, empty matches.

Called by `patterns` for the lines that a simpler form of the pattern lets through. Text goes in, spans of characters
come out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from time import thread_time
from typing import TypeVar

from reconciler.logic.collecting import Held
from reconciler.logic.syntax import Unsupported
from reconciler.logic.tier_re2 import LIMIT, MAX_MATCHES, OverTime, Spans

T = TypeVar("T")


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

        def search(timeout: float) -> Sequence[Spans]:
            found = self._compiled.finditer(text, start, concurrent=False, timeout=timeout)
            return [match.regs for match in islice(found, MAX_MATCHES)]

        return _within(limit, search)

    def matches(self, text: str, limit: float = LIMIT) -> bool:
        """Tell whether there is a match."""
        return (
            _within(limit, lambda timeout: self._compiled.search(text, concurrent=False, timeout=timeout)) is not None
        )


def _within(limit: float, search: Callable[[float], T]) -> T:
    """Search for so many seconds of processor time.

    The module's clock is that of the process. It does not let go of the interpreter (`concurrent`), but threads that
    need none go on: stopped before this thread had its time, it searches once more.
    """
    timeout = max(limit, 0.0)  # less than none would be no limit
    with Held():
        begun = thread_time()
        try:
            return search(timeout)
        except TimeoutError as error:
            if thread_time() - begun >= limit:
                raise OverTime from error
        try:
            return search(timeout)
        except TimeoutError as error:
            raise OverTime from error
