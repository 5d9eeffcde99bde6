"""The command `reconcile`, one file per subcommand; see README.md in this folder.

`program` is the entry point of the installed program, `main` the same as a function. It answers `--version` before
anything is imported.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from reconciler import __version__


def main(words: Sequence[str] | None = None) -> int:
    """Run `reconcile` with these words (default: those of the command line) and return its exit status."""
    words = tuple(sys.argv[1:] if words is None else words)
    if words in (("--version",), ("-V",)):
        with suppress(OSError):  # `run` tries again, and tells what is wrong
            print(f"reconcile {__version__}", flush=True)
            return 0
    from reconciler.cli.exits import run  # imports click: start-up time that --version does not pay

    return run(words)


def program() -> NoReturn:
    """Run `reconcile` and leave with its exit status.

    Imports make objects that stay: no collections before `app.started`, and an end without taking the interpreter
    apart, save a third of the time of a pass under cron. Everything that must be closed is closed by then.
    """
    gc.disable()
    _open_streams()
    try:
        status = main()
    except KeyboardInterrupt:  # while imports are under way; later ones end in `run`
        status = 130
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _open_streams() -> None:
    """Put /dev/null where a standard stream is closed: Python has None there, and the next file gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - open to the end, as any standard stream
