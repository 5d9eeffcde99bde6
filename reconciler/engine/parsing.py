"""What a source's file says, as the engine takes it: just parsed, or as an earlier pass left it in the cache.

`app` calls it with what makes a spec of its canonical JSON. It reads no files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from reconciler.engine.parts import ParsedFile, ParsedSpec
from reconciler.spec.cached import outline
from reconciler.spec.canonical import digest_of, to_json

if TYPE_CHECKING:
    from reconciler.spec.load import Loaded
    from reconciler.spec.watcher import WatcherSpec


def parsed(loaded: Loaded, key: str) -> ParsedFile:
    """Return what was parsed, to be kept in the cache under `key`."""
    from reconciler.spec.load import dump_loaded  # saves start-up time: it can read YAML

    bodies = [to_json(located.spec) for located in loaded.specs]
    specs = tuple(
        ParsedSpec(located.spec, located.line, body, digest_of(body))
        for located, body in zip(loaded.specs, bodies, strict=True)
    )
    return ParsedFile(specs, loaded.problems, key, dump_loaded(loaded))


def remembered(cached: str, key: str, ours: Collection[str], make: Callable[[str], WatcherSpec]) -> ParsedFile:
    """Return what the cache says. A spec is made by `make(canonical JSON)` when it is first asked for.

    A hundred of them cost more than all else in an idle pass. Specs with actions that are not among `ours` are made at
    once: another package may change and keep its version. Raises ConfigurationError where such a one cannot be made.
    """
    outlines, problems = outline(cached)
    specs = []
    for each in outlines:
        later = partial(make, each.body)
        given = later if each.actions.issubset(ours) else later()
        specs.append(ParsedSpec(given, each.line, each.body, digest_of(each.body)))
    return ParsedFile(tuple(specs), problems, key)
