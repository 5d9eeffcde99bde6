"""`reconcile replay --last`: watchers over the outputs of the jobs that ended last, for a pull request."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from parts.house import House

from reconciler.cli import main
from reconciler.model import JobState

WATCHERS = """\
name: OOM
jobs: {name: "train-*"}
pattern: out of memory
max_triggers: 2
actions: [{type: cancel_job}, {type: log_event, params: {message: x}}]
---
name: Evil | name
output_type: both
pattern: '<b>.*'
actions: [{type: log_event, params: {message: x}}]
---
name: Ends
trigger_on_job_end: true
trigger_job_states: [failed]
actions: [{type: log_event, params: {message: x}}]
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Five jobs of which the state knows: four ended, one of them under another name, one without its output."""
    made = House(tmp_path)
    jobs = made.with_jobs()
    for number, name in enumerate(["train-a", "train-b", "other", "train-gone", "train-runs"]):
        out = jobs.add(str(number), name=name)
        if name != "train-gone":
            out.write_text(f"line\nout of memory {number}\n" * (number + 1) + "<b>@ada|</b>\n")
    jobs.change("1", stderr=str(tmp_path / "1.err"))
    (tmp_path / "1.err").write_text("<b>err\n")
    for number in range(4):
        state = JobState.FAILED if number == 1 else JobState.COMPLETED
        jobs.finish(str(number), state=state)
        jobs.change(str(number), ended=1000.0 + number)
    (tmp_path / "w.yaml").write_text(WATCHERS)
    asyncio.run(made.once())
    return made


def replayed(house: House, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    config = str(house.config())
    assert main(["--config", config, "replay", "--watchers", str(house.home / "w.yaml"), *words]) == 0
    return capsys.readouterr().out


def counted(house: House, capsys: pytest.CaptureFixture[str], last: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(replayed(house, capsys, "--last", str(last), "-o", "json"))
    return {row["watcher"]: (row["outputs"], row["matches"], row["fires"]) for row in found.pop("watchers")} | found


def test_each_watcher_looks_once_at_the_outputs_of_the_jobs_it_is_for(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    found = counted(house, capsys, 30)
    assert (found["OOM"], found["Evil | name"], found["Ends"]) == ((2, 3, 3), (4, 4, 4), (3, 0, 1))
    assert found["outputs"] == 4
    assert found["missing"] == [f"3@localhost: {house.outputs}/localhost-3.out: there is no such file any more"]


def test_no_more_triggers_are_counted_on_one_output_than_a_watcher_may_have(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    (house.outputs / "localhost-1.out").write_text("out of memory\n" * 50)
    assert counted(house, capsys, 30)["OOM"] == (2, 51, 3)


def test_only_the_newest_jobs_count(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    found = counted(house, capsys, 2)  # the newest has no output, the one before is not for OOM
    assert (found["outputs"], found["OOM"], found["Ends"]) == (1, (0, 0, 0), (1, 0, 0))


def test_a_long_output_is_counted_to_its_end(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "an ordinary line of a log\n" * 20_000 + "<b>\n"
    (house.outputs / "localhost-2.out").write_text(lines * 12)  # more than one look brings
    assert counted(house, capsys, 2)["Evil | name"] == (1, 12, 12)


def test_markdown_says_how_often_on_how_many_outputs_and_no_log_line_breaks_it(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    said = replayed(house, capsys, "--last", "30", "-o", "markdown")
    assert "**Would have fired 8 times on 4 outputs** of the 4 jobs that ended last. Nothing was done." in said
    (line,) = [line for line in said.splitlines() if line.startswith("| Evil")]
    assert line == "| Evil \\| name | 4 | 4 | 4 | 4 | \\<b\\>\\@ada\\|\\</b\\> | log\\_event |"
    assert "Not read:\n\n- 3\\@localhost: " in said


def test_github_gets_a_notice_for_each_watcher(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    said = replayed(house, capsys, "--last", "30", "-o", "github").splitlines()
    assert "::notice title=replay::OOM: would have fired 3 times on 2 outputs (3 matches)" in said
    assert said[-1].startswith("::warning title=replay::not read: 3@localhost")


def test_files_can_be_shown_as_a_comment_too(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    said = replayed(house, capsys, str(house.outputs / "localhost-1.out"), "-o", "markdown")
    assert "**Would have fired 3 times on 1 output**. Nothing was done." in said


def test_without_a_state_the_schedulers_are_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fresh = House(tmp_path)
    asyncio.run(fresh.submit("echo '<b>'"))
    (tmp_path / "w.yaml").write_text(WATCHERS)
    assert counted(fresh, capsys, 5)["Evil | name"] == (1, 1, 1)
    assert not (tmp_path / "state.db").exists()


def test_nothing_is_written(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    before = (house.home / "state.db").read_bytes()
    assert "no output of a job" in replayed(house, capsys, "--last", "1", "--only", "OOM", "--only", "Ends").lower()
    assert (house.home / "state.db").read_bytes() == before


def test_outputs_and_last_together_or_neither_is_wrong_usage(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["x.out", "--last", "3"]):
        assert main(["replay", "--watchers", str(house.home / "w.yaml"), *words]) == 64
        assert "name either outputs or --last N" in capsys.readouterr().err
