"""The files of the writable layer (`api.d` beside the state), one watcher each: written whole, deleted on purpose.

What is deleted moves into `.deleted`: that tells the source that it was meant, over a crash too, and keeps a copy.
Blocking; routes of the API and `expiry` call it in a thread.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from reconciler.errors import StateError

#: As `reconciler.sources.directory.DELETED` says.
DELETED = ".deleted"
#: Copies of deleted files that are kept.
MOST_COPIES = 500


class Dropins:
    """The folder of files that the API may write."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()

    def path_for(self, name: str, job_id: str) -> Path:
        """Return the file of a new watcher: told apart by a digest of its name, so that it hides no file of another
        layer."""
        words = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:40] or "watcher"
        mark = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
        return self.directory / f"api-{job_id or 'jobs'}-{words}-{mark}.yaml"

    def owns(self, file: str) -> bool:
        """Tell whether the API may write this file."""
        return Path(file).parent == self.directory

    def read(self, path: Path) -> str:
        """Return the text of a file. Raises StateError."""
        try:
            return path.read_bytes().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise StateError(f"{path} cannot be read: {error}", remedy="look at the file") from error

    def modified(self, path: Path) -> float | None:
        """Return when a file was written last (seconds since the epoch), None where it is gone."""
        try:
            return path.stat().st_mtime
        except OSError:
            return None

    def write(self, path: Path, text: str) -> None:
        """Write atomically: whoever looks sees no file or the old one, or all of the new one. Raises StateError."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(draft, "w", encoding="utf-8", opener=_private) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
            (self.directory / DELETED / path.name).unlink(missing_ok=True)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise StateError(f"{path} cannot be written: {error.strerror}", remedy="make room for it") from error

    def delete(self, path: Path) -> None:
        """Take a file away for good; one that is gone already is no error. Raises StateError."""
        kept = self.directory / DELETED
        try:
            kept.mkdir(mode=0o700, exist_ok=True)
            os.replace(path, kept / path.name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StateError(f"{path} cannot be deleted: {error.strerror}", remedy="look at the folder") from error
        self._thin_out(kept)

    @staticmethod
    def _thin_out(kept: Path) -> None:
        """The source has long seen the oldest of very many copies."""
        copies = sorted(kept.iterdir(), key=lambda copy: copy.stat().st_mtime_ns)
        for copy in copies[:-MOST_COPIES]:
            copy.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
