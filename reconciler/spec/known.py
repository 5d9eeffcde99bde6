"""What keys and types a model knows at a place: for "did you mean" and for nothing else, so it may be slow."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that `word` may be a slip of; empty where none is near."""
    plain = {name.lower().replace("-", "_"): name for name in known}
    wanted = word.lower().replace("-", "_")
    found = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.7)
    if not found and len(wanted) >= 4:
        found = [name for name in plain if name.startswith(wanted) or wanted.startswith(name)]
    return plain[found[0]] if found else ""


def known_keys(model: type[BaseModel], loc: Sequence[str | int]) -> frozenset[str]:
    """Return the keys of the models that may stand at `loc`, pydantic's own steps (tags of unions) allowed."""
    keys = (field.alias or name for found in _models(model, loc) for name, field in found.model_fields.items())
    return frozenset(keys)


def tags_at(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """Return the words that `type` may be at `loc`."""
    return sorted(tag for found in _models(model, loc) for tag in _tags(found))


def _models(model: type[BaseModel], loc: Sequence[str | int]) -> list[type[BaseModel]]:
    here = [model]
    for step in loc:
        if isinstance(step, int):
            continue  # the items of a list were already looked through
        fields = [field for found in here for name, field in found.model_fields.items() if step in (name, field.alias)]
        if fields:
            here = [inner for field in fields for inner in _inside(field.annotation)]
        else:
            here = [found for found in here if step in _tags(found)] or here
    return here


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    field = model.model_fields.get("type")
    return get_args(field.annotation) if field is not None and get_origin(field.annotation) is Literal else ()


def _inside(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _inside(part)
