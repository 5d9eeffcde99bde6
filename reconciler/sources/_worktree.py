"""What git tells about a plain directory that lies in a work tree: is it in motion, and what did its branch delete.

The directory source asks; without git, or outside a work tree, there is nothing to tell. Never writes to a repository.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from reconciler.errors import InMotionError

#: Set by git for its hooks; they would turn a question about one repository into one about another.
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_QUARANTINE_PATH", "GIT_NAMESPACE", "GIT_SHALLOW_FILE")  # fmt: skip


def git_environment() -> Mapping[str, str]:
    """Return the environment for git: ours, without what a hook's git says about its own repository, never asking."""
    own = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return {**own, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


class WorkTree:
    """The work tree around one directory, where there is one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._head = ""
        self._gone: frozenset[str] = frozenset()
        self._emptied = False

    def refuse_motion(self) -> None:
        """Raise InMotionError while a git operation is under way: it shows as `index.lock` beside the index."""
        place = self._git_dir()
        if place is not None and (place / "index.lock").exists():
            raise InMotionError(f"{self._directory}: a git operation is under way ({place / 'index.lock'})")

    def deleted(self) -> frozenset[str]:
        """Return the names of files that the checked-out branch deleted from the directory and does not have."""
        if self._git_dir() is None:
            return frozenset()
        here = next(each for each in (self._directory, *self._directory.parents) if each.is_dir())
        inside = f"{self._directory.relative_to(here)}/"  # "./", but where the directory is gone
        head = _git(here, "rev-parse", "HEAD")
        if head and head != self._head:
            # without renames: a file that was renamed is gone from its old name, and that was meant
            words = ("--max-count=500", "--diff-filter=D", "--no-renames", "--name-only", "--relative", "--format=")
            gone = _git(here, "--literal-pathspecs", "log", *words, "-z", head, "--", inside)
            kept = _git(here, "ls-tree", "-z", "--name-only", head, inside)
            if gone is None or kept is None:
                return frozenset()
            self._gone = _names(gone, inside) - _names(kept, inside)
            self._emptied = bool(self._gone) and not kept
            self._head = head
        return self._gone if head else frozenset()

    def removed(self) -> bool:
        """Tell whether the checked-out branch deleted all that was in the directory: git removes that folder, too."""
        return bool(self.deleted()) and self._emptied

    def _git_dir(self) -> Path | None:
        """Return where the index is; `.git` is a file in linked work trees and submodules (gitrepository-layout(5))."""
        for each in (self._directory, *self._directory.parents):
            found = each / ".git"
            if found.is_dir():
                return found
            if found.is_file():
                word, _, place = found.read_text(errors="surrogateescape").partition(":")
                return each / place.strip() if word == "gitdir" else None
        return None


def _names(listed: str, inside: str) -> frozenset[str]:
    names = (name.removeprefix(inside) for name in listed.split("\0"))
    return frozenset(name for name in names if name and "/" not in name)


def _git(directory: Path, *arguments: str) -> str | None:
    """Return what git says of a work tree, None where it says nothing (no commit yet, not our repository, no git)."""
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments],  # noqa: S607 - git is wherever PATH has it
            env=git_environment(),
            capture_output=True,
            timeout=20,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="surrogateescape").strip("\n") if done.returncode == 0 else None
