"""`reconcile replay --last N`: watchers over the outputs of the jobs that ended last, as a comment on a pull request.

Jobs are those that the state knows; where it knows none, those that the schedulers tell. Each output is read once, by
the way its host is reached, and scanned once for all watchers it concerns. Nothing is written, nothing is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.output import Column, Form, emit, note, safe
from reconciler.cli.plan_rows import cell
from reconciler.cli.problems import escaped
from reconciler.errors import HostUnreachableError, ReconcilerError
from reconciler.logic.replay import Replay, Tally
from reconciler.logic.selecting import ended_as, fits, started
from reconciler.model import HostName, Job, StreamName
from reconciler.protocols import Sight, Want

if TYPE_CHECKING:
    from reconciler.logic.compiled import CompiledSpec
    from reconciler.protocols import KnownJob, Transport
    from reconciler.settings import Settings

COLUMNS = (
    Column("watcher"),
    Column("outputs", form=Form.NUMBER),
    Column("matched", "WITH A MATCH", Form.NUMBER),
    Column("matches", form=Form.NUMBER),
    Column("fires", "WOULD FIRE", Form.NUMBER),
    Column("errors", "CONDITION ERRORS", Form.NUMBER),
    Column("last", "LAST MATCH"),
)
#: Bytes that the scanner is given at a time, see `logic.blocks`.
_BLOCK = 60 * 1024


@dataclass(slots=True)
class Survey:
    """What watchers made of outputs: `rows` one for each watcher, `outputs` how many were read, `missing` the others.

    `of`: what the outputs are, in words.
    """

    rows: list[dict[str, Any]]
    outputs: int
    missing: list[str] = field(default_factory=list)
    of: str = ""


@dataclass(slots=True)
class _Watched:
    """One watcher over all outputs."""

    compiled: CompiledSpec
    tally: Tally = field(default_factory=Tally)
    outputs: int = 0
    fires: int = 0

    def row(self) -> dict[str, Any]:
        spec, tally = self.compiled.spec, self.tally
        return {
            "watcher": spec.name, "outputs": self.outputs, "matched": tally.outputs, "matches": tally.matches,
            "fires": self.fires, "errors": tally.errors, "last": tally.last[:80],
            "actions": [action.type for action in spec.actions],
        }  # fmt: skip


def survey(specs: Sequence[CompiledSpec], config: Path | None, last: int) -> Survey:
    """Run the watchers over the outputs of the `last` ended jobs that any of them is for. Raises ConfigurationError."""
    from reconciler import app  # saves start-up time: it knows every class

    settings = app.load_settings(config)
    watched = {spec.spec.name: _Watched(spec) for spec in specs}
    with asyncio.Runner() as runner, closing(_Hosts(runner, settings)) as hosts:
        jobs = _newest(_jobs(settings, hosts), specs, last)
        found = Survey(
            [], 0, of=f"the {len(jobs)} jobs that ended last" if len(jobs) != 1 else "the job that ended last"
        )
        for output in _outputs(jobs, specs):
            reason = _replay(output, watched, hosts)
            found.outputs += not reason
            if reason:
                found.missing.append(f"{output.job.key}: {output.path or 'output'}: {reason}")
    found.rows = [each.row() for each in watched.values()]
    return found


class _Hosts:
    """The hosts that are asked, each reached when it is first needed."""

    def __init__(self, runner: asyncio.Runner, settings: Settings) -> None:
        self._runner, self._settings = runner, settings
        self._reached: dict[HostName, Transport] = {}

    def transport(self, name: HostName) -> Transport:
        """Return how a host of the settings is reached."""
        from reconciler import app

        if name not in self._settings.hosts:
            raise HostUnreachableError(f"{name} is not among the hosts of the settings")
        if name not in self._reached:
            self._reached[name] = app.make_host(name, self._settings).transport
        return self._reached[name]

    def look(self, name: HostName, want: Want) -> Any:
        """Return what one look at a file sees. Raises HostUnreachableError."""
        (glimpse,) = self._runner.run(self.transport(name).look([want]))
        return glimpse

    def listed(self) -> Iterator[Job]:
        """Yield what the schedulers know; a host that does not answer is said."""
        from reconciler import app

        for name in map(HostName, self._settings.hosts):
            host = app.make_host(name, self._settings)
            self._reached[name] = host.transport
            try:
                yield from self._runner.run(host.scheduler.jobs(None))
            except ReconcilerError as error:
                note(f"{name}: {error.message}")

    def close(self) -> None:
        """Let go of all connections."""
        for transport in self._reached.values():
            self._runner.run(transport.close())


def _jobs(settings: Settings, hosts: _Hosts) -> list[tuple[Job, Job]]:
    """Return jobs as first seen and as they are now: of the state, else of the schedulers."""
    from reconciler import app
    from reconciler.state import open_readonly

    with closing(open_readonly(app.state_path(settings), busy_timeout=settings.state.busy_timeout)) as state:
        known: Sequence[KnownJob] = state.jobs()
    return [(job.first, job.now) for job in known] or [(job, job) for job in hosts.listed()]


def _newest(jobs: Iterable[tuple[Job, Job]], specs: Sequence[CompiledSpec], last: int) -> list[tuple[Job, Job]]:
    """Return the ended jobs that any watcher is for, the newest first."""
    ended = [pair for pair in jobs if pair[1].state.ended and started(pair[1])]
    ended.sort(key=lambda pair: (pair[1].ended or pair[1].started or pair[1].submitted or 0.0, pair[1].id))
    wanted = (pair for pair in reversed(ended) if any(fits(each.spec.jobs, pair[0]) for each in specs))
    return [pair for pair, _ in zip(wanted, range(last), strict=False)]


@dataclass(slots=True)
class _Output:
    """One file to read, for the watchers that would read it; `ending`: those that would also see its job end."""

    job: Job
    path: str | None
    specs: list[CompiledSpec] = field(default_factory=list)
    ending: list[CompiledSpec] = field(default_factory=list)


def _outputs(jobs: Iterable[tuple[Job, Job]], specs: Sequence[CompiledSpec]) -> Iterator[_Output]:
    """Yield every file once: of several jobs that wrote it, the newest had it last."""
    read: set[tuple[HostName, str]] = set()
    for first, job in jobs:
        files: dict[str | None, _Output] = {}
        for each in (each for each in specs if fits(each.spec.jobs, first)):
            paths = [_path(job, stream) for stream in _streams(each)]
            for path in dict.fromkeys(paths):
                files.setdefault(path, _Output(job, path)).specs.append(each)
            files[paths[0]].ending.append(each)
        for output in files.values():
            if output.path is None or (job.host, output.path) not in read:
                yield output
            read.add((job.host, str(output.path)))


def _streams(compiled: CompiledSpec) -> tuple[StreamName, ...]:
    kind = compiled.spec.output_type.value
    return tuple(StreamName) if kind == "both" else (StreamName(kind),)


def _path(job: Job, stream: StreamName) -> str | None:
    return job.stdout if stream is StreamName.STDOUT else job.stderr


def _replay(output: _Output, watched: Mapping[str, _Watched], hosts: _Hosts) -> str:
    """Count what the watchers would make of one output; return why it cannot be read, where it cannot."""
    if output.path is None:
        return "where it is was never told"
    try:
        first = hosts.look(output.job.host, Want(output.path))
    except ReconcilerError as error:
        return error.message
    if first.sight is not Sight.READ:
        return "there is no such file any more" if first.sight is Sight.MISSING else first.reason
    tallies = {each.spec.name: watched[each.spec.name].tally for each in output.specs}
    before = {name: tally.fires for name, tally in tallies.items()}
    replay = Replay([each for each in output.specs if each.rules], output.job, render=False, long=True)
    try:
        replay.count(_blocks(output, first, hosts), tallies)
    except ReconcilerError as error:
        return f"only the beginning could be read: {error.message}"
    for remark in replay.remarks():
        note(f"{output.job.key}: {output.path}: {remark}")
    for each in output.specs:
        mine, spec = watched[each.spec.name], each.spec
        ends = each in output.ending and spec.trigger_on_job_end and ended_as(output.job, spec.trigger_job_states)
        fires = mine.tally.fires - before[spec.name] + int(ends)
        mine.outputs += 1
        mine.fires += fires if spec.max_triggers is None else min(fires, spec.max_triggers)
    return ""


def _blocks(output: _Output, glimpse: Any, hosts: _Hosts) -> Iterator[bytes]:
    """Yield the bytes of a file up to the size it was found with."""
    assert output.path is not None  # noqa: S101 - it was looked at
    size, at = glimpse.stat.size, 0
    while glimpse.sight is Sight.READ and glimpse.data:
        for start in range(0, len(glimpse.data), _BLOCK):
            yield glimpse.data[start : start + _BLOCK]
        at += len(glimpse.data)
        if at >= size:
            return
        glimpse = hosts.look(output.job.host, Want(output.path, at))


# --- showing it ------------------------------------------------------------------------------------------------------


def show(found: Survey, output: str) -> None:
    """Print a survey: as a table, JSON or YAML, as Markdown for a pull request, or as GitHub's workflow commands."""
    if output == "markdown":
        _markdown(found)
        return
    if output == "github":
        _github(found)
        return
    emit(
        found.rows, COLUMNS, output, name="watchers", empty="no watcher",
        extra={"outputs": found.outputs, "missing": found.missing},
    )  # fmt: skip
    if output == "table":
        for missing in found.missing:
            note(f"not read: {missing}")
        click.echo(headline(found))


def headline(found: Survey) -> str:
    """Return the result in one sentence."""
    fired = sum(row["fires"] for row in found.rows)
    if not found.outputs:
        return "no output of a job that these watchers are for could be read"
    return f"would have fired {_times(fired)} on {found.outputs} output{'s' if found.outputs != 1 else ''}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _markdown(found: Survey) -> None:
    said = headline(found)
    of = f" of {found.of}" if found.of and found.outputs else ""
    click.echo(f"### Replay\n\n**{said[0].upper()}{said[1:]}**{of}. Nothing was done.\n")
    if found.outputs:
        click.echo("| watcher | outputs | with a match | matches | would fire | last match | would do |")
        click.echo("|---|--:|--:|--:|--:|---|---|")
    for row in found.rows if found.outputs else ():
        numbers = " | ".join(str(row[key]) for key in ("outputs", "matched", "matches", "fires"))
        words = f"{cell(row['last'])} | {cell(', '.join(dict.fromkeys(row['actions'])))}"
        click.echo(safe(f"| {cell(row['watcher'])} | {numbers} | {words} |"))
    broken = [f"{row['watcher']}: its condition failed {_times(row['errors'])}" for row in found.rows if row["errors"]]
    for title, lines in (("Look at", broken), ("Not read", found.missing)):
        if lines:
            click.echo(f"\n{title}:\n")
        for line in lines:
            click.echo(safe(f"- {cell(line)}"))


def _github(found: Survey) -> None:
    for row in found.rows:
        times = f"would have fired {_times(row['fires'])} on {row['outputs']} outputs ({row['matches']} matches)"
        kind = "warning" if row["errors"] else "notice"
        more = f"; its condition failed {_times(row['errors'])}" if row["errors"] else ""
        click.echo(safe(f"::{kind} title=replay::{escaped(row['watcher'])}: {times}{more}"))
    for missing in found.missing:
        click.echo(safe(f"::warning title=replay::not read: {escaped(missing)}"))
