"""The library of templates: files in the folder `templates` of each source of watchers, and those of the package.

Sources never take them for watchers (sub-folders are inert). Later layers replace files of earlier ones, as with
watchers; what is saved goes into the writable layer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from reconciler.api.desk import Desk
from reconciler.api.template_text import Labelled, take_apart
from reconciler.engine.dropins import Dropins
from reconciler.errors import Problem, UnavailableError
from reconciler.sources.directory import DirectorySource
from reconciler.sources.files import MAX_FILE_BYTES, accepted
from reconciler.sources.git import GitSource
from reconciler.spec.load import Loaded, LocatedSpec

log = logging.getLogger(__name__)

FOLDER = "templates"
#: Files of one folder that are looked at, in the order of their names.
MOST_FILES = 500
#: The category of a file that names none.
UNSORTED = "Other"

Layer = Literal["package", "directory", "git", "api"]


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


async def library(desk: Desk) -> dict[str, Template]:
    """Return all templates by id; where several layers have one of a name, the last one's."""
    branches = {source.name: await _committed(source) for source in desk.parts.sources if isinstance(source, GitSource)}
    return await asyncio.to_thread(_collected, desk, branches)


def _collected(desk: Desk, branches: Mapping[str, Mapping[Path, bytes]]) -> dict[str, Template]:
    found = (
        _template(desk, layer, path, content)
        for layer, files in _layers(desk, branches)
        for path, content in sorted(files.items())[:MOST_FILES]
    )
    return {template.id: template for template in found}


def _layers(desk: Desk, branches: Mapping[str, Mapping[Path, bytes]]) -> Iterator[tuple[Layer, Mapping[Path, bytes]]]:
    """Yield the files that may hold templates, the first layer first."""
    with resources.as_file(resources.files("reconciler").joinpath("watchers.d")) as packaged:
        yield from (("package", _files(packaged / name)) for name in (".", "examples", FOLDER))
    for source in desk.parts.sources:
        if source.name in branches:
            yield "git", branches[source.name]
        elif isinstance(source, DirectorySource) and source.path != desk.dropins.directory:
            yield "directory", _files(source.path / FOLDER)
    yield "api", _files(shelf(desk).directory)


async def _committed(source: GitSource) -> Mapping[Path, bytes]:
    """Return the files in the folder of templates of the commit that is in force."""
    try:
        return {Path(file.path): file.content for file in await source.folder(FOLDER)}
    except UnavailableError as error:
        log.warning("%s: its templates cannot be read: %s", source.name, error.message)
        return {}


def file_name(name: str) -> str:
    """Return the name of a template's file: words of its name, so no path can be made of it."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:80]
    return f"{words or 'template'}.yaml"


def _files(folder: Path) -> Mapping[Path, bytes]:
    try:
        names = sorted(filter(accepted, os.listdir(folder)))[:MOST_FILES]
    except OSError:  # most directories have no such folder
        return {}
    read = {folder / name: _read(folder / name) for name in names}
    return {path: content for path, content in read.items() if content is not None}


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
