"""The command lines that SLURM is asked with: fixed programs and options, what comes from outside as arguments. Pure.

Used by `slurm`. Environment variables that would narrow or reshape an answer are taken away, so that a user's
SQUEUE_FORMAT changes nothing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.errors import PermanentActionError
from reconciler.protocols import OptionValue, Submission
from reconciler.schedulers.batch_options import refuse_empty
from reconciler.schedulers.slurm_parse import SQUEUE_FIELDS

_SQUEUE = [
    "ACCOUNT",
    "ARRAY",
    "ARRAY_UNIQUE",
    "FEDERATION",
    "FORMAT",
    "FORMAT2",
    "LICENSES",
    "LOCAL",
    "NAMES",
    "PARTITION",
    "PRIORITY",
    "QOS",
    "SIB",
    "SIBLING",
    "SORT",
    "STATES",
    "USERS",
]
_SACCT = ["FEDERATION", "FORMAT", "LOCAL"]
_PROGRAMS = frozenset({"squeue", "sacct", "sbatch", "scancel", "scontrol"})
_OPTION = re.compile(r"[a-z][a-z0-9-]{0,63}", re.ASCII)
#: Options of sbatch with which it would not submit, not return, or not print the id alone.
_NO_OPTIONS = frozenset({"wrap", "wait", "test-only", "help", "usage", "version", "parsable", "verbose", "uid", "gid"})


@dataclass(frozen=True, slots=True)
class Question:
    """A command line, and the separator that ends each field of its answer."""

    argv: tuple[str, ...]
    separator: bytes = b""


def _separator() -> str:
    return f"<{secrets.token_hex(8)}>"


def _env(program: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the start of a command line that prints times as seconds since the epoch."""
    unset = tuple(word for name in names for word in ("-u", f"{program.upper()}_{name}"))
    return ("env", *unset, "SLURM_TIME_FORMAT=%s", program)


def squeue(*, users: Sequence[str] = (), ids: Sequence[str] = (), expand: bool = False) -> Question:
    """Ask for jobs of these users (none: everybody's), or for these ids. A waiting array is one record."""
    separator = _separator()
    fields = ",".join(f"{field}:0{separator}" for field in SQUEUE_FIELDS)
    argv = (*_env("squeue", _SQUEUE), "--noheader", "--all", "--states=all", f"--Format={fields}")
    argv += ("--expand-patterns",) if expand else ()
    argv += (f"--users={','.join(users)}",) if users else ()
    argv += (f"--jobs={','.join(ids)}",) if ids else ()
    return Question(argv, separator.encode())


def sacct(
    fields: Sequence[str],
    *,
    users: Sequence[str] = (),
    ids: Sequence[str] = (),
    seconds: int | None = None,
    expand: bool = False,
) -> Question:
    """Ask accounting for jobs that were there in the last `seconds`, or for these ids."""
    separator = _separator()
    argv = (*_env("sacct", _SACCT), "--noheader", "--allocations", "--parsable", f"--delimiter={separator}")
    argv += (f"--format={','.join(fields)}", *(["--expand-patterns"] if expand else []))
    argv += (f"--user={','.join(users)}",) if users else ("--allusers",)
    argv += (f"--jobs={','.join(ids)}",) if ids else ()
    argv += (f"--starttime=now-{seconds}",) if seconds is not None else ()
    return Question(argv, separator.encode())


def sbatch(submission: Submission) -> tuple[str, ...]:
    """Return the command line that submits the script on its standard input. PermanentActionError for odd options."""
    refuse_empty(submission.options)
    options = {**submission.options, **({"comment": submission.comment} if submission.comment else {})}
    if submission.workdir:
        options = {"chdir": submission.workdir, **options}
    # Switches stand first: one that wants a value after all takes `--parsable` for it, and never the comment.
    argv = ["sbatch", *(_option(name, value) for name, value in options.items() if value is True)]
    argv += ["--parsable", *(["--hold"] if submission.held else [])]
    argv += [_option(name, value) for name, value in options.items() if value is not True]
    # A script that gets arguments must have a name; without one sbatch reads the standard input by itself.
    return tuple(argv + (["/dev/stdin", *submission.arguments] if submission.arguments else []))


def _option(name: str, value: OptionValue) -> str:
    if not _OPTION.fullmatch(name) or name in _NO_OPTIONS:
        raise PermanentActionError(
            f"{name[:40]!r} cannot be changed when a job is submitted",
            refused=True,
            remedy="write options of sbatch by their long names, such as mem or time",
        )
    return f"--{name}" if value is True else f"--{name}={value}"


def placed(argv: Sequence[str], directory: str) -> tuple[str, ...]:
    """Return the command line with its program in `directory`."""
    at = next(number for number, word in enumerate(argv) if word in _PROGRAMS)
    return (*argv[:at], f"{directory}/{argv[at]}", *argv[at + 1 :])


def submitted_id(printed: str) -> str | None:
    """Return the id in what `sbatch --parsable` printed; some sites print a banner before it."""
    for line in reversed(printed.splitlines()):
        number = line.strip().partition(";")[0]
        if number.isascii() and number.isdigit():
            return number
    return None


def version(text: str) -> tuple[int, int]:
    """Read `slurm 24.05.1` or `slurm-wlm 22.05.8`, behind a banner too; (0, 0) where it is neither."""
    found = re.search(r"slurm\S* (\d{2})\.(\d{2})\b", text) or re.search(r"\b(\d{2})\.(\d{2})\b", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def config(text: str) -> Mapping[str, str]:
    """Read `Name = value` lines of `scontrol show config`."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}
