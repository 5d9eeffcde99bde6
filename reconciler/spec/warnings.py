"""What is allowed in a watcher and probably not meant: things without effect, names for no group.

Faults of severity `warning`; they stop nothing. What needs conditions, substitution or the pattern engines is in
`logic.lint`, which also calls this.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.spec.faults import Fault, Path
from reconciler.spec.texts import expression
from reconciler.spec.watcher import AllPatterns, AnyPatterns, WatcherSpec

#: field -> (what gives it a meaning, its name for people)
_NEEDS_PATTERN = ("captures", "multiline", "every_nth_line", "timer_mode_enabled", "cooldown")
_NEVER_ENDED = frozenset({"requeued", "special_exit"})


def doubts(spec: WatcherSpec) -> Iterator[Fault]:
    """Yield a warning for each thing in `spec` that can hardly be meant."""
    yield from _patterns(spec)
    yield from _without_effect(spec)
    yield from _never_runs(spec)
    for index, state in enumerate(spec.trigger_job_states):
        if state in _NEVER_ENDED:
            path: Path = ("trigger_job_states", index)
            yield _doubt(path, "no-effect", f"a {state} job has not ended: it never triggers", "delete it", state)


def pattern_paths(spec: WatcherSpec) -> tuple[Path, ...]:
    """Return where each of `spec.expressions()` stands."""
    if spec.pattern is not None:
        return (("pattern",),)
    if isinstance(spec.patterns, AnyPatterns):
        return tuple(("patterns", "any", index) for index in range(len(spec.patterns.any)))
    if isinstance(spec.patterns, AllPatterns):
        return tuple(("patterns", "all", index) for index in range(len(spec.patterns.all)))
    return (("preset",),) if spec.preset is not None else ()


def _patterns(spec: WatcherSpec) -> Iterator[Fault]:
    groups = 0
    for path, text in zip(pattern_paths(spec), spec.expressions(), strict=True):
        compiled = expression(text)
        groups = max(groups, compiled.groups)
        if compiled.search("") is not None:
            yield _doubt(
                path,
                "empty-match",
                "the pattern matches an empty line, and so every line",
                "ask for one character at least",
                text,
            )
    if spec.expressions() and len(spec.captures) > groups:
        extra = ", ".join(spec.captures[groups:])
        yield _doubt(
            ("captures", groups),
            "capture-count",
            f"there are {len(spec.captures)} names for {groups} groups: {extra} will never have a value",
            "put parentheses around what is to be captured, or delete the name",
            extra,
        )


def _without_effect(spec: WatcherSpec) -> Iterator[Fault]:
    given = spec.model_fields_set
    if "timer_interval_seconds" in given and not spec.timer_mode_enabled:
        yield _useless("timer_interval_seconds", "timer mode is off", "add `timer_mode_enabled: true`")
    if "trigger_job_states" in given and not spec.trigger_on_job_end:
        yield _useless("trigger_job_states", "job ends do not trigger", "add `trigger_on_job_end: true`")
    if not spec.expressions():
        for field in _NEEDS_PATTERN:
            if getattr(spec, field) != type(spec).model_fields[field].default:
                yield _useless(field, "there is no pattern", "add one, or delete it")
    if spec.cooldown and spec.max_triggers == 1:
        yield _useless("cooldown", "it triggers once only", "delete it, or raise max_triggers")
    if spec.renamed_from == spec.name:
        yield _useless("renamed_from", "it is the name itself", "write the name it had before")


def _never_runs(spec: WatcherSpec) -> Iterator[Fault]:
    for index, action in enumerate(spec.actions):
        both = set(action.needs) & set(action.on_failure)
        if both:
            message = f"action {index} runs only where action {min(both)} succeeded and failed"
            yield _doubt(
                ("actions", index, "on_failure"), "never-runs", message, "name it in one of the two", str(min(both))
            )


def _useless(field: str, why: str, remedy: str) -> Fault:
    return Fault((field,), "no-effect", f"`{field}` has no effect: {why}", remedy, key=True, severity="warning")


def _doubt(path: Path, code: str, message: str, remedy: str, value: str) -> Fault:
    return Fault(path, code, message, remedy, value, severity="warning")
