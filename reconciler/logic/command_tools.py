"""The plain programs of run_command: which options each one takes, and which of its arguments are paths.

Called by `command`. An option that stands in no table is refused, so a new version of a program brings nothing in; the
tables leave out what writes elsewhere, talks to a network (`logger -n`), sets the clock or never ends (`tail -f`).
Options as in GNU coreutils 9, grep 3 and util-linux 2.38.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reconciler.logic.command_paths import refuse_device, shown
from reconciler.logic.command_words import Argument, CommandRefusedError, Seen, Source, Subject, Use

#: Raises CommandRefusedError where the word may name a file outside.
JudgePath = Callable[[Seen], None]


class Operands(StrEnum):
    """What the arguments that are no options are."""

    PATHS = "paths"
    TEXTS = "texts"
    PATTERN = "pattern"  # the first is text (unless -e or -f gave it), the others are paths
    FORMAT = "format"  # `+...` alone


@dataclass(frozen=True, slots=True)
class Tool:
    """One program: short options without a value, with a text, with a path; long ones likewise, separated by blanks.

    `optional`: short ones whose value, where they have one, is the rest of their word. `replaces`: from which operand
    on it takes them away, or puts another file in their place.
    """

    flags: str = ""
    texts: str = ""
    paths: str = ""
    long_flags: str = ""
    long_texts: str = ""
    long_paths: str = ""
    operands: Operands = Operands.PATHS
    optional: str = ""
    replaces: int | None = None

    def kind(self, name: str) -> Use | None:
        """Return what an option's value is (OPTION: it has none); raises CommandRefusedError for an unknown option."""
        short = len(name) == 1
        flags = self.flags + self.optional
        tables = (flags, self.texts, self.paths) if short else (self.long_flags, self.long_texts, self.long_paths)
        for table, use in zip(tables, (Use.OPTION, Use.TEXT, Use.PATH), strict=True):
            if name in (table if short else table.split()):
                return use
        return None


def names(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


_DIGITS = "0123456789"

TOOLS: Mapping[str, Tool] = {
    "logger": Tool(flags="is", texts="tp", long_flags="stderr", long_texts="tag priority", operands=Operands.TEXTS),
    "date": Tool(
        flags="uR",
        texts="d",
        paths="r",
        long_flags="utc universal rfc-email iso-8601",
        long_texts="date iso-8601 rfc-3339",
        long_paths="reference",
        operands=Operands.FORMAT,
        optional="I",
    ),
    "ls": Tool(
        flags="1AaBbCcdFfGgHhikLlmNnopQqRrSstUuvXxZ",
        texts="ITw",
        long_flags="all almost-all color human-readable reverse recursive full-time size si inode directory classify"
        " group-directories-first no-group numeric-uid-gid",
        long_texts="sort time time-style width ignore hide format block-size color indicator-style",
    ),
    "cat": Tool(flags="AbEensTtuv", long_flags="number number-nonblank show-all show-ends show-nonprinting show-tabs"),
    "mkdir": Tool(flags="pv", texts="m", long_flags="parents verbose", long_texts="mode"),
    "cp": Tool(
        flags="abdfHiLnPpRrTuvx",
        paths="t",
        long_flags="archive backup force interactive no-clobber recursive update verbose parents no-dereference"
        " dereference preserve no-target-directory one-file-system attributes-only reflink",
        long_texts="backup preserve no-preserve sparse reflink update",
        long_paths="target-directory",
        replaces=-1,
    ),
    "mv": Tool(
        flags="bfinTuv",
        paths="t",
        long_flags="backup force interactive no-clobber update verbose no-target-directory",
        long_texts="backup update",
        long_paths="target-directory",
        replaces=0,
    ),
    "touch": Tool(
        flags="achm", texts="dt", paths="r", long_flags="no-create", long_texts="date time", long_paths="reference"
    ),
    "grep": Tool(
        flags="abcEFGHhIiLlnoPqrRsTUvwxyZz" + _DIGITS,
        texts="ABCem",
        paths="f",
        long_flags="ignore-case invert-match word-regexp line-regexp count files-with-matches files-without-match"
        " only-matching quiet silent no-messages byte-offset with-filename no-filename line-number color recursive text"
        " extended-regexp fixed-strings basic-regexp perl-regexp null line-buffered",
        long_texts="regexp max-count context after-context before-context color include exclude exclude-dir label",
        long_paths="file",
        operands=Operands.PATTERN,
    ),
    "tail": Tool(
        flags="qvz" + _DIGITS, texts="cn", long_flags="quiet silent verbose zero-terminated", long_texts="lines bytes"
    ),
    "head": Tool(
        flags="qvz" + _DIGITS, texts="cn", long_flags="quiet silent verbose zero-terminated", long_texts="lines bytes"
    ),
    "wc": Tool(flags="cLlmw", long_flags="lines words chars bytes max-line-length", long_texts="total"),
}


def arrange_tool(tool: Tool, words: Sequence[Subject], judge: JudgePath) -> Iterator[Argument]:
    """Yield options, then operands, each with its use (`--` goes between). Raises CommandRefusedError."""
    options = _Options(tool, judge)
    operands: list[Subject] = []
    rest = iter(words)
    for subject in rest:
        if subject.seen.text == "--" and subject.seen.trusted:
            operands += rest
        elif subject.seen.written_option:
            yield from options.take(subject, rest)
        else:
            operands.append(subject)
    for subject in operands[tool.replaces :] if tool.replaces is not None else ():
        refuse_device(subject.seen)
    for index, subject in enumerate(operands):
        use = _use(tool, index, options.pattern_given)
        judge_operand(tool, subject.seen, use, judge)
        yield subject.to(use, operand=True)


class _Options:
    """Reads options as getopt does; remembers whether grep was given its pattern by one."""

    def __init__(self, tool: Tool, judge: JudgePath) -> None:
        self._tool = tool
        self._judge = judge
        self.pattern_given = False

    def take(self, subject: Subject, rest: Iterator[Subject]) -> Iterator[Argument]:
        """Yield the option and, where its value is the next word, that too."""
        yield subject.to(Use.OPTION)
        name, use, value = self._long(subject.seen) if subject.seen.begins("--") else self._short(subject.seen)
        self.pattern_given = self.pattern_given or name in ("e", "f", "regexp", "file")
        if use is Use.OPTION:
            return
        if value is None:
            following = next(rest, None)
            if following is None:
                raise CommandRefusedError(f"{shown(subject.seen)} lacks its value")
            value = following.seen
            refuse_captured_dash(value)
            yield following.to(use)
        if use is Use.PATH:
            self._judge(value)

    def _long(self, seen: Seen) -> tuple[str, Use, Seen | None]:
        name, equals, _ = seen.text[2:].partition("=")
        length = 2 + len(name) + len(equals)
        author_wrote(seen, length)
        uses = self._tool.kind(name) if len(name) > 1 else None
        if equals and uses is Use.OPTION and name in self._tool.long_texts.split():
            uses = Use.TEXT
        if uses is None or (equals and uses is Use.OPTION):
            raise CommandRefusedError(f"the option {shown(seen)} is not allowed")
        return name, uses, seen.after(length) if equals else None

    def _short(self, seen: Seen) -> tuple[str, Use, Seen | None]:
        name, use = "", Use.OPTION
        for index, name in enumerate(seen.text[1:], start=2):
            author_wrote(seen, index)
            found = self._tool.kind(name)
            if found is None:
                raise CommandRefusedError(f"the option {shown(seen)} is not allowed")
            use = found
            if name in self._tool.optional:
                author_wrote(seen, len(seen.text))
                return name, use, None
            if use is not Use.OPTION:
                return name, use, seen.after(index) if index < len(seen.text) else None
        return name, use, None


def author_wrote(seen: Seen, length: int) -> None:
    """Raise CommandRefusedError where the first `length` characters hold a value."""
    if set(seen.marks[:length]) & {Source.CAPTURED, Source.SUBSTITUTED}:
        raise CommandRefusedError(f"{shown(seen)}: an option's name cannot come from a captured value")


def _use(tool: Tool, index: int, pattern_given: bool) -> Use:
    if tool.operands in (Operands.TEXTS, Operands.FORMAT):
        return Use.TEXT
    return Use.TEXT if tool.operands is Operands.PATTERN and index == 0 and not pattern_given else Use.PATH


def judge_operand(tool: Tool, seen: Seen, use: Use, judge: JudgePath) -> None:
    """Raise CommandRefusedError where an argument that is no option may not be there."""
    if tool.operands is Operands.FORMAT and not (seen.begins("+") and seen.leader in (Source.WRITTEN, Source.QUOTED)):
        raise CommandRefusedError(f"{shown(seen)}: only a format that begins with + is allowed here")
    if use is Use.PATH:
        refuse_captured_dash(seen)
        judge(seen)


def refuse_captured_dash(seen: Seen) -> None:
    """Raise CommandRefusedError where a value made the word begin with a dash."""
    if seen.captured_option:
        raise CommandRefusedError(
            f"{shown(seen)}: a captured value that begins with a dash could be taken for an option"
        )
