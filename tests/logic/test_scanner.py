"""Bytes to lines: ends of lines, cuts, sampling, checkpoints, and what is kept of an unfinished line."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts.matching import found, fresh, lines, pieces_of, scanned

from reconciler.logic.blocks import BLOCK_BYTES, Block, pieces
from reconciler.logic.patterns import PatternSet, Rule
from reconciler.logic.scanner import Cut, StreamScanner
from reconciler.model import Position

ANY_LINE = [Rule("^.*$", ignore_echo=False)]


VALUES = [Rule(r"v=(\d+)")]
START = Position()


def scanner(rules: Sequence[Rule] = VALUES, position: Position = START, line_bytes: int = 65536) -> StreamScanner:
    """Return a scanner with a set of its own."""
    return StreamScanner(fresh(rules, hyperscan=False), position, line_bytes)


def seen(data: bytes, *sizes: int) -> list[tuple[int, int, bytes]]:
    """Return (number, offset, bytes) of every line, as the scanner tells them apart."""
    stream = scanner(ANY_LINE)
    hits = [hit for piece in pieces_of(data, sizes) for hit in stream.feed(piece)] + stream.finish()
    return [(hit.line, hit.offset, hit.raw) for hit in hits]


@pytest.mark.parametrize("sizes", [(), (1,), (2,), (3,), (7, 1)])
@pytest.mark.parametrize(
    "data",
    [
        b"a\nb\n",
        b"a\r\nb\r\n",
        b"10%\r20%\r30%\rdone\n",
        b"a\r\r\nb\n\rc",
        b"\n\n\n",
        b"\r\n\r\n",
        b"\r\r",
        b"no end",
        b"",
        b"\n",
        b"a\x0bb\x0cc\x1cd\x85e\xe2\x80\xa8f\n",
        b"a\0b\n\0\0\n",
    ],
)
def test_lines_end_at_newline_both_or_a_lone_return_wherever_the_bytes_are_cut(
    data: bytes, sizes: tuple[int, ...]
) -> None:
    assert seen(data, *sizes) == [(number, at, line) for number, (at, line) in enumerate(lines(data), 1)]


def test_a_line_in_two_flushes_split_in_a_number_or_a_character_is_one_match() -> None:
    stream = scanner([Rule(r"é=(\d+)")])
    hits = [hit for piece in (b"\xc3", b"\xa9=5", b"73\nx") for hit in stream.feed(piece)]
    assert [row[3:] for row in found(hits, stream.patterns)] == [("é=573", ("573",))]


def test_an_unfinished_line_is_no_line_until_the_stream_has_ended() -> None:
    stream = scanner()
    assert stream.feed(b"v=1\nv=2") != []
    assert (stream.position.offset, stream.position.line) == (4, 1)
    assert [hit.raw for hit in stream.finish()] == [b"v=2"]
    assert (stream.position.offset, stream.position.line) == (7, 2)


def test_an_unfinished_line_is_read_again_from_its_checkpoint() -> None:
    first = scanner()
    first.feed(b"x\nv=1")
    second = scanner(position=first.position)
    assert [row[:2] for row in found(second.feed(b"v=123\n"), second.patterns)] == [(2, 2)]


def test_a_newline_after_a_return_that_was_dealt_with_belongs_to_it() -> None:
    stream = scanner()
    assert [hit.raw for hit in stream.feed(b"v=1\r")] == [b"v=1"]
    assert stream.position.pending_cr
    assert [(hit.line, hit.offset) for hit in stream.feed(b"\nv=2\n")] == [(2, 5)]
    second = scanner(position=Position(offset=4, line=1, pending_cr=True))
    assert [(hit.line, hit.offset) for hit in second.feed(b"\nv=2\n")] == [(2, 5)]
    third = scanner(position=Position(offset=4, line=1, pending_cr=True))
    assert [(hit.line, hit.offset) for hit in third.feed(b"v=2\n")] == [(2, 4)]


def test_nothing_fed_changes_nothing() -> None:
    stream = scanner(position=Position(offset=4, line=1, pending_cr=True))
    assert stream.feed(b"") == []
    assert stream.position == Position(offset=4, line=1, pending_cr=True)


# --- long lines ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(), (1,), (10,), (16, 3), (4096,)])
def test_a_long_line_is_matched_on_its_beginning_and_the_next_line_as_ever(sizes: tuple[int, ...]) -> None:
    data = b"v=1 " + b"x" * 100 + b" v=2\nv=3\n" + b"y" * 16 + b"\n" + b"z" * 17 + b"\rv=4\n"
    stream = scanner(line_bytes=16)
    hits = [hit for piece in pieces_of(data, sizes) for hit in stream.feed(piece)]
    assert [row[:2] + row[4] for row in found(hits, stream.patterns)] == [(1, 0, "1"), (2, 109, "3"), (5, 148, "4")]
    assert stream.cuts == [Cut(1, 0), Cut(4, 130)]
    assert (stream.position.offset, stream.position.line) == (len(data), 5)


def test_a_line_without_an_end_takes_no_memory_and_goes_on_from_a_checkpoint() -> None:
    stream = scanner(line_bytes=256)
    for _ in range(100):
        stream.feed(b"x" * 1000)
        assert len(stream._carry) <= 256
    assert stream.cuts == [Cut(1, 0)]
    place = stream.position
    assert (place.offset, place.line, place.cut) == (100_000, 1, True)
    second = scanner(position=place, line_bytes=256)
    assert second.feed(b"xxx v=9") == []
    assert [(hit.line, hit.offset) for hit in second.feed(b"\nv=5\n")] == [(2, 100_008)]
    assert second.cuts == []


def test_the_rest_of_a_cut_line_that_ends_with_a_return_ends_there() -> None:
    stream = scanner(line_bytes=16)
    stream.feed(b"x" * 20)
    stream.feed(b"x\r")
    assert (stream.position.cut, stream.position.pending_cr) == (False, True)
    assert [(hit.line, hit.offset) for hit in stream.feed(b"\nv=1\n")] == [(2, 23)]


def test_a_cut_line_that_never_ends_is_finished_quietly() -> None:
    stream = scanner(line_bytes=16)
    stream.feed(b"x" * 20)
    assert stream.finish() == []
    assert (stream.position.offset, stream.position.line) == (20, 1)


@pytest.mark.parametrize("sizes", [(), (1,), (7,), (40,), (64,)])
@pytest.mark.parametrize("nuls", [0, 15, 16, 17, 31, 32, 33, 200])
def test_a_hole_at_the_beginning_of_a_file_hides_no_line(nuls: int, sizes: tuple[int, ...]) -> None:
    """As a truncation leaves it before a writer that does not append."""
    data = b"\0" * nuls + b"v=1\nv=2\n"
    stream, place, got = scanner(line_bytes=32), START, []
    for piece in pieces_of(data, sizes):
        got += [(hit.line, hit.raw[-3:]) for hit in stream.feed(piece)]
        place = stream.position
    assert (got, place.offset) == ([(1, b"v=1"), (2, b"v=2")], len(data))
    for end in range(len(data)):
        first = scanner(line_bytes=32)
        found_ = first.feed(data[:end])
        rest = scanner(position=first.position, line_bytes=32).feed(data[first.position.offset :])
        assert [(hit.line, hit.raw[-3:]) for hit in [*found_, *rest]] == got


def test_a_character_cut_in_two_is_replaced_as_the_same_bytes_would_be() -> None:
    assert [row[3] for row in scanned([Rule("x.*")], b"x" * 15 + "é".encode() + b"more\n", line_bytes=16)] == [
        "x" * 15 + "\ufffd"
    ]


# --- sampling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_every_nth_line_counts_lines_from_the_start_over_any_number_of_looks(size: int) -> None:
    data = b"".join(b"v=%d\n" % number for number in range(1, 31))
    rules = [Rule(r"v=(\d+)", every_nth_line=7), Rule(r"v=(\d*0)$")]
    position, rows, end = Position(), [], 0
    while end < len(data):
        end = min(len(data), end + size)
        stream = scanner(rules, position)
        rows += found(stream.feed(data[position.offset : end]), stream.patterns)
        position = stream.position
    assert [(row[0], row[2]) for row in rows] == [(7, 0), (10, 1), (14, 0), (20, 1), (21, 0), (28, 0), (30, 1)]


# --- positions -------------------------------------------------------------------------------------------------------


def test_a_watcher_can_stop_behind_any_hit_of_a_look() -> None:
    data = b"v=1\r\nx\nv=2\rv=3\nrest"
    stream = scanner()
    places = [stream.position_after(hit) for hit in stream.feed(data)]
    assert [(place.offset, place.line, place.pending_cr) for place in places] == [
        (5, 1, False),
        (11, 3, False),
        (15, 4, False),
    ]


def test_device_and_inode_of_the_checkpoint_are_kept() -> None:
    stream = scanner(position=Position(5, 6, 10, 3))
    stream.feed(b"v=1\n")
    assert (stream.position.device, stream.position.inode, stream.position.offset) == (5, 6, 14)


def test_a_fingerprint_of_a_file_that_was_not_read_from_its_start_keeps_its_head() -> None:
    stream = scanner(position=Position(offset=1000, head=b"h" * 64, tail=b"t" * 64))
    stream.feed(b"v=1\n")
    assert stream.position.head == b"h" * 64
    assert stream.position.tail == b"t" * 60 + b"v=1\n"
    unknown = scanner(position=Position(offset=1000))
    unknown.feed(b"v=1\n")
    assert unknown.position.head == b""


# --- blocks ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([b"a" * 7, b"b" * 40, b"\n", b"\r", b"\r\n"]), max_size=60), st.integers(1, 50))
def test_pieces_cover_whole_lines_once_and_keep_long_ones_apart(parts: list[bytes], line_bytes: int) -> None:
    data = b"".join(parts) + b"\n"
    cut = list(pieces(data, 0, len(data), line_bytes))
    assert b"".join(data[start:stop] for start, stop, _ in cut) == data
    for start, stop, long in cut:
        sizes = [len(line) for _, line in lines(data[start:stop])]
        assert (len(sizes) == 1 and sizes[0] > line_bytes) if long else max(sizes) <= line_bytes


def test_a_long_burst_is_scanned_in_blocks_that_stay_small() -> None:
    data = b"x" * 100 + b"\n"
    cut = list(pieces(data * 5000, 0, 505_000, 65536))
    assert len(cut) > 5
    assert max(stop - start for start, stop, _ in cut) <= BLOCK_BYTES + 2


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\r\n"]), max_size=30))
def test_a_block_counts_the_lines_that_there_are(parts: list[bytes]) -> None:
    data = b"".join(parts) + b"x\n"
    block = Block(data)
    assert len(block.norm) == len(data)
    assert block.lines(0, len(data)) == len(lines(data))


def test_a_set_that_can_never_match_scans_nothing() -> None:
    patterns = PatternSet([Rule(r"a\nb"), Rule("(?!)"), Rule(r"[^\s\S]")])
    stream = StreamScanner(patterns, Position())
    assert stream.feed(b"a\nb\n" * 10) == []
    assert stream.position.line == 20
