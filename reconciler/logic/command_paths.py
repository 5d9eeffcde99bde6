"""Which paths a run_command line may name: those in the job's working directory and in the settings' directories.

Judged by the text of the path alone, before anything runs: `..` is refused wherever it stands. Symbolic links are not
followed here; a link that the job's owner made leads where its owner may go anyway, since run_command only runs as the
owner of the job.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from reconciler.logic.command_words import GLOBS, HOLE, CommandRefusedError, Seen, Source

#: Devices that hold nothing and keep nothing.
HARMLESS = frozenset({"/dev/null"})


def judge_path(seen: Seen, directories: Sequence[str], *, bounded: bool = True) -> None:
    """Raise CommandRefusedError where the word may name a file outside.

    `directories` are absolute and normalised. `bounded` False: the job's own is not known yet, absolute paths pass.
    """
    if seen.text in HARMLESS:
        return
    for component, marks in _components(seen):
        _judge_component(seen, component, marks)
    if bounded and seen.begins("/") and not within(_certain(seen), directories):
        raise CommandRefusedError(
            f"{shown(seen)} lies outside the job's working directory and the directories that the settings allow"
        )


def refuse_device(seen: Seen) -> None:
    """Raise CommandRefusedError for what is no file, where one would take its place or be taken away."""
    if seen.text in HARMLESS:
        raise CommandRefusedError(f"{shown(seen)} is no file to be replaced or taken away")


def normal(path: str) -> str:
    """Return an absolute path without `.`, `//` and a slash at its end."""
    return "/" + posixpath.normpath(path).lstrip("/")


def within(path: str, directories: Sequence[str]) -> bool:
    """Tell whether a normalised absolute path is one of these directories or lies in one."""
    return any(path == directory or path.startswith(directory.rstrip("/") + "/") for directory in directories)


def _components(seen: Seen) -> Iterator[tuple[str, str]]:
    start = 0
    for component in seen.text.split("/"):
        yield component, seen.marks[start : start + len(component)]
        start += len(component) + 1


def _judge_component(seen: Seen, component: str, marks: str) -> None:
    if any(c == HOLE and m == Source.CAPTURED for c, m in zip(component, marks, strict=True)):
        return  # judged again when the value is known
    fixed = component.replace(HOLE, "")
    # The output of $(...) may turn out empty, so dots around it count as neighbours. It cannot be dots alone: the
    # script looks at it before it is used.
    if len(fixed) >= 2 and not fixed.strip("."):
        raise CommandRefusedError(f"{shown(seen)} leads out of its directory: `..` is not allowed")
    globbing = any(c in GLOBS and m == Source.WRITTEN for c, m in zip(component, marks, strict=True))
    if globbing and (component.startswith(".") or HOLE in component):
        raise CommandRefusedError(f"{shown(seen)}: such a pattern could match `..`; write more of the name")


def _certain(seen: Seen) -> str:
    """Return the part of an absolute path that stands before its first hole or glob, whole components only."""
    sure: list[str] = []
    for component, marks in _components(seen):
        if HOLE in component or any(c in GLOBS and m == Source.WRITTEN for c, m in zip(component, marks, strict=True)):
            break
        sure.append(component)
    return normal("/".join(sure) or "/")


def shown(seen: Seen) -> str:
    """Return the word for people, cut short."""
    return repr(seen.text.replace(HOLE, "…")[:80])
