"""What a test does where a real part is not installed: it names the package and skips; with CI=true it fails."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def missing(part: str, package: str = "") -> NoReturn:
    """Skip the test (fail it where CI is set): `part`, of the Debian `package` (default: the same name), is missing."""
    reason = f"{part} is not here: apt-get install {package or part}, or run tests/run as root, which does it"
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"{reason} (with CI set a missing part is a failure)", pytrace=False)
    pytest.skip(reason)


def program(name: str, package: str = "") -> str:
    """Return the path of a program, also from the sbin directories; `missing` where there is none."""
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/sbin"])
    return shutil.which(name, path=search) or missing(name, package)
