"""What a first run does, and refuses: in CI with an empty state, from a clone of the repository, with no directory."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
from parts.house import House

from reconciler.app import parse
from reconciler.logic.selecting import dangerous

SHIPPED = Path(str(files("reconciler") / "watchers.d"))


def remote(tmp_path: Path) -> House:
    """A reconciler with a host that is not this machine, and that nobody can reach."""
    section = {"transport": {"type": "ssh", "address": "127.0.0.1", "port": 1}, "scheduler": {"type": "local"}}
    house = House(tmp_path)
    house.written["hosts"] = {**house.written["hosts"], "hpc1": section}
    return house


def test_a_first_pass_in_ci_against_remote_hosts_is_refused_and_says_how(tmp_path: Path) -> None:
    house = remote(tmp_path)
    house.write("w")
    told = house.run(str(house.watchers), "--once", CI="true")
    assert told.returncode == 5
    assert "hpc1" in told.stderr
    assert "--new-state" in told.stderr
    assert not (house.home / "state.db").exists()


@pytest.mark.parametrize("words", [("apply", "--yes"), ("daemon", "--once", "--wait")])
def test_whatever_makes_one_first_pass_in_ci_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    house = remote(tmp_path)
    house.write("w")
    told = house.run(words[0], str(house.watchers), *words[1:], CI=" on")
    assert (told.returncode, "--new-state" in told.stderr) == (5, True), told.stderr


async def test_a_state_that_knows_no_watcher_is_empty_though_its_file_is_there(tmp_path: Path) -> None:
    house = remote(tmp_path)
    house.write("w")
    (house.home / "state.db").touch()
    assert house.run(str(house.watchers), "--once", CI="true").returncode == 5
    await house.submit("exec sleep 600", wait=False)
    assert House(tmp_path).run("clean").returncode == 0  # which notes down the job
    assert house.run(str(house.watchers), "--once", CI="Yes").returncode == 5
    assert house.run(str(house.watchers), "--once", "--new-state", CI="Yes").returncode == 7  # hpc1 cannot be reached
    assert len(house.rows("w")) == 1
    await House(tmp_path).cancel_all()


def test_apply_begins_with_an_empty_state_in_ci_where_that_is_meant(tmp_path: Path) -> None:
    house = remote(tmp_path)
    house.write("w")
    assert house.run("apply", str(house.watchers), "--yes", "--new-state", CI="true").returncode == 7


@pytest.mark.parametrize("env", [{"CI": "true"}, {"CI": "1"}])
def test_in_ci_against_this_machine_alone_nothing_is_refused(house: House, env: dict[str, str]) -> None:
    house.write("w")
    assert house.run(str(house.watchers), "--once", timeout=60.0, **env).returncode == 0


def test_a_state_that_is_there_may_be_used_in_ci(house: House) -> None:
    house.write("w")
    assert house.run(str(house.watchers), "--once").returncode == 0
    told = remote(house.home).run(str(house.watchers), "--once", CI="true")
    assert told.returncode != 5, told.stderr


def test_without_a_directory_nothing_is_guessed(house: House) -> None:
    told = house.run("--once", XDG_CONFIG_HOME=str(house.home / "empty"))
    assert told.returncode == 64
    assert "watchers.d" in told.stderr


def test_the_current_directory_counts_only_when_it_is_named(house: House) -> None:
    (house.home / "w.yaml").write_text("name: w\npattern: x\nactions: [{type: log_event, params: {message: m}}]\n")
    assert house.run("--once", XDG_CONFIG_HOME=str(house.home / "empty")).returncode == 64
    assert not (house.home / "state.db").exists()


async def test_the_directory_of_the_user_is_read_without_being_named(house: House, tmp_path: Path) -> None:
    place = tmp_path / "config" / "reconciler" / "watchers.d"
    place.mkdir(parents=True)
    (place / "w.yaml").write_text(json.dumps({"name": "w", "pattern": "hit", "actions": [{"type": "log_event"}]}))
    told = house.run("--once", XDG_CONFIG_HOME=str(tmp_path / "config"))
    assert told.returncode == 4, "log_event wants a message"
    (place / "w.yaml").write_text("name: w\npattern: hit\nactions: [{type: log_event, params: {message: m}}]\n")
    await house.submit("echo hit")
    assert house.run("--once", XDG_CONFIG_HOME=str(tmp_path / "config")).returncode == 0
    assert house.matched("w") == ["hit"]


def test_what_the_repository_ships_does_not_act_on_anybodys_jobs() -> None:
    specs = [
        located.spec
        for path in sorted(SHIPPED.glob("*.yaml"))
        if not path.name.endswith(".test.yaml")
        for located in parse(path.read_bytes(), str(path)).specs
    ]
    assert len(specs) >= 3
    assert [spec.name for spec in specs if dangerous(spec)] == []


def test_examples_that_could_do_harm_lie_where_they_are_inert(house: House) -> None:
    harmful = [
        path.name
        for path in sorted((SHIPPED / "examples").glob("*.yaml"))
        if any(dangerous(located.spec) for located in parse(path.read_bytes(), str(path)).specs)
    ]
    assert harmful
    told = house.run("plan", str(SHIPPED), "-o", "json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["problems"] == []


async def test_a_clone_binds_nothing_dangerous_even_where_its_directory_is_named(house: House) -> None:
    await house.submit("echo CUDA out of memory")
    assert house.run(str(SHIPPED), "--once").returncode == 0
    assert len(house.rows()) >= 3
    kinds = {event.action_type for event in house.events() if event.action_type}
    assert kinds <= {"log_event", "store_metric"}
