"""One stream of one job, one look: new bytes to the ticks of all watchers that read it.

Watchers at one position form a cohort and share one scan; usually there is one cohort. Pure; the worker calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import thread_time
from zlib import crc32

from reconciler.events import EventType
from reconciler.logic.advance import WatcherTick
from reconciler.logic.compiled import CompiledSpec
from reconciler.logic.follow import Verdict, follow
from reconciler.logic.multiline import Place
from reconciler.logic.patterns import PatternSet, Rule, compile_set
from reconciler.logic.scanner import LineHit, StreamScanner
from reconciler.model import FileStat, Position, StreamName, WatcherId
from reconciler.protocols import Glimpse, Sight

#: Bytes before a position that a look brings along, for the fingerprint.
CONTEXT = 64
#: Bytes that are dealt with before the clock is looked at, and seconds of processor time that one look at one stream
# may take: what is left then is for the next look, at once, so that no pattern and no burst holds up other jobs.
SLICE = 256 * 1024
BUDGET = 0.02


@dataclass(frozen=True, slots=True)
class Member:
    """A watcher within a cohort: its patterns are `first` .. `first + count - 1` of the set."""

    watcher: WatcherId
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Cohort:
    """Watchers of one stream that stand at one position, and the set of all their patterns.

    `taken` is in none of their positions, but here by the index of the pattern.
    """

    position: Position
    patterns: PatternSet
    members: tuple[Member, ...]
    taken: Mapping[int, Place] = field(default_factory=dict)


@dataclass(slots=True)
class StreamResult:
    """What one look at one stream came to.

    `positions`: where each watcher stands now. `more`: there is more to read at once. `grew`: there were new bytes.
    `owed`: watchers that stopped before the end of it. `settled`: everything up to the stat's size is dealt with, but
    for a last line without an end. `notes`: events to make, with their data.
    """

    positions: dict[WatcherId, Position] = field(default_factory=dict)
    more: bool = False
    grew: bool = False
    settled: bool = True
    owed: set[WatcherId] = field(default_factory=set)
    notes: list[tuple[EventType, Mapping[str, object]]] = field(default_factory=list)


def cohorts(positions: Mapping[WatcherId, Position], compiled: Mapping[WatcherId, CompiledSpec]) -> tuple[Cohort, ...]:
    """Group watchers by position, in ascending order of offset."""
    groups: dict[Position, list[WatcherId]] = {}
    for watcher_id, position in positions.items():
        groups.setdefault(replace(position, taken=()), []).append(watcher_id)
    made = []
    for position, ids in sorted(groups.items(), key=lambda item: item[0].offset):
        rules: list[Rule] = []
        members = []
        taken: dict[int, Place] = {}
        for watcher_id in ids:
            own = compiled[watcher_id].rules
            members.append(Member(watcher_id, len(rules), len(own)))
            ends = {mark: (line, byte) for mark, line, byte in positions[watcher_id].taken}
            marks = ((at, _mark(rule)) for at, rule in enumerate(own, len(rules)))
            taken.update({at: ends[mark] for at, mark in marks if mark in ends} if ends else {})
            rules.extend(own)
        made.append(Cohort(position, compile_set(rules), tuple(members), taken))
    return tuple(made)


def _mark(rule: Rule) -> int:
    return crc32(rule.expression.encode())


def next_take(take: int | None, glimpse: Glimpse, result: StreamResult) -> int | None:
    """Return how many bytes the next look should bring at most, None: as many as it may; `take` is that of this one.

    What a look brings and a tick leaves is read again, so a stream whose lines cost much is read in smaller pieces.
    """
    reached = max((position.offset for position in result.positions.values()), default=0)
    dealt = max(0, reached - glimpse.start)
    if len(glimpse.data) - dealt > SLICE // 2:
        return max(SLICE, dealt)
    return None if take is None or len(glimpse.data) < take else 2 * take


@dataclass(slots=True)
class KnownStream:
    """What is known of a stream from one look to the next.

    `stat`: of a file of which all was dealt with by the watchers `dealt`; None where something is left. `take`: bytes
    that one tick can deal with, where a look brought more.
    """

    stat: FileStat | None = None
    dealt: tuple[WatcherId, ...] = ()
    take: int | None = None

    def learn(self, glimpse: Glimpse, result: StreamResult, ended: bool) -> None:
        """Take note of a look and what came of it; `ended`: its job has."""
        if glimpse.stat is None or glimpse.sight is not Sight.READ:
            return
        self.take = next_take(self.take, glimpse, result)
        self.stat = None
        if result.settled or ended:
            self.stat = glimpse.stat
            self.dealt = tuple(result.positions.keys() - result.owed)


@dataclass(frozen=True, slots=True)
class Feeding:
    """What stays the same for one look at one stream.

    `final`: the job has ended and the size is stable, so an unterminated last line is a line. `clock` counts the
    processor time of which `BUDGET` may be used. `now`: see `Position.at`.
    """

    stream: StreamName
    glimpse: Glimpse
    started: float | None
    ended: bool
    final: bool
    line_bytes: int
    path: str
    clock: Callable[[], float] = thread_time
    now: float | None = None


def feed(group: Sequence[Cohort], ticks: Mapping[WatcherId, WatcherTick], look: Feeding) -> StreamResult:
    """Feed every cohort and return where the watchers stand afterwards."""
    result = StreamResult()
    if look.glimpse.sight is not Sight.READ:
        result.settled = look.glimpse.sight is not Sight.FAILED
        return result
    for cohort in group:
        _CohortFeed(cohort, ticks, look, result).run()
    return result


_GOES_ON = (Verdict.GREW, Verdict.QUIET, Verdict.WAIT)


class _CohortFeed:
    """One cohort's share of a look."""

    def __init__(
        self, cohort: Cohort, ticks: Mapping[WatcherId, WatcherTick], look: Feeding, result: StreamResult
    ) -> None:
        self._cohort, self._ticks, self._look, self._result = cohort, ticks, look, result
        self._owner = {i: m for m in cohort.members for i in range(m.first, m.first + m.count)}
        self._members = {m.watcher: m for m in cohort.members}
        # One that stopped already, at a line of the other stream, keeps its place: nothing here may be passed over.
        self._stopped = {
            m.watcher: self._with_taken(cohort.position, m, cohort.taken)
            for m in cohort.members
            if ticks[m.watcher].stopped
        }

    def run(self) -> None:
        followed = follow(self._cohort.position, self._look.glimpse, started=self._look.started, ended=self._look.ended)
        self._note_break(followed.verdict)
        look = self._look
        scanner = StreamScanner(
            self._cohort.patterns,
            replace(followed.position, at=look.now),
            look.line_bytes,
            taken=self._cohort.taken if followed.verdict in _GOES_ON else {},
            budget=BUDGET,
            clock=look.clock,
        )
        broke_off = self._slices(followed.data, scanner)
        if broke_off or followed.again:
            self._result.more, self._result.settled = True, False
        elif look.final and followed.verdict is not Verdict.WAIT:
            self._deliver(scanner.finish(), scanner)
        for cut in scanner.cuts:
            self._note(EventType.STREAM_LINE_CUT, line=cut.line, offset=cut.offset)
        self._place(scanner)

    def _slices(self, data: bytes, scanner: StreamScanner) -> bool:
        """Deal with new bytes until all are dealt with or the time is used up; tell whether some are left."""
        begun, position = self._look.clock(), scanner.position
        for at in range(0, len(data), SLICE):
            self._result.grew = True
            self._deliver(scanner.feed(data[at : at + SLICE]), scanner)
            left = at + SLICE < len(data)
            if scanner.exhausted:
                return True
            if left and self._look.clock() - begun > BUDGET and scanner.position.offset > position.offset:
                return True
        return False

    def _place(self, scanner: StreamScanner) -> None:
        reached, taken = scanner.position, scanner.taken(scanner.position.line)
        for member in self._cohort.members:
            place = self._stopped.get(member.watcher)
            if place is None:
                place = self._with_taken(reached, member, taken)
            self._result.positions[member.watcher] = place
            if member.watcher in self._stopped and replace(place, taken=()) != reached:
                self._result.owed.add(member.watcher)
                if self._ticks[member.watcher].again:
                    self._result.more = True

    def _with_taken(self, place: Position, member: Member, taken: Mapping[int, Place]) -> Position:
        """Return the place with what the member's patterns of several lines have taken there."""
        if not taken:
            return place
        rules, own = self._cohort.patterns.rules, range(member.first, member.first + member.count)
        return replace(place, taken=tuple((_mark(rules[at]), *taken[at]) for at in own if at in taken))

    def _deliver(self, hits: Sequence[LineHit], scanner: StreamScanner) -> None:
        """Hand every hit to the watchers whose patterns it has, in the order of the lines."""
        for hit in hits:
            met = set()
            for index in hit.patterns:
                member = self._owner[index]
                tick = self._ticks[member.watcher]
                if member.watcher not in self._stopped and not tick.stopped:
                    met.add(member.watcher)
                    matches = self._cohort.patterns.matches(index, hit, self._look.stream)
                    tick.matched([match._replace(pattern=index - member.first) for match in matches])
            for watcher in met:
                if self._ticks[watcher].stopped:
                    taken = scanner.taken(hit.line)
                    self._stopped[watcher] = self._with_taken(
                        scanner.position_after(hit), self._members[watcher], taken
                    )
        for over in scanner.overruns:
            member = self._owner[over.pattern]
            stopped = self._stopped.get(member.watcher)
            if stopped is None or over.line <= stopped.line:
                self._ticks[member.watcher].gave_up(over.line, over.kept)
        scanner.overruns.clear()

    def _note_break(self, verdict: Verdict) -> None:
        if verdict is Verdict.TRUNCATED:
            self._note(EventType.STREAM_TRUNCATED, offset=self._cohort.position.offset)
        elif verdict is Verdict.REPLACED:
            self._note(EventType.STREAM_REPLACED, offset=self._cohort.position.offset)

    def _note(self, type_: EventType, **data: object) -> None:
        note = (type_, {"path": self._look.path, "stream": self._look.stream, **data})
        if note not in self._result.notes:
            self._result.notes.append(note)
