"""What a later source hides of earlier ones, and what of that a restart must know."""

from __future__ import annotations

from reconciler.errors import Problem
from reconciler.logic.layers import Hider, Layer, uncovered, worth_keeping
from reconciler.protocols import Snapshot, SourceFile


def layer(source: str, *names: str, hides: str = "", deliberate: bool = False) -> Layer:
    files = tuple(SourceFile(f"{n}.yaml", f"/{source}/{n}.yaml", b"", "") for n in names)
    problems = (Problem(f"/{source}/bad.yaml", 0, 0, "unreadable", "cannot be read", "mend it"),)
    hidden = frozenset(f"{n}.yaml" for n in hides.split())
    return Layer(source, Snapshot(source, files, "", deliberate, problems, hidden), hidden)


def names(layers: list[Layer]) -> list[list[str] | None]:
    return [None if left is None else [f.name[:-5] for f in left.snapshot.files] for left in uncovered(layers)]


def test_a_file_of_the_same_name_above_replaces_and_a_mask_hides() -> None:
    assert names([layer("low", "a", "b", "c"), layer("high", "a", "d", hides="a b d")]) == [["c"], ["a", "d"]]


def test_only_what_comes_before_is_hidden() -> None:
    assert names([layer("low", "a", hides="a"), layer("high", "a")]) == [["a"], ["a"]]


def test_what_hides_is_told_and_whether_a_commit_did() -> None:
    found = uncovered([layer("low", "a", "b"), layer("mid", hides="a b"), layer("git", hides="b", deliberate=True)])
    assert found[0] is not None
    assert found[0].hidden == {"/low/a.yaml": Hider("mid"), "/low/b.yaml": Hider("git", deliberate=True)}


def test_what_is_wrong_with_a_hidden_file_is_nobodys_matter() -> None:
    low, high = uncovered([layer("low", "a"), layer("high", hides="bad")])
    assert low is not None
    assert high is not None
    assert low.snapshot.problems == ()
    assert len(high.snapshot.problems) == 1


def test_a_layer_that_cannot_be_read_hides_what_it_hid() -> None:
    assert names([layer("low", "a", "b"), Layer("high", None, frozenset({"a.yaml"}))]) == [["b"], None]


def test_masks_and_what_is_really_replaced_are_worth_keeping_and_no_more() -> None:
    layers = [layer("low", "a", "b"), layer("high", "a", "c", hides="a c masked"), Layer("gone", None, frozenset("x"))]
    assert worth_keeping(layers) == {"low": frozenset(), "high": {"a.yaml", "masked.yaml"}}
