"""The documentation is complete and true: what there is stands in it, what it names exists, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel

from reconciler.cli.commands import present
from reconciler.errors import EXIT_PRECEDENCE, ExitCode
from reconciler.events import EventType
from reconciler.registry import Plugin, discover
from reconciler.settings import HostSettings, Settings
from reconciler.spec.watcher import JobSelector, WatcherSpec

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
ROOMS = ("actions", "schedulers", "transports", "sources", "sinks")


@cache
def reference() -> str:
    """Return the README and every page that can be reached from it by links."""
    seen: dict[Path, str] = {}
    queue = [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page in seen or not page.is_file():
            continue
        seen[page] = page.read_text(encoding="utf-8")
        queue += [(page.parent / link).resolve() for link in LINK.findall(seen[page]) if link.endswith(".md")]
    return "\n".join(seen.values())


def table(name: str) -> list[str]:
    """Return what stands in code marks in the first column of the README's table between `<!-- name -->` marks."""
    block = README.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]
    return [
        word
        for row in block.splitlines()
        if row.startswith("| `")
        for word in re.findall(r"`([^`]+)`", row.split(" | ")[0])
    ]


@cache
def plugins() -> dict[str, dict[str, Plugin]]:
    return {room: dict(discover(f"reconciler.{room}", f"reconciler.{room}")) for room in ROOMS}


def settings_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the keys of a settings model; a section's own keys behind a dot."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_keys(field.annotation, f"{key}.")
        elif key == "hosts":
            yield "hosts.NAME"
            yield from settings_keys(HostSettings, "hosts.NAME.")
        else:
            yield key


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the pydantic models that an annotation mentions, those within them included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
    for part in typing.get_args(annotation):
        yield from models_in(part)


def written(word: str) -> bool:
    """Tell whether the reference has `word` in code, alone or as the beginning of more."""
    return re.search(rf"(?<![A-Za-z0-9_.]){re.escape(word)}(?![A-Za-z0-9_])", reference()) is not None


# --- complete and true -----------------------------------------------------------------------------------------------


def test_the_readme_lists_exactly_the_commands_that_are_here() -> None:
    listed = {words.split()[1].strip("[]") for words in table("commands")} - {"DIR..."}
    assert listed == set(present())


def test_the_readme_lists_exactly_the_events_there_are() -> None:
    assert sorted(table("events")) == sorted(EventType)


def test_the_readme_lists_exactly_the_settings_there_are() -> None:
    assert sorted(table("settings")) == sorted(settings_keys(Settings))


def test_the_readme_lists_exactly_the_actions_there_are() -> None:
    assert sorted(table("actions")) == sorted(plugins()["actions"])


def test_the_readme_lists_every_exit_status_and_their_order() -> None:
    rows = re.findall(r"^\| (\d+) \| ", README, re.MULTILINE)
    assert sorted(map(int, rows)) == sorted(ExitCode)
    assert f"Where several hold: {', '.join(str(int(code)) for code in EXIT_PRECEDENCE)}." in README


def test_every_setting_of_a_plugin_is_written_down() -> None:
    keys = {
        f"{room}/{plugin.name}: {key}": written(key)
        for room in ROOMS
        for plugin in plugins()[room].values()
        for key in settings_keys(plugin.settings or BaseModel)
    }
    assert [key for key, there in keys.items() if not there] == []


def test_every_field_of_a_watcher_and_of_an_action_is_written_down() -> None:
    models: set[type[BaseModel]] = {WatcherSpec, JobSelector}
    for plugin in plugins()["actions"].values():
        models.update(models_in(plugin.spec))
    names = {
        f"{model.__name__}.{field.alias or name}" for model in models for name, field in model.model_fields.items()
    }
    assert sorted(name for name in names if not written(name.rpartition(".")[2])) == []


def test_every_plugin_is_written_down() -> None:
    assert [name for room in ROOMS for name in plugins()[room] if not written(name)] == []


# --- links and examples ----------------------------------------------------------------------------------------------


def pages() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listing.stdout.splitlines() if (ROOT / name).exists()]


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make, as code hosts do."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_link_leads_somewhere() -> None:
    broken = []
    for page in pages():
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)\s]*)?\)", page.read_text(encoding="utf-8")):
            place = page if not target else (page.parent / target)
            if re.match(r"[a-z]+:", target):
                continue
            if not place.exists() or (anchor and place.suffix == ".md" and anchor[1:] not in anchors(place)):
                broken.append(f"{page.relative_to(ROOT)}: {target}{anchor}")
    assert broken == []


def blocks(language: str, page: Path = ROOT / "README.md") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_first_two_commands_of_the_readme_are_the_promised_ones() -> None:
    first, second = (block.strip() for block in blocks("sh")[:2])
    assert first == "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/reconcile demo"
    assert second == "tests/run"


def test_every_command_line_of_the_readme_names_a_command_that_is_here() -> None:
    words = re.findall(r"(?:^|`)reconcile ([a-z]+)\b", README, re.MULTILINE)
    assert {word for word in words if not (ROOT / word).exists()} <= {*present(), "watchers"}


def test_what_is_new_says_something() -> None:
    news = README.partition("## What is new\n")[2].partition("\n## ")[0]
    assert len(re.findall(r"^- ", news, re.MULTILINE)) >= 1


@pytest.mark.parametrize("word", ["state.path", "max_triggers", "log_event"])
def test_the_search_for_words_can_fail(word: str) -> None:
    assert written(word)
    assert not written(word + "x")
    assert not written("x" + word)
