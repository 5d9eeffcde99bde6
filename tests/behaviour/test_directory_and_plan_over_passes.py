"""A directory of watchers through passes: edits, disappearances, approvals, git; and a plan, which changes nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from parts.core import LOG
from parts.house import House, Jobs

from reconciler.model import WatcherState

THREE = """\
- name: alpha
  pattern: "hit a"
  actions:
    - type: log_event
      params: {message: "alpha saw $0"}
- name: beta
  pattern: "hit b"
  max_triggers: 100
  actions:
    - type: log_event
      params: {message: "beta saw $0"}
- name: gamma
  pattern: "hit c"
  actions:
    - type: log_event
      params: {message: "gamma saw $0"}
"""


@pytest.fixture
def jobs(house: House) -> Jobs:
    return house.with_jobs()


def changes(house: House) -> list[str]:
    """What became of watchers, in order."""
    kinds = ("created", "updated", "replaced", "stopped", "resumed", "suspended")
    return [f"{e.type.split('.')[2]} {e.watcher}" for e in house.events(*(f"watcher.{kind}" for kind in kinds))]


def live(house: House) -> list[str]:
    return sorted(str(watcher.name) for watcher in house.rows() if watcher.phase.live)


def raw(house: House, name: str, text: str) -> Path:
    path = house.watchers / name
    path.write_text(text)
    house._settle(path)
    return path


def tree(home: Path) -> dict[str, str]:
    """The files of the state, by digest."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(home.glob("state.db*"))}


# --- edits -----------------------------------------------------------------------------------------------------------


async def test_each_change_of_the_directory_is_exactly_one_change_of_the_watchers(house: House, jobs: Jobs) -> None:
    jobs.add()
    house.write("a")
    await house.once()
    house.write("b")
    await house.once()
    house.write("a", pattern="edited")
    await house.once()
    (house.watchers / "b.yaml").rename(house.watchers / "z.yaml")
    house._settle(house.watchers)
    await house.once()
    (house.watchers / "z.yaml").unlink()
    house._settle(house.watchers)
    await house.once(approve="yes")
    assert changes(house) == ["created a", "created b", "updated a", "stopped b"]
    report = await house.once()
    assert report.plan is not None
    assert report.plan.pending == ()


async def test_files_in_a_directory_whose_name_is_no_utf_8_are_told_as_any_other(house: House) -> None:
    house.watchers = house.home / "w\udcff.d"
    house.watchers.mkdir()
    house.write("good")
    house.write("bad", surely_unknown=1)
    for _ in range(2):  # as read, and as remembered
        report = await house.once()
        assert [problem.code for problem in report.problems] == ["unknown-key"]
    with house.state() as state:
        assert [spec.name for spec in state.specs()] == ["good"]
    (bad,) = {event.data["file"] for event in house.events("source.rejected")}
    assert bad.endswith("bad.yaml")
    house.remove("good")
    await house.once()
    with house.state() as state:
        (gone,) = state.specs()
        assert gone.missing_since is not None


async def test_a_bad_file_keeps_its_last_good_version_over_restarts_and_harms_no_other(
    house: House, jobs: Jobs
) -> None:
    out = jobs.add()
    house.write("good")
    house.write("w", pattern="old")
    await house.once()
    raw(house, "w.yaml", "name: w\npattern: [\n")
    out.write_text("hit old\n")
    for _ in range(3):
        report = await house.once()
        assert 4 in report.codes()
    assert (house.matched("w"), house.matched("good")) == (["old"], ["hit"])
    (rejected,) = {(e.data["file"], e.data["line"]) for e in house.events("source.rejected")}
    assert rejected[0].endswith("w.yaml")
    house.write("w", pattern="new")
    report = await house.once()
    assert [int(code) for code in report.codes()] == [0]
    assert changes(house) == ["created good", "created w", "updated w"]


async def test_one_name_in_two_files_is_told_and_what_is_in_force_stays(house: House, jobs: Jobs) -> None:
    jobs.add()
    house.write("w", file="m.yaml", pattern="first")
    await house.once()
    house.write("w", file="a.yaml", pattern="second")
    told = await house.once()
    assert 4 in told.codes()
    assert changes(house) == ["created w"]
    (problem,) = told.problems
    assert problem.file.endswith("a.yaml")
    assert "m.yaml" in problem.message


# --- disappearances --------------------------------------------------------------------------------------------------


async def test_a_deleted_file_stops_its_watcher_after_the_grace_and_not_before(house: House, jobs: Jobs) -> None:
    jobs.add()
    house.write("w")
    house.write("other")
    await house.once()
    house.remove()
    await house.once()
    told = house.run("status").stderr
    assert "it stops when prune_grace is over" in told
    assert "`reconcile plan` says when, and whether that waits for a yes" in told
    assert house.clock is not None
    house.clock.at += 119
    await house.once()
    assert live(house) == ["other", "w"]
    house.clock.at += 2
    await house.once()
    assert live(house) == ["other"]
    assert house.row("w").state is WatcherState.STOPPED


async def test_no_prefix_of_a_file_that_stands_for_less_than_the_grace_stops_a_watcher(
    house: House, jobs: Jobs
) -> None:
    jobs.add()
    raw(house, "three.yaml", THREE)
    await house.once()
    ids = {watcher.name: watcher.id for watcher in house.rows()}
    async with house.engine() as engine:
        for length in range(len(THREE)):
            raw(house, "three.yaml", THREE[:length])
            await engine.controller.pass_()
        raw(house, "three.yaml", THREE)
        await engine.controller.pass_()
    assert house.events("watcher.stopped") == ()
    assert {name: house.row(name).id for name in ids} == ids
    assert {house.row(name).state for name in ids} == {WatcherState.ACTIVE}
    assert house.row("beta").spec_digest == next(s.digest for s in specs(house) if s.name == "beta")


def specs(house: House) -> list[Any]:
    with house.state() as state:
        return list(state.specs())


async def test_two_directories_on_one_state_leave_each_other_alone(house: House, jobs: Jobs) -> None:
    out = jobs.add()
    house.write("a")
    await house.once()
    other = house.home / "other"
    other.mkdir()
    (other / "b.yaml").write_text(json.dumps({"name": "b", "pattern": "hit", "actions": [LOG]}))
    out.write_text("hit 1\n")
    assert house.clock is not None
    for _ in range(3):
        house.clock.at += 9999
        await house.once(named=[other])
    assert live(house) == ["a", "b"]
    assert len(house.matched("a")) == 1


async def test_one_name_in_two_directories_that_are_read_in_turns_is_told_and_not_taken_over(
    house: House, jobs: Jobs
) -> None:
    jobs.add()
    house.write("w", pattern="first")
    other = house.home / "other"
    other.mkdir()
    for name in ("w", "x"):
        (other / f"{name}.yaml").write_text(json.dumps({"name": name, "pattern": "second", "actions": [LOG]}))
    await house.once()
    for _ in range(2):
        report = await house.once(named=[other])
        (problem,) = report.problems
        assert (problem.code, problem.file, 4 in report.codes()) == ("duplicate-name", str(other / "w.yaml"), True)
        assert f"{house.watchers}/w.yaml:1" in problem.message
        assert [int(code) for code in (await house.once()).codes()] == [0]
    (other / "w.yaml").unlink()
    await house.once(named=[other], approve="yes")
    assert changes(house) == ["created w", "created x"]


@pytest.mark.parametrize("how", ["moved", "linked"])
async def test_a_directory_that_moved_or_has_two_paths_goes_on_under_the_other(
    house: House, jobs: Jobs, how: str
) -> None:
    jobs.add()
    house.write("w", pattern="first")
    await house.once()
    other = house.home / "other"
    if how == "moved":
        house.watchers.rename(other)
    else:
        other.symlink_to(house.watchers)
    (other / "w.yaml").write_text(json.dumps({"name": "w", "pattern": "edited", "actions": [LOG]}))
    report = await house.once(named=[other])
    assert ([int(code) for code in report.codes()], changes(house)) == ([0], ["created w", "updated w"])


@pytest.mark.parametrize("how", ["vanished", "emptied"])
async def test_a_directory_that_vanished_or_is_empty_stops_nothing_and_says_what_to_do(
    house: House, jobs: Jobs, how: str
) -> None:
    out = jobs.add()
    house.write("a")
    house.write("b")
    await house.once()
    shutil.rmtree(house.watchers)
    if how == "emptied":
        house.watchers.mkdir()
    out.write_text("hit\n")
    assert house.clock is not None
    for _ in range(3):
        house.clock.at += 9999
        report = await house.once()
        assert 5 in report.codes()
    assert live(house) == ["a", "b"]
    assert len(house.matched()) == 2
    if how == "emptied":
        await house.once(approve="yes")
        assert live(house) == []


async def test_an_emptied_directory_is_believed_with_an_explicit_yes(house: House) -> None:
    house.write("a")
    await house.submit("sleep 60", wait=False)
    assert house.run(str(house.watchers), "--once").returncode == 0
    house.remove("a")
    told = house.run(str(house.watchers), "--once")
    assert told.returncode == 5
    assert "is it mounted?" in told.stderr
    assert "--approve" in told.stderr
    assert house.run(str(house.watchers), "--once", "--approve=0123").returncode == 5
    assert live(house) == ["a"]
    assert house.run(str(house.watchers), "--once", "--approve").returncode == 0
    assert live(house) == []
    await house.cancel_all()


def git(where: Path, *words: str) -> None:
    env = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "PATH": "/usr/bin:/bin:/usr/local/bin"}
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *who, *words], cwd=where, env=env, check=True, capture_output=True)


async def test_a_deletion_that_was_committed_counts_at_once(house: House, jobs: Jobs) -> None:
    jobs.add()
    for name in ("a", "b"):
        house.write(name)
    git(house.watchers, "init", "-q")
    git(house.watchers, "add", ".")
    git(house.watchers, "commit", "-qm", "two")
    await house.once()
    house.remove("a")
    await house.once()
    assert live(house) == ["a", "b"]
    git(house.watchers, "commit", "-qam", "one less")
    await house.once()
    assert live(house) == ["b"]
    house.remove("b")
    git(house.watchers, "commit", "-qam", "none")
    report = await house.once()
    assert live(house) == []
    assert [int(code) for code in report.codes()] == [0]


async def test_a_commit_that_deletes_the_last_file_counts_though_git_removes_the_folder(
    house: House, jobs: Jobs
) -> None:
    jobs.add()
    house.write("a")
    house.write("b")
    git(house.home, "init", "-q")
    git(house.home, "add", "watchers.d")
    git(house.home, "commit", "-qm", "two")
    await house.once()
    git(house.home, "rm", "-rq", "watchers.d")
    assert 5 in (await house.once()).codes()
    assert (live(house), house.watchers.exists()) == (["a", "b"], False)
    git(house.home, "commit", "-qm", "none")
    for _ in range(2):
        report = await house.once()
        assert live(house) == []
        assert [int(code) for code in report.codes()] == [0]


async def test_a_git_operation_under_way_voids_the_look(house: House, jobs: Jobs) -> None:
    jobs.add()
    house.write("a")
    await house.once()
    git(house.watchers, "init", "-q")
    (house.watchers / ".git" / "index.lock").write_text("")
    house.remove("a")
    house.write("b")
    report = await house.once()
    assert live(house) == ["a"]
    assert [int(code) for code in report.codes()] == [0]
    (house.watchers / ".git" / "index.lock").unlink()
    await house.once()
    assert live(house) == ["a", "b"]


# --- what waits for a yes --------------------------------------------------------------------------------------------


async def test_many_specs_without_a_selector_that_could_cancel_wait_for_approval(house: House, jobs: Jobs) -> None:
    for number in range(60):
        house.write(f"w{number}", actions=[{"type": "cancel_job"}])
    jobs.add("1").write_text("hit\n")
    jobs.add("2").write_text("hit\n")
    report = await house.once()
    assert 5 in report.codes()
    assert (house.rows(), jobs.cancelled) == ((), [])
    assert report.plan is not None
    report = await house.once(approve=report.plan.digest())
    assert [int(code) for code in report.codes()] == [0]
    assert len(house.rows()) == 120


async def test_an_edit_that_would_cancel_many_jobs_waits_and_the_old_version_goes_on_over_a_restart(
    house: House, jobs: Jobs
) -> None:
    house.write(pattern="hit old")
    for number in range(120):
        jobs.add(str(number))
    await house.once()
    house.write(pattern="hit", actions=[{"type": "cancel_job"}])
    assert 5 in (await house.once()).codes()
    (house.outputs / "localhost-7.out").write_text("hit new\nhit old\n")
    for _ in range(2):
        assert 5 in (await house.once()).codes()
    assert (house.matched(), jobs.cancelled) == (["hit old"], [])
    await house.once(approve="yes")
    with (house.outputs / "localhost-7.out").open("a") as file:
        file.write("hit anew\n")
    await house.once()
    assert jobs.cancelled == ["7"]


async def test_a_mass_stop_waits_and_the_watchers_go_on_over_a_restart(house: House, jobs: Jobs) -> None:
    out = jobs.add()
    for number in range(8):
        house.write(f"w{number}")
    await house.once()
    for number in range(6):
        house.remove(f"w{number}")
    await house.once()
    assert house.clock is not None
    house.clock.at += 500
    assert 5 in (await house.once()).codes()
    out.write_text("hit\n")
    assert 5 in (await house.once()).codes()
    assert len(house.matched()) == 8
    await house.once(approve="yes")
    assert live(house) == ["w6", "w7"]


async def test_prune_disabled_keeps_a_watcher_running_over_restarts(house: House, jobs: Jobs) -> None:
    out = jobs.add()
    house.write("w", prune="disabled")
    house.write("other")
    await house.once()
    house.remove("w")
    assert house.clock is not None
    for number in range(3):
        house.clock.at += 500
        with out.open("a") as file:
            file.write(f"hit {number}\n")
        await house.once(approve="yes")
    assert len(house.matched("w")) == 3
    told = house.run("plan", str(house.watchers))
    assert "prune: disabled keeps it" in told.stderr
    assert "not read in this pass" not in house.run("plan", str(house.outputs)).stderr


# --- the plan --------------------------------------------------------------------------------------------------------


async def test_a_plan_names_what_it_would_do_and_changes_no_byte(house: House) -> None:
    house.write("a")
    job_id = await house.submit("sleep 60", wait=False)
    assert house.run(str(house.watchers), "--once").returncode == 0
    house.write("b")
    house.write("a", pattern="edited")
    before, events = tree(house.home), house.events()
    told = house.run("plan", str(house.watchers), "-o", "json")
    assert told.returncode == 0
    planned = json.loads(told.stdout)
    found = {(c["change"], c["watcher"], Path(c["file"]).name, c["line"], c["job"]) for c in planned["changes"]}
    job = f"{job_id}@localhost"
    assert found == {("create", "b", "b.yaml", 1, job), ("update", "a", "a.yaml", 1, job)}
    assert all(change["reason"] for change in planned["changes"])
    assert house.run("plan", str(house.watchers), "--detailed-exitcode").returncode == 2
    assert (tree(house.home), house.events()) == (before, events)
    assert house.run(str(house.watchers), "--once").returncode == 0
    assert house.run("plan", str(house.watchers), "--detailed-exitcode").returncode == 0
    await house.cancel_all()


def test_a_plan_without_a_state_makes_none(house: House) -> None:
    house.write("a")
    assert house.run("plan", str(house.watchers), "--detailed-exitcode").returncode == 0
    assert tree(house.home) == {}


def test_a_plan_over_a_bad_file_ends_with_its_place(house: House) -> None:
    raw(house, "bad.yaml", "name: x\npatern: y\n")
    told = house.run("plan", str(house.watchers))
    assert told.returncode == 4
    assert "bad.yaml:2:" in told.stderr


# --- by hand ---------------------------------------------------------------------------------------------------------


async def test_a_watcher_that_was_suspended_by_hand_is_drift_and_stays_so(house: House) -> None:
    house.write("w")
    house.write("self", actions=[{"type": "pause_watcher", "params": {"reason": "enough"}}])
    await house.submit("echo hit; sleep 60", wait=False)
    assert house.run(str(house.watchers), "--once").returncode == 0
    assert house.run("suspend", "w", "--reason", "maintenance", "--for", "2h").returncode == 0
    assert house.run(str(house.watchers), "--once").returncode == 0
    told = house.run("plan", str(house.watchers), "--detailed-exitcode", "-o", "json")
    assert told.returncode == 3
    (drift,) = json.loads(told.stdout)["drift"]
    assert (drift["watcher"], drift["reason"]) == ("w", "maintenance")
    assert drift["by"]
    assert drift["until"] > drift["since"]
    shown = house.run("status").stdout
    assert "maintenance" in shown
    house.write("w", description="edited")
    assert house.run(str(house.watchers), "--once").returncode == 0
    assert house.row("w").state is WatcherState.PAUSED
    assert house.run("resume", "w").returncode == 0
    assert house.row("w").state is WatcherState.ACTIVE
    await house.cancel_all()


async def test_an_edit_that_only_suspends_or_lets_go_is_planned_and_told_as_that(house: House, jobs: Jobs) -> None:
    jobs.add()
    house.write("w")
    await house.once()
    told = []
    for suspend in (True, {"reason": "a"}, {"reason": "b"}, None):
        house.write("w", suspend=suspend)
        report = await house.once()
        assert report.plan is not None
        told.append([change.kind.value for change in report.plan.pending])
    assert told[0] == ["suspend"]
    assert told[2:] == [["update"], ["resume"]]
    kinds = [event.type.split(".")[2] for event in house.events("watcher.suspended", "watcher.resumed")]
    assert kinds == ["suspended", "resumed"]


async def test_a_declared_suspension_holds_and_its_end_lets_go(house: House, jobs: Jobs) -> None:
    out = jobs.add()
    house.write("w", suspend={"reason": "not yet"})
    await house.once()
    out.write_text("hit 1\n")
    await house.once()
    assert (house.row().state, house.matched()) == (WatcherState.PAUSED, [])
    house.write("w")
    await house.once()
    assert house.matched() == ["hit"]
    assert [event.type.split(".")[2] for event in house.events("watcher.suspended", "watcher.resumed")] == ["resumed"]


async def test_resuming_from_the_end_skips_what_was_printed_meanwhile(house: House, jobs: Jobs) -> None:
    out = jobs.add()
    house.write("w", pattern=r"hit \d")
    out.write_text("hit 1\n")
    await house.once()
    house.run("suspend", "w")
    with out.open("a") as file:
        file.write("hit 2\n")
    await house.once()
    assert house.run("resume", "w", "--from", "end").returncode == 0
    await house.once()
    with out.open("a") as file:
        file.write("hit 3\n")
    await house.once()
    assert house.matched() == ["hit 1", "hit 3"]
