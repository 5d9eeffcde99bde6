"""The one place where a program's arguments become the text that an SSH server hands to a login shell.

Pure. `ssh.py` and `program.py` call it. No argument is ever read as shell text, whatever the login shell is
(sh, bash, csh, fish): the outer text holds only what means the same inside single quotes everywhere. NUL is refused.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

#: Printed on both outputs before the program starts; what a login shell's start-up files printed stands before it.
MARK = b"\x1e\x1ereconciler "
#: Linux takes 128 KiB for one argument, and the login shell gets the whole text as one.
LONGEST = 120_000
#: Bytes that start-up files may print before they are taken for something else.
LONGEST_PREFACE = 256 * 1024

_PLAIN = re.compile(rb"[^A-Za-z0-9 _./:=,@+-]")
# The login shell is replaced at once, so the sh that prints its id is what sshd made leader of a session and group.
_START = r"printf '\036\036reconciler %s\n' $$; printf '\036\036reconciler \n' >&2; "
_OUTER = 'exec /bin/sh -c \'eval "$(printf %b "$1")"\' reconciler \''
#: Status of a program that is there and cannot be run, as shells give it.
NOT_RUNNABLE = 126


def wrap(argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """Return the command text (ASCII) that runs exactly these arguments.

    `env` None: what the login shell has; otherwise exactly these variables. Raises ValueError for what cannot be said:
    a NUL byte, text that stands for no bytes, no program, a variable's name with `=`, more than fits into one argument.
    """
    script = _START + _enter(cwd) + "exec " + shlex.join(_program(argv, env))
    raw = script.encode("utf-8", "surrogateescape")
    if b"\0" in raw:
        raise ValueError("embedded null byte")
    # %b reads \0ooo; everything else in `_PLAIN`'s complement stands for itself in printf and in every shell's '...'.
    text = _OUTER + _PLAIN.sub(lambda found: rb"\0%03o" % ord(found[0]), raw).decode("ascii") + "'"
    if len(text) > LONGEST:
        raise ValueError(f"argument list too long: {len(text)} bytes, at most {LONGEST} can be sent")
    return text


def _enter(cwd: str | None) -> str:
    if cwd is None:
        return ""
    # `./` keeps `-` from meaning the previous directory, and CDPATH out.
    place = shlex.quote(cwd if cwd.startswith("/") else f"./{cwd}")
    return f"cd {place} || exit {NOT_RUNNABLE}; "


def _program(argv: Sequence[str], env: Mapping[str, str] | None) -> list[str]:
    if not argv or not argv[0]:
        raise ValueError("no program")
    # `exec` and `env` would take these names for an option or a variable; `nice -n 0` changes nothing and does not.
    odd = argv[0].startswith("-") or (env is not None and "=" in argv[0])
    program = ["nice", "-n", "0", "--", *argv] if odd else list(argv)
    if env is None:
        return ["env", *program] if odd else program
    if wrong := [name for name in env if not name or "=" in name]:
        raise ValueError(f"illegal environment variable name {wrong[0]!r}")
    return ["env", "-i", "--", *(f"{name}={value}" for name, value in env.items()), *program]


def kill(process: int) -> str:
    """Return the command text that kills a process's whole group, or it alone where it leads none."""
    return wrap(["sh", "-c", 'kill -s KILL -- "-$1" || kill -s KILL "$1"', "kill", str(process)])


class Preface:
    """Takes away what stands before the mark on one output; `process` is then the id that was printed with it."""

    def __init__(self) -> None:
        self.process: int | None = None
        self.passed = False
        self.noise = b""

    def feed(self, data: bytes) -> bytes:
        """Return what of `data` belongs to the program. Raises ValueError where no mark comes."""
        if self.passed:
            return data
        self.noise += data
        before, mark, after = self.noise.partition(MARK)
        line, end, rest = after.partition(b"\n")
        if not mark or not end:
            if len(self.noise) > LONGEST_PREFACE:
                raise ValueError("the login shell prints without end")
            return b""
        self.passed, self.noise = True, before
        self.process = int(line) if line.isdigit() else None
        return rest
