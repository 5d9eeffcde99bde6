"""The text of a template: a watcher's file whose first comments may say category and tags. Pure.

    # category: training
    # tags: loss, metric

They are comments, so a template is a watcher's file like any other: it can be copied into a directory as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SAID = re.compile(r"^#\s*(category|tags)\s*:\s*(.*?)\s*$", re.IGNORECASE)
#: Tells editors where a schema lies, seen from the template's own folder.
_MODELINE = re.compile(r"^#\s*yaml-language-server:")
MOST_TAGS, MOST_CHARACTERS, MOST_PROSE = 10, 40, 500


@dataclass(frozen=True, slots=True)
class Labelled:
    """A template's text, taken apart. `body` is the rest, comments and all; `prose` what its first comments say."""

    category: str
    tags: tuple[str, ...]
    body: str
    prose: str


def take_apart(text: str) -> Labelled:
    """Return category, tags and the watcher's own text."""
    category = ""
    tags: tuple[str, ...] = ()
    kept: list[str] = []
    lines = text.splitlines(keepends=True)
    head = next((at for at, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    for line in lines[:head]:
        said = _SAID.match(line.rstrip("\r\n"))
        if said is None:
            kept += [] if _MODELINE.match(line) else [line]
        elif said[1].lower() == "category":
            category = said[2][:MOST_CHARACTERS]
        else:
            words = (word.strip()[:MOST_CHARACTERS] for word in said[2].split(","))
            tags = tuple(dict.fromkeys(word for word in words if word))[:MOST_TAGS]
    prose = " ".join(line.lstrip("#").strip() for line in kept).strip()
    return Labelled(category, tags, "".join([*kept, *lines[head:]]).lstrip("\r\n"), prose[:MOST_PROSE])


def put_together(category: str, tags: Sequence[str], body: str) -> str:
    """Return a template's text; what `body` says of category and tags gives way."""
    said = [f"# category: {category}\n"] if category else []
    said += [f"# tags: {', '.join(tags)}\n"] if tags else []
    return "".join([*said, take_apart(body).body])
