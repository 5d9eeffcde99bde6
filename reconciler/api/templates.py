"""The library of templates: files in the folder `templates` of each directory of watchers, and those of the package.

Directories never take them for watchers (sub-folders are inert). Later layers replace files of earlier ones, as with
watchers; what is saved goes into the writable layer. Blocking; routes call it in a thread.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from reconciler.api.desk import Desk
from reconciler.api.template_text import Labelled, take_apart
from reconciler.engine.dropins import Dropins
from reconciler.errors import Problem
from reconciler.sources.directory import MAX_FILE_BYTES, DirectorySource, accepted
from reconciler.spec.load import Loaded, LocatedSpec

FOLDER = "templates"
#: Files of one folder that are looked at, in the order of their names.
MOST_FILES = 500
#: The category of a file that names none.
UNSORTED = "Other"

Layer = Literal["package", "directory", "api"]


@dataclass(frozen=True, slots=True)
class Template:
    """One file. `problems`: why it cannot be used; then `located` is None."""

    id: str
    path: Path
    layer: Layer
    text: Labelled
    located: LocatedSpec | None
    problems: tuple[Problem, ...]


def shelf(desk: Desk) -> Dropins:
    """Return the folder of templates that the API may write."""
    return Dropins(desk.dropins.directory / FOLDER)


def library(desk: Desk) -> dict[str, Template]:
    """Return all templates by id; where several layers have one of a name, the last one's."""
    return {found.id: found for layer, folder in folders(desk) for found in _in(desk, layer, folder)}


def folders(desk: Desk) -> Iterator[tuple[Layer, Path]]:
    """Yield the folders that may hold templates, the first layer first."""
    with resources.as_file(resources.files("reconciler").joinpath("watchers.d")) as packaged:
        yield from (("package", packaged / name) for name in (".", "examples", FOLDER))
    for source in desk.parts.sources:
        if isinstance(source, DirectorySource) and source.path != desk.dropins.directory:
            yield "directory", source.path / FOLDER
    yield "api", shelf(desk).directory


def file_name(name: str) -> str:
    """Return the name of a template's file: words of its name, so no path can be made of it."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:80]
    return f"{words or 'template'}.yaml"


def _in(desk: Desk, layer: Layer, folder: Path) -> Iterable[Template]:
    try:
        names = sorted(filter(accepted, os.listdir(folder)))[:MOST_FILES]
    except OSError:  # most directories have no such folder
        return
    for name in names:
        content = _read(folder / name)
        if content is not None:
            yield _template(desk, layer, folder / name, content)


def _read(path: Path) -> bytes | None:
    """Return what stands in a regular file that is not too large; None: it is none, or cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # O_NONBLOCK: a FIFO must not hold us up
        with open(descriptor, "rb") as file:
            return file.read(MAX_FILE_BYTES) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except OSError:
        return None


def _template(desk: Desk, layer: Layer, path: Path, content: bytes) -> Template:
    loaded = desk.tools.parse(content, path.name)
    problems = [problem for problem in loaded.problems if problem.severity == "error"]
    problems += _count(loaded, path.name) if not problems else ()
    text = take_apart(content.decode("utf-8-sig", "replace"))
    located = None if problems else loaded.specs[0]
    return Template(path.stem, path, layer, text, located, tuple(problems))


def _count(loaded: Loaded, name: str) -> Sequence[Problem]:
    if len(loaded.specs) == 1:
        return ()
    return (Problem(name, 0, 0, "several-watchers", "it holds several watchers", "keep each in a file of its own"),)
