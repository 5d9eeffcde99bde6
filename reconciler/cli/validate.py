"""`reconcile validate`: checks watcher files without a state, a host or the network; shows all faults at once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import note, output_option
from reconciler.cli.yaml_files import content_of
from reconciler.errors import ExitCode, Problem, SpecError, UsageError

if TYPE_CHECKING:
    from reconciler.settings import Settings
    from reconciler.spec.load import LocatedSpec

_EPILOG = """\
\b
Examples:
  reconcile validate                            the directories of the settings
  reconcile validate ./watchers.d --strict      warnings fail too
  reconcile validate ./watchers.d -o sarif      for code scanning; also github, junit
  reconcile validate -                          one file from standard input
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """One file: its lines (for showing where), its watchers, what is wrong and what is doubtful."""

    path: str
    lines: tuple[str, ...]
    specs: tuple[LocatedSpec, ...]
    problems: tuple[Problem, ...]


@click.command(epilog=_EPILOG)
@click.argument(
    "paths", nargs=-1, type=click.Path(exists=True, path_type=Path, allow_dash=True), metavar="[FILE|DIR|-]..."
)
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@output_option("github", "junit", "sarif")
@click.pass_obj
def command(options: GlobalOptions, paths: tuple[Path, ...], strict: bool, output: str) -> ExitCode:
    """Check watcher files (those of directories, or those named): every error with file, line, column and remedy."""
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.cli.problems import show  # likewise: renders what is found

    settings = app.load_settings(options.config)
    files = [_check(path, settings) for path in dict.fromkeys(_files(paths or _usual(options)))]
    clashes = tuple(_clashes(files))
    problems = [problem for file in files for problem in file.problems]
    problems += clashes
    show(problems, files, output)
    failing = {"error", "warning"} if strict else {"error"}
    return ExitCode.INVALID if any(problem.severity in failing for problem in problems) else ExitCode.OK


def _usual(options: GlobalOptions) -> Sequence[Path]:
    from reconciler import app  # saves start-up time: it knows every class

    found = app.directories(app.load_settings(options.config))
    if not found:
        raise UsageError("the settings name no directory", remedy="name one; `reconcile plan` checks other sources")
    return found


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files: those named, and those of directories as their source reads them, later ones replacing."""
    from reconciler.sources.files import accepted

    last = {os.path.abspath(path): number for number, path in enumerate(paths)}  # each is read once, in its last place
    paths = [path for number, path in enumerate(paths) if last[os.path.abspath(path)] == number]
    directories = [path for path in paths if path.is_dir()]
    names = {path: set(os.listdir(path)) for path in directories}
    for path in paths:
        if path not in names:
            yield path
            continue
        above = set().union(*(names[later] for later in directories[directories.index(path) + 1 :]))
        here = sorted(name for name in names[path] - above if _holds_text(path / name))
        for name in here:
            if accepted(name):
                yield path / name
            elif not name.startswith(".") and ".test." not in name and name != "README.md":
                note(f"{path / name}: ignored, its name is not one that holds watchers")


def _holds_text(path: Path) -> bool:
    """Tell whether it is a file, or what a pass complains of too: a link that leads nowhere, what may not be seen."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def _check(path: Path, settings: Settings) -> Checked:
    from reconciler import app
    from reconciler.logic.lint import warnings

    shown = "<stdin>" if str(path) == "-" else str(path)
    try:
        content = content_of(path)
    except SpecError as error:
        return Checked(shown, (), (), error.problems)
    lines = tuple(content[: 1024 * 1024].decode("utf-8-sig", "replace").split("\n"))
    if path.name.endswith((".test.yaml", ".test.yml")):
        return Checked(shown, lines, (), tuple(_test_problems(content, shown)))
    loaded = app.parse(content, shown)
    doubts = [doubt for located in loaded.specs for doubt in warnings(located, shown)]
    doubts += [doubt for located in loaded.specs for doubt in app.policy_warnings(settings, located, shown)]
    found = sorted([*loaded.problems, *doubts], key=lambda problem: (problem.line, problem.column))
    return Checked(shown, lines, loaded.specs, tuple(found))


def _test_problems(content: bytes, path: str) -> list[Problem]:
    """Return what is wrong with a test file: hooks hand over every YAML file that changed."""
    from reconciler.spec.load import load_document
    from reconciler.spec.testfile import WatcherTests

    return load_document(content, path, WatcherTests)[1]


def _clashes(files: Sequence[Checked]) -> Iterator[Problem]:
    from reconciler.spec.load import name_clashes

    return name_clashes((file.path, file.specs) for file in files)
