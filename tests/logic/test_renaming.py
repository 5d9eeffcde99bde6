"""What `renamed_from` does to watchers: position and counters go on under the new name, of one watcher in one place."""

from __future__ import annotations

from parts.core import a_job, a_spec, a_watcher, applied, desired, kinds_of, known, planned, reading, resolved

from reconciler.logic.desired import Desired, Resolution
from reconciler.model import WatcherState


def renaming(*extra: Desired) -> tuple[Desired, Desired, Resolution]:
    old = desired("Old")
    new = desired(a_spec("New", renamed_from="Old"))
    return old, new, resolved(reading(new, *extra), before=[old])


def test_a_renamed_spec_keeps_its_watchers() -> None:
    old, _, resolution = renaming()
    plan = planned(resolution, [known()], [a_watcher(old, trigger_count=4)])
    assert kinds_of(plan.pending) == [("replace", "New", "1")]
    assert plan.pending[0].before is not None
    assert plan.pending[0].before.trigger_count == 4
    assert planned(resolution, [known()], applied(plan, [a_watcher(old)])).pending == ()


def test_a_renamed_spec_also_binds_new_jobs() -> None:
    old, _, resolution = renaming()
    plan = planned(resolution, [known(), known(a_job("2"))], [a_watcher(old)])
    assert kinds_of(plan.pending) == [("create", "New", "2"), ("replace", "New", "1")]


def test_a_renamed_spec_goes_on_from_the_tombstone_of_its_old_name() -> None:
    old, new, _ = renaming()
    plan = planned(resolved(reading(new), before=()), [known()], [a_watcher(old, phase=WatcherState.STOPPED)])
    assert kinds_of(plan.pending) == [("replace", "New", "1")]


def test_a_name_that_is_still_in_use_is_not_taken_over() -> None:
    old, _, resolution = renaming(desired("Old"))
    plan = planned(resolution, [known()], [a_watcher(old)])
    assert kinds_of(plan.pending) == [("create", "New", "1")]


def test_renaming_waits_while_it_cannot_be_told_whether_the_old_name_is_gone() -> None:
    old, new, _ = renaming()
    unclear = resolved(reading(new, bad=[old.origin.file]), before=[old])
    assert planned(unclear, [known()], [a_watcher(old)]).pending == ()


def test_a_spec_that_has_a_watcher_of_its_own_takes_no_other_over_when_the_old_name_goes() -> None:
    old, new, resolution = renaming()
    plan = planned(resolution, [known()], [a_watcher(old), a_watcher(new, number=2)])
    assert kinds_of(plan.pending) == [("stop", "Old", "1")]


def test_a_renamed_spec_whose_selector_no_longer_fits_stops_the_old_watcher() -> None:
    old = desired("Old")
    new = desired(a_spec("New", renamed_from="Old", jobs={"name": "eval"}))
    plan = planned(resolved(reading(new), before=[old]), [known()], [a_watcher(old)])
    assert kinds_of(plan.pending) == [("stop", "Old", "1")]


def test_a_spec_that_is_divided_by_job_hands_each_watcher_to_the_part_that_fits() -> None:
    old = desired("Old")
    parts = [desired(a_spec(f"{job}", renamed_from="Old", jobs={"name": job})) for job in ("one", "two")]
    jobs = [known(a_job("1", name="one")), known(a_job("2", name="two"))]
    watchers = [a_watcher(old, job=job.now, number=number) for number, job in enumerate(jobs, 1)]
    plan = planned(resolved(reading(*parts), before=[old]), jobs, watchers)
    assert kinds_of(plan.pending) == [("replace", "one", "1"), ("replace", "two", "2")]


def test_of_two_specs_with_the_same_old_name_one_takes_its_watcher_over() -> None:
    old = desired("Old")
    heirs = [desired(a_spec(name, renamed_from="Old")) for name in ("A", "B")]
    plan = planned(resolved(reading(*heirs), before=[old]), [known()], [a_watcher(old)])
    assert kinds_of(plan.pending) == [("create", "B", "1"), ("replace", "A", "1")]
