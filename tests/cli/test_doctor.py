"""`reconcile doctor` from outside: what it prints, and its statuses."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from shutil import which

import pytest
from parts.sshd import Sshd

from reconciler.cli import main
from reconciler.engine.clock import SystemClock
from reconciler.errors import ExitCode
from reconciler.protocols import Batch
from reconciler.settings import StateSettings
from reconciler.state import open_state


def settings(place: Path, text: str) -> str:
    file = place / "reconciler.yaml"
    file.write_text(text)
    return str(file)


def test_this_machine_is_checked_and_nothing_is_changed(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(home.rglob("*"))
    local = settings(tmp_path, "hosts: {localhost: {scheduler: {type: local}}}\n")
    assert main(["doctor", "--config", local, "-o", "json"]) in (ExitCode.OK, ExitCode.PARTIAL)
    told = json.loads(capsys.readouterr().out)
    assert {"state directory", "open files", "reachable", "scheduler"} <= {each["check"] for each in told["findings"]}
    assert {each["verdict"] for each in told["findings"]} <= {"ok", "warn"}
    assert sorted(home.rglob("*")) == before


def test_slurm_that_was_found_before_and_is_not_on_the_path_is_no_machine_without_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = settings(tmp_path, f"state: {{path: {tmp_path}/state.db}}\n")
    with closing(open_state(tmp_path / "state.db", StateSettings(), clock=SystemClock())) as state:
        state.commit(Batch(facts={"scheduler:localhost": "slurm"}))
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "date", "id"):
        (tools / name).symlink_to(str(which(name)))
    monkeypatch.setenv("PATH", str(tools))
    assert main(["doctor", "--config", file]) == ExitCode.PARTIAL
    told = capsys.readouterr().out
    assert "SLURM was here, and now its programs are not on the PATH" in told
    assert "scheduler: {type: local}" in told


@pytest.mark.ssh
def test_a_host_that_does_not_answer_is_status_7(
    sshd: Sshd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sshd.stop()
    transport = f"{{address: 127.0.0.1, port: {sshd.port}, config_file: {sshd.home}/ssh_config}}"
    two = settings(tmp_path, f"hosts: {{far: {{transport: {transport}}}, localhost: {{scheduler: {{type: local}}}}}}\n")
    assert main(["doctor", "--config", two]) == ExitCode.PARTIAL
    told = capsys.readouterr().out
    (line,) = [line for line in told.splitlines() if line.startswith("far ")]
    assert "fail" in line
    assert "connection refused" in line
    assert f"ssh -p {sshd.port} 127.0.0.1" in line
    assert main(["doctor", "--config", two, "--host", "localhost"]) == ExitCode.OK


def test_a_host_that_is_not_in_the_settings_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--host", "nowhere"]) == ExitCode.USAGE
    assert "one of: localhost" in capsys.readouterr().err


def test_a_state_that_cannot_be_kept_is_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    bad = settings(
        tmp_path, f"hosts: {{localhost: {{scheduler: {{type: local}}}}}}\nstate: {{path: {tmp_path}/file/state.db}}\n"
    )
    assert main(["doctor", "--config", bad]) == ExitCode.ERROR
    assert "cannot be written" in capsys.readouterr().out
