"""Replacing `$name` in what users write with what was matched: one pass, and what was put in is never read again.

Called by the engine (params of actions), by `replay` and `validate` (which names are unknown), and by run_command,
which needs captured text apart from trusted text (`expand`). It quotes nothing and knows no shell: `$(...)` is plain
text here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from reconciler.model import Job, Match

#: Names that a captured value never overrides: what an action is told about its own job must be true.
BUILTINS = frozenset({"JOB_ID", "JOB_NAME", "HOSTNAME", "WATCHER", "JOB_STATE", "TRIGGER"})

_NAME = r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+"
_TOKEN = re.compile(
    rf"\$(?:(?P<dollar>\$)|(?P<plain>{_NAME})|\{{(?P<braced>{_NAME})(?P<tail>\}}|:[-+]))|(?P<close>\}})"
)
_MAX_DEPTH = 8
#: Characters that the params of an action may come to: far more than a program or a message can take.
MAX_RENDERED = 1_000_000


@dataclass(frozen=True, slots=True)
class Variable:
    """One `$name`, `${name}`, `${name:-word}` or `${name:+word}`.

    `source` is it as written, `word` a template of its own.
    """

    name: str
    source: str
    operator: str = ""
    word: tuple[Piece, ...] = ()


Piece = str | Variable


@dataclass(frozen=True, slots=True)
class Span:
    """A run of rendered text: `captured` where it came from a value (untrusted), else it stood in the template."""

    text: str
    captured: bool = False


@lru_cache(maxsize=2048)
def pieces(template: str) -> tuple[Piece, ...]:
    """Split a template into literal text (`$$` is a dollar already) and variables. The longest identifier wins."""
    frames = [_Frame()]
    at = 0
    for token in _TOKEN.finditer(template):
        frames[-1].found.append(template[at : token.start()])
        at = token.end()
        _take(template, token, frames)
    frames[-1].found.append(template[at:])
    while len(frames) > 1:  # never closed, so it is text, as anything else that only looks like a variable
        open_frame = frames.pop()
        frames[-1].found += [open_frame.opening, *open_frame.found]
    return _joined(frames[0].found)


@dataclass(slots=True)
class _Frame:
    """The template, or a word inside a `${name:-` that is not closed yet."""

    opening: str = ""
    start: int = 0
    name: str = ""
    operator: str = ""
    found: list[Piece] = field(default_factory=list)


def _take(template: str, token: re.Match[str], frames: list[_Frame]) -> None:
    """Add one token to the innermost frame, or open or close one."""
    found = frames[-1].found
    name, tail = token["plain"] or token["braced"], token["tail"]
    if token["dollar"]:
        found.append("$")
    elif token["plain"] or tail == "}":
        found.append(Variable(name, token.group()))
    elif token["close"] and len(frames) > 1:
        closed = frames.pop()
        source = template[closed.start : token.end()]
        frames[-1].found.append(Variable(closed.name, source, closed.operator, _joined(closed.found)))
    elif tail and len(frames) <= _MAX_DEPTH:
        frames.append(_Frame(token.group(), token.start(), name, tail))
    else:
        found.append(token.group())


def _joined(found: list[Piece]) -> tuple[Piece, ...]:
    joined: list[Piece] = []
    for piece in found:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    return tuple(joined)


def expand(template: str, values: Mapping[str, str | None]) -> tuple[Span, ...]:
    """Render `template` as runs that say whether they came from a value.

    An unknown name stays as written; None is empty.
    """
    return tuple(_expanded(pieces(template), values))


def _expanded(parsed: tuple[Piece, ...], values: Mapping[str, str | None]) -> Iterator[Span]:
    for piece in parsed:
        if isinstance(piece, str):
            yield Span(piece)
            continue
        value = values.get(piece.name)
        if (piece.operator == ":-" and not value) or (piece.operator == ":+" and value):
            yield from _expanded(piece.word, values)
        elif piece.operator == ":+":
            continue
        elif piece.name in values:
            yield Span(value or "", captured=True)
        else:
            yield Span(piece.source)


def render(template: str, values: Mapping[str, str | None], most: int = MAX_RENDERED) -> str:
    """Return the template with its variables replaced, in one pass, cut at `most` characters.

    `${name:-word}` is `word` where name is unknown, None or empty; `${name:+word}` is `word` where it is not, else
    nothing.
    """
    if "$" not in template:
        return template
    texts: list[str] = []
    for span in _expanded(pieces(template), values):
        texts.append(span.text[:most])
        most -= len(texts[-1])
    return "".join(texts)


def render_params(params: Mapping[str, Any], values: Mapping[str, str | None]) -> dict[str, Any]:
    """Return `params` with every string value rendered, inside lists and mappings too; keys and other values stay.

    All of it together is cut at MAX_RENDERED characters.
    """
    return _Rendering(values).mapping(params)


@dataclass(slots=True)
class _Rendering:
    """One rendering of params. `left`: how many characters it may still make."""

    values: Mapping[str, str | None]
    left: int = MAX_RENDERED

    def mapping(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self._member(value) for key, value in params.items()}

    def _member(self, value: Any) -> Any:
        if isinstance(value, str) and "$" in value:
            text = render(value, self.values, self.left)
            self.left -= len(text)
            return text
        if isinstance(value, Mapping):
            return self.mapping(value)
        if isinstance(value, (list, tuple)):
            return type(value)(self._member(member) for member in value)
        return value


def names_in(template: str) -> frozenset[str]:
    """Return every name that the template asks for, those inside `${...:-...}` words too."""
    return frozenset(_names(pieces(template)))


def names_in_params(params: Any) -> frozenset[str]:
    """Return every name asked for by the strings of a nested value."""
    if isinstance(params, str):
        return names_in(params)
    members = params.values() if isinstance(params, Mapping) else params if isinstance(params, (list, tuple)) else ()
    return frozenset().union(*map(names_in_params, members))


def _names(parsed: tuple[Piece, ...]) -> Iterator[str]:
    for piece in parsed:
        if isinstance(piece, Variable):
            yield piece.name
            yield from _names(piece.word)


def match_values(match: Match) -> dict[str, str | None]:
    """Return what a match gives: `0` and `_matched_text`, `1`..`N`, and its named captures (None: took no part)."""
    values: dict[str, str | None] = {"0": match.text, "_matched_text": match.text}
    values.update({str(number): group for number, group in enumerate(match.groups, 1)})
    values.update(match.captures)
    return values


def builtin_values(job: Job, watcher_name: str) -> dict[str, str | None]:
    """Return the names every action may use. Lay them over captures, never under them: see `BUILTINS`."""
    return {
        "JOB_ID": job.id,
        "JOB_NAME": job.name,
        "HOSTNAME": job.host,
        "WATCHER": watcher_name,
        "JOB_STATE": job.state.value,
    }
