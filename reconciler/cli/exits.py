"""How a command ends: what rises out of it becomes an exit status and words on standard error, here and nowhere else.

`main` calls `run`. Statuses: see `errors.ExitCode`; 130 after Ctrl-C and 141 where the reader of a pipe left, as shells
count.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import click
from click.shell_completion import shell_complete

from reconciler.cli.commands import reconcile
from reconciler.cli.options import start_logging
from reconciler.cli.output import report
from reconciler.errors import ExitCode, ReconcilerError, worst

INTERRUPTED, PIPE_CLOSED = 130, 141
COMPLETION_VARIABLE = "_RECONCILE_COMPLETE"


def run(words: Sequence[str]) -> int:
    """Run the command that `words` name and return the exit status; a command returns an ExitCode, or None for OK."""
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        start_logging()
        status = _invoke(list(words))
        sys.stdout.flush()  # here, so that a closed pipe is seen while somebody can answer for it
    except BaseExceptionGroup as group:
        return _worst([_told(error, words) for error in _leaves(group)])
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the top of the program: nobody above could say what happened
        return _told(error, words)
    return status


def _invoke(words: list[str]) -> int:
    if instruction := os.environ.get(COMPLETION_VARIABLE):
        return shell_complete(reconcile, {}, "reconcile", COMPLETION_VARIABLE, instruction)
    status: Any
    with reconcile.make_context("reconcile", words) as context:
        try:
            status = reconcile.invoke(context)
        except SystemExit as leaving:  # so that the last flush of standard output is watched for these too
            status = leaving.code
    if isinstance(status, str):
        raise ReconcilerError(status)
    return int(status) if isinstance(status, int) else ExitCode.OK


def _told(error: BaseException, words: Sequence[str]) -> int:
    """Say what happened and return its exit status."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        return _pipe_closed()
    if isinstance(error, click.ClickException):
        error.show()
        return ExitCode.USAGE if isinstance(error, click.UsageError) else ExitCode.ERROR
    report(error if isinstance(error, ReconcilerError) else _internal(error))
    if "--debug" in words or os.environ.get("RECONCILER_DEBUG"):
        traceback.print_exception(error)
    return error.exit_code if isinstance(error, ReconcilerError) else ExitCode.ERROR


def _worst(statuses: Sequence[int]) -> int:
    return PIPE_CLOSED if PIPE_CLOSED in statuses else worst([ExitCode(status) for status in statuses])


def _internal(error: BaseException) -> ReconcilerError:
    if isinstance(error, OSError):
        return ReconcilerError(": ".join(str(part) for part in (error.filename, error.strerror) if part) or str(error))
    return ReconcilerError(
        f"this should not have happened: {type(error).__name__}: {error}",
        remedy="run it again with --debug, and report what it shows together with `reconcile --version`",
    )


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Yield the errors in a group and in the groups within it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _pipe_closed() -> int:
    """End quietly, and keep the interpreter from complaining when it flushes standard output at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED
