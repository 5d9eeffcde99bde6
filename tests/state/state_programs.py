"""Programs that tests start as processes of their own: `python state_programs.py VERB PATH [LEASE]`.

hold: take the lease, say so, commit one event for each line of the standard input, answer what became of it.
pour: commit advances of a watcher, each with 20 events, a metric, an action and a checkpoint, until killed; say each
number that was committed.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from reconciler.engine.clock import SystemClock
from reconciler.errors import ReconcilerError
from reconciler.model import Position, StreamName, Watcher
from reconciler.protocols import Advance, Batch
from reconciler.settings import StateSettings
from reconciler.state import open_state
from reconciler.state.write import StateWriter

sys.path.insert(0, str(Path(__file__).parents[1]))  # as a program of its own it has only its folder there
from parts.state_values import a_point, a_watcher, an_action, an_event, opened

EVENTS_A_BATCH = 20


def say(text: str) -> None:
    """Write a line that the test waits for."""
    print(text, flush=True)


def hold(path: Path, lease: float) -> None:
    """Hold the state and commit on demand."""
    try:
        state = open_state(path, StateSettings(lease=lease), clock=SystemClock())
    except ReconcilerError as error:
        say(f"{type(error).__name__} {error.exit_code:d} {error}")
        return
    say("held")
    for line in sys.stdin:
        try:
            if line == "renew\n":
                state.renew(SystemClock().now())
            else:
                state.commit(Batch(events=(an_event(subject=line.strip()),)))
            say("done")
        except ReconcilerError as error:
            say(f"{type(error).__name__} {error.exit_code:d} {error}")
    state.release()
    state.close()


def advanced(watcher: Watcher, number: int) -> Batch:
    """Return a batch of which every part says its number."""
    after = replace(
        watcher,
        trigger_count=number,
        checkpoints={StreamName.STDOUT: Position(offset=number)},
        variables={"number": str(number)},
    )
    events = (an_event(subject=str(number)),) * EVENTS_A_BATCH
    metrics = (a_point(watcher, float(number), name="number"),)
    return Batch(advances=(Advance(watcher, after, metrics, (an_action(watcher, number),), events),))


def pour(path: Path, lease: float) -> None:
    """Commit as fast as it goes."""
    state: StateWriter = opened(path, lease=lease)
    found = state.watchers()
    watcher = found[0] if found else state.commit(Batch(create=(a_watcher(),))).created[0]
    number = watcher.trigger_count
    while True:
        number += 1
        batch = advanced(watcher, number)
        state.commit(batch)
        watcher = batch.advances[0].after
        say(str(number))


if __name__ == "__main__":
    {"hold": hold, "pour": pour}[sys.argv[1]](Path(sys.argv[2]), float(sys.argv[3]))
