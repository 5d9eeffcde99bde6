"""Where specs come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from reconciler.errors import Problem


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One accepted file: `content` are the very bytes that `digest` (hex BLAKE2b-160) was made of."""

    name: str
    path: str
    content: bytes
    digest: str
    layer: str = ""
    commit: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a source holds now.

    `deliberate`: an absence is a deletion that somebody committed; otherwise it is only a disappearance.
    `problems`: files passed over, with reasons (unreadable, not UTF-8, wrong kind), severity `warning` or `error`.
    `hides`: names of files that it replaces or masks in the sources listed before it.
    `stale`: why there may be something newer that cannot be had (empty: there is not); a problem should say it too.
    `revision` names the content as a whole (commit, or digest over all files).
    """

    source: str
    files: tuple[SourceFile, ...]
    revision: str
    deliberate: bool = False
    problems: tuple[Problem, ...] = ()
    hides: frozenset[str] = frozenset()
    stale: str = ""
    deleted: frozenset[str] = frozenset()  # paths that a commit deleted, where the rest is no commit's content


class Source(Protocol):
    """Where specs come from. `name` is stable over restarts: pruning stays within it."""

    name: str

    async def snapshot(self) -> Snapshot:
        """Return the present content; raise UnavailableError where it cannot be told (vanished, unreadable, in
        motion)."""
        ...

    async def changed(self) -> None:
        """Return when another look may be worth while (a hint; never returning is allowed).

        A daemon awaits it again and again, from before the first `snapshot`: what takes long belongs here then.
        """
        ...

    async def close(self) -> None:
        """Let go of watches and processes."""
        ...
