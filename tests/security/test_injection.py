"""Two hundred ways to make a watcher run what nobody allowed: none of them does.

A program called `forbidden` stands on the PATH of every command and leaves a canary when it runs; a directory beside
the job's is watched for anything that appears, changes or vanishes. Attempts come from captured text, from job and
watcher names, from paths and from what an author wrote. Everything runs through the real shell, captured text over SSH
too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from parts.acting import MemoryScheduler, a_context, a_job, a_watcher
from parts.sshd import Sshd
from pydantic import ValidationError

from reconciler.actions import cancel_job, log_event, resubmit, run_command, store_metric
from reconciler.actions.run_command import RunCommandParams, RunCommandSettings
from reconciler.errors import ActionError
from reconciler.protocols import Transport


@dataclass(frozen=True)
class Ground:
    """Where attempts are made: the job's directory, what must stay as it is, and settings that allow all the usual."""

    root: Path
    work: Path
    settings: RunCommandSettings

    def canaries(self) -> list[Path]:
        """Return every trace of something that ran or wrote where it must not."""
        kept = (self.root / "outside" / "kept.txt").read_text() == "kept\n" and (self.work / "sentinel").exists()
        strays = [path for path in (self.root / "outside").iterdir() if path.name != "kept.txt"]
        return [*self.root.rglob("*canary*"), *strays, *([] if kept else [self.root])]


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """A job's directory, a directory outside, and `forbidden` on the PATH."""
    tools, work, outside = tmp_path / "tools", tmp_path / "work", tmp_path / "outside"
    for directory in (tools, work, outside, work / "backups"):
        directory.mkdir()
    (tools / "forbidden").write_text(f"#!/bin/sh\n: > {tmp_path}/canary\n")
    (tools / "forbidden").chmod(0o755)
    (outside / "kept.txt").write_text("kept\n")
    (work / "sentinel").write_text("here\n")
    (work / "log.txt").write_text("loss\n")
    (work / "code.py").write_text("import sys; print(sys.argv[1:])\n")
    settings = RunCommandSettings(
        commands=(*RunCommandSettings().commands, "python3"), path=f"{tools}:/usr/local/bin:/usr/bin:/bin", timeout=20
    )
    return Ground(tmp_path, work, settings)


async def attempt(
    ground: Ground,
    transport: Transport,
    command: str,
    values: Mapping[str, str | None] | None = None,
    *,
    job_name: str = "train",
    watcher: str = "Watch",
    cwd: str | None = None,
) -> str:
    """Run a line and return what was told, of a failure too."""
    params = {"command": command, **({"cwd": cwd} if cwd else {})}
    context = a_context(
        params,
        values,
        transport=transport,
        job=a_job(workdir=str(ground.work), name=job_name),
        watcher=a_watcher(name=watcher),
    )
    try:
        return await run_command.make(ground.settings, {}).run(context)
    except ActionError as error:
        return f"FAILED {error.message}"


CAPTURED = [
    "$(forbidden)",
    "`forbidden`",
    "; forbidden",
    "&& forbidden",
    "|| forbidden",
    "| forbidden",
    "& forbidden &",
    "\nforbidden\n",
    "\r\nforbidden\r\n",
    "'; forbidden; '",
    '"; forbidden; "',
    "'$(forbidden)'",
    '"$(forbidden)"',
    "\\'; forbidden; \\'",
    "'\"'\"'; forbidden #",
    "${IFS}forbidden",
    "$IFS;forbidden",
    "$((forbidden))",
    "${x:-$(forbidden)}",
    "${x:=`forbidden`}",
    "<(forbidden)",
    ">(forbidden)",
    "$'\\x3bforbidden'",
    "> ../outside/canary",
    ">> ../outside/kept.txt",
    "2> canary",
    "< /etc/passwd",
    "<<< canary",
    "<<EOF\nforbidden\nEOF",
    "*",
    "../outside/*",
    "~",
    "{a,canary}",
    "[!x]*",
    "-e",
    "-n",
    "--help",
    "--",
    "-rf",
    "-exec forbidden ;",
    "-delete",
    "--target-directory=../outside",
    "-t ../outside",
    "#",
    "!!",
    "^x^forbidden",
    "%s%n%x",
    "\\n\\c\\0101",
    "$1",
    "$x",
    "${JOB_ID}",
    "$$",
    "$0",
    "$PATH",
    "PATH=/evil forbidden",
    "(forbidden)",
    "{ forbidden; }",
    "() { :; }; forbidden",
    "eval forbidden",
    "exec forbidden",
    "\x1b]0;forbidden\x07",
    "\x7f\x08\x08",
    "\u202eforbidden",
    "\ue0000\ue001",
    "\ue002",
    "\ufffd\ud7ff",
    "\U0001d557orbidden 🎉",
    "a b\tc",
    "  lead and trail  ",
    "",
    "x" * 4096,
    "'" * 500,
    "$(" * 200,
    "} </dev/null\nforbidden\n{",
    "}; forbidden; {",
    "refuse() { forbidden; }",
    "__import__('os').system('forbidden')",
    "\"); import os; os.system('forbidden') #",
    "%(forbidden)s",
    "{{7*7}}",
]

#: Where a captured value may stand, and still be only data. `python3` prints its arguments.
TEMPLATES = [
    "echo $x",
    "echo \"$x\" '$x' pre$x",
    "echo -e $x | cat | wc -l",
    "logger -s -t tag$x $x 2>/dev/null; echo done",
    "grep -F -- $x log.txt; echo done",
    "python3 code.py --value=$x pre$x",
    "echo $(echo $x)",
]


@pytest.mark.parametrize("template", TEMPLATES)
async def test_captured_text_is_data_wherever_it_stands(ground: Ground, this_machine: Transport, template: str) -> None:
    for payload in CAPTURED:
        told = await attempt(ground, this_machine, template, {"x": payload})
        assert ground.canaries() == [], (payload, told)
        assert told.startswith("exit status 0"), (payload, told)


@pytest.mark.ssh
async def test_captured_text_is_data_over_ssh_too(ground: Ground, sshd: Sshd) -> None:
    values: dict[str, str | None] = {f"x{number}": payload for number, payload in enumerate(CAPTURED)}
    settings = ground.settings.model_copy(update={"output_bytes": 100_000})
    async with sshd.transport() as transport:
        line = "python3 code.py " + " ".join(f"=${name}" for name in values)
        told = await attempt(replace(ground, settings=settings), transport, line, values)
    assert told == f"exit status 0\n{['=' + payload for payload in CAPTURED]!r}"
    assert ground.canaries() == []


@pytest.mark.parametrize("payload", CAPTURED, ids=range(len(CAPTURED)))
async def test_captured_text_is_one_argument_and_arrives_as_it_was(
    ground: Ground, this_machine: Transport, payload: str
) -> None:
    told = await attempt(ground, this_machine, "python3 code.py $x end =$x", {"x": payload})
    if payload.startswith("-"):
        assert told.startswith("FAILED refused"), told
        assert "dash" in told
    else:
        wanted = f"exit status 0\n{[payload, 'end', '=' + payload]!r}"
        assert told.removesuffix("\n(cut at 4096 bytes)") == wanted[: len("exit status 0\n") + 4096]
    assert ground.canaries() == []


async def test_a_zero_byte_is_shown_as_what_it_is(ground: Ground, this_machine: Transport) -> None:
    assert (
        await attempt(ground, this_machine, "echo $x", {"x": "a\0; forbidden"}) == "exit status 0\na\ufffd; forbidden"
    )


#: Where a captured value names a file.
PATHS = [
    "cp log.txt $x",
    "mv log.txt backups/$x",
    "touch $x",
    "mkdir -p $x",
    "cat $x",
    "echo t > $x",
    "find $x -name y",
    "ls $x*",
]


@pytest.mark.parametrize(
    "payload", [*CAPTURED, "/etc/passwd", "../outside/kept.txt", "a/../../outside/x", "/", "..", "."]
)
async def test_captured_text_as_a_path_stays_in_the_directory(
    ground: Ground, this_machine: Transport, payload: str
) -> None:
    for template in PATHS:
        await attempt(ground, this_machine, template, {"x": payload[:200]})
        strays = [path for path in ground.canaries() if ground.work not in path.parents]
        assert strays == [], (template, payload)
        assert not (ground.root / "canary").exists()


@pytest.mark.parametrize("payload", CAPTURED, ids=range(len(CAPTURED)))
async def test_names_and_the_directory_to_run_in_are_data_too(
    ground: Ground, this_machine: Transport, payload: str
) -> None:
    await attempt(ground, this_machine, "echo ${JOB_NAME} ${WATCHER}", job_name=payload, watcher=payload)
    await attempt(ground, this_machine, "echo t", {"x": payload}, cwd="$x")
    assert ground.canaries() == []


@pytest.mark.parametrize(
    "name", ["PATH", "LD_PRELOAD", "IFS", "ENV", "BASH_ENV", "PS4", "HOME", "PYTHONPATH", "output1", "refuse"]
)
async def test_no_capture_is_a_variable_of_the_shell(ground: Ground, this_machine: Transport, name: str) -> None:
    (ground.work / "echo").write_text(f"#!/bin/sh\n: > {ground.root}/canary\n")
    (ground.work / "echo").chmod(0o755)
    told = await attempt(ground, this_machine, f"cat log.txt && echo ${name} $(date +x)", {name: str(ground.work)})
    assert told == f"exit status 0\nloss\n{ground.work} x"
    assert ground.canaries() == []


WRITTEN = [
    "forbidden",
    "'forbidden'",
    "for''bidden",
    "\\forbidden",
    "./forbidden",
    "echo $(forbidden)",
    'echo "$(forbidden)"',
    "echo `forbidden`",
    'echo "`forbidden`"',
    "echo '$(' $(forbidden) ')'",
    "echo $(echo $(forbidden))",
    "echo $(echo x; forbidden)",
    "echo $(echo x | forbidden)",
    "ls | forbidden",
    "ls |& forbidden",
    "ls | sh -c forbidden",
    "echo forbidden | sh",
    "echo forbidden | bash",
    "ls & forbidden",
    "forbidden & ls",
    "ls || forbidden",
    "ls missing || forbidden",
    "ls && forbidden",
    "ls; forbidden",
    "ls;forbidden",
    "ls\nforbidden",
    "ls\r\nforbidden",
    "ls\\\nforbidden",
    "ls \x0bforbidden",
    "ls # x\nforbidden",
    "(forbidden)",
    "{ forbidden; }",
    "! forbidden",
    "if ls; then forbidden; fi",
    "while forbidden; do ls; done",
    "until forbidden; do ls; done",
    "for x in a; do forbidden; done",
    "case a in a) forbidden;; esac",
    "ls() { forbidden; }; ls",
    "function ls { forbidden; }; ls",
    "[[ -n $(forbidden) ]]",
    "[ -n $(forbidden) ]",
    "test -n $(forbidden)",
    "echo $(( $(forbidden) ))",
    "(( x = $(forbidden) ))",
    "let x=$(forbidden)",
    "x=$(forbidden)",
    "x=1 forbidden",
    "FOO=1 forbidden",
    "PATH=. ls",
    "LD_PRELOAD=./x.so ls",
    "export X=$(forbidden)",
    "declare x=$(forbidden)",
    "local x=$(forbidden)",
    "readonly x=$(forbidden)",
    "unset -f ls; forbidden",
    "env forbidden",
    "env -S forbidden",
    "command forbidden",
    "builtin command forbidden",
    "exec forbidden",
    "eval forbidden",
    'eval "for"bidden',
    ". ./forbidden",
    "source forbidden",
    "xargs forbidden",
    "echo x | xargs forbidden",
    "nohup forbidden",
    "nice forbidden",
    "time forbidden",
    "timeout 5 forbidden",
    "setsid forbidden",
    "sudo forbidden",
    "su -c forbidden",
    "script -c forbidden",
    "watch forbidden",
    "parallel ::: forbidden",
    "coproc forbidden",
    "trap forbidden EXIT",
    "alias ls=forbidden; ls",
    "hash -p /x ls; ls",
    "enable -f ./x.so x",
    "bind -x forbidden",
    "printf -v x forbidden",
    "read x; $x",
    "busybox sh -c forbidden",
    "perl -e 'system q(forbidden)'",
    "awk 'BEGIN{system(\"forbidden\")}'",
    "sed -n '1e forbidden' log.txt",
    "vim -c '!forbidden'",
    "tar --checkpoint-action=exec=forbidden -cf x.tar .",
    "git -c core.pager=forbidden log",
    "ssh -o ProxyCommand=forbidden x",
    "find . -exec forbidden \\;",
    "find . -exec forbidden +",
    "find . -execdir forbidden \\;",
    "find . -ok forbidden \\;",
    "find . -okdir forbidden \\;",
    "find . '-exec' forbidden ';'",
    "find . -\"exec\" forbidden ';'",
    "find . -name x -o -exec forbidden ';'",
    "find . -delete",
    "find sentinel -delete",
    "find . -fprint ../outside/canary",
    "find . -fprintf ../outside/canary x",
    "find . -fls ../outside/canary",
    "cat <(forbidden)",
    "ls > >(forbidden)",
    "cat <<EOF\n$(forbidden)\nEOF",
    "cat <<< $(forbidden)",
    "echo ${x:=$(forbidden)}",
    "echo $'$(forbidden)'",
    'echo $"$(forbidden)"',
    "echo ${x@P}",
    "echo ${!x}",
    "$x",
    "${x:-forbidden}",
    "${x:-for}bidden",
    "$(echo forbidden)",
    '"$(echo forbidden)"',
    "*bidden",
    "forbidde?",
    "../tools/forbidden",
    "/usr/bin/env forbidden",
    "/bin/sh -c forbidden",
    "sh -c forbidden",
    "ls > ../outside/canary",
    "ls >> ../outside/kept.txt",
    "ls >| ../outside/canary",
    "ls &> ../outside/canary",
    "ls &>> ../outside/canary",
    "ls 2> ../outside/canary",
    "> ../outside/canary",
    "> ../outside/canary ls",
    "ls > backups/../../outside/canary",
    "ls > $(echo ../outside/canary)",
    "ls > ${x:-../outside/canary}",
    "cp log.txt ../outside/canary",
    "cp log.txt ..",
    "cp -t ../outside log.txt",
    "cp --target-directory ../outside log.txt",
    "cp --target=../outside log.txt",
    "cp log.txt backups/../../outside/canary",
    "cp log.txt ${x:-..}/outside/canary",
    "cp log.txt $(echo ..)/outside/canary",
    "cp log.txt .$(echo .)/outside/canary",
    "cp log.txt $(echo ../outside/canary)",
    "cp ../outside/kept.txt .",
    "mv ../outside/kept.txt .",
    "mv sentinel ../outside/canary",
    "mv -t ../outside sentinel",
    "touch ../outside/canary",
    "touch -- ../outside/canary",
    "touch backups/../../outside/canary",
    "touch '../outside/canary'",
    'touch ".."/outside/canary',
    "touch .\\./outside/canary",
    "mkdir ../outside/canary",
    "mkdir -p backups/../../outside/canary",
    "cp .* backups",
    "cp -r .?/outside backups",
    "mv .[.]/outside/kept.txt .",
    "python -c 'import os; os.system(\"forbidden\")' & ls",
    "python3 -c $x",
    "python3 -i",
    "echo 'import os; os.system(\"forbidden\")' | python3",
    "echo 'import os; os.system(\"forbidden\")' | python3 -",
    "echo 'import os; os.system(\"forbidden\")' | python3 /dev/stdin",
    "echo 'import os; os.system(\"forbidden\")' > x.py && python3 x.py",
    "python3 -m timeit -s ${x:-'import os; os.system(\"forbidden\")'}",
    "uv run ${x:-forbidden}",
    "uv tool run forbidden",
    "uvx ${x:-forbidden}",
    "uvx --from ${x:-forbidden} x",
    "pip install ${x:-./forbidden}",
    "pip install $(echo ./forbidden)",
    "wandb launch -u . -E forbidden",
    "wandb agent x",
    "wandb docker-run forbidden",
    "tail --pid=1 -f log.txt & forbidden",
    "logger --file ../outside/kept.txt",
    "date -s @0",
]


@pytest.mark.parametrize("line", WRITTEN, ids=range(len(WRITTEN)))
async def test_what_an_author_wrote_runs_nothing_that_is_not_allowed(
    ground: Ground, this_machine: Transport, line: str
) -> None:
    told = await attempt(ground, this_machine, line)
    assert ground.canaries() == [], told
    assert told.startswith("FAILED refused"), told


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("echo ${x:-$(forbidden)}", "$(forbidden)"),
        ('echo "${x:-`forbidden`}"', "`forbidden`"),
        ("echo ${x:-${y:-$(forbidden)}}", "$(forbidden)"),
        ("echo ${none:+$(forbidden)}.", "."),
        ("echo '$(forbidden)' \\$\\(forbidden\\)", "$(forbidden) $(forbidden)"),
        ("echo $$(forbidden)", None),
        ("echo '$$(forbidden)'", "$(forbidden)"),
    ],
)
async def test_what_only_looks_like_a_substitution_is_text(
    ground: Ground, this_machine: Transport, line: str, printed: str | None
) -> None:
    told = await attempt(ground, this_machine, line)
    assert ground.canaries() == []
    assert told.startswith("FAILED refused") if printed is None else told == f"exit status 0\n{printed}"


def test_most_of_it_is_an_error_of_the_file_already() -> None:
    refused = 0
    for line in WRITTEN:
        try:
            problems = run_command.check(RunCommandParams(command=line), RunCommandSettings(), {}, "directory:x")
        except ValidationError:
            refused += 1
        else:
            refused += bool(problems)
    assert refused > 0.9 * len(WRITTEN)


@pytest.mark.parametrize("payload", CAPTURED, ids=range(len(CAPTURED)))
async def test_the_other_actions_hand_captured_text_on_as_it_is(this_machine: Transport, payload: str) -> None:
    scheduler = MemoryScheduler()
    params = {"modifications": {"job-name": "$x"}, "arguments": ["$x"]}
    context = a_context(params, {"x": payload}, transport=this_machine, scheduler=scheduler, job=a_job(comment=payload))
    with contextlib.suppress(ActionError):
        await resubmit.make(None, {}).run(context)
        assert scheduler.submissions[0].arguments == (payload,)
        assert scheduler.submissions[0].options == {"job-name": payload}
    context = a_context({"reason": "$x"}, {"x": payload}, transport=this_machine, scheduler=scheduler)
    told = await cancel_job.make(None, {}).run(context)
    assert told == f"job 123 was cancelled ({payload})" or payload == ""
    said = log_event.make(None, {}).effect({"message": payload}, a_watcher(), context.trigger)
    assert said.result == payload
    with pytest.raises(ActionError):
        store_metric.make(None, {}).effect({"name": "x", "value": payload}, a_watcher(), context.trigger)


def test_the_corpus_is_large() -> None:
    assert len(set(CAPTURED)) >= 75
    assert len(set(WRITTEN)) >= 150
