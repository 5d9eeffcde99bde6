"""Outputs line by line: how bytes are cut into lines, pages in both directions, searching and counting all of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts.served import Served

from reconciler.api import outputs, routes_output
from reconciler.model import JobId, Position

TEXT = st.lists(st.sampled_from([b"a", b"hit", b"\n", b"\r\n", b"\r", b"\xff", b"\x1b[31m", "é".encode()]), max_size=40)


def lines_of(data: bytes) -> list[bytes]:
    """The lines as the documentation says it."""
    found = re.split(rb"\r\n|\n|\r", data)
    return found if found[-1] else found[:-1]


# --- pure ------------------------------------------------------------------------------------------------------------


@given(TEXT)
def test_lines_hold_every_byte_once_and_in_order(parts: list[bytes]) -> None:
    data = b"".join(parts)
    lines = outputs.split(data, 100, last=True)
    assert [line.text for line in lines] == [outputs.shown(raw) for raw in lines_of(data)]
    at = 100
    for line in lines:
        assert line.offset == at
        at += line.bytes
    assert at == 100 + len(data)


@given(TEXT, st.integers(1, 30))
def test_counting_in_pieces_is_counting_at_once(parts: list[bytes], wanted: int) -> None:
    data = b"".join(parts)
    whole = outputs.count(data, 0, 1, until_line=wanted, until_offset=None)
    starts = [0, *(end.end() for end in re.finditer(rb"\r\n|\n|\r", data))]
    assert (whole.line, whole.offset) == (min(wanted, len(starts)), starts[min(wanted, len(starts)) - 1])
    assert whole.reached is (wanted <= len(starts))
    for offset in range(len(data)):
        found = outputs.count(data, 0, 1, until_line=None, until_offset=offset)
        assert found.offset <= offset
        assert found.line == sum(start <= offset for start in starts)


@given(TEXT, st.integers(1, 5))
def test_searching_with_a_limit_and_going_on_finds_what_one_search_finds(parts: list[bytes], limit: int) -> None:
    data = b"".join(parts)
    expected = [n for n, raw in enumerate(lines_of(data), 1) if b"hit" in re.sub(rb"\x1b\[31m", b"", raw)]
    found: list[int] = []
    place = Position()
    while True:
        part = outputs.search("hit", data[place.offset :], place, last=True, limit=limit)
        found += [each.line for each in part.found]
        if part.done:
            break
        assert part.offset > place.offset
        place = Position(offset=part.offset, line=part.line - 1, cut=part.inside)
    assert found == expected


def test_a_search_that_takes_long_goes_on_where_it_stopped() -> None:
    data = b"".join(b"a" * 17 + (b"b\n" if n % 50 == 0 else b"!\n") for n in range(200))
    found, place, pieces = list[int](), Position(), 0
    while True:
        rest = data[place.offset :]
        part = outputs.search(r"^(a|aa){1,17}(?=b)", rest, place, last=True, limit=200, budget=0.01)
        found, pieces = [*found, *(each.line for each in part.found)], pieces + 1
        if part.done:
            break
        assert part.offset > place.offset
        place = Position(offset=part.offset, line=part.line - 1, cut=part.inside)
    assert (found, pieces > 1) == ([1, 51, 101, 151], True)


def test_a_long_line_is_cut_and_colours_are_taken_out() -> None:
    (line, after) = outputs.split(b"\x1b[31m" + b"x" * 100_000 + b"\n\x1b[1mbold\x1b[0m\n", 0, last=True)
    assert (line.cut, line.bytes, len(line.text)) == (True, 100_006, outputs.LINE_SHOWN - 5)
    assert (after.text, after.cut, after.whole) == ("bold", False, True)


# --- over HTTP -------------------------------------------------------------------------------------------------------


async def job(served: Served, content: bytes, job_id: str = "1") -> None:
    served.jobs.add(job_id).write_bytes(content)
    await served.look()


def output(served: Served) -> Path:
    return Path(str(served.jobs.listed[JobId("1")].stdout))


async def lines(served: Served, **asked: Any) -> tuple[list[str], Any]:
    answer = await served.get("/api/jobs/1/output/lines", **asked)
    return [line["text"] for line in answer["lines"]], answer


async def test_lines_are_read_from_the_end_backwards_and_forwards(served: Served) -> None:
    await job(served, b"".join(b"line %d\n" % n for n in range(1, 101)))
    last, page = await lines(served, limit=10)
    assert (last[0], last[-1], page["next_offset"]) == ("line 91", "line 100", page["size"])
    before, page = await lines(served, before=page["offset"], limit=10)
    assert (before[0], before[-1]) == ("line 81", "line 90")
    assert page["next_offset"] == page["lines"][-1]["offset"] + 8
    first, page = await lines(served, offset=0, limit=3)
    assert first == ["line 1", "line 2", "line 3"]
    after, _ = await lines(served, offset=page["next_offset"], limit=2)
    assert after == ["line 4", "line 5"]
    around, page = await lines(served, around=page["next_offset"] + 3, limit=2)
    assert around == ["line 3", "line 4"]


async def test_a_line_without_an_end_is_shown_and_read_again(served: Served) -> None:
    await job(served, b"one\nstep 1 of")
    found, page = await lines(served)
    assert (found, page["next_offset"]) == (["one", "step 1 of"], 4)
    assert [line["whole"] for line in page["lines"]] == [True, False]
    output(served).write_bytes(output(served).read_bytes() + b" 9\nstep 2")
    assert (await lines(served, offset=4))[0] == ["step 1 of 9", "step 2"]


async def test_pages_meet_whatever_the_size_of_the_lines(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_output, "LINES_BYTES", 64)
    content = b"a\r\nb\rc\n" + b"x" * 200 + b"\n" + b"".join(b"%d\n" % n for n in range(60)) + b"rest"
    await job(served, content)
    at, forwards = 0, list[tuple[int, int]]()
    while True:
        _, page = await lines(served, offset=at)
        forwards += [(line["offset"], line["bytes"]) for line in page["lines"]]
        if page["next_offset"] == at or page["next_offset"] >= page["size"] - 4:
            break
        at = page["next_offset"]
    assert sum(size for _, size in forwards) >= len(content) - 4
    assert [a + size for a, size in forwards[:-1]] == [a for a, _ in forwards[1:]]
    at, backwards = len(content), list[tuple[int, int]]()
    while at > 0:
        _, page = await lines(served, before=at)
        backwards = [(line["offset"], line["bytes"]) for line in page["lines"]] + backwards
        at = page["offset"]
    assert [a + size for a, size in backwards[:-1]] == [a for a, _ in backwards[1:]]
    assert sum(size for _, size in backwards) == len(content)


async def test_what_is_not_there_says_so_and_another_file_has_another_name(served: Served) -> None:
    await job(served, b"old\n")
    _, page = await lines(served)
    kept = output(served).rename(output(served).with_suffix(".old"))  # so that its inode is not given to the next file
    assert (await lines(served))[1]["sight"] == "missing"
    output(served).write_bytes(b"new\n")
    found, other = await lines(served, offset=page["next_offset"] + 100)
    assert (found, other["file"] != page["file"], other["next_offset"]) == ([], True, 4)
    assert kept.exists()
    served.jobs.add("2", stdout=None, stderr=None)
    await served.look()
    assert (await served.http.get("/api/jobs/2/output/lines")).status_code == 404


async def test_all_of_an_output_is_searched_in_bounded_parts(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_output, "WALK_BYTES", 100_000)
    rows = [f"row {n} " + ("Error 7" if n % 1000 == 0 else "ok") for n in range(1, 30_001)]
    await job(served, "\r\n".join(rows).encode() + b"\n" + b"y" * 300_000 + b" Error 7\nlast error 9")
    place: dict[str, Any] = {"offset": 0, "line": 1, "inside": False}
    found, asked = list[dict[str, Any]](), 0
    while True:
        part = await served.get("/api/jobs/1/output/search", text=r"ERROR \d", regex=True, ignore_case=True, **place)
        found, asked = found + part["found"], asked + 1
        if part["done"]:
            break
        place = {name: part[f"next_{name}"] for name in place}
    assert asked > 3
    assert [each["line"] for each in found] == [*range(1000, 30_001, 1000), 30_002]  # as watchers see a long line
    assert (found[0]["text"], found[-1]["text"]) == ("row 1000 Error 7", "last error 9")
    read, _ = await lines(served, offset=found[0]["offset"], limit=1)
    assert read == ["row 1000 Error 7"]
    plain = await served.get("/api/jobs/1/output/search", text="row 1 .*")
    assert (plain["count"], plain["done"]) == (0, False)


async def test_a_last_line_that_grows_is_searched_again_under_its_number(served: Served) -> None:
    await job(served, b"one\ntwo err")
    part = await served.get("/api/jobs/1/output/search", text="err")
    assert ([each["line"] for each in part["found"]], part["done"], part["next_offset"]) == ([2], True, 4)
    output(served).write_bytes(b"one\ntwo error\nerr\n")
    part = await served.get("/api/jobs/1/output/search", text="error", offset=4, line=part["next_line"])
    assert [(each["line"], each["text"]) for each in part["found"]] == [(2, "two error")]


async def test_a_line_is_found_by_its_number_and_numbered_by_its_place(served: Served, monkeypatch: Any) -> None:
    monkeypatch.setattr(routes_output, "WALK_BYTES", 1000)
    await job(served, b"".join(b"line %d\n" % n for n in range(1, 1001)) + b"z" * 5000 + b"\nend\n")

    async def walk(**wanted: int) -> tuple[int, int]:
        place = {"offset": 0, "line": 1}
        while True:
            part = await served.get("/api/jobs/1/output/place", **wanted, **place)
            place = {"offset": part["offset"], "line": part["line"]}
            if part["done"]:
                return part["line"], part["offset"]

    line, offset = await walk(until_line=700)
    assert (line, (await lines(served, offset=offset, limit=1))[0]) == (700, ["line 700"])
    assert await walk(until_offset=offset + 3) == (700, offset)
    assert (await walk(until_line=1002))[0] == 1002
    assert (await walk(until_line=5000))[0] == 1003  # there are no more


@pytest.mark.parametrize("text", ["(", "a*", "(?<=a+)b"])
async def test_what_cannot_be_looked_for_is_refused(served: Served, text: str) -> None:
    await job(served, b"x\n")
    answer = await served.http.get("/api/jobs/1/output/search", params={"text": text, "regex": True})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-pattern")
    assert (await served.get("/api/jobs/1/output/search", text=text))["done"]
