"""The engine task of one job: it owns the runtime values of the job's watchers, and nothing else may change them.

A tick matches, commits, and answers whether there is more to do at once. The daemon and `--once` call the same tick;
who calls it, and when, is the runner's business. All times come from the injected clock.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from reconciler.engine import outputs
from reconciler.engine.parts import Host, Parts
from reconciler.engine.streams import any_on_network, joined, lost, seen_as_one, streams_of, told, written_as_one
from reconciler.engine.ticks import TickResult
from reconciler.events import Event, EventType
from reconciler.logic.advance import WatcherTick
from reconciler.logic.compiled import CompiledSpec
from reconciler.logic.deadlines import next_due
from reconciler.logic.feeding import CONTEXT, Cohort, Feeding, KnownStream, StreamResult, cohorts, feed
from reconciler.logic.runs import baselines, written_since
from reconciler.logic.selecting import started
from reconciler.model import LOCALHOST, Job, PendingAction, Position, StreamName, Watcher, WatcherId, WatcherState
from reconciler.protocols import UNCHANGED, Advance, Batch, Glimpse, Sight, Want
from reconciler.spec.watcher import OutputType, StartAt

log = logging.getLogger(__name__)

#: Matches of all watchers of a job that one transaction takes, and those that each may have in any case.
ALL_MATCHES, LEAST_MATCHES = 50_000, 100
#: A watcher with so many actions waiting reads no further until some of them have run.
MOST_WAITING = 10_000
#: Seconds that an output that was read may be out of sight at its job's end: a file may vanish for a moment.
LOST_GRACE = 120.0
_NOTHING = KnownStream()


class _Kept(NamedTuple):
    """What holds while nothing happens: with this limit, these are the wants; and when time alone wants a tick."""

    limit: int
    wants: dict[StreamName, Want]
    due: float | None


class JobTask:
    """All watchers of one job. `lock` is held while their values change."""

    __slots__ = (
        "_cohorts", "_host", "_kept", "_known", "_network", "_one_file", "_parts", "_placed", "_quiet_since", "asked",
        "checked", "committing", "compiled", "fresh", "job", "lock", "pending", "problem", "quiet", "shared_with",
        "watchers",
    )  # fmt: skip

    def __init__(self, parts: Parts, host: Host, job: Job) -> None:
        self._parts, self._host = parts, host
        self.job = job
        self.watchers: dict[WatcherId, Watcher] = {}
        self.compiled: dict[WatcherId, CompiledSpec] = {}
        self.pending: dict[WatcherId, list[PendingAction]] = {}
        self.lock = asyncio.Lock()
        self.checked: float | None = None
        self.quiet, self.problem = 0, ""
        self.committing = False  # broken off meanwhile, nobody would know whether it was written
        self.fresh = True  # its job or its set of watchers changed since the reader was told
        self._known: dict[StreamName, KnownStream] = {}
        self._quiet_since: float | None = None
        self._kept: _Kept | None = None
        self.asked: float | None = None  # when the newest look was asked for, where its job was known to have ended
        self._cohorts: dict[tuple[Any, ...], tuple[Cohort, ...]] = {}
        self._placed: dict[tuple[WatcherId, StreamName], Position] = {}  # start_at: end, until the first commit
        self._network: bool | None = None
        self._one_file = written_as_one(job)
        self.shared_with: tuple[str, ...] = ()  # other jobs that write the same file

    def meet(self, job: Job) -> None:
        """Take note of what became of the job."""
        same = (job.stdout, job.stderr) == (self.job.stdout, self.job.stderr)
        if job.started != self.job.started:
            self.forget_scans()  # what is there may be another run's
        self._one_file = written_as_one(job) or (self._one_file and same)
        self.job = job
        self.fresh = True
        self._kept = None
        if not job.state.ended:
            self._quiet_since = None  # also of a job that was requeued: its end is yet to come

    # --- the set of watchers ---

    def put(self, watcher: Watcher, compiled: CompiledSpec) -> None:
        """Take over a watcher, or the new value of one."""
        self.watchers[watcher.id] = watcher
        self.compiled[watcher.id] = compiled
        self.fresh = True
        self.forget_scans()
        self._cohorts.clear()

    def drop(self, watcher_id: WatcherId) -> None:
        """Let go of a watcher."""
        for table in (self.watchers, self.compiled, self.pending):
            table.pop(watcher_id, None)
        self._kept = None
        self._cohorts.clear()

    @property
    def interval(self) -> float:
        """Seconds between two regular looks: the shortest of its watchers, longer while nothing happens."""
        base = min((c.spec.interval_seconds for c in self.compiled.values()), default=60.0)
        return min(base * (1.0 + 0.5 * self.quiet), base * self._parts.settings.engine.max_backoff)

    def due(self) -> float | None:
        """Return when a stored deadline wants a tick; None: never."""
        if self._kept is not None and not self.job.state.ended and not any(self.pending.values()):
            return self._kept.due
        return self._due()

    def _due(self) -> float | None:
        dues = [next_due(self.compiled[w.id], w, self.job) for w in self.watchers.values()]
        dues += [a.not_before for queue in self.pending.values() for a in queue]
        if self.job.state.ended:
            dues.append(self.settle_due())
        return min((due for due in dues if due is not None), default=None)

    def settle_due(self) -> float | None:
        """Return when the output of an ended job has been stable for long enough, as far as is known now."""
        if not self.job.state.ended:
            return None
        since = self._quiet_since if self._quiet_since is not None else self._parts.clock.now()
        engine = self._parts.settings.engine
        gone = [w.memory.missing_since + LOST_GRACE for w in self.watchers.values() if w.memory.missing_since]
        return max([since + (engine.end_grace_network if self._on_network() else engine.end_grace), *gone])

    def _on_network(self) -> bool:
        """Tell whether sizes may be stale: the output lies on a network file system, as far as is known."""
        said = self._parts.settings.hosts[self.job.host].network_file_system
        if said is not None or self.job.host != LOCALHOST:
            return bool(said)
        if self._network is None:
            self._network = any_on_network(self.paths().values())
        return self._network

    # --- looking ---

    def paths(self) -> Mapping[StreamName, str]:
        """Return the streams that the job has: one alone where both outputs are one file."""
        return streams_of(self.job, one_file=self._one_file)

    def readers(self) -> Mapping[StreamName, dict[WatcherId, Position]]:
        """Return which watchers read which stream now, and from where."""
        result: dict[StreamName, dict[WatcherId, Position]] = {}
        if not started(self.job):
            return result
        for stream in self.paths():
            ids = [w.id for w in self.watchers.values() if self._reads(w, stream)]
            if ids:
                result[stream] = {i: self._position(i, stream) for i in ids}
        return result

    def _position(self, watcher_id: WatcherId, stream: StreamName) -> Position:
        placed = self._placed.get((watcher_id, stream))
        return placed if placed is not None else self.watchers[watcher_id].checkpoints.get(stream, Position())

    def wants(self, most: int | None = None) -> dict[StreamName, Want]:
        """Return what to look at now, at most so many bytes of each stream.

        While nothing happens these are the same values again, which costs an idle job, and its transport, next to
        nothing.
        """
        limit = min(self._parts.settings.limits.look_bytes, most or sys.maxsize)
        self.asked = self._parts.clock.now() if self.job.state.ended else None
        waits = any(self.pending.values())
        if self._kept is not None and self._kept.limit == limit and not waits:
            return self._kept.wants
        wants = self._wants(limit)
        self._kept = None if waits else _Kept(limit, wants, self._due())
        return wants

    def _wants(self, limit: int) -> dict[StreamName, Want]:
        wants = {}
        for stream, positions in self.readers().items():
            offset = min(position.offset for position in positions.values())
            known = self._known.get(stream, _NOTHING)
            nothing_owed = not self.job.state.ended and positions.keys() <= set(known.dealt)
            stat = known.stat if nothing_owed else None
            wants[stream] = Want(self.paths()[stream], offset, stat, CONTEXT, min(limit, known.take or limit))
        return wants

    def _reads(self, watcher: Watcher, stream: StreamName) -> bool:
        spec = self.compiled[watcher.id].spec
        if watcher.state is not WatcherState.ACTIVE or watcher.timer_active:
            return False
        if (not self.compiled[watcher.id].rules and spec.silence is None) or self._blocked(watcher.id):
            return False
        return self._one_file or spec.output_type.value in (OutputType.BOTH.value, stream.value)

    def _blocked(self, watcher_id: WatcherId) -> bool:
        """Tell whether actions have to run before the next line is looked at: one may pause it, or too many wait."""
        waiting = len(self.pending.get(watcher_id, ()))
        return waiting >= MOST_WAITING or (waiting > 0 and self.compiled[watcher_id].late_pause)

    @property
    def blocked(self) -> bool:
        """True while a watcher reads no further before some of its actions have run."""
        return any(self._blocked(w.id) for w in self.watchers.values() if w.state is not WatcherState.PAUSED)

    # --- one tick ---

    async def tick(self, glimpses: Mapping[StreamName, Glimpse]) -> TickResult:
        """Deal with what one look saw and with every due deadline, in one transaction."""
        async with self.lock:
            glimpses = {s: told(g, self._known.get(s, _NOTHING).stat) for s, g in glimpses.items()}
            await self._place_at_end(glimpses)
            async with self._parts.commits.room:  # held for nothing that waits for a host
                return await self._deal(glimpses)

    async def _deal(self, glimpses: Mapping[StreamName, Glimpse]) -> TickResult:
        now = self._parts.clock.now()
        ticks = {w.id: self._start(w, now) for w in self.watchers.values()}
        if not self._one_file and seen_as_one(glimpses):
            self._join()
        final = not self._lost(glimpses, ticks, now) and self._final(glimpses, now)
        results = self._feed(glimpses, ticks, final)
        grew = any(result.grew for result in results.values())
        more = any(result.more for result in results.values())
        blind = any(glimpse.sight is Sight.FAILED for glimpse in glimpses.values())
        for tick in ticks.values():
            tick.deadlines(blind=blind)
        finished = final and not more and all(r.settled for r in results.values())
        waits = any(tick.again for tick in ticks.values())
        woken = any(w.state is WatcherState.PAUSED and not ticks[w.id].after.holds for w in self.watchers.values())
        if finished and not waits and not woken and not self.blocked:
            for tick in ticks.values():
                tick.job_ended()
        await self._commit(ticks, results, now)
        self._after_look(glimpses, results)
        self.checked = now
        self.quiet = 0 if grew else self.quiet + 1
        return TickResult(more or waits or woken, grew, self._done())

    def _start(self, watcher: Watcher, now: float) -> WatcherTick:
        limits = self._parts.settings.limits
        room = min(limits.matches_per_tick, max(LEAST_MATCHES, ALL_MATCHES // max(1, len(self.watchers))))
        compiled = self.compiled[watcher.id]
        return WatcherTick(compiled, watcher, self.job, now, variable_bytes=limits.variable_bytes, matches=room)

    def _feed(
        self, glimpses: Mapping[StreamName, Glimpse], ticks: Mapping[WatcherId, WatcherTick], final: bool
    ) -> dict[StreamName, StreamResult]:
        results = {}
        for stream, positions in self.readers().items():
            if (glimpse := glimpses.get(stream)) is None:
                continue
            look = Feeding(
                stream=stream,
                glimpse=glimpse,
                started=written_since(self.job, self.paths()[stream]),
                ended=self.job.state.ended,
                final=final,
                line_bytes=self._parts.settings.limits.line_bytes,
                path=self.paths()[stream],
                now=self._parts.clock.now(),
            )
            known = baselines(positions, glimpse.stat, self.job)
            results[stream] = feed(self._grouped(stream, known), ticks, look)
            if results[stream].grew:
                for watcher_id in positions:
                    ticks[watcher_id].grew(stream, glimpse.stat)
        return results

    def _grouped(self, stream: StreamName, positions: dict[WatcherId, Position]) -> tuple[Cohort, ...]:
        """Group by position; where all stand together, as they do nearly always, the set of patterns is kept."""
        key = (stream, *positions)
        kept = self._cohorts.get(key)
        distinct = set(positions.values())
        if kept is not None and len(kept) == 1 and len(distinct) == 1 and not any(place.taken for place in distinct):
            return (replace(kept[0], position=distinct.pop(), taken={}),)
        made = cohorts(positions, self.compiled)
        self._cohorts[key] = made
        return made

    async def _commit(
        self, ticks: Mapping[WatcherId, WatcherTick], results: Mapping[StreamName, StreamResult], now: float
    ) -> None:
        advances = []
        broken = {s for s, r in results.items() if r.notes}  # read anew, perhaps up to the same place
        for watcher_id, tick in ticks.items():
            places = {s: replace(place, at=now) for (i, s), place in self._placed.items() if i == watcher_id}
            places |= {s: r.positions[watcher_id] for s, r in results.items() if watcher_id in r.positions}
            moved = {s: p for s, p in places.items() if s in broken or tick.after.checkpoints.get(s) != p}
            if (advance := tick.advance(moved)) is not None:
                advances.append(advance)
        notes = [self._note(type_, data, now) for r in results.values() for type_, data in r.notes]
        if advances or notes:
            await self.write(advances, tuple(notes))
        self._placed.clear()

    async def write(self, advances: Iterable[Advance], events: tuple[Event, ...] = (), **more: Any) -> None:
        """Commit changes of this task's watchers and take the new values over; the caller holds `lock`."""
        batch = Batch(advances=tuple(advances), events=events, **more)
        self.committing = True
        try:
            committed = await self._parts.commits.commit(batch)
        finally:
            self.committing = False
        self.watchers |= {each.after.id: each.after for each in batch.advances if each.after.id in self.watchers}
        self._kept = None
        for action in committed.pending:
            self.pending.setdefault(action.watcher_id, []).append(action)

    def _note(self, type_: EventType, data: Mapping[str, object], now: float) -> Event:
        return Event(type_, now, str(self.job.key), job_id=self.job.id, hostname=self.job.host, data=data)

    # --- the ends of a stream ---

    async def _place_at_end(self, glimpses: Mapping[StreamName, Glimpse]) -> None:
        """Put watchers that start at the end of what is there now behind its last byte, once."""
        for stream, positions in self.readers().items():
            at_end = [i for i in positions if self._starts_at_end(i, stream)]
            glimpse = glimpses.get(stream)
            if not at_end or glimpse is None or glimpse.sight is Sight.FAILED or glimpse is UNCHANGED:
                continue  # the next look tells
            size = None if glimpse.stat is None else glimpse.stat.size
            place = await outputs.behind(self._host.transport, self.paths()[stream], size)
            self._placed.update({(watcher_id, stream): place for watcher_id in at_end})

    def _starts_at_end(self, watcher_id: WatcherId, stream: StreamName) -> bool:
        watcher = self.watchers[watcher_id]
        fresh = stream not in watcher.checkpoints and (watcher_id, stream) not in self._placed
        late = watcher.created_at - 1.0 >= (self.job.started or 0.0)  # else before the first line; starts are rounded
        return fresh and late and self.compiled[watcher_id].spec.start_at is StartAt.END

    def _final(self, glimpses: Mapping[StreamName, Glimpse], now: float) -> bool:
        """Tell whether the job has ended and its output was stable for `end_grace`; not knowing is not stable.

        A look that was asked for before that says nothing of the end, however long its answer was on the way.
        """
        if not self.job.state.ended or self.asked is None:
            return False
        stats = {s: g.stat for s, g in glimpses.items() if g.stat is not None}
        if any(g.sight is Sight.FAILED for g in glimpses.values()):
            return False
        if self._quiet_since is None:
            known = [s.mtime_ns / 1e9 for s in stats.values()]
            self._quiet_since = min(now, max([*known, self.job.ended if self.job.ended is not None else now]))
        elif any(self._known.get(s, _NOTHING).stat not in (None, stat) for s, stat in stats.items()):
            self._quiet_since = now
        due = self.settle_due()
        return due is not None and self.asked >= due

    def _lost(self, glimpses: Mapping[StreamName, Glimpse], ticks: Mapping[WatcherId, WatcherTick], now: float) -> bool:
        """Tell whether an output is out of sight that was there, and not yet for so long that it is gone."""
        missing = self.job.state.ended and lost(glimpses, self.watchers.values())
        since = [tick.out_of_sight(missing) for tick in ticks.values()]
        return any(now - at < LOST_GRACE for at in since if at is not None)

    def _join(self) -> None:
        """From now on both outputs are one stream."""
        self._one_file = True
        self._placed |= {(each, StreamName.STDOUT): place for each, place in joined(self.watchers.values())}
        self._cohorts.clear()

    def _after_look(self, glimpses: Mapping[StreamName, Glimpse], results: Mapping[StreamName, StreamResult]) -> None:
        self.problem = next((g.reason for g in glimpses.values() if g.sight is Sight.FAILED), "")
        self._kept = None
        for stream, result in results.items():
            self._known.setdefault(stream, KnownStream()).learn(glimpses[stream], result, self.job.state.ended)

    def _done(self) -> bool:
        return self.job.state.ended and all(not w.phase.live for w in self.watchers.values())

    def forget_scans(self) -> None:
        """After a commit that failed: nothing read since the last one counts."""
        self._kept = None
        for known in self._known.values():
            known.stat = None

    # --- for people and actions ---

    async def tail(self, lines: int) -> str:
        """Return the last lines of the job's watched output, read now."""
        paths = list(self.paths().values())
        return await outputs.tail(self._host.transport, paths[0], lines) if paths else ""

    async def ends(self) -> Mapping[StreamName, Position]:
        """Return the positions behind what is in the outputs now. Raises UnavailableError where that cannot be seen."""
        return {stream: await outputs.end(self._host.transport, path) for stream, path in self.paths().items()}

    async def change(
        self, watcher_id: WatcherId, edit: Callable[[WatcherTick], bool], **more: Any
    ) -> tuple[bool, Watcher]:
        """Let `edit` work on a tick of one watcher and commit what it did; return its answer and the new value."""
        async with self.lock:
            tick = self._start(self.watchers[watcher_id], self._parts.clock.now())
            answer = edit(tick)
            await self.write(filter(None, [tick.advance()]), **more)
            return answer, self.watchers[watcher_id]
