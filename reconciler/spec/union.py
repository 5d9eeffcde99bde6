"""Joins the specs of the action plugins to the model of a watcher whose `actions` knows every type.

`app` hands in what it found; errors then name the field within the action, and the JSON Schema lists every type.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field, SerializeAsAny, create_model

from reconciler.errors import ConfigurationError
from reconciler.spec.watcher import ActionSpec, WatcherSpec


def watcher_model(action_specs: Iterable[type[ActionSpec]]) -> type[WatcherSpec]:
    """Return WatcherSpec with `actions` as a union of `action_specs`, told apart by `type`; cached.

    Raises ConfigurationError where a spec is no ActionSpec with `type: Literal["word"]`, or two have one word.
    """
    by_type: dict[str, type[ActionSpec]] = {}
    for spec in action_specs:
        word = type_of(spec)
        if by_type.setdefault(word, spec) is not spec:
            raise ConfigurationError(
                f"two action specs have the type {word!r}", remedy="uninstall one of the two packages"
            )
    return _joined(tuple(by_type[word] for word in sorted(by_type)))


def type_of(spec: type[ActionSpec]) -> str:
    """Return the word that users write as `type:` for this spec."""
    field = spec.model_fields.get("type") if isinstance(spec, type) and issubclass(spec, ActionSpec) else None
    words = get_args(field.annotation) if field is not None and get_origin(field.annotation) is Literal else ()
    if len(words) != 1 or not isinstance(words[0], str):
        name = getattr(spec, "__name__", spec)
        raise ConfigurationError(f"{name} has no type of one word", remedy='declare `type: Literal["my_action"]` in it')
    return words[0]


@functools.lru_cache(maxsize=8)
def _joined(specs: tuple[type[ActionSpec], ...]) -> type[WatcherSpec]:
    """Build the model: 10 ms, so it is kept for as long as the same plugins are there."""
    if not specs:
        return WatcherSpec
    union: Any = functools.reduce(operator.or_, specs)
    one: Any = Annotated[union, Field(discriminator="type")] if len(specs) > 1 else specs[0]
    field = WatcherSpec.model_fields["actions"]
    return create_model(
        "WatcherSpec",
        __base__=WatcherSpec,
        __module__=__name__,
        __doc__=WatcherSpec.__doc__,
        actions=(
            Annotated[tuple[SerializeAsAny[one], ...], Field(min_length=1, max_length=50)],
            Field(description=field.description),
        ),
    )
