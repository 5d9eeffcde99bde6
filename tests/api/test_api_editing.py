"""YAML edited as text: what a person wrote around the edited values stays."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.editing import edited, merge, names_in, new_text, without
from reconciler.spec.yaml import parse

TEXT = """\
# head
name: one   # of two
jobs:
    # which
    ids:
        - "1"
pattern: 'hit'
actions:
  - type: log_event   # first
    params: {message: "a"}
  - type: log_event   # second
    params:
      message: b
---
# another
name: two
pattern: x
"""


def value_of(text: str) -> object:
    parsed = parse(text.encode())
    assert parsed.flaws == ()
    return [document.value for document in parsed.documents]


def test_only_what_differs_is_touched() -> None:
    changed = {"pattern": "miss", "actions": [{"type": "log_event", "params": {"message": "a"}}]}
    after = edited(TEXT, "one", lambda spec: merge(spec, changed))
    for kept in ("# head", "# of two", "# which", "# first", "# another", 'message: "a"'):
        assert kept in after, kept
    assert "# second" not in after
    assert value_of(after)[0]["pattern"] == "miss"  # type: ignore[index]


def test_no_change_changes_no_value_and_no_comment() -> None:
    after = edited(TEXT, "two", lambda spec: None)
    assert value_of(after) == value_of(TEXT)
    assert after.count("#") == TEXT.count("#")


def test_lists_are_indented_as_the_file_has_them() -> None:
    indented = "name: a\nactions:\n  - x\n"
    assert edited(indented, "a", lambda spec: None) == indented
    flush = "name: a\nactions:\n- x\n"
    assert edited(flush, "a", lambda spec: None) == flush


def test_a_number_that_becomes_text_of_the_same_look_becomes_text() -> None:
    after = edited("name: a\nlabels: {n: 1}\n", "a", lambda spec: merge(spec, {"labels": {"n": "1"}}))
    assert value_of(after) == [{"name": "a", "labels": {"n": "1"}}]
    back = edited(after, "a", lambda spec: merge(spec, {"labels": {"n": 1}}))
    assert value_of(back) == [{"name": "a", "labels": {"n": 1}}]


def test_none_takes_a_key_out_at_the_top_and_left_out_keys_go_below() -> None:
    after = edited(TEXT, "one", lambda spec: merge(spec, {"pattern": None, "jobs": {"name": "x*"}}))
    assert value_of(after)[0]["jobs"] == {"name": "x*"}  # type: ignore[index]
    assert "pattern: 'hit'" not in after


def test_a_watcher_is_taken_out_of_documents_and_of_lists() -> None:
    assert names_in(without(TEXT, "one")) == ["two"]
    assert names_in(without("- name: a\n- name: b  # b\n", "a")) == ["b"]
    assert without("name: a\n", "a") == ""
    assert without("- name: a\n", "a") == ""
    with pytest.raises(KeyError):
        without(TEXT, "three")


COMMENTED = """\
# head
name: w   # name
labels:   # labels
  team: x   # team

# why interval is so
interval_seconds: 5
# why the condition
condition: 'x'

# about actions
actions:
# first
- type: log_event   # one
  params:
    message: |   # literal
      line
      # no comment
# second
- type: log_event   # two
  params: {message: second}   # flow

# by itself

# third
- type: send_mail
# tail
"""
ACTIONS = value_of(COMMENTED)[0]["actions"]  # type: ignore[index]


def merged(**fields: object) -> str:
    after = edited(COMMENTED, "w", lambda spec: merge(spec, fields))
    meant = {k: v for k, v in {**value_of(COMMENTED)[0], **fields}.items() if v is not None}  # type: ignore[index]
    assert value_of(after) == [meant]
    return after


def test_what_is_added_stands_above_the_comment_of_what_follows() -> None:
    after = merged(labels={"team": "x", "new": "y"}, description="d")
    assert "  team: x   # team\n  new: y\n\n# why interval is so\ninterval_seconds: 5\n" in after
    assert after.endswith("- type: send_mail\ndescription: d\n# tail\n")


def test_what_is_taken_out_goes_with_the_comment_above_it_and_leaves_that_of_the_next() -> None:
    after = merged(condition=None)
    assert "interval_seconds: 5\n\n# about actions\nactions:\n# first\n" in after
    assert "# why the condition" not in after


@pytest.mark.parametrize(
    ("kept", "gone"),
    [
        ([1, 2], ["# first", "# one", "# literal"]),
        ([0, 2], ["# second", "# two", "# flow"]),
        ([0, 1], ["# third"]),
        ([2], ["# first", "# one", "# literal", "# second", "# two", "# flow"]),
    ],
    ids=str,
)
def test_an_action_that_goes_takes_its_own_comments_with_it(kept: list[int], gone: list[str]) -> None:
    after = merged(actions=[ACTIONS[each] for each in kept])
    assert [line for line in ("# first", "# one", "# literal", "# second", "# two", "# flow", "# third")
            if line not in after] == gone  # fmt: skip
    assert after.endswith("# tail\n")
    assert "# about actions\nactions:\n" in after


def test_an_action_put_first_or_between_takes_no_comment_of_another() -> None:
    new = {"type": "log_event", "params": {"message": "new"}}
    first = merged(actions=[new, *ACTIONS])
    assert first.index("message: new") < first.index("# first") < first.index("# one")
    between = merged(actions=[ACTIONS[0], {"type": "other"}, *ACTIONS[1:]])
    assert between.index("type: other") < between.index("# second") < between.index("# two")
    last = merged(actions=[*ACTIONS, {"type": "other"}])
    assert last.endswith("- type: other\n# tail\n")


def test_a_changed_action_keeps_its_comments() -> None:
    changed = [ACTIONS[0], {"type": "log_event", "params": {"message": "change"}}, ACTIONS[2]]
    assert merged(actions=changed) == COMMENTED.replace("message: second", "message: change")


def test_a_value_that_is_put_in_place_of_another_leaves_the_comment_below_it() -> None:
    after = merged(labels={"other": "z"}, condition="z")
    assert "  other: z\n\n# why interval is so\ninterval_seconds: 5\n# why the condition\ncondition: 'z'\n" in after
    assert "# about actions\nactions:\n" in merged(actions=[{"type": "new"}], condition=None)


@pytest.mark.parametrize("text", [TEXT, COMMENTED], ids=["documents", "one"])
def test_line_ends_stay_as_the_file_has_them(text: str) -> None:
    name = names_in(text)[0]
    change = {"labels": {"a": "b"}, "description": "two\nlines"}
    after = edited(text, name, lambda spec: merge(spec, change))
    assert edited(text.replace("\n", "\r\n"), name, lambda spec: merge(spec, change)) == after.replace("\n", "\r\n")
    assert "\r" not in after


def test_what_an_alias_stands_for_changes_only_in_the_watcher_that_is_meant() -> None:
    text = "name: a\nactions: &acts\n  - &act {type: x}\n  - *act\nlabels: {n: &n one}\n"
    several = "- name: a\n  actions: &acts\n    - type: x   # kept\n"
    several += "".join(f"- name: {name}\n  actions: *acts\n" for name in "bc")
    after = edited(several, "a", lambda spec: merge(spec, {"actions": [{"type": "y"}]}))
    assert [spec["actions"] for spec in value_of(after)[0]] == [[{"type": each}] for each in "yxx"]  # type: ignore[index]
    assert after.count("# kept") == 2
    after = edited(text, "a", lambda spec: merge(spec, {"actions": [{"type": "x"}, {"type": "y"}]}))
    assert value_of(after)[0]["actions"] == [{"type": "x"}, {"type": "y"}]  # type: ignore[index]
    scalars = "- name: a\n  pattern: &p 'hit'\n- name: b\n  pattern: *p\n"
    after = edited(scalars, "a", lambda spec: merge(spec, {"pattern": "x"}))
    assert [spec["pattern"] for spec in value_of(after)[0]] == ["x", "hit"]  # type: ignore[index]
    assert value_of(without(scalars, "a")) == [[{"name": "b", "pattern": "hit"}]]
    assert value_of(without(several, "a"))[0][1]["actions"] == [{"type": "x"}]  # type: ignore[index]


PRINTABLE = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=30)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | PRINTABLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PRINTABLE, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(PRINTABLE, PLAIN, min_size=1, max_size=5))
def test_what_is_written_is_read_as_what_it_was(spec: dict[str, object]) -> None:
    assert value_of(new_text(spec)) == [spec]


@given(st.dictionaries(st.sampled_from("abc"), PLAIN), st.dictionaries(st.sampled_from("abcd"), PLAIN))
def test_what_is_merged_is_read_as_what_was_meant(old: dict[str, object], new: dict[str, object]) -> None:
    after = edited(new_text({"name": "w", **old}), "w", lambda spec: merge(spec, new))
    meant = {key: value for key, value in {"name": "w", **old, **new}.items() if new.get(key, 0) is not None}
    assert value_of(after) == [meant]


def test_comments_that_would_spoil_the_text_are_left_out() -> None:
    text = "name: w\nb:\n  # odd\n  - \n"
    after = edited(text, "w", lambda spec: merge(spec, {"b": [{}, None, None]}))
    assert value_of(after) == [{"name": "w", "b": [{}, None, None]}]


def commented(text: str) -> str:
    """The text with a comment above each line, indented as that is."""
    lines = text.splitlines(keepends=True)
    return "".join(f"{' ' * (len(line) - len(line.lstrip(' ')))}# c{at}\n{line}" for at, line in enumerate(lines))


@given(st.dictionaries(st.sampled_from("abc"), PLAIN), st.dictionaries(st.sampled_from("abcd"), PLAIN))
def test_comments_do_not_change_what_is_merged(old: dict[str, object], new: dict[str, object]) -> None:
    text = commented(new_text({"name": "w", **old}))
    after = edited(text, "w", lambda spec: merge(spec, new))
    meant = {key: value for key, value in {"name": "w", **old, **new}.items() if new.get(key, 0) is not None}
    assert value_of(after) == [meant]
    assert set(re.findall("# c[0-9]+", after)) <= set(re.findall("# c[0-9]+", text))
