"""Answers are taken apart whatever the pieces they arrive in, and what is no answer is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import FileStat
from reconciler.transports.over_ssh.frames import (
    LONGEST_HEADER,
    Answers,
    Bytes,
    End,
    Failed,
    FrameError,
    Hello,
    Missing,
    Record,
    Same,
    request,
)

STREAM = (
    b"h python3\nu 3\nt\nm 4\nf 5 17\nPermission denied"
    b"r 6 1 2 30 4 10 3 5\nheadd\nta"
    b"t\nt\nr 7 1 2 0 4 0 0 0\nf 8 0\ne 12\n"
)
RECORDS: list[Record] = [
    Hello("python3"),
    Same(3),
    Missing(4),
    Failed(5, "Permission denied"),
    Bytes(6, FileStat(1, 2, 30, 4), 10, b"hea", b"dd\nta"),
    Bytes(7, FileStat(1, 2, 0, 4), 0, b"", b""),
    Failed(8, ""),
    End(12),
]


@given(st.lists(st.integers(1, 40), min_size=1))
def test_an_answer_is_the_same_in_any_pieces(sizes: list[int]) -> None:
    answers, found, place = Answers(100), [], 0
    for size in sizes * len(STREAM):
        found += list(answers.feed(STREAM[place : place + size]))
        place += size
    assert found == RECORDS


def test_an_answer_cut_short_gives_what_was_complete_and_no_more() -> None:
    for length in range(len(STREAM)):
        found = list(Answers(100).feed(STREAM[:length]))
        assert found == RECORDS[: len(found)]
        assert End(12) not in found


@pytest.mark.parametrize(
    "stream",
    [
        b"x 1\n",
        b"\n",
        b"u\n",
        b"u one\n",
        b"r 1 2 3\n",
        b"r 1 2 3 4 5 6 -1 0\n",
        b"r 1 2 3 4 5 6 65 0\n" + b"x" * 65,
        b"r 1 2 3 4 5 6 0 101\n",
        b"r 1 2 3 4 5 6 0 99999999999999999999\n",
        b"f 1 99999\n",
        b"f 1\n",
        b"e x\n",
        b"Last login: Mon Jan  1 from nowhere\n",
        b"\xff\xfe\n",
        b"u" * LONGEST_HEADER,
    ],
)
def test_what_is_no_answer_is_refused(stream: bytes) -> None:
    with pytest.raises(FrameError):
        list(Answers(100).feed(stream))


def test_a_large_file_is_taken_in_without_copying_it_again_for_each_piece() -> None:
    answers, data = Answers(8_000_000), b"x" * 8_000_000
    pieces = [data[place : place + 30_000] for place in range(0, len(data), 30_000)]
    (seen,) = [
        record
        for piece in (b"r 1 1 2 3 4 5 0 8000000\n", *pieces)
        for record in answers.feed(piece)
        if isinstance(record, Bytes)
    ]
    assert seen.data == data


def test_a_request_says_how_long_it_is() -> None:
    assert request([b"p 0 2f61", b"g 1 100 0"]) == b"18\np 0 2f61\ng 1 100 0"
