"""Programs that run what they are given: python, pip, uv run, uvx, and whatever else an operator put on the list.

Called by `command`, once the settings allow them for where the watcher came from. A captured value may be an argument
to a program that the author named, never the program, its code, its module or a package, and never an option. Which
programs are which: `command_programs`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from itertools import chain

from reconciler.logic.command_paths import refuse_device, shown
from reconciler.logic.command_programs import (
    HARMLESS,
    is_closed,
    is_fetcher,
    is_launcher,
    is_python,
    is_running_module,
    is_writer,
    names_code,
)
from reconciler.logic.command_tools import JudgePath, names, refuse_captured_dash
from reconciler.logic.command_words import HOLE, Argument, CommandRefusedError, Seen, Source, Subject, Use

_PYTHON_FLAGS = re.compile(r"-[uOBEIPsSqvbdx]+|-[XW].+")
#: Not among them: `--directory`, behind which words lead elsewhere. uv 0.13.
_UV_FLAGS = names(
    "-n -q -s -U -v --active --all-extras --all-groups --all-packages --compile-bytecode --dev --exact --frozen"
    " --isolated --locked --managed-python --native-tls --no-binary --no-build --no-build-isolation --no-cache"
    " --no-config --no-default-groups --no-dev --no-editable --no-env-file --no-index --no-managed-python --no-progress"
    " --no-project --no-python-downloads --no-sources --no-sync --offline --only-dev --quiet --refresh --reinstall"
    " --script --system-certs --upgrade --verbose"
)
_UV_VALUED = names(
    "-C -f -i -p -P -w --cache-dir --color --config-setting --default-index --env-file --exclude-newer --extra"
    " --extra-index-url --find-links --fork-strategy --from --group --index --index-strategy --index-url"
    " --keyring-provider --link-mode --no-extra --no-group --only-group --package --prerelease --project --python"
    " --python-platform --refresh-package --reinstall-package --resolution --upgrade-package --with --with-editable"
    " --with-requirements"
)
_UNTRUSTED = (Source.CAPTURED, Source.SUBSTITUTED)
#: An option, or a setting, whose value follows in the same word.
_NAMED = re.compile(r"(-{0,2}[A-Za-z][A-Za-z0-9_.-]*)=")
#: What is a number to people, or an id made of them: no module and no program is called so.
_NUMBERS = re.compile(r"\+?[0-9][0-9eE.,:%_+-]*|nan|inf|", re.IGNORECASE)


def takes_code(words: Sequence[str | None]) -> bool:
    """Tell whether a command (None: a word that is not written out) may run what it is given as argument or input."""
    name, *rest = words
    if name == "uv":
        if not rest or rest[0] != "run":
            return True
        name, rest = "uv run", rest[1:]
    if name in ("uv run", "uvx"):
        name, *rest = _behind_options(rest, _UV_VALUED, ("-m", "--module")) or [None]
        if name in ("-m", "--module"):
            return _running(rest)
        if name is None or not (is_python(name) or name.endswith(".py")):
            return True
    if name is None or not is_python(name):
        return name is not None and (is_closed(name) or (is_launcher(name) and _script(rest) is None))
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
    if module and module[0] in HARMLESS:
        return False
    return not module or module[0] is None or is_running_module(module[0])


def _script(words: Sequence[str | None]) -> int | None:
    """Return where the Python script stands that a launcher starts; None: what it starts is not certain."""
    python = False
    for index, word in enumerate(words):
        if word is None or word in ("-m", "--module") or (python and word in ("-c", "-i")) or is_closed(word):
            return None
        if word.endswith(".py") and not word.startswith("-"):
            return None if ":" in words[index:] else index  # mpirun starts another program behind a colon
        python = python or is_python(word)
    return None


def arrange_interpreter(name: str, words: Sequence[Subject], judge: JudgePath) -> Iterator[Argument]:
    """Yield the arguments behind the program `name`. Raises CommandRefusedError."""
    if is_python(name):
        return _python(words, judge)
    if name == "uvx":
        return _uv(name, words, judge)
    if name == "uv" and words and words[0].seen.trusted and words[0].seen.text == "run":
        return chain([words[0].to(Use.OPTION)], _uv("uv run", words[1:], judge))
    if is_launcher(name):
        return _launcher(name, words)
    return _fixed(words, name) if is_closed(name) or name in ("uv", "wandb") else _other(name, words, judge)


def _launcher(name: str, words: Sequence[Subject]) -> Iterator[Argument]:
    """Yield the words up to the script, which the author wrote, then its arguments."""
    script = _script([subject.seen.text if subject.seen.trusted else None for subject in words])
    if script is None:
        yield from _fixed(words, name, "; values may follow a script that is written out and ends in .py")
        return
    yield from _fixed(words[: script + 1], name)
    for subject, argument in zip(words[script + 1 :], _free(words[script + 1 :]), strict=True):
        if subject.seen.text == ":" or subject.seen.leader is Source.SUBSTITUTED:
            raise CommandRefusedError(
                f"{name}: {shown(subject.seen)} could begin another program; write text before it (--name=...)"
            )
        yield argument


def _other(name: str, words: Sequence[Subject], judge: JudgePath) -> Iterator[Argument]:
    """Yield the arguments of a program of the operator's: none that names code holds a value that was captured."""
    before = ""
    for subject, argument in zip(words, _free(words), strict=True):
        seen = subject.seen
        if name == "printf" and subject is words[0] and seen.begins("-v"):
            raise CommandRefusedError("printf: -v would set a variable of the shell; leave it out")
        option = seen.text[: _captured_from(seen)].partition("=")[0] if seen.written_option else before
        if not seen.trusted and option and names_code(name, option):
            raise CommandRefusedError(
                f"{name} {option}: {shown(seen)} would say what is run or written; write that value out"
            )
        if is_fetcher(name) and seen.leader in _UNTRUSTED:
            raise CommandRefusedError(
                f"{name}: {shown(seen)} could name a file to read; write how it begins (https://..., name=...)"
            )
        if not seen.trusted and is_writer(name):
            named = _NAMED.match(seen.text)
            written = seen.after(named.end()) if named else seen
            refuse_device(written)
            judge(written)
            yield subject.to(Use.PATH)
        else:
            yield argument
        before = seen.text if seen.trusted and seen.begins("-") and "=" not in seen.text else ""


def _captured_from(seen: Seen) -> int:
    """Return how many characters stand before the first that the author did not write."""
    return next((i for i, mark in enumerate(seen.marks) if mark in _UNTRUSTED), len(seen.text))


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
        elif text in ("-V", "--version"):
            yield from _fixed(list(rest), f"python {text}")
            return
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
    if option == "-m":
        yield from _fixed(list(rest), f"python -m {text}") if is_running_module(text) else _module(text, list(rest))
    else:
        yield from _free(rest)


def _module(name: str, words: Sequence[Subject]) -> Iterator[Argument]:
    """Yield a module's arguments. It may be a launcher that we never heard of, so none may name what it would run."""
    for subject, argument in zip(words, _free(words), strict=True):
        seen = subject.seen
        named = _NAMED.match(seen.text[: _captured_from(seen)])
        good = _number(seen) if named is None else named[1] not in ("-c", "-m") and not names_code(name, named[1])
        if not seen.trusted and not good:
            raise CommandRefusedError(
                f"python -m {name}: {shown(seen)} could name what the module runs; write --NAME=VALUE, or call a script"
                " of yours: python SCRIPT VALUE"
            )
        yield argument


def _number(seen: Seen) -> bool:
    """Tell whether what was captured in this word is a number; what is not known yet may be one."""
    captured = "".join(c for c, mark in zip(seen.text, seen.marks, strict=True) if mark == Source.CAPTURED)
    return Source.SUBSTITUTED not in seen.marks and (HOLE in captured or _NUMBERS.fullmatch(captured) is not None)


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
    elif is_python(text):
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


def _written(seen: Seen, where: str, remedy: str = "; write it out") -> str:
    if not seen.trusted:
        raise CommandRefusedError(
            f"{where}: {shown(seen)} holds a value that the watcher's author did not write{remedy}"
        )
    return seen.text


def _fixed(words: Sequence[Subject], where: str, remedy: str = "; write it out") -> Iterator[Argument]:
    """Yield arguments that the author wrote, all of them: this program might run what it is given."""
    for subject in words:
        _written(subject.seen, where, remedy)
        yield subject.to(Use.OPTION)


def _free(words: Iterator[Subject] | Sequence[Subject]) -> Iterator[Argument]:
    """Yield arguments that may hold captured values, but neither begin with a captured dash nor name an option."""
    for subject in words:
        seen = subject.seen
        refuse_captured_dash(seen)
        if seen.written_option and not seen.trusted and not _NAMED.match(seen.text[: _captured_from(seen)]):
            raise CommandRefusedError(
                f"{shown(seen)}: a captured value would be part of an option; write it behind `=`, or as the next word"
            )
        yield subject.to(Use.FREE)
