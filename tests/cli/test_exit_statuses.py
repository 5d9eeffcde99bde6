"""What a command's end looks like from outside: statuses, messages, remedies, tracebacks only when asked for."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
import pytest

from reconciler.cli import commands, main
from reconciler.cli.options import add_to
from reconciler.errors import (
    ConfigurationError,
    ExitCode,
    HostUnreachableError,
    Problem,
    ReconcilerError,
    RefusedError,
    SpecError,
    StateHeldError,
    UsageError,
)

Ending = Callable[[], Any]


@pytest.fixture
def status_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Ending], int]:
    """Run `reconcile probe`, a command that ends as told, and return its status."""

    def run(ending: Ending, *words: str) -> int:
        probe = click.Command("probe", callback=lambda: ending())
        monkeypatch.setattr(commands.Commands, "get_command", lambda self, ctx, name: add_to(probe))
        monkeypatch.setitem(commands.COMMANDS, "probe", commands.Entry("Run", "Ends as told."))
        return main(["probe", *words])

    return run


def raising(error: BaseException) -> Ending:
    def ending() -> None:
        raise error

    return ending


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ReconcilerError("x"), ExitCode.ERROR),
        (ConfigurationError("x"), ExitCode.INVALID),
        (RefusedError("x"), ExitCode.REFUSED),
        (StateHeldError("x"), ExitCode.STATE_HELD),
        (HostUnreachableError("x"), ExitCode.PARTIAL),
        (UsageError("x"), ExitCode.USAGE),
        (click.UsageError("x"), ExitCode.USAGE),
        (click.FileError("x"), ExitCode.ERROR),
        (OSError(28, "No space left on device"), ExitCode.ERROR),
        (KeyError("x"), ExitCode.ERROR),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (SystemExit(3), ExitCode.DRIFT_PENDING),
        (SystemExit(), ExitCode.OK),
        (SystemExit("no such thing"), ExitCode.ERROR),
    ],
)
def test_each_error_ends_with_its_status(status_of: Callable[[Ending], int], error: BaseException, status: int) -> None:
    assert status_of(raising(error)) == status


@pytest.mark.parametrize(("answer", "status"), [(None, 0), (ExitCode.CHANGES_PENDING, 2), (ExitCode.DRIFT_PENDING, 3)])
def test_a_command_returns_its_own_status(
    status_of: Callable[[Ending], int], answer: ExitCode | None, status: int
) -> None:
    assert status_of(lambda: answer) == status


def test_of_several_errors_at_once_the_gravest_counts(
    status_of: Callable[[Ending], int], capsys: pytest.CaptureFixture[str]
) -> None:
    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_raise(HostUnreachableError("hpc1 is silent")))
            group.create_task(_raise(RefusedError("not allowed")))

    assert status_of(lambda: asyncio.run(both())) == ExitCode.REFUSED
    told = capsys.readouterr().err
    assert "hpc1 is silent" in told
    assert "not allowed" in told


async def _raise(error: Exception) -> None:
    raise error


def test_a_known_error_tells_message_and_remedy_and_no_traceback(
    status_of: Callable[[Ending], int], capsys: pytest.CaptureFixture[str]
) -> None:
    status_of(raising(RefusedError("12 watchers would stop", remedy="approve it with --approve")))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: 12 watchers would stop\n  remedy: approve it with --approve\n"


def test_problems_are_told_one_by_one_with_their_place(
    status_of: Callable[[Ending], int], capsys: pytest.CaptureFixture[str]
) -> None:
    problem = Problem("a.yaml", 3, 7, "unknown-key", "no such key", "write pattern", value="patern\x1b[2J")
    whole_file = Problem("b.yaml", 0, 0, "empty", "nothing in it", "", severity="warning")
    assert status_of(raising(SpecError([problem, whole_file]))) == ExitCode.INVALID
    told = capsys.readouterr().err
    assert "a.yaml:3:7: error[unknown-key] no such key\n  found: patern\\x1b[2J\n  remedy: write pattern\n" in told
    assert "b.yaml: warning[empty] nothing in it\n" in told


def test_an_unexpected_error_is_short(status_of: Callable[[Ending], int], capsys: pytest.CaptureFixture[str]) -> None:
    status_of(raising(KeyError("shape")))
    told = capsys.readouterr().err
    assert "KeyError: 'shape'" in told
    assert "--debug" in told
    assert "Traceback" not in told


def test_debug_shows_the_traceback(
    status_of: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status_of(raising(KeyError("shape")), "--debug")
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("RECONCILER_DEBUG", "1")
    status_of(raising(KeyError("shape")))
    assert "Traceback" in capsys.readouterr().err


# --- as a whole process ----------------------------------------------------------------------------------------------


@pytest.fixture
def start() -> Iterator[Callable[[Sequence[str]], subprocess.Popen[str]]]:
    """Start `python -c CODE` with pipes; what still runs at the end is ended."""
    started: list[subprocess.Popen[str]] = []

    def popen(arguments: Sequence[str]) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
        )
        started.append(program)
        return program

    yield popen
    for program in started:
        program.kill()
        program.communicate()


PROBE = """
import sys, click
from reconciler.cli import commands, main
def ending():
{body}
probe = click.Command("probe", callback=ending)
commands.Commands.get_command = lambda self, ctx, name: probe
commands.COMMANDS["probe"] = commands.Entry("Run", "x")
sys.exit(main(["probe"]))
"""


def test_a_reader_that_leaves_is_no_error(start: Callable[[Sequence[str]], subprocess.Popen[str]]) -> None:
    body = "    print('ready', flush=True)\n    while True:\n        print('x' * 1000)"
    program = start(["-c", PROBE.format(body=body)])
    assert program.stdout
    assert program.stderr
    assert program.stdout.readline() == "ready\n"
    program.stdout.close()
    assert program.wait(timeout=20) == 141
    assert program.stderr.read() == ""


def test_a_reader_that_left_before_the_last_flush_is_no_error(
    start: Callable[[Sequence[str]], subprocess.Popen[str]],
) -> None:
    body = "    sys.stderr.write('go\\n')\n    sys.stderr.flush()\n    sys.stdin.read()\n    print('late')"
    program = subprocess.Popen(
        [sys.executable, "-c", PROBE.format(body=body)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stderr
    assert program.stdout
    assert program.stdin
    with program:
        assert program.stderr.readline() == "go\n"
        program.stdout.close()
        program.stdin.close()
        assert program.wait(timeout=20) == 141
        assert program.stderr.read() == ""


@pytest.mark.parametrize("words", [("--version",), ("schema",), ("validate", "nowhere")], ids=" ".join)
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_streams_that_a_supervisor_closed_are_no_error(closed: tuple[int, ...], words: tuple[str, ...]) -> None:
    """The shell's `<&-` and `>&-`."""
    redirected = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    command = ["sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-m", "reconciler", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == (64 if words[0] == "validate" else 0)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["--version", "schema"])
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_output_that_cannot_be_written_is_an_error(unbuffered: str, words: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


def test_an_error_of_the_system_names_its_file(
    status_of: Callable[[Ending], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(raising(PermissionError(13, "Permission denied", "w/a.yaml"))) == ExitCode.ERROR
    assert capsys.readouterr().err == "error: w/a.yaml: Permission denied\n"


def test_interrupt_ends_with_130_and_no_traceback(start: Callable[[Sequence[str]], subprocess.Popen[str]]) -> None:
    body = "    import threading\n    print('ready', flush=True)\n    threading.Event().wait()"
    program = start(["-c", PROBE.format(body=body)])
    assert program.stdout
    assert program.stderr
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    assert program.wait(timeout=20) == 130
    assert "Traceback" not in program.stderr.read()


def test_an_interrupt_while_the_program_is_still_loaded_shows_no_traceback() -> None:
    interrupted = """
import sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == "reconciler.cli.exits":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from reconciler.cli import program
program()
"""
    done = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (130, "")


def test_output_that_the_locale_cannot_show_does_not_end_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(body="    print('loss \\u2193')")],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        timeout=20,
    )
    assert (done.returncode, done.stdout) == (0, b"loss \\u2193\n")
