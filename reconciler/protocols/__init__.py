"""Every seam of the house. A docstring here is the contract that the conformance suites in tests/ check.

The engine knows plugins and the state only by these; `app` gives it the real ones, tests give it real classes that
live in memory. Everybody imports from here; the files within are one seam each.
"""

from __future__ import annotations

from reconciler.protocols.actions import (
    ActionContext,
    ActionTraits,
    AfterCrash,
    Digested,
    Limit,
    OutsideAction,
    StateAction,
    StateEffect,
    Together,
)
from reconciler.protocols.batches import ActionChange, Advance, Batch, Committed
from reconciler.protocols.questions import EventFilter, KnownJob, Statistics, WatcherFilter, WatcherPage
from reconciler.protocols.schedulers import OptionValue, Scheduler, Submission
from reconciler.protocols.sinks import EXPORTED_SEQ, Sink
from reconciler.protocols.sources import Snapshot, Source, SourceFile
from reconciler.protocols.state import State, StateReading, StateWriting
from reconciler.protocols.time import Clock
from reconciler.protocols.transports import UNCHANGED, Completed, Glimpse, Sight, Transport, Want

__all__ = [
    "EXPORTED_SEQ",
    "UNCHANGED",
    "ActionChange",
    "ActionContext",
    "ActionTraits",
    "Advance",
    "AfterCrash",
    "Batch",
    "Clock",
    "Committed",
    "Completed",
    "Digested",
    "EventFilter",
    "Glimpse",
    "KnownJob",
    "Limit",
    "OptionValue",
    "OutsideAction",
    "Scheduler",
    "Sight",
    "Sink",
    "Snapshot",
    "Source",
    "SourceFile",
    "State",
    "StateAction",
    "StateEffect",
    "StateReading",
    "StateWriting",
    "Statistics",
    "Submission",
    "Together",
    "Transport",
    "Want",
    "WatcherFilter",
    "WatcherPage",
]
