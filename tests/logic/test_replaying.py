"""Watchers over a finished output: every match, what its condition says, what would be done; nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from parts.core import CANCEL, LOG, NOTIFY, STORE, a_job, a_spec, compiled
from parts.matching import pieces_of

from reconciler.logic.patterns import compile_set
from reconciler.logic.replay import Replay, Replayed, Tally

LOSS: dict[str, Any] = {"pattern": r"loss=(\S+)", "captures": ["loss"]}


def replayed(data: bytes, *fields: dict[str, Any], sizes: Sequence[int] = (), **options: bool) -> list[Replayed]:
    """Return everything that these watchers, named `w0`, `w1`, ..., find in an output."""
    specs = [compiled(a_spec(f"w{number}", **given)) for number, given in enumerate(fields)]
    replay = Replay(specs, a_job("7"), **options)
    rows = [row for piece in pieces_of(data, sizes) for row in replay.feed(piece)]
    return rows + list(replay.finish())


def said(data: bytes, *fields: dict[str, Any], **options: bool) -> list[str]:
    """Return the remarks on an output."""
    replay = Replay(
        [compiled(a_spec(f"w{number}", **given)) for number, given in enumerate(fields)], a_job(), **options
    )
    list(replay.feed(data))
    list(replay.finish())
    return list(replay.remarks())


def test_every_match_of_every_watcher_is_told_in_the_order_of_the_lines() -> None:
    rows = replayed(b"a\nb a\nc\na", {"pattern": "a"}, {"pattern": "b|c"})
    assert [(row.watcher, row.match.line, row.match.text) for row in rows] == [
        ("w0", 1, "a"),
        ("w0", 2, "a"),
        ("w1", 2, "b"),
        ("w1", 3, "c"),
        ("w0", 4, "a"),
    ]
    assert all(row.fires and row.condition is None for row in rows)


@pytest.mark.parametrize("sizes", [(1,), (2, 5), (64,)])
def test_the_size_of_the_blocks_changes_nothing(sizes: tuple[int, ...]) -> None:
    data = b"loss=1\r\nx\rloss=2 loss=3\n\xff loss=4"
    assert replayed(data, LOSS, {"pattern": "x"}, sizes=sizes) == replayed(data, LOSS, {"pattern": "x"})
    assert [row.match.line for row in replayed(data, LOSS)] == [1, 3, 3, 4]


def test_much_output_and_little_find_the_same() -> None:
    data = b"".join(b"loss=%d\n" % number for number in range(200))
    assert replayed(data, LOSS, long=True) == replayed(data, LOSS, long=False)


@pytest.mark.parametrize(
    ("value", "condition", "fires"),
    [(b"6", True, True), (b"5", False, False), (b"nan", False, False), (b"inf", True, True)],
)
def test_a_condition_decides_what_would_fire(value: bytes, condition: bool, fires: bool) -> None:
    [row] = replayed(b"loss=" + value + b"\n", LOSS | {"condition": "float(loss) > 5"})
    assert (row.condition, row.fires) == (condition, fires)


def test_a_condition_that_cannot_be_told_is_an_error_and_fires_nothing() -> None:
    [row] = replayed(b"loss=abc\n", LOSS | {"condition": "float(loss) > 5"})
    assert isinstance(row.condition, str)
    assert row.condition.startswith("error: condition ")
    assert not row.fires


def test_actions_are_rendered_with_captures_and_the_job() -> None:
    log = {"type": "log_event", "params": {"message": "$loss of $JOB_ID on ${HOSTNAME} by $WATCHER: $TRIGGER $$ $no"}}
    [row] = replayed(b"x loss=5.7\n", LOSS | {"actions": [log, STORE]})
    assert row.actions == (
        {"type": "log_event", "params": {"message": "5.7 of 7 on hpc by w0: match $ $no"}},
        {"type": "store_metric", "params": {"name": "loss", "value": "5.7"}},
    )


def test_a_capture_never_takes_the_name_of_the_job() -> None:
    log = {"type": "log_event", "params": {"message": "$JOB_ID $JOB_NAME"}}
    rows = replayed(b"id=99\n", {"pattern": r"id=(?P<JOB_NAME>\d+)", "actions": [log]})
    assert rows[0].actions[0]["params"] == {"message": "7 train"}


def test_actions_that_a_condition_or_a_success_rules_out_are_not_told() -> None:
    actions = [LOG | {"condition": "float(loss) > 5"}, CANCEL, NOTIFY | {"on_failure": [1]}]
    rows = replayed(b"loss=1\nloss=9\nloss=x\n", LOSS | {"actions": actions})
    assert [[action["type"] for action in row.actions] for row in rows] == [
        ["cancel_job"],
        ["log_event", "cancel_job"],
        ["cancel_job"],
    ]


def test_without_rendering_the_matches_are_the_same_and_no_action_is_told() -> None:
    data = b"loss=1\nloss=9\n"
    told = replayed(data, LOSS | {"condition": "float(loss) > 5"})
    short = replayed(data, LOSS | {"condition": "float(loss) > 5"}, render=False)
    assert [row[:3] for row in short] == [row[:3] for row in told]
    assert {row.actions for row in short} == {()}
    assert [row.match.text for row in replayed(data, LOSS, render=False)] == ["loss=1", "loss=9"]


def test_captures_of_an_earlier_line_are_known_later() -> None:
    log = {"type": "log_event", "params": {"message": "$epoch/$step"}}
    spec = {
        "pattern": None,
        "patterns": {"any": [r"epoch=(?P<epoch>\d+)", r"step=(?P<step>\d+)"]},
        "actions": [log],
    }
    rows = replayed(b"epoch=1\nstep=5\nepoch=2\nstep=6\n", spec)
    assert [row.actions[0]["params"]["message"] for row in rows] == ["1/$step", "1/5", "2/5", "2/6"]


def test_what_did_not_hold_leaves_no_captures() -> None:
    log = {"type": "log_event", "params": {"message": "$a $b"}}
    spec = {
        "pattern": None,
        "patterns": {"any": [r"a=(?P<a>\d+)", r"b=(?P<b>\d+)"]},
        "condition": "TRIGGER == 'match' and _matched_text != 'a=2'",
        "actions": [log],
    }
    rows = replayed(b"a=1\na=2\nb=3\n", spec)
    assert [row.condition for row in rows] == [True, False, True]
    assert rows[-1].actions[0]["params"] == {"message": "1 3"}


def test_two_watchers_share_no_captures() -> None:
    log = {"type": "log_event", "params": {"message": "$a$b"}}
    one, two = {"pattern": "(?P<a>x)", "actions": [log]}, {"pattern": "(?P<b>y)", "actions": [log]}
    rows = replayed(b"x y\n", one, two)
    assert [row.actions[0]["params"]["message"] for row in rows] == ["x$b", "$ay"]


@pytest.mark.parametrize("render", [True, False])
def test_of_all_the_match_that_completes_the_set_is_told_and_a_new_set_begins(render: bool) -> None:
    spec = {"pattern": None, "patterns": {"all": ["a", "b"]}}
    rows = replayed(b"a\na\nb\nb\nx\na\n", spec, render=render)
    assert [(row.match.line, row.match.text) for row in rows] == [(3, "b"), (6, "a")]


def test_what_each_of_all_patterns_captured_by_name_is_there_in_the_end() -> None:
    log = {"type": "log_event", "params": {"message": "$loss $acc $0 $1"}}
    rows = replayed(
        b"loss=0.3\nacc=0.9\n",
        {"pattern": None, "patterns": {"all": [r"loss=(?P<loss>\S+)", r"acc=(?P<acc>\S+)"]}, "actions": [log]},
    )
    assert [row.actions[0]["params"]["message"] for row in rows] == ["0.3 0.9 acc=0.9 0.9"]


def test_an_output_with_nothing_strange_has_no_remarks() -> None:
    assert said(b"loss=1\n" * 10, LOSS) == []


def test_a_line_that_was_cut_is_remarked_with_its_number() -> None:
    long = b"x" * 70_000 + b"\n"
    assert said(b"a\n" + long, LOSS) == ["line 2 too long: only the beginning was matched"]
    assert said(long + b"a\n" + long, LOSS) == ["2 lines (the first is 1) too long: only the beginning was matched"]


def test_lines_with_more_matches_than_are_kept_are_remarked_by_watcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.logic.scanner.LIMIT", 60.0)  # matches run out first, however slow the machine is
    remarks = said(b"a" * 60_000 + b"\n" + b"b\n", {"pattern": "b"}, {"pattern": "(?=a)"}, render=False)
    assert remarks == ["watcher 'w1': a pattern had more matches than are kept on line 1"]


def test_no_watcher_and_no_output_give_nothing() -> None:
    assert replayed(b"a\nb\n") == []
    assert replayed(b"", LOSS) == []
    assert replayed(b"loss=1\n", {"pattern": None, "trigger_on_job_end": True}) == []


@pytest.mark.parametrize("sizes", [(), (1,), (7, 30)], ids=str)
@pytest.mark.parametrize("hyperscan", [False, True], ids=["re2", "hyperscan"])
def test_counting_gives_what_a_count_of_the_matches_gives(hyperscan: bool, sizes: Sequence[int]) -> None:
    """Of plain lines, coloured ones, echoes, several matches on a line, sets of patterns, and conditions."""
    fields: list[dict[str, Any]] = [
        {"name": "plain", "pattern": r"loss: ([\d.]+)"},
        {"name": "any", "patterns": {"any": ["error", r"(\d)\1"]}},
        {"name": "all", "patterns": {"all": ["loss", "error"]}},
        {"name": "some", "pattern": r"loss: (?P<loss>\S+)", "condition": "float(loss) > 1"},
        {"name": "sampled", "pattern": "loss", "every_nth_line": 2},
        {"name": "over lines", "pattern": r"error\nloss", "multiline": 2},
        {"name": "never", "pattern": "absent"},
    ]
    specs = [compiled(a_spec(**{"pattern": None, **each})) for each in fields]
    data = (
        b"loss: 0.5 loss: 22\nerror\nloss: 3 \xc3\xa9\rloss: x\n\x1b[1mloss: 4\x1b[0m\n+ grep 'loss: ([\\d.]+)' log\n"
        b"error error 11\n\xff loss: 2\nloss: 1"
    )
    if hyperscan:
        compile_set([rule for spec in specs for rule in spec.rules]).prepare()
    told = Replay(specs, a_job(), render=False)
    rows = [row for piece in pieces_of(data, sizes) for row in told.feed(piece)] + list(told.finish())
    tallies = {spec.spec.name: Tally() for spec in specs}
    Replay(specs, a_job(), render=False).count(pieces_of(data, sizes), tallies)
    for name, tally in tallies.items():
        own = [row for row in rows if row.watcher == name]
        assert tally == Tally(
            matches=len(own),
            fires=sum(row.fires for row in own),
            errors=sum(isinstance(row.condition, str) for row in own),
            outputs=int(bool(own)),
            last=own[-1].match.text if own else "",
        )
    assert tallies["never"].matches == 0
    assert tallies["plain"].matches > 4
    assert tallies["some"].errors == 2


def test_tallies_add_up_over_outputs() -> None:
    specs = [compiled(a_spec(pattern="loss"))]
    tallies = {"w": Tally()}
    for data in (b"loss\nloss\n", b"nothing\n", b"a loss"):
        Replay(specs, a_job(), render=False).count([data], tallies)
    assert tallies["w"] == Tally(matches=3, fires=3, outputs=2, last="loss")
