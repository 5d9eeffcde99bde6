"""Escape sequences are taken out, and the way back to the file's bytes is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts.matching import scanned

from reconciler.logic import ansi
from reconciler.logic.hits import View
from reconciler.logic.patterns import Rule

PARTS = st.lists(st.sampled_from(["a", "é", "\x1b[1;31m", "\x1b[0m", "\x1b", "[", "m", "\x1b]0;t\x07", "\x1b(B"]))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[38;5;196mx\x1b[m", "x"),
        ("\x1b[38:2::1:2:3mx", "x"),
        ("\x1b[2K\x1b[1A\x1b[?25lx", "x"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b(Bx\x1b=\x1b7", "x"),
        ("unfinished \x1b[31", "unfinished \x1b[31"),
        ("open \x1b]0;title", "open \x1b]0;title"),
        ("lone \x1b", "lone \x1b"),
        ("\x1b\x1b[1mx", "\x1bx"),
        ("none", "none"),
    ],
)
def test_sequences_are_taken_out_and_the_rest_stays(text: str, left: str) -> None:
    assert ansi.strip(text) == left
    assert ansi.strip_bytes(text.encode()).data == left.encode()


@given(PARTS)
def test_every_byte_left_is_found_again_in_the_original(parts: list[str]) -> None:
    data = "".join(parts).encode()
    stripped = ansi.strip_bytes(data)
    assert all(data[stripped.original(at)] == byte for at, byte in enumerate(stripped.data))


@given(
    st.lists(st.sampled_from([b"a", b"\xc3\xa9", b"\xff", b"\xe2\x96", b"\x1b[1m", b"\xf0\x9f\x98\x80"]), max_size=400)
)
def test_every_character_of_a_line_is_found_again_in_its_bytes(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    view = View(raw, strip=True)
    at = 0
    for char in view.text:
        place = view.origin(at)
        if char != "\ufffd":
            assert raw[place : place + len(char.encode())] == char.encode()
        else:
            assert raw[place] in b"\xff\xe2"
        at += len(char.encode())


def test_a_value_with_colours_in_and_around_it_is_found_whole() -> None:
    data = b"x \x1b[1mlos\x1b[32ms=5.\x1b[0m73\x1b[0m end\n"
    assert [row[3:] for row in scanned([Rule(r"loss=([\d.]+)")], data)] == [("loss=5.73", ("5.73",))]


def test_a_pattern_that_asks_for_an_escape_sees_them_and_its_neighbours_do_not() -> None:
    rules = [Rule(r"\x1b\[31m(\w+)"), Rule(r"^ERROR"), Rule("\x1b\\[0m")]
    rows = scanned(rules, b"\x1b[31mERROR\x1b[0m\nERROR\n")
    assert [(row[0], row[2], row[3]) for row in rows] == [
        (1, 0, "\x1b[31mERROR"),
        (1, 1, "ERROR"),
        (1, 2, "\x1b[0m"),
        (2, 1, "ERROR"),
    ]
