"""Holding back the collection of garbage while a search is timed: it takes as long as there are objects, not lines.

Called by what measures the time of a search, so that no line is given up for a pause that has nothing to do with it.
"""

from __future__ import annotations

import gc


class Held:
    """Holds it back, where it is on, to the end of a `with`. A class, since each line of some patterns takes one."""

    __slots__ = ("_on",)

    def __enter__(self) -> None:
        self._on = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._on:
            gc.enable()
