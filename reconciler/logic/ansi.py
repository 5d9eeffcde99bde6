"""Taking terminal escape sequences out of text, and knowing where each remaining character stood.

Called by the scanner (bytes of whole blocks) and by the patterns (one line). Sequences as in ECMA-48: CSI (colours,
cursor, erase), OSC (titles, links) closed by BEL or ST, character set choices and two-character escapes. An
unfinished sequence stays.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

# No part may hold a line end, so that taking sequences out of many lines at once is the same as line by line.
_SEQUENCE = (
    r"\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\][^\x07\x1b\r\n]*(?:\x07|\x1b\\)"  # OSC
    r"|[()*+][0-9A-B]"  # character sets
    r"|[=>78cDEHM]"  # modes, save and restore
    r")"
)
_TEXT = re.compile(_SEQUENCE)
_BYTES = re.compile(_SEQUENCE.encode("ascii"))


@dataclass(frozen=True, slots=True)
class Stripped:
    """Bytes without escape sequences.

    `starts[i]`: where in `data` the i-th sequence stood; `removed[i]`: bytes taken out up to there.
    """

    data: bytes
    starts: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()

    def original(self, offset: int) -> int:
        """Return where the byte at `offset` of `data` stood; behind the sequences that stood right before it."""
        at = bisect_right(self.starts, offset)
        return offset + (self.removed[at - 1] if at else 0)


def strip(text: str) -> str:
    """Return `text` without escape sequences."""
    return _TEXT.sub("", text) if "\x1b" in text else text


def strip_bytes(data: bytes) -> Stripped:
    """Return `data` (any number of lines) without escape sequences, with the way back."""
    pieces: list[bytes] = []
    starts: list[int] = []
    removed: list[int] = []
    last = gone = 0
    for hit in _BYTES.finditer(data):
        start, end = hit.span()
        pieces.append(data[last:start])
        starts.append(start - gone)
        gone += end - start
        removed.append(gone)
        last = end
    pieces.append(data[last:])
    return Stripped(b"".join(pieces), tuple(starts), tuple(removed))
