"""A script line that was only echoed is no match; output that reads like the pattern is."""

from __future__ import annotations

import pytest
from parts.matching import scanned

from reconciler.logic.echo import mark, sources
from reconciler.logic.patterns import Rule


def texts(expression: str, line: str, *, ignore_echo: bool = True) -> list[str]:
    """Return what the pattern finds in a line."""
    return [row[3] for row in scanned([Rule(expression, ignore_echo=ignore_echo)], line.encode())]


@pytest.mark.parametrize(
    ("expression", "line"),
    [
        (r"DIR=(.+)", "+ grep 'DIR=(.+)'"),
        (r"DIR=(.+)", "grep -E 'DIR=(.+)' run.log | head -1"),
        (r"(CUDA out of memory|OutOfMemoryError)", "if grep -E '(CUDA out of memory|OutOfMemoryError)' log; then"),
        (r"loss=([\d.]+|\()", r"grep 'loss=([\d.]+|\()' x"),
        (r"loss=(\S+)", r'pattern: "loss=(\\S+)"'),
        (r'loss(\s"|.)', r'print(re.search("loss(\\s\"|.)", x))'),
        (r".*DIR=(.+)", "echo '.*DIR=(.+)'"),
        (r"é.*|DIR", "grep 'é.*|DIR' größe"),
        (r"OOM|Killed", "trap 'OOM|Killed' x"),
        (r"a(?=b)|c(?!d)", "x 'a(?=b)|c(?!d)'"),
    ],
)
def test_an_echoed_pattern_is_no_match_unless_asked_for(expression: str, line: str) -> None:
    assert texts(expression, line) == []
    assert texts(expression, line, ignore_echo=False) != []


@pytest.mark.parametrize(
    ("expression", "line", "found"),
    [
        ("Model initialized", "Model initialized", ["Model initialized"]),
        ("Model initialized", "grep 'Model initialized' log", ["Model initialized"]),
        ("model.pt saved", "model.pt saved", ["model.pt saved"]),
        (r"DIR=(.+)", "DIR=/scratch", ["DIR=/scratch"]),
        (r"DIR=(\S+)", "DIR=/a; grep 'DIR=(\\S+)'", ["DIR=/a;"]),
        (r"DIR=(\S+)", "grep 'DIR=(\\S+)' DIR=/b", ["DIR=/b"]),
        (r".*DIR=(\S+)", "echo '.*DIR=(\\S+)' DIR=/b", ["echo '.*DIR=(\\S+)' DIR=/b"]),
    ],
)
def test_output_that_means_something_stays_a_match(expression: str, line: str, found: list[str]) -> None:
    assert texts(expression, line) == found


def test_a_pattern_of_plain_words_has_no_source_to_look_for() -> None:
    assert sources("Model initialized. Go") == ()
    assert mark("Model initialized. Go") is None


@pytest.mark.parametrize("expression", [r"a(\d)b", r"\d+", r"\\(", 'x"(y)"', r"(a)\"b", r"\."])
def test_a_line_with_the_source_in_any_form_holds_the_mark(expression: str) -> None:
    wanted = mark(expression)
    assert wanted is not None
    assert all(wanted in source for source in sources(expression))
