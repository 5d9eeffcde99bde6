"""How values stand in columns."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts.state_values import file_numbers, paths, times
from sqlalchemy.dialects import sqlite

from reconciler.state.columns import FileNumber, Words, from_iso, from_json, to_iso, to_json

DIALECT = sqlite.dialect()


@given(times)
def test_a_time_comes_back_to_the_last_bit(at: float) -> None:
    assert from_iso(to_iso(at)) == at


@given(times, times)
def test_times_sort_as_their_texts_do(one: float, other: float) -> None:
    assert (to_iso(one) < to_iso(other)) == (one < other)


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (0.0, "1970-01-01T00:00:00.000000+00:00"),
        (1_800_000_000, "2027-01-15T08:00:00.000000+00:00"),
        (1_800_000_000.1234567, "2027-01-15T08:00:00.1234567+00:00"),
    ],
)
def test_a_time_reads_as_iso_in_utc(at: float, shown: str) -> None:
    assert to_iso(at) == shown
    assert datetime.fromisoformat(shown).timestamp() == pytest.approx(at)


@pytest.mark.parametrize("text", ["2027-01-15T08:00:00Z", "2027-01-15T08:00:00", "2027-01-15 08:00:00+00:00"])
def test_times_that_another_program_wrote_are_read(text: str) -> None:
    assert from_iso(text) == 1_800_000_000


@given(st.dictionaries(paths, paths))
def test_json_keeps_names_that_are_not_utf_8(value: dict[str, str]) -> None:
    text = to_json(value)
    assert from_json(text) == value
    text.encode()  # what SQLite takes


def test_json_takes_what_is_no_json_by_itself() -> None:
    assert from_json(to_json({"path": Path("/x"), "set": {2, 1}, 3: 4})) == {"path": "/x", "set": [1, 2], "3": 4}


@given(paths)
def test_text_is_always_one_that_sqlite_takes(text: str) -> None:
    stored = Words().process_bind_param(text, DIALECT)
    assert stored is not None
    assert stored.encode().decode() == stored
    assert stored == text or "\\udc" in stored


@given(file_numbers)
def test_file_numbers_of_64_bits_fit_an_integer_of_sqlite(number: int) -> None:
    stored = FileNumber().process_bind_param(number, DIALECT)
    assert stored is not None
    assert -(2**63) <= stored < 2**63
    assert FileNumber().process_result_value(stored, DIALECT) == number
