"""Programs that run what they are given: python, pip, uv run, uvx, and whatever else an operator put on the list.

Called by `command`, once the settings allow them for where the watcher came from. A captured value may be an argument
to a program that the author named, never the program, its code, its module or a package, and never an option.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Container, Iterator, Sequence
from itertools import chain

from reconciler.logic.command_paths import shown
from reconciler.logic.command_tools import JudgePath, names
from reconciler.logic.command_words import Argument, CommandRefusedError, Seen, Subject, Use

#: Modules that run, import or unpickle what they read or are given as arguments: every one of Python's own may.
_RUNNING_MODULES = sys.stdlib_module_names | names(
    "asynchat asyncore distutils imp lib2to3 smtpd pip uv IPython ipykernel jupyter pytest torch accelerate deepspeed"
)
#: Modules of them that take their input for data alone; their arguments are written by the author all the same.
_HARMLESS = names("json.tool base64")
#: Programs for which there is no argument that is only data.
CLOSED = names(
    "sh bash dash zsh ksh fish csh tcsh env xargs sudo su nohup time timeout nice ionice setsid stdbuf parallel"
    " watch make perl ruby node php lua tclsh awk gawk mawk sed ed ex vi vim emacs ssh scp rsync tar zip git gdb"
    " srun sbatch salloc R Rscript julia docker podman apptainer singularity conda mamba pip ipython jupyter at"
    " batch crontab"
)
#: Builtins of the shell that would take a command out of our sight: no list may hold them.
NEVER = names("eval exec . source command builtin alias unalias trap set export readonly enable hash type shopt")

_PYTHON = re.compile(r"python[0-9.]*")
_PIP = re.compile(r"pip[0-9.]*")
_PYTHON_FLAGS = re.compile(r"-[uOBEIPsSqvbdx]+|-[XW].+")
_UV_FLAGS = names(
    "-q --quiet --isolated --frozen --locked --no-sync --offline --no-project --all-extras --exact --no-dev"
    " --active --no-cache --refresh --no-progress"
)
_UV_VALUED = names(
    "--with --with-requirements --with-editable --from --python -p --extra --group --only-group --package"
)


def takes_code(words: Sequence[str | None]) -> bool:
    """Tell whether a command (None: a word that is not written out) may run what it is given as argument or input."""
    name, *rest = words
    if name == "uv" and rest and rest[0] == "run":
        name, rest = "uv run", rest[1:]
    if name in ("uv run", "uvx"):
        name, *rest = _behind_options(rest, _UV_VALUED, ("-m", "--module")) or [None]
        if name in ("-m", "--module"):
            return _running(rest)
        if name is None or not (_PYTHON.fullmatch(name) or name.endswith(".py")):
            return True
    if name is None or not _PYTHON.fullmatch(name):
        return name in CLOSED
    behind = _behind_options(rest, ("-X", "-W"), ("-c", "-m"))
    return bool(behind) and behind[0] == "-m" and _running(behind[1:])


def _behind_options(
    words: Sequence[str | None], valued: Container[str | None], until: Container[str | None]
) -> list[str | None]:
    """Return what stands behind a program's own options; those `valued` take the next word too."""
    rest = list(words)
    while rest and (rest[0] or "").startswith("-") and rest[0] not in until:
        del rest[: 2 if rest[0] in valued else 1]
    return rest


def _running(module: Sequence[str | None]) -> bool:
    if module and module[0] in _HARMLESS:
        return False
    return not module or module[0] is None or module[0].split(".")[0] in _RUNNING_MODULES


def arrange_interpreter(name: str, words: Sequence[Subject], judge: JudgePath) -> Iterator[Argument]:
    """Yield the arguments behind the program `name`. Raises CommandRefusedError."""
    if _PYTHON.fullmatch(name):
        return _python(words, judge)
    if _PIP.fullmatch(name):
        return _fixed(words, name)
    if name == "uvx":
        return _uv(name, words, judge)
    if name == "uv" and words and words[0].seen.trusted and words[0].seen.text == "run":
        return chain([words[0].to(Use.OPTION)], _uv("uv run", words[1:], judge))
    return _fixed(words, name) if name in CLOSED | {"uv", "wandb"} else _free(words)


def _python(words: Sequence[Subject], judge: JudgePath) -> Iterator[Argument]:
    rest = iter(words)
    for subject in rest:
        text = _written(subject.seen, "python")
        yield subject.to(Use.OPTION)
        if text in ("-c", "-m"):
            yield from _python_code(text, rest)
            return
        if text in ("-X", "-W"):
            yield from _value(text, rest, "python")
        elif not text.startswith("-"):
            judge(subject.seen)
            yield from _free(rest)
            return
        elif not _PYTHON_FLAGS.fullmatch(text):
            raise CommandRefusedError(f"python: {text!r} is not allowed here")
    raise CommandRefusedError(
        "python: name a script, or -m MODULE, or -c CODE; a program from standard input is not allowed"
    )


def _python_code(option: str, rest: Iterator[Subject]) -> Iterator[Argument]:
    code = next(rest, None)
    if code is None:
        raise CommandRefusedError(f"python: {option} lacks its value")
    text = _written(code.seen, f"python {option}")
    yield code.to(Use.OPTION)
    closed = option == "-m" and text.split(".")[0] in _RUNNING_MODULES
    yield from _fixed(list(rest), f"python -m {text}") if closed else _free(rest)


def _uv(name: str, words: Sequence[Subject], judge: JudgePath) -> Iterator[Argument]:
    rest = iter(words)
    for subject in rest:
        text = _written(subject.seen, name)
        if text in _UV_VALUED:
            yield subject.to(Use.OPTION)
            yield from _value(text, rest, name)
        elif text in _UV_FLAGS or text.partition("=")[0] in _UV_VALUED:
            yield subject.to(Use.OPTION)
        else:
            yield from _uv_program(name, subject, list(rest), judge)
            return
    raise CommandRefusedError(f"{name}: name a program")


def _uv_program(name: str, program: Subject, rest: Sequence[Subject], judge: JudgePath) -> Iterator[Argument]:
    text = _written(program.seen, name)
    if text in ("-m", "--module") and name == "uv run":
        yield program.to(Use.OPTION)
        yield from _python_code("-m", iter(rest))
    elif text.startswith("-"):
        raise CommandRefusedError(f"{name}: {text!r} is not allowed here")
    elif _PYTHON.fullmatch(text):
        yield program.to(Use.OPTION)
        yield from _python(rest, judge)
    elif text.endswith(".py") and name == "uv run":
        judge(program.seen)
        yield program.to(Use.OPTION)
        yield from _free(rest)
    else:
        yield program.to(Use.OPTION)
        yield from _fixed(rest, f"{name} {text}")


def _value(option: str, rest: Iterator[Subject], name: str) -> Iterator[Argument]:
    value = next(rest, None)
    if value is None:
        raise CommandRefusedError(f"{name}: {option} lacks its value")
    _written(value.seen, f"{name} {option}")
    yield value.to(Use.OPTION)


def _written(seen: Seen, where: str) -> str:
    if not seen.trusted:
        raise CommandRefusedError(f"{where}: {shown(seen)} holds a value that the watcher's author did not write")
    return seen.text


def _fixed(words: Sequence[Subject], where: str) -> Iterator[Argument]:
    """Yield arguments that the author wrote, all of them: this program might run what it is given."""
    for subject in words:
        _written(subject.seen, where)
        yield subject.to(Use.OPTION)


def _free(words: Iterator[Subject] | Sequence[Subject]) -> Iterator[Argument]:
    """Yield arguments that may hold captured values, but not begin with a captured dash."""
    for subject in words:
        if subject.seen.captured_option:
            raise CommandRefusedError(
                f"{shown(subject.seen)}: a captured value that begins with a dash could be taken for an option"
            )
        yield subject.to(Use.FREE)
