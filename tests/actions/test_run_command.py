"""run_command with real processes: where it runs, with which environment, for how long, and what it tells."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from parts.acting import ME, MemoryScheduler, a_context, a_job, a_watcher
from parts.waiting import eventually
from pydantic import ValidationError

from reconciler.actions.run_command import PLUGIN, RunCommandParams, RunCommandSettings, check, make
from reconciler.errors import HostUnreachableError, PermanentActionError, TemporaryActionError
from reconciler.protocols import AfterCrash, Completed, Limit
from reconciler.transports.local import LocalTransport


async def ran(
    this_machine: LocalTransport,
    workdir: Path,
    command: str,
    values: Mapping[str, str | None] | None = None,
    settings: RunCommandSettings | None = None,
    source: str = "directory:/etc/watchers.d",
    **params: Any,
) -> str:
    """Run a line as the dispatcher would, and return what the action tells."""
    context = a_context(
        {"command": command, **params},
        values,
        transport=this_machine,
        job=a_job(workdir=str(workdir)),
        watcher=a_watcher(source),
    )
    return await make(settings, {}).run(context)


async def test_the_checkpoint_example_copies_into_the_jobs_directory(
    this_machine: LocalTransport, workdir: Path
) -> None:
    await ran(this_machine, workdir, "cp -r ./checkpoints ./backups/checkpoint_$(date +%s)")
    (copy,) = (workdir / "backups").glob("checkpoint_*")
    assert copy.name.removeprefix("checkpoint_").isdecimal()
    assert (copy / "epoch1.pt").read_text() == "checkpoints/epoch1.pt\n"


async def test_the_other_examples_do_what_they_say(this_machine: LocalTransport, workdir: Path) -> None:
    await ran(this_machine, workdir, "cp model.pt checkpoints/model_loss_$loss.pt", {"loss": "5.73"})
    await ran(this_machine, workdir, "cp best_model.pt milestones/model_95pct.pt")
    assert (workdir / "checkpoints/model_loss_5.73.pt").read_text() == "model.pt\n"
    assert (workdir / "milestones/model_95pct.pt").read_text() == "best_model.pt\n"


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("echo $x", "$(touch canary); `x` 'q' \"d\" *"),
        ("echo '$x' and \"$x\"", "$(touch canary); `x` 'q' \"d\" * and $(touch canary); `x` 'q' \"d\" *"),
        ("echo -e 'a\\tb' $back", "a\tb \\n\\c"),
        ("echo a\\\\nb", "a\\nb"),
        ("echo -n $dash", "-n"),
        ("echo $$HOME $$$$", "$HOME $$"),
        ("echo $HOME", "$HOME"),
        ("echo ${x_unset:-fallback}", "fallback"),
        ('echo "two  spaces"   one', "two  spaces one"),
        ("echo *", "*"),
        ("ls *.pt", "best_model.pt\nmodel.pt"),
        ("ls '*.pt' model.pt 2>/dev/null; echo after", "model.pt\nafter"),
        ("cat log.txt | wc -l", "1"),
        ("cat", ""),
        ("cat '' 2>/dev/null; echo $none${none:-}", ""),
        ("ls | grep -c pt", "2"),
        ("ls missing 2>/dev/null; echo still", "still"),
        ("find . -name '*.pt' | wc -l", "3"),
        ("echo $(ls | grep log) $(echo $(echo deep))", "log.txt deep"),
        ("echo one > out.txt && echo two >> out.txt && cat < out.txt", "one\ntwo"),
        ("ls missing && echo never; echo end", "end"),
        ('echo "$multi"', "a\nb"),
        ("grep -c -- $dash log.txt; echo ok", "0\nok"),
    ],
)
async def test_a_line_means_what_a_shell_would_make_of_it(
    this_machine: LocalTransport, workdir: Path, command: str, printed: str
) -> None:
    values = {
        "x": "$(touch canary); `x` 'q' \"d\" *",
        "back": "\\n\\c",
        "dash": "-n",
        "multi": "a\nb",
        "none": None,
    }
    told = await ran(this_machine, workdir, command, values)
    assert told.startswith("exit status 0")
    shown = told.removeprefix("exit status 0").removeprefix("\n")
    assert "\n".join(line for line in shown.split("\n") if not line.startswith("ls:")) == printed
    assert not (workdir / "canary").exists()


async def test_the_environment_is_ours_to_choose_and_no_capture_enters_it(
    this_machine: LocalTransport, workdir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK", "secret")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "show").write_text("#!/bin/sh\nenv\n")
    (tools / "show").chmod(0o755)
    settings = RunCommandSettings(commands=("show",), path=f"{tools}:/usr/bin:/bin", env={"PROJECT": "demo"})
    told = await ran(
        this_machine, workdir, "show", {"PATH": "/evil", "LD_PRELOAD": "/evil.so", "HOME": "/evil"}, settings
    )
    shown = dict(line.split("=", 1) for line in told.splitlines()[1:])
    assert shown["PATH"] == settings.path
    assert shown["HOME"] == pwd.getpwnam(ME).pw_dir
    assert (shown["USER"], shown["LANG"], shown["PROJECT"]) == (ME, "C.UTF-8", "demo")
    assert (shown["RECONCILER_JOB_ID"], shown["RECONCILER_JOB_NAME"]) == ("123", "train")
    assert shown["RECONCILER_WATCHER"] == "Watch"
    assert set(shown) <= {
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "PROJECT", "PWD", "OLDPWD", "SHLVL", "_",
        "RECONCILER_JOB_ID", "RECONCILER_JOB_NAME", "RECONCILER_WATCHER",
    }  # fmt: skip


async def test_a_status_other_than_zero_is_a_failure_that_is_not_tried_again(
    this_machine: LocalTransport, workdir: Path
) -> None:
    with pytest.raises(PermanentActionError, match="exit status 2") as caught:
        await ran(this_machine, workdir, "ls missing")
    assert "missing" in caught.value.message
    assert not caught.value.refused


async def test_output_is_kept_up_to_the_documented_length(this_machine: LocalTransport, workdir: Path) -> None:
    (workdir / "big.txt").write_text("x" * 100_000)
    told = await ran(this_machine, workdir, "cat big.txt", settings=RunCommandSettings(output_bytes=300))
    assert told == "exit status 0\n" + "x" * 300 + "\n(cut at 300 bytes)"


async def test_a_command_that_hangs_is_ended(this_machine: LocalTransport, workdir: Path) -> None:
    os.mkfifo(workdir / "fifo")
    with pytest.raises(PermanentActionError, match=r"0\.3 s"):
        await ran(this_machine, workdir, "cat fifo", timeout=0.3)


async def test_a_params_timeout_cannot_outlast_the_settings(this_machine: LocalTransport, workdir: Path) -> None:
    os.mkfifo(workdir / "fifo")
    with pytest.raises(PermanentActionError, match=r"0\.2 s"):
        await ran(this_machine, workdir, "cat fifo", settings=RunCommandSettings(timeout=0.2), timeout=60)


async def test_it_runs_in_a_directory_below_and_nowhere_else(this_machine: LocalTransport, workdir: Path) -> None:
    assert await ran(this_machine, workdir, "ls", cwd="checkpoints") == "exit status 0\nepoch1.pt"
    assert await ran(this_machine, workdir, "ls", {"d": "milestones"}, cwd="$d") == "exit status 0\nold"
    for outside in ("/", "..", "$d"):
        with pytest.raises(PermanentActionError) as caught:
            await ran(this_machine, workdir, "ls", {"d": "../.."}, cwd=outside)
        assert caught.value.refused


async def test_a_job_of_another_user_runs_nothing(this_machine: LocalTransport, workdir: Path) -> None:
    scheduler = MemoryScheduler(me="somebody")
    context = a_context(
        {"command": "touch canary"}, transport=this_machine, scheduler=scheduler, job=a_job(workdir=str(workdir))
    )
    with pytest.raises(PermanentActionError, match="belongs to") as caught:
        await make(None, {}).run(context)
    assert caught.value.refused
    assert not (workdir / "canary").exists()


async def test_a_job_without_a_known_directory_runs_nothing(this_machine: LocalTransport) -> None:
    with pytest.raises(PermanentActionError, match="not known") as caught:
        await make(None, {}).run(a_context({"command": "ls"}, transport=this_machine, job=a_job(workdir=None)))
    assert caught.value.refused


@pytest.mark.parametrize("source", ["git:https://example.org/x", "api:", "script:123", "unheard-of:x", ""])
async def test_code_runs_only_for_sources_that_may(this_machine: LocalTransport, workdir: Path, source: str) -> None:
    (workdir / "eval.py").write_text("open('canary', 'w')\n")
    with pytest.raises(PermanentActionError, match="runs code") as caught:
        await ran(this_machine, workdir, "python eval.py", source=source)
    assert caught.value.refused
    assert not (workdir / "canary").exists()


async def test_a_script_gets_captured_values_as_arguments(this_machine: LocalTransport, workdir: Path) -> None:
    (workdir / "eval.py").write_text("import sys; print(sys.argv[1:])\n")
    settings = RunCommandSettings(interpreter_sources=("directory", "git"), commands=("python3",))
    told = await ran(
        this_machine, workdir, "python3 eval.py --loss $x 'a b'", {"x": "1; rm -r *"}, settings, source="git:x"
    )
    assert told == "exit status 0\n['--loss', '1; rm -r *', 'a b']"


async def test_what_a_substitution_prints_cannot_leave_the_directory_or_become_an_option(
    this_machine: LocalTransport, workdir: Path
) -> None:
    for name, text in {"slash": "../../x", "dots": "..", "dash": "-rf", "empty": ""}.items():
        (workdir / name).write_text(text)
    for line in (
        "cp model.pt $(cat slash)",
        "cp model.pt backups/$(cat slash)",
        "cp model.pt $(cat dots)/x",
        "mkdir $(cat dash)",
        "touch $(cat empty)-rf",
        "echo x > $(cat slash)",
        "echo $(cat $(cat slash))",
        "ls -$(cat dash) && echo never",
    ):
        before = sorted(path for path in workdir.parent.rglob("*"))
        with pytest.raises(PermanentActionError) as caught:
            await ran(this_machine, workdir, line)
        assert caught.value.refused, (line, caught.value.message)
        assert sorted(path for path in workdir.parent.rglob("*")) == before


async def test_a_file_named_like_an_option_stays_a_file(this_machine: LocalTransport, workdir: Path) -> None:
    (workdir / "-rf").write_text("dash\n")
    (workdir / "--help").write_text("help\n")
    assert await ran(this_machine, workdir, "cat *r? *help") == "exit status 0\ndash\nhelp"
    (workdir / "-delete").write_text("")
    await ran(this_machine, workdir, "find * -name model.pt")
    assert (workdir / "model.pt").exists()
    settings = RunCommandSettings(commands=("printenv",), interpreter_sources=("directory",))
    with pytest.raises(PermanentActionError, match="exit status 1"):
        await ran(this_machine, workdir, "printenv *help ${none:-}*help", settings=settings)


class LostTransport(LocalTransport):
    """This machine, lost as soon as a shell was started."""

    async def run(self, argv: Sequence[str], **options: Any) -> Completed:
        raise HostUnreachableError("connection lost")


async def test_a_lost_host_is_tried_again_only_where_that_is_safe(workdir: Path) -> None:
    lost = LostTransport(a_job().host)
    with pytest.raises(PermanentActionError, match="not known") as caught:
        await ran(lost, workdir, "touch x")
    assert not caught.value.refused
    with pytest.raises(TemporaryActionError):
        await ran(lost, workdir, "touch x", idempotent=True)
    await lost.close()


async def test_cancelling_the_action_ends_its_processes(this_machine: LocalTransport, workdir: Path) -> None:
    os.mkfifo(workdir / "fifo")
    task = asyncio.create_task(ran(this_machine, workdir, "echo started > flag; cat fifo"))
    await eventually((workdir / "flag").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_what_no_settings_could_allow_is_an_error_of_the_file() -> None:
    for line in ("ls & rm x", "echo `date`", "FOO=1 ls", "ls\nrm x", "echo $((1))"):
        with pytest.raises(ValidationError):
            RunCommandParams(command=line)
    assert RunCommandParams(command="cp a b\n").command == "cp a b\n"


def test_check_tells_what_the_settings_forbid() -> None:
    params = RunCommandParams(command="python eval.py && lsof")
    assert check(params, None, {}, "directory:x") == ("'lsof' is not among the allowed commands",)
    assert len(check(params, RunCommandSettings(interpreter_sources=()), {}, "directory:x")) == 2


def test_settings_refuse_commands_that_hide_what_they_run() -> None:
    for commands in (("eval",), ("exec",), ("command ls",), ("/bin/ls",), ("a b c",), ("-x",)):
        with pytest.raises(ValidationError):
            RunCommandSettings(commands=commands)


def test_it_is_dropped_over_the_limit_and_repeated_only_where_declared() -> None:
    assert PLUGIN.traits.limit is Limit.DROP
    assert PLUGIN.traits.after_crash is AfterCrash.ASK_SPEC
