"""Words for people: hostile text made harmless, spans of time, moments, colours.

Whatever a command shows goes through `safe`: a log line may hold escape sequences that would take over the terminal.
"""

from __future__ import annotations

import os
import re
import time
from datetime import datetime
from typing import TextIO

#: C0, DEL and C1 controls; marks and overrides of direction; line and paragraph separators; BOM; bytes that were no
#: UTF-8 (surrogateescape). Zero-width joiners stay, names and emoji need them.
HOSTILE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


def safe(text: str, keep: str = "") -> str:
    r"""Return `text` with control characters written out (`\x1b`, `\n`, `\u202e`); those in `keep` stay."""
    return HOSTILE.sub(lambda found: found[0] if found[0] in keep else _written_out(found[0]), text)


def _written_out(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # the byte that was no UTF-8
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def duration(seconds: float) -> str:
    """Return a span of time in its two largest units: `45s`, `2h5m`, `3d`; below a second `0.4s`."""
    if 0 < abs(seconds) < 1:
        return f"{seconds:.1f}s"
    left, parts = round(abs(seconds)), list[str]()
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return ("-" if seconds <= -1 else "") + ("".join(parts[:2]) or "0s")


def age(at: float, now: float | None = None) -> str:
    """Return how long ago `at` (seconds since the epoch) was; a moment ahead is `in 5m`."""
    past = (time.time() if now is None else now) - at
    return duration(past) if past >= 0 else f"in {duration(-past)}"


#: The year 9000, in seconds since the epoch: no time of ours lies beyond it.
_FAR = 221_845_392_000.0


def moment(at: float) -> str:
    """Return seconds since the epoch as local time with its offset: `2026-05-01 09:30:00+02:00`."""
    return datetime.fromtimestamp(min(at, _FAR)).astimezone().isoformat(" ", "seconds")


def held(by: str, reason: str, until: float | None) -> str:
    """Return who holds a watcher, until when and why."""
    end = f" until {moment(until)}" if until is not None else ""
    return f"suspended by {by}{end}" + (f": {reason}" if reason else "")


def coloured(stream: TextIO) -> bool:
    """Tell whether colours fit: a terminal that can, and nobody said NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO) -> str:
    """Return `text` in a colour (a key of `_COLOURS`) where `stream` shows colours."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if coloured(stream) else text


def lacks(reason: str) -> str:
    """Say that a host could not tell of jobs that its scheduler has forgotten, and why."""
    return f"{reason}; jobs that its scheduler has forgotten are asked for again, the others go on"
