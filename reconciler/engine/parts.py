"""What the engine is put together from: the plugins and settings that `app` chose, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.errors import Problem
from reconciler.model import HostName, StoredSpec
from reconciler.protocols import Clock, OutsideAction, Scheduler, Sink, Source, SourceFile, State, Transport
from reconciler.settings import Settings

if TYPE_CHECKING:
    from reconciler.engine.committing import Commits
    from reconciler.logic.compiled import ActionKind
    from reconciler.spec.watcher import WatcherSpec


@dataclass(frozen=True, slots=True)
class Host:
    """One host: how it is reached, and where its jobs live."""

    name: HostName
    transport: Transport
    scheduler: Scheduler


@dataclass(frozen=True, slots=True)
class ParsedSpec:
    """One spec of a file, or what makes it: the line it begins on, its canonical JSON and digest."""

    given: WatcherSpec | Callable[[], WatcherSpec]
    line: int
    body: str
    digest: str


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """What a file's bytes say. `cache`: what to keep under `key`, so that they need not be parsed again."""

    specs: tuple[ParsedSpec, ...]
    problems: tuple[Problem, ...]
    key: str = ""
    cache: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything an engine works with.

    `parse(file, cached)` reads a source file, `cached` being what an earlier `ParsedFile.cache` of it said; `parse_key`
    names the cache entry. `revive` reads a stored spec. `kinds` and `actions` hold every action type by name.
    `elsewhere` tells the names of sources that other passes read. `commits` writes what ticks commit, many together.
    """

    settings: Settings
    clock: Clock
    state: State
    sources: Sequence[Source]
    hosts: Mapping[HostName, Host]
    kinds: Mapping[str, ActionKind]
    actions: Mapping[str, OutsideAction]
    sinks: Sequence[Sink]
    parse: Callable[[SourceFile, str | None], ParsedFile]
    parse_key: Callable[[SourceFile], str]
    revive: Callable[[StoredSpec], WatcherSpec | None]
    elsewhere: Callable[[], Collection[str]] = frozenset
    commits: Commits = field(init=False, compare=False)

    def __post_init__(self) -> None:
        from reconciler.engine.committing import Commits  # saves start-up time where nothing runs

        object.__setattr__(self, "commits", Commits(self.state))
