"""Where jobs write, as lists in JSON say it that a site keeps: what SLURM expands wrongly, or not, is no path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import HostName, Job
from reconciler.schedulers.slurm_kept import kept_jobs

KEPT = Path(__file__).parent / "fixtures" / "kept"


def read(record: dict[str, Any], meta: dict[str, Any] | None = None) -> Job:
    (job,) = kept_jobs(json.dumps({"jobs": [record], "meta": meta or {}}).encode(), HostName("hpc1"))
    return job


def live(**changed: Any) -> dict[str, Any]:
    """One record of squeue."""
    usual: dict[str, Any] = {"job_id": 10, "name": "n", "user_name": "me", "job_state": ["RUNNING"]}
    return {**usual, "current_working_directory": "/w", "standard_output": "/w/o", **changed}


def test_a_job_without_a_batch_script_has_no_output_file() -> None:
    job = read(live(batch_flag=False))
    assert (job.stdout, job.stderr) == (None, None)


@pytest.mark.parametrize(("out", "err"), [("/w/%N.out", ""), ("/w/o", "/w/100%.err"), ("/w/lit\\10.out", "")])
def test_before_25_05_a_path_of_slurmctld_that_may_be_a_pattern_is_left_to_squeue(out: str, err: str) -> None:
    job = read(live(standard_output=out, standard_error=err))
    assert (job.stdout, job.stderr) == (None, None)
    job = read(live(standard_output="%j", stdout_expanded="/w/%N.out", stderr_expanded=""))
    assert (job.stdout, job.stderr) == ("/w/%N.out", "/w/%N.out")


@pytest.mark.parametrize(
    ("major", "minor", "out"),
    [
        ("24", "05", "/w/logs/4_7-n1"),
        (24, 11, "/w/logs/4_7-n1"),
        ("25", "05", "/w/said"),
        (None, None, "/w/logs/4_7-n1"),
    ],
)
def test_what_accounting_of_24_05_and_24_11_expands_wrongly_is_expanded_here(major: Any, minor: Any, out: str) -> None:
    record = {
        "job_id": 10, "name": "n", "user": "me", "state": {"current": ["COMPLETED"]}, "nodes": "n[1-2]",
        "time": {"submission": 1, "start": 2, "end": 3, "limit": None}, "working_directory": "/w",
        "array": {"job_id": 4, "task_id": 7}, "stdout": "logs/%A_%a-%N", "stderr": "",
        "stdout_expanded": "/wlogs/10_7-n[1-2]" if out != "/w/said" else "/w/said", "stderr_expanded": "",
    }  # fmt: skip
    meta = {"slurm": {"version": {"major": major, "minor": minor}}} if major else {}
    job = read(record, meta)
    assert (job.id, job.stdout, job.stderr, job.outputs_assumed) == ("4_7", out, out, False)


@pytest.mark.parametrize(("name", "assumed"), [("sacct_22.05_array.json", True), ("squeue_23.11_failed.json", False)])
def test_outputs_that_accounting_does_not_keep_are_assumed(name: str, assumed: bool) -> None:
    jobs = kept_jobs((KEPT / name).read_bytes(), HostName("hpc1"))
    assert {job.outputs_assumed for job in jobs} == {assumed}
