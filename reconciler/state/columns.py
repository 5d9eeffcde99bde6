"""How values stand in columns: times as ISO text that sorts, JSON, file identities, text that is always valid.

The tables declare their columns with these types; nobody else converts. Refuses nothing: what Python holds can be
stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import BigInteger, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


@lru_cache(maxsize=64)
def _second(whole: int) -> str:
    """Return the ISO form of a whole second, without zone; events of one moment share it."""
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def to_iso(at: float) -> str:
    """Return seconds since the epoch (0 <= at < year 10000) as `2026-01-02T03:04:05.678901+00:00`.

    As many decimals as the float needs to come back the same, six at least. The texts sort as the times do, since `+`
    sorts before `.` and the digits.
    """
    whole, _, decimals = format(Decimal(repr(float(at))), "f").partition(".")
    return f"{_second(int(whole))}.{decimals.ljust(6, '0')}+00:00"


def from_iso(text: str) -> float:
    """Return the seconds since the epoch that `to_iso` was given; other ISO texts in UTC are read as well."""
    stamp, _, decimals = text.removesuffix("Z").removesuffix("+00:00").partition(".")
    whole = int(datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp())
    return float(f"{whole}.{decimals or '0'}")


def _plain(value: object) -> object:
    """Return what JSON has for a read-only mapping, a set, a path."""
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, (set, frozenset)) else str(value)


def to_json(value: object) -> str:
    """Return compact JSON; bytes of a path that are not UTF-8 (surrogates) become `\\udcXX`, which orjson refuses."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return json.dumps(value, default=_plain, separators=(",", ":"))


def from_json(text: str) -> Any:
    """Return the value of `to_json`."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


class Moment(TypeDecorator[float]):
    """Seconds since the epoch, ISO text in the database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> str | None:  # noqa: D102
        return None if value is None else to_iso(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> float | None:  # noqa: D102
        return None if value is None else from_iso(value)


class Json(TypeDecorator[Any]):
    """Any JSON value as text. A change is a new value: nothing that was read from it is changed in place."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: D102
        return None if value is None else to_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: D102
        return None if value is None else from_json(value)


class Words(TypeDecorator[str]):
    """Free text.

    Surrogates (bytes of a file name that are not UTF-8) are written as `\\udcXX`, since SQLite takes UTF-8 only.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: D102
        if value is None or value.isascii():
            return value
        return value.encode("utf-8", "backslashreplace").decode()


class FileNumber(TypeDecorator[int]):
    """A device or inode number, 64 bits without sign; SQLite's have one: the upper half is stored negative."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: D102
        return value - (1 << 64) if value is not None and value >= 1 << 63 else value

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:  # noqa: D102
        return None if value is None else int(value) % (1 << 64)


#: One of each for all columns: what SQLAlchemy prepares for a type it prepares for each instance anew.
MOMENT: Any = Moment()
JSON: Any = Json()
WORDS: Any = Words()
FILE_NUMBER: Any = FileNumber()
