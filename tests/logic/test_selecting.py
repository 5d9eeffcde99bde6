"""Which spec fits which job, which end of a job counts, and which specs can change jobs."""

from __future__ import annotations

import pytest
from parts.core import CANCEL, LOG, STORE, a_job, a_spec

from reconciler.logic.selecting import dangerous, ended_as, fits, plain_id, started
from reconciler.model import Job, JobState
from reconciler.spec.watcher import JobSelector

JOB = a_job("123_4", name="train-7", user="ada", partition="gpu", account="vision", qos="high")


@pytest.mark.parametrize(
    ("selector", "fit"),
    [
        ({}, True),
        ({"hosts": ["hpc"]}, True),
        ({"hosts": ["other"]}, False),
        ({"name": "train-*"}, True),
        ({"name": ["eval", "train-?"]}, True),
        ({"name": "TRAIN-*"}, False),
        ({"name": "train"}, False),
        ({"user": "a*"}, True),
        ({"user": "bob"}, False),
        ({"partition": "gpu", "account": "vision", "qos": "high"}, True),
        ({"partition": "gpu", "account": "speech"}, False),
        ({"qos": "low"}, False),
        ({"ids": ["123_4"]}, True),
        ({"ids": ["123"]}, True),
        ({"ids": ["12"]}, False),
        ({"ids": ["123_40", "99"]}, False),
        ({"ids": ["123"], "name": "eval"}, False),
    ],
)
def test_every_given_field_must_hold_and_one_of_each_list(selector: dict[str, object], fit: bool) -> None:
    assert fits(JobSelector.model_validate(selector), JOB) is fit


def test_the_number_of_a_heterogeneous_job_names_each_of_its_parts() -> None:
    parts = [a_job("25+0"), a_job("25+1"), a_job("25"), a_job("25_3"), a_job("2+5"), a_job("250+0")]
    assert [fits(JobSelector(ids=("25",)), job) for job in parts] == [True] * 4 + [False] * 2
    assert [plain_id(job.id) for job in parts] == ["25", "25", "25", "25", "2", "250"]


@pytest.mark.parametrize("name", ["a b", "a|b", "100%", "it's", "ürün", "[x]"])
def test_job_names_of_any_kind_are_met_by_a_star(name: str) -> None:
    assert fits(JobSelector(name=("*",)), a_job(name=name))


def ended(state: JobState, raw: str = "") -> Job:
    return a_job(state=state, raw_state=raw or state.value.upper())


def test_completed_failed_and_timed_out_jobs_count_unless_a_spec_says_otherwise() -> None:
    default = a_spec().trigger_job_states
    counted = {state for state in JobState if ended_as(ended(state), default)}
    assert counted == {JobState.COMPLETED, JobState.FAILED, JobState.TIMEOUT}


@pytest.mark.parametrize(
    ("state", "raw", "wanted", "counts"),
    [
        (JobState.CANCELLED, "CANCELLED", ["cancelled"], True),
        (JobState.CANCELLED, "PREEMPTED", ["preempted"], True),
        (JobState.CANCELLED, "CANCELLED", ["preempted"], False),
        (JobState.FAILED, "OUT_OF_MEMORY", ["out_of_memory"], True),
        (JobState.FAILED, "OUT_OF_MEMORY", ["failed"], True),
        (JobState.FAILED, "NODE_FAIL", ["node_fail"], True),
        (JobState.TIMEOUT, "DEADLINE", ["timeout"], True),
        (JobState.RUNNING, "RUNNING", ["running"], False),
        (JobState.PENDING, "REQUEUED", ["requeued"], False),
    ],
)
def test_the_words_of_the_scheduler_count_too(state: JobState, raw: str, wanted: list[str], counts: bool) -> None:
    assert ended_as(ended(state, raw), wanted) is counts


def test_a_job_that_waits_has_no_output_yet() -> None:
    assert [state for state in JobState if not started(a_job(state=state))] == [JobState.PENDING]


def test_a_job_that_was_cancelled_while_it_waited_never_had_any() -> None:
    assert not started(a_job(state=JobState.CANCELLED, started=None))
    assert started(a_job(state=JobState.FAILED, started=None))


@pytest.mark.parametrize("kind", ["cancel_job", "requeue"])
def test_actions_that_change_jobs_are_dangerous(kind: str) -> None:
    assert dangerous(a_spec(actions=[LOG, {"type": kind}]))


def test_what_only_writes_or_observes_is_harmless() -> None:
    assert not dangerous(a_spec(actions=[LOG, {**STORE, "params": {"name": "x", "value": "1"}}]))
    assert not dangerous(a_spec(actions=[CANCEL], mode="observe"))
