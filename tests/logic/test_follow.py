"""What a look at a file means: every row a story that files tell on real clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.logic.follow import CONTEXT, Followed, Verdict, follow
from reconciler.model import HEAD_BYTES, FileStat, Position
from reconciler.protocols import Glimpse, Sight

STARTED = 1_000_000.7
LIMIT = 4096


@dataclass(frozen=True)
class File:
    """A file as it stands: what a look brings of it from a position on."""

    content: bytes
    inode: int = 7
    device: int = 1
    mtime: float = STARTED + 5
    limit: int = LIMIT

    def look(self, offset: int) -> Glimpse:
        """Return what a transport answers (see `protocols.Glimpse`)."""
        start = max(0, offset - CONTEXT) if offset <= len(self.content) else 0
        stat = FileStat(self.device, self.inode, len(self.content), int(self.mtime * 1e9))
        data = self.content[start : offset + self.limit if start or offset <= len(self.content) else self.limit]
        return Glimpse(Sight.READ, stat, start, data, self.content[:HEAD_BYTES])


def see(file: File, position: Position, *, ended: bool = False, started: float | None = STARTED) -> Followed:
    """Return what a look at the file says."""
    return follow(position, file.look(position.offset), started=started, ended=ended)


def dealt(file: File, upto: int | None = None) -> Position:
    """Return the checkpoint of somebody who dealt with the file up to an offset."""
    offset = len(file.content) if upto is None else upto
    before = file.content[:offset]
    return Position(file.device, file.inode, offset, before.count(b"\n"), head=before[:64], tail=before[-64:])


OLD = File(b"".join(b"line %d of the first run\n" % number for number in range(50)))


def test_a_new_file_is_read_from_its_first_byte() -> None:
    seen = see(OLD, Position())
    assert seen == Followed(Verdict.GREW, Position(1, 7), OLD.content)


def test_what_was_appended_is_given_and_nothing_else() -> None:
    grown = replace(OLD, content=OLD.content + b"more\n")
    seen = see(grown, dealt(OLD))
    assert (seen.verdict, seen.data, seen.again) == (Verdict.GREW, b"more\n", False)
    assert seen.position == dealt(OLD)


def test_a_file_that_did_not_grow_is_quiet() -> None:
    assert see(OLD, dealt(OLD)) == Followed(Verdict.QUIET, dealt(OLD))
    unchanged = follow(dealt(OLD), Glimpse(Sight.UNCHANGED), started=STARTED, ended=False)
    assert unchanged == Followed(Verdict.QUIET, dealt(OLD))


@pytest.mark.parametrize("sight", [Sight.MISSING, Sight.FAILED])
@pytest.mark.parametrize("position", [Position(), dealt(OLD)])
def test_a_file_that_is_not_seen_for_one_look_changes_nothing(sight: Sight, position: Position) -> None:
    assert follow(position, Glimpse(sight), started=STARTED, ended=False) == Followed(Verdict.WAIT, position)


def test_a_shorter_file_is_read_from_zero() -> None:
    short = File(b"new run\n")
    assert see(short, dealt(OLD)) == Followed(Verdict.TRUNCATED, Position(1, 7), b"new run\n")


def test_an_empty_file_in_its_place_is_a_truncation_too() -> None:
    assert see(File(b""), dealt(OLD)) == Followed(Verdict.TRUNCATED, Position(1, 7))


@pytest.mark.parametrize("inode", [7, 8])
@pytest.mark.parametrize("more", [0, 300])
def test_other_content_is_read_from_zero_whatever_its_inode_and_length(inode: int, more: int) -> None:
    other = File(OLD.content.replace(b"first", b"SECON") + b"x" * more, inode=inode)
    seen = see(other, dealt(OLD))
    assert (seen.verdict, seen.position) == (Verdict.REPLACED, Position(1, inode))
    again = see(other, seen.position)
    assert (again.verdict, again.data) == (Verdict.GREW, other.content)


def test_a_rewrite_that_begins_alike_is_told_by_the_bytes_before_the_checkpoint() -> None:
    rewritten = File(OLD.content[:200] + OLD.content[200:].replace(b"first", b"other"))
    assert see(rewritten, dealt(OLD)).verdict is Verdict.REPLACED


def test_a_rewrite_that_ends_alike_is_told_by_its_first_bytes() -> None:
    rewritten = File(OLD.content[:200].replace(b"first", b"other") + OLD.content[200:])
    assert see(rewritten, dealt(OLD)).verdict is Verdict.REPLACED


def test_the_same_content_under_another_inode_or_device_goes_on() -> None:
    saved = File(OLD.content + b"more\n", inode=99, device=5)
    seen = see(saved, dealt(OLD))
    assert (seen.verdict, seen.data) == (Verdict.GREW, b"more\n")
    assert (seen.position.device, seen.position.inode) == (5, 99)


def test_replaced_content_that_the_look_did_not_bring_is_asked_for_again() -> None:
    other = File(OLD.content.replace(b"first", b"SECON"))
    seen = see(other, dealt(OLD))
    assert (seen.data, seen.again) == (b"", True)


def test_a_file_longer_than_a_look_says_that_there_is_more() -> None:
    long = File(b"x" * 10_000)
    seen = see(long, Position())
    assert (len(seen.data), seen.again) == (LIMIT, True)


# --- an output path that an earlier run used -------------------------------------------------------------------------


STALE = replace(OLD, mtime=STARTED - 100)


def test_an_earlier_runs_file_is_not_there_yet() -> None:
    seen = see(STALE, Position())
    assert (seen.verdict, seen.data, seen.again) == (Verdict.WAIT, b"", False)
    assert seen.position == replace(dealt(OLD), device=0, inode=0, line=0)
    assert see(STALE, seen.position) == Followed(Verdict.WAIT, seen.position)


def test_the_second_that_the_job_started_in_counts_as_its_own() -> None:
    assert see(replace(OLD, mtime=STARTED - 0.6), Position()).verdict is Verdict.GREW
    assert see(replace(OLD, mtime=STARTED - 0.8), Position()).verdict is Verdict.WAIT


def test_a_start_that_nobody_knows_makes_no_file_stale() -> None:
    assert see(STALE, Position(), started=None).verdict is Verdict.GREW


def test_what_the_job_appends_to_an_earlier_runs_file_is_its_own() -> None:
    baseline = see(STALE, Position()).position
    grown = File(OLD.content + b"mine\n")
    seen = see(grown, baseline)
    assert (seen.verdict, seen.data, seen.position.inode) == (Verdict.GREW, b"mine\n", 7)


@pytest.mark.parametrize(
    ("last", "pending"), [(b"50%\r", True), (b"50%\r\n", False), (b"50%\n", False), (b"50%", False)]
)
def test_half_a_line_end_of_an_earlier_runs_file_is_no_line_of_the_jobs(last: bytes, pending: bool) -> None:
    """A newline that the job appends is the other half."""
    for content in (last, OLD.content + last):
        baseline = see(replace(STALE, content=content), Position()).position
        assert (baseline.offset, baseline.pending_cr) == (len(content), pending)
        assert see(File(content + b"\nmine\n"), baseline).position.pending_cr is pending


def test_half_a_line_end_of_a_long_file_of_an_earlier_run_is_seen_with_its_end() -> None:
    long = File(b"x" * (LIMIT + CONTEXT) + b"\r", mtime=STARTED - 100)
    first = see(long, Position())
    assert (first.again, first.position.pending_cr) == (True, False)
    assert see(long, first.position).position.pending_cr
    grown = see(File(long.content + b"\nmine\n"), first.position)
    assert (grown.verdict, grown.data, grown.position.pending_cr) == (Verdict.GREW, b"\nmine\n", True)


def test_an_earlier_runs_file_that_the_job_truncates_is_read_from_zero() -> None:
    baseline = see(STALE, Position()).position
    assert see(File(b"mine\n"), baseline).data == b"mine\n"


@pytest.mark.parametrize("word", [b"first", b"SECON"])
def test_an_earlier_runs_file_written_anew_in_the_same_length_is_read_from_zero(word: bytes) -> None:
    baseline = see(STALE, Position()).position
    seen = see(File(OLD.content.replace(b"first", word)), baseline)
    assert seen.verdict is Verdict.REPLACED
    assert seen.position.offset == 0


def test_an_earlier_runs_file_replaced_by_a_longer_one_is_read_from_zero() -> None:
    baseline = see(STALE, Position()).position
    assert see(File(b"mine\n" * 1000, inode=8), baseline).position == Position(1, 8)


def test_the_end_of_a_stale_file_longer_than_a_look_is_fingerprinted_with_the_next_one() -> None:
    long = File(b"".join(b"%d\n" % number for number in range(3000)), mtime=STARTED - 100)
    first = see(long, Position())
    assert (first.position.offset, first.again) == (len(long.content), True)
    second = see(long, first.position)
    assert (second.verdict, second.again, second.position.tail) == (Verdict.WAIT, False, long.content[-64:])
    assert see(replace(long, mtime=STARTED + 1, content=long.content + b"x\n"), second.position).data == b"x\n"


def test_an_empty_stale_file_waits_for_its_first_byte() -> None:
    seen = see(File(b"", mtime=STARTED - 100), Position())
    assert seen == Followed(Verdict.WAIT, Position())
    assert see(File(b"a\n"), seen.position).data == b"a\n"


# --- a watcher that starts at the end --------------------------------------------------------------------------------


def test_a_position_without_a_fingerprint_gets_one_from_the_look() -> None:
    start = Position(1, 7, len(OLD.content))
    seen = see(replace(OLD, content=OLD.content + b"new\n"), start)
    assert (seen.data, seen.position.tail, seen.position.head) == (b"new\n", OLD.content[-64:], OLD.content[:64])


# --- NULs ------------------------------------------------------------------------------------------------------------


def test_nuls_at_the_end_wait_until_text_takes_their_place() -> None:
    position = Position()
    seen = see(File(b"a\n" + b"\0" * 20), position)
    assert (seen.verdict, seen.data, seen.again) == (Verdict.GREW, b"a\n", False)
    only = see(File(b"a\n" + b"\0" * 20), dealt(File(b"a\n")))
    assert (only.verdict, only.data) == (Verdict.WAIT, b"")
    later = see(File(b"a\n" + b"b" * 19 + b"\n"), dealt(File(b"a\n")))
    assert later.data == b"b" * 19 + b"\n"


def test_nuls_before_text_are_given() -> None:
    assert see(File(b"a\0\0b\n"), Position()).data == b"a\0\0b\n"


def test_nuls_that_more_bytes_follow_are_given() -> None:
    assert see(File(b"\0" * 9000 + b"x"), Position()).data == b"\0" * LIMIT


def test_nuls_of_an_ended_job_are_given() -> None:
    assert see(File(b"a\0"), Position(), ended=True).data == b"a\0"


# --- any history -----------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=8))
def test_growth_in_any_steps_gives_every_byte_once(steps: list[bytes]) -> None:
    position, content, got = Position(), b"", b""
    for step in steps:
        content += step
        for _ in range(3):
            seen = see(File(content, limit=150), position, ended=True)
            got += seen.data
            before = content[: seen.position.offset + len(seen.data)]
            position = replace(seen.position, offset=len(before), head=before[:64], tail=before[-64:])
    assert got == content
