"""What one tick means for one watcher: matches and deadlines in, triggers and their consequences out.

Pure: the worker feeds it, the state writes its `Advance`. Nothing behind a line that paused the watcher, reached
max_triggers or began timer mode triggers. Times are seconds since the epoch, of observation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.errors import ConditionError, PermanentActionError
from reconciler.events import Event, EventType
from reconciler.logic.compiled import CompiledAction, CompiledSpec
from reconciler.logic.conditions import Condition
from reconciler.logic.deadlines import silence_due, time_left_due
from reconciler.logic.outcomes import apply_state_action, count_failure, count_success
from reconciler.logic.runs import ENDED
from reconciler.logic.selecting import ended_as
from reconciler.logic.substitution import builtin_values, match_values
from reconciler.logic.telling import action_event, watcher_event
from reconciler.model import (
    FileStat,
    Hold,
    Job,
    JobState,
    Match,
    MetricPoint,
    OutcomeKind,
    PendingAction,
    Position,
    StreamName,
    Trigger,
    TriggerKind,
    Watcher,
    WatcherState,
)
from reconciler.protocols import Advance

#: The names of the whole text of a match.
_WHOLE = ("0", "_matched_text")


def trigger_values(trigger: Trigger, job: Job, watcher: Watcher) -> Mapping[str, str | None]:
    """Return every name a trigger's actions may use: variables, this match's captures, the built-in names;
    `TRIGGER` is what made it (`match`, `timer`, `job_end`, ...)."""
    values = dict(trigger.variables)
    if trigger.match is not None:
        values |= match_values(trigger.match)
    return values | builtin_values(job, watcher.name) | {"TRIGGER": trigger.kind.value}


class WatcherTick:
    """One tick of one watcher. Feed it, then take `advance()`.

    `stopped` turns true where nothing further may trigger in this tick; what is beyond `matches` is for the next one.
    """

    def __init__(
        self,
        compiled: CompiledSpec,
        watcher: Watcher,
        job: Job,
        now: float,
        *,
        variable_bytes: int = 4096,
        matches: int = 10_000,
    ) -> None:
        self._compiled, self._before, self._job, self._now = compiled, watcher, job, now
        self._cap, self._room = variable_bytes, matches
        self.after = replace(watcher, holds=tuple(hold for hold in watcher.holds if hold.lasts(now)))
        self._metrics: list[MetricPoint] = []
        self._pending: list[PendingAction] = []
        self._events: list[Event] = []
        self._failures: list[tuple[str, str]] = []  # what could not be told, and why
        for hold in set(watcher.holds) - set(self.after.holds):
            self._event(
                EventType.WATCHER_RESUMED, result=f"the suspension by {hold.by} has run out", data={"kind": hold.kind}
            )

    @property
    def waits(self) -> bool:
        """True where an action that may pause the watcher has to run before the next line is looked at."""
        return self._compiled.late_pause and bool(self._pending)

    @property
    def again(self) -> bool:
        """True where the lines that it has not seen are for a further tick, at once."""
        return self.waits or self._room <= 0

    @property
    def stopped(self) -> bool:
        """True where this watcher must not see further lines now."""
        return self.again or self.after.timer_active or self.after.state is not WatcherState.ACTIVE

    # --- what may trigger ---

    def matched(self, matches: Sequence[Match]) -> None:
        """Deal with the matches of one line, in their order; a line is never left halfway for a further tick."""
        if self.waits:
            return
        self._room -= len(matches)
        for match in matches:
            if self.after.timer_active or self.after.state is not WatcherState.ACTIVE:
                return
            if self._compiled.members and not self._all_seen(match.pattern):
                self._keep_names(match)
                continue
            if self._cools_down():
                self._passed_over(match)
                continue
            if self._trigger(TriggerKind.MATCH, match):
                self._after_match(match)

    def gave_up(self, line: int, kept: int = 0) -> None:
        """A pattern ran out of time on a line, or had more than the `kept` matches on it."""
        what = f"only the first {kept} matches were kept" if kept else "it ran out of time"
        self._failures.append(("pattern", f"{what} on line {line}"))

    def grew(self, stream: StreamName, stat: FileStat | None) -> None:
        """Bytes of a stream were read: silence begins anew, unless they were there before and are only read again."""
        if self._compiled.spec.silence is None or stat is None:
            return
        grown = self.after.memory.grown_to
        if grown.get(stream) != (reached := f"{stat.size} {stat.mtime_ns}"):
            self._remember(grown_at=self._now, silence_fired=False, grown_to={**grown, stream: reached})

    def out_of_sight(self, missing: bool) -> float | None:
        """Take note of whether an output that was there is `missing`; return since when."""
        since = self.after.memory.missing_since
        if missing != (since is not None):
            self._remember(missing_since=self._now if missing else None)
        return self.after.memory.missing_since

    def deadlines(self, *, blind: bool = False) -> None:
        """Deal with every due deadline: timer, silence, time left. Several overdue timer ticks are one.

        `blind`: an output could not be looked at, so nobody knows whether it is silent.
        """
        self._stands_still()
        if self.after.state is not WatcherState.ACTIVE or self._job.state is not JobState.RUNNING:
            return
        spec, due = self._compiled.spec, self.after.memory.timer_due
        if self.after.timer_active and due is not None and self._now >= due:
            self._remember(timer_due=self._now + spec.timer_interval_seconds)
            self._trigger(TriggerKind.TIMER)
        elif self.after.timer_active and due is not None and due > self._now + spec.timer_interval_seconds:
            self._remember(timer_due=self._now + spec.timer_interval_seconds)  # an edit made it shorter
        due = silence_due(self._compiled, self.after, self._job)
        if due is not None and self._now >= due and not blind and self.after.state is WatcherState.ACTIVE:
            self._remember(silence_fired=True)
            self._note_run(TriggerKind.SILENCE)
            self._trigger(TriggerKind.SILENCE)
        due = time_left_due(self._compiled, self.after, self._job)
        if due is not None and self._now >= due and self.after.state is WatcherState.ACTIVE:
            self._remember(time_left_fired=True)
            self._note_run(TriggerKind.TIME_LEFT)
            self._trigger(TriggerKind.TIME_LEFT)

    def job_ended(self) -> None:
        """The job has ended and everything was read: the job-end trigger, once, then completion."""
        spec = self._compiled.spec
        if self.after.phase in (WatcherState.COMPLETED, WatcherState.STATIC, WatcherState.STOPPED):
            return
        if spec.trigger_on_job_end and not self.after.memory.job_end_fired and self.after.state is WatcherState.ACTIVE:
            self._remember(job_end_fired=True)
            if ended_as(self._job, spec.trigger_job_states):
                self._trigger(TriggerKind.JOB_END)
        self.after = replace(self.after, phase=WatcherState.COMPLETED, timer_active=False)
        self._remember(timer_due=None)
        self._note_run(ENDED)
        how = self._job.raw_state or self._job.state.value
        self._event(EventType.WATCHER_COMPLETED, result=f"its job ended: {how}", data={"job_state": how})

    def manual(self, data: Mapping[str, Any] = {}) -> bool:
        """A person asked: act once on the newest match, or on none. Return whether the condition held.

        `data`: what the trigger's event says beside (who asked).
        """
        return self._trigger(TriggerKind.MANUAL, self.after.memory.newest, data)

    # --- what comes of it ---

    def advance(self, positions: Mapping[StreamName, Position] | None = None) -> Advance | None:
        """Return what changed, the streams now standing at `positions`; None where nothing did."""
        if self._failures:
            self._condition_failed()
        if positions:
            self.after = replace(self.after, checkpoints={**self.after.checkpoints, **positions})
        if not positions and self.after == self._before and not self._events and not self._pending:
            return None
        self.after = replace(self.after, last_check=self._now)
        return Advance(
            self._before,
            self.after,
            metrics=tuple(self._metrics),
            pending=tuple(self._pending),
            events=tuple(self._events),
        )

    def _all_seen(self, member: int) -> bool:
        """Note a member of `patterns.all`, by its text: an edit may move it. Tell whether it was the last."""
        within, marks = self._compiled.within, self._compiled.marks
        seen = {m: at for m, at in self.after.memory.seen.items() if within is None or self._now - at <= within}
        seen[marks[member]] = self._now
        complete = all(mark in seen for mark in marks)
        self._remember(seen={} if complete else seen)
        return complete

    def _keep_names(self, match: Match) -> None:
        """Keep what a member of `patterns.all` captured by name for the match that completes the set."""
        named = {name: self._cut(value) for name, value in match.captures.items()}
        self.after = replace(self.after, variables={**self.after.variables, **named})

    def _cools_down(self) -> bool:
        """Tell whether a cooldown holds; one that is longer than the spec says was set by another clock or spec."""
        until = self.after.memory.cooldown_until
        return until is not None and 0 < until - self._now <= (self._compiled.spec.cooldown or 0)

    def _passed_over(self, match: Match) -> None:
        """A match that the cooldown keeps from acting: what a person triggers by hand acts on the newest all the same.

        Of `patterns.all` no single one counts.
        """
        if not self._compiled.members and self._told(self._compiled.condition, TriggerKind.MATCH, match):
            self._remember(newest=match)

    def _after_match(self, match: Match) -> None:
        spec = self._compiled.spec
        self._remember(newest=match)
        if spec.cooldown:
            self._remember(cooldown_until=self._now + spec.cooldown)
        if spec.timer_mode_enabled and self.after.phase is WatcherState.ACTIVE:
            self.after = replace(self.after, timer_active=True)
            self._remember(timer_due=self._now + spec.timer_interval_seconds)

    def _trigger(self, kind: TriggerKind, match: Match | None = None, data: Mapping[str, Any] = {}) -> bool:
        """Make a trigger if the condition holds, and everything that belongs into its transaction."""
        variables = self._variables(match)
        trigger = Trigger(kind, self._now, variables, match)
        if kind is TriggerKind.TIMER and self.after.memory.newest is not None:  # it stands for the match that began it
            trigger = replace(trigger, variables=variables | self._whole(self.after.memory.newest))
        if not self._holds(self._compiled.condition, trigger):
            return False
        self.after = replace(
            self.after, variables=variables, trigger_count=self.after.trigger_count + 1, last_trigger=self._now
        )
        told = {"trigger": kind, "trigger_count": self.after.trigger_count, **data}
        self._event(EventType.WATCHER_TRIGGERED, trigger, data=told)
        for action in self._compiled.actions:
            self._act(action, trigger)
        limit = self._compiled.spec.max_triggers
        if limit is not None and self.after.trigger_count >= limit and self.after.phase is WatcherState.ACTIVE:
            self.after = replace(self.after, phase=WatcherState.TRIGGERED, timer_active=False)
        return True

    def _variables(self, match: Match | None) -> dict[str, str | None]:
        """Return the variables as they are with the values of a match, without its whole text."""
        variables = dict(self.after.variables)
        if match is not None:
            captured = match_values(match)
            variables |= {k: self._cut(v) for k, v in captured.items() if k not in _WHOLE}
        return variables

    def _whole(self, match: Match) -> dict[str, str | None]:
        values = match_values(match)
        return {name: self._cut(values[name]) for name in _WHOLE}

    def _act(self, action: CompiledAction, trigger: Trigger) -> None:
        if action.leading and self.after.phase is WatcherState.DISABLED:
            self._outcome(action, trigger, OutcomeKind.SKIPPED, f"the watcher is {self.after.phase}")
        elif action.leading:
            self._lead(action, trigger)
        else:
            self._pending.append(
                PendingAction(
                    self.after.id, self.after.trigger_count, action.index, action.type, action.params, trigger
                )
            )

    def _lead(self, action: CompiledAction, trigger: Trigger) -> None:
        """Run a leading state-only action here and now."""
        if action.condition is not None and not self._holds(action.condition, trigger):
            self._outcome(action, trigger, OutcomeKind.SKIPPED, "its condition is false")
            return
        values = trigger_values(trigger, self._job, self.after)
        try:
            self.after, metrics, result = apply_state_action(action, self.after, trigger, values)
        except PermanentActionError as error:
            self._outcome(action, trigger, OutcomeKind.FAILED, error.message)
            self._fail(error.message)
            return
        self._metrics.extend(metrics)
        self.after = count_success(self._compiled, self.after, outside=False)
        self._outcome(action, trigger, OutcomeKind.SUCCEEDED, result)

    def _fail(self, message: str) -> None:
        self.after, events = count_failure(self._compiled, self.after, message, self._now)
        self._events.extend(events)

    def _told(self, condition: Condition | None, kind: TriggerKind, match: Match) -> bool:
        """Tell whether a condition would hold; where it cannot be told, it does not, and nobody counts that."""
        try:
            trigger = Trigger(kind, self._now, self._variables(match), match)
            return condition is None or condition.holds(trigger_values(trigger, self._job, self.after))
        except ConditionError:
            return False

    def _holds(self, condition: Condition | None, trigger: Trigger) -> bool:
        if condition is None:
            return True
        try:
            return condition.holds(trigger_values(trigger, self._job, self.after))
        except ConditionError as error:
            self._failures.append(("condition", error.message))
            return False

    def _condition_failed(self) -> None:
        """Count what conditions and patterns could not tell in this tick; tell of the first, and at each power of ten.

        A condition that no line fits would otherwise tell of itself in every tick.
        """
        count, (kind, first) = len(self._failures), self._failures[0]
        before = self.after.memory.condition_failures
        total = before + count
        self._remember(condition_failures=total)
        self.after = replace(self.after, last_error=f"{kind}: {first}")
        if not before or len(str(total)) > len(str(before)):
            data = {"count": count, "total": total}
            told = first if kind == "condition" else f"{kind}: {first}"
            self._event(EventType.CONDITION_FAILED, result=told, success=False, data=data)

    def _outcome(self, action: CompiledAction, trigger: Trigger, kind: OutcomeKind, result: str) -> None:
        self._events.append(action_event(self.after, trigger, action.type, action.index, kind, result))

    def _note_run(self, what: str) -> None:
        """Note in which run of the job something fired, or that it ended."""
        if self._job.started is not None and self.after.memory.runs.get(what) != self._job.started:
            self._remember(runs={**self.after.memory.runs, what: self._job.started})

    def _stands_still(self) -> None:
        """A job that was suspended had nothing to say: its silence begins when it goes on."""
        still = self.after.memory.stood_still
        if self._compiled.spec.silence is None or still == (self._job.state is JobState.SUSPENDED):
            return
        self._remember(stood_still=not still, grown_at=self._now if still else self.after.memory.grown_at)

    def _event(
        self,
        type_: EventType,
        trigger: Trigger | None = None,
        result: str = "",
        success: bool = True,
        data: Mapping[str, Any] = {},
    ) -> None:
        self._events.append(
            watcher_event(self.after, type_, self._now, trigger, result=result, success=success, data=data)
        )

    def _remember(self, **changes: Any) -> None:
        self.after = replace(self.after, memory=replace(self.after.memory, **changes))

    def _cut(self, value: str | None) -> str | None:
        if value is None or len(value) * 4 <= self._cap:
            return value
        return value.encode("utf-8", "surrogateescape")[: self._cap].decode("utf-8", "ignore")


def hold(watcher: Watcher, new: Hold) -> Watcher:
    """Return the watcher with this hold, in place of one of the same kind."""
    return replace(watcher, holds=(*(old for old in watcher.holds if old.kind is not new.kind), new))
