"""Output file patterns, expanded as slurmstepd expands them (sbatch(1), "filename pattern") up to 24.11. Pure.

Used where the scheduler did not say the path itself; its own answer wins, but not that of 24.05 and 24.11: their
`--expand-patterns` puts no slash behind the work directory, reads `%%` as the start of a symbol and, until 24.11.5,
takes the number of a task for that of its array.
"""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass

from reconciler.model import JobId

#: From here on what squeue and sacct expand is the file that the job writes.
EXPANDS = (25, 5)
#: From here on `%b` is the last digit of a task's index.
_LAST_DIGIT = (24, 11)
#: A percent sign, a symbol, or a width before anything else: of that SLURM keeps the last digit alone.
_SYMBOL = re.compile(r"%(?:(?P<percent>%)|(?P<width>\d*)(?P<letter>[AabjJtnxuNs])|\d*(?P<digit>\d))", re.ASCII)
_ESCAPED = re.compile(r"\\(\\?)")
#: SLURM pads to ten digits at most.
_WIDEST = 10


@dataclass(frozen=True, slots=True)
class PathFacts:
    """What a pattern may speak of. `number` is the job's own number (`%j`); for an array task it differs from `id`.

    `version` is SLURM's, as far as it is known.
    """

    id: JobId
    name: str = ""
    user: str = ""
    node: str = ""
    workdir: str = ""
    number: str = ""
    version: tuple[int, int] = (0, 0)


def expand(pattern: str, facts: PathFacts) -> str:
    """Return the absolute path that a pattern means for the batch step of a job.

    A pattern with a backslash is taken literally, one level of backslashes taken out. Unknown symbols stay as written,
    but for a width in them: `%b` too before 24.11.
    """
    if "\\" in pattern:
        path = _ESCAPED.sub(r"\1", pattern)
    else:
        path = _SYMBOL.sub(lambda found: _symbol(found, facts), pattern)
    return os.path.join(facts.workdir, path)


def needs_node(pattern: str) -> bool:
    """Tell whether a pattern means a path only once its job has a node."""
    return "\\" not in pattern and any(found["letter"] == "N" for found in _SYMBOL.finditer(pattern))


def may_be_pattern(path: str) -> bool:
    """Tell whether slurmctld's path may be none: it expands some symbols, behind a backslash too, and leaves others."""
    return "%" in path or "\\" in path


def followed(path: str | None) -> str | None:
    """Return a path that is worth a look; None for one that never holds a line."""
    return None if path in (None, "", "/dev/null") else path


def _symbol(found: re.Match[str], facts: PathFacts) -> str:
    master, _, task = facts.id.partition("_")
    number = facts.number or (master if not task else facts.id)
    index = task or "4294967294"  # SLURM's own number for "no array"
    numbers = {
        "A": master if task else number,
        "a": index,
        "j": number,
        "J": number,
        "t": "0",
        "n": "0",
        **({"b": index[-1]} if facts.version >= _LAST_DIGIT else {}),
    }
    words = {"x": facts.name, "u": facts.user, "N": facts.node, "s": "batch"}
    letter = found["letter"]
    if letter in numbers:
        width = found["width"].lstrip("0")[:3]  # a number of thousands of digits is no number to Python
        return numbers[letter].zfill(min(int(width or 0), _WIDEST))
    if letter == "b":
        return f"{found['width'][-1]}b" if found["width"] else "%b"
    return words[letter] if letter else found["percent"] or found["digit"]
