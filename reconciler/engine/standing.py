"""Is a definition still there, though this pass does not read its source? The controller asks where names meet."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from reconciler.model import Origin


def stands(elsewhere: Callable[[], Collection[str]], old: Origin, new: Origin) -> bool:
    """Tell whether `old` may still define what `new` does; `elsewhere`: the sources that other passes read, by name.

    A file is gone once it does not exist, so that what moved for good goes on elsewhere; one file behind two paths is
    one definition. A source of another kind stands while the settings name it: a repository that moved does not.
    """
    if not os.path.isabs(old.file):
        return old.source in elsewhere()
    try:
        there = os.stat(old.file)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    try:
        return not os.path.samestat(there, os.stat(new.file))
    except OSError:
        return True
