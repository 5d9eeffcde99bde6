"""YAML of watchers written and edited as text; what a person wrote around the edited values stays. Pure.

The text that comes out is always given to the production loader before it is used, so nothing here validates.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Any

from reconciler.api.aligning import aligned
from reconciler.spec.scalars import resolve

#: A key with a list below it: how far each of the two is indented.
_LIST = re.compile(r"^( *)[^\s#-][^\n]*:[^\S\n]*(?:#[^\n]*)?\n(?:\s*#[^\n]*\n)*( *)- ", re.MULTILINE)


def new_text(spec: Mapping[str, Any]) -> str:
    """Return a spec as a YAML file. Raises ValueError where a text in it cannot be written."""
    return _dumped([_quoted(spec)], _writer())


def edited(text: str, name: str, edit: Callable[[MutableMapping[str, Any]], None]) -> str:
    """Return the file with the watcher of this name changed in place by `edit`. Raises KeyError where it is not."""
    writer = _writer(text)
    documents = _documents(text, writer)
    found = _find(documents, name)
    edit(found)
    return _kept(documents, found, writer, text)


def without(text: str, name: str) -> str:
    """Return the file without the watcher of this name, "" where nothing else stands in it. Raises KeyError."""
    writer = _writer(text)
    documents = _documents(text, writer)
    found = _find(documents, name)
    kept = [document for document in documents if document is not found]
    for document in kept:
        if isinstance(document, MutableSequence):
            document[:] = [each for each in document if each is not found]
    kept = [document for document in kept if document]
    return _dumped(kept, writer, text) if kept else ""


def alone(text: str, name: str, edit: Callable[[MutableMapping[str, Any]], None]) -> str:
    """Return a file with the watcher of this name alone, changed in place by `edit`. Raises KeyError."""
    writer = _writer(text)
    documents = _documents(text, writer)
    found = _find(documents, name)
    edit(found)
    return _kept([found], found, writer, text)


def names_in(text: str) -> list[str]:
    """Return the names of the watchers in a file, in their order."""
    return [str(each.get("name", "")) for each in _watchers(list(_writer().load_all(text)))]


def merge(old: MutableMapping[str, Any], new: Mapping[str, Any], *, whole: bool = False) -> None:
    """Put `new` into `old`, touching only what differs, so that comments beside the rest stay; None takes a key out.

    `whole`: keys that `new` does not have go, and None is a value.
    """
    for key in [key for key in old if whole and key not in new]:
        _drop(old, key)
    for key, value in new.items():
        if value is None and not whole:
            _drop(old, key)
        elif key not in old:
            _add(old, key, _quoted(value))
        elif not _same(old[key], value):
            _change(old, key, value)


def _drop(old: MutableMapping[str, Any], key: str) -> None:
    """Take a key out, and the comment right above it."""
    from reconciler.api.comments import cut, parted, put  # with `_writer`: saves start-up time

    if key not in old:
        return
    below, keys = cut(old, key), list(old)
    at = keys.index(key)
    if at:
        put(old, keys[at - 1], parted(cut(old, keys[at - 1]))[0] + below)
    old.pop(key, None)


def _add(old: MutableMapping[str, Any], key: str, value: Any) -> None:
    """Add a key below the others; what stands below them stays there."""
    from reconciler.api.comments import cut, put

    below = cut(old, list(old)[-1]) if old else ""
    old[key] = value
    put(old, key, below)


def _change(old: MutableMapping[str, Any], key: str, new: Any) -> None:
    from reconciler.api.comments import cut, forget_above_first, put, put_above_first

    below, before = cut(old, key), old[key]
    old[key], above = _merged(before, new)
    if not old[key] or type(old[key]) is not type(before):
        forget_above_first(old, key)
    elif above is not None:
        put_above_first(old, key, above)
    put(old, key, below)


def _merged(old: Any, new: Any) -> tuple[Any, str | None]:
    """Return what takes the place of `old`, a copy, since an alias may stand for it elsewhere; and the comments that
    stand above its first item where it is a list."""
    if _same(old, new):
        return old, None
    if not new:
        return _quoted(new), None
    if isinstance(old, MutableMapping) and isinstance(new, Mapping):
        old = deepcopy(old)
        merge(old, new, whole=True)
        return old, None
    if isinstance(old, MutableSequence) and isinstance(new, Sequence) and not isinstance(new, str):
        return _list(deepcopy(old), new)
    return _quoted(new), None


def _list(old: Any, new: Sequence[Any]) -> tuple[Any, str | None]:
    """Return the list with its items changed, each with the comments above it."""
    from ruamel.yaml.comments import CommentedSeq

    from reconciler.api.comments import above_first, cut, parted, put

    pairs = aligned(old, new, _same)
    above = [above_first(old), *(cut(old, index) for index in range(len(old)))]
    for index in set(range(len(old))) - set(pairs.values()):
        above[index + 1] = parted(above[index])[0] + above[index + 1]
        above[index] = ""
    items = CommentedSeq(
        _merged(old[pairs[at]], value)[0] if at in pairs else _quoted(value) for at, value in enumerate(new)
    )
    beside = dict(old.ca.items)
    old.copy_attributes(items)
    items.ca.items.clear()
    items.ca.items.update({at: beside[index] for at, index in pairs.items() if index in beside})
    for at in range(1, len(items)):
        put(items, at - 1, above[pairs[at]] if at in pairs else "")
    if items:
        put(items, len(items) - 1, above[-1])
    return items, above[pairs[0]] if 0 in pairs else ""


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
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString  # with `_writer`: saves start-up time

    if isinstance(value, (Mapping, list, tuple)):
        made: Any
        if isinstance(value, Mapping):
            made = CommentedMap({_quoted(str(key)): _quoted(item) for key, item in value.items()})
        else:
            made = CommentedSeq(_quoted(item) for item in value)
        if not value:
            made.fa.set_flow_style()  # `{}`: ruamel loses the line end after it otherwise
        return made
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
    indented = _LIST.search(text.replace("\r\n", "\n"))
    offset = len(indented[2]) - len(indented[1]) if indented else 2
    if offset > 0:
        writer.indent(mapping=2, sequence=offset + 2, offset=offset)
    return writer


def _documents(text: str, writer: Any) -> list[Any]:
    return list(writer.load_all(text.replace("\r\n", "\n")))


def _kept(documents: Sequence[Any], changed: Any, writer: Any, like: str) -> str:
    """Return the text; where the comments of what was changed would spoil it, without those."""
    from ruamel.yaml.error import YAMLError

    text = _dumped(documents, writer, like)
    with suppress(YAMLError):
        if _documents(text, _writer()) == list(documents):
            return text
    bare = _quoted(changed)
    changed.clear()
    changed.ca.items.clear()
    changed.update(bare)
    return _dumped(documents, writer, like)


def _dumped(documents: Sequence[Any], writer: Any, like: str = "") -> str:
    """Return the text, with the line ends that `like` has."""
    out = io.StringIO()
    writer.dump_all(documents, out)
    text = out.getvalue()
    return text.replace("\n", "\r\n") if like.count("\r\n") * 2 > like.count("\n") else text
