"""Pauses double up to a limit, are jittered, and end with a success."""

from __future__ import annotations

from reconciler.transports.over_ssh.backoff import Backoff


class Hand:
    """A clock and a die that the test sets."""

    def __init__(self, thrown: float = 0.0) -> None:
        self.time, self.thrown = 1000.0, thrown

    def monotonic(self) -> float:
        return self.time

    def random(self) -> float:
        return self.thrown


def backoff(hand: Hand) -> Backoff:
    return Backoff(1.0, 60.0, hand.monotonic, hand.random)


def test_nothing_waits_before_anything_failed() -> None:
    assert backoff(Hand()).remaining == 0.0


def test_pauses_double_up_to_the_longest() -> None:
    pauses = backoff(Hand())
    assert [pauses.failed() for _ in range(8)] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_a_thousand_failures_overflow_nothing() -> None:
    pauses = backoff(Hand())
    assert [pauses.failed() for _ in range(2000)][-1] == 60.0


def test_jitter_takes_up_to_half_of_a_pause() -> None:
    assert backoff(Hand(thrown=1.0)).failed() == 0.5
    assert backoff(Hand(thrown=0.5)).failed() == 0.75


def test_a_pause_passes_with_the_clock() -> None:
    hand = Hand()
    pauses = backoff(hand)
    pauses.failed()
    hand.time += 0.4
    assert abs(pauses.remaining - 0.6) < 1e-9
    hand.time += 0.7
    assert pauses.remaining == 0.0


def test_a_success_begins_anew() -> None:
    pauses = backoff(Hand())
    for _ in range(5):
        pauses.failed()
    pauses.succeeded()
    assert pauses.remaining == 0.0
    assert pauses.failed() == 1.0
