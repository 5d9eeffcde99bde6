"""Files of watchers: bytes to specs with places, or to every problem at once. Sources' files come in through `app`.

A file is good or bad as a whole: with one error in it, it gives no spec, so that nobody runs half of what was meant
(and the last good version of the file stays in force). It can be cached as JSON; ruamel is not imported then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from reconciler.errors import Problem
from reconciler.spec.canonical import to_plain
from reconciler.spec.explain import explain, misled
from reconciler.spec.faults import Fault, Path, Places, RawPlace
from reconciler.spec.rules import broken
from reconciler.spec.text import Flaw
from reconciler.spec.texts import LOADING
from reconciler.spec.watcher import WatcherSpec
from reconciler.spec.yaml import Document, parse

#: So many problems of one file are told.
MAX_PROBLEMS = 500

M = TypeVar("M", bound=BaseModel)

#: A check of a whole spec that lives above this room (conditions, patterns no engine takes); yields Faults.
Check: TypeAlias = Callable[[WatcherSpec], Iterable[Fault]]


@dataclass(frozen=True, slots=True)
class LocatedSpec:
    """A spec, the line where it begins, and the places of its values."""

    spec: WatcherSpec
    line: int
    raw_places: RawPlace

    @property
    def places(self) -> Places:
        """Where its values stand."""
        return Places(self.raw_places)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file gives: specs, or problems of severity `error`. Warnings stand beside specs."""

    specs: tuple[LocatedSpec, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def good(self) -> bool:
        """True where nothing in the file is an error."""
        return not any(problem.severity == "error" for problem in self.problems)


def load_file(content: bytes, path: str, model: type[WatcherSpec], checks: Iterable[Check] = ()) -> Loaded:
    """Return the specs of one file, or all of its problems in the order of their lines; never raises for its
    content."""
    parsed = parse(content)
    problems = [_problem(flaw, path) for flaw in parsed.flaws]
    if not parsed.documents and not problems:
        problems.append(_empty(path, 0, 0, "no watcher stands in the file"))
    specs: list[LocatedSpec] = []
    seen = {(problem.line, problem.column) for problem in problems}
    for item in _items(parsed.documents):
        spec, faults = _watcher(item, model, checks)
        name = item.value.get("name", "") if isinstance(item.value, dict) else ""
        found = [
            item.places.problem(fault, file=path, watcher=name if isinstance(name, str) else "") for fault in faults
        ]
        # a value that the text itself spoiled (an unknown alias, a foreign tag) is not reported once more for its type
        problems += [problem for problem in found if (problem.line, problem.column) not in seen]
        if spec is not None:
            specs.append(LocatedSpec(spec, item.places.line, item.places.raw))
    problems += _twice(specs, path)
    ordered = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column))[:MAX_PROBLEMS])
    return Loaded(tuple(specs) if not any(p.severity == "error" for p in ordered) else (), ordered)


@dataclass(frozen=True, slots=True)
class _Item:
    value: Any
    places: Places
    written: Mapping[tuple[int, int], str]


def _items(documents: Iterable[Document]) -> Iterator[_Item]:
    """Yield what should be watchers: each document, or each item of a document that is a list."""
    for document in documents:
        if isinstance(document.value, list) and document.value:
            for value, place in zip(document.value, document.place[4], strict=True):
                yield _Item(value, Places(place), document.written)
        else:
            yield _Item(document.value, Places(document.place), document.written)


def _watcher(item: _Item, model: type[WatcherSpec], checks: Iterable[Check]) -> tuple[WatcherSpec | None, list[Fault]]:
    if not isinstance(item.value, dict) or not item.value:
        return None, [_no_mapping(item.value)]
    spec, faults = validated(item.value, item.places, model, item.written)
    meant = {fault.guess for fault in faults if len(fault.path) == 1}
    faults += broken({**dict.fromkeys(meant, ""), **item.value})
    if spec is not None and not faults:
        faults += [fault for check in checks for fault in check(spec)]
    return spec if not any(fault.severity == "error" for fault in faults) else None, faults


def validated(
    value: Any,
    places: Places,
    model: type[M],
    written: Mapping[tuple[int, int], str],
    hidden: Callable[[Path], bool] = lambda path: False,
) -> tuple[M | None, list[Fault]]:
    """Return `value` as an instance of `model`, or None and every fault; `hidden` as of `explain`.

    It goes through JSON: there pydantic is strict about types (`"60"` is no number) and still takes lists for tuples.
    """
    text = orjson.dumps(value)
    try:
        return model.model_validate_json(text, strict=True, context=LOADING), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    over = [detail["loc"] for detail in details if misled(detail)]
    kept = [detail for detail in details if not any(loc[: len(detail["loc"])] == detail["loc"] for loc in over)]
    result = None
    if len(kept) < len(details):
        result, more = _lax(text, model)
        kept += [detail for detail in more if detail["loc"] not in {old["loc"] for old in kept}]
    return (None if kept else result), list(explain(kept, places, model, written, hidden))


def _lax(text: bytes, model: type[M]) -> tuple[M | None, list[Any]]:
    """Validate once more where strictness met what a plugin's own validator made (a list, where a tuple is wanted)."""
    try:
        return model.model_validate_json(text, context=LOADING), []
    except ValidationError as error:
        return None, list(error.errors(include_url=False))


def load_document(content: bytes, path: str, model: type[M]) -> tuple[M | None, list[Problem]]:
    """Return the only document of a file as an instance of `model`, or None and every problem."""
    parsed = parse(content)
    problems = [_problem(flaw, path) for flaw in parsed.flaws]
    if not problems and (len(parsed.documents) != 1 or not isinstance(parsed.documents[0].value, dict)):
        problems.append(Problem(path, 1, 1, "wrong-type", "the file should be one mapping", "write `key: value` lines"))
    if problems:
        return None, problems
    document = parsed.documents[0]
    places = Places(document.place)
    value, faults = validated(document.value, places, model, document.written)
    return value, [places.problem(fault, file=path) for fault in faults]


def _no_mapping(value: object) -> Fault:
    if value is None or value == [] or value == {}:
        return Fault((), "empty", "no watcher stands here", _EMPTY_REMEDY)
    return Fault((), "wrong-type", "a watcher should be a mapping", "begin with `name: ...`", str(value))


_EMPTY_REMEDY = "write a watcher, delete the file (or the `---`), or hold a watcher still with `suspend: true`"


def _empty(path: str, line: int, column: int, message: str) -> Problem:
    return Problem(path, line, column, "empty", message, _EMPTY_REMEDY)


def _problem(flaw: Flaw, path: str) -> Problem:
    return Problem(path, flaw.line, flaw.column, flaw.code, flaw.message, flaw.remedy, flaw.value)


# --- one name, one watcher -------------------------------------------------------------------------------------------


def _twice(specs: Iterable[LocatedSpec], path: str) -> Iterator[Problem]:
    return name_clashes([(path, specs)])


def name_clashes(files: Iterable[tuple[str, Iterable[LocatedSpec]]]) -> Iterator[Problem]:
    """Yield a Problem for every watcher whose name stood before, in the order of `files`; it names both places."""
    first: dict[str, str] = {}
    for path, specs in files:
        for located in specs:
            name = located.spec.name
            line, column = located.places.find(("name",))
            where = first.setdefault(name, f"{path}:{line}")
            if where != f"{path}:{line}":
                message = f"the name {name!r} stands already in {where}"
                yield Problem(path, line, column, "name-twice", message, "rename one of the two", name, name)


# --- the cache of parsed files ---------------------------------------------------------------------------------------


def dump_loaded(loaded: Loaded) -> str:
    """Return `loaded` as JSON."""
    body = {
        "specs": [[to_plain(located.spec), located.line] for located in loaded.specs],
        "problems": [asdict(problem) for problem in loaded.problems],
    }
    return orjson.dumps(body).decode()


__all__ = [
    "Check",
    "Loaded",
    "LocatedSpec",
    "dump_loaded",
    "load_file",
    "name_clashes",
    "validated",
]
