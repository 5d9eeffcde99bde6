"""How many notifications to one address go out one by one, as one, or later."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from reconciler.logic.digest import Sending, Traffic, decide


def decided(traffic: Traffic, count: int, now: float = 100.0) -> Sending:
    return decide(traffic, count, now, threshold=5, window=60.0)


def test_few_go_one_by_one() -> None:
    assert decided(Traffic(), 5) == Sending()
    assert decided(Traffic(alone=(99.0, 99.0)), 3) == Sending()


def test_many_go_as_one() -> None:
    assert decided(Traffic(), 6) == Sending(together=True)
    assert decided(Traffic(alone=(99.0,) * 5), 2) == Sending(together=True)


def test_behind_a_digest_they_gather_until_its_window_is_over() -> None:
    assert decided(Traffic(together=90.0), 300) == Sending(wait_until=150.0)
    assert decided(Traffic(together=40.0), 300) == Sending(together=True)


def test_one_alone_is_no_digest_and_waits_for_room() -> None:
    assert decided(Traffic(alone=(60.0, 70.0, 80.0, 90.0, 95.0)), 1) == Sending(wait_until=120.0)


def test_a_wait_ends_later_than_now_however_times_are_rounded() -> None:
    assert decided(Traffic(alone=(5e-324,) * 5), 1, now=60.0) == Sending()


def test_what_went_out_before_the_window_does_not_count() -> None:
    assert decided(Traffic(alone=(1.0, 2.0, 39.0, 40.0)), 5) == Sending()


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(1, 50)), min_size=1, max_size=60))
def test_an_address_never_gets_more_than_it_should_and_everything_gets_there(
    bursts: list[tuple[float, int]],
) -> None:
    now, traffic, waiting, sent = 0.0, Traffic(), 0, []
    total = sum(count for _, count in bursts)
    arrived = 0
    for pause, count in [*bursts, *[(61.0, 0)] * 60]:
        now += pause
        waiting += count
        if not waiting:
            continue
        how = decide(traffic, waiting, now, threshold=5, window=60.0)
        if how.wait_until is not None:
            assert now < how.wait_until <= now + 60.0
            continue
        if how.together:
            traffic = Traffic(traffic.alone, now)
            sent.append(now)
        else:
            traffic = traffic.sent(waiting, now)
            sent += [now] * waiting
        arrived, waiting = arrived + waiting, 0
    assert arrived == total
    assert all(sum(other <= at < other + 60.0 for other in sent) <= 6 for at in sent)
