"""Which run of a job wrote a file, where the clocks of the scheduler and of the file server differ."""

from __future__ import annotations

import pytest

from reconciler.logic.runs import SKEW, older, written_since
from reconciler.model import LOCALHOST, FileStat, Job, JobId, JobState

START = 1_800_000_000.0


def a_job(job_id: str, *, started: float | None = START, restarts: int = 0) -> Job:
    return Job(LOCALHOST, JobId(job_id), "train", "ada", JobState.RUNNING, started=started, restarts=restarts)


@pytest.mark.parametrize(
    ("job_id", "path"),
    [
        ("4711", "/scratch/slurm-4711.out"),
        ("4711", "train_4711.log"),
        ("4711", "/a/0004711.err"),
        ("4711_3", "/scratch/slurm-4711_3.out"),
        ("4711+1", "/scratch/slurm-4711.out"),
    ],
)
def test_a_file_named_after_its_job_may_be_older_than_the_start_by_what_clocks_differ(job_id: str, path: str) -> None:
    assert written_since(a_job(job_id), path) == START - SKEW


@pytest.mark.parametrize(
    ("job_id", "path"),
    [
        ("4711", "/scratch/train.log"),
        ("4711", "/scratch/4711/out.log"),
        ("4711", "/scratch/slurm-47110.out"),
        ("7", "/scratch/run-7.out"),
        ("4711_3", "/scratch/slurm-4711.out"),
    ],
)
def test_any_other_file_may_be_of_an_earlier_run(job_id: str, path: str) -> None:
    assert written_since(a_job(job_id), path) == START


def test_a_requeued_job_has_earlier_runs_of_its_own() -> None:
    assert written_since(a_job("4711", restarts=1), "/scratch/slurm-4711.out") == START


def test_an_unknown_start_says_nothing() -> None:
    assert written_since(a_job("4711", started=None), "/scratch/slurm-4711.out") is None


@pytest.mark.parametrize(
    ("began", "written", "said"),
    [
        (START, 0, False),
        (START + 0.9, 0, False),  # schedulers tell whole seconds
        (START, -4_000_000, False),  # a kernel's tick: the job began with the second, and its file says otherwise
        (START, -1_000_000_000, True),
        (START + 0.9, -100_000_000, True),
    ],
)
def test_a_file_is_older_than_a_run_by_more_than_a_tick_of_the_kernel(began: float, written: int, said: bool) -> None:
    assert older(FileStat(1, 2, 4, int(START) * 1_000_000_000 + written), began) is said
