"""SLURM's ways of writing times and limits, read into seconds. Pure.

The forms are those of sbatch(1) `--time` and of squeue(1); what says no number gives None.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo

_NUMBER = re.compile(r"\d{1,12}", re.ASCII)
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>\d\d)(?P<minutes>\d\d)", re.ASCII)
_LIMIT = re.compile(r"(?:(?P<days>\d+)-)?(?P<clock>\d+(?::\d+){0,2})", re.ASCII)


def limit_seconds(text: str) -> float | None:
    """Read a time limit: `5` (minutes), `5:30` (minutes:seconds), `1:02:03`, `1-02` (days-hours), `1-02:03:04`.

    None for UNLIMITED, NOT_SET, INVALID, Partition_Limit, and whatever else is no limit.
    """
    found = _LIMIT.fullmatch(text.strip())
    if not found:
        return None
    parts = [int(part) for part in found["clock"].split(":")]
    if found["days"] is not None:
        hours, minutes, seconds = [*parts, 0, 0][:3]
        return float(int(found["days"]) * 86400 + hours * 3600 + minutes * 60 + seconds)
    if len(parts) == 3:
        return float(parts[0] * 3600 + parts[1] * 60 + parts[2])
    return float(parts[0] * 60 + (parts[1] if len(parts) == 2 else 0))


def zone(offset: str) -> tzinfo | None:
    """Read what `date +%z` printed; None, which stands for this machine's zone, where it is the same at present.

    A zone knows its summer times, an offset does not.
    """
    found = _OFFSET.fullmatch(offset)
    if not found:
        return None
    ahead = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"])) * (-1 if found["sign"] == "-" else 1)
    return None if ahead == datetime.now().astimezone().utcoffset() else timezone(ahead)


def epoch(text: str, where: tzinfo | None = None) -> float | None:
    """Read a time as printed with `SLURM_TIME_FORMAT=%s`, or as `2024-01-31T12:00:00`; None: in this machine's zone.

    None for N/A, NONE, Unknown, 0 and the like.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text) or None
    try:
        said = datetime.fromisoformat(text)
        return (said if said.tzinfo else said.replace(tzinfo=where)).timestamp()
    except (ValueError, OverflowError):
        return None
