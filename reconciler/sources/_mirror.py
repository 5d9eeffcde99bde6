"""The bare copy of a repository that is reached by a URL: fetched, and made anew where git finds it damaged.

The git source asks. Several sources and several processes may share one: what replaces it does so at one stroke.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from reconciler.errors import UnavailableError
from reconciler.sources.commits import TIMEOUT, damage, git


class Mirror:
    """The copy of `url` at `path`. An outage that has been found to be one is not looked into again."""

    def __init__(self, path: Path, url: str) -> None:
        self._path, self._url = path, url
        self._outage = ""

    async def fetch(self, branch: str, *, unreadable: bool) -> str:
        """Bring a branch up to date; return why the mirror had to be made anew ("": it had not).

        `unreadable`: what it holds could not be read. A damaged mirror stays until the server has given a new one.
        Raises UnavailableError.
        """
        failed = None
        try:
            await _fetch(self._path, self._url, branch)
        except UnavailableError as error:
            failed = error
        except OSError as error:
            failed = UnavailableError(f"{self._path} cannot be written: {error.strerror}")
        if not unreadable:
            if failed is None:
                return ""
            if failed.message == self._outage:
                raise failed
        why = (await damage(self._path) or self._closed()) if self._there() else ""
        self._outage = failed.message if failed is not None and not why else ""
        if why:
            await self._make_anew(branch, why)
        elif failed is not None:
            raise failed
        return why and f"the mirror {self._path} was damaged ({why}) and was made anew"

    def _there(self) -> bool:
        return os.path.lexists(self._path)

    def _closed(self) -> str:
        shut = (place for place, _, _ in os.walk(self._path) if not os.access(place, os.R_OK | os.W_OK | os.X_OK))
        return next((f"{place} cannot be written" for place in shut), "")

    async def _make_anew(self, branch: str, why: str) -> None:
        damaged = f"the mirror {self._path} is damaged ({why}), and cannot be made anew"
        try:
            with tempfile.TemporaryDirectory(
                prefix=f"{self._path.name}.", dir=self._path.parent, ignore_cleanup_errors=True
            ) as room:
                new = Path(room) / "new"
                await _fetch(new, self._url, branch)
                self._replace(new, Path(room) / "damaged")
        except UnavailableError as error:
            raise UnavailableError(f"{damaged}: {error.message}", remedy=error.remedy) from error
        except OSError as error:
            raise UnavailableError(f"{damaged}: {error.strerror}", remedy=f"delete {self._path}") from error

    def _replace(self, new: Path, damaged: Path) -> None:
        if not self._path.is_symlink():
            self._path.chmod(0o700)  # without it a directory that cannot be written cannot be moved
        self._path.rename(damaged)
        new.rename(self._path)


async def _fetch(mirror: Path, url: str, branch: str) -> None:
    words = ("fetch", "--quiet", "--no-tags", "--depth=1", "--force", "--no-write-fetch-head", "--")
    if _is_new(mirror):
        await git(mirror, ("init", "--bare", "--quiet", str(mirror)))
    _drop_old_locks(mirror)
    await git(mirror, (*words, url, f"refs/heads/{branch}:refs/heads/{branch}"))


def _is_new(mirror: Path) -> bool:
    """Tell whether a repository is still to be made there; then the directory is."""
    if (mirror / "HEAD").exists():
        return False
    mirror.mkdir(parents=True, exist_ok=True, mode=0o700)
    return True


def _drop_old_locks(mirror: Path) -> None:
    """Delete the lock files of a git that was killed: none of ours lives that long, and nobody else writes here."""
    before = time.time() - 2 * TIMEOUT
    for lock in (*mirror.glob("*.lock"), *mirror.glob("refs/**/*.lock")):
        with suppress(FileNotFoundError):  # another reconciler was faster
            if lock.stat().st_mtime < before:
                lock.unlink()
