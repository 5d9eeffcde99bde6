"""The rotated files beside an events file: FILE.1 is the newest. Used by `jsonl`.

A rotation is a row of renames; each leaves every line in exactly one file, wherever a crash comes between them.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path

from reconciler.sinks._recovery import last_seq, whole_bytes


class Rotation:
    """Keeps `backups` rotated files of `path`. Methods raise OSError."""

    def __init__(self, path: Path, backups: int) -> None:
        self._path = path
        self._backups = backups

    def last_seq(self, source: str) -> int:
        """Return the seq of the newest event of `source` in the rotated files, 0 where they have none."""
        for number in self._numbers():
            with self._file(number).open("rb") as old:
                seq = last_seq(old.fileno(), whole_bytes(old.fileno()), source)
            if seq is not None:
                return seq
        return 0

    def rotate(self) -> None:
        """Move the file to .1, that to .2 and so on up to the first gap; an interrupted rotation leaves one."""
        present = self._numbers()
        gap = next(number for number in count(1) if number not in present or number == self._backups)
        for number in range(gap, 1, -1):
            self._file(number - 1).replace(self._file(number))
        self._path.replace(self._file(1))
        for number in present:
            if number > self._backups:
                self._file(number).unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _numbers(self) -> list[int]:
        prefix = f"{self._path.name}."
        suffixes = [each.name[len(prefix) :] for each in self._path.parent.iterdir() if each.name.startswith(prefix)]
        return sorted(int(suffix) for suffix in suffixes if suffix.isascii() and suffix.isdigit())
