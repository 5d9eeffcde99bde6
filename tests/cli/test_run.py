"""`reconcile run` starts a local job, says where it writes, and can stay for its end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from parts.waiting import soon

from reconciler.cli import main
from reconciler.cli.run import as_script

HOSTILE = ["a b", "$(touch x)", "`x`", "'", '"', "\\", "a\nb", "*", "-n", "--wait", "é", ""]


@pytest.fixture
def jobs(home: Path) -> Path:
    return home / "state" / "reconciler" / "jobs"


def record(jobs: Path, job_id: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((jobs / job_id / "job.json").read_text())
    return read


def ended(jobs: Path, job_id: str) -> str:
    return soon(lambda: text_of(jobs / job_id / "exit")).split()[0]


def text_of(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def test_a_job_is_started_and_its_id_and_output_are_said(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--", "sh", "-c", "echo out; echo err >&2"]) == 0
    assert capsys.readouterr().out == f"Submitted local job 1\nOutput: {jobs}/1/output\n"
    assert ended(jobs, "1") == "0"
    assert (jobs / "1" / "output").read_text() == "out\nerr\n"
    assert record(jobs, "1")["name"] == "sh"


def test_waiting_ends_with_the_status_of_the_job(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--wait", "--", "sh", "-c", "exit 7"]) == 7
    assert "job 1: failed" in capsys.readouterr().err
    assert main(["run", "--wait", "true"]) == 0
    assert main(["run", "--wait", "--", "no-such-program"]) == 127


def test_words_arrive_as_they_were_written_also_when_submitted_again(jobs: Path, tmp_path: Path) -> None:
    shown = [sys.executable, "-c", "import sys, os; print(sys.argv[1:]); print(os.getcwd())", *HOSTILE]
    assert main(["run", "--wait", "--", *shown]) == 0
    assert (jobs / "1" / "output").read_text() == f"{HOSTILE}\n{os.getcwd()}\n"
    script = tmp_path / "again"
    script.write_bytes((jobs / "1" / "script").read_bytes())
    again = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=True)
    assert again.stdout.splitlines()[0] == repr(HOSTILE)


def test_options_behind_the_program_are_the_programs(jobs: Path) -> None:
    assert main(["run", "--wait", "printf", "%s,", "--name", "x", "-o"]) == 0
    assert (jobs / "1" / "output").read_text() == "--name,x,-o,"


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90.0), ("2h", 7200.0), ("5", 300.0), ("1:30:00", 5400.0), ("1-00", 86400.0)]
)
def test_name_limit_and_files_are_as_told(jobs: Path, tmp_path: Path, written: str, seconds: float) -> None:
    out = tmp_path / "o-%j-%x"
    assert main(["run", "--wait", "--name", "a b", "--time", written, "-o", str(out), "-e", f"{out}.err", "true"]) == 0
    made = record(jobs, "1")
    assert (made["name"], made["limit"]) == ("a b", seconds)
    assert (made["stdout"], made["stderr"]) == (f"{tmp_path}/o-1-a b", f"{tmp_path}/o-1-a b.err")
    assert Path(made["stderr"]).exists()


@pytest.mark.parametrize(
    "words", [["run"], ["run", "--wait"], ["run", "--time", "soon", "true"], ["run", "--nope", "x"]]
)
def test_wrong_words_start_nothing(jobs: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 64
    assert not jobs.exists()


def test_a_program_can_read_the_id_alone(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--parsable", "true"]) == 0
    assert capsys.readouterr().out == "1\n"
    assert ended(jobs, "1") == "0"


def test_the_directory_of_the_settings_is_used(tmp_path: Path, jobs: Path) -> None:
    settings = tmp_path / "config.yaml"
    settings.write_text(f"hosts: {{localhost: {{scheduler: {{type: local, directory: {tmp_path}/mine}}}}}}\n")
    assert main(["--config", str(settings), "run", "--wait", "true"]) == 0
    assert (tmp_path / "mine" / "1" / "job.json").exists()
    assert not jobs.exists()


def test_where_no_watcher_would_see_the_job_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "config.yaml"
    settings.write_text("hosts: {localhost: {scheduler: {type: slurm}}}\n")
    assert main(["--config", str(settings), "run", "--wait", "true"]) == 0
    assert "no watcher will see this job" in capsys.readouterr().err


def test_a_host_of_its_own_holds_local_jobs_beside_those_of_slurm(
    tmp_path: Path, jobs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "config.yaml"
    local = f"{{transport: {{type: local}}, scheduler: {{type: local, directory: {tmp_path}/mine}}}}"
    settings.write_text(f"hosts: {{localhost: {{scheduler: {{type: slurm}}}}, far: {{}}, own: {local}}}\n")
    assert main(["--config", str(settings), "run", "--wait", "true"]) == 0
    assert capsys.readouterr().err == ""
    assert (tmp_path / "mine" / "1" / "job.json").exists()
    assert not jobs.exists()


@pytest.mark.parametrize("there", [("sbatch",), ("sbatch", "squeue")])
def test_on_a_machine_with_slurm_it_is_said_too(
    there: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("sh", "mkdir", "cat", "chmod", "uname", "date", "mv", "setsid", "timeout", "id", "true"):
        (tmp_path / name).symlink_to(shutil.which(name) or pytest.fail(name))
    for name in (*there, "scontrol"):
        (tmp_path / name).symlink_to("true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["run", "--wait", "true"]) == 0
    assert ("no watcher will see this job" in capsys.readouterr().err) is ("squeue" in there)


def test_the_job_outlives_the_command(jobs: Path) -> None:
    with subprocess.Popen([sys.executable, "-m", "reconciler", "run", "--wait", "--", "sleep", "60"]) as command:
        payload = soon(lambda: text_of(jobs / "1" / "payload"))
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=10) == 130
    pid = int(payload.split()[0])
    assert Path(f"/proc/{pid}/exe").exists()
    os.killpg(pid, signal.SIGTERM)
    assert ended(jobs, "1") == "143"


def test_a_script_runs_exactly_the_words() -> None:
    assert as_script(["echo", "a b", "\udcff"]) == b"#!/bin/sh\nexec echo 'a b' '\xff'\n"
