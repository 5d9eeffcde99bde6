"""The bytes of a file as text, and what is wrong with text as YAML sees it: encoding, characters, tabs, syntax.

`yaml` calls it before and after parsing. Only UTF-8 is read (a BOM is taken out), and no character that YAML forbids.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from reconciler.spec.faults import cut

MAX_BYTES = 1024 * 1024

#: What YAML 1.2 forbids in a text (its production 1), DEL, and what ends a line for the parser, as in YAML 1.1, and for
#: no editor: what looks like the end of a comment could be a key.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with the text itself, at a line and a column that start at 1 (0: the whole file)."""

    line: int
    column: int
    code: str
    message: str
    remedy: str
    value: str = ""


def read_text(content: bytes) -> str | Flaw:
    """Return the text of a file, or what keeps it from being read."""
    text = _decode(content)
    if isinstance(text, Flaw):
        return text
    control = _CONTROL.search(text)
    return text if control is None else _control_flaw(text, control.start())


def _decode(content: bytes) -> str | Flaw:
    if len(content) > MAX_BYTES:
        return Flaw(
            0,
            0,
            "file-too-large",
            f"the file has more than {MAX_BYTES:,} bytes",
            "split the file",
            "",
        )
    if _wide(content):
        return Flaw(1, 1, "not-utf8", "the file is written in UTF-16 or UTF-32", "save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _encoding_flaw(content.removeprefix(b"\xef\xbb\xbf"), error)


def _wide(content: bytes) -> bool:
    """Tell UTF-16 and UTF-32 from UTF-8 by their byte order mark, or by NULs in every second of the first bytes."""
    first = content[:4]
    nuls = b"\x00\x00" in (first[0::2], first[1::2]) and first != b"\x00" * 4
    return nuls or content.startswith((b"\xff\xfe", b"\xfe\xff"))


def _encoding_flaw(content: bytes, error: UnicodeDecodeError) -> Flaw:
    before = content[: error.start]
    start = before.rfind(b"\n") + 1
    column = len(before[start:].decode("utf-8", "replace")) + 1
    byte = content[error.start]
    guess = content[error.start : error.start + 1].decode("latin-1")
    return Flaw(
        before.count(b"\n") + 1,
        column,
        "not-utf8",
        f"the byte 0x{byte:02x} is not UTF-8 (in Latin-1 it would be {guess!r})",
        "save the file as UTF-8",
        f"0x{byte:02x}",
    )


def _control_flaw(text: str, index: int) -> Flaw:
    line, column = text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
    if text[index] == "\x00":
        remedy = "write the file again; NUL bytes are often what a crash or a full disk leaves behind"
    else:
        code = ord(text[index])
        escape = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
        remedy = f'delete it, or write it as an escape in double quotes ("{escape}")'
    return Flaw(
        line,
        column,
        "control-character",
        f"the character U+{ord(text[index]):04X} is not allowed here",
        remedy,
        repr(text[index]),
    )


def syntax_flaw(text: str, error: Any) -> Flaw:
    """Return the parser's error (a YAMLError of ruamel) as a Flaw."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    lines = text.split("\n")
    row = min(mark.line, len(lines) - 1) if mark is not None else 0
    column = mark.column if mark is not None else 0
    line = lines[row]
    what = getattr(error, "problem", None) or "cannot be read as YAML"
    code, remedy = _syntax_remedy(line, column)
    if code == "tab":
        what = "a tab stands where YAML wants spaces"
    return Flaw(row + 1, column + 1, code, cut(str(what), 200), remedy, cut(line.strip()))


def _syntax_remedy(line: str, column: int) -> tuple[str, str]:
    """Decide by what stands at the place of the error, not by the parser's words."""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent or line[column : column + 1] == "\t":
        return "tab", "indent with spaces; set your editor to expand tabs"
    if "\\" in line[max(column - 1, 0) : column + 2]:
        return "escape", r"""write the text in single quotes ('\d+'), or double every backslash ("\\d+")"""
    if any(character in "@`%|>*&!" for character in line[max(column - 1, 0) : column + 1]):
        return "syntax", "put the value in quotes: YAML gives this character a meaning of its own"
    return (
        "syntax",
        "check indentation, quotes and brackets here and in the line above; put a value with `: ` or ` #` in quotes",
    )
