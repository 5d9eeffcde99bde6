"""Presets meet what is printed when it happens, once a line, and not what is said about it."""

from __future__ import annotations

import re
from pathlib import Path

import hyperscan
import pytest
import re2

from reconciler.spec.presets import PRESETS

FILE = Path(__file__).with_name("preset_lines.txt")


def lines(sign: str) -> dict[str, list[str]]:
    """Return preset -> lines with this sign: `+` to be met, `-` to be passed over."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            name = line[2:]
        elif line.startswith(f"{sign} "):
            found.setdefault(name, []).append(line[2:])
    return found


MEETS, PASSES = lines("+"), lines("-")
LINES = [(name, line) for name, lines in MEETS.items() for line in lines]
OTHERS = [(name, line) for name, lines in PASSES.items() for line in lines]


def found(name: str, line: str) -> list[re.Match[str]]:
    return [match for text in PRESETS[name].patterns for match in re.finditer(text, line, re.ASCII)]


@pytest.mark.parametrize(("name", "line"), LINES)
def test_a_real_wording_is_met_once(name: str, line: str) -> None:
    assert len(found(name, line)) == 1


@pytest.mark.parametrize(("name", "line"), OTHERS)
def test_what_only_sounds_like_it_is_not_met(name: str, line: str) -> None:
    assert found(name, line) == []


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_tried_in_both_directions(name: str) -> None:
    assert len(MEETS[name]) >= 5
    assert len(PASSES[name]) >= 3


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_read_alike_by_every_engine(name: str) -> None:
    """The engines see bytes; what they say of every line here is what `re` says."""
    (text,) = PRESETS[name].patterns
    by_re2 = re2.compile(text.encode())
    database = hyperscan.Database()
    database.compile(expressions=[text.encode()], ids=[0], flags=[hyperscan.HS_FLAG_SINGLEMATCH])
    for _, line in LINES + OTHERS:
        expected = bool(found(name, line))
        hits: list[int] = []
        database.scan(line.encode(), match_event_handler=lambda *event: hits.append(event[0]))  # noqa: B023 - called at once
        assert (by_re2.search(line.encode()) is not None) == expected, line
        assert bool(hits) == expected, line


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_which_names_it_captures_and_what_it_is_about(name: str) -> None:
    pack = PRESETS[name]
    assert {group for text in pack.patterns for group in re.compile(text).groupindex} == set(pack.groups)
    assert pack.about


@pytest.mark.parametrize(
    ("name", "group", "value", "line"),
    [
        ("oom", "wanted", "2.00 GiB", MEETS["oom"][12]),
        ("oom", "step", "123.batch", MEETS["oom"][0]),
        ("oom", "kills", "2", MEETS["oom"][3]),
        ("time_limit", "step", "2740155", MEETS["time_limit"][0]),
        ("time_limit", "node", "node23", MEETS["time_limit"][0]),
        ("node_fail", "failed", "node23", MEETS["node_fail"][1]),
        ("traceback", "thrown", "c10::Error", MEETS["traceback"][3]),
        ("nccl", "error", "UnhandledCudaError", MEETS["nccl"][0]),
    ],
)
def test_a_preset_captures_what_is_worth_a_name(name: str, group: str, value: str, line: str) -> None:
    assert found(name, line)[0][group] == value
