"""One look at one stream, fed to all watchers that read it: one scan, positions, ends, and breaks of the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest
from parts.core import CANCEL, NOW, PAUSE, a_job, a_match, a_spec, a_watcher, compiled, desired

from reconciler.events import Event, EventType
from reconciler.logic.advance import WatcherTick
from reconciler.logic.compiled import CompiledSpec
from reconciler.logic.feeding import BUDGET, CONTEXT, SLICE, Feeding, StreamResult, cohorts, feed, next_take
from reconciler.model import HEAD_BYTES, FileStat, Job, JobState, Position, StreamName, Watcher, WatcherId, WatcherState
from reconciler.protocols import Glimpse, Sight

JOB = a_job(started=NOW - 50)
LIMIT = 4 * 1024 * 1024


@dataclass
class File:
    """A file in memory, and what a look at it brings."""

    content: bytes = b""
    inode: int = 5
    mtime: float = NOW

    @property
    def stat(self) -> FileStat:
        return FileStat(1, self.inode, len(self.content), int(self.mtime * 1e9))

    def seen_from(self, offset: int, limit: int = LIMIT) -> Glimpse:
        size = len(self.content)
        start = max(0, offset - CONTEXT) if size >= max(0, offset - CONTEXT) else 0
        return Glimpse(
            Sight.READ, self.stat, start, self.content[start : start + CONTEXT + limit], self.content[:HEAD_BYTES]
        )


class Stream:
    """Watchers on one stream, look after look, each taking up what the one before left."""

    def __init__(self, *specs: Mapping[str, Any], file: File | None = None, job: Job = JOB) -> None:
        self.file = file or File()
        self.job = job
        self.compiled: dict[WatcherId, CompiledSpec] = {}
        self.watchers: dict[WatcherId, Watcher] = {}
        self.positions: dict[WatcherId, Position] = {}
        self.texts: dict[int, list[str]] = {}
        self.events: list[Event] = []
        self.cohorts = 0
        for number, fields in enumerate(specs, 1):
            spec = a_spec(f"w{number}", **fields)
            watcher = a_watcher(desired(spec), job, number)
            self.watchers[watcher.id], self.compiled[watcher.id] = watcher, compiled(spec)
            self.positions[watcher.id], self.texts[number] = Position(), []

    def look(
        self,
        *,
        final: bool = False,
        limit: int = LIMIT,
        line_bytes: int = 65536,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> StreamResult:
        """One look from the least position, given to all watchers that read on."""
        reading = {i: p for i, p in self.positions.items() if self._reads(i)}
        ticks = {i: WatcherTick(self.compiled[i], self.watchers[i], self.job, NOW) for i in self.watchers}
        glimpse = self.file.seen_from(min((p.offset for p in reading.values()), default=0), limit)
        group = cohorts(reading, self.compiled)
        self.cohorts = len(group)
        ended = self.job.state.ended
        look = Feeding(StreamName.STDOUT, glimpse, self.job.started, ended, final, line_bytes, "/out", clock)
        result = feed(group, ticks, look)
        self.positions.update(result.positions)
        for watcher_id, tick in ticks.items():
            self._take(watcher_id, tick)
        return result

    def _reads(self, watcher_id: WatcherId) -> bool:
        watcher = self.watchers[watcher_id]
        return watcher.state == "active" and not watcher.timer_active

    def _take(self, watcher_id: WatcherId, tick: WatcherTick) -> None:
        advance = tick.advance()
        if advance is not None:
            self.watchers[watcher_id] = advance.after
            self.events += advance.events
            triggered = [e for e in advance.events if e.type is EventType.WATCHER_TRIGGERED]
            self.texts[int(watcher_id)] += [str(event.matched_text) for event in triggered]

    def read(self, **how: Any) -> StreamResult:
        """Look until there is no more to read at once."""
        while (result := self.look(**how)).more:
            continue
        return result


NUMBER: dict[str, Any] = {"pattern": r"n=\d+"}


def lines(first: int, last: int) -> bytes:
    return b"".join(b"n=%d\n" % n for n in range(first, last + 1))


def test_every_new_line_is_met_once() -> None:
    stream = Stream(NUMBER)
    stream.file.content = lines(1, 3)
    assert stream.read().grew
    stream.file.content += lines(4, 5)
    stream.read()
    assert stream.texts[1] == ["n=1", "n=2", "n=3", "n=4", "n=5"]
    assert stream.positions[WatcherId(1)].line == 5
    assert not stream.read().grew


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_line_written_in_two_flushes_is_one_match(cut: int) -> None:
    whole = "größe=1200\n".encode()
    stream = Stream({"pattern": "größe=[0-9]+"})
    stream.file.content = whole[:cut]
    stream.read()
    stream.file.content = whole
    stream.read()
    assert stream.texts[1] == ["größe=1200"]


def test_the_last_line_without_an_end_is_met_only_when_the_job_is_over() -> None:
    stream = Stream(NUMBER, job=replace(JOB, state=JobState.COMPLETED))
    stream.file.content = b"n=1\nn=2"
    result = stream.read()
    assert (stream.texts[1], result.settled) == (["n=1"], True)
    stream.read(final=True)
    assert stream.texts[1] == ["n=1", "n=2"]
    assert stream.positions[WatcherId(1)].offset == 7


def test_a_burst_is_read_in_pieces_and_finished_only_behind_the_last() -> None:
    stream = Stream(NUMBER, job=replace(JOB, state=JobState.COMPLETED))
    stream.file.content = lines(1, 2000) + b"n=2001"
    result = stream.look(final=True, limit=1000)
    assert (result.more, result.settled) == (True, False)
    stream.read(final=True, limit=1000)
    assert len(stream.texts[1]) == 2001
    assert stream.texts[1][-1] == "n=2001"


def test_watchers_at_one_position_share_one_scan() -> None:
    stream = Stream(*[NUMBER] * 20, {"pattern": "never"})
    stream.file.content = lines(1, 3)
    stream.read()
    assert stream.cohorts == 1
    assert [len(texts) for texts in stream.texts.values()] == [3] * 20 + [0]


def test_watchers_at_different_positions_get_what_each_still_needs() -> None:
    stream = Stream(NUMBER, NUMBER)
    stream.file.content = lines(1, 4)
    stream.positions[WatcherId(2)] = Position(1, 5, 8, 2, head=b"n=1\nn=2\n", tail=b"n=1\nn=2\n")
    stream.read()
    assert stream.cohorts == 2
    assert (stream.texts[1], stream.texts[2]) == (["n=1", "n=2", "n=3", "n=4"], ["n=3", "n=4"])
    stream.file.content += lines(5, 5)
    stream.read()
    assert stream.cohorts == 1
    assert stream.texts[2][-1] == "n=5"


@pytest.mark.parametrize("step", [1, 2, 5, 60])
def test_a_pattern_of_several_lines_goes_on_behind_its_match_whatever_the_others_took(step: int) -> None:
    pair, triple = ({"pattern": rf"n=\d\n(?:n=\d\n){{{n}}}n=\d", "multiline": 6} for n in (0, 1))
    stream = Stream(pair, triple, NUMBER, {**pair, "cooldown": 1}, {**triple, "max_triggers": 2})
    text = lines(0, 9)
    for end in range(step, len(text) + step, step):
        stream.file.content = text[:end]
        stream.read()
        assert stream.cohorts <= 2  # one of them is that of the watcher that has stopped
    pairs = [f"n={n}\nn={n + 1}" for n in (0, 2, 4, 6, 8)]
    triples = [f"n={n}\nn={n + 1}\nn={n + 2}" for n in (0, 3, 6)]
    assert [stream.texts[n] for n in (1, 2, 4, 5)] == [pairs, triples, pairs[:1], triples[:2]]
    stream.watchers[WatcherId(5)] = replace(stream.watchers[WatcherId(5)], phase=WatcherState.ACTIVE, trigger_count=0)
    stream.read()
    assert stream.texts[5] == triples


def test_a_watcher_far_ahead_waits_for_the_one_behind() -> None:
    stream = Stream(NUMBER, NUMBER)
    stream.file.content = lines(1, 400)
    ahead = stream.file.content.index(b"n=300\n")
    tail = stream.file.content[ahead - 64 : ahead]
    stream.positions[WatcherId(2)] = Position(1, 5, ahead, 299, head=stream.file.content[:64], tail=tail)
    stream.read(limit=200)
    assert len(stream.texts[1]) == 400
    assert len(stream.texts[2]) == 101


def test_a_watcher_that_reached_its_limit_stands_behind_its_last_line() -> None:
    stream = Stream({**NUMBER, "max_triggers": 2}, NUMBER)
    stream.file.content = lines(1, 7)
    stream.read()
    assert stream.texts[1] == ["n=1", "n=2"]
    assert (stream.positions[WatcherId(1)].offset, stream.positions[WatcherId(1)].line) == (8, 2)
    assert stream.positions[WatcherId(2)].offset == 28


def test_a_watcher_whose_pause_has_yet_to_run_is_looked_at_again() -> None:
    stream = Stream({**NUMBER, "actions": [CANCEL, PAUSE]})
    stream.file.content = lines(1, 3)
    result = stream.look()
    assert stream.texts[1] == ["n=1"]
    assert result.more
    assert stream.positions[WatcherId(1)].line == 1


def test_a_watcher_that_stopped_on_the_other_stream_keeps_its_place_on_this_one() -> None:
    stream = Stream({**NUMBER, "actions": [PAUSE]}, NUMBER)
    stream.file.content = lines(1, 3)
    ticks = {i: WatcherTick(stream.compiled[i], w, JOB, NOW) for i, w in stream.watchers.items()}
    ticks[WatcherId(1)].matched([a_match("n=0")])
    look = Feeding(StreamName.STDERR, stream.file.seen_from(0), JOB.started, False, False, 65536, "/err")
    result = feed(cohorts(stream.positions, stream.compiled), ticks, look)
    assert result.positions[WatcherId(1)] == Position()
    assert result.positions[WatcherId(2)].line == 3


def test_patterns_of_one_watcher_know_their_own_numbers() -> None:
    stream = Stream(NUMBER, {"pattern": None, "patterns": {"all": ["a", "b"]}})
    stream.file.content = b"n=1 b\nn=2\n"
    stream.read()
    assert stream.texts == {1: ["n=1", "n=2"], 2: []}
    stream.file.content += b"a\n"
    stream.read()
    assert stream.texts[2] == ["a"]


def test_a_truncated_file_is_read_from_its_beginning_and_told_once() -> None:
    stream = Stream(NUMBER, NUMBER)
    stream.file.content = lines(1, 5)
    stream.read()
    stream.file.content = lines(8, 9)
    result = stream.look()
    assert stream.texts[1][5:] == ["n=8", "n=9"]
    assert [kind for kind, _ in result.notes] == [EventType.STREAM_TRUNCATED]
    assert result.notes[0][1]["path"] == "/out"


def test_a_file_in_place_of_another_is_read_from_its_beginning() -> None:
    stream = Stream(NUMBER)
    stream.file.content = lines(1, 3)
    stream.read()
    stream.file = File(lines(10, 20), inode=6)
    notes = stream.look().notes
    stream.read()
    assert stream.texts[1][3:] == [f"n={n}" for n in range(10, 21)]
    assert EventType.STREAM_REPLACED in [kind for kind, _ in notes]


def test_the_file_of_an_earlier_run_triggers_nothing() -> None:
    stream = Stream(NUMBER, file=File(lines(1, 3), mtime=NOW - 1000))
    stream.read()
    assert stream.texts[1] == []
    stream.file = File(lines(7, 7))
    stream.read()
    assert stream.texts[1] == ["n=7"]


@pytest.mark.parametrize(("sight", "settled"), [(Sight.MISSING, True), (Sight.FAILED, False), (Sight.UNCHANGED, True)])
def test_a_look_that_saw_nothing_changes_nothing(sight: Sight, settled: bool) -> None:
    stream = Stream(NUMBER)
    ticks = {i: WatcherTick(stream.compiled[i], w, JOB, NOW) for i, w in stream.watchers.items()}
    look = Feeding(StreamName.STDOUT, Glimpse(sight), JOB.started, False, True, 65536, "/out")
    result = feed(cohorts(stream.positions, stream.compiled), ticks, look)
    assert (result.positions, result.grew, result.more, result.settled) == ({}, False, False, settled)


def test_bytes_that_are_no_utf_8_keep_offsets_true() -> None:
    stream = Stream(NUMBER)
    stream.file.content = b"\xff\xfe n=1\nn=2\n"
    stream.read()
    assert stream.texts[1] == ["n=1", "n=2"]
    assert stream.positions[WatcherId(1)].offset == len(stream.file.content)


@pytest.mark.parametrize("before", ["", "hit", "hit\n", "hit\nhi"])
def test_nuls_at_the_end_wait_for_another_look_and_ask_for_none(before: str) -> None:
    stream = Stream({}, file=File(f"{before}\0\0".encode()))
    for _ in range(2):
        result = stream.look()
        assert (result.more, result.settled) == (False, True)
    stream.file.content = f"{before}hit\n".encode()
    stream.look()
    assert stream.positions[WatcherId(1)].offset == len(stream.file.content)
    assert stream.texts[1] == ["hit"] * stream.file.content.count(b"hit")


def test_a_line_that_is_too_long_is_cut_and_said() -> None:
    stream = Stream(NUMBER)
    stream.file.content = b"n=1 " + b"x" * 5000 + b" n=2\nn=3\n"
    notes = stream.look(line_bytes=1024).notes
    stream.read(line_bytes=1024)
    assert stream.texts[1] == ["n=1", "n=3"]
    cuts = [data for kind, data in notes if kind is EventType.STREAM_LINE_CUT]
    assert [(cut["line"], cut["offset"]) for cut in cuts] == [(1, 0)]


def test_a_burst_that_uses_up_its_time_goes_on_with_the_next_look_and_loses_nothing() -> None:
    """The clock says that every slice took as long as a look may: each look deals with one slice."""
    content = b"".join(b"n=%d %s\n" % (n, b"-" * 1000) for n in range(1000))
    stream = Stream(NUMBER, file=File(content))
    ticking = count(step=2 * BUDGET)
    looks = 1
    while stream.look(clock=lambda: next(ticking)).more:
        looks += 1
        assert looks < 10
    assert looks == -(-len(content) // SLICE)
    assert stream.texts[1] == [f"n={n}" for n in range(1000)]


@pytest.mark.parametrize(
    ("take", "brought", "dealt", "following"),
    [
        (None, 16 * SLICE, 16 * SLICE, None),
        (None, 16 * SLICE, SLICE, SLICE),
        (None, 16 * SLICE, 10, SLICE),
        (None, 16 * SLICE, 3 * SLICE, 3 * SLICE),
        (SLICE, SLICE, SLICE - 10, 2 * SLICE),
        (2 * SLICE, 2 * SLICE, SLICE, SLICE),
        (2 * SLICE, 10, 10, None),
    ],
)
def test_a_look_brings_about_as_much_as_the_one_before_could_deal_with(
    take: int | None, brought: int, dealt: int, following: int | None
) -> None:
    result = StreamResult(positions={WatcherId(1): Position(offset=1000 + dealt)})
    glimpse = Glimpse(Sight.READ, start=1000, data=b"x" * brought)
    assert next_take(take, glimpse, result) == following


def test_a_last_line_is_not_finished_before_the_time_is_found_to_read_up_to_it() -> None:
    ended = a_job(JobState.COMPLETED, started=NOW - 50)
    stream = Stream(NUMBER, file=File(b"n=1\n" + b"x\n" * SLICE + b"n=2"), job=ended)
    ticking = count(step=2 * BUDGET)
    first = stream.look(final=True, clock=lambda: next(ticking))
    assert (first.more, first.settled, stream.texts[1]) == (True, False, ["n=1"])
    stream.read(final=True)
    assert stream.texts[1] == ["n=1", "n=2"]


def test_a_pattern_that_runs_over_its_time_is_shown_and_told_once() -> None:
    hostile = b"a" * 60 + b"\n"
    stream = Stream({"pattern": "(?=a)(a|aa)+$(?<=b)|z(?=z)"}, NUMBER, file=File(hostile * 20 + b"n=1\nzz\n"))
    stream.read()
    slow, other = stream.watchers[WatcherId(1)], stream.watchers[WatcherId(2)]
    assert slow.last_error == "pattern: it ran out of time on line 1"
    assert slow.memory.condition_failures == 21  # a pattern that was slow so often is left out for the rest of the look
    told = [e for e in stream.events if e.type is EventType.CONDITION_FAILED]
    assert [e.action_result for e in told][:1] == ["pattern: it ran out of time on line 1"]
    assert len(told) <= 2  # the first, and the tenth
    assert (other.last_error, stream.texts[2]) == ("", ["n=1"])


def test_a_line_with_more_matches_than_are_kept_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.logic.scanner.LIMIT", 60.0)  # matches run out first, however slow the machine is
    monkeypatch.setattr("reconciler.logic.feeding.BUDGET", 60.0)
    stream = Stream({"pattern": "a", "max_triggers": None}, file=File(b"a" * 20_000 + b"\n"))
    stream.read()
    assert stream.watchers[WatcherId(1)].last_error == "pattern: only the first 10000 matches were kept on line 1"
