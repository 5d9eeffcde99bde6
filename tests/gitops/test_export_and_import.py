"""`export` writes what loads again; `import` takes over the older system's watchers, with what they meant there."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from parts.core import LOG
from parts.house import House, Jobs

from reconciler import app
from reconciler.cli import main
from reconciler.spec.canonical import to_json, to_plain
from reconciler.spec.older_scripts import job_name, watchers_of

# --- export ----------------------------------------------------------------------------------------------------------

ODD: list[dict[str, Any]] = [
    {"name": "plain"},
    {"name": "124_7", "jobs": {"ids": ["124_7", "1e5"], "user": "on"}},
    {"name": "unicode ü", "description": "\u202e two\nlines: with # signs\n\nand a gap\n"},
    {"name": "all", "patterns": {"all": ["a: b", "'x' \"y\""], "within": "5m"}, "captures": ["yes"], "pattern": None,
     "suspend": {"until": "2026-12-01"}, "labels": {"team": "1"}, "cooldown": "30s", "prune": "disabled"},
    {"name": "tab\\t", "pattern": "\\d+\\t$", "condition": "float(x) > 1", "captures": ["x"],
     "actions": [LOG, {"type": "cancel_job", "needs": [0], "params": {"reason": "  spaces "}}]},
]  # fmt: skip


async def test_what_is_exported_loads_again_as_the_same(house: House) -> None:
    house.with_jobs().add()
    for number, spec in enumerate(ODD):
        house.write(**{"file": f"{number}.yaml", **spec})
    report = await house.once()
    assert report.problems == ()
    told = house.run("export")
    assert told.returncode == 0
    loaded = app.parse(told.stdout.encode(), "exported.yaml")
    assert loaded.problems == ()
    with house.state() as state:
        before = {str(spec.name): spec.body for spec in state.specs()}
    assert {item.spec.name: to_json(item.spec) for item in loaded.specs} == before
    assert "0.yaml:1" in told.stdout


async def test_names_and_globs_choose_and_files_are_never_overwritten(house: House) -> None:
    house.with_jobs().add()
    for name in ("one", "other", "third"):
        house.write(name)
    await house.once()
    exported = app.parse(house.run("export", "o*").stdout.encode(), "x")
    assert [item.spec.name for item in exported.specs] == ["one", "other"]
    for _ in range(2):
        assert house.run("export", "one", "--out", "out").returncode == 0
    assert sorted(path.name for path in (house.home / "out").iterdir()) == ["one-2.yaml", "one.yaml"]
    assert app.parse((house.home / "out" / "one.yaml").read_bytes(), "x").good
    assert house.run("export", "nobody").returncode == 64


# --- import ----------------------------------------------------------------------------------------------------------


def taken(capsys: pytest.CaptureFixture[str], *words: str | Path, code: int = 0) -> list[dict[str, Any]]:
    """What `import` writes, as plain values; all of it loads."""
    assert main(["import", *map(str, words)]) == code
    loaded = app.parse(capsys.readouterr().out.encode(), "imported.yaml")
    assert loaded.problems == ()
    return [to_plain(item.spec) for item in loaded.specs]


@pytest.fixture
def older(tmp_path: Path) -> Path:
    return tmp_path / "older"


def test_json_watchers_are_taken_over(older: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older.write_text(
        json.dumps(
            [
                {"name": "stderr errors", "pattern": "ERROR|Exception", "interval_seconds": 20, "output_type": "stderr",
                 "actions": [{"type": "cancel_job", "params": {"reason": "seen"}}]},
                {"name": "the end", "trigger_on_job_end": True, "trigger_job_states": ["failed", "timeout"],
                 "condition": "job_end_state == 'failed'",
                 "actions": [
                     {"type": "log_event", "params": {"message": "$job_end_state on $HOSTNAME", "level": "WARNING"}}]},
                {"pattern": "Loss: (.+)", "captures": ["loss"],
                 "actions": [{"type": "store_metric", "params": {"name": "loss", "variable": "loss"}}]},
            ]
        )
    )  # fmt: skip
    first, end, loss = taken(capsys, older, "--job", "4711", "--host", "hpc1")
    assert first == {
        "name": "stderr errors",
        "jobs": {"ids": ["4711"], "hosts": ["hpc1"]},
        "pattern": "ERROR|Exception",
        "interval_seconds": 20.0,
        "output_type": "stderr",
        "actions": [{"type": "cancel_job", "params": {"reason": "seen"}}],
    }
    assert (end["condition"], end["trigger_job_states"]) == ("JOB_STATE == 'failed'", ["failed", "timeout"])
    assert end["actions"][0]["params"] == {"message": "$JOB_STATE on $HOSTNAME", "level": "warning"}
    assert (loss["name"], loss["actions"][0]["params"]) == ("older 3", {"name": "loss", "value": "$loss"})


SCRIPT = r"""#!/bin/bash
#SBATCH --job-name=hydra[1]
#WATCHER name="error monitor" pattern="ERROR: (\d+), x" interval=20 captures=[code] action=cancel_job(reason="a, (b)")
#WATCHER_BEGIN
# name: auto resubmit
# pattern: "HYDRA_OUTPUT_DIR=(.+)"
# captures: ["resume_run_dir"]
# condition: int(n) > 3
# trigger_on_job_end: true
# trigger_job_states: [completed, timeout]
# remaining_resubmits: 2
# actions:
#   - resubmit()
#   - log_event(message="x=1, y")
#WATCHER_END
#WATCHER_BEGIN
# name: follow
# pattern: RUN_DIR=(.+)
# timer_mode: true
# timer_interval: 60
# actions:
#   - type: store_metric
#     params: {name: a, value: "$1"}
#   - type: log_event
#     params: {message: "at $1"}
#WATCHER_END
#WATCHER pattern=plain
echo '#WATCHER'
"""


def test_blocks_and_lines_of_a_script_are_taken_over(older: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older.write_text(SCRIPT)
    inline, resubmit, follow, plain = taken(capsys, older)
    assert {json.dumps(each["jobs"]) for each in (inline, resubmit, follow, plain)} == {'{"name": ["hydra[[]1]"]}'}
    assert (inline["pattern"], inline["captures"]) == (r"ERROR: (\d+), x", ["code"])
    assert inline["actions"] == [{"type": "cancel_job", "params": {"reason": "a, (b)"}}]
    assert "condition" not in resubmit
    assert resubmit["actions"] == [
        {"type": "resubmit", "condition": "TRIGGER == 'job_end' and (int(n) > 3)",
         "params": {"cancel_previous": True, "max_resubmits": 2}},
        {"type": "log_event", "condition": "TRIGGER == 'job_end' and (int(n) > 3)", "params": {"message": "x=1, y"}},
    ]  # fmt: skip
    assert (follow["timer_mode_enabled"], follow["timer_interval_seconds"]) == (True, 60.0)
    assert [action["type"] for action in follow["actions"]] == ["store_metric", "log_event"]
    assert plain["actions"] == [{"type": "log_event", "params": {"message": "$0"}}]


async def test_a_pattern_with_a_job_end_only_captures_at_its_matches(house: House, older: Path) -> None:
    """The meaning it had there: the newest capture, acted on once, when the job has ended."""
    older.write_text(SCRIPT.replace("# condition: int(n) > 3\n", "").replace("#   - resubmit()\n", ""))
    jobs: Jobs = house.with_jobs()
    out = jobs.add(name="hydra[1]")
    assert main(["import", str(older), "--out", str(house.watchers)]) == 0
    for path in house.watchers.iterdir():
        house._settle(path)
    out.write_text("HYDRA_OUTPUT_DIR=/a\nHYDRA_OUTPUT_DIR=/b\n")
    await house.once()
    assert house.done("auto resubmit") == []
    jobs.finish()
    await house.once()
    assert house.done("auto resubmit") == ["x=1, y"]
    assert house.row("auto resubmit").variables["resume_run_dir"] == "/b"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("#WATCHER_BEGIN\n# pattern: x\n", "without its #WATCHER_END"),
        ("#WATCHER pattern=x nonsense", "no key=value"),
        ("#WATCHER pattern=x intervall=3", "'intervall' is no field"),
        ("#WATCHER pattern=x interval=soon", "cannot be read"),
        ("#WATCHER_BEGIN\n# pattern: x\n# actions:\n#  log\n#WATCHER_END", "is no `- action(...)`"),
        ("#WATCHER_BEGIN\n# pattern: x\n# actions:\n#  - type: [\n#WATCHER_END", "not YAML"),
        ("#WATCHER_BEGIN\n# gibberish\n#WATCHER_END", "no `key: value`"),
        ("#WATCHER pattern=x trigger_on_job_end=maybe", "cannot be read"),
    ],
)
def test_what_a_script_says_wrongly_is_told_with_its_line(
    text: str, fault: str, older: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older.write_text(f"#!/bin/sh\n{text}\n")
    assert main(["import", str(older)]) == 4
    told = capsys.readouterr()
    assert fault in told.err
    assert f"{older}:2:" in told.err
    assert told.out == ""


def test_what_is_not_valid_here_is_told_and_the_rest_is_written(
    older: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older.write_text('#WATCHER pattern="(" action=log\n#WATCHER pattern=x action=frobnicate()\n#WATCHER pattern=good\n')
    assert main(["import", str(older)]) == 4
    told = capsys.readouterr()
    assert [item.spec.pattern for item in app.parse(told.out.encode(), "x").specs] == ["good"]
    assert f"{older}:1:" in told.err
    assert "frobnicate" in told.err


def database(path: Path, *rows: dict[str, Any]) -> None:
    columns = (
        "id INTEGER PRIMARY KEY, job_id TEXT, hostname TEXT, name TEXT, pattern TEXT, interval_seconds INTEGER, "
        "captures_json TEXT, condition TEXT, actions_json TEXT, state TEXT, timer_mode_enabled INTEGER, "
        "timer_interval_seconds INTEGER, trigger_on_job_end INTEGER, trigger_job_states_json TEXT, "
        "max_failures INTEGER, parent_watcher_id INTEGER, is_array_template INTEGER, array_spec TEXT"
    )
    with closing(sqlite3.connect(path)) as made:
        made.execute(f"CREATE TABLE job_watchers ({columns})")
        for row in rows:
            whole = {"hostname": "hpc1", "pattern": "x", "interval_seconds": 60, "state": "active",
                     "actions_json": '[{"type": "log_event", "params": {"message": "m"}}]', **row}  # fmt: skip
            words = ", ".join(whole), ", ".join("?" * len(whole))
            made.execute(f"INSERT INTO job_watchers ({words[0]}) VALUES ({words[1]})", tuple(whole.values()))
        made.commit()


def test_the_database_gives_one_watcher_for_each_definition(older: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database(
        older,
        {"id": 1, "job_id": "10", "name": "a"},
        {"id": 2, "job_id": "11", "name": "a"},
        {"id": 3, "job_id": "12", "name": "a", "state": "completed"},
        {"id": 4, "job_id": "20", "name": "array", "is_array_template": 1, "array_spec": "0-7"},
        {"id": 5, "job_id": "20_0", "name": "array", "parent_watcher_id": 4},
        {"id": 6, "job_id": "30", "name": "held", "state": "paused", "trigger_on_job_end": 1, "pattern": "",
         "trigger_job_states_json": '["failed"]', "captures_json": "[]"},
    )  # fmt: skip
    before = older.read_bytes()
    a, array, held = taken(capsys, older)
    assert (a["jobs"], array["jobs"]) == ({"ids": ["10", "11"], "hosts": ["hpc1"]}, {"ids": ["20"], "hosts": ["hpc1"]})
    assert (held["trigger_job_states"], held["suspend"]["reason"]) == (["failed"], "was paused in the older system")
    assert older.read_bytes() == before
    assert taken(capsys, older, "--all")[0]["jobs"]["ids"] == ["10", "11", "12"]


def test_a_row_that_cannot_be_read_harms_no_other(older: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database(older, {"id": 1, "job_id": "1", "actions_json": "["}, {"id": 2, "job_id": "2", "name": "good"})
    assert [each["name"] for each in taken(capsys, older, code=4)] == ["good"]


@pytest.mark.parametrize("content", [b"", b"[", b"[1]", b'[{"actions": [1]}]', b"SQLite format 3\0broken", b"echo\n"])
def test_a_file_without_watchers_is_wrong_usage(content: bytes, older: Path) -> None:
    older.write_bytes(content)
    assert main(["import", str(older)]) == 64


def test_scripts_are_read_up_to_a_bound_and_names_of_jobs_as_sbatch_takes_them() -> None:
    assert watchers_of("\n" * 30_000 + "#WATCHER pattern=x") == []
    names = ["#SBATCH -J a", "#SBATCH --job-name b", '#SBATCH --job-name="c d"', "#SBATCH -n 3", "echo #SBATCH -J x"]
    assert [job_name(f"#!/bin/sh\n{line}\n") for line in names] == ["a", "b", "c d", "", ""]
