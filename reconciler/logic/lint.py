"""What only the logic can tell of a spec: conditions and patterns that cannot run, names that nothing gives.

`app` hands `check` to the loader, so that such a file is bad as a whole; `reconcile validate` shows `warnings` too.
Nothing here runs a watcher.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from reconciler.errors import ConditionError, ConfigurationError, Problem
from reconciler.logic.conditions import compile_condition
from reconciler.logic.patterns import Rule, Tier, compile_set
from reconciler.logic.patterns import check as check_pattern
from reconciler.logic.substitution import BUILTINS, names_in
from reconciler.logic.syntax import Back, Chars, Group, Look, Node, nodes, parse
from reconciler.spec.faults import Fault, Path
from reconciler.spec.known import nearest
from reconciler.spec.load import LocatedSpec
from reconciler.spec.texts import expression
from reconciler.spec.warnings import doubts, pattern_paths
from reconciler.spec.watcher import WatcherSpec

#: Characters that numbers are made of: 5, 1e-05, 12:30, 95.1%, 123_4.
_OF_NUMBERS = frozenset(map(ord, "0123456789.,:%_+-eE"))

#: What a trigger gives beside groups and captures.
_GIVEN = frozenset({"0", "_matched_text"}) | BUILTINS


def check(spec: WatcherSpec) -> Iterator[Fault]:
    """Yield an error for each condition and pattern that can never run."""
    for path, text in _conditions(spec):
        try:
            compile_condition(text)
        except ConditionError as error:
            yield Fault(path, "bad-condition", error.message, error.remedy, text)
    if spec.preset is None:
        for path, text in zip(pattern_paths(spec), spec.expressions(), strict=True):
            try:
                compile_set((Rule(text, multiline=spec.multiline),))  # kept for when it runs
            except ConfigurationError as error:
                yield Fault(path, "pattern-refused", error.message, error.remedy, text)


def lint(spec: WatcherSpec) -> Iterator[Fault]:
    """Yield a warning for each thing that can hardly be meant."""
    yield from doubts(spec)
    yield from _slow_patterns(spec)
    yield from _covered_names(spec)
    known = given_names(spec)
    for path, text in _conditions(spec):
        for name in sorted(compile_condition(text).names - known):
            message = f"the condition asks for {name!r}, which no capture gives"
            yield _warning(path, "unknown-name", message, name, known, text)
    for index, action in enumerate(spec.actions):
        for path, text in _strings(("actions", index, "params"), action.params):
            for name in sorted(names_in(text) - known):
                message = f"${name} stands for nothing here and stays as it is written"
                yield _warning(path, "unknown-variable", message, name, known, text)


def warnings(located: LocatedSpec, path: str) -> list[Problem]:
    """Return the warnings of a spec that was loaded from `path`."""
    return [located.places.problem(fault, file=path, watcher=located.spec.name) for fault in lint(located.spec)]


def given_names(spec: WatcherSpec) -> frozenset[str]:
    """Return every name that params and conditions of `spec` may use."""
    compiled = [expression(text) for text in spec.expressions()]
    groups = max((pattern.groups for pattern in compiled), default=0)
    names = {name for pattern in compiled for name in pattern.groupindex}
    return _GIVEN | names | {str(number) for number in range(1, groups + 1)} | set(spec.captures[:groups])


def _covered_names(spec: WatcherSpec) -> Iterator[Fault]:
    """Yield a warning for each capture that has a built-in name: that stands for itself, whatever was captured."""
    named: list[tuple[Path, str]] = [(("captures", at), name) for at, name in enumerate(spec.captures)]
    for path, text in zip(pattern_paths(spec), spec.expressions(), strict=True):
        named += [(path, name) for name in expression(text).groupindex]
    for where, name in named:
        if name in BUILTINS:
            message = f"the capture {name!r} is never seen: ${{{name}}} is built in"
            yield Fault(where, "no-effect", message, "give it another name", name, severity="warning")


def numbers(spec: WatcherSpec) -> frozenset[str]:
    """Return the names of groups that match nothing but what numbers are made of, in every pattern that has them."""
    good: set[str] = set()
    bad: set[str] = set()
    for text in spec.expressions():
        names = {number: name for name, number in expression(text).groupindex.items()}
        for group in nodes(parse(text).tree):
            if isinstance(group, Group):
                told = {str(group.number), *spec.captures[group.number - 1 : group.number]}
                told |= {names[group.number]} if group.number in names else set()
                (good if all(map(_of_a_number, nodes(group.item))) else bad).update(told)
    return frozenset(good - bad)


def _of_a_number(node: Node) -> bool:
    if isinstance(node, Chars):
        return not node.without(*_OF_NUMBERS).ranges
    return not isinstance(node, (Back, Look))


def _slow_patterns(spec: WatcherSpec) -> Iterator[Fault]:
    for path, text in zip(pattern_paths(spec), spec.expressions(), strict=True):
        info = check_pattern(text)
        if info.matches_empty or not (info.slow or info.tier is Tier.FALLBACK):
            continue  # what matches every line was told already
        why = (
            f"no fast engine runs the pattern: {info.reason}"
            if info.reason
            else "nothing in the pattern is sure to be there"
        )
        message = f"{why}; it is tried {'on every line' if info.slow else 'within a time limit'}"
        yield Fault(path, "slow-pattern", message, "write it without that if it can be", text, severity="warning")


def _conditions(spec: WatcherSpec) -> Iterator[tuple[Path, str]]:
    if spec.condition is not None:
        yield ("condition",), spec.condition
    for index, action in enumerate(spec.actions):
        if action.condition is not None:
            yield ("actions", index, "condition"), action.condition


def _strings(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    """Yield every string of nested params with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            if name in value.model_fields_set:  # what stands in the file; defaults are the plugin's own business
                yield from _strings((*path, field.alias or name), getattr(value, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings((*path, str(key)), item)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _strings((*path, index), item)


def _warning(path: Path, code: str, message: str, name: str, known: frozenset[str], text: str) -> Fault:
    guess = nearest(name, known)
    remedy = f"did you mean {guess}?" if guess else f"known: {', '.join(sorted(known))}"
    if code == "unknown-variable":
        remedy += "; write $$ for a dollar"
    return Fault(path, code, message, remedy, text, severity="warning")
