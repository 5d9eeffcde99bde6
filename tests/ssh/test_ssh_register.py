"""A request says only what the far end does not know yet, and silence about a file means what was agreed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import FileStat
from reconciler.protocols import UNCHANGED, Glimpse, Sight, Want
from reconciler.transports.over_ssh.frames import Bytes, End, Failed, FrameError, Hello, Missing, Record, Same
from reconciler.transports.over_ssh.register import ROOM, Register

STAT = FileStat(1, 2, 3, 4)
GROWN = FileStat(1, 2, 9, 5)


def body(frame: bytes) -> list[bytes]:
    length, _, text = frame.partition(b"\n")
    assert int(length) == len(text)
    return text.split(b"\n")


def want(path: str, offset: int = 0, known: FileStat | None = None) -> Want:
    return Want(path, offset, known, context=64, limit=1000)


def asked(register: Register, *wants: Want) -> list[bytes]:
    return body(register.request(wants, 5000))


def test_paths_are_told_once_and_then_only_that_it_is_time() -> None:
    register, wants = Register(), [want("/a", 3, STAT), want("/b\n", 0)]
    assert body(register.request(wants, 5000)) == [
        b"p 0 2f61",
        b"w 0 3 64 1000 1 2 3 4",
        b"p 1 2f620a",
        b"w 1 0 64 1000",
        b"g 1 5000 0-1",
    ]
    assert body(register.request(wants, 5000)) == [b"g 2 5000 *"]
    assert body(register.request([replace(one) for one in wants], 5000)) == [b"g 3 5000 *"]  # equal, other objects


def test_ten_thousand_idle_files_are_a_request_of_a_few_bytes() -> None:
    register, wants = Register(), [want(f"/scratch/{number}", 3, STAT) for number in range(10_000)]
    register.request(wants, 5000)
    assert len(register.request(wants, 5000)) < 20
    assert [glimpse.sight for glimpse in register.answer([End(2)])] == [Sight.UNCHANGED] * 10_000


def test_what_is_wanted_anew_is_told_alone() -> None:
    register, first, second = Register(), want("/a", 3, STAT), want("/b", 3, STAT)
    asked(register, first, second)
    assert asked(register, first, want("/b", 9, GROWN)) == [b"w 1 9 64 1000 1 2 9 5", b"g 2 5000 *"]
    assert asked(register, first, want("/b", 9)) == [b"w 1 9 64 1000", b"g 3 5000 *"]


def test_any_part_of_the_files_may_be_due_in_any_order() -> None:
    register = Register()
    wants = [want(f"/{name}", 3, STAT) for name in "abcdef"]
    asked(register, *wants)
    assert asked(register, wants[4], wants[0], wants[2], wants[1]) == [b"g 2 5000 0-2,4"]
    grown = Bytes(4, GROWN, 0, b"h", b"data")
    seen = register.answer([grown, End(2)])
    assert seen == [Glimpse(Sight.READ, GROWN, 0, b"data", b"h"), *[UNCHANGED] * 3]
    assert asked(register, want("/new"), wants[5]) == [b"p 6 2f6e6577", b"w 6 0 64 1000", b"g 3 5000 5-6"]


def test_the_same_file_wanted_twice_is_answered_twice() -> None:
    register = Register()
    lines = asked(register, want("/a", 1), want("/a", 2))
    assert [line for line in lines if line.startswith(b"p")] == [b"p 0 2f61", b"p 1 2f61"]
    seen = register.answer([Bytes(0, STAT, 1, b"", b"bc"), Bytes(1, STAT, 2, b"", b"c"), End(1)])
    assert [glimpse.data for glimpse in seen] == [b"bc", b"c"]


@pytest.mark.parametrize(
    ("record", "glimpse"),
    [
        (Missing(0), Glimpse(Sight.MISSING)),
        (Failed(0, "no"), Glimpse(Sight.FAILED, reason="no")),
    ],
)
def test_what_is_missing_or_failing_stays_so_until_more_is_said(record: Record, glimpse: Glimpse) -> None:
    register, wants = Register(), [want("/a", 3, STAT)]
    register.request(wants, 5000)
    assert register.answer([record, End(1)]) == [glimpse]
    register.request(wants, 5000)
    assert register.answer([End(2)]) == [glimpse]
    register.request(wants, 5000)
    assert register.answer([Same(0), End(3)]) == [UNCHANGED]
    register.request(wants, 5000)
    assert register.answer([End(4)]) == [UNCHANGED]


def test_another_want_of_a_missing_file_is_asked_afresh() -> None:
    register = Register()
    asked(register, want("/a", 3, STAT))
    register.answer([Missing(0), End(1)])
    asked(register, want("/a", 3))
    with pytest.raises(FrameError, match="leaves files out"):
        register.answer([End(2)])


def test_a_file_without_a_known_stat_must_be_answered_each_time() -> None:
    register, wants = Register(), [want("/a")]
    for number in (1, 2):
        register.request(wants, 5000)
        assert register.answer([Bytes(0, STAT, 0, b"", b"x"), End(number)])[0].data == b"x"
    register.request(wants, 5000)
    with pytest.raises(FrameError, match="leaves files out"):
        register.answer([End(3)])


@pytest.mark.parametrize("number", [-1, 1, 7])
def test_an_answer_about_what_was_not_asked_is_refused(number: int) -> None:
    register = Register()
    asked(register, want("/a"), want("/b"))
    asked(register, want("/a"))
    with pytest.raises(FrameError):
        register.answer([Bytes(0, STAT, 0, b"", b""), Missing(number), End(2)])


def test_only_the_end_of_this_look_ends_it() -> None:
    register = Register()
    asked(register, want("/a"))
    asked(register, want("/a"))
    assert [register.ends(record) for record in (End(1), End(2), Hello("perl"), Missing(0))] == [
        False,
        True,
        False,
        False,
    ]


def test_a_name_that_no_file_can_have_fails_here_and_is_not_sent() -> None:
    register, wants = Register(), [want("/a\0b"), want("/\ud800"), want("/ok", 3, STAT)]
    assert body(register.request(wants, 5000)) == [b"p 2 2f6f6b", b"w 2 3 64 1000 1 2 3 4", b"g 1 5000 2"]
    seen = register.answer([End(1)])
    assert [glimpse.sight for glimpse in seen] == [Sight.FAILED, Sight.FAILED, Sight.UNCHANGED]
    assert body(register.request([replace(wants[0], offset=5), *wants[1:]], 5000)) == [b"g 2 5000 *"]
    assert register.answer([End(2)]) == seen
    assert asked(register, wants[0]) == [b"g 3 5000 -"]


def test_bytes_of_a_name_that_is_not_text_are_told_as_they_are() -> None:
    assert asked(Register(), want("/\udcff\udc80"))[0] == b"p 0 2fff80"


def test_a_register_of_files_that_nobody_asks_for_any_more_is_full() -> None:
    register = Register()
    for batch in range(3):
        register.request([want(f"/{batch}/{number}") for number in range(ROOM // 2)], 5000)
        assert not register.full
    register.request([want("/last")], 5000)
    assert register.full


def test_the_most_that_a_file_may_come_with_is_what_was_asked() -> None:
    register = Register()
    register.request([Want("/a", limit=10, context=2), Want("/b", limit=500, context=64)], 5000)
    assert register.longest == 564
