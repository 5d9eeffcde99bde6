"""Specs as canonical JSON, and the digest that tells whether a spec has changed.

The state keeps this JSON, `diff` compares digests. What equals its default is left out, keys are sorted: a field that
a later version adds changes no digest. The digest covers everything, a description too: what people read should be
what runs.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from reconciler.errors import ConfigurationError
from reconciler.spec.texts import TRUSTED

if TYPE_CHECKING:
    from reconciler.spec.watcher import WatcherSpec

#: Raised when the shape of what users write, or of what is cached of it, changes: cached parses of older ones are not
#: used.
SCHEMA_VERSION = 1


def to_plain(spec: WatcherSpec) -> dict[str, Any]:
    """Return the spec as JSON-like values, without what equals its default; `type` of actions is always there."""
    plain = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for written, action in zip(plain["actions"], spec.actions, strict=True):
        written["type"] = action.type
    return plain


def to_json(spec: WatcherSpec) -> str:
    """Return the spec as canonical JSON."""
    return orjson.dumps(to_plain(spec), option=orjson.OPT_SORT_KEYS).decode()


def digest(spec: WatcherSpec) -> str:
    """Return hex BLAKE2b-160 of the canonical JSON."""
    return digest_of(to_json(spec))


def digest_of(text: str) -> str:
    """Return hex BLAKE2b-160 of a canonical JSON text."""
    return blake2b(text.encode(), digest_size=20).hexdigest()


def from_json(text: str | bytes, model: type[WatcherSpec]) -> WatcherSpec:
    """Return the spec that `to_json` wrote; raises ConfigurationError where `model` does not know it any more."""
    try:
        return model.model_validate_json(text, context=TRUSTED)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the spec"
        raise ConfigurationError(
            f"a stored spec cannot be read any more: {where}: {first['msg']}",
            remedy="apply the watcher files again with this version; is an action plugin missing?",
        ) from error
