"""Random command lines: nothing makes the policy fail, and what it lets through runs only programs that are allowed.

The oracle knows nothing of shells. Every program that a line could name is a stub that writes its own name down; or the
programs are the real ones, and everything around the job's directory must stay as it was.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.logic.command import (
    CommandPolicy,
    CommandRefusedError,
    CommandSyntaxError,
    Script,
    check_command,
    render_command,
)
from reconciler.logic.command_tools import names

LONG = os.environ.get("RECONCILER_CAMPAIGN") == "long"
ALLOWED = sorted(names("ls cat cp mv touch mkdir grep find tail head wc date logger wandb python pip uv uvx"))
FORBIDDEN = sorted(names("rm sh bash env xargs lsof sudo forbidden perl tee x out time a e"))

PIECES = sorted(
    names(
        "a.txt b/c *.pt $x ${x} -l -n -- 2>&1 .$x $x* [$x] -t -t$x .. /tmp/canary ../canary ( ) `forbidden` || & $$x"
        " =$x --target-directory=$x ! $(cat_$x)/.. .$(echo)/x ? [a-z]* *$x ~ - ${x:-y} # {a,b} é -p2>&1 $(forbidden)"
        " <<<x ; | <(forbidden) && > >> < $ -delete -exec -c A=1 if fi { } $(( {\U0001f600"
    )
)
heads = st.sampled_from(
    ["echo", "python a.py", "uv run a.py", "mkdir -p", "ls", "cat", "cp", "mv", "touch", "find", "wc"]
)
tokens = st.one_of(
    st.sampled_from(PIECES),
    st.sampled_from(["'a b'", '"$x y"', "'$x'\"$x\"", '"$(forbidden)"', "'", '"', "\\", "\\;", "e\\$x", "\t", "\n"]),
    st.sampled_from(
        ["$(date +%s)", "$(echo $x)", "> out", ">> $x", "< a.txt", "| wc -l", "&& ls", "; cat $x", "-name $x"]
    ),
    st.sampled_from(["-newer $x", "$(ls | head -1)", "$(cat list)", "$(find $x)", ".$(echo .)/x", "$(cat list)/$x"]),
    st.sampled_from([*ALLOWED, *FORBIDDEN, "eval", "command", "exec"]),
)
gaps = st.sampled_from([" ", " ", " ", " ", ""])
lines = st.builds(
    lambda head, rest: head + "".join(gap + token for gap, token in rest),
    heads,
    st.lists(st.tuples(gaps, tokens), max_size=6),
)
values = st.one_of(
    st.sampled_from(
        [
            "5.73",
            "$(forbidden)",
            "`forbidden`",
            "-rf",
            "'",
            '"',
            "a b",
            "",
            "../canary",
            ".",
            "..",
            "../../x",
            "/tmp/canary",
            "*",
        ]
    ),
    st.sampled_from(
        ["-delete", "\nforbidden\n", ";forbidden", "~", "a\\", "-t/tmp", "(", "!", "[", "?", "}", "-exec forbidden ;"]
    ),
    lines,
    st.text(max_size=20),
)


@dataclass(frozen=True)
class Ground:
    """A root with programs on one side and the job's directory on the other."""

    root: Path
    path: str

    @property
    def policy(self) -> CommandPolicy:
        return CommandPolicy(workdir=str(self.root / "work"), interpreters=True)

    def run(self, script: Script) -> set[str]:
        """Run a script and return the names of the stubs that ran."""
        log = self.root / "log"
        log.write_text("")
        subprocess.run(
            ["/bin/sh", "-s", "--", *script.arguments],
            input=script.source.encode(),
            cwd=self.root / "work",
            env={"PATH": self.path, "LOG": str(log)},
            capture_output=True,
            timeout=20,
            check=False,
        )
        return set(log.read_text().split())

    def around(self) -> list[tuple[str, int]]:
        """Return everything that stands beside the job's directory."""
        rooms = [path for name in ("outside", "stubs", "") for path in (self.root / name).iterdir()]
        return sorted((str(path), path.stat().st_size) for path in rooms if path.is_file() and path.name != "log")


def ground(root: Path, stubs: list[str], path: str) -> Ground:
    for room in ("stubs", "work", "work/b", "outside"):
        (root / room).mkdir()
    (root / "outside" / "kept").write_text("kept\n")
    (root / "work" / "list").write_text("../outside/kept\n")
    for name in ("a.txt", "-rf", "x"):
        (root / "work" / name).write_text("..\n")
    for name in stubs:
        stub = root / "stubs" / name
        stub.write_text('#!/bin/sh\necho "${0##*/}" >> "$LOG"\necho ../out\n')
        stub.chmod(0o755)
    return Ground(root, path)


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """A stub for every program that a line could name, and no other program."""
    root = tmp_path_factory.mktemp("stubs")
    return ground(root, ALLOWED + FORBIDDEN, str(root / "stubs"))


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """The real programs, and a stub called `forbidden`."""
    root = tmp_path_factory.mktemp("tools")
    return ground(root, ["forbidden", "python", "uv"], f"{root / 'stubs'}:/usr/bin:/bin")


def script_of(text: str, policy: CommandPolicy, captured: str) -> Script | None:
    try:
        return render_command(text, policy, {"x": captured})
    except (CommandRefusedError, CommandSyntaxError):
        return None


#: They ended the process when the grammar's scanner saw them.
@pytest.mark.parametrize(
    "text", ["{\U00031860", "echo {\U00100000", "echo {a $(ls {\U0001f600)", "cp a {\U0010fffd,b}"]
)
def test_no_character_reaches_the_scanner_that_it_has_no_table_for(text: str) -> None:
    assert check_command(text, CommandPolicy(workdir="/job"))


bounded = settings(
    max_examples=3000 if LONG else 200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@settings(max_examples=20_000 if LONG else 500, deadline=None)
@given(text=st.one_of(lines, st.text(max_size=200)), captured=values)
def test_every_text_is_judged_and_none_makes_the_judge_fail(text: str, captured: str) -> None:
    policy = CommandPolicy(workdir="/job", interpreters=True)
    problems = check_command(text, policy)
    if script_of(text, policy, captured) and captured:  # where an empty value stands, the author wrote all of the word
        assert problems == (), "what is refused as it is written is refused with values too"


@bounded
@given(text=lines, captured=values)
def test_what_is_let_through_runs_allowed_programs_only(stubs: Ground, text: str, captured: str) -> None:
    script = script_of(text, stubs.policy, captured)
    if script is not None:
        before = stubs.around()
        assert stubs.run(script) <= set(ALLOWED), script.source
        assert stubs.around() == before


@bounded
@given(text=lines, captured=values)
def test_what_is_let_through_changes_nothing_outside(tools: Ground, text: str, captured: str) -> None:
    script = script_of(text, tools.policy, captured)
    if script is not None:
        before = tools.around()
        assert "forbidden" not in tools.run(script)
        assert tools.around() == before, script.source
        assert not Path("/tmp/canary").exists()


@bounded
@given(text=lines, captured=values)
def test_a_captured_value_never_changes_which_programs_run(stubs: Ground, text: str, captured: str) -> None:
    script, plain = script_of(text, stubs.policy, captured), script_of(text, stubs.policy, "plain")
    if script is not None and plain is not None:
        assert stubs.run(script) <= stubs.run(plain) | stubs.run(script_with(plain)), script.source


def script_with(script: Script) -> Script:
    """Return the script without what looks at outputs: all its programs run."""
    return Script(script.source.replace(" && ", "\n"), script.arguments)
