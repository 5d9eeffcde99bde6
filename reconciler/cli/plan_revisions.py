"""`reconcile plan --from REV [--to REV]`: what differs between two commits, spec by spec; `plan` calls it.

Needs git and a repository, no state, no host and no settings. A file that is bad at the later commit keeps what it
said at the earlier one, as it would in a running reconciler.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.output import report
from reconciler.cli.plan_rows import problem_row, row_of_spec, show, summary
from reconciler.errors import ConfigurationError, ExitCode, SpecError, UnavailableError, UsageError, worst

if TYPE_CHECKING:
    from reconciler.logic.desired import Reading, Resolution
    from reconciler.protocols import Snapshot


def show_between(
    directories: Sequence[Path],
    output: str,
    *,
    before: str | None,
    after: str | None,
    repo: Path | None,
    detailed: bool,
) -> ExitCode:
    """Print what changes from revision `before` to `after` (None: to the files as they are) in `directories`.

    With `repo` the directories are folders of that repository. Raises UsageError, ConfigurationError.
    """
    from reconciler.logic.revisions import between

    if before is None:
        raise UsageError("from which revision?", remedy="name it: `reconcile plan --from origin/main`")
    if repo is not None and after is None:
        raise UsageError("to which revision?", remedy="--repo needs --to")
    for revision in (before, after or ""):
        if revision.startswith("-"):
            raise UsageError(f"{revision!r} is no revision", remedy="name a commit, a branch or a tag")
    last = {_place(directory, repo): None for directory in reversed(directories or (Path(),))}
    places = list(reversed(last))  # one that is named twice is read in its last place
    old, new = asyncio.run(_both(places, before, after))
    changes = between(old.desired, new)
    rows = [row_of_spec(change) for change in changes]
    document = {
        "changes": rows,
        "summary": summary(rows),
        "digest": "",
        "alarms": [],
        "drift": [],
        "unreachable": {},
        "problems": [problem_row(problem) for problem in new.problems],
    }
    show(document, new.problems, output)
    if new.problems and output == "table":
        report(SpecError(new.problems))
    bad = any(problem.severity == "error" for problem in new.problems)
    pending = ExitCode.CHANGES_PENDING if detailed and changes else ExitCode.OK
    return worst([ExitCode.INVALID if bad else ExitCode.OK, pending])


async def _both(places: Sequence[tuple[Path, str]], before: str, after: str | None) -> tuple[Resolution, Resolution]:
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.logic.desired import resolve
    from reconciler.sources.commits import NO_FOLDER

    try:
        first = [await _snapshot(*place, before) for place in places]
        second = [await _snapshot(*place, after) for place in places]
    except UnavailableError as error:
        raise ConfigurationError(error.message, remedy="name a commit that this repository has") from error
    for (_, folder), *pair in zip(places, first, second, strict=True):
        if folder and all(any(p.code == NO_FOLDER for p in snapshot.problems) for snapshot in pair):
            raise UsageError(f"there is no folder {folder!r}, then or now", remedy="name one of the repository")
    old = resolve(_layered(first), (), revive=app.revive, now=0.0, grace=0.0)
    applied = [desired.stored() for desired in old.desired.values()]
    return old, resolve(_layered(second), applied, revive=app.revive, now=0.0, grace=0.0)


def _place(directory: Path, repo: Path | None) -> tuple[Path, str]:
    """Return the repository of a directory, which may be gone from the work tree, and its path in there."""
    if repo is not None:
        return repo, _folder(directory)
    whole = directory.resolve()
    top = next((each for each in (whole, *whole.parents) if (each / ".git").exists()), None)
    if top is None:
        raise UsageError(f"{directory} is in no git repository", remedy="name a folder of one, or give --repo")
    return top, _folder(whole.relative_to(top))


def _folder(path: Path) -> str:
    return "" if path == Path() else path.as_posix().strip("/")


async def _snapshot(repository: Path, folder: str, revision: str | None) -> Snapshot:
    """Return what a folder holds at a revision, or now; both name files from the top of the repository."""
    from reconciler.sources.commits import git, read_commit

    source = f"git:{folder}"
    if revision is None:
        return await _now(repository, folder, source)
    commit = (await git(repository, ("rev-parse", "--verify", f"{revision}^{{commit}}"))).decode().strip()
    return await read_commit(repository, commit, folder, source)


def _layered(snapshots: Sequence[Snapshot]) -> list[Reading]:
    """Return what the directories give, later ones replacing and masking files of earlier ones."""
    from reconciler import app
    from reconciler.engine.sourcing import reading_of
    from reconciler.logic.layers import Layer, uncovered
    from reconciler.sources.commits import NO_FOLDER

    layers = [Layer(s.source, s, s.hides | {file.name for file in s.files}) for s in snapshots]
    left = [each.snapshot for each in uncovered(layers) if each is not None]
    # that a folder is not there is worth no word: it may be new, or gone
    left = [replace(s, problems=tuple(p for p in s.problems if p.code != NO_FOLDER)) for s in left]
    return [reading_of(each, {file.path: app.parse_source(file) for file in each.files}) for each in left]


async def _now(repository: Path, folder: str, source: str) -> Snapshot:
    """Return the files as they are in the work tree; all that is missing was meant."""
    from reconciler.protocols import Snapshot
    from reconciler.sources.commits import no_folder
    from reconciler.sources.directory import DirectorySource

    directory = repository / folder
    if not directory.is_dir():
        return Snapshot(
            source, (), "work tree", deliberate=True, problems=(no_folder(folder, "the work tree", source),)
        )
    found = await DirectorySource(directory).snapshot()
    above = f"{folder}/" if folder else ""
    files = tuple(replace(file, path=above + file.name, layer="git") for file in found.files)
    return replace(found, source=source, files=files, revision="work tree", deliberate=True, deleted=frozenset())
