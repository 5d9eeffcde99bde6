"""The files of the writable layer (`api.d` beside the state), one watcher each: written whole, deleted on purpose.

People write here too: a new file takes no name that is in use, and a change is undone only where it still stands.
What is deleted moves into `.deleted`: that tells the source that it was meant, over a crash too, and keeps a copy.
Blocking; routes of the API and `expiry` call it in a thread, `attach` as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from reconciler.errors import StateError

#: As `reconciler.sources.directory.DELETED` says.
DELETED = ".deleted"
#: Copies of deleted files that are kept, and for how long (seconds) more of them are: until the source saw them go.
MOST_COPIES, SEEN = 500, 3600.0


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

    def free(self, wanted: Path) -> Path:
        """Return the path, with a number at its end where something stands there already."""
        return next(path for path in _numbered(wanted) if not os.path.lexists(path))

    def create(self, wanted: Path, text: str) -> Path:
        """Write a new file and return its path: `wanted`, with a number at its end where that is taken. Raises
        StateError."""
        while not self._placed(path := self.free(wanted), text, _linked):
            pass  # somebody took it in between
        return path

    def write(self, path: Path, text: str) -> None:
        """Write atomically: whoever looks sees no file or the old one, or all of the new one. Raises StateError."""
        self._placed(path, text, os.replace)

    def exchange(self, path: Path, old: str | None, new: str | None) -> bool:
        """Put `new` in the place of `old` (None: no file), or do nothing where something else stands there; tell
        which. Raises StateError."""
        if old is None:
            return new is None or self._placed(path, new, os.link)
        try:
            same = self.read(path) == old
        except StateError:
            same = False
        if same and new is None:
            self.delete(path)
        elif same and new is not None:
            self.write(path, new)
        return same

    def _placed(self, path: Path, text: str, place: Callable[[Path, Path], None]) -> bool:
        """Write beside, then `place` it; False where that takes no name that is in use, and it is."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(draft, "w", encoding="utf-8", opener=_private) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            place(draft, path)
            (self.directory / DELETED / path.name).unlink(missing_ok=True)
        except FileExistsError:
            if os.path.isdir(self.directory):
                return False
            raise StateError(f"{self.directory} is no directory", remedy="move away what stands there") from None
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror}", remedy="make room for it") from error
        finally:
            with suppress(OSError):
                draft.unlink()
        return True

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

    def thin_out(self) -> None:
        """Let the oldest of very many copies go. By when they came here: files of any age are deleted."""
        with suppress(FileNotFoundError):  # no folder; or a copy went whose file was written again
            copies = sorted((copy.stat().st_ctime, copy) for copy in (self.directory / DELETED).iterdir())
            for at, copy in copies[:-MOST_COPIES]:
                if at < time.time() - SEEN:
                    copy.unlink(missing_ok=True)


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    yield from (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))


def _linked(draft: Path, path: Path) -> None:
    """Give the draft its name where nothing has it. Raises FileExistsError."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: the name is taken first
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        os.replace(draft, path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
