"""Whatever stands in a file, loading ends with specs or with problems at places in the file, never with a traceback."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from spec_examples import GOOD, MODEL, load
from test_loading_watchers import EVERYTHING

from reconciler.spec import yaml
from reconciler.spec.cached import outline
from reconciler.spec.canonical import from_json
from reconciler.spec.load import Loaded, dump_loaded, load_file
from reconciler.spec.watcher import WatcherSpec

EXAMPLES = 3000 if os.environ.get("RECONCILER_CAMPAIGN") == "long" else 150
CAMPAIGN = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

KEYS = [*WatcherSpec.model_fields, "type", "params", "message", "needs", "any", "all", "within", "ids", "<<", "x"]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20), st.sampled_from(KEYS)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)
TOKENS = ["a", "- ", ": ", "\n", "  ", "\t", "[", "]", "{", "}", ",", "&x ", "*x", "!", "!!str ",
          "'", '"', "\\", "|", ">",
          "---\n", "...\n", "#", "? ", "%", "@", "<<: ", "0", "1_0", "~", "é", "🎉", "\r", "\x85", "\u2028", "\ufeff",
          "name: x\n"]  # fmt: skip


def held(content: bytes) -> Loaded:
    """Load, and hold what is promised of any content."""
    loaded = load_file(content, "w.yaml", MODEL)
    assert bool(loaded.specs) != bool(loaded.problems)
    height = content.count(b"\n") + content.count(b"\r") + 3 * content.count(b"\xe2") + content.count(b"\xc2") + 2
    for problem in loaded.problems:
        assert problem.code
        assert problem.message
        assert problem.remedy
        assert problem.severity == "error"
        assert 0 <= problem.line <= height
        assert len(problem.value) <= 80
        assert "\n" not in problem.value
    specs, problems = outline(dump_loaded(loaded))
    assert [from_json(each.body, MODEL) for each in specs] == [each.spec for each in loaded.specs]
    assert problems == loaded.problems
    return loaded


@pytest.fixture(params=["c", "pure"])
def either_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pure":
        monkeypatch.setattr(yaml, "_events", yaml.pure_events)


@CAMPAIGN
@given(st.binary(max_size=200))
@example(b"\xff")
@example(b"a: \x00")
@example(b"\xef\xbb\xbf\xff")
@pytest.mark.usefixtures("either_parser")
def test_any_bytes_are_survived(content: bytes) -> None:
    held(content)


@CAMPAIGN
@given(st.lists(st.sampled_from(TOKENS), max_size=60).map("".join))
@example('a: "\\UFFFFFFFF"')
@example("%YAML 1.99\n---\na: 1")
@example("%TAG ! tag:x,2000:\n---\n!foo a")
@example("? a\n? b\n")
@example("<<: {name: x}\npattern: a")
@example("&x a: *x")
@example("!<> x")
@pytest.mark.usefixtures("either_parser")
def test_any_yaml_like_text_is_survived(text: str) -> None:
    held(text.encode("utf-8", "surrogatepass"))


@CAMPAIGN
@given(VALUES)
def test_any_structure_is_survived(value: object) -> None:
    import json

    held(json.dumps(value).encode())


@CAMPAIGN
@given(st.dictionaries(st.sampled_from(list(WatcherSpec.model_fields)), VALUES, max_size=4))
def test_a_good_watcher_with_any_fields_on_top_is_survived(fields: dict[str, object]) -> None:
    import json

    base = {"name": "x", "pattern": "a", "actions": [{"type": "cancel_job"}]}
    held(json.dumps(base | fields).encode())


@CAMPAIGN
@given(st.data())
def test_any_edit_of_a_good_file_is_survived(data: st.DataObject) -> None:
    content = bytearray(EVERYTHING.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 5))] = data.draw(
            st.binary(max_size=4) | st.sampled_from(TOKENS).map(str.encode)
        )
    held(bytes(content))


def test_every_byte_prefix_of_a_file_is_survived_and_most_are_refused() -> None:
    """Those that pass have lost the end of the file: that is what a source's prune grace is for."""
    content = (GOOD + "---\n" + GOOD.replace("name: x", "name: y")).encode()
    passed = [end for end in range(len(content)) if held(content[:end]).specs]
    assert 0 < len(passed) < len(content) / 3
    assert load(content).good
