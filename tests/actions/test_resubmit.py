"""resubmit: the order of its steps, its bounds, what a crash between two steps leaves, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from parts.acting import MemoryScheduler, a_context, a_job
from pydantic import ValidationError

from reconciler.actions._lineage import Lineage, lineage_of
from reconciler.actions.resubmit import PLUGIN, ResubmitParams, ResubmitSettings, check, make
from reconciler.errors import PermanentActionError, SchedulerUnavailableError
from reconciler.model import Job, JobId, JobState
from reconciler.protocols import AfterCrash, Limit
from reconciler.transports.local import LocalTransport


async def resubmit(
    transport: LocalTransport,
    scheduler: MemoryScheduler,
    params: dict[str, Any],
    values: Mapping[str, str | None] | None = None,
    *,
    job: Job | None = None,
    mark: str = "abc.1",
    settings: ResubmitSettings | None = None,
) -> str:
    job = job or a_job()
    scheduler.known.setdefault(job.id, job)
    context = a_context(params, values, transport=transport, scheduler=scheduler, job=job, mark=mark)
    return await make(settings, {}).run(context)


async def test_it_submits_held_then_cancels_then_releases(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    params = {
        "modifications": {"time": "04:00:00", "mem": "${mem}G", "exclusive": True, "requeue": False},
        "cancel_previous": True,
    }
    told = await resubmit(this_machine, scheduler, params, {"mem": "64"})
    assert scheduler.verbs() == ["submit", "cancel", "release"]
    (submission,) = scheduler.submissions
    assert submission.held
    assert submission.script == scheduler.text
    assert submission.options == {"job-name": "train", "time": "04:00:00", "mem": "64G", "exclusive": True}
    assert told == "job 123 resubmitted as 1001 with time=04:00:00, mem=64G, exclusive"
    assert scheduler.known[JobId("123")].state is JobState.CANCELLED
    assert scheduler.known[JobId("1001")].state is JobState.RUNNING


async def test_it_cancels_nothing_unless_asked(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    await resubmit(this_machine, scheduler, {})
    assert scheduler.verbs() == ["submit", "release"]


@pytest.mark.parametrize(
    ("name", "params", "options"),
    [
        ("train 7 é", {}, {"job-name": "train 7 é"}),
        ("train", {"modifications": {"job-name": "other"}}, {"job-name": "other"}),
        ("", {}, {}),
    ],
)
async def test_the_new_job_has_the_name_of_the_old_one_so_that_its_watchers_find_it(
    this_machine: LocalTransport, name: str, params: dict[str, Any], options: dict[str, str]
) -> None:
    scheduler = MemoryScheduler()
    await resubmit(this_machine, scheduler, params, job=a_job(name=name))
    assert scheduler.submissions[0].options == options


async def test_the_new_job_works_where_the_old_one_did_with_its_arguments(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    await resubmit(
        this_machine, scheduler, {"arguments": ["--from", "$ckpt"]}, {"ckpt": "a b"}, job=a_job(workdir="/w")
    )
    (submission,) = scheduler.submissions
    assert submission.workdir == "/w"
    assert submission.arguments == ("--from", "a b")


async def test_the_arguments_of_the_old_script_are_repeated_where_they_are_known(
    this_machine: LocalTransport, tmp_path: Path
) -> None:
    (tmp_path / "train.sh").touch()
    (tmp_path / "my train.sh").touch()
    for command, arguments in {
        f"{tmp_path}/train.sh --lr 0.1": ("--lr", "0.1"),
        "/dev/stdin a": ("a",),
        f"{tmp_path}/train.sh": (),
        f"{tmp_path}/my train.sh": (),
        f"{tmp_path}/my train.sh a b": ("a", "b"),
        "": (),
    }.items():
        scheduler = MemoryScheduler()
        await resubmit(this_machine, scheduler, {}, job=a_job(command=command))
        assert scheduler.submissions[0].arguments == arguments
    scheduler = MemoryScheduler()
    await resubmit(this_machine, scheduler, {"arguments": []}, job=a_job(command=f"{tmp_path}/train.sh x"))
    assert scheduler.submissions[0].arguments == ()


@pytest.mark.parametrize("behind", ["a  b", "a ", "a\tb", "--note x\u3000y"])
async def test_arguments_that_cannot_be_told_apart_are_refused(
    this_machine: LocalTransport, tmp_path: Path, behind: str
) -> None:
    (tmp_path / "train.sh").touch()
    scheduler = MemoryScheduler()
    with pytest.raises(PermanentActionError, match="which arguments") as caught:
        await resubmit(this_machine, scheduler, {}, job=a_job(command=f"{tmp_path}/train.sh {behind}"))
    assert caught.value.refused
    assert "arguments: [" in caught.value.remedy
    assert scheduler.submissions == []


async def test_arguments_of_a_script_that_is_gone_are_refused(this_machine: LocalTransport, tmp_path: Path) -> None:
    with pytest.raises(PermanentActionError, match="not where it was"):
        await resubmit(this_machine, MemoryScheduler(), {}, job=a_job(command=f"{tmp_path}/gone.sh --lr 0.1"))


async def test_a_chain_carries_arguments_with_blanks_whatever_the_scheduler_tells(this_machine: LocalTransport) -> None:
    arguments = ("a b", "", "\u00e9\t'\"$x]", "--n=1 args=x]")
    scheduler = MemoryScheduler()
    await resubmit(this_machine, scheduler, {"arguments": [a.replace("$", "$$") for a in arguments]})
    first = scheduler.submissions[0]
    assert first.arguments == arguments
    told = a_job(id=JobId("2"), command=f"/dev/stdin {' '.join(arguments)}", comment=first.comment)
    later = MemoryScheduler()
    await resubmit(this_machine, later, {}, job=told)
    assert later.submissions[0].arguments == arguments


async def test_arguments_that_are_too_long_to_carry_are_refused_not_guessed(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    await resubmit(this_machine, scheduler, {"arguments": ["x y" * 500]})
    told = a_job(id=JobId("2"), command="/dev/stdin x yx", comment=scheduler.submissions[0].comment)
    assert len(told.comment) < 600
    with pytest.raises(PermanentActionError, match="too long"):
        await resubmit(this_machine, MemoryScheduler(), {}, job=told)


async def test_a_submission_that_fails_costs_nothing(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler(failing={"submit": SchedulerUnavailableError("no answer")})
    with pytest.raises(SchedulerUnavailableError):
        await resubmit(this_machine, scheduler, {"cancel_previous": True})
    assert scheduler.known[JobId("123")].state is JobState.RUNNING
    assert scheduler.verbs() == ["submit"]


@pytest.mark.parametrize("step", ["cancel", "release"])
async def test_a_crash_between_two_steps_is_picked_up_where_it_happened(
    this_machine: LocalTransport, step: str
) -> None:
    scheduler = MemoryScheduler(failing={step: SchedulerUnavailableError("lost")})
    with pytest.raises(SchedulerUnavailableError):
        await resubmit(this_machine, scheduler, {"cancel_previous": True})
    told = await resubmit(this_machine, scheduler, {"cancel_previous": True})
    assert told == "job 123 resubmitted as 1001"
    assert scheduler.verbs().count("submit") == 1
    assert scheduler.known[JobId("1001")].state is JobState.RUNNING
    assert scheduler.known[JobId("123")].state is JobState.CANCELLED


async def test_after_a_crash_a_job_that_runs_already_is_left_alone(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    await resubmit(this_machine, scheduler, {})
    await resubmit(this_machine, scheduler, {})
    assert scheduler.verbs() == ["submit", "release"]


async def test_a_refused_cancellation_takes_the_new_job_back(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler(failing={"cancel": PermanentActionError("not yours")})
    with pytest.raises(PermanentActionError, match="not yours"):
        await resubmit(this_machine, scheduler, {"cancel_previous": True})
    assert scheduler.known[JobId("1001")].state is JobState.CANCELLED
    assert "release" not in scheduler.verbs()


async def test_one_run_of_a_job_is_resubmitted_once_however_many_lines_ask(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    await resubmit(this_machine, scheduler, {}, mark="abc.1")
    told = await resubmit(this_machine, scheduler, {}, mark="abc.2")
    assert told == "job 123 was resubmitted already, as 1001: nothing done"
    await resubmit(this_machine, scheduler, {}, mark="abc.3", job=a_job(restarts=1))
    assert scheduler.verbs().count("submit") == 2


async def chain(transport: LocalTransport, scheduler: MemoryScheduler, params: dict[str, Any], **more: Any) -> int:
    """Resubmit each job that comes of it, up to ten times; return how often that was possible."""
    job = a_job()
    for count in range(10):
        try:
            await resubmit(transport, scheduler, params, job=job, mark=f"abc.{count}", **more)
        except PermanentActionError as error:
            return count if error.refused and "the limit is" in error.message else -1
        job = scheduler.known[JobId(str(1001 + count))]
    return 10


async def test_a_chain_ends_after_three_resubmits(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    assert await chain(this_machine, scheduler, {}) == 3
    assert len(scheduler.submissions) == 3


async def test_a_chain_ends_even_where_only_its_newest_job_is_known(this_machine: LocalTransport) -> None:
    class Forgetful(MemoryScheduler):
        async def jobs(self, since: float | None) -> tuple[Job, ...]:
            return ()

    assert await chain(this_machine, Forgetful(), {"max_resubmits": 5}) == 5


async def test_the_settings_bound_what_a_watcher_may_ask_for(this_machine: LocalTransport) -> None:
    settings = ResubmitSettings(max_resubmits=2)
    assert await chain(this_machine, MemoryScheduler(), {"max_resubmits": 9}, settings=settings) == 2
    assert await chain(this_machine, MemoryScheduler(), {"max_resubmits": 0}) == 0


async def test_other_chains_do_not_count(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    for number in range(5):
        other = Lineage("99", number, f"{number}.0", "ff").comment("")
        scheduler.known[JobId(f"5{number}")] = a_job(id=JobId(f"5{number}"), comment=other)
    await resubmit(this_machine, scheduler, {"max_resubmits": 1})
    assert len(scheduler.submissions) == 1


async def test_the_comment_keeps_what_the_user_wrote_and_one_lineage(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    await resubmit(this_machine, scheduler, {}, job=a_job(comment="for the paper"))
    first = scheduler.known[JobId("1001")]
    await resubmit(this_machine, scheduler, {}, job=first, mark="abc.2")
    comment = scheduler.submissions[1].comment
    assert comment.startswith("for the paper [reconciler root=123 n=2 of=1001.0 mark=")
    assert comment.count("[reconciler") == 1


def test_a_forged_or_foreign_comment_is_no_lineage() -> None:
    for comment in ("", "n=2", "[reconciler root=$(rm) n=1 of=1.0 mark=aa]", "[reconciler root=1 n=x of=1.0 mark=aa]"):
        assert lineage_of(a_job(comment=comment)) is None


@pytest.mark.parametrize(
    ("params", "values"),
    [
        ({"modifications": {"mem": "${mem}G"}}, {}),
        ({"modifications": {"mem": "${mem}G"}}, {"mem": None}),
        ({"arguments": ["$ckpt"]}, {}),
        ({"modifications": {"mem": "${a:-$b}"}}, {}),
    ],
)
async def test_a_missing_capture_is_refused_and_not_retried(
    this_machine: LocalTransport, params: dict[str, Any], values: dict[str, str | None]
) -> None:
    scheduler = MemoryScheduler()
    with pytest.raises(PermanentActionError, match="no value for") as caught:
        await resubmit(this_machine, scheduler, params, values)
    assert caught.value.refused
    assert scheduler.verbs() == []


@pytest.mark.parametrize(("written", "values"), [("$name", {"name": ""}), ("${a:+x}", {}), ("${a:-$b}", {"b": ""})])
async def test_an_option_that_a_capture_leaves_empty_is_refused_with_what_to_write(
    this_machine: LocalTransport, written: str, values: dict[str, str | None]
) -> None:
    scheduler = MemoryScheduler()
    params = {"modifications": {"job-name": written, "mem": "1G", "exclusive": True}}
    with pytest.raises(PermanentActionError, match=r"^job-name would be empty.*\$\{name:-value\}") as caught:
        await resubmit(this_machine, scheduler, params, values)
    assert caught.value.refused
    assert scheduler.verbs() == []


@pytest.mark.parametrize(
    ("modifications", "said"),
    [
        ({"job-name": ""}, "job-name: an empty value"),
        ({"exclusive": ""}, "exclusive: an empty value"),
        ({"job-name": True}, "job-name: no switch"),
        ({"time": True}, "time: no switch"),
    ],
)
def test_what_would_take_the_next_word_for_its_value_is_told_when_the_file_is_read(
    modifications: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        ResubmitParams.model_validate({"modifications": modifications})


def test_a_switch_is_no_text() -> None:
    given = {"exclusive": True, "requeue": False, "nice": 1, "job-name": "$name", "site-switch": True}
    options = ResubmitParams.model_validate({"modifications": given}).options()
    assert options == {"exclusive": True, "nice": "1", "job-name": "$name", "site-switch": True}
    assert options["nice"] == "1"


async def test_a_default_stands_in_for_a_missing_capture(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    await resubmit(this_machine, scheduler, {"modifications": {"mem": "${mem:-32}G"}})
    assert scheduler.submissions[0].options == {"job-name": "train", "mem": "32G"}


@pytest.mark.parametrize(
    "option", ["wrap", "export", "output", "chdir", "comment", "uid", "wait", "prolog", "get-user-env"]
)
async def test_options_that_run_code_or_write_elsewhere_are_refused(this_machine: LocalTransport, option: str) -> None:
    scheduler = MemoryScheduler()
    params = {"modifications": {option: "x"}}
    with pytest.raises(PermanentActionError, match=option) as caught:
        await resubmit(this_machine, scheduler, params)
    assert caught.value.refused
    assert scheduler.verbs() == []
    assert check(ResubmitParams.model_validate(params), None, {}, "directory:x") != ()


async def test_an_operator_may_allow_an_option(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    await resubmit(
        this_machine,
        scheduler,
        {"modifications": {"output": "new.txt"}},
        settings=ResubmitSettings(options=("output",)),
    )
    assert scheduler.submissions[0].options == {"job-name": "train", "output": "new.txt"}


@pytest.mark.parametrize("name", ["-time", "time=1", "Time", "time limit", "--time", "t", ""])
def test_an_option_is_named_as_sbatch_names_it(name: str) -> None:
    with pytest.raises(ValidationError):
        ResubmitParams.model_validate({"modifications": {name: "1"}})


async def test_a_captured_line_break_is_refused(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    with pytest.raises(PermanentActionError, match="control character"):
        await resubmit(this_machine, scheduler, {"modifications": {"job-name": "$x"}}, {"x": "a\n#SBATCH --wrap=x"})
    assert scheduler.verbs() == []


async def test_one_task_of_an_array_is_submitted_alone(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler()
    await resubmit(this_machine, scheduler, {}, job=a_job(id=JobId("123_4")))
    assert scheduler.submissions[0].options == {"job-name": "train", "array": "4"}


async def test_a_job_of_another_user_is_not_resubmitted(this_machine: LocalTransport) -> None:
    scheduler = MemoryScheduler(me="somebody")
    with pytest.raises(PermanentActionError, match="belongs to") as caught:
        await resubmit(this_machine, scheduler, {})
    assert caught.value.refused
    assert scheduler.verbs() == []


def test_it_waits_over_the_limit_and_looks_for_its_mark_after_a_crash() -> None:
    assert PLUGIN.traits.limit is Limit.DEFER
    assert PLUGIN.traits.after_crash is AfterCrash.LOOK_FIRST
    assert PLUGIN.traits.retry
