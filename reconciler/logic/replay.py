"""Watchers over finished output, in bounded memory and without any effect: what each match is, and what would be done.

The production scanner and matcher. `reconcile replay` calls it; nothing here reads files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.errors import ConditionError
from reconciler.logic.compiled import CompiledAction, CompiledSpec
from reconciler.logic.conditions import Condition
from reconciler.logic.feeding import Member
from reconciler.logic.hits import LineHit
from reconciler.logic.patterns import compile_set
from reconciler.logic.scanner import StreamScanner
from reconciler.logic.substitution import builtin_values, match_values, render_params
from reconciler.model import Job, Match, Position, StreamName, WatcherId


@dataclass(frozen=True, slots=True)
class Replayed:
    """One match. `condition`: held, did not, could not be told (`error`), or there is none (None)."""

    watcher: str
    match: Match
    condition: bool | str | None
    actions: tuple[Mapping[str, Any], ...]

    @property
    def fires(self) -> bool:
        """True where the actions would run."""
        return self.condition in (True, None)


@dataclass(slots=True)
class _Watch:
    compiled: CompiledSpec
    values: dict[str, str | None]
    seen: set[int] = field(default_factory=set)


class Replay:
    """All watchers over one output: feed it blocks of bytes, then `finish`. `render`: whether actions are rendered."""

    def __init__(self, specs: Sequence[CompiledSpec], job: Job, *, render: bool = True) -> None:
        rules = [rule for compiled in specs for rule in compiled.rules]
        self._patterns = compile_set(rules)
        self._scanner = StreamScanner(self._patterns, Position())
        self._watches = [_Watch(compiled, dict(builtin_values(job, compiled.spec.name))) for compiled in specs]
        self._owner: list[Member] = []
        for number, compiled in enumerate(specs):
            first = len(self._owner)
            self._owner += [Member(WatcherId(number), first, len(compiled.rules))] * len(compiled.rules)
        self._render = render

    def feed(self, data: bytes) -> Iterator[Replayed]:
        """Yield the matches of the lines that these bytes complete."""
        return self._matches(self._scanner.feed(data))

    def finish(self) -> Iterator[Replayed]:
        """Yield the matches of a last line without an end."""
        return self._matches(self._scanner.finish())

    def _matches(self, hits: Iterable[LineHit]) -> Iterator[Replayed]:
        for hit in hits:
            for index in hit.patterns:
                member = self._owner[index]
                watch = self._watches[member.watcher]
                for match in self._patterns.matches(index, hit, StreamName.STDOUT):
                    if not watch.compiled.members or self._all_seen(watch, index - member.first):
                        yield self._replayed(watch, match)

    @staticmethod
    def _all_seen(watch: _Watch, member: int) -> bool:
        """Of `patterns.all`, the match that completes the set counts; `within` needs times, which an output lacks."""
        watch.seen.add(member)
        if len(watch.seen) < watch.compiled.members:
            return False
        watch.seen.clear()
        return True

    def _replayed(self, watch: _Watch, match: Match) -> Replayed:
        values = {**watch.values, **match_values(match)}
        condition = _held(watch.compiled.condition, values)
        if condition in (True, None):
            watch.values.update({k: v for k, v in values.items() if k not in ("0", "_matched_text")})
        actions = tuple(self._actions(watch.compiled.actions, values)) if self._render else ()
        return Replayed(watch.compiled.spec.name, match, condition, actions)

    @staticmethod
    def _actions(actions: Iterable[CompiledAction], values: Mapping[str, str | None]) -> Iterator[Mapping[str, Any]]:
        for action in actions:
            if not action.on_failure and _held(action.condition, values) in (True, None):
                yield {"type": action.type, "params": render_params(action.params, values)}


def _held(condition: Condition | None, values: Mapping[str, str | None]) -> bool | str | None:
    if condition is None:
        return None
    try:
        return condition.holds(values)
    except ConditionError as error:
        return f"error: {error.message}"
