"""Comments of a YAML text that is edited: they stay with what they stand above or beside. Pure.

ruamel keeps a comment with the value before it. Here what stands above a value is cut off from the one before, and put
back where it belongs. `editing` calls it.
"""

from __future__ import annotations

from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString
from ruamel.yaml.tokens import CommentToken


def cut(parent: Any, key: Any) -> str:
    """Take away the comments between a value and what follows it, and return them."""
    leaf = _leaf(parent, key)
    token = _slots(*leaf)[_slot(leaf[0])] if leaf else None
    if leaf is None or token is None:
        return ""
    own, end, rest = ("", "", token.value) if _blocky(*leaf) else token.value.partition("\n")
    if own.strip():
        token.value = own + end
    else:
        _slots(*leaf)[_slot(leaf[0])] = None
    return str(rest)


def put(parent: Any, key: Any, text: str) -> None:
    """Put comments between a value and what follows it."""
    leaf = _leaf(parent, key)
    if leaf is None or not text:
        return
    token = _slots(*leaf)[_slot(leaf[0])]
    if token is not None:
        token.value += text
    else:
        start = "" if _blocky(*leaf) else "\n"
        _slots(*leaf)[_slot(leaf[0])] = CommentToken(start + text, CommentMark(0), None)


def above_first(items: CommentedSeq) -> str:
    """Return the comments above the first item of a list."""
    return "".join(" " * token.start_mark.column + token.value for token in _head(items) or ())


def put_above_first(parent: Any, key: Any, text: str) -> None:
    """Let these be the comments above the first item of a list, or key of a mapping."""
    tokens = [
        CommentToken(line.lstrip() + "\n", CommentMark(len(line) - len(line.lstrip())), None)
        for line in text.splitlines()
        if line.strip()
    ]
    heads = [head for head in (_slots(parent, key)[3], _head(parent[key])) if head]
    for head in heads:  # without a mark at 0 ruamel would indent by it once more
        head[:] = tokens or [CommentToken("", CommentMark(0), None)]
    if not heads and tokens and parent[key]:
        first = 0 if isinstance(parent[key], CommentedSeq) else next(iter(parent[key]))
        _slots(parent[key], first)[1] = tokens


def forget_above_first(parent: Any, key: Any) -> None:
    """Let nothing stand between a key and its value, which is no list or mapping of lines any more."""
    _slots(parent, key)[3] = None


def parted(text: str) -> tuple[str, str]:
    """Return comments in two parts: what stands by itself, and what stands right above the next value."""
    lines = text.splitlines(keepends=True)
    end = len(lines)
    while end and lines[end - 1].lstrip().startswith("#"):
        end -= 1
    return "".join(lines[:end]), "".join(lines[end:])


def _head(items: Any) -> list[Any] | None:
    found = items.ca.comment
    return found[1] if found and len(found) > 1 else None


def _leaf(parent: Any, key: Any) -> tuple[Any, Any] | None:
    """Return where ruamel keeps the comment after a value: at the last value inside it; None where aliases share it."""
    while isinstance(parent, (CommentedMap, CommentedSeq)) and not getattr(parent, "merge", None):
        value = parent[key]
        if not isinstance(value, (CommentedMap, CommentedSeq)) or not value or value.fa.flow_style():
            return parent, key
        if value.anchor.value is not None:
            return None
        parent, key = value, len(value) - 1 if isinstance(value, CommentedSeq) else list(value)[-1]
    return None


def _slots(parent: Any, key: Any) -> list[Any]:
    slots: list[Any] = parent.ca.items.setdefault(key, [None] * 4)
    slots.extend([None] * (4 - len(slots)))
    return slots


def _slot(parent: Any) -> int:
    return 0 if isinstance(parent, CommentedSeq) else 2


def _blocky(parent: Any, key: Any) -> bool:
    return isinstance(parent[key], (FoldedScalarString, LiteralScalarString))
