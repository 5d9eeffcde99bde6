"""What a watcher can be made of: the action types that are installed, the names their texts may use, the presets."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reconciler.api.authoring_shapes import ActionTypeShape, NamedShape, PresetShape, Vocabulary
from reconciler.api.callers import Caller
from reconciler.api.composing import KIND
from reconciler.api.desk import Desk
from reconciler.logic.substitution import BUILTINS
from reconciler.registry import Plugin
from reconciler.spec.presets import PRESETS

#: What the built-in action types are about; other people's are "Other".
_CATEGORIES = {
    "Record": ("log_event", "store_metric"),
    "Notify": ("notify", "notify_email", "notify_slack"),
    "Job": ("cancel_job", "requeue", "resubmit", "signal_job"),
    "Program": ("run_command",),
    "Watcher": ("pause_watcher",),
}
_VARIABLES = {
    "0": "the whole match",
    "JOB_ID": "id of the job",
    "JOB_NAME": "name of the job",
    "HOSTNAME": "host of the job",
    "WATCHER": "name of the watcher",
    "JOB_STATE": "state of the job: running, failed, ...",
    "TRIGGER": "what triggered: match, timer, silence, job_end, ...",
}
assert _VARIABLES.keys() - {"0"} == BUILTINS  # noqa: S101 - so that a new name is told here, too


def vocabulary(desk: Desk, caller: Caller) -> Vocabulary:
    """Return it, with what this caller may use."""
    allowed = desk.parts.settings.policy.actions.get(KIND)
    own = caller.key.actions if caller.key else ()
    limits = {"the settings do not allow it for watchers of the API": allowed, "this key does not allow it": own}
    types = [_type(plugin, limits) for plugin in desk.tools.actions().values()]
    order = [*_CATEGORIES, "Other"]
    return Vocabulary(
        actions=sorted(types, key=lambda each: (order.index(each.category), each.type)),
        variables=[NamedShape(name=name, description=text) for name, text in _VARIABLES.items()],
        presets=[PresetShape(name=n, description=p.about, groups=list(p.groups)) for n, p in PRESETS.items()],
        max_new_bindings=desk.parts.settings.policy.max_new_bindings,
    )


def _type(plugin: Plugin, limits: Mapping[str, Collection[str] | None]) -> ActionTypeShape:
    why = next((text for text, limit in limits.items() if limit is not None and plugin.name not in limit), "")
    params = plugin.spec.model_fields["params"].annotation
    schema = params.model_json_schema(by_alias=True) if hasattr(params, "model_json_schema") else {}
    return ActionTypeShape(
        type=plugin.name,
        description=(plugin.spec.__doc__ or "").strip().partition("\n")[0],
        category=next((name for name, types in _CATEGORIES.items() if plugin.name in types), "Other"),
        outside=bool(getattr(plugin.traits, "outside", True)),
        allowed=not why,
        why=why,
        params=schema,
    )
