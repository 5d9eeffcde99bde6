"""Reads all sources into `Reading`s; what was parsed before, in this process or an earlier one, is not parsed again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from reconciler.engine.parts import ParsedFile, Parts
from reconciler.errors import InMotionError, UnavailableError
from reconciler.logic.desired import Desired, ReadFile, Reading, names_in
from reconciler.logic.layers import Hider, Layer, Uncovered, uncovered, worth_keeping
from reconciler.model import Origin
from reconciler.protocols import Snapshot, Source, SourceFile, StateReading

log = logging.getLogger(__name__)


#: What a source hid when it could last be read: the fact of this name and the source's, a JSON list of file names.
HIDES = "hides:"
#: Why what a source gave is old ("": it is not): the fact of this name and the source's.
LATE = "late:"


class Sourcing:
    """Takes one look at every source.

    `unsaved` collects what the next transaction should put into the cache of parsed files, `facts` what a restart
    must know.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._memo: dict[str, ParsedFile] = {}
        self._used: set[str] = set()
        self._last: dict[str, _Last] = {}
        self._faulty: dict[str, dict[str, bytes]] = {}  # files with problems, by source and path
        self._hides: dict[str, frozenset[str]] = {}  # as last seen in this process
        self._kept: dict[str, frozenset[str]] = {}  # as the state has it, likewise
        self._late: dict[str, str] = {}
        self.unsaved: dict[str, str] = {}
        self.facts: dict[str, str] = {}

    async def read(self) -> tuple[Reading, ...]:
        """Return one Reading for each source, in their order."""
        self._used = set()
        if not self._kept:
            await self._remember()
        looks = [await _look(source) for source in self._parts.sources]
        layers = self._layers(looks)
        readings = []
        for look, left in zip(looks, uncovered(layers), strict=True):
            readings.append(look if isinstance(look, Reading) or left is None else await self._read(left))
        self._memo = {key: parsed for key, parsed in self._memo.items() if key in self._used}
        return tuple(reading for reading in readings if isinstance(reading, Reading))

    async def _remember(self) -> None:
        """Recall what earlier processes saw."""
        names = [source.name for source in self._parts.sources]

        def look_up(state: StateReading) -> list[tuple[str, str]]:
            return [(state.fact(HIDES + name) or "[]", state.fact(LATE + name) or "") for name in names]

        facts = dict(zip(names, await self._parts.state.run(look_up), strict=True))
        self._kept = {name: frozenset(orjson.loads(hides)) for name, (hides, _) in facts.items()}
        self._late = {name: late for name, (_, late) in facts.items()}

    def _layers(self, looks: Sequence[Snapshot | Reading]) -> list[Layer]:
        """Return what hides what; of a source that cannot be read, what it hid before. Changes go into `facts`."""
        layers = []
        for look in looks:
            source, snapshot = look.source, look if isinstance(look, Snapshot) else None
            if snapshot is not None:
                self._hides[source] = snapshot.hides
            layers.append(Layer(source, snapshot, self._hides.get(source, self._kept[source])))
            late = _late(look)
            if late is not None and late != self._late[source]:
                self._late[source] = self.facts[LATE + source] = late
        for source, names in worth_keeping(layers).items():
            if names != self._kept[source]:
                self._kept[source] = names
                self.facts[HIDES + source] = orjson.dumps(sorted(names)).decode()
        return layers

    async def _read(self, left: Uncovered) -> Reading:
        snapshot = left.snapshot
        content = (snapshot.revision, snapshot.problems, snapshot.deleted, snapshot.deliberate, left.hidden)
        last = self._last.get(snapshot.source)
        if last is None or last.content != content:
            keys = {file.path: self._parts.parse_key(file) for file in snapshot.files}
            reading = reading_of(snapshot, await self._parsed(snapshot.files, keys), left.hidden)
            last = self._last[snapshot.source] = _Last(content, reading, frozenset(keys.values()))
            keyed = ((file, self._memo[keys[file.path]]) for file in snapshot.files)
            self._faulty[snapshot.source] = {file.path: file.content for file, said in keyed if said.problems}
        self._used |= last.keys
        return last.reading

    def content(self, path: str) -> bytes | None:
        """Return the bytes of a file that had problems at the last look; None for any other."""
        return next((files[path] for files in self._faulty.values() if path in files), None)

    async def _parsed(self, files: Sequence[SourceFile], keys: Mapping[str, str]) -> Mapping[str, ParsedFile]:
        """Return what each file says, by path; `keys` are their places in the cache."""
        wanted = [key for key in keys.values() if key not in self._memo]
        cached: Mapping[str, str] = {}
        if wanted:

            def look_up(state: StateReading) -> Mapping[str, str]:
                return state.parsed(wanted)

            cached = await self._parts.state.run(look_up)
        result = {}
        for file in files:
            key = keys[file.path]
            if key not in self._memo:
                self._memo[key] = await self._parse(file, cached.get(key))
                if key not in cached and self._memo[key].cache:
                    self.unsaved[key] = self._memo[key].cache
            result[file.path] = self._memo[key]
        return result

    async def _parse(self, file: SourceFile, cached: str | None) -> ParsedFile:
        """Parse a file in a thread: a long one takes seconds, which nobody else should wait for."""
        if cached is not None:
            return self._parts.parse(file, cached)
        return await asyncio.to_thread(self._parts.parse, file, None)


async def _look(source: Source) -> Snapshot | Reading:
    """Return what a source gives, or the reading of one that cannot be read."""
    try:
        return await source.snapshot()
    except InMotionError as error:
        return Reading(source.name, failed=error.message, moving=True)
    except UnavailableError as error:
        return Reading(source.name, failed=error.message)


def _late(look: Snapshot | Reading) -> str | None:
    """Say why what is known of a source is old; "" where it is not, None where that cannot be told at this moment."""
    if isinstance(look, Snapshot):
        return look.stale
    return None if look.moving else look.failed


@dataclass(frozen=True, slots=True)
class _Last:
    """What a source gave last: while its content stays, 10,000 values need not be made again each pass."""

    content: tuple[object, ...]
    reading: Reading
    keys: frozenset[str]


def reading_of(
    snapshot: Snapshot, parsed: Mapping[str, ParsedFile], hidden: Mapping[str, Hider] | None = None
) -> Reading:
    """Return what a source gave, `parsed` saying by path what each of its files says, `hidden` what is not in it."""
    files = tuple(_file(snapshot, file, parsed[file.path]) for file in snapshot.files)
    files += tuple(ReadFile(p.file, (), (p,)) for p in snapshot.problems if p.severity == "error")
    warnings = tuple(p for p in snapshot.problems if p.severity != "error")
    return Reading(
        snapshot.source, files, snapshot.deliberate, snapshot.revision,
        problems=warnings, deleted=snapshot.deleted, hidden=hidden or {},
    )  # fmt: skip


def _file(snapshot: Snapshot, file: SourceFile, parsed: ParsedFile) -> ReadFile:
    specs = tuple(
        Desired(
            given=item.given,
            digest=item.digest,
            body=item.body,
            origin=Origin(snapshot.source, file.path, item.line, file.commit, file.layer),
        )
        for item in parsed.specs
    )
    read = ReadFile(file.path, specs, parsed.problems)
    return replace(read, named=names_in(file.content)) if read.bad else read
