"""The command `reconcile`, one file per subcommand; see README.md in this folder.

`main` is the entry point of the installed program. It answers `--version` before anything is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from reconciler import __version__


def main(words: Sequence[str] | None = None) -> int:
    """Run `reconcile` with these words (default: those of the command line) and return its exit status."""
    words = tuple(sys.argv[1:] if words is None else words)
    if words in (("--version",), ("-V",)):
        print(f"reconcile {__version__}")
        return 0
    from reconciler.cli.exits import run  # imports click: start-up time that --version does not pay

    return run(words)
