"""What an edit changed, field by field, in the order of the paths."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.logic.fields import FieldChange, field_changes

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner),
    max_leaves=12,
)


def changed(old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    """Return path, old and new of every change."""
    return [(c.path, c.old, c.new) for c in field_changes(json.dumps(old), json.dumps(new))]


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("a", 1, 2)]),
        ({}, {"a": 1}, [("a", None, 1)]),
        ({"a": 1}, {}, [("a", 1, None)]),
        ({"b": 1, "a": 1}, {"b": 2, "a": 2}, [("a", 1, 2), ("b", 1, 2)]),
        ({"b": 1, "a": 1}, {"a": 1, "b": 1}, []),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, [("a.b.c", 1, 2)]),
        ({"a": {"b": 1}}, {"a": 5}, [("a", {"b": 1}, 5)]),
        ({"a": 5}, {"a": [5]}, [("a", 5, [5])]),
        ({"a": [1, 2]}, {"a": [1, 3]}, [("a[1]", 2, 3)]),
        ({"a": [1]}, {"a": [1, 2, 3]}, [("a[1]", None, 2), ("a[2]", None, 3)]),
        ({"a": [1, 2]}, {"a": []}, [("a[0]", 1, None), ("a[1]", 2, None)]),
        ({"a": [{"p": {"m": "x"}}]}, {"a": [{"p": {"m": "y"}}]}, [("a[0].p.m", "x", "y")]),
        ({"a": [[1], [2]]}, {"a": [[1], [3]]}, [("a[1][0]", 2, 3)]),
        ({"a": {}}, {}, [("a", {}, None)]),
        ({"a": ""}, {"a": "x\ny"}, [("a", "", "x\ny")]),
        ({"a": "é"}, {"a": "è"}, [("a", "é", "è")]),
    ],
)
def test_each_field_that_differs_is_named_with_both_values(
    old: Any, new: Any, changes: list[tuple[str, Any, Any]]
) -> None:
    assert changed(old, new) == changes


def test_a_change_is_a_value() -> None:
    assert field_changes('{"a":1}', '{"a":2}') == (FieldChange("a", 1, 2),)


@given(VALUES)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert changed(value, value) == []


@given(st.dictionaries(st.text("abc", min_size=1), VALUES), st.dictionaries(st.text("abc", min_size=1), VALUES))
def test_the_other_way_round_tells_the_same_fields_with_sides_exchanged(old: Any, new: Any) -> None:
    assert changed(new, old) == [(path, after, before) for path, before, after in changed(old, new)]
