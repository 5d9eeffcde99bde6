"""A line that at least one pattern met, as scanner and patterns pass it between them."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.logic import ansi


@dataclass(slots=True)
class LineHit:
    """One line with at least one match. `raw`: its bytes without line end; `offset`: of its first byte in the file."""

    line: int
    offset: int
    raw: bytes
    patterns: tuple[int, ...]
    end: int

    @property
    def text(self) -> str:
        """The line as patterns see it: decoded, escape sequences taken out."""
        return ansi.strip(self.raw.decode("utf-8", "replace"))
