"""How much somebody may ask: a burst, then a steady rate, for each by itself."""

from __future__ import annotations

from reconciler.api.limits import _MOST, Limits, address_name


def test_a_burst_and_then_the_steady_rate() -> None:
    limits = Limits(100, 10)
    assert sum(limits.wait("a", 0.0) == 0.0 for _ in range(150)) == 100
    assert limits.wait("a", 0.0) == 6.0
    minute = [limits.wait("a", second) == 0.0 for second in range(1, 61)]
    assert sum(minute) == 10


def test_one_does_not_take_from_the_other() -> None:
    limits = Limits(1, 10)
    assert [limits.wait(name, 0.0) == 0.0 for name in ("a", "b", "a")] == [True, True, False]


def test_a_bucket_never_holds_more_than_a_burst() -> None:
    limits = Limits(3, 60)
    limits.wait("a", 0.0)
    assert sum(limits.wait("a", 1e6) == 0.0 for _ in range(10)) == 3


def test_names_are_forgotten_before_they_eat_the_memory() -> None:
    limits = Limits(1, 1)
    for number in range(_MOST + 10):
        limits.wait(str(number), 0.0)
    assert limits.wait(str(_MOST + 9), 0.0) > 0.0
    assert limits.wait("0", 0.0) == 0.0


def test_addresses_of_one_customer_are_one() -> None:
    assert address_name("2001:db8::1") == address_name("2001:db8::ffff:1")
    assert address_name("2001:db8::1") != address_name("2001:db8:0:1::1")
    assert address_name("::ffff:10.0.0.1") == address_name("10.0.0.1")
    assert address_name("fe80::1%eth0") == address_name("fe80::2")
    assert address_name("unix") == "unix"
