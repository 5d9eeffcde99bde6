"""What all action plugins have in common, and that the README's own plugin installs and runs."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts.acting import a_context, a_job
from pydantic import TypeAdapter

import reconciler.actions
from reconciler.actions.channels import CHANNELS
from reconciler.protocols import ActionTraits
from reconciler.registry import Plugin, discover
from reconciler.spec.watcher import ActionSpec
from reconciler.transports.local import LocalTransport

README = (Path(reconciler.actions.__file__).parent / "README.md").read_text()
PLUGINS = discover("reconciler.actions", "reconciler.actions.none")


def test_every_action_of_the_description_is_there() -> None:
    assert set(PLUGINS) == {
        "cancel_job", "log_event", "notify", "notify_email", "notify_slack", "pause_watcher", "requeue", "resubmit",
        "run_command", "signal_job", "store_metric",
    }  # fmt: skip


@pytest.mark.parametrize("plugin", PLUGINS.values(), ids=PLUGINS)
def test_a_plugin_is_made_without_settings_and_channels(plugin: Plugin) -> None:
    made = plugin.factory(None if plugin.settings is None else plugin.settings(), {})
    assert isinstance(plugin.traits, ActionTraits)
    assert hasattr(made, "run" if plugin.traits.outside else "effect")
    assert issubclass(plugin.spec, ActionSpec)


@pytest.mark.parametrize("plugin", PLUGINS.values(), ids=PLUGINS)
def test_every_parameter_and_setting_stands_in_the_readme(plugin: Plugin) -> None:
    params = plugin.spec.model_fields["params"].annotation
    settings = plugin.settings.model_fields if plugin.settings else {}
    words = [field.alias or name for name, field in (*params.model_fields.items(), *settings.items())]
    missing = [word for word in (plugin.name, *words) if not re.search(rf"\b{re.escape(word)}\b", README)]
    assert missing == []


@pytest.mark.parametrize("plugin", PLUGINS.values(), ids=PLUGINS)
def test_every_model_gives_a_json_schema(plugin: Plugin) -> None:
    schema = plugin.spec.model_json_schema()
    assert schema["properties"]["type"]["const"] == plugin.name
    if plugin.settings is not None:
        TypeAdapter(plugin.settings).json_schema()


def test_the_channels_give_a_json_schema_without_secrets() -> None:
    assert CHANNELS.json_schema()["$defs"]["SlackChannel"]["properties"]["webhook"]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The README's plugin, installed as a package of its own with the README's entry point."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (toml,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "touch_flag.py").write_text(code)
    info = tmp_path / "touch_flag-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: touch-flag\nVersion: 1\n")
    entry = toml.strip().splitlines()[1].replace('"', "")
    (info / "entry_points.txt").write_text(f"[reconciler.actions]\n{entry}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    sys.modules.pop("touch_flag", None)


async def test_a_plugin_of_somebody_else_is_found_and_runs(
    installed: Path, this_machine: LocalTransport, workdir: Path
) -> None:
    plugin = discover("reconciler.actions", "reconciler.actions")["touch_flag"]
    spec = plugin.spec.model_validate({"type": "touch_flag", "params": {"name": "STOP"}})
    context = a_context(spec.params.model_dump(), transport=this_machine, job=a_job(workdir=str(workdir)))
    assert await plugin.factory(None, {}).run(context) == "touched STOP"
    assert (workdir / "STOP").exists()
