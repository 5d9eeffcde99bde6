"""The shape of a run_command line once it has been read: values only, made by `command_syntax`.

A word is a row of atoms. Captured values are atoms of their own from the first moment on, so nothing later can take
them for text that somebody wrote. The shape holds what is understood; what it cannot hold (background jobs, `||`,
loops, assignments) was refused when the line was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


class CommandSyntaxError(ValueError):
    """The line is not understood, or holds what is never allowed. The message names the place."""


@dataclass(frozen=True, slots=True)
class Text:
    """Text that the author wrote, without escapes and quotes. `quoted`: glob characters in it are no globs."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Captured:
    """A place for a value: the name, and what stands there where no such value exists."""

    name: str
    written: str

    @property
    def bare(self) -> bool:
        """True for `$name` and `${name}`, which hold no word that would stand in for the value."""
        return self.written in (f"${self.name}", f"${{{self.name}}}")


@dataclass(frozen=True, slots=True)
class Substitution:
    """`$(...)`: the output of a line of its own."""

    line: Line


Atom = Text | Captured | Substitution


@dataclass(frozen=True, slots=True)
class Word:
    """One argument, whatever its values hold: nothing is split."""

    atoms: tuple[Atom, ...]

    @property
    def literal(self) -> str | None:
        """The text of a word that holds nothing but written text, else None."""
        return "".join(a.text for a in self.atoms if isinstance(a, Text)) if self.fixed else None

    @property
    def fixed(self) -> bool:
        """True where nothing but written text is in it."""
        return all(isinstance(atom, Text) for atom in self.atoms)

    def __str__(self) -> str:
        return "".join(_show(atom) for atom in self.atoms)


def _show(atom: Atom) -> str:
    if isinstance(atom, Text):
        return atom.text
    return atom.written if isinstance(atom, Captured) else "$(...)"


@dataclass(frozen=True, slots=True)
class Redirect:
    """`>`, `>>` or `<` with a word, or `2>&1` (`target` an int)."""

    descriptor: int | None
    operator: Literal[">", ">>", "<", ">&"]
    target: Word | int


@dataclass(frozen=True, slots=True)
class Simple:
    """One program with its arguments; `words[0]` names it."""

    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Programs, each reading what the one before it writes."""

    commands: tuple[Simple, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """Pipelines and what stands between them (`operators[i]` before `pipelines[i + 1]`)."""

    pipelines: tuple[Pipeline, ...]
    operators: tuple[Literal["&&", ";"], ...] = ()

    def commands(self) -> Iterator[Simple]:
        """Yield every simple command, those inside `$(...)` too, outermost first."""
        for pipeline in self.pipelines:
            for command in pipeline.commands:
                yield command
                for inner in _inside(command):
                    yield from inner.commands()

    def every_pipeline(self) -> Iterator[Pipeline]:
        """Yield every pipeline, those inside `$(...)` too."""
        for pipeline in self.pipelines:
            yield pipeline
            for command in pipeline.commands:
                for inner in _inside(command):
                    yield from inner.every_pipeline()


def _inside(command: Simple) -> Iterator[Line]:
    targets = [redirect.target for redirect in command.redirects if isinstance(redirect.target, Word)]
    for word in (*command.words, *targets):
        yield from (atom.line for atom in word.atoms if isinstance(atom, Substitution))
