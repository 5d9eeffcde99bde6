"""Files of watchers that commands read; watchers as YAML that people read, for `export`, `import` and `attach`."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from reconciler.cli.output import note
from reconciler.cli.text import HOSTILE, safe
from reconciler.errors import Problem, SpecError, UsageError


def content_of(path: Path) -> bytes:
    """Return what a file named by a person holds, as far as the loader reads, which says that it is too large.

    Raises SpecError. `-` is standard input.
    """
    from reconciler.sources.files import MAX_FILE_BYTES  # saves start-up time: `export` reads no file

    try:
        with click.open_file(str(path), "rb") as file:
            return bytes(file.read(MAX_FILE_BYTES))
    except OSError as error:
        why = f"the file cannot be read: {error.strerror or error}"
        raise SpecError([Problem(str(path), 0, 0, "unreadable", why, "make it readable for this account")]) from error


def as_yaml(spec: Mapping[str, Any], comments: Sequence[str] = ()) -> str:
    """Return one watcher as a YAML document, `comments` above it; the name stands first, the actions last."""
    from ruamel.yaml import YAML  # saves start-up time: few commands write YAML
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        if not isinstance(value, str):
            return value
        if "\n" in value and not HOSTILE.search(value.replace("\n", "")) and value.strip() == value.rstrip("\n"):
            return LiteralScalarString(value)
        return DoubleQuotedScalarString(value) if _ambiguous(value) else value

    writer = YAML()
    writer.width = 4096
    writer.allow_unicode = not HOSTILE.search(str(spec).replace("\n", ""))
    writer.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    order = ["name", "description", "jobs", *spec, "actions"]
    keys = [key for key in dict.fromkeys(order[:-1]) if key in spec and key != "actions"] + ["actions"]
    writer.dump({key: plain(spec[key]) for key in keys if key in spec}, out)
    return "".join(f"# {safe(line)}\n" for line in comments) + out.getvalue()


def _ambiguous(text: str) -> bool:
    """Tell whether a text looks like a number, a date or a truth value to some YAML reader: ids such as 124_7 do."""
    from reconciler.spec.scalars import resolve

    return (
        not isinstance(resolve(text), str)
        or re.fullmatch(r"[-+.0-9_:eExXa-fA-F]+|y|n|yes|no|on|off", text, re.I) is not None
    )


def write_out(documents: Iterable[tuple[str, str]], out: Path | None) -> None:
    """Write documents, each with the name of its watcher: to standard output, or one file each into `out`.

    A file that exists is never overwritten. Raises UsageError.
    """
    if out is None:
        click.echo("---\n".join(safe(text, keep="\n") for _, text in documents), nl=False)
        return
    for name, text in documents:
        path = out / file_name(name)
        number = 1
        while path.exists():
            number += 1
            path = out / file_name(f"{name}-{number}")
        try:
            write_atomically(path, text)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}", remedy="name another directory") from error
        note(safe(f"{path} written"))


def file_name(name: str) -> str:
    """Return the name of a file for a watcher, one that a directory source accepts."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('.-_')[:80] or 'watcher'}.yaml"


def write_atomically(path: Path, text: str) -> None:
    """Write a file: whoever looks sees none, or all of it. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
