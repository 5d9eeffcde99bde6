"""`reconcile attach`: a watcher for one job, as a file that the engine takes up like any other."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from parts.house import House, Jobs
from parts.waiting import eventually
from ruamel.yaml import YAML

from reconciler import app
from reconciler.model import WatcherState


@pytest.fixture
def jobs(house: House) -> Jobs:
    return house.with_jobs()


def layer(house: House) -> Path:
    """The directory into which it writes."""
    return app.api_directory(house.settings)


def written(house: House) -> dict[str, Any]:
    (path,) = layer(house).iterdir()
    read: dict[str, Any] = YAML(typ="safe").load(path)
    return read


def test_the_file_is_the_owners_alone_and_says_what_was_asked(house: House) -> None:
    got = house.run("attach", "124_7@hpc1", "--pattern", r"loss: nan|\d+", "--cancel", "--stream", "both", "--from-end")
    assert got.returncode == 0, got.stderr
    (path,) = layer(house).iterdir()
    assert got.stdout == f"wrote {path}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert written(house) == {
        "name": "attached to 124_7 on hpc1",
        "jobs": {"ids": ["124_7"], "hosts": ["hpc1"]},
        "pattern": r"loss: nan|\d+",
        "output_type": "both",
        "start_at": "end",
        "actions": [{"type": "cancel_job", "params": {"reason": "$0"}}],
    }


def test_actions_come_in_a_safe_order(house: House) -> None:
    words = ("--metric", "epoch=$1", "--metric", "share=$1/100", "--notify", "me", "--cancel")
    assert house.run("attach", "7", "--pattern", r"Epoch (\d+)", *words).returncode == 0
    assert [action["type"] for action in written(house)["actions"]] == [
        "store_metric", "store_metric", "notify", "cancel_job",
    ]  # fmt: skip
    assert written(house)["actions"][0]["params"] == {"name": "epoch", "value": "$1"}


def test_without_an_action_it_records(house: House) -> None:
    assert house.run("attach", "7", "--pattern", "x").returncode == 0
    assert written(house)["actions"] == [{"type": "log_event", "params": {"message": "$0"}}]


def test_a_silence_has_no_match_and_is_told_in_words(house: House) -> None:
    assert house.run("attach", "7", "--silence", "30m", "--notify", "me", "--cancel").returncode == 0
    words = "${0:-nothing was printed for 30m}"
    tell, cancel = written(house)["actions"]
    assert tell["params"]["message"] == "${JOB_NAME} (${JOB_ID}): " + words
    assert cancel["params"]["reason"] == words


def test_what_would_not_work_is_told_at_once_as_validate_tells_it(house: House) -> None:
    words = ("--pattern", "x", "--notify", "mee", "--metric", "loss=$2")
    got = house.run("attach", "7", *words)
    assert got.returncode == 0
    assert "warning[not-allowed] there is no apprise channel 'mee'" in got.stderr
    assert "$2" in got.stderr
    assert written(house)["actions"][1]["type"] == "notify"


def test_print_writes_nothing_and_what_it_prints_loads(house: House) -> None:
    got = house.run("attach", "0123", "--preset", "oom", "--name", "on: # oom", "--print")
    assert (got.returncode, got.stderr) == (0, "")
    assert not layer(house).exists()
    loaded = app.parse(got.stdout.encode(), "printed")
    assert loaded.good
    assert (loaded.specs[0].spec.name, loaded.specs[0].spec.jobs.ids) == ("on: # oom", ("0123",))


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["7"], 64, "what should be looked for?"),
        (["7", "--cancel"], 64, "what should be looked for?"),
        (["7", "--pattern", "x", "--metric", "loss"], 64, "has no value"),
        (["7", "--pattern", "("], 4, "pattern"),
        (["7", "--preset", "nonsense"], 4, "preset"),
        (["7", "--silence", "soon"], 4, "silence"),
        (["$(touch x)", "--pattern", "x"], 4, "ids"),
        (["7@-oProxyCommand=x", "--pattern", "x"], 4, "hosts"),
        (["--pattern", "x"], 64, "JOB"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    house: House, words: list[str], status: int, why: str
) -> None:
    got = house.run("attach", *words)
    assert (got.returncode, got.stdout) == (status, "")
    assert why in got.stderr
    assert not layer(house).exists()


def test_a_second_one_of_the_name_does_not_overwrite_the_first(house: House) -> None:
    assert house.run("attach", "7", "--pattern", "a").returncode == 0
    got = house.run("attach", "7", "--pattern", "b")
    assert (got.returncode, "--name" in got.stderr) == (64, True)
    assert written(house)["pattern"] == "a"
    assert house.run("attach", "7", "--pattern", "b", "--name", "another").returncode == 0
    assert len(os.listdir(layer(house))) == 2


def test_a_name_leads_to_no_other_directory(house: House) -> None:
    assert house.run("attach", "7", "--pattern", "a", "--name", "../../x/.y").returncode == 0
    (path,) = layer(house).iterdir()
    assert path.name.startswith("api-7-x-y-")
    assert written(house)["name"] == "../../x/.y"


def test_names_in_any_script_are_told_apart(house: House) -> None:
    for name in ("损失", "显存", "x y", "x-y"):
        assert house.run("attach", "7", "--pattern", "a", "--name", name).returncode == 0
    assert len(os.listdir(layer(house))) == 4


async def test_an_attached_watcher_hides_no_file_of_the_directories(house: House, jobs: Jobs) -> None:
    jobs.add("7")
    house.write("other", file="oom.yaml")
    await house.once()
    assert house.run("attach", "7", "--pattern", "a", "--name", "oom").returncode == 0
    assert (await house.once()).applied == 1
    with house.state() as state:
        assert [spec.missing_since for spec in state.specs()] == [None, None]


async def test_it_acts_on_its_job_alone(house: House, jobs: Jobs) -> None:
    for job_id in ("7", "8"):
        jobs.add(job_id).write_text("loss: nan\n")
    await house.once()
    assert house.run("attach", "7", "--pattern", "loss: nan", "--cancel").returncode == 0
    await house.once()
    assert jobs.cancelled == ["7"]
    row = house.row("attached to 7")
    assert (row.job.id, Path(row.origin.file).parent) == ("7", layer(house))
    await house.once()
    assert jobs.cancelled == ["7"]


async def test_from_the_end_it_sees_what_is_printed_from_now_on(house: House, jobs: Jobs) -> None:
    out = jobs.add("7")
    out.write_text("loss: nan 1\n")
    await house.once()
    assert house.run("attach", "7", "--pattern", r"nan \d", "--from-end").returncode == 0
    await house.once()
    with out.open("a") as file:
        file.write("loss: nan 2\n")
    await house.once()
    assert house.matched("attached to 7") == ["nan 2"]


async def test_a_daemon_takes_it_up_by_itself(house: House) -> None:
    async with house.daemon():
        job_id = await house.submit("echo loss: nan; exec sleep 60", wait=False)
        other = await house.submit("echo loss: nan; exec sleep 60", wait=False)
        assert house.run("attach", job_id, "--pattern", "loss: nan", "--cancel").returncode == 0
        await eventually(lambda: (house.home / "state.db").exists() and house.done() != [])
        await eventually(lambda: house.row(f"attached to {job_id}").state is WatcherState.COMPLETED)
        async with house.host() as host:
            found = await host.scheduler.lookup([job_id, other])
        assert (found[job_id].state, found[other].state) == ("cancelled", "running")
    await house.cancel_all()
