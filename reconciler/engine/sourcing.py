"""Reads all sources into `Reading`s; what was parsed before, in this process or an earlier one, is not parsed again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.engine.parts import ParsedFile, Parts
from reconciler.errors import InMotionError, UnavailableError
from reconciler.logic.desired import Desired, ReadFile, Reading
from reconciler.model import Origin
from reconciler.protocols import Snapshot, Source, SourceFile, StateReading

log = logging.getLogger(__name__)


class Sourcing:
    """Takes one look at every source.

    `unsaved` collects what the next transaction should put into the cache of parsed files.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._memo: dict[str, ParsedFile] = {}
        self._used: set[str] = set()
        self._last: dict[str, _Last] = {}
        self._faulty: dict[str, dict[str, bytes]] = {}  # files with problems, by source and path
        self.unsaved: dict[str, str] = {}

    async def read(self) -> tuple[Reading, ...]:
        """Return one Reading for each source, in their order."""
        self._used = set()
        readings = tuple([await self._read(source) for source in self._parts.sources])
        self._memo = {key: parsed for key, parsed in self._memo.items() if key in self._used}
        return readings

    async def _read(self, source: Source) -> Reading:
        try:
            snapshot = await source.snapshot()
        except InMotionError as error:
            return Reading(source.name, failed=error.message, moving=True)
        except UnavailableError as error:
            return Reading(source.name, failed=error.message)
        content = (snapshot.revision, snapshot.problems, snapshot.deleted, snapshot.deliberate)
        last = self._last.get(source.name)
        if last is None or last.content != content:
            keys = {file.path: self._parts.parse_key(file) for file in snapshot.files}
            reading = reading_of(snapshot, await self._parsed(snapshot.files, keys))
            last = self._last[source.name] = _Last(content, reading, frozenset(keys.values()))
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
                self._memo[key] = self._parts.parse(file, cached.get(key))
                if key not in cached and self._memo[key].cache:
                    self.unsaved[key] = self._memo[key].cache
            result[file.path] = self._memo[key]
        return result


@dataclass(frozen=True, slots=True)
class _Last:
    """What a source gave last: while its content stays, 10,000 values need not be made again each pass."""

    content: tuple[object, ...]
    reading: Reading
    keys: frozenset[str]


def reading_of(snapshot: Snapshot, parsed: Mapping[str, ParsedFile]) -> Reading:
    """Return what a source gave, `parsed` saying by path what each of its files says."""
    files = tuple(_file(snapshot, file, parsed[file.path]) for file in snapshot.files)
    files += tuple(ReadFile(p.file, (), (p,)) for p in snapshot.problems if p.severity == "error")
    warnings = tuple(p for p in snapshot.problems if p.severity != "error")
    return Reading(
        snapshot.source, files, snapshot.deliberate, snapshot.revision, problems=warnings, deleted=snapshot.deleted
    )


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
    return ReadFile(file.path, specs, parsed.problems)
