"""run_command's lines: may this one run, and how is it written so that captured text stays data?

Pure. `check_command` serves validation, when values and directories are not known yet; `render_command` is asked when
the action runs and judges the line once more with every value in its place. What neither understands is refused.

The line is read by `command_syntax`, judged program by program (`command_tools`, `command_find`,
`command_interpreters`), and written anew by `command_script`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

from reconciler.logic import substitution
from reconciler.logic.command_find import WANDB, arrange_find, arrange_wandb
from reconciler.logic.command_interpreters import arrange_interpreter, takes_code
from reconciler.logic.command_line import Captured, CommandSyntaxError, Line, Pipeline, Simple, Word
from reconciler.logic.command_paths import HARMLESS, judge_path, normal
from reconciler.logic.command_programs import MOVING, NEVER, is_script
from reconciler.logic.command_script import MARK, Judged, Script, Style, write
from reconciler.logic.command_syntax import read_line
from reconciler.logic.command_tools import TOOLS, JudgePath, arrange_tool
from reconciler.logic.command_words import (
    HOLE,
    OURS,
    Argument,
    CommandRefusedError,
    Lookup,
    Seen,
    Source,
    Subject,
    Use,
    see,
)

__all__ = [
    "DEFAULT_COMMANDS",
    "MARK",
    "MOVING",
    "NEVER",
    "CommandPolicy",
    "CommandRefusedError",
    "CommandSyntaxError",
    "Script",
    "check_command",
    "check_directory",
    "command_directory",
    "doubt_command",
    "read_command",
    "render_command",
]

PLAIN = frozenset({*TOOLS, "echo", "find", "wandb"})
INTERPRETERS = frozenset({"python", "pip", "uv run", "uvx"})
DEFAULT_COMMANDS = PLAIN | INTERPRETERS

#: In a line with an interpreter only these may meet captured values beside it: nothing they do can become its program.
_BESIDE = frozenset({"echo", "logger", "date"})


@dataclass(frozen=True, slots=True)
class CommandPolicy:
    """What the settings allow. `commands` are whole words, or two of them (`uv run`).

    `interpreters`: whether commands that run code (all but `PLAIN`) are allowed where this watcher came from.
    `directories` are absolute; `workdir` is the job's, None while unknown.
    """

    commands: frozenset[str] = DEFAULT_COMMANDS
    interpreters: bool = False
    directories: tuple[str, ...] = ()
    workdir: str | None = None


_DOLLAR = "\ue002"  # private use


def check_command(text: str, policy: CommandPolicy) -> tuple[str, ...]:
    """Return what is wrong with a line as it is written, in words for its author (nothing: it may run)."""
    try:
        line = read_command(text)
    except CommandSyntaxError as error:
        return (str(error),)
    return tuple(_problems(line, _Judge(policy, lambda _: None)))


def doubt_command(text: str, policy: CommandPolicy, numbers: Set[str]) -> tuple[str, ...]:
    """Return why a good line would be refused where a value is no number. `numbers`: names that always give one."""
    if check_command(text, policy):
        return ()

    def lookup(captured: Captured) -> str | None:
        return None if captured.bare and captured.name in numbers | OURS else captured.written

    return tuple(
        f"where a value is no number: {problem}" for problem in _problems(read_command(text), _Judge(policy, lookup))
    )


def render_command(text: str, policy: CommandPolicy, values: Mapping[str, str | None]) -> Script:
    """Return what is to run. Raises CommandSyntaxError, CommandRefusedError."""
    line = read_command(text)

    def lookup(captured: Captured) -> str:
        return substitution.render(captured.written, values).replace(HOLE, "\ufffd")  # no argument can hold it

    judge = _Judge(policy, lookup)
    for problem in _problems(line, judge):
        raise CommandRefusedError(problem)
    return write(line, judge.judge, lookup)


def command_directory(cwd: str | None, policy: CommandPolicy) -> str:
    """Return the absolute directory to run in: `cwd`, from the job's on. Raises CommandRefusedError."""
    if policy.workdir is None and not (cwd or "").startswith("/"):
        raise CommandRefusedError("the job's working directory is not known")
    base = policy.workdir or "/"
    if cwd is None:
        return base
    seen = Seen(cwd.replace(HOLE, "\ufffd"), Source.CAPTURED * len(cwd), Source.CAPTURED)
    inside = policy.directories if policy.workdir is None else (*policy.directories, policy.workdir)
    judge_path(seen, tuple(map(normal, inside)), bounded=True)
    return posixpath.join(base, cwd)


def check_directory(cwd: str) -> tuple[str, ...]:
    """Return what is wrong with a directory to run in as it is written; where it lies is seen when it is used."""
    written = "".join(piece if isinstance(piece, str) else HOLE for piece in substitution.pieces(cwd))
    try:
        judge_path(Seen(written, Source.CAPTURED * len(written), Source.CAPTURED), (), bounded=False)
    except CommandRefusedError as error:
        return (f"cwd: {error}",)
    return ()


def read_command(text: str) -> Line:
    """Return the shape of a line. Raises CommandSyntaxError: no policy could allow this."""
    return read_line(tuple(_parts(text)))


def _parts(text: str) -> Iterator[str | Captured]:
    """Split a line into written text and places for values; `$$` is one, so that its dollar means nothing."""
    if _DOLLAR in text:
        raise CommandSyntaxError("a character that no command needs (private use)")
    for piece in substitution.pieces(text.replace("$$", _DOLLAR)):
        if isinstance(piece, substitution.Variable):
            yield Captured(piece.name, piece.source.replace(_DOLLAR, "$$"))
            continue
        first, *others = piece.split(_DOLLAR)
        yield first
        for other in others:
            yield from (Captured("$", "$$"), other)


def _problems(line: Line, judge: _Judge) -> Iterator[str]:
    for command in line.commands():
        try:
            judge.judge(command)
        except CommandRefusedError as error:
            yield str(error)
    yield from judge.mixture(line)


class _Judge:
    """Judges simple commands under one policy, with what is known of the values."""

    def __init__(self, policy: CommandPolicy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup
        known = policy.workdir is not None
        directories = tuple(
            map(normal, (*policy.directories, policy.workdir) if policy.workdir else policy.directories)
        )
        self._path: JudgePath = partial(judge_path, directories=directories, bounded=known)

    def judge(self, command: Simple) -> Judged:
        """Return the command with each argument's use. Raises CommandRefusedError."""
        name = self.name(command)
        words = [Subject(word, see(word, self._lookup)) for word in command.words[1:]]
        for redirect in command.redirects:
            if isinstance(redirect.target, Word):
                self._path(see(redirect.target, self._lookup))
        style = Style.ECHO if name[0] == "echo" else Style.DASHES if name[0] in TOOLS else Style.PLAIN
        return Judged(name[0], style, tuple(self._arrange(name, words)))

    def name(self, command: Simple) -> tuple[str, ...]:
        """Return the one or two words that name the program. Raises CommandRefusedError where they stand on no list."""
        first, *others = command.words
        name = first.literal
        if name is None:
            raise CommandRefusedError(f"{first!s:.80}: the name of a command must be written out")
        second = others[0].literal if others else None
        both = f"{name} {second}"
        allowed = self._policy.commands - NEVER
        found = (name, second) if second is not None and both in allowed else (name,) if name in allowed else None
        if name in MOVING:
            raise CommandRefusedError(
                f"{name!r} is never allowed: the words behind it would lead elsewhere than they say;"
                " name the directory in `cwd`, or in every path"
            )
        if found is None or name in NEVER:
            raise CommandRefusedError(f"{name!r:.80} is not among the allowed commands")
        if " ".join(found) not in PLAIN and not self._policy.interpreters:
            raise CommandRefusedError(f"{' '.join(found)!r} runs code, which the settings do not allow to this source")
        return found

    def _arrange(self, name: Sequence[str], words: Sequence[Subject]) -> Iterator[Argument]:
        """Yield every word behind the first, also where the list names a program by two."""
        program = name[0]
        if program == "echo":
            return _arrange_echo(words)
        if program == "find":
            return arrange_find(words, self._path)
        if program == "wandb" and (len(name) == 1 or name[1] in WANDB):
            return arrange_wandb(words, self._path, deleting=name[1:] == ("sync",))
        if program in TOOLS:
            return arrange_tool(TOOLS[program], words, self._path)
        return arrange_interpreter(program, words, self._path)

    def mixture(self, line: Line) -> Iterator[str]:
        """Yield why commands that are good one by one may not stand in one line."""
        commands = list(line.commands())
        grants = [c for c in commands if not PLAIN & {c.words[0].literal}]
        if not grants:
            return
        if not self._own_output(line, grants):
            yield (
                "in a line with commands that run code, only what the last of them prints may go to a file by > or >>,"
                " and to no script; write what the file's name ends in"
            )
        others = [c for c in commands if c not in grants and c.words[0].literal not in _BESIDE]
        if any(not see(word, self._lookup).trusted for c in others for word in c.words):
            yield "in a line with a command that runs code, captured values may only go to it, echo, logger and date"
        if any(map(_takes_code, grants)) and _captures(commands, self._lookup):
            yield "a line with a program that runs what it is given may hold no captured value; write it out"
        if any(map(_fed_code, line.every_pipeline())):
            yield "a program that runs what it reads may read neither a file nor what another program prints"

    def _written(self, command: Simple) -> Iterator[Seen]:
        """Yield the files that a command's redirections write."""
        for redirect in command.redirects:
            if isinstance(redirect.target, Word) and redirect.operator != "<":
                seen = see(redirect.target, self._lookup)
                if seen.text not in HARMLESS:
                    yield seen

    def _own_output(self, line: Line, grants: Sequence[Simple]) -> bool:
        """Tell whether all that is written is what the last program that runs code prints, and no script."""
        pipelines = [each for each in line.pipelines if any(command in grants for command in each.commands)]
        last = pipelines[-1].commands[-1] if pipelines else None
        return all(
            command is last and not is_script(seen.text) and not seen.marks.endswith(Source.SUBSTITUTED)
            for command in line.commands()
            for seen in self._written(command)
        )


def _takes_code(command: Simple) -> bool:
    return takes_code([word.literal for word in command.words])


def _fed_code(pipeline: Pipeline) -> bool:
    """Tell whether a program that may run its input gets one: whoever wrote that is not the watcher's author."""
    behind = pipeline.commands[1:]
    read = [command for command in pipeline.commands if any(r.operator == "<" for r in command.redirects)]
    return any(_takes_code(command) for command in (*behind, *read))


def _captures(commands: Sequence[Simple], lookup: Lookup) -> bool:
    words = [word for command in commands for word in command.words]
    words += [r.target for command in commands for r in command.redirects if isinstance(r.target, Word)]
    return any(
        Source.CAPTURED in seen.marks or seen.leader is Source.CAPTURED for seen in (see(w, lookup) for w in words)
    )


def _arrange_echo(words: Sequence[Subject]) -> Iterator[Argument]:
    options = list(takewhile(_echo_option, words))
    yield from (subject.to(Use.OPTION) for subject in options)
    yield from (subject.to(Use.TEXT, operand=True) for subject in words[len(options) :])


def _echo_option(subject: Subject) -> bool:
    seen = subject.seen
    return seen.trusted and seen.begins("-") and len(seen.text) > 1 and not seen.text[1:].strip("neE")
