"""One writer at a time: by real processes that are killed and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from parts.state_values import SteppedClock, an_event, columns, opened
from parts.waiting import soon

from reconciler.errors import LeaseLostError, StateHeldError
from reconciler.events import Event
from reconciler.protocols import Batch, EventFilter
from reconciler.state import open_readonly
from reconciler.state.lease import Holder
from reconciler.state.write import StateWriter

Start = Callable[[Path, float], subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts holders: each says `held`, or why not, as its first line."""
    running: list[subprocess.Popen[str]] = []

    def start_one(path: Path, lease: float = 30.0) -> subprocess.Popen[str]:
        program = Path(__file__).with_name("state_programs.py")
        process = subprocess.Popen(
            [sys.executable, str(program), "hold", str(path), str(lease)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start_one
    for process in running:
        process.kill()
        process.communicate()


def answer(process: subprocess.Popen[str], line: str = "") -> str:
    if line:
        assert process.stdin
        process.stdin.write(line + "\n")
        process.stdin.flush()
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_second_process_leaves_with_exit_status_6_and_says_who_holds_the_state(path: Path, start: Start) -> None:
    first = start(path, 30)
    assert answer(first) == "held"
    refused = answer(start(path, 30))
    assert refused.startswith("StateHeldError 6 ")
    assert f"process {first.pid} on " in refused
    assert "since 20" in refused


def test_of_processes_that_start_at_once_on_a_new_state_one_gets_it(path: Path, start: Start) -> None:
    answers = [answer(process) for process in [start(path, 30) for _ in range(5)]]
    assert sorted(each.split()[0] for each in answers) == ["StateHeldError"] * 4 + ["held"], answers


def test_a_killed_holder_is_taken_over_at_once(path: Path, start: Start) -> None:
    first = start(path, 3600)
    assert answer(first) == "held"
    first.kill()
    first.wait()
    assert answer(start(path, 3600)) == "held"


def test_a_killed_holder_that_nobody_has_waited_for_is_dead_too(path: Path, start: Start) -> None:
    first = start(path, 3600)
    assert answer(first) == "held"
    first.kill()
    soon(lambda: Path(f"/proc/{first.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
    assert answer(start(path, 3600)) == "held"


def test_a_stopped_holder_is_taken_over_after_its_term_and_writes_nothing_more(path: Path, start: Start) -> None:
    stopped = start(path, 0.3)
    assert answer(stopped) == "held"
    assert answer(stopped, "mine") == "done"
    stopped.send_signal(signal.SIGSTOP)
    takers: list[str] = []

    def taken() -> subprocess.Popen[str] | None:
        process = start(path, 0.3)
        takers.append(answer(process))
        return process if takers[-1] == "held" else None

    second = soon(taken)
    assert second
    assert answer(second, "theirs") == "done"
    stopped.send_signal(signal.SIGCONT)
    assert answer(stopped, "late").startswith("LeaseLostError 6 the state was taken over by process ")
    assert answer(stopped, "renew").startswith("LeaseLostError")
    assert answer(second, "theirs again") == "done"
    assert [event.subject for event in committed(path)] == ["mine", "theirs", "theirs again"]


def committed(path: Path) -> list[Event]:
    reader = open_readonly(path)
    found = reader.events(EventFilter())
    reader.close()
    return list(found)


def test_a_lost_lease_is_not_given_up_by_the_one_that_lost_it(path: Path, clock: SteppedClock) -> None:
    first = opened(path, clock, lease=30)
    second = opened(path, replace(clock, at=clock.at + 31), lease=30)
    first.release()
    first.close()
    second.commit(Batch(events=(an_event(),)))
    with pytest.raises(StateHeldError):
        opened(path, replace(clock, at=clock.at + 32), lease=30)
    second.close()


def test_the_lease_given_up_is_free_at_once_and_the_token_grows(path: Path, clock: SteppedClock) -> None:
    tokens = []
    for _ in range(3):
        state = opened(path, clock)
        tokens.append(columns(state, "SELECT token FROM lease")[0]["token"])
        state.release()
        state.close()
    assert tokens == [1, 2, 3]


def test_one_process_cannot_hold_a_state_twice(state: StateWriter, path: Path) -> None:
    with pytest.raises(StateHeldError, match=f"process {os.getpid()} on"):
        opened(path)
    state.commit(Batch(events=(an_event(),)))


def test_a_renewed_lease_lasts_a_term_from_then_on(path: Path, clock: SteppedClock) -> None:
    state = opened(path, clock, lease=30)
    state.renew(clock.at + 20)
    for after, held in ((49, True), (50, False)):
        other = replace(clock, at=clock.at + after)
        if held:
            with pytest.raises(StateHeldError) as caught:
                opened(path, other, lease=30)
            assert "taken over in 1 s" in caught.value.remedy
        else:
            opened(path, other, lease=30).close()
    with pytest.raises(LeaseLostError):
        state.renew(clock.at + 51)
    with pytest.raises(LeaseLostError):
        state.commit(Batch())
    with pytest.raises(LeaseLostError):
        state.purge(clock.at, events=0, metrics=0, watchers=0)
    state.close()


HERE = Holder.this_process()


@pytest.mark.parametrize(
    ("other", "dead"),
    [
        (HERE, False),
        (replace(HERE, started=HERE.started + 1), True),
        (replace(HERE, pid=2**22 + 1), True),
        (replace(HERE, pid=2**22 + 1, boot="another"), False),
        (replace(HERE, pid=2**22 + 1, pids="pid:[1]"), False),
        (replace(HERE, pid=2**22 + 1, boot=""), False),
    ],
    ids=["alive", "pid reused", "ended", "another machine or boot", "another container", "unknown"],
)
def test_only_a_process_that_can_be_seen_counts_as_dead(
    path: Path, clock: SteppedClock, other: Holder, dead: bool
) -> None:
    state = opened(path, clock)
    with state._writing() as connection:
        connection.exec_driver_sql("UPDATE lease SET holder = ?", (json.dumps(asdict(other)),))
    if dead:
        opened(path, clock).close()
    else:
        with pytest.raises(StateHeldError, match="held by process"):
            opened(path, clock)
    state.close()


def test_a_holder_without_proc_is_never_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.state.lease._read", lambda path: "")
    nowhere = Holder.this_process()
    assert (nowhere.boot, nowhere.started) == ("", 0)
    assert not nowhere.dead(HERE)
