"""Replacing `$name` in what users write with what was matched: one pass, and what was put in is never read again.

Called by the engine (params of actions), by `replay` and `validate` (which names are unknown), and by run_command, which needs
captured text apart from trusted text (`expand`). It quotes nothing and knows no shell: `$(...)` is plain text here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from reconciler.model import Job, Match

#: Names that a captured value never overrides: what an action is told about its own job must be true.
BUILTINS = frozenset({"JOB_ID", "JOB_NAME", "HOSTNAME", "WATCHER", "JOB_STATE"})

_PLAIN = re.compile(r"\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*|[0-9]+)|\{([A-Za-z_][A-Za-z0-9_]*|[0-9]+)(\}|:[-+]))")
_MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Variable:
    """One `$name`, `${name}`, `${name:-word}` or `${name:+word}`; `source` is it as written, `word` a template of its own."""

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
    found, _ = _parse(template, 0, 0)
    return found


def _parse(template: str, start: int, depth: int) -> tuple[tuple[Piece, ...], int]:
    """Read up to the end of the template, or of the `${...}` word it stands in; return where that was (-1: never closed)."""
    found: list[Piece] = []
    at = start
    while True:
        hit = _PLAIN.search(template, at)
        close = template.find("}", at) if depth else -1
        if depth and close >= 0 and (hit is None or close < hit.start()):
            return _joined([*found, template[at:close]]), close + 1
        if hit is None:
            return _joined([*found, template[at:]]), -1 if depth else len(template)
        found.append(template[at : hit.start()])
        piece, at = _variable(template, hit, depth)
        found.append(piece)


def _variable(template: str, hit: re.Match[str], depth: int) -> tuple[Piece, int]:
    dollar, plain, braced, tail = hit.groups()
    if dollar:
        return "$", hit.end()
    if plain or tail == "}":
        return Variable(plain or braced, hit.group()), hit.end()
    word, end = _parse(template, hit.end(), depth + 1) if depth < _MAX_DEPTH else ((), -1)
    if end < 0:  # no closing brace: plain text, as anything else that only looks like a variable
        return hit.group(), hit.end()
    return Variable(braced, template[hit.start() : end], tail, word), end


def _joined(found: list[Piece]) -> tuple[Piece, ...]:
    joined: list[Piece] = []
    for piece in found:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    return tuple(joined)


def expand(template: str, values: Mapping[str, str | None]) -> tuple[Span, ...]:
    """Render `template` as runs that say whether they came from a value. An unknown name stays as written; None is empty."""
    return tuple(_expanded(pieces(template), values))


def _expanded(parsed: tuple[Piece, ...], values: Mapping[str, str | None]) -> Iterator[Span]:
    for piece in parsed:
        if isinstance(piece, str):
            yield Span(piece)
            continue
        value = values.get(piece.name)
        if piece.operator == ":-" and not value or piece.operator == ":+" and value:
            yield from _expanded(piece.word, values)
        elif piece.operator == ":+":
            continue
        elif piece.name in values:
            yield Span(value or "", captured=True)
        else:
            yield Span(piece.source)


def render(template: str, values: Mapping[str, str | None]) -> str:
    """Return the template with its variables replaced, in one pass.

    `${name:-word}` is `word` where name is unknown, None or empty; `${name:+word}` is `word` where it is not, else nothing.
    """
    if "$" not in template:
        return template
    return "".join([span.text for span in expand(template, values)])


def render_params(params: Mapping[str, Any], values: Mapping[str, str | None]) -> dict[str, Any]:
    """Return `params` with every string value rendered, inside lists and mappings too; keys and other values stay."""
    return {key: _rendered(value, values) for key, value in params.items()}


def _rendered(value: Any, values: Mapping[str, str | None]) -> Any:
    if isinstance(value, str):
        return render(value, values)
    if isinstance(value, Mapping):
        return {key: _rendered(member, values) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_rendered(member, values) for member in value)
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
