"""YAML text to plain values and the place of each one; `load` and `settings_file` call it.

Built on the event stream of ruamel's C parser (25 times as fast as its pure one, which stands in where the C part is
missing): events carry line and column, and a composer of our own sees duplicate keys, alias bombs and foreign tags
before they do harm. It knows nothing of watchers; it refuses what no person would write: deep nesting, a million nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from reconciler.spec.faults import RawPlace, cut
from reconciler.spec.scalars import resolve
from reconciler.spec.text import Flaw, read_text, syntax_flaw

MAX_DEPTH = 40
MAX_NODES = 100_000  # of 64 characters

_TAG = "tag:yaml.org,2002:"
_SURROGATES = re.compile("[\ud800-\udfff]")
_TAGGED = {"int": (int,), "float": (int, float), "bool": (bool,), "null": (type(None),)}


@dataclass(frozen=True, slots=True)
class Document:
    """One document. `value` is None, bool, int, float, str, list or dict with text keys.

    `written` are plain scalars that are not text, as they stand in the file, by line and column: 124_7, not 1247.
    """

    value: Any
    place: RawPlace
    written: dict[tuple[int, int], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What could be read of a file: its documents up to the first fault that ends the reading, and all flaws."""

    documents: tuple[Document, ...]
    flaws: tuple[Flaw, ...]


class _StopReading(Exception):
    """Ends the reading of a text; no error of the house."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.message)
        self.flaw = flaw


def parse(content: bytes) -> Parsed:
    """Return the documents of `content`; never raises for anything that stands in it."""
    text = read_text(content)
    return Parsed((), (text,)) if isinstance(text, Flaw) else _Composer(text).run()


class _Composer:
    """Makes documents of the events of one text."""

    def __init__(self, text: str) -> None:
        # ruamel costs 20 ms to import; a start that finds every file in the cache of parsed files never needs it.
        from ruamel.yaml import error, events

        self.text = text
        self.kinds = events
        self.error = error.YAMLError
        self.flaws: list[Flaw] = []
        self.anchors: dict[str, tuple[Any, RawPlace, int] | None] = {}
        self.written: dict[tuple[int, int], str] = {}
        self.nodes = 0

    def run(self) -> Parsed:
        documents: list[Document] = []
        try:
            self.events = iter(_events(self.text))
            for event in self.events:
                if isinstance(event, self.kinds.DocumentStartEvent):
                    documents.append(self._document())
        except _StopReading as stop:
            self.flaws.append(stop.flaw)
        except self.error as error:
            self.flaws.append(syntax_flaw(self.text, error))
        return Parsed(tuple(documents), tuple(self.flaws))

    def _document(self) -> Document:
        self.anchors = {}
        self.written = {}
        value, place = self._node(next(self.events), 1)
        return Document(value, place, self.written)

    def _node(self, event: Any, depth: int) -> tuple[Any, RawPlace]:
        kind = event.__class__
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise _StopReading(_bound_flaw(line, column, depth))
        if kind is self.kinds.AliasEvent:
            return self._alias(event.anchor, line, column)
        place: RawPlace = [line, column, line, column, None]
        before = self.nodes
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        if kind is self.kinds.ScalarEvent:
            value = self._scalar(event, line, column)
        elif kind is self.kinds.MappingStartEvent:
            value = self._mapping(event, place, depth)
        else:
            value = self._sequence(event, place, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, place, self.nodes - before + 1)
        return value, place

    def _scalar(self, event: Any, line: int, column: int) -> Any:
        text: str = event.value
        self.nodes += len(text) >> 6  # a long text counts too: a thousand aliases to it would explode as well
        plain, quoted = event.implicit
        if not plain:
            return text if quoted else self._tagged(event, text, line, column)
        value = resolve(text)
        if value.__class__ is not str:
            self.written[line, column] = text
        return value

    def _tagged(self, event: Any, text: str, line: int, column: int) -> Any:
        name = str(event.tag).removeprefix(_TAG)
        if name in ("str", "!"):
            return text
        value = resolve(text)
        if not isinstance(value, _TAGGED.get(name, ())):
            self._foreign(event, line, column)
        return value

    def _foreign(self, event: Any, line: int, column: int) -> None:
        tag = str(event.tag).replace(_TAG, "!!")
        remedy = "delete the tag; only !!str, !!int, !!float, !!bool, !!null, !!map and !!seq mean something here"
        self.flaws.append(Flaw(line, column, "tag", f"the tag {cut(tag, 40)} does not fit here", remedy, tag))

    def _mapping(self, event: Any, place: RawPlace, depth: int) -> dict[str, Any]:
        if event.tag is not None and str(event.tag) != _TAG + "map":
            self._foreign(event, place[2], place[3])
        values: dict[str, Any] = {}
        places: dict[str, RawPlace] = {}
        merges: list[tuple[Any, RawPlace, int, int]] = []
        place[4] = places
        for event in self._until(self.kinds.MappingEndEvent):
            mark = event.start_mark
            key_line, key_column = mark.line + 1, mark.column + 1
            key = self._key(event, depth)
            value, found = self._node(next(self.events), depth + 1)
            if key == "<<":
                merges.append((value, found, key_line, key_column))
            elif key is None or key in values:
                self._bad_key(key, key_line, key_column, places)
            else:
                values[key] = value
                # an alias shares its place with the anchor: the key's position is this one's alone
                places[key] = [key_line, key_column, found[2], found[3], found[4]]
        for value, found, key_line, key_column in merges:
            if not self._merge(value, found, values, places):
                remedy = "write `<<: *name`, or `<<: [*one, *two]`"
                self.flaws.append(
                    Flaw(key_line, key_column, "merge-key", "`<<` wants a mapping, or a list of them", remedy)
                )
        return values

    def _key(self, event: Any, depth: int) -> str | None:
        """Return the key as it is written; None where it is no scalar (or an alias of none)."""
        value, _ = self._node(event, depth + 1)
        if isinstance(event, self.kinds.ScalarEvent):
            return str(event.value)
        return value if isinstance(value, str) else None

    def _bad_key(self, key: str | None, line: int, column: int, places: dict[str, RawPlace]) -> None:
        if key is None:
            flaw = Flaw(line, column, "complex-key", "a key is a list or a mapping", "write a word, then a colon")
        else:
            first = places[key][0]
            flaw = Flaw(
                line,
                column,
                "duplicate-key",
                f"the key {cut(key, 40)!r} stands here a second time, first in line {first}",
                "delete one of the two",
                key,
            )
        self.flaws.append(flaw)

    def _merge(self, value: Any, place: RawPlace, values: dict[str, Any], places: dict[str, RawPlace]) -> bool:
        """Fill in what `<<: *base` (or a list of them) gives and the mapping lacks; False where it is no mapping."""
        if isinstance(value, list):
            pairs = zip(value, place[4], strict=True)
            return False not in [self._merge(item, found, values, places) for item, found in pairs]
        if not isinstance(value, dict):
            return False
        for key, item in value.items():
            if key not in values:
                values[key], places[key] = item, place[4][key]
        return True

    def _sequence(self, event: Any, place: RawPlace, depth: int) -> list[Any]:
        if event.tag is not None and str(event.tag) != _TAG + "seq":
            self._foreign(event, place[2], place[3])
        values: list[Any] = []
        places: list[RawPlace] = []
        place[4] = places
        for event in self._until(self.kinds.SequenceEndEvent):
            value, found = self._node(event, depth + 1)
            values.append(value)
            places.append(found)
        return values

    def _until(self, end: type[Any]) -> Iterator[Any]:
        for event in self.events:
            if event.__class__ is end:
                return
            yield event

    def _alias(self, name: str, line: int, column: int) -> tuple[Any, RawPlace]:
        known = self.anchors.get(name, ())
        if known:
            value, place, size = known
            self.nodes += size  # an alias counts as what it stands for: that is what ends a billion laughs
            if self.nodes > MAX_NODES:
                raise _StopReading(_bound_flaw(line, column, 0))
            return value, place
        why = "stands inside what it names" if known is None else "names no anchor above it"
        short = cut(name, 40)
        remedy = f'put the value in quotes ("*{short}") if no alias is meant; else define it first with &{short}'
        self.flaws.append(Flaw(line, column, "alias", f"the alias *{cut(name, 40)} {why}", remedy, f"*{name}"))
        return f"*{name}", [line, column, line, column, None]


def _bound_flaw(line: int, column: int, depth: int) -> Flaw:
    if depth > MAX_DEPTH:
        return Flaw(
            line,
            column,
            "too-deep",
            f"nested more than {MAX_DEPTH} levels deep",
            "flatten it; a watcher needs 6 levels",
        )
    return Flaw(
        line,
        column,
        "too-many-nodes",
        f"more than {MAX_NODES:,} values, aliases counted as what they stand for",
        "split the file",
    )


def _events(text: str) -> Iterator[Any]:
    try:
        from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]
    except ModuleNotFoundError:  # an architecture without a wheel of ruamel.yaml.clib: the same events, slower
        return pure_events(text)
    return _c_events(CParser(text))


def _c_events(parser: Any) -> Iterator[Any]:
    while parser.check_event():
        yield parser.get_event()


def pure_events(text: str) -> Iterator[Any]:
    """Yield the events of ruamel's parser that is written in Python; what it misses of escapes is refused here."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            if _SURROGATES.search(getattr(event, "value", "") or ""):
                raise MarkedYAMLError(problem="an escape stands for no character", problem_mark=event.start_mark)
            yield event
    except (ValueError, OverflowError, AssertionError) as error:  # an escape of no character, an unheard-of %YAML
        raise MarkedYAMLError(problem=f"cannot be read: {error}") from error
