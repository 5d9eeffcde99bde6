"""Runs pending actions of one watcher, in the order they were triggered.

It decides nothing about matches; the worker calls `drain` after every commit that left something pending. `verdicts`
says what may run, `ledger` writes what comes of it, `retrying` makes an Outcome of an exception, `courier` brings
notifications together.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from reconciler.engine.courier import Courier, Letter, Reply
from reconciler.engine.jobtask import JobTask
from reconciler.engine.ledger import Ended, Ledger
from reconciler.engine.parts import Host, Parts
from reconciler.engine.retrying import attempted
from reconciler.engine.verdicts import Judge, Verdict
from reconciler.errors import PermanentActionError
from reconciler.logic.compiled import CompiledAction
from reconciler.logic.outcomes import apply_state_action
from reconciler.logic.substitution import render_params
from reconciler.model import (
    ActionId,
    Outcome,
    OutcomeKind,
    PendingAction,
    Watcher,
    WatcherId,
    WatcherState,
)
from reconciler.protocols import ActionContext, Digested

#: Notifications of one watcher that are handed on together; a message holds about as many.
MOST_COMPANIONS = 1000
#: Characters that are told of what an action would have run with.
MOST_TOLD = 10_000


@dataclass(slots=True)
class _Walk:
    """One walk through a watcher's queue. `waiting`: until when (group, index) is put off. `dropped`: by the limit.

    `met`: actions that went, or wait, with an earlier one. `alone`: those that the courier gave back to be sent by
    themselves. `gate`: held while actions run, where so many may run at once.
    """

    gate: asyncio.Semaphore | None
    waiting: dict[tuple[int, int], float] = field(default_factory=dict)
    dropped: list[PendingAction] = field(default_factory=list)
    met: set[ActionId] = field(default_factory=set)
    alone: set[ActionId] = field(default_factory=set)


class Dispatcher:
    """Dispatches the pending actions of the watchers of one job task."""

    def __init__(self, parts: Parts, host: Host, task: JobTask, courier: Courier, identity: str) -> None:
        self._parts, self._host, self._task, self._identity = parts, host, task, identity
        self._courier = courier
        self._ledger, self._judge = Ledger(parts, task), Judge(parts, task)
        self._turns: dict[WatcherId, asyncio.Lock] = {}
        self._running: dict[WatcherId, frozenset[ActionId]] = {}

    async def drain(self, watcher_id: WatcherId, gate: asyncio.Semaphore | None = None) -> None:
        """Run every action of this watcher that may run now; what must wait keeps its place in the queue.

        Callers take turns, so that no action is run by two of them. `gate`: bounds how many watchers' actions run at
        once.
        """
        async with self._turns.setdefault(watcher_id, asyncio.Lock()), _through(gate):
            await self._drain(watcher_id, _Walk(gate))

    def waiting(self, watcher_id: WatcherId) -> tuple[PendingAction, ...]:
        """Return the actions of a watcher that have not begun."""
        running = self._running.get(watcher_id, frozenset())
        return tuple(action for action in self._task.pending.get(watcher_id, ()) if action.id not in running)

    async def _drain(self, watcher_id: WatcherId, walk: _Walk) -> None:
        for action in list(self._task.pending.get(watcher_id, ())):
            if watcher_id not in self._task.watchers:
                break
            if action.id not in walk.met:
                await self._step(action, walk)
        await self._ledger.drop(watcher_id, walk.dropped)

    async def _step(self, action: PendingAction, walk: _Walk) -> None:
        """Deal with one action of the queue."""
        verdict = await self._judge.verdict(action, walk.waiting)
        wait = math.inf if verdict.held else verdict.wait_until
        due = None if verdict.held else wait  # the edit that lets it go on asks for a tick of its own
        if wait is not None and due != action.not_before:
            self._ledger.requeue(replace(action, not_before=due))
        elif verdict.outcome is None and wait is None:
            wait = await self._run(action, walk)
        if wait is not None:
            walk.waiting[action.group, action.index] = wait
        elif verdict.outcome is None:
            return
        elif verdict.outcome.kind is OutcomeKind.RATE_LIMITED:
            walk.dropped.append(action)
        else:
            await self._ledger.finish(action.watcher_id, [(action, verdict.outcome)])

    # --- doing ---

    async def _run(self, action: PendingAction, walk: _Walk) -> float | None:
        """Run it; return when it is tried again, None where that is over."""
        compiled = self._judge.compiled(action)
        assert compiled is not None  # noqa: S101 - the judge has seen it
        if compiled.kind.state is not None:
            await self._run_in_state(action, compiled)
        elif self._judge.observes(action):
            params = render_params(action.params, self._judge.values(action))
            outcome = Outcome(OutcomeKind.WOULD_RUN, f"would have run with {dict(params)}"[:MOST_TOLD])
            await self._ledger.finish(action.watcher_id, [(action, outcome)])
        elif (address := self._address(action, compiled)) and action.id not in walk.alone:
            return await self._post(action, compiled, address, walk)
        else:
            return await self._run_outside(action, compiled)
        return None

    async def _run_outside(self, action: PendingAction, compiled: CompiledAction) -> float | None:
        watcher = self._task.watchers[action.watcher_id]
        self._running[action.watcher_id] = frozenset({action.id})
        try:
            started = await self._ledger.begin(action)
            self._judge.note_start(action.watcher_id, compiled)
            came = await attempted(
                self._parts.actions[action.type].run(self._context(started)), [started], compiled.kind.traits
            )
            outcome = Outcome(OutcomeKind.SUCCEEDED, came) if isinstance(came, str) else came[0]
            return await self._end(watcher, [(started, outcome)])
        finally:
            del self._running[action.watcher_id]

    async def _end(self, watcher: Watcher, ended: Sequence[Ended]) -> float | None:
        """Record what came of it; return when the first of them is tried again, if it is."""
        before = self._parts.clock.now()
        await self._ledger.end(watcher, ended)
        retry = ended[0][1].retry_after
        return None if retry is None else before + retry

    def _context(self, action: PendingAction) -> ActionContext:
        values = self._judge.values(action)
        return ActionContext(
            watcher=self._task.watchers[action.watcher_id],
            job=self._task.job,
            trigger=action.trigger,
            params=render_params(action.params, values),
            template=action.params,
            values=values,
            transport=self._host.transport,
            scheduler=self._host.scheduler,
            mark=f"{self._identity[:12]}.{action.id}",
            repeat=action.attempts > 1,
            progress=action.progress,
            tail=self._task.tail,
        )

    async def _run_in_state(self, action: PendingAction, compiled: CompiledAction) -> None:
        """A state-only action that does not lead: its effect and its outcome are one transaction."""
        watcher = self._task.watchers[action.watcher_id]
        try:
            after, metrics, result = apply_state_action(compiled, watcher, action.trigger, self._judge.values(action))
        except PermanentActionError as error:
            await self._ledger.finish(watcher.id, [(action, Outcome(OutcomeKind.FAILED, error.message))])
            return
        done = Outcome(OutcomeKind.SUCCEEDED, result)
        await self._ledger.finish(watcher.id, [(action, done)], effect=(after, metrics))

    # --- bringing together ---

    def _address(self, action: PendingAction, compiled: CompiledAction) -> str:
        """Return where it goes, where others may go with it; empty: it goes alone."""
        plugin = self._parts.actions[action.type]
        if not compiled.kind.traits.digest or not isinstance(plugin, Digested):
            return ""
        try:
            return plugin.address(self._context(action))
        except PermanentActionError:
            return ""  # running it says why

    async def _post(self, action: PendingAction, compiled: CompiledAction, address: str, walk: _Walk) -> float | None:
        """Hand it to the courier, with what else of this watcher may go to the same address now; return as `_run`."""
        watcher = self._task.watchers[action.watcher_id]
        actions = [action, *await self._companions(action, address, walk)]
        self._running[watcher.id] = frozenset(each.id for each in actions)
        try:
            begun = [replace(each, attempts=each.attempts + 1) for each in actions]
            letters = [Letter(each, self._context(each)) for each in begun]
            async with _outside(walk.gate):
                replies = await self._courier.post(address, letters, compiled.kind.traits)
            await self._take(watcher, actions, replies, compiled, walk)
        finally:
            del self._running[watcher.id]
        if action.id in walk.alone and watcher.id in self._task.watchers:
            return await self._run_outside(action, compiled)
        return walk.waiting.get((action.group, action.index))

    async def _take(
        self,
        watcher: Watcher,
        actions: Sequence[PendingAction],
        replies: Mapping[ActionId, Reply],
        compiled: CompiledAction,
        walk: _Walk,
    ) -> None:
        """Record what the courier answered."""
        now = self._parts.clock.now()
        gone = watcher.id not in self._task.watchers
        ended: list[Ended] = []
        put_off: list[PendingAction] = []
        for action in actions:
            reply = replies[action.id]
            wait = reply.wait_until
            if reply.outcome is not None:
                ended.append((replace(action, attempts=action.attempts + 1), reply.outcome))
                wait = now + reply.outcome.retry_after if reply.outcome.retry_after is not None else None
            elif gone:
                ended.append((action, Outcome(OutcomeKind.SKIPPED, "the watcher was stopped")))
            elif wait is None:
                walk.alone.add(action.id)
                continue
            else:
                put_off.append(replace(action, not_before=wait))
            walk.met.add(action.id)
            if wait is not None:
                walk.waiting[action.group, action.index] = wait
        self._ledger.requeue(*put_off)
        if any(replies[action.id].outcome is not None for action in actions):
            self._judge.note_start(watcher.id, compiled)
        if ended:
            await self._ledger.end(watcher, ended)

    async def _companions(self, action: PendingAction, address: str, walk: _Walk) -> list[PendingAction]:
        """Return what else of this watcher goes to the same address now, and before which nothing of its list runs."""
        found: list[PendingAction] = []
        groups = {action.group}
        now = self._parts.clock.now()
        for other in list(self._task.pending.get(action.watcher_id, ())):
            if other.group in groups or other.id in walk.met or (other.not_before or 0.0) > now:
                continue
            groups.add(other.group)
            compiled = self._judge.compiled(other)
            if other.type != action.type or compiled is None or other.id in walk.alone:
                continue
            if len(found) >= MOST_COMPANIONS:
                break
            verdict = await self._judge.verdict(other, walk.waiting)
            if verdict == Verdict() and self._address(other, compiled) == address:
                found.append(other)
        return found


@asynccontextmanager
async def _through(gate: asyncio.Semaphore | None) -> AsyncIterator[None]:
    """Hold a place at the gate, where there is one."""
    if gate is not None:
        await gate.acquire()
    try:
        yield
    finally:
        if gate is not None:
            gate.release()


@asynccontextmanager
async def _outside(gate: asyncio.Semaphore | None) -> AsyncIterator[None]:
    """Leave one's place at the gate to others meanwhile."""
    if gate is not None:
        gate.release()
    try:
        yield
    finally:
        if gate is not None:
            await gate.acquire()


def manual_refusal(watcher: Watcher) -> str:
    """Say why a manual trigger is refused (empty: it is not)."""
    if watcher.phase is WatcherState.STOPPED:
        return "it was stopped; no spec wants it"
    if watcher.state is WatcherState.PAUSED:
        hold = watcher.holds[0]
        return f"it is suspended by {hold.by}" + (f": {hold.reason}" if hold.reason else "")
    return "" if watcher.phase is not WatcherState.DISABLED else f"it is disabled: {watcher.last_error}"
