"""What the operator decides, outside `watchers.d`: policy, hosts, channels, limits, retention.

Models only: the file is read by `app`, with the same loader (file, line, column) as watchers. Plugins' own sections
(`hosts.*.transport`, `hosts.*.scheduler`, `actions`, `channels`, `sources`, `sinks`) stay raw here; `app` validates
them against the plugins' models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import durationpy
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    field_validator,
)


def _seconds(value: object) -> object:
    """Accept `90`, `1.5`, `"30s"`, `"5m"`, `"1h30m"`, `"90d"`; leave everything else for pydantic to refuse."""
    if not isinstance(value, str):
        return value
    try:
        return durationpy.from_str(value.strip()).total_seconds()
    except (durationpy.DurationError, ValueError, OverflowError):
        raise ValueError('not a duration; write for example "30s", "5m", "1h30m", "2d"') from None


#: Seconds as a float, written as a number of seconds or as `30s`, `5m`, `1h30m`, `90d`.
Duration = Annotated[
    float,
    BeforeValidator(_seconds, json_schema_input_type=float | str),
    Field(ge=0, le=10 * 366 * 86400, allow_inf_nan=False),
]
HostNameText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$")]


class Section(BaseModel):
    """A frozen part of the settings; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Durability(StrEnum):
    """What "committed" survives. Both survive `kill -9`."""

    NORMAL = "normal"  # a power loss may take the last moments
    FULL = "full"  # survives a power loss; slower


class StateSettings(Section):
    """The SQLite database and how long what it holds is kept."""

    path: Path | None = Field(None, description="default: $XDG_STATE_HOME/reconciler/state.db")
    durability: Durability = Durability.NORMAL
    busy_timeout: Duration = Field(10.0, description="how long a locked database is waited for")
    lease: Duration = Field(30.0, description="after so long without a sign of life another may take the state over")
    retain_events: Duration = Field(90 * 86400.0, description="events and finished actions")
    retain_metrics: Duration = 90 * 86400.0
    retain_watchers: Duration = Field(30 * 86400.0, description="ended and stopped watchers, and their jobs")


class EventsSettings(Section):
    """The events file."""

    path: Path | None = Field(None, description="default: events.jsonl beside the state")
    max_bytes: int = Field(64 * 1024 * 1024, ge=4096, description="rotated when it would grow beyond this")
    backups: int = Field(5, ge=1, le=1000, description="rotated files kept: events.jsonl.1 is the newest")


class HostSettings(Section):
    """One host. `transport` and `scheduler` are the plugins' own sections; `type` in them names the plugin."""

    transport: Mapping[str, Any] = Field(default_factory=dict, description="default: ssh, for localhost: local")
    scheduler: Mapping[str, Any] = Field(
        default_factory=dict, description="default: auto: slurm where a cluster is configured, else local jobs"
    )
    users: tuple[str, ...] | None = Field(None, description="overrides policy.users on this host")
    network_file_system: bool | None = Field(
        None, description="jobs write to NFS, Lustre, ...; default: found out on this machine, no on others"
    )


class PolicySettings(Section):
    """What watchers may do, whoever writes them."""

    users: tuple[str, ...] = Field((), description="whose jobs may be watched; empty: our own; `*`: everybody's")
    actions: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="action types by kind of source (directory, git, api, script); a kind not named may use all",
    )
    max_new_bindings: int = Field(
        100, ge=1, description="jobs at once that a new or edited spec may bind a dangerous action to without approval"
    )
    max_stops: int = Field(20, ge=0, description="watchers that one pass may stop for vanished specs without approval")
    max_stop_percent: float = Field(50.0, ge=0, le=100, description="likewise, of those that run; from 5 on")
    script_watchers: bool = Field(
        False, description="#WATCHER lines in the batch scripts of our own jobs are watchers of those jobs"
    )
    prune_grace: Duration = Field(120.0, description="a spec that vanished from a plain directory stops after this")


class LimitsSettings(Section):
    """Bounds. Every one holds for each watcher or stream by itself."""

    actions_per_minute: int = Field(10, ge=1, le=10_000)
    line_bytes: int = Field(65_536, ge=256, le=16 * 1024 * 1024, description="a longer line is cut there, and said")
    look_bytes: int = Field(4 * 1024 * 1024, ge=65_536, description="read from one stream in one look")
    matches_per_tick: int = Field(10_000, ge=1, description="matches of one watcher dealt with in one transaction")
    variable_bytes: int = Field(4096, ge=64, description="a captured value is cut there")


class DigestSettings(Section):
    """Notifications to one channel (or to the same people) that come close together."""

    threshold: int = Field(
        5, ge=1, le=10_000, description="so many go one by one in a `window`; more go as one message"
    )
    window: Duration = Field(60.0, ge=1, le=86_400, description="a channel gets one such message in so long")
    gather: Duration = Field(0.5, ge=0, le=60, description="a notification waits until no other came for so long")


class EngineSettings(Section):
    """How often the loop looks. Jobs are listed once per host and `discovery_interval`."""

    discovery_interval: Duration = Field(30.0, ge=1)
    max_stretch: float = Field(
        10.0, ge=1, le=1000, description="times discovery_interval, at most, while a scheduler is slow or silent"
    )
    source_interval: Duration = Field(10.0, ge=0.1, description="polling of sources; a change notice wakes it sooner")
    health_interval: Duration = Field(30.0, ge=1)
    stall_after: Duration = Field(300.0, description="a task without a sign of life for so long is restarted")
    retention_interval: Duration = Field(3600.0, ge=1)
    max_backoff: float = Field(5.0, ge=1, le=100, description="times interval_seconds, at most, while nothing matches")
    end_grace: Duration = Field(2.0, description="the size of an ended job's output must be stable for so long")
    end_grace_network: Duration = Field(60.0, description="the same on network file systems")


class MetricsSettings(Section):
    """What is measured of the reconciler itself, for Prometheus where nothing may listen."""

    textfile: Path | None = Field(
        None, description="a .prom file in the directory that node_exporter's textfile collector reads"
    )
    interval: Duration = Field(30.0, ge=1, description="between two writes of a daemon; `--once` writes at its end")

    @field_validator("textfile")
    @classmethod
    def _is_read(cls, path: Path | None) -> Path | None:
        if path is not None and path.suffix != ".prom":
            raise ValueError("the collector reads only files whose names end in .prom")
        return path


class ApiSettings(Section):
    """`reconcile serve`: who may talk to it, and how much."""

    bind: str = Field("127.0.0.1", description="address to listen on; other machines reach only what is bound for them")
    port: int = Field(8443, ge=0, le=65535, description="0: any free one")
    socket: Path | None = Field(None, description="listen on this Unix socket (mode 0600) instead of a port")
    hosts: tuple[str, ...] = Field((), description="names by which clients may call it, beside those of `bind`")
    certificate: Path | None = Field(None, description="PEM file; default: a self-signed one, made beside the state")
    certificate_key: Path | None = Field(None, description="its private key, where that is in a file of its own")
    keys: Path | None = Field(None, description="file of the keys, hashed; default: apikeys.json beside the state")
    session: Duration = Field(7 * 86400.0, ge=60, description="how long a browser stays signed in")
    requests_per_minute: int = Field(6000, ge=1, description="of each key")
    stranger_burst: int = Field(100, ge=1, description="requests without a valid key from one address, at once")
    stranger_per_minute: int = Field(10, ge=1, description="likewise, lastingly")
    body_bytes: int = Field(1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="of a request")
    body_timeout: Duration = Field(15.0, ge=0.1, description="a request must have come whole by then")
    subscribers: int = Field(500, ge=1, description="WebSockets at once")
    subscriber_queue: int = Field(1000, ge=8, description="events a slow WebSocket may be behind; then it must refetch")


class ClientSettings(Section):
    """Another machine's daemon, which `status`, `events`, `trigger`, ... then ask in place of a state here."""

    url: str | None = Field(None, pattern=r"^(https?|unix)://\S+$", description="https://host:8443, or unix:///path")
    key: SecretStr | None = Field(None, description="key of the API; better in a file")
    key_file: Path | None = Field(None, description="file that holds the key alone")
    certificate: Path | None = Field(None, description="PEM file of a self-signed certificate to trust")


@dataclass(frozen=True, slots=True)
class Written:
    """Where settings stand, for what is found wrong with a plugin's section later; it takes no part in comparisons.

    `places` and `scalars` are what the YAML reader gave (`spec.faults.RawPlace`, and text by line and column);
    `overridden`: which variable brought the value at a path.
    """

    file: str = field(default="settings", compare=False)
    places: list[Any] = field(default_factory=lambda: [0, 0, 0, 0, {}], compare=False)
    scalars: Mapping[tuple[int, int], str] = field(default_factory=dict, compare=False)
    overridden: Mapping[tuple[str, ...], str] = field(default_factory=dict, compare=False)


class Settings(Section):
    """The whole settings file."""

    _written: Written = PrivateAttr(default_factory=Written)

    directories: tuple[Path, ...] = Field((), description="watchers.d directories; later ones layer over earlier ones")
    sources: tuple[Mapping[str, Any], ...] = Field((), description="further ones: `git: URL`, `path: DIR`, or a `type`")
    hosts: Mapping[HostNameText, HostSettings] = Field(
        default_factory=lambda: {"localhost": HostSettings()}, description="default: this machine alone"
    )
    state: StateSettings = StateSettings()
    events: EventsSettings = EventsSettings()
    policy: PolicySettings = PolicySettings()
    limits: LimitsSettings = LimitsSettings()
    digest: DigestSettings = DigestSettings()
    engine: EngineSettings = EngineSettings()
    metrics: MetricsSettings = MetricsSettings()
    api: ApiSettings = ApiSettings()
    client: ClientSettings = ClientSettings()
    actions: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict, description="settings of action types, by type"
    )
    channels: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, description="named ways to notify people")
    sinks: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)

    @property
    def written(self) -> Written:
        """Where they stand."""
        return self._written

    def read_from(self, written: Written) -> Settings:
        """Return the same settings, knowing where they stand."""
        same = self.model_copy()
        same._written = written
        return same
