"""A spec made ready to run: patterns as rules, conditions compiled, actions sorted by when they run.

Built once per spec digest; shared by all watchers of the spec. Pure: it never runs an action that leaves the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from pydantic import BaseModel

from reconciler.logic.conditions import Condition, compile_condition
from reconciler.logic.expression import pattern_of
from reconciler.logic.patterns import Rule
from reconciler.protocols import ActionTraits, AfterCrash, StateAction
from reconciler.spec.watcher import ActionSpec, AllPatterns, WatcherSpec


@dataclass(frozen=True, slots=True)
class ActionKind:
    """What the engine knows of an action type. `state`: the pure action, where it touches the state alone.

    `missing`: why this type cannot run here (it is accepted in specs all the same, and reported loudly).
    """

    traits: ActionTraits
    state: StateAction | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True)
class CompiledAction:
    """One action of a spec. `leading`: it runs in the transaction of its tick."""

    index: int
    type: str
    params: Mapping[str, Any]
    kind: ActionKind
    condition: Condition | None
    needs: tuple[int, ...]
    on_failure: tuple[int, ...]
    leading: bool

    @property
    def repeatable(self) -> bool:
        """Tell whether it may run again after it was interrupted."""
        after = self.kind.traits.after_crash
        return after is not AfterCrash.REPORT and (
            after is not AfterCrash.ASK_SPEC or bool(self.params.get("idempotent"))
        )


@dataclass(frozen=True, slots=True)
class CompiledSpec:
    """A spec ready to run.

    `marks`: what the members of `patterns.all` are remembered by, CRC-32 of their texts; none where one is enough.
    `late_pause`: it has a pause_watcher that does not lead, so what comes behind a triggering line must wait for its
    actions. `obstacle`: why it cannot run at all (empty: it can).
    """

    spec: WatcherSpec
    digest: str
    rules: tuple[Rule, ...]
    marks: tuple[int, ...]
    condition: Condition | None
    actions: tuple[CompiledAction, ...]
    late_pause: bool
    obstacle: str

    @property
    def members(self) -> int:
        """How many patterns must all be seen (`patterns.all`); 0 where one is enough."""
        return len(self.marks)

    @property
    def within(self) -> float | None:
        """Seconds within which all members must be seen."""
        return self.spec.patterns.within if isinstance(self.spec.patterns, AllPatterns) else None


def compile_spec(spec: WatcherSpec, digest: str, kinds: Mapping[str, ActionKind]) -> CompiledSpec:
    """Return the spec ready to run; raises ConfigurationError, ConditionError where a part of it cannot be."""
    rules = tuple(
        Rule(
            expression=expression,
            multiline=spec.multiline,
            every_nth_line=spec.every_nth_line,
            ignore_echo=spec.ignore_pattern_echo,
            captures=spec.captures,
        )
        for expression in spec.expressions()
    )
    for rule in rules:  # here, where it concerns one spec, and not when the sets of all watchers of a job are made
        pattern_of(rule.expression, min(rule.multiline, 2))
    actions = _actions(spec, kinds)
    return CompiledSpec(
        spec=spec,
        digest=digest,
        rules=rules,
        marks=tuple(crc32(rule.expression.encode()) for rule in rules if isinstance(spec.patterns, AllPatterns)),
        condition=compile_condition(spec.condition) if spec.condition else None,
        actions=actions,
        late_pause=any(a.kind.state is not None and not a.leading and a.type == "pause_watcher" for a in actions),
        obstacle="; ".join(sorted({a.kind.missing for a in actions if a.kind.missing})),
    )


def bare(spec: WatcherSpec) -> WatcherSpec:
    """Return the spec without what may keep it from running: it can be shown, and does nothing."""
    actions = tuple(action.model_copy(update={"condition": None}) for action in spec.actions)
    gone = dict.fromkeys(("pattern", "patterns", "preset", "condition"))
    return spec.model_copy(update={**gone, "actions": actions})


def _actions(spec: WatcherSpec, kinds: Mapping[str, ActionKind]) -> tuple[CompiledAction, ...]:
    compiled = []
    leading = True
    # What another action asks about must stand in the ledger, where its outcome can be looked up.
    asked_about = {other for action in spec.actions for other in (*action.needs, *action.on_failure)}
    for index, action in enumerate(spec.actions):
        kind = kinds.get(action.type) or ActionKind(
            ActionTraits(), missing=f"action type {action.type!r} cannot run here"
        )
        alone = not action.needs and not action.on_failure and index not in asked_about
        leading = leading and kind.state is not None and alone
        compiled.append(
            CompiledAction(
                index=index,
                type=action.type,
                params=_params(action),
                kind=kind,
                condition=compile_condition(action.condition) if action.condition else None,
                needs=action.needs,
                on_failure=action.on_failure,
                leading=leading,
            )
        )
    return tuple(compiled)


def _params(action: ActionSpec) -> Mapping[str, Any]:
    params = action.params
    return params.model_dump(mode="json", exclude_unset=True) if isinstance(params, BaseModel) else dict(params)
