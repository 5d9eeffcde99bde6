"""Which actions run in the transaction of their tick: state-only ones that come first and that no other asks about."""

from __future__ import annotations

import pytest

from reconciler import app
from reconciler.logic.compiled import compile_spec
from reconciler.settings import Settings

LOG, METRIC, CANCEL = (
    {"type": "log_event", "params": {"message": "x"}},
    {"type": "store_metric", "params": {"name": "loss", "value": "1"}},
    {"type": "cancel_job"},
)


def leading(*actions: dict[str, object]) -> list[bool]:
    spec = app.watcher_model().model_validate({"name": "w", "pattern": "x", "actions": list(actions)})
    kinds, _ = app.make_actions(Settings())
    return [action.leading for action in compile_spec(spec, "digest", kinds).actions]


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ([LOG, METRIC, CANCEL], [True, True, False]),
        ([LOG, CANCEL, METRIC], [True, False, False]),
        ([LOG, METRIC, CANCEL | {"needs": [1]}], [True, False, False]),
        ([LOG, CANCEL | {"needs": [0]}], [False, False]),
        ([LOG, METRIC | {"on_failure": [0]}], [False, False]),
    ],
)
def test_what_another_action_asks_about_stands_in_the_ledger(
    actions: list[dict[str, object]], expected: list[bool]
) -> None:
    assert leading(*actions) == expected
