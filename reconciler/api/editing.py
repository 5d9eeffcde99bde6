"""YAML of watchers written and edited as text; what a person wrote around the edited values stays. Pure.

The text that comes out is always given to the production loader before it is used, so nothing here validates.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from copy import deepcopy
from typing import Any

from reconciler.spec.scalars import resolve

#: A key with a list below it: how far each of the two is indented.
_LIST = re.compile(r"^( *)[^\s#-][^\n]*:[^\S\n]*(?:#[^\n]*)?\n(?:\s*#[^\n]*\n)*( *)- ", re.MULTILINE)


def new_text(spec: Mapping[str, Any]) -> str:
    """Return a spec as a YAML file. Raises ValueError where a text in it cannot be written."""
    return _dumped([_quoted(spec)], _writer())


def edited(text: str, name: str, edit: Callable[[MutableMapping[str, Any]], None]) -> str:
    """Return the file with the watcher of this name changed in place by `edit`. Raises KeyError where it is not."""
    writer = _writer(text)
    documents = list(writer.load_all(text))
    edit(_find(documents, name))
    return _dumped(documents, writer)


def without(text: str, name: str) -> str:
    """Return the file without the watcher of this name, "" where nothing else stands in it. Raises KeyError."""
    writer = _writer(text)
    documents = list(writer.load_all(text))
    found = _find(documents, name)
    kept = [document for document in documents if document is not found]
    for document in kept:
        if isinstance(document, MutableSequence):
            document[:] = [each for each in document if each is not found]
    kept = [document for document in kept if document]
    return _dumped(kept, writer) if kept else ""


def alone(text: str, name: str, edit: Callable[[MutableMapping[str, Any]], None]) -> str:
    """Return a file with the watcher of this name alone, changed in place by `edit`. Raises KeyError."""
    writer = _writer(text)
    documents = list(writer.load_all(text))
    found = _find(documents, name)
    edit(found)
    return _dumped([found], writer)


def names_in(text: str) -> list[str]:
    """Return the names of the watchers in a file, in their order."""
    return [str(each.get("name", "")) for each in _watchers(list(_writer().load_all(text)))]


def merge(old: MutableMapping[str, Any], new: Mapping[str, Any], *, whole: bool = False) -> None:
    """Put `new` into `old`, touching only what differs, so that comments beside the rest stay; None takes a key out.

    `whole`: keys that `new` does not have go, and None is a value.
    """
    for key in [key for key in old if whole and key not in new]:
        del old[key]
    for key, value in new.items():
        if value is None and not whole:
            old.pop(key, None)
        elif key not in old:
            old[key] = _quoted(value)
        else:
            old[key] = _merged(old[key], value)


def _merged(old: Any, new: Any) -> Any:
    """Return what takes the place of `old`: a copy, since an alias may stand for it elsewhere."""
    if _same(old, new):
        return old
    old = deepcopy(old)
    if isinstance(old, MutableMapping) and isinstance(new, Mapping):
        merge(old, new, whole=True)
        return old
    if isinstance(old, MutableSequence) and isinstance(new, Sequence) and not isinstance(new, str):
        for index, value in enumerate(new[: len(old)]):
            old[index] = _merged(old[index], value)
        del old[len(new) :]
        old.extend(_quoted(value) for value in new[len(old) :])
        return old
    return _quoted(new)


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, MutableSequence) and isinstance(new, Sequence) and not isinstance(new, str):
        return len(old) == len(new) and all(map(_same, old, new))
    return type(new) in (type(old), str) and bool(old == new)


def _watchers(documents: Sequence[Any]) -> list[MutableMapping[str, Any]]:
    each = [item for document in documents for item in (document if isinstance(document, list) else [document])]
    return [item for item in each if isinstance(item, MutableMapping)]


def _find(documents: Sequence[Any], name: str) -> MutableMapping[str, Any]:
    found = next((each for each in _watchers(documents) if str(each.get("name", "")).strip() == name), None)
    if found is None:
        raise KeyError(name)
    return found


def _quoted(value: Any) -> Any:
    """Return the value for the writer, text in quotes where without them it would be a number or a truth value."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString  # with `_writer`: saves start-up time

    if isinstance(value, Mapping):
        return {_quoted(str(key)): _quoted(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_quoted(item) for item in value]
    if not isinstance(value, str):
        return value
    value.encode()  # raises UnicodeEncodeError, a ValueError, for what is no text
    return DoubleQuotedScalarString(value) if resolve(value).__class__ is not str or not value.isascii() else value


def _writer(text: str = "") -> Any:
    """Return a round-trip writer that indents as `text` does."""
    from ruamel.yaml import YAML  # saves start-up time

    writer = YAML()
    writer.width = 4096
    writer.preserve_quotes = True
    indented = _LIST.search(text)
    offset = len(indented[2]) - len(indented[1]) if indented else 2
    if offset > 0:
        writer.indent(mapping=2, sequence=offset + 2, offset=offset)
    return writer


def _dumped(documents: Sequence[Any], writer: Any) -> str:
    out = io.StringIO()
    writer.dump_all(documents, out)
    return out.getvalue()
