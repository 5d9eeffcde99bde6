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
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from reconciler.engine.parsing import parsed, remembered
from reconciler.engine.parts import Host, ParsedFile, Parts
from reconciler.engine.places import api_directory as api_directory
from reconciler.engine.places import directories as directories
from reconciler.engine.places import events_path as events_path
from reconciler.engine.places import keys_path as keys_path
from reconciler.engine.places import state_path as state_path
from reconciler.errors import ConfigurationError, Problem
from reconciler.model import LOCALHOST, HostName, Job, JobId, StoredSpec
from reconciler.protocols import OutsideAction, Scheduler, Sink, Source, SourceFile, Transport
from reconciler.registry import Made, Plugin, builtin, discover, installed, named
from reconciler.settings import Settings
from reconciler.spec.cached import cache_key
from reconciler.spec.canonical import from_json

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from reconciler.api.feed import Feed
    from reconciler.engine.controller import Controller
    from reconciler.engine.daemon import Daemon
    from reconciler.engine.once import Once
    from reconciler.engine.pump import Pump
    from reconciler.logic.compiled import ActionKind
    from reconciler.spec.load import Loaded, LocatedSpec
    from reconciler.spec.testfile import SampleJob
    from reconciler.spec.watcher import WatcherSpec

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
    from reconciler.spec.union import watcher_model as join_specs  # saves start-up time where no spec is made

    return join_specs(plugin.spec for plugin in action_plugins().values())


def parse(content: bytes, path: str, *, lean: bool = False) -> Loaded:
    """Return what a watcher file says: its specs, or everything that is wrong with it.

    `lean`: where few files are read, the types of action that they do not name are not imported, if all is well.
    """
    from reconciler.logic.lint import check  # all save start-up time: files that did not change are not read again
    from reconciler.spec.load import load_file
    from reconciler.spec.union import watcher_model as join_specs

    if lean and (plugins := named("reconciler.actions", content)):
        loaded = load_file(content, path, join_specs(plugin.spec for plugin in plugins), (check,))
        if not loaded.problems:
            return loaded
    return load_file(content, path, watcher_model(), (check,))


def policy_warnings(settings: Settings, located: LocatedSpec, path: str, source: str = "directory:") -> list[Problem]:
    """Return what these settings forbid in a spec, as far as its text tells; elsewhere other settings may hold."""
    from reconciler.logic.lint import numbers  # both save start-up time
    from reconciler.spec.faults import Fault

    found: list[Problem] = []
    for index, action in enumerate(located.spec.actions):
        if (plugin := action_plugins()[action.type]).check is None:
            continue
        section = _section(settings, ("actions", plugin.name), settings.actions.get(plugin.name, {}), plugin.settings)
        told = plugin.doubt(action.params, section, source, numbers(located.spec)) if plugin.doubt else ()
        for message in (*plugin.check(action.params, section, settings.channels, source), *told):
            remedy = "change the action, or let an operator allow it in the settings"
            fault = Fault(("actions", index), "not-allowed", message, remedy, severity="warning")
            found.append(located.places.problem(fault, file=path, watcher=located.spec.name))
    return found


def parse_key(file: SourceFile) -> str:
    """Return the name under which what a file says is cached: its path, bytes, and the version that reads them."""
    return f"{cache_key(file.digest, _readers())}:{file.path}"


@cache
def _readers() -> tuple[str, ...]:
    return installed("reconciler.actions", "reconciler.actions")


def parse_source(file: SourceFile, cached: str | None = None) -> ParsedFile:
    """Return what a source's file says; `cached`: what an earlier `ParsedFile.cache` of it said."""
    if cached is not None:
        try:
            return remembered(cached, parse_key(file), _readers(), _made)
        except ConfigurationError:
            log.info("%s: the cache entry is of another version", file.path)
    return parsed(parse(file.content, file.path), parse_key(file))


def _made(body: str) -> WatcherSpec:
    return from_json(body, watcher_model())


def revive(stored: StoredSpec) -> WatcherSpec | None:
    """Return the spec that the state keeps; None, and a line in the log, where this version cannot read it."""
    try:
        return _made(stored.body)
    except ConfigurationError:
        log.error("%s: the stored spec cannot be read by this version; edit its file to mend it", stored.name)
        return None


def default_settings() -> Settings:
    """Return settings as they are where nobody wrote any: what tests of watchers run with."""
    return Settings()


def job_of(test: SampleJob) -> Job:
    """Return the job that a watcher's test speaks of."""
    from reconciler.schedulers.slurm_states import job_state  # one table of the words for states

    who, raw = (HostName(test.host), JobId(test.id), test.name, test.user), (test.state or "running").upper()
    return Job(*who, job_state(raw), raw, started=0.0, time_limit=test.time_limit)


def started() -> None:
    """Collect garbage from now on, but for what start-up made; the program begins without (see `cli.program`)."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


# --- the online half -------------------------------------------------------------------------------------------------


def _section(
    settings: Settings, where: tuple[str | int, ...], raw: Mapping[str, Any], model: type[BaseModel] | None
) -> Any:
    """Return a plugin's own section of the settings, which stands at `where`, as its model."""
    if model is None:
        return None
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        from reconciler.spec.settings_file import section_error

        raise section_error(settings, where, error, model) from None  # which shows what was written: maybe a secret


def _chosen(settings: Settings, room: str, where: tuple[str | int, ...], name: str) -> Plugin:
    """Return a plugin by the word that the settings use; those of the house are found without importing the others."""
    plugin = builtin(f"reconciler.{room}", name)
    if plugin is not None:
        return plugin
    plugins = discover(f"reconciler.{room}", f"reconciler.{room}")
    if name not in plugins:
        from reconciler.spec.settings_file import unknown_type

        raise unknown_type(settings, where, name, plugins)
    return plugins[name]


def make_transport(name: HostName, settings: Settings) -> Transport:
    """Return how a host is reached: `local` for localhost, `ssh` for others, or as the settings say."""
    raw, where = settings.hosts[name].transport, ("hosts", str(name), "transport")
    kind = str(raw.get("type", "local" if name == LOCALHOST else "ssh"))
    plugin = _chosen(settings, "transports", where, kind)
    transport: Transport = plugin.factory(name, _section(settings, where, {**raw, "type": kind}, plugin.spec))
    return transport


def make_host(name: HostName, settings: Settings) -> Host:
    """Return a host with its scheduler: as the settings say, else SLURM where it is there, else local jobs."""
    own, where = settings.hosts[name], ("hosts", str(name), "scheduler")
    transport = make_transport(name, settings)
    kind = str(own.scheduler.get("type", "auto"))
    plugin = _chosen(settings, "schedulers", where, kind)
    section = _section(settings, where, {**own.scheduler, "type": kind}, plugin.spec)
    users = own.users if own.users is not None else settings.policy.users
    scheduler: Scheduler = plugin.factory(name, transport, section, users)
    return Host(name, transport, scheduler)


def make_actions(settings: Settings) -> tuple[Mapping[str, ActionKind], Mapping[str, OutsideAction]]:
    """Return what the engine knows of each action type, and those with an outside effect ready to run."""
    kinds = Made(partial(_kind, settings), action_plugins)
    actions = Made(partial(_outside, settings), lambda: [n for n, p in action_plugins().items() if p.traits.outside])
    if settings.actions or settings.channels:  # what is wrong in them is told at once
        return dict(kinds), dict(actions)
    return kinds, actions


def _action(name: str) -> Plugin:
    return builtin("reconciler.actions", name) or action_plugins()[name]


def _make_action(settings: Settings, plugin: Plugin) -> Any:
    section = _section(settings, ("actions", plugin.name), settings.actions.get(plugin.name, {}), plugin.settings)
    return plugin.factory(section, settings.channels)


def _kind(settings: Settings, name: str) -> ActionKind:
    from reconciler.logic.compiled import ActionKind  # saves start-up time where no job has a watcher

    plugin = _action(name)
    return ActionKind(plugin.traits, state=None if plugin.traits.outside else _make_action(settings, plugin))


def _outside(settings: Settings, name: str) -> OutsideAction:
    plugin = _action(name)
    if not plugin.traits.outside:
        raise KeyError(name)
    made: OutsideAction = _make_action(settings, plugin)
    return made


def make_sources(settings: Settings, named: Sequence[Path] = ()) -> list[Source]:
    """Return the sources: directories, those of the settings, the writable layer; later ones hide files of earlier."""
    from reconciler.sources.directory import DirectorySource

    sources: list[Source] = [DirectorySource(path) for path in directories(settings, named)]
    for number, raw in enumerate(() if named else settings.sources):
        where, kind = ("sources", number), str(raw.get("type", "git" if "git" in raw else "directory"))
        plugin = _chosen(settings, "sources", where, kind)
        sources.append(plugin.factory(_section(settings, where, raw, plugin.spec)))
    if (writable := api_directory(settings)).is_dir():
        sources.append(DirectorySource(writable, "api"))
    return sources


def _elsewhere(settings: Settings, named: Sequence[Path] | None) -> frozenset[str]:
    """Return the names of the settings' sources, which are not read where directories are named."""
    return frozenset(s.name for s in make_sources(settings)) if named and settings.sources else frozenset()


@dataclass(frozen=True)
class Engine:
    """An engine that holds its state. `identity`: the state's own id."""

    parts: Parts
    identity: str
    controller: Controller
    once: Once
    pump: Pump

    @cached_property
    def daemon(self) -> Daemon:
        """What runs it until it is stopped."""
        from reconciler.engine.daemon import Daemon  # saves start-up time: one pass needs none

        return Daemon(self.parts, self.controller, self.pump)


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
        hosts = {HostName(name): make_host(HostName(name), settings) for name in settings.hosts}
        identity, exported, newest = await state.run(
            lambda s: (s.identity(), int(s.fact(EXPORTED_SEQ) or 0), s.last_seq())
        )
        own = settings.events
        file = JsonlSpec(path=events_path(settings), max_bytes=own.max_bytes, backups=own.backups)
        every_sink = [JsonLines(file, identity, resume_after=exported, newest=newest), *sinks]
        parts = Parts(
            settings=settings, clock=clock, state=state, sources=sources, hosts=hosts, kinds=kinds, actions=actions,
            sinks=every_sink, parse=parse_source, parse_key=parse_key, revive=revive,
            elsewhere=partial(_elsewhere, settings, named),
        )  # fmt: skip
        controller, pump = Controller(parts, identity), Pump(parts)
        started()
        try:
            yield Engine(parts, identity, controller, Once(parts, controller, pump), pump)
        finally:
            await controller.discovery.end()  # a host that is slow to list its jobs may still be asked
    finally:
        closing: list[Sink | Source | Transport] = [*every_sink, *sources, *(h.transport for h in hosts.values())]
        for part in closing:
            await part.close()
        await state.close()


@asynccontextmanager
async def face(
    engine: Engine,
    settings: Settings,
    feed: Feed,
    *,
    hosts: Sequence[str],
    secure: bool,
    pages: Path = Path(__file__).parent / "ui" / "static",
) -> AsyncIterator[ASGIApp]:
    """Yield the HTTP face of an engine: `feed` is one of its sinks, `hosts` the names it may be called by.

    `pages`: a folder of static files for everybody, where it has an `index.html`.
    """
    from reconciler.api.application import make_app
    from reconciler.api.audit import AuditLog
    from reconciler.api.desk import Desk, Tools
    from reconciler.api.keys import Keyring
    from reconciler.api.reading import Reading
    from reconciler.engine.dropins import Dropins
    from reconciler.logic.lint import warnings

    reading = Reading(state_path(settings), settings.state.busy_timeout)
    feed.states = lambda ids: engine.parts.state.run(lambda state: state.states(ids))
    desk = Desk(
        parts=engine.parts, identity=engine.identity, controller=engine.controller, daemon=engine.daemon,
        reading=reading, dropins=Dropins(api_directory(settings)), keyring=Keyring(keys_path(settings)),
        audit=AuditLog(engine.parts, engine.daemon), feed=feed, secure=secure,
        tools=Tools(parse, warnings, partial(policy_warnings, settings), action_plugins),
    )  # fmt: skip
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
    reader = open_readonly(state_path(settings), busy_timeout=settings.state.busy_timeout)
    hosts: dict[HostName, Host] = {}
    try:
        hosts = {} if offline else {HostName(name): make_host(HostName(name), settings) for name in settings.hosts}
        parts = Parts(
            settings=settings, clock=SystemClock(), state=ReadOnlyState(reader), sources=sources, hosts=hosts,
            kinds=make_actions(settings)[0], actions={}, sinks=(), parse=parse_source, parse_key=parse_key,
            revive=revive, elsewhere=partial(_elsewhere, settings, named),
        )  # fmt: skip
        yield Controller(parts, reader.identity())
    finally:
        closing: list[Source | Transport] = [*sources, *(h.transport for h in hosts.values())]
        for part in closing:
            await part.close()
        reader.close()
