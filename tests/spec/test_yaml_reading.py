"""YAML text becomes plain values with places; what no watcher needs is refused at its line and column."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler.spec import yaml
from reconciler.spec.faults import Places
from reconciler.spec.scalars import resolve
from reconciler.spec.text import MAX_BYTES
from reconciler.spec.yaml import MAX_DEPTH, Parsed, parse


@pytest.fixture(params=["c", "pure"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both parsers of ruamel: the C one, and the one that stands in where there is no wheel of it."""
    if request.param == "pure":
        monkeypatch.setattr(yaml, "_events", yaml.pure_events)
    return str(request.param)


def value(text: str) -> Any:
    """Return the only document's value of a text without flaws."""
    parsed = parse(text.encode())
    assert parsed.flaws == ()
    assert len(parsed.documents) == 1
    return parsed.documents[0].value


def flaw(content: bytes | str) -> tuple[str, int, int]:
    """Return code, line and column of the only flaw."""
    parsed = parse(content if isinstance(content, bytes) else content.encode())
    assert len(parsed.flaws) == 1, parsed.flaws
    found = parsed.flaws[0]
    assert found.message
    assert found.remedy
    return found.code, found.line, found.column


# --- values ----------------------------------------------------------------------------------------------------------


def test_mappings_lists_and_scalars_become_plain_values() -> None:
    assert value("a: 1\nb: [x, 'y', 2.5, true, null]\nc: {d: }\n") == {
        "a": 1,
        "b": ["x", "y", 2.5, True, None],
        "c": {"d": None},
    }


def test_quoted_scalars_stay_text() -> None:
    assert value("""[ "1", '2', "true", '', "~" ]""") == ["1", "2", "true", "", "~"]


def test_block_scalars_are_text() -> None:
    assert value("a: |\n  one\n  two\nb: >\n  three\n  four\n") == {"a": "one\ntwo\n", "b": "three four\n"}


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", None), ("~", None), ("null", None), ("Null", None), ("true", True), ("FALSE", False),
        ("yes", "yes"), ("on", "on"), ("No", "No"),
        ("12", 12), ("-3", -3), ("+4", 4), ("007", 7), ("0o17", 15), ("0x1F", 31), ("0b101", 5),
        ("124_7", 1247), ("1_000", 1000), ("_1", "_1"),
        ("1.5", 1.5), ("1e3", 1000.0), ("-.5", -0.5), ("1.", 1.0), (".", "."), ("-", "-"), ("+", "+"),
        ("1e999", "1e999"), (".inf", ".inf"), (".nan", ".nan"), ("1:30", "1:30"), ("2026-12-01", "2026-12-01"),
        ("1.2.3", "1.2.3"),
        ("9" * 19, "9" * 19), ("-" + "9" * 5000, "-" + "9" * 5000), ("0x" + "f" * 80, "0x" + "f" * 80),
    ],
)  # fmt: skip
def test_plain_scalars_mean_what_yaml_1_2_says_and_dates_stay_text(text: str, meaning: object) -> None:
    found = resolve(text)
    assert found == meaning
    assert type(found) is type(meaning)


@pytest.mark.parametrize(
    "text", ["12", "-3", "0o17", "0x1f", "124_7", "1_0", "1.5", "-2.5e-3", "true", "no", "x1", "~"]
)
def test_plain_scalars_mean_what_ruamel_makes_of_them(text: str) -> None:
    assert resolve(text) == YAML(typ="safe", pure=True).load(text)


def test_several_documents_are_several_values() -> None:
    parsed = parse(b"--- # first\na: 1\n---\nb: 2\n...\n---\n")
    assert [document.value for document in parsed.documents] == [{"a": 1}, {"b": 2}, None]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# only a comment\n", b"\xef\xbb\xbf"])
def test_a_text_without_values_has_no_documents(content: bytes) -> None:
    assert parse(content) == Parsed((), ())


def test_a_byte_order_mark_of_utf_8_is_no_part_of_the_text() -> None:
    assert parse(b"\xef\xbb\xbfa: 1").documents[0].value == {"a": 1}


def test_keys_are_text_as_they_are_written() -> None:
    assert value("1: a\ntrue: b\n'x': c\n2026: d\n") == {"1": "a", "true": "b", "x": "c", "2026": "d"}


def test_standard_tags_are_followed() -> None:
    assert value("[!!str 124_7, !!int 5, !!float 1.5, !!bool true, !!null ~, !!seq [1], !!map {a: 1}]") == [
        "124_7", 5, 1.5, True, None, [1], {"a": 1},
    ]  # fmt: skip


def test_windows_line_ends_are_line_ends() -> None:
    parsed = parse(b"a: 1\r\nb:\r\n  - 2\r\n")
    assert parsed.documents[0].value == {"a": 1, "b": [2]}
    assert Places(parsed.documents[0].place).find(("b", 0)) == (3, 5)


# --- anchors ---------------------------------------------------------------------------------------------------------


def test_an_alias_is_what_its_anchor_holds() -> None:
    assert value("a: &x {b: [1]}\nc: *x\n") == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_a_merge_key_fills_in_what_is_not_there_and_an_earlier_mapping_wins() -> None:
    text = "- &one {a: 1, b: 1}\n- &two {b: 2, c: 2}\n- {<<: [*one, *two], c: 3}\n"
    assert value(text)[2] == {"c": 3, "a": 1, "b": 1}


def test_what_an_alias_brings_stands_where_it_is_written() -> None:
    places = Places(parse(b"a: &x\n  b: 1\nc:\n  <<: *x\nd: *x\n").documents[0].place)
    assert places.find(("c", "b")) == (2, 6)
    assert places.find(("d", "b")) == (2, 6)
    assert places.find_key(("d",)) == (5, 1)


def test_an_anchor_ends_with_its_document() -> None:
    assert flaw("a: &x 1\n---\nb: *x\n") == ("alias", 3, 4)


def test_an_alias_without_an_anchor_is_told_and_reading_goes_on() -> None:
    parsed = parse(b"a: *b\nb: *c\nd: 1\n")
    assert [(found.code, found.line) for found in parsed.flaws] == [("alias", 1), ("alias", 2)]
    assert parsed.documents[0].value["d"] == 1


def test_a_glob_without_quotes_is_told_to_be_quoted() -> None:
    parsed = parse(b"name: *.out\n")
    assert [found.line for found in parsed.flaws] == [1]
    assert "quotes" in parsed.flaws[0].remedy


def test_an_alias_to_what_it_stands_in_is_told() -> None:
    assert flaw("a: &x\n  b: *x\n") == ("alias", 2, 6)


def test_a_merge_of_something_else_than_mappings_is_told() -> None:
    assert flaw("a: &x 1\nb: {<<: *x}\n") == ("merge-key", 2, 5)


def bomb(levels: int, width: int) -> str:
    lines = ["a0: &a0 [lol]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]")
    return "\n".join(lines)


def test_anchors_that_explode_are_refused_before_they_do() -> None:
    began = time.process_time()
    code, line, _ = flaw(bomb(40, 9))
    assert code == "too-many-nodes"
    assert line == 6
    assert time.process_time() - began < 2


def test_merge_keys_that_explode_are_refused_too() -> None:
    lines = ["- &m0 {k: lol}"]
    for level in range(1, 30):
        lines.append(f"- &m{level} {{<<: [{', '.join([f'*m{level - 1}'] * 9)}], k{level}: 1}}")
    assert flaw("\n".join(lines))[0] == "too-many-nodes"


def test_a_long_text_that_explodes_by_aliases_is_refused_too() -> None:
    text = f"a: &a {'x' * 500_000}\nb: [{', '.join(['*a'] * 1000)}]\n"
    assert flaw(text)[0] == "too-many-nodes"
    assert value(f"a: {'x' * 900_000}")["a"] == "x" * 900_000


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_second_key_of_one_name_is_told_at_its_place_and_the_first_one_holds() -> None:
    parsed = parse(b"a: 1\nb: 2\na: 3\n")
    assert [(found.code, found.line, found.column) for found in parsed.flaws] == [("duplicate-key", 3, 1)]
    assert "line 1" in parsed.flaws[0].message
    assert parsed.documents[0].value == {"a": 1, "b": 2}


@pytest.mark.parametrize("key", ["? [a, b]\n: 1\n", "{[a]: 1}", "? {a: 1}\n: 2\n"])
def test_a_key_that_is_a_list_or_mapping_is_told(key: str) -> None:
    assert [found.code for found in parse(key.encode()).flaws] == ["complex-key"]


@pytest.mark.parametrize(
    "tag", ["!ruby/object", "!!python/object/apply:os.system", "!!set", "!<tag:example.org,2000:x>", "!!int"]
)
def test_a_tag_that_means_nothing_here_is_told(tag: str) -> None:
    assert flaw(f"a: {tag} x") == ("tag", 1, 4)


@pytest.mark.parametrize(
    ("text", "place"),
    [("\ta: 1\n", (1, 1)), ("a:\n\tb: 1\n", (2, 1)), ("a:\n  b: 1\n\tc: 2\n", (3, 1))],
)
def test_a_tab_for_indentation_is_told_as_such(text: str, place: tuple[int, int]) -> None:
    code, line, column = flaw(text)
    assert (code, line) == ("tab", place[0])
    assert column <= 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1\n", 1), ("a: b: c\n", 1), ("a: 'x\n", 1), ("a\nb: 1\n", 1), ("a: 1\n b: 2\n", 2),
        ("a: @x\n", 1), ("a: `x`\n", 1), ("%YAML 9.9\n---\na: 1\n", 1), ("a: }\n", 1), ("- a\nb: 1\n", 2),
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_told_near_its_place(text: str, line: int) -> None:
    parsed = parse(text.encode())
    assert len(parsed.flaws) == 1
    assert abs(parsed.flaws[0].line - line) <= 1
    assert parsed.flaws[0].line >= 1


def test_a_backslash_in_double_quotes_is_told_with_the_way_out() -> None:
    parsed = parse(rb'pattern: "\d+"')
    assert parsed.flaws[0].code == "escape"
    assert "single quotes" in parsed.flaws[0].remedy


def test_what_stands_before_a_syntax_error_is_still_there() -> None:
    parsed = parse(b"a: 1\n---\nb: [\n")
    assert [document.value for document in parsed.documents] == [{"a": 1}]
    assert [found.code for found in parsed.flaws] == ["syntax"]


def nested(opening: str, count: int) -> str:
    return opening * count


@pytest.mark.parametrize("make", [lambda n: "[" * n, lambda n: "{a: " * n, lambda n: "- " * n, lambda n: "{? " * n])
@pytest.mark.parametrize("count", [MAX_DEPTH + 1, 3000])
def test_deep_nesting_is_refused_and_costs_little(make: Callable[[int], str], count: int, parser: str) -> None:
    if parser == "pure" and count > 100:
        pytest.skip("the pure scanner is slow on this; the depth is the same")
    began = time.process_time()
    assert flaw(make(count))[0] == "too-deep"
    assert time.process_time() - began < 2


def test_a_million_bytes_are_read_and_one_more_is_not() -> None:
    assert parse(b"#" * MAX_BYTES) == Parsed((), ())
    assert flaw(b"#" * (MAX_BYTES + 1)) == ("file-too-large", 0, 0)


def test_a_hundred_megabytes_are_refused_at_once() -> None:
    began = time.process_time()
    assert flaw(b"a: 1\n" * 20_000_000)[0] == "file-too-large"
    assert time.process_time() - began < 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_other_unicode_encodings_are_named(encoding: str) -> None:
    assert flaw("name: x\npattern: é\n".encode(encoding)) == ("not-utf8", 1, 1)


def test_latin_1_is_told_at_the_byte_that_is_no_utf_8() -> None:
    parsed = parse("name: x\ndescription: Grün café\n".encode("latin-1"))
    found = parsed.flaws[0]
    assert (found.code, found.line, found.column, found.value) == ("not-utf8", 2, 16, "0xfc")
    assert "'ü'" in found.message


def test_a_column_counts_characters_not_bytes() -> None:
    assert flaw("a: 1\nb: grün ok \xff".encode() + b"\xff") == ("not-utf8", 2, 13)


@pytest.mark.parametrize(("character", "column"), [("\x00", 4), ("\x1b", 4), ("\x07", 4), ("\x7f", 4), ("\ufffe", 4)])
def test_a_control_character_is_told_at_its_place(character: str, column: int) -> None:
    assert flaw(f"a: 1\nb: {character}x\n") == ("control-character", 2, column)


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029"])
def test_what_ends_a_line_for_the_parser_and_for_no_editor_is_told_at_its_place(character: str) -> None:
    """Else a comment could go on as a key, and everything below it would be told one line too low."""
    parsed = parse(f"a: 1\n# b{character}c: 2\n".encode())
    (found,) = parsed.flaws
    assert (found.code, found.line, found.column) == ("control-character", 2, 4)
    escape = found.remedy.split('("')[1].removesuffix('")')
    assert parse(f'a: "{escape}"'.encode()).documents[0].value == {"a": character}


def test_a_file_of_nul_bytes_is_told_as_what_a_crash_leaves() -> None:
    parsed = parse(b"\x00" * 512)
    assert [(found.code, found.line, found.column) for found in parsed.flaws] == [("control-character", 1, 1)]
    assert "crash" in parsed.flaws[0].remedy


def test_surrogates_written_as_escapes_are_no_crash() -> None:
    for text in (r'a: "\ud800"', r'a: "\udfff x"', r'a: "\UFFFFFFFF"'):
        assert parse(text.encode()).flaws


# --- places ----------------------------------------------------------------------------------------------------------


def walk(place: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    children = place[4] or ()
    pairs = children.items() if isinstance(children, dict) else enumerate(children)
    for step, child in pairs:
        yield from walk(child, (*path, step))


def test_every_value_stands_where_its_text_stands() -> None:
    text = 'name: x\njobs:\n  ids: ["a1", b2]\nactions:\n  - type: t1\n    params: {m: "ü€", n: e3}\n  - c4\n'
    document = parse(text.encode()).documents[0]
    places, lines = Places(document.place), text.split("\n")
    for path in walk(document.place):
        found: Any = document.value
        for step in path:
            found = found[step]
        line, column = places.find(path)
        if isinstance(found, str):
            assert re.match(rf"""["']?{re.escape(found)}""", lines[line - 1][column - 1 :])
        if path and isinstance(path[-1], str):
            line, column = places.find_key(path)
            assert lines[line - 1][column - 1 :].startswith(path[-1] + ":")


def test_a_path_that_is_not_there_stands_where_the_nearest_one_does() -> None:
    places = Places(parse(b"a:\n  b: 1\n").documents[0].place)
    assert places.find(("a", "x", 3)) == places.find(("a",)) == (2, 3)
    assert places.real(("a", "tag", "b", 0)) == ("a", "b")


def test_a_number_is_known_as_it_is_written() -> None:
    document = parse(b"ids: [124_7, x]").documents[0]
    assert document.written == {(1, 7): "124_7"}
