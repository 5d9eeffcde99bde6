"""What a look means at its edges: looks that brought too little, one byte more or less, one byte that differs."""

from __future__ import annotations

import pytest

from reconciler.logic.follow import Followed, Verdict, follow
from reconciler.model import FileStat, Position
from reconciler.protocols import Glimpse, Sight

TEXT = bytes(range(65, 91)) * 10  # 260 bytes, no two neighbours alike
SEEN = Position(1, 7, 200, 3, head=TEXT[:64], tail=TEXT[136:200])


def look(
    content: bytes = TEXT, start: int = 136, *, brought: int = 4096, size: int | None = None, mtime: float = 100.0
) -> Glimpse:
    """Return a look that brought so many bytes of a file from `start` on."""
    stat = FileStat(1, 7, len(content) if size is None else size, int(mtime * 1e9))
    return Glimpse(Sight.READ, stat, start, content[start : start + brought], content[:64])


def see(glimpse: Glimpse, position: Position = SEEN, *, started: float | None = 50.0, ended: bool = False) -> Followed:
    """Return what the look means."""
    return follow(position, glimpse, started=started, ended=ended)


@pytest.mark.parametrize(
    ("size", "verdict", "data"),
    [
        (0, Verdict.TRUNCATED, b""),
        (1, Verdict.TRUNCATED, TEXT[:1]),
        (199, Verdict.TRUNCATED, TEXT[:199]),
        (200, Verdict.QUIET, b""),
        (201, Verdict.GREW, TEXT[200:201]),
        (260, Verdict.GREW, TEXT[200:]),
    ],
)
def test_a_byte_more_or_less_decides(size: int, verdict: Verdict, data: bytes) -> None:
    seen = see(look(TEXT[:size], 0 if size < 200 else 136))
    assert (seen.verdict, seen.data, seen.again) == (verdict, data, False)
    assert seen.position == (Position(1, 7) if verdict is Verdict.TRUNCATED else SEEN)


@pytest.mark.parametrize("at", range(0, 64, 7))
def test_one_other_byte_in_the_head_is_another_file(at: int) -> None:
    other = TEXT[:at] + b"#" + TEXT[at + 1 :]
    assert see(look(other)).verdict is Verdict.REPLACED


@pytest.mark.parametrize("at", range(136, 200, 7))
def test_one_other_byte_before_the_checkpoint_is_another_file(at: int) -> None:
    other = TEXT[:at] + b"#" + TEXT[at + 1 :]
    assert see(look(other)).verdict is Verdict.REPLACED


@pytest.mark.parametrize("at", [64, 100, 135, 200, 259])
def test_other_bytes_are_nobodys_fingerprint(at: int) -> None:
    other = TEXT[:at] + b"#" + TEXT[at + 1 :]
    assert see(look(other)) == Followed(Verdict.GREW, SEEN, other[200:])


@pytest.mark.parametrize(("start", "brought"), [(201, 50), (260, 0), (0, 199), (136, 63)])
def test_a_look_that_does_not_reach_the_checkpoint_decides_nothing_and_is_done_again(start: int, brought: int) -> None:
    assert see(look(start=start, brought=brought)) == Followed(Verdict.QUIET, SEEN, again=True)


@pytest.mark.parametrize(("brought", "again"), [(64, True), (65, True), (123, True), (124, False)])
def test_a_look_that_did_not_reach_the_end_asks_for_another(brought: int, again: bool) -> None:
    seen = see(look(brought=brought))
    assert (seen.data, seen.again) == (TEXT[200 : 136 + brought], again)
    assert seen.verdict is (Verdict.GREW if brought > 64 else Verdict.QUIET)


def test_a_look_that_began_at_the_checkpoint_itself_is_taken_by_its_head() -> None:
    assert see(look(start=200)) == Followed(Verdict.GREW, SEEN, TEXT[200:])
    assert see(look(b"#" + TEXT[1:], 200)) == Followed(Verdict.REPLACED, Position(1, 7), again=True)


@pytest.mark.parametrize("ended", [False, True])
def test_a_look_without_a_stat_changes_nothing(ended: bool) -> None:
    assert see(Glimpse(Sight.READ), ended=ended) == Followed(Verdict.WAIT, SEEN)


@pytest.mark.parametrize(
    ("mtime", "started", "verdict"),
    [
        (49.94, 50.0, Verdict.WAIT),
        (49.96, 50.0, Verdict.GREW),  # a tick of the kernel
        (50.0, 50.0, Verdict.GREW),
        (50.0, 50.999, Verdict.GREW),
        (49.94, 50.999, Verdict.WAIT),
        (0.0, None, Verdict.GREW),
    ],
)
def test_a_file_is_stale_where_it_was_last_written_before_the_second_of_the_start(
    mtime: float, started: float | None, verdict: Verdict
) -> None:
    assert see(look(start=0, mtime=mtime), Position(), started=started).verdict is verdict


def test_a_file_that_was_seen_is_never_stale() -> None:
    assert see(look(mtime=1.0)) == Followed(Verdict.GREW, SEEN, TEXT[200:])


@pytest.mark.parametrize(
    ("end", "ended", "verdict", "data"),
    [
        (b"\0", False, Verdict.WAIT, b""),
        (b"\0" * 100, False, Verdict.WAIT, b""),
        (b"a\0\0", False, Verdict.GREW, b"a"),
        (b"\0a", False, Verdict.GREW, b"\0a"),
        (b"\0a\0", False, Verdict.GREW, b"\0a"),
        (b"\0", True, Verdict.GREW, b"\0"),
        (b"a\0\0", True, Verdict.GREW, b"a\0\0"),
    ],
)
def test_nuls_at_the_end_are_held_back_while_somebody_may_write(
    end: bytes, ended: bool, verdict: Verdict, data: bytes
) -> None:
    seen = see(look(TEXT[:200] + end), ended=ended)
    assert seen == Followed(verdict, SEEN, data)


def test_nuls_in_the_middle_of_a_long_file_are_given_since_text_may_follow() -> None:
    seen = see(look(TEXT[:200] + b"\0" * 40 + b"x", brought=84))
    assert seen == Followed(Verdict.GREW, SEEN, b"\0" * 20, again=True)


def test_a_truncated_file_of_nuls_begins_anew_with_nothing_given() -> None:
    assert see(look(b"\0" * 20, 0)) == Followed(Verdict.TRUNCATED, Position(1, 7))
    assert see(look(b"\0" * 20, 0), ended=True) == Followed(Verdict.TRUNCATED, Position(1, 7), b"\0" * 20)
