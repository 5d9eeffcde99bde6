"""Words as the judges of run_command see them: every character with where it came from, and what a word is used as.

Used by `command` and its judges. A value that is not known yet (at validation, or the output of `$(...)`) is a `HOLE`:
one character that stands for any text, none included.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from reconciler.logic.command_line import Atom, Captured, Substitution, Text, Word

HOLE = "\0"  # never in a command: control characters are refused when it is read
GLOBS = "*?["

#: Built-in names that no output chooses and no capture overrides; what they give counts as written by the author.
OURS = frozenset({"JOB_ID", "HOSTNAME", "JOB_STATE", "TRIGGER"})
_WORD_LIKE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")

#: Gives the text that stands where a captured value is asked for; None: not known yet.
Lookup = Callable[[Captured], str | None]


class CommandRefusedError(ValueError):
    """A command that may not run, and why."""


class Source(StrEnum):
    """Where a character came from."""

    WRITTEN = "w"  # by the author, outside quotes: globs count
    QUOTED = "q"  # by the author, inside quotes
    CAPTURED = "c"  # out of the job's output
    SUBSTITUTED = "s"  # out of $(...)


@dataclass(frozen=True, slots=True)
class Seen:
    """A word, or the end of one: `text`, the `Source` of each character in `marks`, and of its beginning: `leader`."""

    text: str
    marks: str
    leader: Source

    def begins(self, prefix: str) -> bool:
        """Tell whether it begins with this text."""
        return self.text.startswith(prefix)

    @property
    def trusted(self) -> bool:
        """True where the author wrote all of it."""
        return not set(self.marks) & {Source.CAPTURED, Source.SUBSTITUTED} and self.leader in _AUTHOR

    @property
    def written_option(self) -> bool:
        """True for a word that the author began with a dash (a lone dash is a file name)."""
        return self.leader in _AUTHOR and self.begins("-") and len(self.text) > 1

    @property
    def captured_option(self) -> bool:
        """True for a word that begins with a dash because a value made it so."""
        return self.leader is Source.CAPTURED and self.begins("-")

    def after(self, count: int) -> Seen:
        """Return the word without its first `count` characters."""
        marks = self.marks[count:]
        return Seen(self.text[count:], marks, Source(marks[0]) if marks else Source.QUOTED)

    def has_glob(self) -> bool:
        """Tell whether a shell would look for files here."""
        return any(c in GLOBS and m == Source.WRITTEN for c, m in zip(self.text, self.marks, strict=True))


_AUTHOR = (Source.WRITTEN, Source.QUOTED)


def see(word: Word, lookup: Lookup) -> Seen:
    """Return the word with its values filled in, as far as `lookup` knows them."""
    parts = [_part(atom, lookup) for atom in word.atoms]
    marks = "".join(source * len(text) for text, source in parts)
    return Seen("".join(text for text, _ in parts), marks, parts[0][1] if parts else Source.QUOTED)


def _part(atom: Atom, lookup: Lookup) -> tuple[str, Source]:
    if isinstance(atom, Text):
        return atom.text, Source.QUOTED if atom.quoted else Source.WRITTEN
    if isinstance(atom, Substitution):
        return HOLE, Source.SUBSTITUTED
    value = lookup(atom)
    if atom.name in OURS and atom.bare and (value is None or _WORD_LIKE.fullmatch(value)):
        return value or "0", Source.QUOTED
    return HOLE if value is None else value.replace(HOLE, "\ufffd"), Source.CAPTURED


class Use(StrEnum):
    """What a word is to its program; it decides what a `$(...)` in it may give, and whether globs are looked up."""

    OPTION = "option"  # begins with a dash that the author wrote
    PATH = "path"  # names files: globs work, the path rules hold
    TEXT = "text"  # the program takes it as it is, whatever it holds
    FREE = "free"  # an argument to somebody's own program


@dataclass(frozen=True, slots=True)
class Argument:
    """One word of a command that was found good, and what it is used as."""

    word: Word
    use: Use
    operand: bool = False  # neither an option nor an option's value


@dataclass(frozen=True, slots=True)
class Subject:
    """A word together with what is seen of it."""

    word: Word
    seen: Seen

    def to(self, use: Use, *, operand: bool = False) -> Argument:
        """Return it as an argument."""
        return Argument(self.word, use, operand)
