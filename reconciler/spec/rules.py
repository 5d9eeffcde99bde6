"""Rules over more than one field of a watcher: each break is a Fault. `watcher` runs them on models, `load` on YAML.

Raw YAML may hold anything, so nothing here trusts a type; a value of the wrong type is somebody else's fault to report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.spec.faults import Fault

MAX_PARAMS_BYTES = 10_240
#: What can make a watcher trigger; it needs one of them.
TRIGGERS = ("pattern", "patterns", "preset", "silence", "time_left", "trigger_on_job_end")
_PATTERNS = ("pattern", "patterns", "preset")


def broken(watcher: Mapping[str, object]) -> Iterator[Fault]:
    """Yield a Fault for each rule that `watcher` breaks: a mapping from YAML, or the fields of a WatcherSpec."""
    yield from _triggers(watcher)
    yield from _captures(watcher)
    actions = watcher.get("actions")
    if isinstance(actions, Sequence) and not isinstance(actions, str):
        for index, action in enumerate(actions):
            yield from _order(index, action, len(actions))
            yield from _params(index, action)


def _triggers(watcher: Mapping[str, object]) -> Iterator[Fault]:
    given = [name for name in _PATTERNS if watcher.get(name) is not None]
    for name in given[1:]:
        yield Fault(
            (name,),
            "two-patterns",
            f"`{name}` stands beside `{given[0]}`; a watcher has one of pattern, patterns and preset",
            "write a second watcher, or `patterns: {any: [...]}`",
            key=True,
        )
    # 0 counts as given: `silence: 0s` is a fault of its own, not a missing trigger
    if all(watcher.get(name) is None or watcher.get(name) is False for name in TRIGGERS):
        yield Fault(
            (),
            "no-trigger",
            "nothing would ever trigger this watcher",
            "give it one of pattern, patterns, preset, silence, time_left, or `trigger_on_job_end: true`",
        )


def _captures(watcher: Mapping[str, object]) -> Iterator[Fault]:
    names = watcher.get("captures")
    if not isinstance(names, Sequence) or isinstance(names, str):
        return
    seen: set[str] = set()
    for index, name in enumerate(names):
        if not isinstance(name, str):
            continue
        if name in seen:
            yield Fault(
                ("captures", index),
                "capture-twice",
                f"the capture {name!r} is named twice",
                "give each group its own name",
                name,
            )
        seen.add(name)


def _order(index: int, action: object, count: int) -> Iterator[Fault]:
    for field in ("needs", "on_failure"):
        wanted = _get(action, field)
        if not isinstance(wanted, Sequence) or isinstance(wanted, str):
            continue
        for place, target in enumerate(wanted):
            if isinstance(target, int) and target >= index:
                why = "itself" if target == index else "a later one" if target < count else "one that does not exist"
                yield Fault(
                    ("actions", index, field, place),
                    "action-order",
                    f"`{field}` of action {index} names {why} ({target}); the first action is 0",
                    "name earlier actions only" if index else f"delete `{field}`: the first action has none before it",
                    str(target),
                )


def _params(index: int, action: object) -> Iterator[Fault]:
    size = _size(_get(action, "params"))
    if size > MAX_PARAMS_BYTES:
        yield Fault(
            ("actions", index, "params"),
            "params-too-large",
            f"the params of action {index} have {size:,} bytes as JSON, {MAX_PARAMS_BYTES:,} are allowed",
            "move the long part into a file that the action reads",
            key=True,
        )


def _size(value: object) -> int:
    """Return about how many bytes `value` has as JSON: cheap, and exact enough for a limit against abuse."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace")) + 2
    if isinstance(value, Mapping):
        return 2 + sum(_size(key) + _size(item) + 2 for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return 2 + sum(_size(item) + 1 for item in value)
    if hasattr(type(value), "model_fields"):
        return _size(vars(value))
    return len(str(value))


def _get(action: object, field: str) -> object:
    return action.get(field) if isinstance(action, Mapping) else getattr(action, field, None)
