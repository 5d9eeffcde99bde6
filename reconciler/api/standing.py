"""What stands now in the file of a spec that is to be changed; where that is not what is in force, nothing is written.

People edit these files too. `writing` changes what this returns, and `drafting` tells what it refuses.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.api.composing import at_hand
from reconciler.api.desk import Desk
from reconciler.api.editing import new_text
from reconciler.api.refusals import ConflictError, RequestRefusedError, flaw_of, flawed
from reconciler.api.shaping import spec_of
from reconciler.errors import Problem, StateError
from reconciler.logic.desired import names_in
from reconciler.model import StoredSpec, Watcher
from reconciler.sources.files import accepted
from reconciler.spec.watcher import WatcherSpec


@dataclass(frozen=True, slots=True)
class Standing:
    """The text of a file. `there`: False where there is no file any more; then it is the spec's canonical form."""

    text: str
    there: bool = True

    @property
    def on_disk(self) -> str | None:
        """What is to be exchanged for the new text; None: no file."""
        return self.text if self.there else None


async def standing(desk: Desk, watcher: Watcher, stored: StoredSpec) -> Standing:
    """Return the file that gave a spec as it is now.

    Raises ConflictError (`file-changed`) where it cannot be taken as it is, does not hold the watcher, or was moved.
    """
    text = await asyncio.to_thread(_read, desk, stored)
    if text is not None:
        await asyncio.to_thread(_check_holds, desk, watcher, stored, text)
        return Standing(text)
    if desk.dropins.owns(stored.origin.file):
        await asyncio.to_thread(_check_gone, desk, watcher, stored)
    return Standing(new_text({"name": watcher.name, **spec_of(stored)}), there=False)


def tag_of(text: str, stored: StoredSpec | None) -> str:
    """Return the entity tag (RFC 9110, 8.8.3) of a file's text and the spec in force: until the engine has taken a
    new text up, what is shown of a watcher is older than its file."""
    shown = f"{text}\0{stored.digest if stored else ''}"
    return f'"{hashlib.sha256(shown.encode()).hexdigest()[:32]}"'


def check_match(file: str, tag: str, wanted: str | None) -> None:
    """Raise RequestRefusedError (412) where `wanted`, an If-Match, has not this tag; without one any fits."""
    if wanted is not None and wanted.strip() != "*" and tag not in [each.strip() for each in wanted.split(",")]:
        raise RequestRefusedError(
            412, "changed-meanwhile", f"{file} was changed since it was read", remedy="read it again, and change that"
        )


def file_changed(file: str, line: int, what: str, remedy: str, problems: Sequence[Problem] = ()) -> ConflictError:
    """Return the refusal to write where somebody else did."""
    return ConflictError(
        "file-changed", what, remedy=remedy, file=file, line=line, problems=[flaw_of(problem) for problem in problems]
    )


def altered(desk: Desk, old: str, new: str, but: Collection[str]) -> Mapping[str, str]:
    """Return the names of a file's other specs that a change of its text concerns, and what becomes of each:
    `created`, `updated` or `deleted`. Raises RequestRefusedError where the new text is bad."""
    before, after = _specs(desk, old), _specs(desk, new) if new else {}
    done = {}
    for name in dict.fromkeys((*before, *after)):
        if name in but or before.get(name) == after.get(name):
            continue
        done[name] = "deleted" if name not in after else "updated" if name in before else "created"
    return done


def _specs(desk: Desk, text: str) -> dict[str, WatcherSpec]:
    found = desk.tools.parse(text.encode(), "watcher.yaml")
    if not found.good:
        raise flawed([problem for problem in found.problems if problem.severity == "error"])
    return {located.spec.name: located.spec for located in found.specs}


def _read(desk: Desk, stored: StoredSpec) -> str | None:
    """Return the text of the file; None where it is gone, or not at hand."""
    file = stored.origin.file
    if not os.path.isabs(file) or not os.path.lexists(file):
        return at_hand(desk, stored.origin) or None
    try:
        return desk.dropins.read(Path(file))
    except StateError as error:
        raise file_changed(file, 0, error.message, "make it a text that can be read") from error


def _check_holds(desk: Desk, watcher: Watcher, stored: StoredSpec, text: str) -> None:
    file = stored.origin.file
    found = desk.tools.parse(text.encode(), Path(file).name)
    if not found.good:
        bad = [problem for problem in found.problems if problem.severity == "error"]
        what = f"{file}:{bad[0].line} was changed and is not valid: {bad[0].message}"
        raise file_changed(file, bad[0].line, what, "mend it there first; nothing is written until then", bad)
    if all(located.spec.name != watcher.name for located in found.specs):
        what = f"{file}:{stored.origin.line} was changed and holds no watcher {watcher.name!r} any more"
        raise file_changed(file, stored.origin.line, what, "put it back there, or leave it: then it stops by itself")


def _check_gone(desk: Desk, watcher: Watcher, stored: StoredSpec) -> None:
    """A file that is gone may be written anew only where it stands under no other name and held nothing else."""
    file, plan = stored.origin.file, desk.controller.plan
    for other in sorted(desk.dropins.directory.glob("*")):
        line = _line_in(desk, other, watcher.name) if accepted(other.name) else None
        if line is not None:
            what = f"{file} was moved: {other}:{line} has the watcher {watcher.name!r}"
            raise file_changed(str(other), line, what, "try again when the engine has read it there, or move it back")
    others = [each.name for each in plan.resolution.desired.values() if each.origin.file == file] if plan else []
    if len(others) > 1:
        what = f"{file} is gone, and with it {', '.join(sorted(others))}"
        raise file_changed(file, stored.origin.line, what, "put it back; without it, its watchers stop by themselves")


def _line_in(desk: Desk, path: Path, name: str) -> int | None:
    """Return the line where a file has a watcher of this name, as far as it can be told; None: it has none."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if name.encode() not in content and b"\\" not in content:
        return None
    found = desk.tools.parse(content, path.name)
    if not found.good:
        return next(p.line for p in found.problems if p.severity == "error") if name in names_in(content) else None
    return next((located.line for located in found.specs if located.spec.name == name), None)
