"""The field reference as Markdown, made from the JSON Schema of a watcher, so that it cannot be out of date.

`reconcile schema reference` prints it; `schemas/reference.md` holds it. It words types as people write them in YAML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from reconciler.spec.watcher import WatcherSpec

Schema = Mapping[str, Any]

_PARTS = (
    ("JobSelector", "jobs", "Which jobs. All given fields must hold; within a list, one must."),
    ("AnyPatterns", "patterns: {any: ...}", "Each of these patterns triggers by itself."),
    (
        "AllPatterns",
        "patterns: {all: ...}",
        "Triggers when every one of these has been seen. Named captures of all of them are there; `$0` and numbered "
        "ones are those of the match that completes the set.",
    ),
    ("Suspend", "suspend", "`true`, or a mapping of:"),
)
_WORDS = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "null": "nothing",
}


def reference(model: type[WatcherSpec]) -> str:
    """Return the reference of every field of `model`, a section for each part and for each action type."""
    schema = model.model_json_schema(by_alias=True)
    parts = schema["$defs"]
    lines = [
        "# Every field of a watcher",
        "",
        "Made by `reconcile schema reference`; durations are seconds, or `30s`, `5m`, `1h30m`, `2d`.",
        "",
    ]
    lines += _section("Watcher", schema["description"], schema, parts)
    for name, title, about in _PARTS:
        lines += _section(f"`{title}`", about, parts[name], parts)
    actions = {_word(part): part for part in parts.values() if _word(part)}
    common = {
        key: value for key, value in next(iter(actions.values()))["properties"].items() if key not in ("type", "params")
    }
    lines += _section("Every action", "Beside `type` and `params`.", {"properties": common}, parts)
    for word, part in sorted(actions.items()):
        params = _resolved(part["properties"]["params"], parts)
        about = f"{part['description']} {params.get('description', '')}".strip()
        lines += _section(f"`type: {word}`", f"{about} Its `params`:", params, parts)
    return "\n".join(lines).rstrip() + "\n"


def _word(part: Schema) -> str:
    """Return the word that users write as `type:`, empty for what is no action."""
    return str(part.get("properties", {}).get("type", {}).get("const", ""))


def _section(title: str, about: str, part: Schema, parts: Schema) -> Iterator[str]:
    yield from (f"## {title}", "", " ".join(about.split()), "")
    fields = part.get("properties", {})
    if not fields:
        return
    yield "| field | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in fields.items():
        default = "needed" if name in part.get("required", ()) else _default(field, parts)
        about = " ".join(field.get("description", "").split())
        yield f"| `{name}` | {_escaped(_kind(field, parts))} | {_escaped(default)} | {_escaped(about)} |"
    yield ""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _default(field: Schema, parts: Schema) -> str:
    value = field.get("default")
    if value in (None, [], {}, ""):
        return ""
    if isinstance(value, dict):
        return ""
    return f"`{orjson.dumps(value).decode()}`" if not isinstance(value, str) else f"`{value}`"


def _resolved(field: Schema, parts: Schema) -> Schema:
    while "$ref" in field:
        field = parts[field["$ref"].rpartition("/")[2]]
    return field


def _kind(field: Schema, parts: Schema) -> str:
    """Return what may stand there, in words."""
    field = _resolved(field, parts)
    for choice in ("anyOf", "oneOf"):
        if choice in field:
            kinds = [_kind(member, parts) for member in field[choice]]
            return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "nothing"))
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    kind = field.get("type", "")
    if kind == "array":
        return f"list of {_kind(field.get('items', {}), parts)}{_bounds(field, 'minItems', 'maxItems', ' items')}"
    if kind == "object":
        return "mapping"
    bounds = _bounds(field, "minimum", "maximum") + _bounds(field, "minLength", "maxLength", " characters")
    return f"{_WORDS.get(kind, 'anything')}{bounds}"


def _bounds(field: Schema, low: str, high: str, unit: str = "") -> str:
    lowest, highest = field.get(low), field.get(high)
    if lowest is None and highest is None:
        return ""
    if highest is None:
        return f", {_number(lowest)}{unit} or more" if lowest else ""
    return f", {_number(lowest or 0)} to {_number(highest)}{unit}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else str(value)
