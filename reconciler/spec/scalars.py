"""What plain scalars of YAML mean: `yaml` asks for every value that stands without quotes."""

from __future__ import annotations

import re
from typing import Any

_INT = re.compile(r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def resolve(text: str) -> Any:
    """Return what a plain scalar means: YAML 1.2's core schema as ruamel reads it (`1_000` is a number), without dates.

    Dates stay text, which the models read. So do `.inf` and `.nan`, which no field accepts, and integers over 64 bits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INT.fullmatch(text):
        number = _integer(text)
        return number if -(2**63) <= number < 2**63 else text
    if _FLOAT.fullmatch(text):
        real = float(text.replace("_", ""))
        return real if abs(real) < float("inf") else text
    return text


def _integer(text: str) -> int:
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    digits = digits.replace("_", "")
    if len(digits) > 70:
        return 2**64
    if digits[:2] in ("0b", "0o", "0x"):
        return sign * int(digits[2:] or "0", {"b": 2, "o": 8, "x": 16}[digits[1]])
    return sign * int(digits)
