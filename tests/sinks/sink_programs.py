"""A program that tests kill: it writes numbered events to an events file that rotates every few lines.

`python sink_programs.py FILE`: goes on from what the file says; the state is stood in for by the numbers themselves.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from reconciler.events import Event, EventType
from reconciler.sinks.jsonl import JsonLines, JsonlSpec

IDENTITY = "c0ffee"
MAX_BYTES = 4096
BACKUPS = 1000


def numbered(first: int, last: int, text: str = "") -> Sequence[Event]:
    """Return the events with these seqs."""
    return [Event(EventType.WATCHER_TRIGGERED, 1.0, "w/1@h", action_result=text, seq=n) for n in range(first, last + 1)]


async def pour(path: Path) -> None:
    """Write as fast as it goes, pages of changing length."""
    sink = JsonLines(JsonlSpec(path=path, max_bytes=MAX_BYTES, backups=BACKUPS), IDENTITY)
    seq = sink.position()
    while seq < 12 * BACKUPS:  # beyond that the oldest files would go
        length = 1 + seq % 23
        await sink.write(numbered(seq + 1, seq + length))
        seq += length
        print(seq, flush=True)


if __name__ == "__main__":
    asyncio.run(pour(Path(sys.argv[1])))
