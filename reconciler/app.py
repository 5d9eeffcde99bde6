"""The composition root: the only file that knows every class.

Its offline half reads settings and watchers (`validate`, `replay`, `test`): no database, no network. Its online half
puts an engine together. Plugins are found here and nowhere else; their heavy libraries are imported when first used.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from reconciler.engine.parts import Host, ParsedFile, ParsedSpec, Parts
from reconciler.errors import ConfigurationError, Problem, SpecError, UsageError
from reconciler.logic.compiled import ActionKind
from reconciler.model import LOCALHOST, HostName, Job, JobId, StoredSpec
from reconciler.protocols import OutsideAction, Scheduler, Sink, Source, SourceFile, Transport
from reconciler.registry import Plugin, builtin, discover
from reconciler.settings import HostSettings, Settings
from reconciler.spec.canonical import digest_of, from_json, to_json
from reconciler.spec.faults import Fault
from reconciler.spec.load import Loaded, LocatedSpec, cache_key, dump_loaded, load_file, load_loaded
from reconciler.spec.union import watcher_model as join_specs
from reconciler.spec.watcher import WatcherSpec

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from reconciler.api.feed import Feed
    from reconciler.engine.controller import Controller
    from reconciler.engine.daemon import Daemon
    from reconciler.engine.once import Once
    from reconciler.spec.testfile import SampleJob

log = logging.getLogger(__name__)

# --- the offline half ------------------------------------------------------------------------------------------------


def load_settings(config: Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Return the settings in force. Raises SpecError, ConfigurationError."""
    from reconciler.spec.settings_file import find_settings
    from reconciler.spec.settings_file import load_settings as load

    env = os.environ if env is None else env
    return load(find_settings(config, env), env)


@cache
def action_plugins() -> Mapping[str, Plugin]:
    """Return every action type that is installed."""
    return discover("reconciler.actions", "reconciler.actions")


@cache
def watcher_model() -> type[WatcherSpec]:
    """Return the model of a watcher, its actions one union over all installed types."""
    return join_specs(plugin.spec for plugin in action_plugins().values())


def parse(content: bytes, path: str) -> Loaded:
    """Return what a watcher file says: its specs, or everything that is wrong with it."""
    from reconciler.logic.lint import check  # saves start-up time: files that did not change are not judged again

    return load_file(content, path, watcher_model(), (check,))


def policy_warnings(located: LocatedSpec, path: str, settings: Settings, source: str = "directory:") -> list[Problem]:
    """Return what these settings forbid in a spec, as far as its text tells; elsewhere other settings may hold."""
    found: list[Problem] = []
    for index, action in enumerate(located.spec.actions):
        plugin = action_plugins()[action.type]
        if plugin.check is None:
            continue
        section = _section(plugin, settings.actions.get(action.type, {}), plugin.settings, f"actions.{action.type}")
        for message in plugin.check(action.params, section, settings.channels, source):
            remedy = "change the action, or let an operator allow it in the settings"
            fault = Fault(("actions", index), "not-allowed", message, remedy, severity="warning")
            found.append(located.places.problem(fault, file=path, watcher=located.spec.name))
    return found


def parse_key(file: SourceFile) -> str:
    """Return the name under which what a file says is cached: its path, bytes, and the version that reads them."""
    return f"{cache_key(file.digest, action_plugins())}:{file.path}"


def parse_source(file: SourceFile, cached: str | None = None) -> ParsedFile:
    """Return what a source's file says; `cached`: what an earlier `ParsedFile.cache` of it said."""
    if cached is not None:
        try:
            return _as_parsed(load_loaded(cached, watcher_model()), parse_key(file), "")
        except ConfigurationError:
            log.info("%s: the cache entry is of another version", file.path)
    loaded = parse(file.content, file.path)
    return _as_parsed(loaded, parse_key(file), dump_loaded(loaded))


def _as_parsed(loaded: Loaded, key: str, kept: str) -> ParsedFile:
    bodies = [to_json(located.spec) for located in loaded.specs]
    specs = tuple(
        ParsedSpec(located.spec, located.line, body, digest_of(body))
        for located, body in zip(loaded.specs, bodies, strict=True)
    )
    return ParsedFile(specs, loaded.problems, key, kept)


def revive(stored: StoredSpec) -> WatcherSpec | None:
    """Return the spec that the state keeps; None, and a line in the log, where this version cannot read it."""
    try:
        return from_json(stored.body, watcher_model())
    except ConfigurationError:
        log.error("%s: the stored spec cannot be read by this version; edit its file to mend it", stored.name)
        return None


def default_settings() -> Settings:
    """Return settings as they are where nobody wrote any: what tests of watchers run with."""
    return Settings()


def job_of(test: SampleJob) -> Job:
    """Return the job that a watcher's test speaks of."""
    from reconciler.schedulers.slurm_states import job_state  # one table of the words for states

    raw = (test.state or "running").upper()
    return Job(HostName(test.host), JobId(test.id), test.name, test.user, job_state(raw), raw_state=raw)


def started() -> None:
    """Collect garbage from now on, but for what start-up made; the program begins without (see `cli.program`)."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


# --- places ----------------------------------------------------------------------------------------------------------


def _xdg(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / default


def state_path(settings: Settings) -> Path:
    """Return where the state is kept."""
    return settings.state.path or _xdg("XDG_STATE_HOME", ".local/state") / "reconciler" / "state.db"


def events_path(settings: Settings) -> Path:
    """Return where the events file is."""
    return settings.events.path or state_path(settings).parent / "events.jsonl"


def api_directory(settings: Settings) -> Path:
    """Return the writable layer, for watchers that commands and the API write."""
    return state_path(settings).parent / "api.d"


def keys_path(settings: Settings) -> Path:
    """Return the file of the API's keys."""
    return settings.api.keys or state_path(settings).parent / "apikeys.json"


def directories(settings: Settings, named: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Return the directories that are read: those named, else the settings', else the usual ones that exist."""
    if named:
        return tuple(named)
    if settings.directories:
        return settings.directories
    usual = (Path("/etc/reconciler/watchers.d"), _xdg("XDG_CONFIG_HOME", ".config") / "reconciler" / "watchers.d")
    found = tuple(path for path in usual if path.is_dir())
    if not found and not settings.sources:
        raise UsageError(
            "no directory of watchers was named, and none of the usual ones exists",
            remedy=f"name one (`reconcile ./watchers.d`), or create {usual[1]}",
        )
    return found


# --- the online half -------------------------------------------------------------------------------------------------


def _section(plugin: Plugin, raw: Mapping[str, Any], model: type[BaseModel] | None, where: str) -> Any:
    """Return a plugin's own section of the settings as its model."""
    if model is None:
        return None
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems = [
            Problem(
                "settings", 0, 0, "invalid-setting", f"{where}.{'.'.join(map(str, e['loc']))}: {e['msg']}",
                f"see the settings of {plugin.name}",
            )
            for e in error.errors()
        ]  # fmt: skip
        raise SpecError(problems) from None  # neither shows what was written: it may be a secret


def _chosen(room: str, name: str, where: str) -> Plugin:
    """Return a plugin by the word that the settings use; those of the house are found without importing the others."""
    plugin = builtin(f"reconciler.{room}", name)
    if plugin is not None:
        return plugin
    plugins = discover(f"reconciler.{room}", f"reconciler.{room}")
    if name not in plugins:
        raise ConfigurationError(
            f"{where}: there is no type {name!r}", remedy=f"use one of: {', '.join(sorted(plugins))}"
        )
    return plugins[name]


def make_transport(name: HostName, settings: HostSettings) -> Transport:
    """Return how a host is reached: `local` for localhost, `ssh` for others, or as the settings say."""
    kind = str(settings.transport.get("type", "local" if name == LOCALHOST else "ssh"))
    plugin = _chosen("transports", kind, f"hosts.{name}.transport")
    section = _section(plugin, {**settings.transport, "type": kind}, plugin.spec, f"hosts.{name}.transport")
    transport: Transport = plugin.factory(name, section)
    return transport


def make_host(name: HostName, settings: Settings) -> Host:
    """Return a host with its scheduler: as the settings say, else SLURM where it is there, else local jobs."""
    own = settings.hosts[name]
    transport = make_transport(name, own)
    kind = own.scheduler.get("type", "auto")
    plugin = _chosen("schedulers", str(kind), f"hosts.{name}.scheduler")
    section = _section(plugin, {**own.scheduler, "type": kind}, plugin.spec, f"hosts.{name}.scheduler")
    users = own.users if own.users is not None else settings.policy.users
    scheduler: Scheduler = plugin.factory(name, transport, section, users)
    return Host(name, transport, scheduler)


def make_actions(settings: Settings) -> tuple[Mapping[str, ActionKind], Mapping[str, OutsideAction]]:
    """Return what the engine knows of each action type, and those with an outside effect ready to run."""
    kinds: dict[str, ActionKind] = {}
    actions: dict[str, OutsideAction] = {}
    for name, plugin in action_plugins().items():
        raw = settings.actions.get(name, {})
        section = _section(plugin, raw, plugin.settings, f"actions.{name}")
        made = plugin.factory(section, settings.channels)
        if plugin.traits.outside:
            kinds[name], actions[name] = ActionKind(plugin.traits), made
        else:
            kinds[name] = ActionKind(plugin.traits, state=made)
    return kinds, actions


def make_sources(settings: Settings, named: Sequence[Path] = ()) -> list[Source]:
    """Return the sources: a layer for each directory, the writable layer, and those of the settings."""
    from reconciler.sources.directory import DirectorySource

    layers = [path.absolute() for path in directories(settings, named)]
    writable = api_directory(settings)
    if writable.is_dir():
        layers.append(writable)
    sources: list[Source] = [
        DirectorySource(path, layers[number + 1 :], "api" if path == writable else "directory")
        for number, path in enumerate(layers)
    ]
    if not named:
        for number, raw in enumerate(settings.sources):
            plugin = _chosen("sources", str(raw.get("type", "")), f"sources.{number}")
            sources.append(plugin.factory(_section(plugin, raw, plugin.spec, f"sources.{number}")))
    return sources


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that holds its state. `identity`: the state's own id."""

    parts: Parts
    identity: str
    controller: Controller
    once: Once
    daemon: Daemon


@asynccontextmanager
async def engine(
    settings: Settings, named: Sequence[Path] | None = (), *, sinks: Sequence[Sink] = ()
) -> AsyncIterator[Engine]:
    """Take the state's lease and yield an engine over these directories; let go of everything afterwards.

    `named` empty: the usual directories; None: no source is read, so nothing is bound or stopped. `sinks` get events
    beside the events file. Raises StateHeldError, StateError, ConfigurationError.
    """
    from reconciler.engine.clock import SystemClock
    from reconciler.engine.controller import Controller
    from reconciler.engine.daemon import Daemon
    from reconciler.engine.once import Once
    from reconciler.engine.pump import Pump
    from reconciler.protocols import EXPORTED_SEQ
    from reconciler.sinks.jsonl import JsonLines, JsonlSpec
    from reconciler.state import StateThread, open_state

    if named is not None:
        directories(settings, named)  # a command that was called wrongly makes no state
    kinds, actions = make_actions(settings)
    clock = SystemClock()
    state = StateThread(open_state(state_path(settings), settings.state, clock=clock))
    hosts: dict[HostName, Host] = {}
    sources: list[Source] = []
    every_sink: list[Sink] = []
    try:
        if named is not None:
            api_directory(settings).mkdir(mode=0o700, exist_ok=True)
            sources = make_sources(settings, named)
        for name in settings.hosts:
            hosts[HostName(name)] = make_host(HostName(name), settings)
        identity, exported, newest = await state.run(
            lambda s: (s.identity(), int(s.fact(EXPORTED_SEQ) or 0), s.last_seq())
        )
        file = JsonlSpec(
            path=events_path(settings), max_bytes=settings.events.max_bytes, backups=settings.events.backups
        )
        every_sink = [JsonLines(file, identity, resume_after=exported, newest=newest), *sinks]
        parts = Parts(
            settings=settings, clock=clock, state=state, sources=sources, hosts=hosts, kinds=kinds, actions=actions,
            sinks=every_sink, parse=parse_source, parse_key=parse_key, revive=revive,
        )  # fmt: skip
        controller, pump = Controller(parts, identity), Pump(parts)
        started()
        yield Engine(parts, identity, controller, Once(parts, controller, pump), Daemon(parts, controller, pump))
    finally:
        closing: list[Sink | Source | Transport] = [*every_sink, *sources, *(h.transport for h in hosts.values())]
        for part in closing:
            await part.close()
        await state.close()


@asynccontextmanager
async def face(
    engine: Engine, settings: Settings, feed: Feed, *, hosts: Sequence[str], secure: bool
) -> AsyncIterator[ASGIApp]:
    """Yield the HTTP face of an engine: `feed` is one of its sinks, `hosts` the names it may be called by."""
    from reconciler.api.application import follow_states, make_app
    from reconciler.api.audit import AuditLog
    from reconciler.api.desk import Desk, Tools
    from reconciler.api.dropins import Dropins
    from reconciler.api.keys import Keyring
    from reconciler.api.reading import Reading
    from reconciler.logic.lint import warnings

    def forbidden(located: LocatedSpec, path: str, source: str) -> Sequence[Problem]:
        return policy_warnings(located, path, settings, source)

    reading = Reading(state_path(settings), settings.state.busy_timeout)
    follow_states(feed, engine.controller)
    desk = Desk(
        parts=engine.parts, identity=engine.identity, controller=engine.controller, daemon=engine.daemon,
        reading=reading, dropins=Dropins(api_directory(settings)), keyring=Keyring(keys_path(settings)),
        audit=AuditLog(engine.parts, engine.daemon), feed=feed, tools=Tools(parse, warnings, forbidden), secure=secure,
    )  # fmt: skip
    pages = Path(__file__).parent / "ui" / "static"
    try:
        yield make_app(desk, hosts, pages if (pages / "index.html").is_file() else None)
    finally:
        await reading.close()


@asynccontextmanager
async def preview(
    settings: Settings, named: Sequence[Path] = (), *, offline: bool = False
) -> AsyncIterator[Controller]:
    """Yield a controller that can plan and cannot change anything; `offline`: it reaches no host either."""
    from reconciler.engine.clock import SystemClock
    from reconciler.engine.controller import Controller
    from reconciler.engine.preview import ReadOnlyState
    from reconciler.state import open_readonly

    sources = make_sources(settings, named)
    kinds, _ = make_actions(settings)
    reader = open_readonly(state_path(settings), busy_timeout=settings.state.busy_timeout)
    hosts: dict[HostName, Host] = {}
    try:
        if not offline:
            for name in settings.hosts:
                hosts[HostName(name)] = make_host(HostName(name), settings)
        parts = Parts(
            settings=settings, clock=SystemClock(), state=ReadOnlyState(reader), sources=sources, hosts=hosts,
            kinds=kinds, actions={}, sinks=(), parse=parse_source, parse_key=parse_key, revive=revive,
        )  # fmt: skip
        yield Controller(parts, reader.identity())
    finally:
        closing: list[Source | Transport] = [*sources, *(h.transport for h in hosts.values())]
        for part in closing:
            await part.close()
        reader.close()
