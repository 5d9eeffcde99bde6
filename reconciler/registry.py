"""How plugins are found: built-in ones by walking a package, others through entry points.

A plugin is one file with a module-level `PLUGIN`. This module knows nothing of what plugins do.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, TypeVar

from reconciler.errors import ConfigurationError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin.

    `name` is the word users write as `type:`. `spec` is the pydantic model of what they write with it.
    `factory(settings)` makes
    the working object, `settings` being an instance of the model `settings` (None: it has none). `traits` tell the
    engine how to treat it (`protocols.ActionTraits` for actions). `check(params, settings,
    channels, source)` tells, before anything runs, what the settings forbid in one use of it, in words for its author
    (actions; `source` as in `model.Origin`); beside it, `doubt(params, settings, source, numbers)` tells what would be
    refused for some values of what is captured; `numbers`: names whose values are always numbers.
    """

    name: str
    spec: type[Any]
    factory: Callable[..., Any]
    settings: type[Any] | None = None
    traits: Any = None
    check: Callable[..., tuple[str, ...]] | None = None
    doubt: Callable[..., tuple[str, ...]] | None = None


def discover(package: str, group: str) -> Mapping[str, Plugin]:
    """Return name -> Plugin of all modules in `package` and of the entry points in `group`.

    Raises ConfigurationError where two plugins have one name, or an entry point is no Plugin.
    """
    found: dict[str, Plugin] = {}
    home = importlib.import_module(package)
    for info in pkgutil.iter_modules(home.__path__):
        plugin = getattr(importlib.import_module(f"{package}.{info.name}"), "PLUGIN", None)
        if plugin is not None:
            _add(found, plugin, f"{package}.{info.name}")
    for point in entry_points(group=group):
        _add(found, point.load(), point.value)
    return found


def _add(found: dict[str, Plugin], plugin: object, where: str) -> None:
    if not isinstance(plugin, Plugin):
        raise ConfigurationError(f"{where} is no Plugin", remedy="a plugin's entry point names a module-level PLUGIN")
    if plugin.name in found:
        raise ConfigurationError(
            f"two plugins are called {plugin.name!r}, one of them {where}", remedy="uninstall one of the two packages"
        )
    found[plugin.name] = plugin


def installed(package: str, group: str) -> tuple[str, ...]:
    """Return words that change where a plugin is added, taken away or upgraded; no plugin is imported."""
    home = importlib.import_module(package)
    ours = sorted(info.name for info in pkgutil.iter_modules(home.__path__) if not info.name.startswith("_"))
    others = (f"{point.value}@{point.dist.version if point.dist else ''}" for point in entry_points(group=group))
    return (*ours, *sorted(others))


def builtin(package: str, name: str) -> Plugin | None:
    """Return the plugin of the house whose module has its name, importing that one alone; None where there is none.

    Users choose one by its word in the settings, and importing all the others would cost start-up time.
    """
    home = importlib.import_module(package)
    if name not in {info.name for info in pkgutil.iter_modules(home.__path__)}:
        return None
    plugin = getattr(importlib.import_module(f"{package}.{name}"), "PLUGIN", None)
    return plugin if isinstance(plugin, Plugin) and plugin.name == name else None


def named(package: str, text: bytes) -> list[Plugin]:
    """Return the plugins of the house whose names stand in a text as words, importing those alone."""
    words = {word.decode() for word in re.findall(rb"[A-Za-z_]\w*", text)}
    modules = (info.name for info in pkgutil.iter_modules(importlib.import_module(package).__path__))
    return [plugin for name in modules if name in words and (plugin := builtin(package, name)) is not None]


class Made(Mapping[str, T]):
    """What is made of plugins, by name, each when it is first asked for; `names` are asked for where all are wanted."""

    def __init__(self, make: Callable[[str], T], names: Callable[[], Iterable[str]]) -> None:
        self._make, self._names = make, names
        self._made: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(list(self._names()))
