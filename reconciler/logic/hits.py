"""Lines as patterns see them: a line that was hit, and the text of a line with the way back to the bytes of its file.

Made by the scanner, read by the patterns and by whoever wants to show the line.
"""

from __future__ import annotations

import codecs
from bisect import bisect_right
from dataclasses import dataclass

from reconciler.logic import ansi

#: One match: its text, the offset in the file of its first byte, groups 1..N.
Found = tuple[str, int, tuple[str | None, ...]]


@dataclass(slots=True)
class LineHit:
    """One line that has at least one match.

    `line`: its number; `offset`: of its first byte in the file; `end`: of the first byte behind its line end. `raw`:
    its bytes without the line end (of a line that was cut, the part that is matched). `patterns`: indexes of those
    that match, ascending. `plain`: ASCII without escape sequences. `clear`: plain, and no echo of a pattern's source.
    `single`: no pattern matches twice. `found`: matches that are known already.
    """

    line: int
    offset: int
    raw: bytes
    patterns: tuple[int, ...]
    end: int
    plain: bool = False
    clear: bool = False
    single: bool = False
    found: dict[int, list[Found]] | None = None

    @property
    def text(self) -> str:
        """The line as patterns see it: decoded, escape sequences taken out."""
        return ansi.strip(self.raw.decode("utf-8", "replace"))


class View:
    """The text of a line that is not plain, also as valid UTF-8, and where each byte of that stands in the line."""

    __slots__ = ("_anchors", "_raw", "_stripped", "encoded", "text")

    def __init__(self, raw: bytes, *, strip: bool) -> None:
        self._raw = raw
        decoded = raw.decode("utf-8", "replace")
        encoded = decoded.encode("utf-8")
        self._anchors: list[tuple[int, int]] | None = None if encoded != raw else [(0, 0)]
        self._stripped = ansi.strip_bytes(encoded) if strip and b"\x1b" in raw else ansi.Stripped(encoded)
        self.encoded = self._stripped.data
        self.text = self.encoded.decode("utf-8") if self._stripped.starts else decoded

    def origin(self, offset: int) -> int:
        """Return where in the line the character at `offset` of `encoded` begins."""
        offset = self._stripped.original(offset)
        if self._anchors is None:
            self._anchors = _replacements(self._raw)
        at, start = self._anchors[bisect_right(self._anchors, (offset, len(self._raw))) - 1]
        return start + offset - at


_STEP = 256  # an error costs a copy of what is decoded with it, so a line full of them is taken in small steps


def _replacements(raw: bytes) -> list[tuple[int, int]]:
    """Return pairs (offset in the text as UTF-8, offset in `raw`) from which on both run alike, first (0, 0)."""
    anchors = [(0, 0)]
    at = encoded = 0
    while at < len(raw):
        chunk = raw[at : at + _STEP]
        try:
            _, taken = codecs.utf_8_decode(chunk, "strict", at + _STEP >= len(raw))
            at, encoded = at + taken, encoded + taken
        except UnicodeDecodeError as error:
            anchors.append((encoded + error.start, at + error.start))
            at, encoded = at + error.end, encoded + error.start + len("\ufffd".encode())
            anchors.append((encoded, at))
    return anchors
