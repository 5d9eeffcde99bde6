"""What answers about outputs line by line and about hosts look like; `reports` has the rest."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from reconciler.api.shapes import Answer, HostText, Number

Place = Annotated[Number, Field(ge=0, le=2**62)]
LineNumber = Annotated[Number, Field(ge=1, le=2**62)]


class OutputQuery(BaseModel):
    """Which output of a job is meant."""

    hostname: HostText | None = None
    stream: Literal["stdout", "stderr"] = "stdout"


class LinesQuery(OutputQuery):
    """Which lines; the last ones, where no place is given. Of several places the first of this list counts."""

    before: Place | None = Field(None, description="lines that end before this byte, which begins one")
    around: Place | None = Field(None, description="the line that holds this byte, and those around it")
    offset: Place | None = Field(None, description="lines from this byte on, which begins one")
    limit: Number = Field(2000, ge=1, le=5000, description="lines, at most")


class SearchQuery(OutputQuery):
    """What to look for, and from where on: nothing, or the `next_` of the answer before."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=900)]
    regex: bool = Field(False, description="`text` is a pattern, as in a watcher")
    ignore_case: bool = False
    offset: Place = Field(0, description="of a line's first byte")
    line: LineNumber = Field(1, description="the number of that line")
    inside: bool = Field(False, description="`offset` lies inside of a very long line")
    limit: Number = Field(200, ge=1, le=1000, description="lines found, at most")


class PlaceQuery(OutputQuery):
    """From where to where lines are counted: up to a line's start, up to the line that holds a byte, or to the end."""

    until_line: LineNumber | None = None
    until_offset: Place | None = None
    offset: Place = Field(0, description="of a line's first byte")
    line: LineNumber = Field(1, description="the number of that line")


class LineShape(Answer):
    """One line of an output, without colour codes; what is no UTF-8 is replaced."""

    offset: int = Field(description="of its first byte")
    bytes: int = Field(description="with its line end")
    text: str
    cut: bool = Field(description="it is longer; ask for its range")
    whole: bool = Field(description="it has a line end; false: more may come, or it is a piece of a longer line")


class LinesShape(Answer):
    """Some lines of an output that follow each other. Offsets are bytes."""

    job_id: str
    hostname: str
    stream: Literal["stdout", "stderr"]
    path: str
    sight: Literal["read", "missing", "failed"] = Field(description="missing: there is no such file now")
    reason: str
    size: int
    file: str = Field(description="names the file behind the path: another one, and all that was read is of the past")
    lines: list[LineShape]
    offset: int
    next_offset: int


class FoundShape(Answer):
    """A line in which something was found."""

    line: int = Field(description="its number, counted from `line` on")
    offset: int
    text: str = Field(description="the line, cut where it is long")


class FoundList(Answer):
    """What was found in a part of an output. `done`: the end was reached; else ask on with the three `next_`."""

    found: list[FoundShape]
    count: int
    size: int
    done: bool
    next_offset: int
    next_line: int
    next_inside: bool = Field(description="`next_offset` lies inside of a very long line")


class PlaceShape(Answer):
    """How far lines were counted. `done`: what was asked for was reached, or the end."""

    line: int
    offset: int
    size: int
    done: bool


class HostShape(Answer):
    """One host, as the engine last met it; nothing was asked of it for this answer."""

    hostname: str
    transport: str = Field(description="how it is reached: local, ssh, ...")
    scheduler: str = Field(description="slurm, local, ...; auto: it did not answer yet, so nobody knows")
    reachable: bool
    layer: str = Field(description="what does not answer: host, scheduler, outputs or accounting; empty: all does")
    reason: str
    since: datetime | None = Field(description="since when it answers, or does not; null: not known")
    listed: datetime | None = Field(description="when its jobs were listed last")
    listing_seconds: float | None = Field(description="how long that took")
    listing_every: float | None = Field(description="seconds between two listings now: more while it is slow or silent")
    looked: datetime | None = Field(description="when it was last looked at for outputs")
    look_seconds: float | None = Field(description="how long that round trip took")
    late_seconds: float | None = Field(description="how long after its time that look began")
    outputs: int = Field(description="how many outputs that look was for")
    jobs: int = Field(description="jobs that are known and have not ended")
    ended_jobs: int = Field(description="jobs that are known and have ended")
    watched_jobs: int
    watchers: int


class HostList(Answer):
    """All hosts of the settings."""

    hosts: list[HostShape]
    count: int
    now: datetime = Field(description="the clock of the daemon, for ages")
