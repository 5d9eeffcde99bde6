"""Writes a run_command line that was found good as a POSIX shell script of our own.

Called by `command`. Nothing of the author's text is passed through: every word is written anew in quotes, captured
values are positional parameters, and the output of `$(...)` is looked at by the script before a program sees it. So a
mistake in reading the line could change what it means, never what it may do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.logic.command_line import Captured, Line, Pipeline, Redirect, Simple, Substitution, Text, Word
from reconciler.logic.command_words import GLOBS, Argument, Lookup, Source, Use, see

#: Exit status of a script that refused the output of a `$(...)`; `MARK` then begins a line of its error output.
REFUSED = 126
MARK = "reconciler: refused: the output of $(...)"

_PRELUDE = f"""\
refuse() {{ printf '%s\\n' '{MARK} '"$1" >&2; exit {REFUSED}; }}
"""
_RAW = re.compile(r"[A-Za-z0-9_./,+@%=:^!*?\[\]-]+")


class Style(StrEnum):
    """How a program's arguments are put."""

    PLAIN = "plain"  # as they come
    DASHES = "dashes"  # options, `--`, operands
    ECHO = "echo"  # by printf, whose output is the same under every shell and takes no value for an option


@dataclass(frozen=True, slots=True)
class Judged:
    """A simple command that was found good: its name, and its arguments."""

    name: str
    style: Style
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """What runs: `sh -s -- *arguments`, with `source` on its standard input."""

    source: str
    arguments: tuple[str, ...]


def write(line: Line, judge: Callable[[Simple], Judged], lookup: Lookup) -> Script:
    """Return the script of a line. `lookup` knows every value."""
    writer = _Writer(judge, lookup)
    body = writer.line(line)
    # In one group, so that the shell has read all of it before a program could read from the script's own standard
    # input.
    return Script(f"{_PRELUDE}{{\n{body}\n}} </dev/null\nexit $?\n", tuple(writer.values))


@dataclass(slots=True)
class _Writer:
    judge: Callable[[Simple], Judged]
    lookup: Lookup
    values: list[str] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)
    _outputs: int = 0

    def line(self, line: Line) -> str:
        parts = [self._pipeline(line.pipelines[0])]
        for operator, pipeline in zip(line.operators, line.pipelines[1:], strict=True):
            parts += [" && " if operator == "&&" else "\n", self._pipeline(pipeline)]
        return "".join(parts)

    def _pipeline(self, pipeline: Pipeline) -> str:
        return " | ".join(map(self._simple, pipeline.commands))

    def _simple(self, command: Simple) -> str:
        judged = self.judge(command)
        before: list[str] = []
        name = quote(judged.name)
        if judged.style is Style.ECHO:
            words = [self._echo(judged.arguments, before)]
        elif judged.style is Style.DASHES:
            words = [name, *self._dashed(judged.arguments, before)]
        else:
            words = [name, *(self._argument(argument, before) for argument in judged.arguments)]
        words += [self._redirect(redirect, before) for redirect in command.redirects]
        text = " ".join(words)
        return "{ " + "".join(f"{guard}\n" for guard in before) + text + "\n}" if before else text

    def _dashed(self, arguments: Sequence[Argument], before: list[str]) -> list[str]:
        written = [self._argument(argument, before, dashed=argument.operand) for argument in arguments]
        first = next((i for i, argument in enumerate(arguments) if argument.operand), None)
        return written if first is None else [*written[:first], "--", *written[first:]]

    def _redirect(self, redirect: Redirect, before: list[str]) -> str:
        start = f"{'' if redirect.descriptor is None else redirect.descriptor}{redirect.operator}"
        if isinstance(redirect.target, int):
            return f"{start}{redirect.target}"
        return f"{start} {self._word(redirect.target, Use.PATH, before, globs=False)}"

    def _argument(self, argument: Argument, before: list[str], *, dashed: bool = False) -> str:
        globs = argument.use in (Use.PATH, Use.FREE)
        return self._word(argument.word, argument.use, before, globs=globs, dashed=dashed)

    def _word(self, word: Word, use: Use, before: list[str], *, globs: bool, dashed: bool = False) -> str:
        seen = see(word, self.lookup)
        globs = globs and seen.has_glob() and not seen.begins("-")
        written = "".join(self._atom(word, index, use, before, globs=globs) for index in range(len(word.atoms)))
        # A file may be called `-rf`: where no `--` stands before it, a dot keeps it from being an option.
        bare = globs and not dashed and seen.text[0] in GLOBS and seen.marks[0] == Source.WRITTEN
        return f"./{written}" if bare else written

    def _atom(self, word: Word, index: int, use: Use, before: list[str], *, globs: bool) -> str:
        atom = word.atoms[index]
        if isinstance(atom, Captured):
            return self._captured(atom)
        if isinstance(atom, Substitution):
            return self._output(atom, use, before, first=index == 0)
        return _globbing(atom.text) if globs and not atom.quoted else quote(atom.text)

    def _captured(self, atom: Captured) -> str:
        if atom.written not in self._known:
            self.values.append(self.lookup(atom) or "")
            self._known[atom.written] = len(self.values)
        return f'"${{{self._known[atom.written]}}}"'

    def _output(self, atom: Substitution, use: Use, before: list[str], *, first: bool) -> str:
        """Return the variable that holds the output; put what fills it and looks at it into `before`."""
        inner = self.line(atom.line)
        self._outputs += 1
        name = f"output{self._outputs}"
        before.append(f"{name}=$({inner}\n); test $? -ne {REFUSED} || exit {REFUSED}")
        if use is not Use.TEXT:
            before.append(_guard(name, use, first=first))
        return f'"${{{name}}}"'

    def _echo(self, arguments: Sequence[Argument], before: list[str]) -> str:
        options = "".join(argument.word.literal or "" for argument in arguments if argument.use is Use.OPTION)
        escapes = "%b" if options.replace("-", "").rstrip("n")[-1:] == "e" else "%s"
        formats: list[str] = []
        words: list[str] = []
        for argument in (a for a in arguments if a.use is not Use.OPTION):
            atoms = argument.word.atoms
            formats.append("".join(escapes if isinstance(atom, Text) else "%s" for atom in atoms))
            words += [self._atom(argument.word, i, Use.TEXT, before, globs=False) for i in range(len(atoms))]
        end = "" if "n" in options else "\\n"
        return " ".join(["printf", quote(" ".join(formats) + end), *words])


def quote(text: str) -> str:
    """Return the text as one word in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def _globbing(text: str) -> str:
    """Return unquoted text with its globs alive and everything else that could mean something in quotes."""
    pieces = re.split(f"({_RAW.pattern})", text)
    return "".join(piece if _RAW.fullmatch(piece) else quote(piece) for piece in pieces if piece)


def _guard(name: str, use: Use, *, first: bool) -> str:
    """Return shell text that refuses an output which could leave its directory or become an option."""
    checks = []
    if use is not Use.FREE:
        checks += [
            "*/*) refuse 'holds a slash, in an argument that names a file' ;;",
            ".|..) refuse 'is dots alone' ;;",
        ]
    if first or use is Use.OPTION:
        checks.append("'') refuse 'is empty' ;;")
    if first:
        checks.append("-*) refuse 'begins with a dash, at the start of an argument' ;;")
    return f'case "${{{name}}}" in {" ".join(checks)} esac' if checks else ":"
