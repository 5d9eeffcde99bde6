"""Which files hold watchers, by name and size, and what their content is known by; the same for every source."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_ACCEPTED = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._ -]*\.ya?ml$")
TESTS = (".test.yaml", ".test.yml")
#: A larger file is read only so far; the loader then says that it is too large.
MAX_FILE_BYTES = 1024 * 1024 + 1


def accepted(name: str) -> bool:
    """Tell whether a file of this name holds watchers."""
    return _ACCEPTED.match(name) is not None and not name.endswith(TESTS)


def as_text(path: Path) -> str:
    """Return a path as text that is UTF-8 whatever its bytes are, as the state and events have it."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def digest_of(content: bytes) -> str:
    """Return the content digest that sources use (hex BLAKE2b-160)."""
    return hashlib.blake2b(content, digest_size=20).hexdigest()
