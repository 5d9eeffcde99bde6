"""What is wanted against what there is: every kind of change, and what waits for a person's yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from parts.core import (
    CANCEL,
    NOW,
    SOURCE,
    a_job,
    a_spec,
    a_watcher,
    applied,
    desired,
    kinds_of,
    known,
    planned,
    reading,
    resolved,
)

from reconciler.errors import UnsafePlanError
from reconciler.logic.desired import Desired, Reading, Resolution
from reconciler.logic.plan import ChangeKind, Plan
from reconciler.model import JobState, Watcher, WatcherState
from reconciler.protocols import KnownJob


def wanted(*specs: Desired | str) -> Resolution:
    return resolved(reading(*specs), before=())


def vanished(*specs: Desired, deliberate: bool = True) -> Resolution:
    """What remains where these specs are gone for good."""
    if deliberate:
        return resolved(reading("other", deliberate=True), before=[*specs, desired("other")])
    stored = [replace(spec.stored(), missing_since=NOW - 500) for spec in specs]
    return resolved(reading("other"), before=[*stored, desired("other")])


def only(plan: Plan) -> tuple[str, str]:
    """Kind and reason of the one change that there is."""
    assert len(plan.changes) == 1, plan.changes
    return str(plan.changes[0].kind), plan.changes[0].reason


# --- binding ---------------------------------------------------------------------------------------------------------


def test_a_spec_is_bound_to_every_job_it_fits() -> None:
    jobs = [known(a_job("1")), known(a_job("2", name="eval")), known(a_job("3", name="train-7"))]
    plan = planned(wanted(desired(a_spec(jobs={"name": "train*"}))), jobs)
    assert kinds_of(plan.pending) == [("create", "w", "1"), ("create", "w", "3")]


def test_a_second_pass_plans_nothing() -> None:
    specs = wanted("a", "b")
    jobs = [known(a_job("1")), known(a_job("2"))]
    first = planned(specs, jobs)
    assert len(first.pending) == 4
    assert planned(specs, jobs, applied(first)).pending == ()


def test_the_same_job_id_on_two_hosts_is_two_jobs() -> None:
    jobs = [known(a_job("7", host="a")), known(a_job("7", host="b"))]
    plan = planned(wanted("w"), jobs)
    assert sorted(str(change.job) for change in plan.pending) == ["7@a", "7@b"]


def test_binding_is_decided_on_the_job_as_it_was_first_seen() -> None:
    job = known(a_job(name="renamed"), first=a_job(name="train-1"))
    spec = desired(a_spec(jobs={"name": "train-*"}))
    assert kinds_of(planned(wanted(spec), [job]).pending) == [("create", "w", "1")]
    assert planned(wanted(spec), [job], [a_watcher(spec)]).pending == ()


def test_nothing_is_bound_to_a_job_that_is_done_with() -> None:
    ended = known(a_job(state=JobState.COMPLETED), finished=True)
    assert planned(wanted("w"), [ended]).changes == ()


def test_a_job_that_ended_and_was_not_read_yet_is_still_bound() -> None:
    ended = known(a_job(state=JobState.FAILED))
    change = planned(wanted("w"), [ended]).pending[0]
    assert (change.kind, change.static) == (ChangeKind.CREATE, False)


def test_a_job_named_by_id_that_was_done_with_gets_a_static_watcher() -> None:
    spec = desired(a_spec(jobs={"ids": ["1"]}))
    ended = known(a_job(state=JobState.COMPLETED), finished=True)
    change = planned(wanted(spec), [ended]).pending[0]
    assert (change.kind, change.static) == (ChangeKind.CREATE, True)
    assert "request only" in change.reason


# --- edits -----------------------------------------------------------------------------------------------------------


def test_an_edited_spec_updates_its_watchers() -> None:
    old = desired(a_spec(pattern="old"))
    new = desired(a_spec(pattern="new"))
    plan = planned(resolved(reading(new), before=[old]), [known()], [a_watcher(old)])
    assert only(plan) == ("update", "its spec was edited")
    assert plan.changes[0].before == a_watcher(old)
    assert plan.changes[0].after is not None
    assert plan.changes[0].after.digest == new.digest


@pytest.mark.parametrize("phase", [WatcherState.TRIGGERED, WatcherState.DISABLED, WatcherState.STATIC])
def test_an_edit_reaches_watchers_that_are_not_active(phase: WatcherState) -> None:
    old = desired(a_spec(pattern="old"))
    plan = planned(wanted(desired(a_spec(pattern="new"))), [known()], [a_watcher(old, phase=phase)])
    assert only(plan)[0] == "update"


def test_a_completed_watcher_is_left_alone_by_an_edit() -> None:
    done = a_watcher(phase=WatcherState.COMPLETED)
    ended = known(a_job(state=JobState.COMPLETED), finished=True)
    assert planned(wanted(desired(a_spec(pattern="new"))), [ended], [done]).pending == ()


def test_a_selector_that_was_edited_away_stops_the_watcher() -> None:
    old = desired(a_spec(jobs={"name": "train*"}))
    new = desired(a_spec(jobs={"name": "eval*"}))
    plan = planned(wanted(new), [known()], [a_watcher(old)])
    assert only(plan) == ("stop", "its edited selector no longer fits the job")
    assert planned(wanted(new), [known()], applied(plan, [a_watcher(old)])).pending == ()


def test_a_selector_that_fits_again_goes_on_from_the_checkpoint() -> None:
    tombstone = a_watcher(desired(a_spec(jobs={"name": "eval*"})), phase=WatcherState.STOPPED)
    plan = planned(wanted("w"), [known()], [tombstone])
    assert only(plan)[0] == "resume"
    assert plan.changes[0].before == tombstone


# --- going and coming back -------------------------------------------------------------------------------------------


def test_a_committed_deletion_stops_the_watchers_of_the_spec_alone() -> None:
    gone, stays = desired("gone"), desired("other")
    watchers = [a_watcher(gone), a_watcher(stays, number=2)]
    plan = planned(vanished(gone), [known()], watchers)
    assert kinds_of(plan.pending) == [("stop", "gone", "1")]
    assert plan.changes[-1].deliberate


def test_a_spec_that_came_back_revives_its_tombstone() -> None:
    tombstone = a_watcher(phase=WatcherState.STOPPED, trigger_count=3)
    plan = planned(wanted("w"), [known()], [tombstone])
    assert only(plan) == ("resume", "wanted again; goes on from its checkpoint")


def test_a_tombstone_of_a_job_that_is_done_with_stays_one() -> None:
    ended = known(a_job(state=JobState.COMPLETED), finished=True)
    assert planned(wanted("w"), [ended], [a_watcher(phase=WatcherState.STOPPED)]).pending == ()


def test_what_is_completed_or_stopped_is_not_stopped_again() -> None:
    gone = desired("gone")
    over = [a_watcher(gone, number=n, phase=p) for n, p in enumerate((WatcherState.COMPLETED, WatcherState.STOPPED), 1)]
    assert kinds_of(planned(vanished(gone), [known()], over).pending) == [("create", "other", "1")]


def test_prune_disabled_keeps_a_watcher_whose_file_is_gone() -> None:
    gone = desired(a_spec("gone", prune="disabled"))
    resolution = vanished(gone)
    plan = planned(resolution, [known(), known(a_job("2"))], [a_watcher(gone)])
    assert kinds_of(plan.pending) == [("create", "other", "1"), ("create", "other", "2")]
    kept = resolution.desired[gone.name]
    assert not kept.binds
    assert "prune: disabled" in kept.note


# --- jobs that come again --------------------------------------------------------------------------------------------


def test_a_requeued_job_keeps_its_watcher() -> None:
    done = a_watcher(phase=WatcherState.COMPLETED)
    again = known(a_job(state=JobState.PENDING, submitted=NOW, restarts=1), first=a_job())
    plan = planned(wanted("w"), [again], [done])
    assert only(plan) == ("resume", "the job was requeued; goes on from its checkpoint")


def test_a_job_id_given_to_another_job_gets_a_watcher_of_its_own() -> None:
    earlier = a_watcher(job=a_job(submitted=NOW - 9000), phase=WatcherState.COMPLETED)
    plan = planned(wanted("w"), [known(a_job(submitted=NOW))], [earlier])
    assert only(plan)[0] == "create"


def test_a_live_watcher_of_an_earlier_job_with_the_same_id_is_stopped() -> None:
    earlier = a_watcher(job=a_job(submitted=NOW - 9000))
    plan = planned(wanted("w"), [known(a_job(submitted=NOW))], [earlier])
    assert kinds_of(plan.pending) == [("create", "w", "1"), ("stop", "w", "1")]
    stop = next(change for change in plan.pending if change.kind is ChangeKind.STOP)
    assert "another job" in stop.reason


# --- what waits for a yes --------------------------------------------------------------------------------------------


def fleet(count: int, **fields: object) -> tuple[list[Desired], list[KnownJob], list[Watcher]]:
    specs = [desired(a_spec(f"w{number}", **fields)) for number in range(count)]
    return specs, [known()], [a_watcher(spec, number=n) for n, spec in enumerate(specs, 1)]


def gone_for_long(specs: Sequence[Desired], count: int, *, approved: bool = False) -> Resolution:
    before = [replace(s.stored(), missing_since=NOW - 500) for s in specs[:count]] + [s.stored() for s in specs[count:]]
    return resolved(reading(*specs[count:]), before=before, approved=approved)


def test_a_mass_stop_that_nobody_committed_waits() -> None:
    specs, jobs, watchers = fleet(30)
    plan = planned(gone_for_long(specs, 21), jobs, watchers)
    assert len(plan.withheld) == 21
    assert plan.applicable == ()
    with pytest.raises(UnsafePlanError, match="would stop 21 of 30") as told:
        plan.raise_if_unsafe()
    assert "--approve" in told.value.remedy


def test_half_of_a_small_fleet_is_a_mass_too() -> None:
    specs, jobs, watchers = fleet(8)
    assert len(planned(gone_for_long(specs, 5), jobs, watchers).withheld) == 5
    assert planned(gone_for_long(specs, 4), jobs, watchers).withheld == ()


def test_a_mass_stop_that_was_committed_or_approved_goes_through() -> None:
    specs, jobs, watchers = fleet(30)
    committed = resolved(reading("x", deliberate=True), before=[s.stored() for s in specs])
    assert len([c for c in planned(committed, jobs, watchers).applicable if c.kind is ChangeKind.STOP]) == 30
    approved = planned(gone_for_long(specs, 29, approved=True), jobs, watchers, approved=True)
    assert len(approved.applicable) == 29
    approved.raise_if_unsafe()


def test_binding_a_dangerous_action_to_many_jobs_at_once_waits() -> None:
    jobs = [known(a_job(str(number))) for number in range(101)]
    specs = wanted(desired(a_spec(actions=[CANCEL])), "harmless")
    plan = planned(specs, jobs)
    assert len(plan.withheld) == 101
    assert {change.name for change in plan.applicable} == {"harmless"}
    assert "101 times" in plan.withheld[0].withheld
    assert planned(specs, jobs[:100]).withheld == ()
    assert planned(specs, jobs, approved=True).withheld == ()


def test_observing_binds_to_any_number_of_jobs() -> None:
    jobs = [known(a_job(str(number))) for number in range(500)]
    assert planned(wanted(desired(a_spec(actions=[CANCEL], mode="observe"))), jobs).withheld == ()


def test_an_edit_that_makes_a_spec_dangerous_on_many_jobs_waits() -> None:
    harmless, dangerous = desired("w"), desired(a_spec(actions=[CANCEL]))
    jobs = [known(a_job(str(number))) for number in range(150)]
    watchers = [a_watcher(harmless, job.now, number) for number, job in enumerate(jobs, 1)]
    plan = planned(resolved(reading(dangerous), before=[harmless]), jobs, watchers)
    assert len(plan.withheld) == 150
    edited = desired(a_spec(actions=[CANCEL], description="the same danger"))
    bound = [a_watcher(dangerous, job.now, number) for number, job in enumerate(jobs, 1)]
    assert planned(resolved(reading(edited), before=[dangerous]), jobs, bound).withheld == ()


def test_jobs_that_come_to_a_spec_that_is_applied_do_not_wait() -> None:
    spec = desired(a_spec(actions=[CANCEL]))
    jobs = [known(a_job(f"7_{task}")) for task in range(500)]
    same = resolved(reading(spec), before=[spec])
    assert planned(same, jobs, met=[spec]).withheld == ()
    assert len(planned(same, jobs).withheld) == 500  # applied, and never to this host
    elsewhere = [known(a_job(f"7_{task}", host="other")) for task in range(500)]
    assert len(planned(same, elsewhere, met=[spec]).withheld) == 500


def test_an_edit_that_widens_a_spec_waits_though_the_version_before_was_applied() -> None:
    narrow = desired(a_spec(actions=[CANCEL], jobs={"name": "train-1"}))
    wide = desired(a_spec(actions=[CANCEL]))
    jobs = [known(a_job(str(number))) for number in range(150)]
    plan = planned(resolved(reading(wide), before=[narrow]), jobs, met=[narrow])
    assert len(plan.withheld) == 150


def test_what_waits_for_one_spec_holds_up_no_jobs_of_another() -> None:
    settled, new = desired(a_spec("settled", actions=[CANCEL])), desired(a_spec("new", actions=[CANCEL]))
    jobs = [known(a_job(str(number))) for number in range(101)]
    plan = planned(resolved(reading(settled, new), before=[settled]), jobs, met=[settled])
    assert {change.name for change in plan.withheld} == {"new"}
    assert {change.name for change in plan.applicable} == {"settled"}


def test_watchers_that_fire_on_request_only_are_not_counted() -> None:
    ended = [known(a_job(str(n), state=JobState.COMPLETED), finished=True) for n in range(150)]
    spec = desired(a_spec(actions=[CANCEL], jobs={"ids": [str(n) for n in range(150)]}))
    assert planned(wanted(spec), ended).withheld == ()


def test_the_digest_names_what_would_be_done() -> None:
    one, two = planned(wanted("a"), [known()]), planned(wanted("b"), [known()])
    assert one.digest() != two.digest()
    assert one.digest() == planned(wanted("a"), [known()]).digest()


def test_the_stops_of_an_emptied_directory_wait_and_one_digest_means_them() -> None:
    specs, jobs, watchers = fleet(2)
    plan = planned(resolved(reading(), before=specs), [*jobs, known(a_job("2"))], watchers)
    assert kinds_of(plan.withheld) == [("stop", "w0", "1"), ("stop", "w1", "1")]
    assert kinds_of(plan.applicable) == [("create", "w0", "2"), ("create", "w1", "2")]
    with pytest.raises(UnsafePlanError, match="is empty") as told:
        plan.raise_if_unsafe()
    assert f"--approve={plan.digest()}`, over the same directories" in told.value.remedy
    assert planned(resolved(reading(), before=specs), jobs, watchers).digest() == plan.digest()
    approved = plan.approved()
    assert kinds_of(approved.pending) == [("stop", "w0", "1"), ("stop", "w1", "1")]
    assert (approved.withheld, approved.digest()) == ((), plan.digest())
    approved.raise_if_unsafe()
    assert planned(resolved(reading(), before=[specs[0]]), jobs, watchers).digest() != plan.digest()


def test_an_emptied_directory_whose_watchers_have_no_job_has_a_digest_too() -> None:
    specs, _, _ = fleet(2)
    plan = planned(resolved(reading(), before=specs))
    assert plan.pending == ()
    assert plan.digest() != planned(resolved(reading(), before=specs[:1])).digest()
    assert len(plan.approved().resolution.vanished) == 2


def test_no_yes_is_offered_to_a_directory_that_cannot_be_read() -> None:
    specs, jobs, watchers = fleet(2)
    plan = planned(resolved(Reading(SOURCE, failed="no such directory"), before=specs), jobs, watchers)
    assert plan.pending == ()
    with pytest.raises(UnsafePlanError, match="no such directory") as told:
        plan.raise_if_unsafe()
    assert "--approve" not in told.value.remedy
    assert "commit the deletion" in told.value.remedy
    assert "empty directory" in told.value.remedy
