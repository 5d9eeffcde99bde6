"""Which specs have met whose jobs: after a pass, over an edit, an outage, and a wider circle."""

from __future__ import annotations

from parts.core import a_spec, desired

from reconciler.logic import meeting
from reconciler.logic.desired import Desired
from reconciler.model import LOCALHOST, HostName

HERE, THERE = meeting.circle("localhost", ()), meeting.circle("hpc", ())
CIRCLES = {LOCALHOST: HERE, HostName("hpc"): THERE}


def after(
    met: meeting.Met, *specs: Desired, withheld: tuple[str, ...] = (), circles: tuple[str, ...] = (HERE,)
) -> meeting.Met:
    return meeting.after(met, specs, [spec.name for spec in specs if spec.name in withheld], circles)


def hosts(met: meeting.Met, spec: Desired, circles: dict[HostName, str] = CIRCLES) -> set[str]:
    return {
        str(host) for name, digest, host in meeting.pairs(met, circles) if (name, digest) == (spec.name, spec.digest)
    }


def test_a_spec_meets_the_hosts_that_answered() -> None:
    spec = desired("w")
    met = after({}, spec)
    assert hosts(met, spec) == {"localhost"}
    met = after(met, spec, circles=(THERE,))
    assert hosts(met, spec) == {"localhost", "hpc"}


def test_an_edited_spec_has_met_nobody() -> None:
    old, new = desired("w"), desired(a_spec(description="other"))
    met = after(after({}, old), new, circles=(THERE,))
    assert (hosts(met, old), hosts(met, new)) == (set(), {"hpc"})


def test_while_something_waits_for_approval_the_version_before_stays() -> None:
    old, new = desired("w"), desired(a_spec(description="other"))
    met = after(after({}, old), new, withheld=("w",))
    assert (hosts(met, old), hosts(met, new)) == ({"localhost"}, set())
    assert after({}, new, withheld=("w",)) == {}


def test_a_spec_that_is_gone_is_forgotten() -> None:
    spec = desired("w")
    assert after(after({}, spec)) == {}


def test_more_users_are_another_circle() -> None:
    spec = desired("w")
    met = after({}, spec)
    assert hosts(met, spec, {LOCALHOST: meeting.circle("localhost", ("*",))}) == set()
    assert meeting.circle("a", ("x", "y")) == meeting.circle("a", ("y", "x"))


def test_the_state_keeps_it() -> None:
    met = after({}, desired("w"), desired("ü"))
    assert meeting.read(meeting.written(met)) == met
    assert meeting.read(None) == {}
