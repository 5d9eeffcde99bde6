"""What commands show: tables, JSON, JSON lines, YAML; nothing that a log line holds is obeyed by a terminal."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.cli.options import SafeFormatter
from reconciler.cli.output import Column, Form, Output, document, emit, note, output_option, report, shown
from reconciler.cli.text import HOSTILE, age, coloured, duration, moment, paint, safe
from reconciler.errors import ReconcilerError

COLUMNS = (
    Column("name"),
    Column("state", form=Form.STATE),
    Column("last_check", "CHECKED", Form.AGE),
    Column("trigger_count", "TRIGGERS", Form.NUMBER),
)
ROWS = (
    {"name": "CUDA OOM", "state": "active", "last_check": 940.0, "trigger_count": 2, "id": 7},
    {"name": "loss", "state": "paused", "last_check": None, "trigger_count": 0, "id": 8},
)
HOSTILE_TEXT = "a\x1b[2Jb\rc\nd\x9be\u202ef\udc80g\x00h\x7f"


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def rendered(rows: Any, output: str, **options: Any) -> str:
    stream = io.StringIO()
    emit(rows, COLUMNS, output, stream=stream, now=1000.0, **options)
    return stream.getvalue()


# --- tables ----------------------------------------------------------------------------------------------------------


def test_a_table_has_titles_and_humanised_values() -> None:
    assert rendered(ROWS, "table").splitlines() == [
        "NAME      STATE   CHECKED  TRIGGERS",
        "CUDA OOM  active  1m              2",
        "loss      paused  -               0",
    ]


def test_a_column_may_go_without_a_title() -> None:
    stream = io.StringIO()
    emit([{"sign": "+", "last_check": "x"}], (Column("sign", ""), Column("last_check")), "table", stream=stream)
    assert stream.getvalue() == "   LAST CHECK\n+  x\n"


def test_a_table_without_rows_says_so() -> None:
    assert rendered((), "table", empty="no watcher runs") == "no watcher runs\n"


def test_a_table_in_a_pipe_keeps_every_row_on_one_line() -> None:
    lines = rendered([{"name": "x" * 500, "state": "active"}], "table").splitlines()
    assert len(lines) == 2
    assert "x" * 500 in lines[1]


def test_a_table_in_a_pipe_has_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b" not in rendered(ROWS, "table")


def test_a_table_on_a_terminal_has_colours_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    emit(ROWS, COLUMNS, "table", stream=plain)
    assert "\x1b[3" not in plain.getvalue()
    monkeypatch.delenv("NO_COLOR")
    colourful = Terminal()
    emit(ROWS, COLUMNS, "table", stream=colourful)
    assert "\x1b[32mactive" in colourful.getvalue()


def test_markup_in_a_value_is_text() -> None:
    assert "[red]x[/red] :smile:" in rendered([{"name": "[red]x[/red] :smile:"}], "table")


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (None, Form.TEXT, "-"),
        ("", Form.STATE, "-"),
        (True, Form.TEXT, "yes"),
        (False, Form.NUMBER, "no"),
        (0, Form.NUMBER, "0"),
        (0.1 + 0.2, Form.NUMBER, "0.3"),
        (5400, Form.DURATION, "1h30m"),
        (["a", "b\n"], Form.TEXT, "a, b\\n"),
        ([], Form.TEXT, "-"),
        ({"loss": "5.7", "k\x1b": None}, Form.TEXT, "loss=5.7 k\\x1b=-"),
        (Path("/x"), Form.TEXT, "/x"),
    ],
)
def test_values_in_a_table(value: object, form: Form, text: str) -> None:
    assert shown(value, form) == text


# --- programs --------------------------------------------------------------------------------------------------------


def test_json_is_one_object_with_its_format_version_and_every_key() -> None:
    told = json.loads(rendered(ROWS, "json", name="watchers", extra={"hosts": {"hpc1": "reachable"}}))
    assert told == {"format_version": 1, "watchers": [dict(row) for row in ROWS], "hosts": {"hpc1": "reachable"}}


def test_json_without_rows_is_an_empty_list() -> None:
    assert json.loads(rendered((), "json", name="watchers"))["watchers"] == []


def test_json_lines_are_written_as_they_come() -> None:
    stream = io.StringIO()
    lengths = []

    def slow() -> Iterator[Mapping[str, int]]:
        for number in range(3):
            lengths.append(len(stream.getvalue().splitlines()))
            yield {"n": number}

    emit(slow(), (), Output.JSONL, stream=stream)
    assert lengths == [0, 1, 2]
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_yaml_reads_back_as_the_same_object_in_the_same_order() -> None:
    text = rendered(ROWS, "yaml", name="watchers")
    assert YAML(typ="safe").load(text) == {"format_version": 1, "watchers": [dict(row) for row in ROWS]}
    assert text.startswith("format_version: 1\nwatchers:\n- name: CUDA OOM\n")


@dataclass(frozen=True)
class Point:
    at: float
    tags: frozenset[str]


class Kind(StrEnum):
    ONE = "one"


def test_values_of_the_house_become_plain() -> None:
    row = {
        "point": Point(float("nan"), frozenset({"b", "a"})),
        "kind": Kind.ONE,
        "path": Path("/x"),
        "t": (1, float("inf")),
        3: True,
    }
    told = json.loads(rendered([row], "json"))
    assert told["rows"] == [
        {"point": {"at": None, "tags": ["a", "b"]}, "kind": "one", "path": "/x", "t": [1, None], "3": True}
    ]


def test_one_object_can_be_shown_without_rows() -> None:
    stream = io.StringIO()
    document({"ok": True}, "json", stream=stream)
    assert json.loads(stream.getvalue()) == {"format_version": 1, "ok": True}


def test_one_object_as_json_lines_is_one_line() -> None:
    stream = io.StringIO()
    document({"ok": {"text": "a\nb"}}, "jsonl", stream=stream)
    assert [json.loads(line)["ok"] for line in stream.getvalue().splitlines()] == [{"text": "a\nb"}]


# --- hostile text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", list(Output))
def test_no_output_carries_what_a_terminal_obeys(output: Output) -> None:
    text = rendered(
        [{"name": HOSTILE_TEXT, "state": HOSTILE_TEXT}], output, name="rows", extra={HOSTILE_TEXT: HOSTILE_TEXT}
    )
    assert HOSTILE.sub("", text.replace("\n", "")) == text.replace("\n", "")


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_json_is_harmless_and_loses_nothing(text: str) -> None:
    told = rendered([{"name": text}], "json")
    assert not HOSTILE.search(told.replace("\n", ""))
    assert json.loads(told)["rows"][0]["name"] == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_yaml_is_harmless_and_loses_nothing(text: str) -> None:
    told = rendered([{"name": text}], "yaml")
    assert not HOSTILE.search(told.replace("\n", ""))
    assert YAML(typ="safe").load(told)["rows"][0]["name"] == text


def test_hostile_text_is_written_out() -> None:
    assert safe(HOSTILE_TEXT) == r"a\x1b[2Jb\rc\nd\x9be\u202ef\x80g\x00h\x7f"
    assert safe("a\nb\x1b", keep="\n") == "a\nb\\x1b"
    assert safe("größe 👩‍🔬 漢字") == "größe 👩‍🔬 漢字"


def test_hostile_text_in_an_error_or_a_note_is_written_out() -> None:
    stream = io.StringIO()
    report(ReconcilerError("bad \x1b[31m", remedy="no \x07"), stream=stream)
    note("see \x1b]0;x\x07\nhere", stream=stream)
    assert stream.getvalue() == "error: bad \\x1b[31m\n  remedy: no \\x07\nnote: see \\x1b]0;x\\x07\nhere\n"


def test_hostile_text_in_a_log_record_is_written_out() -> None:
    record = logging.LogRecord("reconciler", logging.WARNING, "f", 1, "line %s", ("x\x1b[2J\nforged",), None)
    assert SafeFormatter("%(message)s").format(record) == "line x\\x1b[2J\\nforged"


def test_a_traceback_in_the_log_keeps_its_lines() -> None:
    try:
        raise ValueError("x\x1b")
    except ValueError:
        record = logging.LogRecord("r", logging.ERROR, "f", 1, "m", (), sys.exc_info())
    assert "\nValueError: x\\x1b" in SafeFormatter("%(message)s").format(record)


# --- time and colours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.04, "0.0s"),
        (0.44, "0.4s"),
        (1, "1s"),
        (59.6, "1m"),
        (60, "1m"),
        (61, "1m1s"),
        (3600, "1h"),
        (3601, "1h"),
        (5400, "1h30m"),
        (86400 * 3 + 7200, "3d2h"),
        (86400 * 400, "400d"),
        (-90, "-1m30s"),
    ],
)
def test_spans_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_ages() -> None:
    assert age(940, now=1000) == "1m"
    assert age(1300, now=1000) == "in 5m"


def test_moments_carry_their_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    assert moment(0) == "1970-01-01 02:00:00+02:00"
    monkeypatch.delenv("TZ")
    time.tzset()


def test_colours_only_where_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    assert paint("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    assert paint("x", "red", io.StringIO()) == "x"
    monkeypatch.setenv("TERM", "dumb")
    assert not coloured(Terminal())


def test_a_real_terminal_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        assert coloured(stream)
    os.close(ours)


@pytest.mark.parametrize("word", ["table", "json", "jsonl", "yaml", "csv"])
def test_the_output_option_takes_the_four_and_what_the_command_adds(word: str) -> None:
    import click

    @click.command()
    @output_option("csv")
    def command(output: str) -> str:
        return output

    assert command.main(["-o", word], standalone_mode=False) == word
    assert command.main([], standalone_mode=False) == "table"
    with pytest.raises(click.BadParameter):
        command.main(["-o", "xml"], standalone_mode=False)
