"""pydantic's errors in our words: one Fault for each fault, with a remedy; `load` and `settings_file` place them in
the file.

Unions make pydantic report one fault several times; here the place in the document decides what is one fault. Codes
are listed in README.md. Nothing is decided by a message's text: types and contexts of pydantic's errors are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from pydantic import BaseModel

from reconciler.spec.faults import Fault, Path, Places, dotted
from reconciler.spec.known import known_keys, nearest, tags_at

#: pydantic's error type -> (our code, what the value should be).
_WANTED: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "path_type": "a path",
    "date_type": "a date",
    "datetime_type": "a date and time",
}
#: So many faults of one watcher are told; a file of nothing but faults is told of well enough by these.
MAX_FAULTS = 200

_DATES = ("date_from_datetime_parsing", "datetime_from_date_parsing", "date_parsing", "datetime_parsing")
_DATE_REMEDY = "write 2026-12-01 or 2026-12-01T18:00:00Z"
#: pydantic's error type -> (what is wrong, what to do), filled in from the error's context.
_RANGES: Mapping[str, tuple[str, str]] = {
    "greater_than": ("should be more than {gt}", "write more than {gt}"),
    "greater_than_equal": ("should be {ge} or more", "write {ge} or more"),
    "less_than": ("should be less than {lt}", "write less than {lt}"),
    "less_than_equal": ("should be {le} or less", "write {le} or less"),
    "too_short": ("has too few items, {min_length} at least", "add what is missing"),
    "too_long": ("has too many items, {max_length} at most", "divide it"),
    "string_too_short": ("is too short, {min_length} characters at least", "write more"),
    "string_too_long": ("is too long, {max_length} characters at most", "shorten it"),
    "finite_number": ("should be a finite number", "write a number"),
}


def explain(
    details: Sequence[Any],
    places: Places,
    model: type[BaseModel],
    written: Mapping[tuple[int, int], str],
    hidden: Callable[[Path], bool] = lambda path: False,
) -> Iterator[Fault]:
    """Yield a Fault for each fault in `details`; `written` is how scalars stand in the file, by line and column.

    `hidden` tells what may be a secret: no Fault shows what was written there.
    """
    details = details[:MAX_FAULTS]
    faults = [_Explainer(group, places, model, written, hidden).fault() for group in _grouped(details, places)]
    # a misspelt key is one fault, not two: the right one is not reported as missing
    spelt = {(fault.path[:-1], fault.guess) for fault in faults if fault.guess}
    yield from (fault for fault in faults if fault.code != "missing-key" or (fault.path, fault.missing) not in spelt)


def misled(detail: Any) -> bool:
    """Tell whether a list was refused for being no tuple: strictness met what a validator made."""
    return detail["type"] in ("tuple_type", "list_type", "set_type", "frozen_set_type") and isinstance(
        detail["input"], (list, tuple)
    )


def _grouped(details: Sequence[Any], places: Places) -> list[list[Any]]:
    """Put together what is said of one place, and leave out what is said of a value around a fault (members of
    unions)."""
    groups: dict[Path, list[Any]] = {}
    for detail in details:
        groups.setdefault(_path(detail, places), []).append(detail)
    inner = set(groups)
    kept = []
    for path, group in groups.items():
        # items that failed are not counted, so their list is too short as well
        wrong_type = all(detail["type"] in _WANTED or detail["type"] == "too_short" for detail in group)
        if not (wrong_type and any(other[: len(path)] == path and len(other) > len(path) for other in inner)):
            kept.append(group)
    return kept


def _path(detail: Any, places: Places) -> Path:
    """Return the path in the document; that of a missing key is where it should stand."""
    real = places.real(detail["loc"])
    return (*real, detail["loc"][-1]) if detail["type"] == "missing" else real


class _Explainer:
    """Words one fault, of which pydantic said one thing or several."""

    def __init__(
        self,
        group: Sequence[Any],
        places: Places,
        model: type[BaseModel],
        written: Mapping[tuple[int, int], str],
        hidden: Callable[[Path], bool],
    ) -> None:
        self.detail = group[0]
        self.types = [detail["type"] for detail in group]
        self.context = self.detail.get("ctx", {})
        self.path = places.real(self.detail["loc"])
        self.model = model
        self.places = places
        self.hidden = hidden(self.path)
        self.value = "" if self.hidden else _shown(self.detail["input"], written.get(places.find(self.path)))

    @property
    def name(self) -> str:
        return f"`{dotted(self.path)}`" if self.path else "the document"

    def fault(self) -> Fault:
        kind = self.types[0]
        special = {
            "missing": self._missing,
            "extra_forbidden": self._unknown_key,
            "union_tag_invalid": self._unknown_type,
            "union_tag_not_found": self._no_type,
            "value_error": self._value_error,
            "string_pattern_mismatch": self._pattern,
            "enum": self._choice,
            "literal_error": self._choice,
        }.get(kind)
        if special is not None:
            return special()
        if self.detail["input"] is None:
            return self._fault("wrong-type", "is empty", "give it a value, or delete the key")
        if any(type_ in _DATES for type_ in self.types):
            return self._fault("bad-date", "is no date", _DATE_REMEDY)
        if kind in _WANTED:
            return self._wrong_type()
        if kind in _RANGES:
            message, remedy = (text.format(**self.context) for text in _RANGES[kind])
            return self._fault("out-of-range", message, remedy)
        return self._other()

    def _fault(self, code: str, message: str, remedy: str, *, key: bool = False) -> Fault:
        return Fault(self.path, code, f"{self.name} {message}", remedy, self.value, key)

    def _missing(self) -> Fault:
        field = str(self.detail["loc"][-1])
        where = f" in {self.name}" if self.path else ""
        return Fault(self.path, "missing-key", f"`{field}` is missing{where}", f"add `{field}:`", missing=field)

    def _unknown_key(self) -> Fault:
        key = str(self.path[-1]) if self.path else ""
        keys = known_keys(self.model, self.detail["loc"][:-1])
        inside = known_keys(self.model, (*self.detail["loc"][:-1], "params"))
        guess = nearest(key, keys)
        if key in inside:
            guess, remedy = "params", f"write it below `params:`, as `params: {{{key}: ...}}`"
        elif key == "watchers" and len(self.path) == 1:
            remedy = "write one document for each watcher, with `---` between them, or a list of watchers"
        elif guess:
            remedy = f"did you mean `{guess}`?"
        else:
            remedy = f"delete it; known here: {', '.join(sorted(keys))}" if keys else "delete it"
        return Fault(self.path, "unknown-key", f"the key {self.name} is not known", remedy, key, key=True, guess=guess)

    def _unknown_type(self) -> Fault:
        tag = str(self.context.get("tag", ""))
        known = tags_at(self.model, self.path)
        guess = nearest(tag, known)
        remedy = f"did you mean `{guess}`?" if guess else f"known: {', '.join(known)}"
        return Fault((*self.path, "type"), "unknown-type", f"there is no action type {tag!r}", remedy, tag)

    def _no_type(self) -> Fault:
        if not isinstance(self.detail["input"], Mapping):
            return self._fault("wrong-type", "should be a mapping", "write `- type: ...`")
        remedy = f"add `type:` with one of {', '.join(tags_at(self.model, self.path))}"
        return Fault(self.path, "missing-key", f"`type` is missing in {self.name}", remedy)

    def _value_error(self) -> Fault:
        """What a validator of ours raised, worded `what is wrong; what to do`."""
        message, _, remedy = str(self.context.get("error", self.detail["msg"])).partition("; ")
        return self._fault("bad-value", f"is refused: {message}", remedy or "change it")

    def _pattern(self) -> Fault:
        return self._fault(
            "bad-format", "is not written as it should be", f"it must fit {self.context.get('pattern', '')}"
        )

    def _choice(self) -> Fault:
        expected = str(self.context.get("expected", "")).replace("'", "")
        guess = nearest(str(self.detail["input"]), expected.replace(" or ", ", ").split(", "))
        hint = f"did you mean {guess!r}? " if guess else ""
        return self._fault("not-allowed", f"should be {expected}", f"{hint}write one of these words")

    def _wrong_type(self) -> Fault:
        wanted = " or ".join(dict.fromkeys(_WANTED[kind] for kind in self.types if kind in _WANTED))
        if isinstance(self.detail["input"], (list, dict)) and "list" not in wanted and "mapping" not in wanted:
            remedy = f"write one value here: {wanted}"
        elif "text" in wanted and isinstance(self.detail["input"], (int, float)):
            remedy = "put it in quotes" if self.hidden else f'put it in quotes: "{self.value}"' + self._misread()
        elif "true or false" in wanted:
            remedy = "write true or false, without quotes"
        elif "date" in wanted:
            remedy = _DATE_REMEDY
        elif "number" in wanted:
            remedy = "write a number, without quotes"
        elif "list" in wanted:
            remedy = "write [a, b], or one item a line behind `- `"
        else:
            remedy = "write `key: value` lines below it" if "mapping" in wanted else "change it"
        return self._fault("wrong-type", f"should be {wanted}, and is {_kind(self.detail['input'])}", remedy)

    def _misread(self) -> str:
        """Say what YAML made of a number that a person meant as text (124_7 is 1247)."""
        read = str(self.detail["input"])
        return (
            ""
            if isinstance(self.detail["input"], bool) or read == self.value
            else f" (YAML reads it as the number {read})"
        )

    def _other(self) -> Fault:
        """Errors of our own validators carry their remedy; what is left is worded by pydantic."""
        code = self.types[0] if "remedy" in self.context else "bad-value"
        return self._fault(code, _lower(self.detail["msg"]), str(self.context.get("remedy", "change it")))


def _lower(message: str) -> str:
    """Turn `Input should be ...` into the end of a sentence."""
    text = message.removeprefix("Input ").removeprefix("Value ")
    return text[:1].lower() + text[1:]


def _kind(value: object) -> str:
    kinds = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return kinds.get(type(value), "something else")


def _shown(value: object, written: str | None) -> str:
    if written is not None or value is None:
        return written or ""
    if isinstance(value, str):
        return value
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
