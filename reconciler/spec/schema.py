"""JSON Schemas of what people write, for editors and CI; `reconcile schema` prints them, `schemas/` holds them.

A file of watchers is a mapping or a list of them. Plugins' own sections of the settings are filled in by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel, Field, create_model

from reconciler.settings import Section, Settings
from reconciler.spec.rules import TRIGGERS
from reconciler.spec.watcher import WatcherSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def watcher_schema(model: type[WatcherSpec]) -> dict[str, Any]:
    """Return the schema of a file of watchers: one mapping, or a list."""
    body = model.model_json_schema(by_alias=True)
    definitions = body.pop("$defs", {})
    definitions["WatcherSpec"] = {**body, "anyOf": [_given(name) for name in TRIGGERS]}
    watcher = {"$ref": "#/$defs/WatcherSpec"}
    return {
        "$schema": DIALECT,
        "title": "Watchers",
        "description": "One watcher, or a list of them; several documents in one file are divided by ---",
        "if": {"type": "array"},
        "then": {"type": "array", "items": watcher, "minItems": 1},
        "else": watcher,
        "$defs": definitions,
    }


def _given(trigger: str) -> dict[str, Any]:
    """Return the schema that asks for one way to trigger."""
    needed: dict[str, Any] = {"required": [trigger]}
    return needed if trigger != "trigger_on_job_end" else {**needed, "properties": {trigger: {"const": True}}}


def settings_schema(actions: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """Return the schema of the settings file; `actions` are the settings of action types, by type."""
    fields: Any = {name: (model, Field(default_factory=dict)) for name, model in sorted(actions.items())}
    section = create_model("ActionsSettings", __base__=Section, __doc__="Settings of action types, by type.", **fields)
    model = create_model(
        "Settings",
        __base__=Settings,
        __doc__=Settings.__doc__,
        actions=(section, Field(default_factory=dict, description=Settings.model_fields["actions"].description)),
    )
    return {"$schema": DIALECT, **model.model_json_schema(by_alias=True)}


def as_text(schema: Mapping[str, Any]) -> str:
    """Return a schema as it stands in files: sorted, so that a change is a small difference."""
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"
