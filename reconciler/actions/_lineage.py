"""Who resubmitted whom: written into the comment of a resubmitted job, read from the comments of the user's jobs.

The comment is the only memory that a resubmission has before its own outcome is recorded, and the only one that the
next job of the chain has. What the user wrote into it stays in front.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model import Job

_TAG = re.compile(
    r"\[reconciler root=(?P<root>[A-Za-z0-9_-]+) n=(?P<number>\d{1,6})"
    r" of=(?P<parent>[A-Za-z0-9_-]+\.\d+) mark=(?P<mark>[0-9a-f]+)(?: args=(?P<args>[A-Za-z0-9_=-]+|\?))?\]"
)
_COMMENT_CHARACTERS = 500  # of the user's own comment; what is kept of comments differs between sites
_ARGUMENTS_CHARACTERS = 400  # of the arguments, encoded
_TOO_LONG = "?"


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a resubmitted job says of itself.

    `root`: the job that began the chain. `number`: resubmissions up to this job. `parent`: the job it came from, with
    its restarts. `mark`: of the action. `arguments`: of its script; None where there are none to carry, or `too_long`.
    """

    root: str
    number: int
    parent: str
    mark: str
    arguments: tuple[str, ...] | None = None
    too_long: bool = False

    def comment(self, before: str) -> str:
        """Return the comment of the new job: what the old one's said, and this."""
        own = _TAG.sub("", before).strip()[:_COMMENT_CHARACTERS]
        tag = (
            f"[reconciler root={self.root} n={self.number} of={self.parent} mark={self.mark}{_written(self.arguments)}]"
        )
        return f"{own} {tag}".strip()


def lineage_of(job: Job) -> Lineage | None:
    """Return what the job's comment says, None where it is no resubmitted job."""
    found = _TAG.search(job.comment)
    if not found:
        return None
    arguments = _read(found["args"] or "")
    lost = bool(found["args"]) and arguments is None
    return Lineage(found["root"], int(found["number"]), found["parent"], found["mark"], arguments, too_long=lost)


def _written(arguments: tuple[str, ...] | None) -> str:
    if not arguments:
        return ""
    raw = json.dumps(arguments).encode()
    text = base64.urlsafe_b64encode(raw).decode()
    return f" args={text if len(text) <= _ARGUMENTS_CHARACTERS else _TOO_LONG}"


def _read(text: str) -> tuple[str, ...] | None:
    """Return the arguments of a tag; None where it has none, or they are not whole."""
    if text in ("", _TOO_LONG):
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(text))
    except (binascii.Error, ValueError):
        return None
    return tuple(map(str, found)) if isinstance(found, list) else None


def digest(mark: str) -> str:
    """Return a mark in letters that every scheduler keeps as they are."""
    return hashlib.blake2b(mark.encode(), digest_size=10).hexdigest()


def parent_of(job: Job) -> str:
    """Return what names this run of a job: a requeued job may be resubmitted again."""
    return f"{job.id}.{job.restarts}"


def root_of(job: Job) -> str:
    """Return the job that began the chain."""
    known = lineage_of(job)
    return known.root if known else str(job.id)


def resubmissions(job: Job, others: Iterable[Job]) -> int:
    """Return how many resubmissions the chain has seen, by this job's own count and by the jobs still known."""
    own = lineage_of(job)
    root = root_of(job)
    known = [line for other in others if (line := lineage_of(other)) is not None and line.root == root]
    return max([own.number if own else 0, len({line.mark for line in known}), *(line.number for line in known)])
