"""Tells whether a path lies on a network file system. Called by `database`; what cannot be told counts as local."""

from __future__ import annotations

import re
from pathlib import Path

#: As /proc/mounts names them. FUSE may be anything, mostly sshfs or an object store; 9p and virtiofs share a host's
#: files.
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|lustre|gpfs|beegfs|ceph|afs|9p|virtiofs|glusterfs|orangefs|panfs|wekafs|fuse(\..*)?"
)
_OCTAL = re.compile(r"\\([0-7]{3})")


def on_network(path: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Tell whether the file system that holds `path` is one of a network; `mounts`: format of proc(5)."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return False
    place = path.resolve()
    covering = [(_mount_point(line), line.split()[2]) for line in lines if place.is_relative_to(_mount_point(line))]
    # Of two mounts on one point the later one hides the earlier: `max` keeps the first of equals.
    _, kind = max(reversed(covering), key=lambda each: len(each[0].parts), default=(place, ""))
    return _NETWORK.fullmatch(kind) is not None


def _mount_point(line: str) -> Path:
    return Path(_OCTAL.sub(lambda octal: chr(int(octal[1], 8)), line.split()[1]))
