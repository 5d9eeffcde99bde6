"""What a `*.test.yaml` beside watchers says: an output, and what the watchers are to make of it.

`reconcile test` reads it with the same loader, and so with the same errors, as watchers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from reconciler.settings import Duration
from reconciler.spec.watcher import SpecModel


class ExpectedMatch(SpecModel):
    """One match, in the order of the output; fields that are left out are not compared."""

    text: str | None = None
    line: Annotated[int, Field(ge=1)] | None = None
    captures: Mapping[str, str | None] = Field(default_factory=dict)


class ExpectedAction(SpecModel):
    """One rendered action, in the order it would run; of `params` only those given are compared."""

    type: str
    params: Mapping[str, Any] = Field(default_factory=dict)


class Expected(SpecModel):
    """What is to come out. A field that is left out is not compared; an empty list means: none."""

    triggers: Annotated[int, Field(ge=0)] | None = None
    matches: tuple[ExpectedMatch, ...] | None = None
    actions: tuple[ExpectedAction, ...] | None = None
    state: str | None = None
    variables: Mapping[str, str | None] | None = None


class SampleJob(SpecModel):
    """The job that printed the output. `state`: how it ended, in our words or SLURM's; left out: it still runs."""

    id: str = "1"
    name: str = "test"
    user: str = "user"
    host: str = "localhost"
    state: str | None = None
    time_limit: Duration | None = Field(None, description="it started when the test begins, and may run for so long")


class WatcherTest(SpecModel):
    """One test. `watcher` may be left out where the file holds only one; `output` or `file`, one of the two."""

    name: Annotated[str, Field(min_length=1)]
    watcher: str | None = None
    output: str | None = None
    file: str | None = Field(None, description="relative to the test file, and below its directory")
    errors: str | None = Field(None, description="what the job wrote to stderr")
    after: Annotated[Duration, Field(le=7 * 86400)] = Field(
        0, description="how long the job runs on without printing more: timers, silence, time left"
    )
    job: SampleJob = SampleJob()
    expect: Expected


class WatcherTests(SpecModel):
    """A test file. `watchers` is the file under test; left out: the one of the same name without `.test`."""

    watchers: str | None = None
    tests: Annotated[tuple[WatcherTest, ...], Field(min_length=1)]
