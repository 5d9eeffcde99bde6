"""Is a definition still there, though this pass does not read its source? The controller asks where names meet."""

from __future__ import annotations

import os

from reconciler.model import Origin
from reconciler.settings import Settings


def stands(settings: Settings, old: Origin, new: Origin) -> bool:
    """Tell whether `old` may still define what `new` does.

    A file is gone once it does not exist, so that what moved for good goes on elsewhere; one file behind two paths is
    one definition. Sources of other kinds stand while the settings name one of that kind.
    """
    if not os.path.isabs(old.file):
        return old.source.partition(":")[0] in {str(raw.get("type")) for raw in settings.sources}
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
