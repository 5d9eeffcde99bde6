"""The command lines for SLURM: nothing from outside becomes an option, nothing of the environment changes an answer."""

from __future__ import annotations

import pytest

from reconciler.errors import PermanentActionError
from reconciler.protocols import Submission
from reconciler.schedulers import slurm_commands as commands
from reconciler.schedulers.calls import checked_id


@pytest.mark.parametrize("job_id", ["1", "123_4", "12+1", "a-b", "9" * 64])
def test_job_ids_are_taken(job_id: str) -> None:
    assert checked_id(job_id) == job_id


@pytest.mark.parametrize("job_id", ["", "-1", "--all", "1;2", "1 2", "$(x)", "1\n", "٣", "a/b", "1,2", "9" * 65, "_1"])
def test_what_is_no_job_id_is_refused(job_id: str) -> None:
    with pytest.raises(PermanentActionError) as caught:
        checked_id(job_id)
    assert caught.value.refused


def test_every_question_has_a_separator_of_its_own() -> None:
    first, second = commands.squeue(), commands.squeue()
    assert first.separator != second.separator
    assert len(first.separator) > 16
    assert f"JobArrayID:0{first.separator.decode()}" in " ".join(first.argv)


def test_no_variable_of_squeue_widens_or_narrows_a_listing() -> None:
    unset = {word.removeprefix("SQUEUE_") for word in commands.squeue().argv if word.startswith("SQUEUE_")}
    assert {"FEDERATION", "LOCAL", "SIB", "SIBLING", "STATES", "USERS", "PARTITION", "FORMAT"} <= unset


def test_a_listing_is_narrowed_by_users_or_by_ids() -> None:
    assert "--users=a,b" in commands.squeue(users=["a", "b"]).argv
    assert "--jobs=1,2_3" in commands.squeue(ids=["1", "2_3"]).argv
    everybody = commands.squeue().argv
    assert not [word for word in everybody if word.startswith(("--users", "--jobs"))]


def test_accounting_is_asked_for_everybody_only_where_nobody_is_named() -> None:
    assert "--allusers" in commands.sacct(["JobID"], ids=["1"]).argv
    assert "--allusers" not in commands.sacct(["JobID"], users=["a"], seconds=60).argv
    assert "--starttime=now-60" in commands.sacct(["JobID"], users=["a"], seconds=60).argv


def test_a_submission_is_made_of_whole_options() -> None:
    submission = Submission(
        b"#!/bin/sh\n",
        arguments=("--not-an-option", "a b"),
        options={"job-name": "x; rm -rf /", "exclusive": True, "chdir": "/there"},
        workdir="/here",
        comment="mark 1",
    )
    assert commands.sbatch(submission) == (
        "sbatch",
        "--exclusive",
        "--parsable",
        "--hold",
        "--chdir=/there",
        "--job-name=x; rm -rf /",
        "--comment=mark 1",
        "/dev/stdin",
        "--not-an-option",
        "a b",
    )
    assert commands.sbatch(Submission(b"", workdir="/here", held=False)) == ("sbatch", "--parsable", "--chdir=/here")


@pytest.mark.parametrize("name", ["-x", "--mem", "a b", "mem=1", "", "Mem", "wrap", "wait", "test-only", "uid", "a\nb"])
def test_options_that_would_change_what_submitting_means_are_refused(name: str) -> None:
    with pytest.raises(PermanentActionError, match="cannot be changed") as caught:
        commands.sbatch(Submission(b"", options={name: "x"}))
    assert caught.value.refused


def test_programs_that_are_not_on_the_path_are_named_by_their_directory() -> None:
    assert commands.placed(("sbatch", "--x", "sbatch"), "/opt/s/bin") == ("/opt/s/bin/sbatch", "--x", "sbatch")
    question = commands.squeue().argv
    there = commands.placed(question, "/o")
    assert [(old, new) for old, new in zip(question, there, strict=True) if old != new] == [("squeue", "/o/squeue")]


@pytest.mark.parametrize(
    ("printed", "job_id"),
    [
        ("123\n", "123"),
        ("123;cluster\n", "123"),
        ("Welcome to our cluster!\n*** 5 jobs ***\n123\n", "123"),
        ("123\n\n", "123"),
        ("", None),
        ("Submitted batch job 24\n", None),
        ("sbatch: lua: fine\n", None),
    ],
)
def test_the_id_is_found_behind_what_a_site_prints(printed: str, job_id: str | None) -> None:
    assert commands.submitted_id(printed) == job_id


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("slurm 24.05.1\n", (24, 5)),
        ("slurm-wlm 22.05.8\n", (22, 5)),
        ("slurm 25.11.0-0rc1", (25, 11)),
        ("?", (0, 0)),
        ("Down on 28.11.2026!\nslurm 22.05.8", (22, 5)),
    ],
)
def test_versions(text: str, version: tuple[int, int]) -> None:
    assert commands.version(text) == version


def test_the_configuration_is_read_by_name() -> None:
    text = "Configuration data\nMinJobAge               = 300 sec\nX = a = b\n\nSlurmctld(primary) at vm is UP\n"
    assert commands.config(text) == {"MinJobAge": "300 sec", "X": "a = b"}
