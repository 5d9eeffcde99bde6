"""`reconcile` can be called from within a local job, whose environment has variables with our prefix."""

from __future__ import annotations

import pytest

from reconciler.cli import main


def test_variables_of_a_job_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_JOB_ID", "7")
    monkeypatch.setenv("RECONCILER_JOB_NAME", "train")
    assert main(["metrics", "7"]) == 0


def test_a_variable_that_is_no_setting_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECONCILER_STATTE__PATH", "/x")
    assert main(["metrics", "7"]) == 4
    assert "RECONCILER_STATTE__PATH" in capsys.readouterr().err
