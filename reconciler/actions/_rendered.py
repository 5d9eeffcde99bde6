"""From rendered parameters to the model a user wrote them in; shared by every action of this room.

Rendering puts captured text where `$name` stood, so a value can have become of the wrong kind. That is told here, as a
PermanentActionError: the same line would give the same value again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from reconciler.errors import PermanentActionError
from reconciler.logic.substitution import Piece, Variable, pieces
from reconciler.spec.watcher import SpecModel

P = TypeVar("P", bound=SpecModel)


def missing(template: object, values: Mapping[str, str | None]) -> frozenset[str]:
    """Return the names in a nested template that have no value and no default: unknown, or None."""
    if isinstance(template, str):
        return frozenset(_missing(pieces(template), values))
    members = template.values() if isinstance(template, Mapping) else template
    if not isinstance(members, Iterable):
        return frozenset()
    return frozenset().union(*(missing(member, values) for member in members))


def _missing(parsed: Iterable[Piece], values: Mapping[str, str | None]) -> Iterator[str]:
    for piece in parsed:
        if not isinstance(piece, Variable):
            continue
        value = values.get(piece.name)
        if not piece.operator and value is None:
            yield piece.name
        elif bool(value) is (piece.operator == ":+"):
            yield from _missing(piece.word, values)


def read(model: type[P], params: Mapping[str, Any] | SpecModel) -> P:
    """Return `params` as an instance of `model`; raises PermanentActionError naming the field, never its value."""
    raw = params.model_dump() if isinstance(params, SpecModel) else params
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "params"
        raise PermanentActionError(f"{where}: {first['msg']}", remedy="mend params of this action") from None
