"""Watchers over finished output, in bounded memory and without any effect: what each match is, and what would be done.

The production scanner and matcher. `reconcile replay` calls it; nothing here reads files. What needs a running job is
left out: `max_triggers`, cooldowns, timers, silence, job ends (`simulate` has them); every match is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reconciler.errors import ConditionError
from reconciler.logic.compiled import CompiledAction, CompiledSpec
from reconciler.logic.conditions import Condition
from reconciler.logic.hits import LineHit
from reconciler.logic.patterns import compile_set
from reconciler.logic.scanner import Overrun, StreamScanner
from reconciler.logic.substitution import builtin_values, match_values, render_params
from reconciler.model import Job, Match, Position, StreamName


class Replayed(NamedTuple):
    """One match. `condition`: held, did not, could not be told (`error: ...`), or there is none (None)."""

    watcher: str
    match: Match
    condition: bool | str | None
    actions: tuple[Mapping[str, Any], ...]

    @property
    def fires(self) -> bool:
        """True where the actions would run."""
        return self.condition is True or self.condition is None


@dataclass(slots=True)
class Tally:
    """What one watcher made of all outputs. `fires`: matches that would trigger; `last`: text of the last match."""

    matches: int = 0
    fires: int = 0
    errors: int = 0
    outputs: int = 0
    last: str = ""


@dataclass(slots=True)
class _Watch:
    """One watcher. `first`: the index of its first pattern; `bare`: nobody asks for values, so none are kept.

    `counted`: matches that were only counted, of which `newest` is the last one.
    """

    compiled: CompiledSpec
    members: int
    first: int
    bare: bool
    name: str
    builtins: Mapping[str, str | None]
    counted: int = 0
    newest: tuple[int, LineHit] | None = None
    variables: dict[str, str | None] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)


class Replay:
    """All watchers over one output: feed it blocks of bytes, then `finish`.

    `render`: whether actions are rendered. `long`: there is so much to come that the fastest engine pays from the
    start.
    """

    def __init__(self, specs: Sequence[CompiledSpec], job: Job, *, render: bool = True, long: bool = False) -> None:
        self._patterns = compile_set([rule for compiled in specs for rule in compiled.rules])
        if long:
            self._patterns.hasten()
        self._scanner = StreamScanner(self._patterns, Position())
        self._owner: list[_Watch] = []
        for compiled in specs:
            name = compiled.spec.name
            bare = not render and compiled.condition is None and not compiled.members
            watch = _Watch(compiled, compiled.members, len(self._owner), bare, name, builtin_values(job, name))
            self._owner += [watch] * len(compiled.rules)
        self._render = render
        self._cuts: list[int] = []
        self._slow: list[Overrun] = []

    def feed(self, data: bytes) -> Iterator[Replayed]:
        """Yield the matches of the lines that these bytes complete; take all of them before the next call."""
        yield from self._matches(self._scanner.feed(data))
        self._remember()

    def finish(self) -> Iterator[Replayed]:
        """Yield the matches of a last line without an end."""
        yield from self._matches(self._scanner.finish())
        self._remember()

    def count(self, blocks: Iterable[bytes], tallies: Mapping[str, Tally]) -> None:
        """Take the whole output and add to the tallies what `feed` and `finish` would yield, in a third of the time."""
        before = {name: tally.matches for name, tally in tallies.items()}
        for data in blocks:
            self._count(self._scanner.feed(data), tallies)
        self._count(self._scanner.finish(), tallies)
        for watch in self._owner:
            tally, counted = tallies[watch.name], watch.counted
            watch.counted = 0  # a watcher with several patterns is met once for each
            tally.matches += counted
            tally.fires += counted
            if watch.newest is not None:
                tally.last = self._patterns.matches(*watch.newest)[-1].text
        for name, tally in tallies.items():
            tally.outputs += tally.matches > before[name]

    def _count(self, hits: Iterable[LineHit], tallies: Mapping[str, Tally]) -> None:
        """Count; of a match that is alone on its line nobody asks more than that it is there, until it is the last."""
        owner, rest = self._owner, list[Replayed]()
        for hit in hits:
            alone = hit.single and hit.clear and hit.found is None
            for index in hit.patterns:
                watch = owner[index]
                if watch.bare:
                    watch.counted += 1 if alone else len(self._patterns.matches(index, hit))
                    watch.newest = (index, hit)
                else:
                    rest += self._of(index, hit)
        for each in rest:
            tally = tallies[each.watcher]
            tally.matches += 1
            tally.fires += each.fires
            tally.errors += isinstance(each.condition, str)
            tally.last = each.match.text
        self._remember()

    def remarks(self) -> Iterator[str]:
        """Yield what a person should know of the output as a whole, in words."""
        if self._cuts:
            yield f"{_lines(self._cuts)} too long: only the beginning was matched"
        for index, watch in enumerate(self._owner):
            for kept in (False, True):
                slow = [over.line for over in self._slow if over.pattern == index and bool(over.kept) is kept]
                if slow:
                    what = "had more matches than are kept" if kept else "ran out of time"
                    yield f"watcher {watch.name!r}: a pattern {what} on {_lines(slow)}"

    def _remember(self) -> None:
        """Keep the first few of what there is to remark; there may be one for every line."""
        scanner = self._scanner
        self._cuts += [cut.line for cut in scanner.cuts][: _MANY - len(self._cuts)]
        self._slow += scanner.overruns[: _MANY - len(self._slow)]
        scanner.cuts.clear()
        scanner.overruns.clear()

    def _matches(self, hits: Iterable[LineHit]) -> Iterator[Replayed]:
        for hit in hits:
            for index in hit.patterns:
                yield from self._of(index, hit)

    def _of(self, index: int, hit: LineHit) -> list[Replayed]:
        """Return what the pattern made of the line; a list, since a generator for each would be felt."""
        watch = self._owner[index]
        made = []
        for match in self._patterns.matches(index, hit, StreamName.STDOUT):
            if watch.bare:
                made.append(Replayed(watch.name, match, None, ()))
            elif not watch.members or self._all_seen(watch, index - watch.first):
                made.append(self._replayed(watch, match))
            else:
                watch.variables.update(match.captures)
        return made

    @staticmethod
    def _all_seen(watch: _Watch, member: int) -> bool:
        """Of `patterns.all`, the match that completes the set counts; `within` needs times, which an output lacks."""
        watch.seen.add(member)
        if len(watch.seen) < watch.members:
            return False
        watch.seen.clear()
        return True

    def _replayed(self, watch: _Watch, match: Match) -> Replayed:
        captured = match_values(match)
        values = {**watch.variables, **captured, **watch.builtins, "TRIGGER": "match"}
        condition = _held(watch.compiled.condition, values)
        if condition is True or condition is None:
            del captured["0"], captured["_matched_text"]
            watch.variables.update(captured)
        actions = tuple(self._actions(watch.compiled.actions, values)) if self._render else ()
        return Replayed(watch.name, match, condition, actions)

    @staticmethod
    def _actions(actions: Iterable[CompiledAction], values: Mapping[str, str | None]) -> Iterator[Mapping[str, Any]]:
        for action in actions:
            if not action.on_failure and _held(action.condition, values) in (True, None):
                yield {"type": action.type, "params": render_params(action.params, values)}


_MANY = 1000


def _lines(numbers: Sequence[int]) -> str:
    """Return `line 5`, or how many lines and which is the first."""
    count = f"{len(numbers)}{' or more' if len(numbers) >= _MANY else ''}"
    return f"line {numbers[0]}" if len(numbers) == 1 else f"{count} lines (the first is {numbers[0]})"


def _held(condition: Condition | None, values: Mapping[str, str | None]) -> bool | str | None:
    if condition is None:
        return None
    try:
        return condition.holds(values)
    except ConditionError as error:
        return f"error: {error.message}"
