"""Outputs of real jobs, with progress bars that redraw: what matches stands in a file that Python's `re` alone made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from parts.matching import fresh, pieces_of

from reconciler.logic.patterns import Rule
from reconciler.logic.scanner import StreamScanner
from reconciler.model import Position

OUTPUTS = Path(__file__).with_name("real_outputs")
EXPECTED = json.loads((OUTPUTS / "expected.json").read_text(encoding="utf-8"))
CASES = [(file, name) for file, patterns in EXPECTED["files"].items() for name in patterns]


@pytest.mark.parametrize("hyperscan", [False, True], ids=["re2", "hyperscan"])
@pytest.mark.parametrize("sizes", [(), (1, 7, 4096)], ids=["whole", "cut"])
@pytest.mark.parametrize(("file", "name"), CASES)
def test_a_real_output_has_the_matches_that_re_finds(
    file: str, name: str, sizes: Sequence[int], hyperscan: bool
) -> None:
    patterns = fresh([Rule(EXPECTED["patterns"][name], ignore_echo=False)], hyperscan=hyperscan)
    scanner = StreamScanner(patterns, Position())
    rows: list[list[Any]] = []
    for piece in [*pieces_of((OUTPUTS / file).read_bytes(), sizes), None]:
        for hit in scanner.finish() if piece is None else scanner.feed(piece):
            rows += [[m.line, m.offset, m.text, list(m.groups)] for m in patterns.matches(0, hit)]
    wanted = EXPECTED["files"][file][name]
    assert len(rows) == wanted["count"]
    assert rows[:1] + rows[-1:] == wanted["ends"]
    assert hashlib.sha256(json.dumps(rows).encode()).hexdigest() == wanted["sha256"]


def test_the_table_has_matches_in_every_output() -> None:
    assert all(any(case["count"] for case in patterns.values()) for patterns in EXPECTED["files"].values())
    assert len(CASES) >= 10
