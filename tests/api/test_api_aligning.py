"""Items of a list that go on in another one."""

from __future__ import annotations

from operator import eq

from hypothesis import given
from hypothesis import strategies as st

from reconciler.api import aligning
from reconciler.api.aligning import aligned

SMALL = st.lists(st.integers(0, 4), max_size=8)


def pairs(old: list[object], new: list[object]) -> dict[int, int]:
    return dict(aligned(old, new, eq))


def test_what_is_the_same_goes_on_wherever_it_stands() -> None:
    assert pairs(["a", "b", "c"], ["b", "c"]) == {0: 1, 1: 2}
    assert pairs(["a", "c"], ["a", "b", "c"]) == {0: 0, 2: 1}
    assert pairs([], ["a"]) == pairs(["a"], []) == {}


def test_mappings_of_one_type_go_on_before_others_do() -> None:
    log, mail, changed = {"type": "log"}, {"type": "mail"}, {"type": "mail", "to": "x"}
    assert pairs([log, mail], [changed]) == {0: 1}
    assert pairs([log], [mail]) == {0: 0}
    assert pairs([log], ["text"]) == {}


def test_very_long_lists_are_matched_item_by_item() -> None:
    many = list(range(aligning.MOST_PAIRS // 2))
    assert len(pairs([*many], [1, 2, 3])) == 3


@given(SMALL, SMALL)
def test_pairs_are_in_the_order_of_both_and_the_same(old: list[object], new: list[object]) -> None:
    found = sorted(pairs(old, new).items())
    assert all(old[before] == new[after] for after, before in found)
    assert [before for _, before in found] == sorted({before for _, before in found})
    assert pairs(old, old) == {index: index for index in range(len(old))}
